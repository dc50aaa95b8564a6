/* Plain recurrent net (Elman 1990), with tanh, relu or another; forward above backward.
 *
 *     h' = tanh, relu ... of W_ih x + b_ih + W_hh h + b_hh
 *
 * Four unit blocks make a panel, so that its products fill as many registers as an LSTM's.
 */
#ifndef FL_RNN_H
#define FL_RNN_H

#include "forward.h"
#include "others.h"
#if FL_BACKWARD
#include "backward.h"
#endif

/* Which activation; a constant where it is inlined. */
enum { RNN_IS_TANH, RNN_IS_RELU, RNN_IS_OTHER };

/* Activations of rows of a panel whose products are complete. */
FL_INLINE void rnn_finish(const int which, const step_rows *s, int64_t row, int64_t R, int64_t p) {
    for (int64_t r = row; r < row + R; r++) {
        for (int64_t at = p * PANEL; at < min64(s->call->Hp, (p + 1) * PANEL); at += VL) {
            vreal z = vload(s->z[r] + at);
            vreal h = which == RNN_IS_RELU ? vrelu(z) : value_of(which == RNN_IS_OTHER, s->call, z);
            vstore_n(s->out[r] + at, h, min64(VL, s->call->p->H - at));
            if (s->call->full) store_kept(s->gates[r] + at, h);
        }
        if (s->call->full) prefetch_kept_written(s->gates[r] + (p + 1) * PANEL, PANEL);
    }
}

#define RNN_FORWARD(NAME, WHICH)                                                                   \
    FL_INLINE void NAME##_finish(void *ctx, int64_t row, int64_t R, int64_t p) {                   \
        rnn_finish(WHICH, ctx, row, R, p);                                                         \
    }                                                                                              \
    static void NAME##_step(const call *k, const share *w, step_rows *rows, int64_t step) {        \
        product m = gate_product(k, rows, rows->n, k->p->R, k->wh, w->j0, w->j1);                  \
        m.down = step & 1;                                                                         \
        gate_product_run(k, &m, NAME##_finish, rows);                                              \
    }
RNN_FORWARD(rnn_tanh, RNN_IS_TANH)
RNN_FORWARD(rnn_relu, RNN_IS_RELU)
#if FL_WORD == 1
RNN_FORWARD(rnn_others, RNN_IS_OTHER)
#endif

#if FL_BACKWARD
/* Outputs of a row at a step into gradients before the activation. */
FL_INLINE void rnn_row_backward(const int which, const call *k, int64_t row, int64_t step,
                                int64_t j0, int64_t j1) {
    const real *dh = k->dh + row * k->Rp, *dy = dy_row(k, row, step);
    kept_real *z = gates_row(k, row, step);
    for (int64_t u = j0 * VL; u < j1 * VL; u += VL) {
        vreal h = load_kept(z + u), d = vload(dh + u);
        if (dy) d += vload_n(dy + u, min64(VL, k->p->H - u));
        if (which == RNN_IS_RELU)
            store_kept(z + u, vrelu_backward(h, d));
        else
            store_kept(z + u, value_backward(which == RNN_IS_OTHER, k, h, d));
    }
}

static void rnn_inside(const call *k, int64_t row, int64_t step, int64_t j, vreal *gates) {
    gates[0] = load_kept(gates_row(k, row, step) + j * VL);
}

FL_INLINE void rnn_step_backward(const int which, const call *k, const share *w, step_rows *rows,
                                 int64_t step, fl_team *team) {
    for (int64_t i = 0; i < rows->n; i++) {
        int64_t row = rows->row[i];
        rnn_row_backward(which, k, row, step, w->j0, w->j1);
        prefetch_gates(k, w, rows, i, step);
    }
    hidden_product(k, w, rows, step, 0, team);
}

#define RNN_BACKWARD(NAME, WHICH)                                                                  \
    static void NAME##_step_backward(const call *k, const share *w, step_rows *rows, int64_t step, \
                                     fl_team *team) {                                              \
        rnn_step_backward(WHICH, k, w, rows, step, team);                                          \
    }
RNN_BACKWARD(rnn_tanh, RNN_IS_TANH)
RNN_BACKWARD(rnn_relu, RNN_IS_RELU)
#if FL_WORD == 1
RNN_BACKWARD(rnn_others, RNN_IS_OTHER)
#endif
#endif

static const cell RNN_TANH = {
    .name = "rnn_tanh",
    .gates = 1,
    .panel = FL_PANEL,
    .step = rnn_tanh_step,
    FL_ONLY_BACKWARD(.step_backward = rnn_tanh_step_backward, .inside = rnn_inside)};
static const cell RNN_RELU = {
    .name = "rnn_relu",
    .gates = 1,
    .panel = FL_PANEL,
    .unbounded = 1,
    .step = rnn_relu_step,
    FL_ONLY_BACKWARD(.step_backward = rnn_relu_step_backward, .inside = rnn_inside)};

#if FL_WORD == 1
static const cell RNN_OTHERS = {.name = "rnn_tanh",
                                .gates = 1,
                                .panel = FL_PANEL,
                                .unbounded = 1,
                                .step = rnn_others_step,
                                .step_backward = rnn_others_step_backward,
                                .inside = rnn_inside};
#define RNN_TANH_OTHERS RNN_OTHERS
#define RNN_RELU_OTHERS RNN_OTHERS
#endif

#endif
