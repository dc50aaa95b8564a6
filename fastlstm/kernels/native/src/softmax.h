/* Cross-entropy of the softmax of rows of logits, and its gradient in their place.
 *
 * A row at a time, which stays in the first-level cache: its maximum; the exponentials and their
 * sum; what they are divided by. The gradient's columns are summed by blocks of rows, the blocks'
 * sums in their order: nobody sees how threads divide the blocks.
 */
#ifndef FL_SOFTMAX_H
#define FL_SOFTMAX_H

#include "activations.h"
#include "fastlstm.h"

enum { SOFTMAX_ROWS = 32 };      /* of a block */
enum { SOFTMAX_SPAN = 64 * VL }; /* numbers that are summed in `real` */

typedef struct {
    const fl_softmax *p;
    real *sums; /* [blocks,V] of columns, or NULL */
} softmax;

/* A row at work. */
typedef struct {
    int64_t V;
    real *z;
    const real *bias; /* or NULL */
    int keep;         /* whether the exponentials take the place of z */
} softmax_row;

FL_INLINE int64_t softmax_blocks(const fl_softmax *p) {
    return (p->M + SOFTMAX_ROWS - 1) / SOFTMAX_ROWS;
}

/* Logits from v on; behind them -infinity. */
FL_INLINE vreal load_logits(const softmax_row *r, int64_t v, const int64_t lanes) {
    vreal x = vload_n(r->z + v, lanes);
    if (r->bias) x += vload_n(r->bias + v, lanes);
    for (int64_t l = lanes; l < VL; l++) x[l] = -INFINITY;
    return x;
}

static real row_max(const softmax_row *r) {
    vreal a = vset1((real)-INFINITY), b = a;
    real lane[VL];
    int64_t v = 0;
    for (; v + 2 * VL <= r->V; v += 2 * VL) {
        a = vmax(load_logits(r, v, VL), a);
        b = vmax(load_logits(r, v + VL, VL), b);
    }
    for (; v < r->V; v += VL) a = vmax(load_logits(r, v, min64(VL, r->V - v)), a);
    vstore(lane, vmax(a, b));
    real most = lane[0];
    for (int l = 1; l < VL; l++) most = lane[l] > most ? lane[l] : most;
    return most;
}

/* Some exponentials of z - most: 0 from FL_LEAST on. */
FL_INLINE vreal exp_some(const softmax_row *r, vreal most, int64_t v, const int64_t lanes) {
    vreal e = vexp_neg(vclamp(most - load_logits(r, v, lanes), 0, -FL_LEAST), 1);
    if (r->keep) vstore_n(r->z + v, e, lanes);
    return e;
}

/* The sum of all of them. */
static double exp_row(const softmax_row *r, real most) {
    const vreal m = vset1(most);
    double total = 0;
    for (int64_t v = 0; v < r->V;) {
        vreal sum = {0};
        real lane[VL];
        int64_t end = min64(r->V, v + SOFTMAX_SPAN);
        for (; v + VL <= end; v += VL) sum += exp_some(r, m, v, VL);
        if (v < end) sum += exp_some(r, m, v, end - v), v = end;
        vstore(lane, sum);
        for (int l = 0; l < VL; l++) total += (double)lane[l];
    }
    return total;
}

FL_INLINE void scale_some(real *z, real by, real *sums, const int64_t lanes) {
    vreal d = vload_n(z, lanes) * by;
    vstore_n(z, d, lanes);
    if (sums) vstore_n(sums, vload_n(sums, lanes) + d, lanes);
}

/* Multiplies z, and adds it to `sums`, unless that is NULL. */
static void scale_row(int64_t V, real *z, real by, real *sums) {
    int64_t v = 0;
    for (; v + VL <= V; v += VL) scale_some(z + v, by, sums ? sums + v : NULL, VL);
    if (v < V) scale_some(z + v, by, sums ? sums + v : NULL, V - v);
}

static void softmax_of_row(const fl_softmax *p, int64_t row, real *sums) {
    softmax_row r = {p->V, (real *)p->z + row * p->V, p->bias, p->scale != 0};
    int64_t t = p->target[row];
    if (p->target_bias) r.z[t] += ((const real *)p->target_bias)[row];
    real most = row_max(&r), right = r.z[t] + (r.bias ? r.bias[t] : 0);
    double sum = exp_row(&r, most);
    p->loss[row] = log(sum) - ((double)right - (double)most);
    if (!r.keep) return;
    real before = sums ? sums[t] : 0;
    scale_row(p->V, r.z, (real)(p->scale / sum), sums);
    r.z[t] -= (real)p->scale;
    if (sums) sums[t] = before + r.z[t];
}

static void softmax_body(void *ctx, int thread, int threads, fl_team *team) {
    const softmax *s = ctx;
    int64_t blocks = softmax_blocks(s->p);
    (void)team;
    for (int64_t b = blocks * thread / threads; b < blocks * (thread + 1) / threads; b++) {
        real *sums = s->sums ? s->sums + b * s->p->V : NULL;
        int64_t first = b * SOFTMAX_ROWS, end = min64(s->p->M, first + SOFTMAX_ROWS);
        if (sums) memset(sums, 0, (size_t)s->p->V * sizeof *sums);
        for (int64_t row = first; row < end; row++) softmax_of_row(s->p, row, sums);
    }
}

static void sum_blocks(const fl_softmax *p, const real *sums) {
    real *to = p->dbias;
    memset(to, 0, (size_t)p->V * sizeof *to);
    for (int64_t b = 0; b < softmax_blocks(p); b++, sums += p->V)
        for (int64_t v = 0; v < p->V; v += VL) {
            int64_t lanes = min64(VL, p->V - v);
            vstore_n(to + v, vload_n(to + v, lanes) + vload_n(sums + v, lanes), lanes);
        }
}

static int softmax_cross_entropy(const fl_softmax *p) {
    softmax s = {p, NULL};
    if (p->dbias) {
        s.sums = fl_alloc((size_t)(softmax_blocks(p) * p->V) * sizeof(real));
        if (!s.sums) return -1;
    }
    fl_run(p->n_threads, FL_BRIEF, softmax_body, &s);
    if (p->dbias) sum_blocks(p, s.sums);
    fl_free(s.sums);
    return 0;
}

#endif
