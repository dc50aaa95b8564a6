/* GRU whose reset gate meets h before the product, as in the paper, Keras and ONNX files; forward
 * above backward.
 *
 *     r, z = sigmoid of the products      n = tanh(W_in x + b_in + W_hn (r h) + b_hn)
 *     h' = (1 - z) n + z h                (Cho et al. 2014)
 *
 * So each step makes two products, and the second needs all units of the first. Kept for backward:
 * the gates and, beside them, r h; in bfloat16 as by gru.h.
 */
#ifndef FL_GRU_RESET_BEFORE_H
#define FL_GRU_RESET_BEFORE_H

#include "gru.h"

/* Gates r and z of rows of a unit block, and r h, masked. */
FL_INLINE void gru_late_gates_with(const int others, const step_rows *s, int64_t row, int64_t R,
                                   int64_t j) {
    int64_t lanes = min64(VL, s->call->p->H - j * VL);
    for (int64_t i = row; i < row + R; i++) {
        real *g = s->z[i] + j * GRU_GATES * VL;
        vreal r = vload(g), z = vload(g + VL);
        gates_of(others, s->call, &r, &z);
        vstore(g + VL, z);
        vreal rh = r * vload_n(s->h[i] + j * VL, lanes);
        if (s->call->p->mask) rh *= vload_n(s->mask[i] + j * VL, lanes);
        store_kept(s->extra[i] + j * VL, rh);
        if (!s->call->full) continue;
        kept_real *gates = s->gates[i] + j * GRU_GATES * VL;
        if (GRU_EXTRA_GATE) store_kept(gates + 2 * VL, rh);
        store_sigmoids(gates, r, gates + VL, z);
        prefetch_kept_written(gates + GRU_GATES * VL, GRU_GATES * VL);
    }
}

FL_INLINE void gru_late_finish_with(const int others, const step_rows *s, int64_t row, int64_t R,
                                    int64_t j) {
    int64_t lanes = min64(VL, s->call->p->H - j * VL);
    for (int64_t i = row; i < row + R; i++) {
        real *g = s->z[i] + j * GRU_GATES * VL;
        vreal n = value_of(others, s->call, vload(g + 2 * VL));
        vreal h = vload_n(s->h[i] + j * VL, lanes);
        vstore_n(s->out[i] + j * VL, gru_blend(vload(g + VL), n, h), lanes);
        if (s->call->full) gru_keep_n(s->gates[i] + j * GRU_GATES * VL, n);
    }
}

FL_INLINE void gru_late_step_with(const call *k, const share *w, step_rows *rows, int64_t step,
                                  product_done gates, product_done finish) {
    weight_shape early = hidden_shape(k);
    product m = gate_product(k, rows, rows->n, k->p->R, k->wh, w->j0, w->j1);
    m.V = early.V, m.nv = gates_size(&early) / VL;
    m.down = step & 1;
    product_run(&m, gates, rows);
    for (int64_t i = 0; i < rows->n; i++) {
        rows->a[i] = as_operand(rows->extra[i]);
        rows->start[i] = rows->init[i] + 2 * VL;
        rows->s[i] = rows->z[i] + 2 * VL;
    }
    round_kept_rows(k, rows, rows->n, k->p->R, 1);
    m.b = k->whn;
    m.V = 1, m.nv = k->Hp / VL;
    m.cin = rows->start, m.c = rows->s;
    product_run(&m, finish, rows);
}

#define GRU_LATE_FORWARD(NAME, OTHERS)                                                             \
    FL_INLINE void NAME##_gates(void *ctx, int64_t row, int64_t R, int64_t j) {                    \
        gru_late_gates_with(OTHERS, ctx, row, R, j);                                               \
    }                                                                                              \
    FL_INLINE void NAME##_finish(void *ctx, int64_t row, int64_t R, int64_t j) {                   \
        gru_late_finish_with(OTHERS, ctx, row, R, j);                                              \
    }                                                                                              \
    static void NAME##_step(const call *k, const share *w, step_rows *rows, int64_t step) {        \
        gru_late_step_with(k, w, rows, step, NAME##_gates, NAME##_finish);                         \
    }
GRU_LATE_FORWARD(gru_late, 0)
#if FL_WORD == 1
GRU_LATE_FORWARD(gru_late_others, 1)
#endif

