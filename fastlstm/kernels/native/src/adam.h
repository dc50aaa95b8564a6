/* Adam in one pass over parameter, gradient, both moments and the average: rows of a table, or all
 * of it. */
#ifndef FL_ADAM_H
#define FL_ADAM_H

#include "fastlstm.h"
#include "pack.h"

static void adam_body(void *ctx, int thread, int threads, fl_team *team) {
    const fl_adam *a = ctx;
    int64_t r0 = a->rows * thread / threads, r1 = a->rows * (thread + 1) / threads;
    const vreal beta1 = vset1((real)a->beta1), beta2 = vset1((real)a->beta2);
    /* in double: float32 holds 0.999 so coarsely that 1 minus it would be off by 1e-5 of itself */
    const vreal rest1 = vset1((real)(1 - a->beta1)), rest2 = vset1((real)(1 - a->beta2));
    const vreal rate = vset1((real)a->rate), root = vset1((real)a->root), eps = vset1((real)a->eps);
    const vreal shrink = vset1((real)a->shrink), decay = vset1((real)a->decay);
    const vreal scale = vset1((real)a->scale);
    (void)team;
    for (int64_t r = r0; r < r1; r++) {
        int64_t at = (a->index ? a->index[r] : r) * a->width;
        real *p = (real *)a->p + at, *m = (real *)a->m + at, *v = (real *)a->v + at;
        const real *g = (const real *)a->g + r * a->width;
        real *total = a->total ? (real *)a->total + at : NULL;
        vreal keep = vset1(total ? ((const real *)a->keep)[r * a->term] : 0);
        vreal add = vset1(total ? ((const real *)a->add)[r * a->term] : 0);
        for (int64_t i = 0; i < a->width; i += VL) {
            int64_t lanes = min64(VL, a->width - i);
            vreal pi = vload_n(p + i, lanes);
            if (total) vstore_n(total + i, vload_n(total + i, lanes) * keep + pi * add, lanes);
            pi *= shrink;
            vreal gi = scale * vload_n(g + i, lanes) + decay * pi;
            vreal mi = vfma(beta1, vload_n(m + i, lanes), rest1 * gi);
            vreal vi = vfma(beta2, vload_n(v + i, lanes), rest2 * gi * gi);
            vstore_n(m + i, mi, lanes);
            vstore_n(v + i, vi, lanes);
            vstore_n(p + i, pi - rate * mi / vfma(vsqrt(vi), root, eps), lanes);
        }
    }
}

static void adam(const fl_adam *a) { fl_run(a->n_threads, FL_BRIEF, adam_body, (void *)a); }

#endif
