/* LSTM whose gates see the cell; forward above backward.
 *
 *     i = sigmoid(z_i + p_i c)      f = sigmoid(z_f + p_f c)      g = tanh(z_g)
 *     c' = f c + i g      o = sigmoid(z_o + p_o c')      h' = o tanh(c')
 *
 * with a parameter for each unit and gate (Gers & Schmidhuber 2000; as in ONNX), in the order p_i,
 * p_f, p_o. Backward through the gates is that of lstm.h.
 */
#ifndef FL_PEEPHOLE_LSTM_H
#define FL_PEEPHOLE_LSTM_H

#include "lstm.h"

/* Gate maths on rows of a unit block whose products are complete. o and tanh(c') have to wait for
 * c': all rows' cells go first, so that no row waits alone. */
FL_INLINE void peephole_finish_with(const int others, const step_rows *s, int64_t row, int64_t R,
                                    int64_t j) {
    int64_t lanes = min64(VL, s->call->p->H - j * VL);
    const real *params = s->call->params + j * PEEPHOLES * VL;
    vreal p_i = vload(params), p_f = vload(params + VL), p_o = vload(params + 2 * VL);
    vreal next[MAX_ROWS];
    for (int64_t r = row; r < row + R; r++) {
        const real *z = lstm_products(s, r, j);
        vreal c = vload(s->c_in[r] + j * VL);
        vreal i = vfma(p_i, c, vload(z)), g = vload(z + 2 * VL);
        vreal f = gate_of(others, s->call, vfma(p_f, c, vload(z + VL)));
        gate_and_value_of(others, s->call, &i, &g);
        next[r - row] = vfma(f, c, i * g);
        store_cell(s, r, j * VL, next[r - row]);
        if (!s->call->full) continue;
        kept_real *gates = s->gates[r] + j * LSTM_GATES * VL;
        store_sigmoid(gates, i);
        store_sigmoid(gates + VL, f);
        store_kept(gates + 2 * VL, g);
        prefetch_kept_written(gates + LSTM_GATES * VL, LSTM_GATES * VL);
    }
    for (int64_t r = row; r < row + R; r++) {
        const real *z = lstm_products(s, r, j);
        vreal o = vfma(p_o, next[r - row], vload(z + 3 * VL)), t = next[r - row];
        gate_and_state_of(others, s->call, &o, &t);
        vstore_n(s->out[r] + j * VL, o * t, lanes);
        if (s->call->full) store_sigmoid(s->gates[r] + (j * LSTM_GATES + 3) * VL, o);
    }
}

#define PEEPHOLE_FORWARD(NAME, OTHERS)                                                             \
    FL_INLINE void NAME##_finish(void *ctx, int64_t row, int64_t R, int64_t j) {                   \
        peephole_finish_with(OTHERS, ctx, row, R, j);                                              \
    }                                                                                              \
    static void NAME##_step(const call *k, const share *w, step_rows *rows, int64_t step) {        \
        product m = lstm_product(k, w, rows, step);                                                \
        gate_product_run(k, &m, NAME##_finish, rows);                                              \
    }
PEEPHOLE_FORWARD(peephole, 0)
#if FL_WORD == 1
PEEPHOLE_FORWARD(peephole_others, 1)
#endif

#if FL_BACKWARD
FL_INLINE void peephole_step_backward_with(const int others, const call *k, const share *w,
                                           step_rows *rows, int64_t step, fl_team *team) {
    for (int64_t i = 0; i < rows->n; i++) {
        int64_t row = rows->row[i];
        lstm_row_backward(others, 1, k, row, step, w->j0, w->j1, k->dh + row * k->Rp,
                          dy_row(k, row, step));
        prefetch_gates(k, w, rows, i, step);
    }
    hidden_product(k, w, rows, step, 0, team);
}

#define PEEPHOLE_BACKWARD(NAME, OTHERS)                                                            \
    static void NAME##_step_backward(const call *k, const share *w, step_rows *rows, int64_t step, \
                                     fl_team *team) {                                              \
        peephole_step_backward_with(OTHERS, k, w, rows, step, team);                               \
    }
PEEPHOLE_BACKWARD(peephole, 0)
#if FL_WORD == 1
PEEPHOLE_BACKWARD(peephole_others, 1)
#endif

static void peephole_inside(const call *k, int64_t row, int64_t step, int64_t j, vreal *gates) {
    lstm_gates_inside(1, k, row, step, j, gates);
}

static void peephole_params_backward(const call *k, int64_t row, int64_t step, int64_t j0,
                                     int64_t j1, real *sums) {
    const kept_real *c = kept_before(k, row, step), *next = kept_after(k, row, step);
    const kept_real *gates = gates_row(k, row, step);
    for (int64_t j = j0; j < j1; j++) {
        const kept_real *d = gates + j * LSTM_GATES * VL;
        real *sum = sums + j * PEEPHOLES * VL;
        vreal before = load_kept(c + j * VL), after = load_kept(next + j * VL);
        vstore(sum, vfma(load_kept(d), before, vload(sum)));
        vstore(sum + VL, vfma(load_kept(d + VL), before, vload(sum + VL)));
        vstore(sum + 2 * VL, vfma(load_kept(d + 3 * VL), after, vload(sum + 2 * VL)));
    }
}

#endif

static const cell PEEPHOLE_LSTM = {.name = "peephole_lstm",
                                   .gates = LSTM_GATES,
                                   .panel = LSTM_GATES,
                                   .c = 1,
                                   .params = PEEPHOLES,
                                   .step = peephole_step,
                                   FL_ONLY_BACKWARD(.step_backward = peephole_step_backward,
                                                    .params_backward = peephole_params_backward,
                                                    .inside = peephole_inside)};

#if FL_WORD == 1
static const cell PEEPHOLE_LSTM_OTHERS = {.name = "peephole_lstm",
                                          .gates = LSTM_GATES,
                                          .panel = LSTM_GATES,
                                          .c = 1,
                                          .params = PEEPHOLES,
                                          .unbounded = 1,
                                          .step = peephole_others_step,
                                          .step_backward = peephole_others_step_backward,
                                          .params_backward = peephole_params_backward,
                                          .inside = peephole_inside};
#endif

#endif
