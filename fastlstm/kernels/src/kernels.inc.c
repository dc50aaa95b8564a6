/* All kernels for one instruction set and precision. An isa_*.c file sets FL_TABLE, FL_ISA,
 * FL_REAL, FL_F64, FL_BYTES and perhaps FL_TARGET, what the compiler may use, and includes this. */
#ifdef FL_TARGET
#define FL_PRAGMA_(TEXT) _Pragma(#TEXT)
#define FL_PRAGMA(...) FL_PRAGMA_(__VA_ARGS__)
#ifdef __clang__
FL_PRAGMA(clang attribute push(__attribute__((target(FL_TARGET))), apply_to = function))
#else
FL_PRAGMA(GCC target(FL_TARGET))
#endif
#endif
#include "fastlstm.h"
#include "lstm.h"
#include "gru.h"
#include "gru_reset_before.h"
#include "rnn.h"
#include "adam.h"
#include "pool.h"

static int64_t packed_size(const cell *c, const fl_call *p) {
    call k = call_of(c, p, NULL);
    return place_weights(c, &k, NULL);
}

static void pack(const cell *c, const fl_call *p, real *packed) {
    call k = call_of(c, p, NULL);
    place_weights(c, &k, packed);
    pack_forward(c, &k, 0, k.Hp / VL, 0, k.Rp / VL);
}

static void kept(const cell *c, const fl_call *p, int64_t elements[3]) {
    int64_t N = p->rows.N, T = p->rows.T, P = p->rows.offset[T], Hp = round_up(p->H);
    int64_t segments = p->recompute ? (T + p->recompute - 1) / p->recompute : 0;
    elements[0] = p->recompute ? 0 : P * c->gates * Hp;
    elements[1] = !c->c ? 0 : p->recompute ? segments * N * Hp : (N + P) * Hp;
    elements[2] = !p->recompute && keeps_extra(c, p) ? P * Hp : 0;
}

/* A cell's entries to the engine, which all cells share; its steps are its own. */
#define CELL(NAME, ROW)                                                                            \
    static int64_t NAME##_packed_size(const fl_call *p) { return packed_size(&ROW, p); }           \
    static void NAME##_pack(const fl_call *p, void *packed) { pack(&ROW, p, packed); }             \
    static void NAME##_kept(const fl_call *p, int64_t elements[3]) { kept(&ROW, p, elements); }    \
    static int64_t NAME##_forward_bytes(const fl_call *p) { return forward_bytes(&ROW, p); }       \
    static int64_t NAME##_backward_bytes(const fl_call *p) { return backward_bytes(&ROW, p); }     \
    static void NAME##_forward_body(void *ctx, int thread, int threads, fl_team *team) {           \
        forward_body(&ROW, ctx, thread, threads, team);                                            \
    }                                                                                              \
    static void NAME##_backward_body(void *ctx, int thread, int threads, fl_team *team) {          \
        backward_body(&ROW, ctx, thread, threads, team);                                           \
    }                                                                                              \
    static void NAME##_step_piece(void *ctx, int piece, int pieces) {                              \
        step_piece(&ROW, ctx, piece, pieces);                                                      \
    }                                                                                              \
    static int NAME##_forward(const fl_call *p) {                                                  \
        return run_forward(&ROW, p, NAME##_forward_body, NAME##_step_piece);                       \
    }                                                                                              \
    static int NAME##_backward(const fl_call *p, const fl_grads *g) {                              \
        return run_backward(&ROW, p, g, NAME##_backward_body);                                     \
    }                                                                                              \
    static const fl_cell NAME##_kernels = {                                                        \
        #NAME,          NAME##_packed_size,   NAME##_pack,                                         \
        NAME##_kept,    NAME##_forward_bytes, NAME##_backward_bytes,                               \
        NAME##_forward, NAME##_backward};
CELL(lstm, LSTM)
CELL(gru, GRU)
CELL(gru_reset_before, GRU_RESET_BEFORE)
CELL(rnn_tanh, RNN_TANH)
CELL(rnn_relu, RNN_RELU)

#define ELEMENTWISE(NAME, EXPRESSION)                                                              \
    static void NAME(int64_t n, const void *x, void *y) {                                          \
        for (int64_t i = 0; i < n; i += VL) {                                                      \
            int64_t lanes = min64(VL, n - i);                                                      \
            vreal v = vload_n((const real *)x + i, lanes);                                         \
            vstore_n((real *)y + i, EXPRESSION, lanes);                                            \
        }                                                                                          \
    }
ELEMENTWISE(elementwise_exp, vexp_neg(vclamp(-v, FL_LEAST, FL_MOST), 1))
ELEMENTWISE(elementwise_sigmoid, vsigmoid(v))
ELEMENTWISE(elementwise_tanh, vtanh(v))

extern const fl_kernels FL_TABLE;
const fl_kernels FL_TABLE = {
    .isa = FL_ISA,
    .itemsize = sizeof(real),
    .width = VL,
    .cells = {&lstm_kernels, &gru_kernels, &gru_reset_before_kernels, &rnn_tanh_kernels,
              &rnn_relu_kernels},
    .pool_forward = pool_forward,
    .pool_backward = pool_backward,
    .adam = adam,
    .exp = elementwise_exp,
    .sigmoid = elementwise_sigmoid,
    .tanh = elementwise_tanh,
};

#if defined(FL_TARGET) && defined(__clang__)
#pragma clang attribute pop
#endif
