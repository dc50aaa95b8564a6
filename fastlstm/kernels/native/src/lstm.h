/* LSTM, with or without a projection of its output; forward above backward.
 *
 *     i, f, o = sigmoid, g = tanh of the products      c' = f c + i g      h' = o tanh(c')
 *     and with a projection h' = W_hr (o tanh(c'))     (Sak, Senior & Beaufays 2014)
 *
 * `t` stands for tanh(c') below, or what another activation makes of c'.
 */
#ifndef FL_LSTM_H
#define FL_LSTM_H

#include "forward.h"
#include "others.h"
#if FL_BACKWARD
#include "backward.h"
#endif

enum { LSTM_GATES = 4, PEEPHOLES = 3 };

typedef struct {
    vreal i, f, g, o;
} lstm_gates;

FL_INLINE lstm_gates lstm_activate(const int others, const call *k, const real *z) {
    lstm_gates a = {
        .i = vload(z), .f = vload(z + VL), .g = vload(z + 2 * VL), .o = vload(z + 3 * VL)};
    gate_and_value_of(others, k, &a.i, &a.g);
    gates_of(others, k, &a.f, &a.o);
    return a;
}

/* In bfloat16 o is not kept but c' in its place: o = h' / tanh(c'), of h' among the outputs. Of
 * cells so near 0 that h' may be 0, o is kept instead, times something that makes it as small. */
#define FL_NO_CELL 0x1p-100f

FL_INLINE vreal lstm_cell_or_o(vreal c, vreal o) {
    return vselect(vmagnitude(c) < (real)FL_NO_CELL, to_nearer(o) * (real)(FL_NO_CELL / 2), c);
}

FL_INLINE void lstm_keep(kept_real *to, const lstm_gates *a, vreal c) {
    store_sigmoid(to, a->i);
    store_sigmoid(to + VL, a->f);
    store_kept(to + 2 * VL, a->g);
    if (KEPT_ROUNDED)
        store_kept(to + 3 * VL, lstm_cell_or_o(c, a->o));
    else
        store_sigmoid(to + 3 * VL, a->o);
}

/* The recurrent products of a step. Of tiles they go to places of their own, not over what they
 * start from, which comes from the second-level cache and would have to go back there. */
FL_INLINE product lstm_product(const call *k, const share *w, const step_rows *rows, int64_t step) {
    product m = gate_product(k, rows, rows->n, k->p->R, k->wh, w->j0, w->j1);
    if (WORD_BLOCK > 1) m.c = rows->s, m.c_panel = rows->s_panel;
    m.down = step & 1;
    return m;
}

FL_INLINE const real *lstm_products(const step_rows *s, int64_t r, int64_t j) {
    return WORD_BLOCK > 1 ? s->s[r] + j * s->s_panel : s->z[r] + j * LSTM_GATES * VL;
}

/* Gate maths on rows of a unit block whose products are complete. tanh(c') has to wait for all of
 * its row's gates: all rows' gates go first, so that no row waits alone. */
FL_INLINE void lstm_finish_with(const int others, const step_rows *s, int64_t row, int64_t R,
                                int64_t j) {
    int64_t lanes = min64(VL, s->call->p->H - j * VL);
    vreal c[MAX_ROWS], o[MAX_ROWS];
    for (int64_t i = 0, r = row; i < R; i++, r++) {
        lstm_gates a = lstm_activate(others, s->call, lstm_products(s, r, j));
        c[i] = vfma(a.f, vload(s->c_in[r] + j * VL), a.i * a.g), o[i] = a.o;
        vstore(s->c_out[r] + j * VL, c[i]);
        if (s->call->full) {
            kept_real *gates = s->gates[r] + j * LSTM_GATES * VL;
            lstm_keep(gates, &a, c[i]);
            prefetch_kept_written(gates + LSTM_GATES * VL, LSTM_GATES * VL);
        }
    }
    for (int64_t i = 0, r = row; i < R; i++, r++) {
        vreal h = o[i] * state_of(others, s->call, c[i]);
        if (s->call->whr)
            store_kept(s->extra[r] + j * VL, h);
        else
            vstore_n(s->out[r] + j * VL, h, lanes);
    }
}

/* A panel of projected outputs to the caller's rows. */
FL_INLINE void write_projected(void *ctx, int64_t row, int64_t R, int64_t panel) {
    const step_rows *s = ctx;
    for (int64_t r = row; r < row + R; r++)
#pragma GCC unroll 4
        for (int64_t v = 0; v < FL_PANEL; v++) {
            int64_t at = panel * PANEL + v * VL, lanes = min64(VL, s->call->p->R - at);
            if (lanes <= 0) break;
            const real *from = s->s[r] + (s->s_panel ? panel * PANEL : 0) + v * VL;
            vstore_n(s->out[r] + at, vload(from), lanes);
        }
}

