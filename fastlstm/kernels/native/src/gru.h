/* GRU, torch's: the reset gate meets the recurrent product; forward above backward.
 *
 *     r, z = sigmoid of the products      n = tanh(W_in x + b_in + r (W_hn h + b_hn))
 *     h' = (1 - z) n + z h                (Cho et al. 2014; this form from cuDNN)
 *
 * The recurrent products are split from the input's. Kept for backward: r, z, n and, beside
 * them, W_hn h + b_hn. Backward leaves in their places the gradients of the recurrent products
 * and, beside them, that of the input product of n.
 *
 * In bfloat16 n is not kept, but in its place what else stands beside the gates: h' among the
 * outputs tells what n was, the better the more bits z is kept with.
 */
#ifndef FL_GRU_H
#define FL_GRU_H

#include "forward.h"
#include "others.h"
#if FL_BACKWARD
#include "backward.h"
#endif

enum { GRU_GATES = 3, GRU_EXTRA_GATE = KEPT_ROUNDED ? GRU_GATES : 0 };

/* (1 - z) n + z h */
FL_INLINE vreal gru_blend(vreal z, vreal n, vreal h) { return vfma(z, h - n, n); }

/* n where it is kept. */
FL_INLINE void gru_keep_n(kept_real *gates, vreal n) {
    if (!GRU_EXTRA_GATE) store_kept(gates + 2 * VL, n);
}

/* Gate maths on rows of a unit block whose recurrent products are complete. n has to wait for r:
 * all rows' r and z go first, so that no row waits alone. */
FL_INLINE void gru_finish_with(const int others, const step_rows *s, int64_t row, int64_t R,
                               int64_t j) {
    int64_t lanes = min64(VL, s->call->p->H - j * VL), block = j * GRU_GATES * VL;
    vreal z[MAX_ROWS], to_n[MAX_ROWS];
    for (int64_t i = 0, at = row; i < R; i++, at++) {
        const real *x = s->init[at] + block, *m = s->s[at] + j * s->s_panel;
        vreal r = vload(x) + vload(m), hn = vload(m + 2 * VL);
        z[i] = vload(x + VL) + vload(m + VL);
        gates_of(others, s->call, &r, &z[i]);
        to_n[i] = vfma(r, hn, vload(x + 2 * VL));
        if (!s->call->full) continue;
        store_sigmoids(s->gates[at] + block, r, s->gates[at] + block + VL, z[i]);
        store_kept(GRU_EXTRA_GATE ? s->gates[at] + block + 2 * VL : s->extra[at] + j * VL, hn);
        prefetch_kept_written(s->gates[at] + block + GRU_GATES * VL, GRU_GATES * VL);
    }
    for (int64_t i = 0, at = row; i < R; i++, at++) {
        vreal n = value_of(others, s->call, to_n[i]), h = vload_n(s->h[at] + j * VL, lanes);
        vstore_n(s->out[at] + j * VL, gru_blend(z[i], n, h), lanes);
        if (s->call->full) gru_keep_n(s->gates[at] + block, n);
    }
}

FL_INLINE product gru_product(const call *k, const share *w, step_rows *rows, int64_t step) {
    product m = gate_product(k, rows, rows->n, k->p->R, k->wh, w->j0, w->j1);
    for (int64_t i = 0; i < rows->n; i++) rows->start[i] = k->bias_h;
    m.cin = rows->start;
    m.c = rows->s, m.c_panel = rows->s_panel;
    m.down = step & 1;
    return m;
}

#define GRU_FORWARD(NAME, OTHERS)                                                                  \
    FL_INLINE void NAME##_finish(void *ctx, int64_t row, int64_t R, int64_t j) {                   \
        gru_finish_with(OTHERS, ctx, row, R, j);                                                   \
    }                                                                                              \
    static void NAME##_step(const call *k, const share *w, step_rows *rows, int64_t step) {        \
        product m = gru_product(k, w, rows, step);                                                 \
        gate_product_run(k, &m, NAME##_finish, rows);                                              \
    }
GRU_FORWARD(gru, 0)
#if FL_WORD == 1
GRU_FORWARD(gru_others, 1)
#endif