#if FL_BACKWARD
/* Up to the gradient of n before its activation, which also goes to dn; r stays in its place. */
FL_INLINE void gru_late_outer(const int others, const call *k, int64_t row, int64_t step,
                              kept_real *dn) {
    const real *h = hidden_before(k, row, step), *dy = dy_row(k, row, step);
    const real *after = output_row(k, row, step);
    kept_real *gates = gates_row(k, row, step), *extra = extra_row(k, row, step);
    real *dh = k->dh + row * k->Rp;
    for (int64_t u = 0; u < k->Hp; u += VL) {
        kept_real *g = gates + u * GRU_GATES;
        int64_t lanes = min64(VL, k->p->H - u);
        vreal z = load_second(g, g + VL), before = vload_n(h + u, lanes), d = vload(dh + u);
        vreal n = gru_load_n(g, z, before, after + u, lanes);
        if (GRU_EXTRA_GATE) store_kept(extra + u, load_kept(g + 2 * VL));
        if (dy) d += vload_n(dy + u, lanes);
        vreal to_n = value_backward(others, k, n, d * (1 - z));
        store_kept(g + VL, gate_backward(others, k, z, d * (before - n)));
        store_kept(g + 2 * VL, to_n);
        store_kept(dn + u, to_n);
        vstore(dh + u, d * z);
    }
}

/* From the gradient of what met the late weight, r h masked, to those of r and of h. */
FL_INLINE void gru_late_inner(const int others, const call *k, int64_t row, int64_t step,
                              const real *drh) {
    const real *mask = k->p->mask ? mask_row(k, row) : NULL;
    const real *h = hidden_before(k, row, step);
    kept_real *gates = gates_row(k, row, step);
    real *dh = k->dh + row * k->Rp;
    for (int64_t u = 0; u < k->Hp; u += VL) {
        kept_real *g = gates + u * GRU_GATES;
        int64_t lanes = min64(VL, k->p->H - u);
        vreal r = load_first(g), d = vload(drh + u);
        if (mask) d *= vload_n(mask + u, lanes);
        vstore(dh + u, vfma(d, r, vload(dh + u)));
        store_kept(g, gate_backward(others, k, r, d * vload_n(h + u, lanes)));
    }
}

FL_INLINE void gru_late_step_backward_with(const int others, const call *k, const share *w,
                                           step_rows *rows, int64_t step, fl_team *team) {
    real *work = own_extra(k, rows), *drh = work + k->p->rows.N * k->Hp;
    kept_real *dn = (kept_real *)(void *)work;
    for (int64_t i = 0; i < rows->n; i++) {
        gru_late_outer(others, k, rows->row[i], step, dn + i * k->Hp);
        rows->a[i] = as_operand(dn + i * k->Hp);
        rows->s[i] = drh + i * k->Hp;
        rows->start[i] = k->zeros;
    }
    round_kept_rows(k, rows, rows->n, k->Hp, 0);
    product m =
        column_product(rows->n, k->Hp, rows->a, k->whnt, k->Rp / VL, rows->start, 0, rows->s);
    product_only(&m);
    for (int64_t i = 0; i < rows->n; i++) {
        int64_t row = rows->row[i];
        gru_late_inner(others, k, row, step, rows->s[i]);
        prefetch_gates(k, w, rows, i, step);
    }
    hidden_product(k, w, rows, step, 1, team);
}

#define GRU_LATE_BACKWARD(NAME, OTHERS)                                                            \
    static void NAME##_step_backward(const call *k, const share *w, step_rows *rows, int64_t step, \
                                     fl_team *team) {                                              \
        gru_late_step_backward_with(OTHERS, k, w, rows, step, team);                               \
    }
GRU_LATE_BACKWARD(gru_late, 0)
#if FL_WORD == 1
GRU_LATE_BACKWARD(gru_late_others, 1)
#endif
#endif

static const cell GRU_RESET_BEFORE = {
    .name = "gru_reset_before",
    .gates = GRU_GATES,
    .panel = GRU_GATES,
    .extra = 1,
    .extra_gate = GRU_EXTRA_GATE,
    .work = 2,
    .late = 1,
    .step = gru_late_step,
    FL_ONLY_BACKWARD(.step_backward = gru_late_step_backward, .inside = gru_inside)};

#if FL_WORD == 1
static const cell GRU_RESET_BEFORE_OTHERS = {.name = "gru_reset_before",
                                             .gates = GRU_GATES,
                                             .panel = GRU_GATES,
                                             .extra = 1,
                                             .work = 2,
                                             .late = 1,
                                             .unbounded = 1,
                                             .step = gru_late_others_step,
                                             .step_backward = gru_late_others_step_backward,
                                             .inside = gru_inside};
#endif

#endif
