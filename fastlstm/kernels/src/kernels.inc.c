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
#include "lstm_forward.h"
#include "lstm_backward.h"
#include "adam.h"
#include "pool.h"

static void pack(int64_t I, int64_t H, const fl_weights *weights, void *packed) {
    lstm_pack(I, H, weights, packed, 0, unit_blocks(H));
}

static int64_t gates_size(int64_t H) { return unit_blocks(H) * PANEL; }
static int64_t cells_size(int64_t H) { return unit_blocks(H) * VL; }

#define ELEMENTWISE(NAME, EXPRESSION)                                                              \
    static void NAME(int64_t n, const void *x, void *y) {                                          \
        for (int64_t i = 0; i < n; i += VL) {                                                      \
            int64_t lanes = min64(VL, n - i);                                                      \
            vreal v = vload_n((const real *)x + i, lanes);                                         \
            vstore_n((real *)y + i, EXPRESSION, lanes);                                            \
        }                                                                                          \
    }
ELEMENTWISE(elementwise_exp, vexp(vclamp(v, FL_SATURATION)))
ELEMENTWISE(elementwise_sigmoid, vsigmoid(v))
ELEMENTWISE(elementwise_tanh, vtanh(v))

extern const fl_kernels FL_TABLE;
const fl_kernels FL_TABLE = {
    .isa = FL_ISA,
    .itemsize = sizeof(real),
    .width = VL,
    .packed_size = lstm_packed_size,
    .pack = pack,
    .gates_size = gates_size,
    .cells_size = cells_size,
    .lstm_forward = lstm_forward,
    .lstm_backward = lstm_backward,
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