#if FL_BACKWARD
/* n, from the gates of a block. Found from a rounded z it is off by 2^-12 of |h - n| at most; all
 * that is made of n meets 1 - z, so that of a z that leaves nothing of n any other will do. */
FL_INLINE vreal gru_load_n(const kept_real *g, vreal z, vreal h, const real *after, int64_t lanes) {
    if (!GRU_EXTRA_GATE) return load_kept(g + 2 * VL);
    vreal found = vload_n(after, lanes) - z * h;
    return vclamp(found / vmax(vset1((real)0x1p-100), 1 - z), -1, 1);
}

static void gru_inside(const call *k, int64_t row, int64_t step, int64_t j, vreal *gates) {
    const kept_real *g = gates_row(k, row, step) + j * GRU_GATES * VL;
    int64_t u = j * VL, lanes = min64(VL, k->p->H - u);
    vreal h = vload_n(hidden_before(k, row, step) + u, lanes);
    load_sigmoids(g, g + VL, gates);
    gates[2] = gru_load_n(g, gates[1], h, output_row(k, row, step) + u, lanes);
}

FL_INLINE void gru_row_backward(const int others, const call *k, int64_t row, int64_t step,
                                int64_t j0, int64_t j1) {
    const real *h = hidden_before(k, row, step), *dy = dy_row(k, row, step);
    const real *after = output_row(k, row, step);
    kept_real *gates = gates_row(k, row, step), *extra = extra_row(k, row, step);
    real *dh = k->dh + row * k->Rp;
    for (int64_t j = j0; j < j1; j++) {
        kept_real *g = gates + j * GRU_GATES * VL;
        int64_t u = j * VL, lanes = min64(VL, k->p->H - u);
        vreal r = load_first(g), z = load_second(g, g + VL), before = vload_n(h + u, lanes);
        vreal n = gru_load_n(g, z, before, after + u, lanes);
        vreal hn = load_kept(GRU_EXTRA_GATE ? g + 2 * VL : extra + u);
        vreal d = vload(dh + u);
        if (dy) d += vload_n(dy + u, lanes);
        vreal dn = value_backward(others, k, n, d * (1 - z));
        store_kept(g, gate_backward(others, k, r, dn * hn));
        store_kept(g + VL, gate_backward(others, k, z, d * (before - n)));
        store_kept(g + 2 * VL, dn * r);
        store_kept(extra + u, dn);
        vstore(dh + u, d * z);
    }
}

FL_INLINE void gru_step_backward_with(const int others, const call *k, const share *w,
                                      step_rows *rows, int64_t step, fl_team *team) {
    for (int64_t i = 0; i < rows->n; i++) {
        int64_t row = rows->row[i];
        gru_row_backward(others, k, row, step, w->j0, w->j1);
        prefetch_gates(k, w, rows, i, step);
    }
    hidden_product(k, w, rows, step, 1, team);
}

#define GRU_BACKWARD(NAME, OTHERS)                                                                 \
    static void NAME##_step_backward(const call *k, const share *w, step_rows *rows, int64_t step, \
                                     fl_team *team) {                                              \
        gru_step_backward_with(OTHERS, k, w, rows, step, team);                                    \
    }
GRU_BACKWARD(gru, 0)
#if FL_WORD == 1
GRU_BACKWARD(gru_others, 1)
#endif
#endif

static const cell GRU = {
    .name = "gru",
    .gates = GRU_GATES,
    .panel = GRU_GATES,
    .split = 1,
    .extra = 1,
    .extra_gate = GRU_EXTRA_GATE,
    .step = gru_step,
    FL_ONLY_BACKWARD(.step_backward = gru_step_backward, .inside = gru_inside)};

#if FL_WORD == 1
static const cell GRU_OTHERS = {.name = "gru",
                                .gates = GRU_GATES,
                                .panel = GRU_GATES,
                                .split = 1,
                                .extra = 1,
                                .unbounded = 1,
                                .step = gru_others_step,
                                .step_backward = gru_others_step_backward,
                                .inside = gru_inside};
#endif

#endif