static void lstm_project(const call *k, step_rows *rows) {
    int64_t nv = k->Rp / VL;
    for (int64_t i = 0; i < rows->n; i++) {
        rows->a[i] = as_operand(rows->extra[i]);
        rows->init[i] = k->zeros;
    }
    round_kept_rows(k, rows, rows->n, k->p->H, 1);
    rows->s_panel = rows->n <= MAX_FEW ? PANEL : 0;
    product m = {.n = rows->n,
                 .K = words(k->p->H),
                 .a = rows->a,
                 .b = k->whr,
                 .nv = nv,
                 .V = FL_PANEL,
                 .p0 = 0,
                 .p1 = (nv + FL_PANEL - 1) / FL_PANEL,
                 .cin = rows->init,
                 .cin_panel = 0,
                 .c = rows->s,
                 .c_panel = rows->s_panel};
    product_run(&m, write_projected, rows);
}

#define LSTM_FORWARD(NAME, OTHERS)                                                                 \
    FL_INLINE void NAME##_finish(void *ctx, int64_t row, int64_t R, int64_t j) {                   \
        lstm_finish_with(OTHERS, ctx, row, R, j);                                                  \
    }                                                                                              \
    static void NAME##_step(const call *k, const share *w, step_rows *rows, int64_t step) {        \
        product m = lstm_product(k, w, rows, step);                                                \
        gate_product_run(k, &m, NAME##_finish, rows);                                              \
        if (k->whr) lstm_project(k, rows);                                                         \
    }
LSTM_FORWARD(lstm, 0)
#if FL_WORD == 1
LSTM_FORWARD(lstm_others, 1)
#endif

#if FL_BACKWARD
FL_INLINE vreal lstm_load_cell(const kept_real *from) {
    vreal c = load_kept(from);
    return KEPT_ROUNDED ? vselect(vmagnitude(c) < (real)FL_NO_CELL, (vreal){0}, c) : c;
}

/* o of block j. */
FL_INLINE vreal lstm_find_o(const call *k, int64_t row, int64_t step, int64_t j, vreal kept,
                            vreal t) {
    int64_t lanes = min64(VL, k->p->H - j * VL);
    vreal h = k->p->weights.w_hr ? load_kept(extra_row(k, row, step) + j * VL)
                                 : vload_n(output_row(k, row, step) + j * VL, lanes);
    vreal small = from_nearer(kept * (real)(2 / FL_NO_CELL));
    return vselect(vmagnitude(kept) < (real)FL_NO_CELL, small, vclamp(h / t, 0, 1));
}

/* The gates of block j. */
FL_INLINE lstm_gates lstm_load(const int peephole, const call *k, int64_t row, int64_t step,
                               int64_t j, vreal t) {
    const kept_real *from = gates_row(k, row, step) + j * LSTM_GATES * VL, *o = from + 3 * VL;
    lstm_gates a = {
        .i = load_sigmoid(from), .f = load_sigmoid(from + VL), .g = load_kept(from + 2 * VL)};
    a.o =
        !KEPT_ROUNDED || peephole ? load_sigmoid(o) : lstm_find_o(k, row, step, j, load_kept(o), t);
    return a;
}

FL_INLINE void lstm_gates_inside(const int peephole, const call *k, int64_t row, int64_t step,
                                 int64_t j, vreal *gates) {
    kept_cells c = cells_after(k, row, step);
    lstm_gates a = lstm_load(peephole, k, row, step, j, vtanh(lstm_load_cell(c.at + j * c.step)));
    gates[0] = a.i, gates[1] = a.f, gates[2] = a.g, gates[3] = a.o;
}

static void lstm_inside(const call *k, int64_t row, int64_t step, int64_t j, vreal *gates) {
    lstm_gates_inside(0, k, row, step, j, gates);
}

FL_INLINE void lstm_store(kept_real *to, const lstm_gates *d) {
    store_kept(to, d->i);
    store_kept(to + VL, d->f);
    store_kept(to + 2 * VL, d->g);
    store_kept(to + 3 * VL, d->o);
}

/* From dh' and dc' to the gradients before the activations; returns dc. p: NULL or what i, f and o
 * see the cell with (peephole_lstm.h). */
FL_INLINE vreal lstm_cell_backward(const int others, const call *k, const lstm_gates *a, vreal c,
                                   vreal t, vreal dh, vreal dc, const real *p, lstm_gates *d) {
    if (others)
        dc += other_backward(&k->p->state_activation, t, dh * a->o);
    else
        dc = vfma(dh * a->o, vfma(-t, t, vset1(1)), dc);
    d->o = gate_backward(others, k, a->o, dh * t);
    if (p) dc = vfma(d->o, vload(p + 2 * VL), dc);
    d->i = gate_backward(others, k, a->i, dc * a->g);
    d->g = value_backward(others, k, a->g, dc * a->i);
    d->f = gate_backward(others, k, a->f, dc * c);
    dc = dc * a->f;
    return p ? vfma(d->i, vload(p), vfma(d->f, vload(p + VL), dc)) : dc;
}

