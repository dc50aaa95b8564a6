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

/* In the order of their numbers. */
static const cell *const CELLS[FL_CELLS] = {&LSTM, &GRU, &GRU_RESET_BEFORE, &RNN_TANH, &RNN_RELU};
static const char *const CELL_NAMES[FL_CELLS] = {"lstm", "gru", "gru_reset_before", "rnn_tanh",
                                                 "rnn_relu"};

static call begin(const fl_call *p, const fl_grads *g) { return call_of(CELLS[p->cell], p, g); }

static int64_t packed_size(const fl_call *p) {
    call k = begin(p, NULL);
    return place_weights(&k, NULL);
}

static void pack(const fl_call *p, void *packed) {
    call k = begin(p, NULL);
    place_weights(&k, packed);
    pack_forward(&k, 0, k.Hp / VL, 0, k.Rp / VL);
}

static void kept(const fl_call *p, int64_t elements[3]) {
    call k = begin(p, NULL);
    int64_t N = p->rows.N, T = p->rows.T, P = p->rows.offset[T];
    int64_t segments = p->recompute ? (T + p->recompute - 1) / p->recompute : 0;
    elements[0] = p->recompute ? 0 : P * k.GHp;
    elements[1] = !k.cell->c ? 0 : p->recompute ? segments * N * k.Hp : (N + P) * k.Hp;
    elements[2] = !p->recompute && keeps_extra(&k) ? P * k.Hp : 0;
}

static int64_t bytes_forward(const fl_call *p) {
    call k = begin(p, NULL);
    return forward_bytes(&k);
}

static int64_t bytes_backward(const fl_call *p) {
    fl_grads none = {0};
    call k = begin(p, &none);
    return backward_bytes(&k);
}

static int forward(const fl_call *p) {
    call k = begin(p, NULL);
    return run_forward(&k);
}

static int backward(const fl_call *p, const fl_grads *g) {
    call k = begin(p, g);
    return run_backward(&k);
}

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
    .cells = CELL_NAMES,
    .packed_size = packed_size,
    .pack = pack,
    .kept = kept,
    .forward_bytes = bytes_forward,
    .backward_bytes = bytes_backward,
    .forward = forward,
    .backward = backward,
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
