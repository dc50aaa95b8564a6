/* Mean and maximum over each row's real steps, both in one pass over y [T,N,F]. */
#ifndef FL_POOL_H
#define FL_POOL_H

#include "fastlstm.h"
#include "pack.h"

enum { POOL_VECTORS = 8 };            /* of a row's features that are pooled at a time */
#define POOL_STEPS ((int64_t)1 << 30) /* that an intlane can count */

/* A vector of features. What was rounded off the sum, `low`, is added to what comes next (Kahan
 * 1965), so that it is as exact after 10^7 steps as after ten: a sum of all that was rounded off
 * would lose digits as the first one does, where values are alike. Steps are counted from the first
 * of POOL_STEPS; -1: the maximum was before. */
typedef struct {
    vreal sum, low, max;
    vint step;
} pooled;

/* Of equal values the first step's stays; NaN, once met, stays too. */
FL_INLINE void pool_step(pooled *a, vreal y, intlane step) {
    vreal more = y + a->low, sum = a->sum + more, low = more - (sum - a->sum);
    a->low = vselect(low == low, low, (vreal){0}); /* NaN: infinite sum */
    a->sum = sum;
    vint better = (y > a->max) | (y != y);
    a->max = vselect(better, y, a->max);
    a->step = (better & step) | (~better & a->step);
}

FL_INLINE const real *pooled_row(const fl_pool *p, int64_t n, int64_t t) {
    return (const real *)p->y + t * p->y_t + n * p->y_n;
}

/* Where the maxima were that came in the steps from t0 on. */
FL_INLINE void write_steps(pooled *a, int64_t t0, int64_t lanes, int64_t *step) {
    for (int64_t l = 0; l < lanes; l++)
        if (a->step[l] >= 0) step[l] = t0 + a->step[l];
    a->step = ~(vint){0};
}

/* Features from f on of a row with steps: at most POOL_VECTORS of them. */
static void pool_features(const fl_pool *p, int64_t n, int64_t f) {
    pooled of[POOL_VECTORS];
    int64_t length = p->lengths[n], end = min64(p->F, f + POOL_VECTORS * VL), at = n * p->F;
    for (int v = 0; v < POOL_VECTORS; v++)
        of[v] = (pooled){.max = vset1((real)-INFINITY), .step = ~(vint){0}};
    if (p->step) memset(p->step + at + f, 0, (size_t)(end - f) * sizeof *p->step);
    for (int64_t t0 = 0; t0 < length; t0 += POOL_STEPS) {
        for (int64_t t = t0; t < min64(length, t0 + POOL_STEPS); t++) {
            const real *y = pooled_row(p, n, t);
            if (t + 2 < length) prefetch(pooled_row(p, n, t + 2) + f, end - f);
            for (int64_t u = f, v = 0; u < end; u += VL, v++)
                pool_step(&of[v], vload_n(y + u, min64(VL, end - u)), (intlane)(t - t0));
        }
        for (int64_t u = f, v = 0; p->step && u < end; u += VL, v++)
            write_steps(&of[v], t0, min64(VL, end - u), p->step + at + u);
    }
    for (int64_t u = f, v = 0; u < end; u += VL, v++) {
        int64_t lanes = min64(VL, end - u);
        vreal mean = (of[v].sum + of[v].low) / vset1((real)length);
        if (p->mean) vstore_n((real *)p->mean + at + u, mean, lanes);
        if (p->max) vstore_n((real *)p->max + at + u, of[v].max, lanes);
    }
}

static void pool_nothing(const fl_pool *p, int64_t n) {
    size_t at = (size_t)(n * p->F), F = (size_t)p->F;
    if (p->mean) memset((real *)p->mean + at, 0, F * sizeof(real));
    if (p->max) memset((real *)p->max + at, 0, F * sizeof(real));
    if (p->step) memset(p->step + at, 0, F * sizeof *p->step);
}

static void pool_forward_body(void *ctx, int thread, int threads, fl_team *team) {
    const fl_pool *p = ctx;
    (void)team;
    for (int64_t n = p->N * thread / threads; n < p->N * (thread + 1) / threads; n++) {
        if (!p->lengths[n]) pool_nothing(p, n);
        for (int64_t f = 0; f < p->F && p->lengths[n]; f += POOL_VECTORS * VL)
            pool_features(p, n, f);
    }
}

/* The mean's gradient to all of a row's steps alike, the maximum's to where that was; of features
 * from f on. */
static void features_backward(const fl_pool *p, int64_t n, int64_t f) {
    int64_t length = p->lengths[n], at = n * p->F, end = min64(p->F, f + POOL_VECTORS * VL);
    real *y = (real *)p->y + n * p->y_n;
    vreal d[POOL_VECTORS] = {{0}};
    for (int64_t u = f, v = 0; p->mean && u < end; u += VL, v++)
        d[v] = vload_n((const real *)p->mean + at + u, min64(VL, end - u)) / vset1((real)length);
    for (int64_t t = 0; t < length; t++)
        for (int64_t u = f, v = 0; u < end; u += VL, v++)
            vstore_n(y + t * p->y_t + u, d[v], min64(VL, end - u));
    for (int64_t u = f; p->max && length && u < end; u++)
        y[p->step[at + u] * p->y_t + u] += ((const real *)p->max)[at + u];
}

static void pool_backward_body(void *ctx, int thread, int threads, fl_team *team) {
    const fl_pool *p = ctx;
    (void)team;
    for (int64_t n = p->N * thread / threads; n < p->N * (thread + 1) / threads; n++)
        for (int64_t f = 0; f < p->F; f += POOL_VECTORS * VL) features_backward(p, n, f);
}

static void pool_forward(const fl_pool *p) {
    fl_run(p->n_threads, FL_BRIEF, pool_forward_body, (void *)p);
}
static void pool_backward(const fl_pool *p) {
    fl_run(p->n_threads, FL_BRIEF, pool_backward_body, (void *)p);
}

#endif