/* Gates of a row at a step into their gradients, units j0..j1-1; k->dc becomes that of the step
 * before. dy is NULL or [H]. */
FL_INLINE void lstm_row_backward(const int others, const int peephole, const call *k, int64_t row,
                                 int64_t step, int64_t j0, int64_t j1, const real *dh,
                                 const real *dy) {
    kept_cells before = cells_before(k, row, step), after = cells_after(k, row, step);
    kept_real *gates = gates_row(k, row, step);
    real *dc = k->dc + row * k->Hp;
    for (int64_t j = j0; j < j1; j++) {
        kept_real *block = gates + j * LSTM_GATES * VL;
        int64_t u = j * VL;
        vreal t = state_of(others, k, lstm_load_cell(after.at + j * after.step));
        lstm_gates a = lstm_load(peephole, k, row, step, j, t), d;
        vreal dhj = vload(dh + u);
        if (dy) dhj += vload_n(dy + u, min64(VL, k->p->H - u));
        const real *p = peephole ? k->params + j * PEEPHOLES * VL : NULL;
        vreal c = lstm_load_cell(before.at + j * before.step);
        vreal dcj = lstm_cell_backward(others, k, &a, c, t, dhj, vload(dc + u), p, &d);
        vstore(dc + u, dcj);
        lstm_store(block, &d);
    }
}

/* Gradients of the projected outputs, dy added, back to those of o tanh(c). */
static void lstm_project_backward(const call *k, step_rows *rows, int64_t step) {
    for (int64_t i = 0; i < rows->n; i++) {
        int64_t row = rows->row[i];
        const real *dh = k->dh + row * k->Rp, *dy = dy_row(k, row, step);
        kept_real *sum = k->dproj + packed_row(k, row, step) * k->Rp;
        for (int64_t u = 0; u < k->Rp; u += VL) {
            vreal s = vload(dh + u);
            if (dy) s += vload_n(dy + u, min64(VL, k->p->R - u));
            store_kept(sum + u, s);
        }
        rows->a[i] = as_operand(sum);
        rows->init[i] = k->zeros;
        rows->s[i] = own_extra(k, rows) + i * k->Hp;
    }
    round_kept_rows(k, rows, rows->n, k->Rp, 0);
    product m =
        column_product(rows->n, k->Rp, rows->a, k->whrt, k->Hp / VL, rows->init, 0, rows->s);
    product_only(&m);
}

FL_INLINE void lstm_step_backward_with(const int others, const call *k, const share *w,
                                       step_rows *rows, int64_t step, fl_team *team) {
    if (k->dproj) lstm_project_backward(k, rows, step);
    for (int64_t i = 0; i < rows->n; i++) {
        int64_t row = rows->row[i];
        real *dh = k->dh + row * k->Rp;
        if (k->dproj)
            lstm_row_backward(others, 0, k, row, step, w->j0, w->j1, rows->s[i], NULL);
        else
            lstm_row_backward(others, 0, k, row, step, w->j0, w->j1, dh, dy_row(k, row, step));
        prefetch_gates(k, w, rows, i, step);
    }
    hidden_product(k, w, rows, step, 0, team);
}

#define LSTM_BACKWARD(NAME, OTHERS)                                                                \
    static void NAME##_step_backward(const call *k, const share *w, step_rows *rows, int64_t step, \
                                     fl_team *team) {                                              \
        lstm_step_backward_with(OTHERS, k, w, rows, step, team);                                   \
    }
LSTM_BACKWARD(lstm, 0)
#if FL_WORD == 1
LSTM_BACKWARD(lstm_others, 1)
#endif
#endif

static const cell LSTM = {
    .name = "lstm",
    .gates = LSTM_GATES,
    .panel = LSTM_GATES,
    .c = 1,
    .c_gate = KEPT_ROUNDED ? LSTM_GATES : 0,
    .step = lstm_step,
    FL_ONLY_BACKWARD(.step_backward = lstm_step_backward, .inside = lstm_inside)};

#if FL_WORD == 1
static const cell LSTM_OTHERS = {.name = "lstm",
                                 .gates = LSTM_GATES,
                                 .panel = LSTM_GATES,
                                 .c = 1,
                                 .unbounded = 1,
                                 .step = lstm_others_step,
                                 .step_backward = lstm_others_step_backward,
                                 .inside = lstm_inside};
#endif

#endif
