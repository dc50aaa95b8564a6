/* Mean and maximum over each row's real steps, both in one pass over y [T,N,F]. */
#ifndef FL_POOL_H
#define FL_POOL_H

#include "fastlstm.h"
#include "pack.h"

/* One vector of features of a row at step t into the running sum and maximum. Of equal values
 * the first step's stays; NaN, once met, stays too. */
FL_INLINE void pool_step(const fl_pool *p, int64_t n, int64_t t, int64_t f, int64_t lanes) {
    int64_t at = n * p->F + f;
    vreal y = vload_n((const real *)p->y + t * p->y_t + n * p->y_n + f, lanes);
    if (p->mean) {
        real *mean = (real *)p->mean + at;
        vstore_n(mean, t ? vload_n(mean, lanes) + y : y, lanes);
    }
    if (p->max) {
        real *max = (real *)p->max + at, *step = (real *)p->step + at;
        vreal best = vload_n(max, lanes);
        vint better = (y > best) | (y != y);
        if (!t) better = ~(vint){0};
        vstore_n(max, vselect(better, y, best), lanes);
        vstore_n(step, vselect(better, vset1((real)t), vload_n(step, lanes)), lanes);
    }
}

static void pool_forward_body(void *ctx, int thread, int threads, fl_team *team) {
    const fl_pool *p = ctx;
    int64_t n0 = p->N * thread / threads, n1 = p->N * (thread + 1) / threads;
    (void)team;
    for (int64_t t = 0; t < p->T; t++)
        for (int64_t n = n0; n < n1; n++)
            for (int64_t f = 0; f < p->F && t < p->lengths[n]; f += VL)
                pool_step(p, n, t, f, min64(VL, p->F - f));
    for (int64_t n = n0; n < n1; n++)
        for (int64_t f = 0; f < p->F; f++) {
            int64_t at = n * p->F + f, length = p->lengths[n];
            if (p->mean) ((real *)p->mean)[at] = length ? ((real *)p->mean)[at] / (real)length : 0;
            if (p->max && !length) ((real *)p->max)[at] = ((real *)p->step)[at] = 0;
        }
}

static void pool_backward_body(void *ctx, int thread, int threads, fl_team *team) {
    const fl_pool *p = ctx;
    int64_t n0 = p->N * thread / threads, n1 = p->N * (thread + 1) / threads;
    (void)team;
    for (int64_t t = 0; t < p->T; t++)
        for (int64_t n = n0; n < n1; n++)
            for (int64_t f = 0; f < p->F && t < p->lengths[n]; f += VL) {
                int64_t lanes = min64(VL, p->F - f), at = n * p->F + f;
                vreal d = {0};
                if (p->mean)
                    d = vload_n((const real *)p->mean + at, lanes) / vset1((real)p->lengths[n]);
                if (p->max) {
                    vint here = vload_n((const real *)p->step + at, lanes) == vset1((real)t);
                    vreal m = vload_n((const real *)p->max + at, lanes);
                    d += vselect(here, m, (vreal){0});
                }
                vstore_n((real *)p->y + t * p->y_t + n * p->y_n + f, d, lanes);
            }
}

static void pool_forward(const fl_pool *p) { fl_run(p->n_threads, pool_forward_body, (void *)p); }
static void pool_backward(const fl_pool *p) { fl_run(p->n_threads, pool_backward_body, (void *)p); }

#endif
