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
#include "cells.h"
#include "plan.h"
#if FL_WORD == 1
#include "adam.h"
#include "pool.h"
#include "softmax.h"
#endif
#if !FL_F64
#include "matmul.h"
#endif

static const char *cell_name(int number) {
    return number < (int)(sizeof CELLS / sizeof *CELLS) ? CELLS[number]->name : NULL;
}

#if FL_WORD == 1
static const cell *cell_of(const fl_call *p) { return (p->others ? OTHERS : CELLS)[p->cell]; }
#else
static const cell *cell_of(const fl_call *p) { return CELLS[p->cell]; }
#endif

static int64_t packed_size(const fl_call *p) {
    call k = call_of(cell_of(p), p, NULL);
    return place_weights(&k, NULL);
}

static void pack(const fl_call *p, void *packed) {
    call k = call_of(cell_of(p), p, NULL);
    place_weights(&k, packed);
    pack_forward(&k, 0, k.Hp / VL, 0, k.Rp / VL);
}

static void kept(const fl_call *p, int64_t bytes[3]) {
    call k = call_of(cell_of(p), p, NULL);
    plan_kept(&k, bytes);
}

#if FL_BACKWARD
static int64_t packed_back_size(const fl_call *p, int dx) {
    call k = call_of(CELLS[p->cell], p, NULL);
    return stay_unpacked(&k) ? 0 : place_columns(&k, dx, NULL);
}

static void pack_back(const fl_call *p, int dx, void *packed) {
    call k = call_of(CELLS[p->cell], p, NULL);
    place_columns(&k, dx, packed);
    pack_backward(&k, dx, 0, k.Hp / VL, 0, k.Rp / VL);
}

/* A row of a step: gates as their blocks stand, cells. */
static void row_inside(const call *k, int64_t row, int64_t step, real *gates, real *cells) {
    vreal of[FL_PANEL];
    for (int64_t j = 0; j < k->Hp / VL; j++) {
        k->cell->inside(k, row, step, j, of);
        for (int64_t g = 0; g < k->G; g++) vstore(gates + (j * k->G + g) * VL, of[g]);
        if (!k->cell->c) continue;
        kept_cells c = cells_after(k, row, step);
        vstore(cells + j * VL, lstm_load_cell(c.at + j * c.step));
    }
}

static void inside(const fl_call *p, void *gates, void *cells) {
    call k = call_of(cell_of(p), p, NULL);
    k.full = 1, k.last = p->rows.T;
    k.gates = p->gates, k.cells = p->cells, k.extra = p->extra;
    real *g = gates, *c = cells;
    for (int64_t s = 0; s < p->rows.T; s++)
        for (int64_t r = 0; r < p->rows.n_at[s]; r++, g += k.GHp, c += k.Hp)
            row_inside(&k, r, s, g, c);
}
#endif

/* Backward makes twice the products of forward. */
static void divide(call *k) {
    set_threads(k, k->g ? 4 : 2);
    if (!k->g) set_pieces(k);
}

static int64_t bytes_of(const pass_memory *b) {
    return (int64_t)(fl_block_bytes((size_t)b->work_size * sizeof(real)) +
                     fl_block_bytes((size_t)b->weights_size * sizeof(real)));
}

static int64_t forward_bytes(const fl_call *p) {
    call k = call_of(cell_of(p), p, NULL);
    pass_memory b = {0};
    divide(&k);
    plan_forward(&k, &b);
    return bytes_of(&b);
}

#if FL_BACKWARD
static int64_t backward_bytes(const fl_call *p) {
    fl_grads none = {0};
    call k = call_of(cell_of(p), p, &none);
    pass_memory b = {0};
    divide(&k);
    plan_backward(&k, 1, &b);
    return bytes_of(&b);
}
#endif

/* Takes the memory that was planned; returns 0, or -1 if it ran out. */
static int take_blocks(pass_memory *b) {
    b->work = fl_alloc((size_t)b->work_size * sizeof(real));
    if (b->weights_size) b->weights = fl_alloc((size_t)b->weights_size * sizeof(real));
    if (b->work && (b->weights || !b->weights_size)) return 0;
    fl_free(b->work);
    fl_free(b->weights);
    return -1;
}

/* Everything is planned: runs the pass and gives its memory back. */
static int run(call *k, fl_body body, const pass_memory *b) {
    stopping stop = stopping_of(k->p->stop, 2 * k->GHp * (k->p->in.I + k->p->R));
    k->stop = &stop;
    memset((real *)k->zeros, 0, (size_t)max64(k->GHp, PANEL) * sizeof(real));
    if (k->pieces)
        fl_share(k->threads, k->pieces, step_piece, k);
    else
        fl_run(k->threads, k->patience, body, k);
    fl_free(b->work);
    fl_free(b->weights);
    return was_stopped(&stop) ? FL_STOPPED : 0;
}

static int forward(const fl_call *p) {
    call k = call_of(cell_of(p), p, NULL);
    pass_memory b = {0};
    divide(&k);
    plan_forward(&k, &b);
    if (take_blocks(&b)) return -1;
    plan_forward(&k, &b);
    return run(&k, forward_body, &b);
}

#if FL_BACKWARD
static int backward(const fl_call *p, const fl_grads *g) {
    call k = call_of(cell_of(p), p, g);
    pass_memory b = {0};
    divide(&k);
    int dx = g->dx != NULL;
    plan_backward(&k, dx, &b);
    if (take_blocks(&b)) return -1;
    plan_backward(&k, dx, &b);
    return run(&k, backward_body, &b);
}
#endif

#if FL_WORD == 1
#include "chain.h" /* which runs forward */
#endif

#define ELEMENTWISE(NAME, EXPRESSION)                                                              \
    static void NAME(int64_t n, const void *x, void *y) {                                          \
        for (int64_t i = 0; i < n; i += VL) {                                                      \
            int64_t lanes = min64(VL, n - i);                                                      \
            vreal v = vload_n((const real *)x + i, lanes);                                         \
            vstore_n((real *)y + i, EXPRESSION, lanes);                                            \
        }                                                                                          \
    }
#if FL_WORD == 1
ELEMENTWISE(elementwise_exp, vexp_neg(vclamp(-v, FL_LEAST, FL_MOST), 1))
#endif
ELEMENTWISE(elementwise_sigmoid, vsigmoid(v))
ELEMENTWISE(elementwise_tanh, vtanh(v))

extern const fl_kernels FL_TABLE;
const fl_kernels FL_TABLE = {
    .isa = FL_ISA,
    .itemsize = sizeof(real),
    .width = VL,
    .cell_name = cell_name,
    .packed_size = packed_size,
    .pack = pack,
    .kept = kept,
    .forward_bytes = forward_bytes,
    .forward = forward,
#if FL_BACKWARD
    .packed_back_size = packed_back_size,
    .pack_back = pack_back,
    .backward_bytes = backward_bytes,
    .backward = backward,
    .inside = inside,
#endif
#if FL_WORD == 1
    .pool_forward = pool_forward,
    .pool_backward = pool_backward,
    .adam = adam,
    .softmax_cross_entropy = softmax_cross_entropy,
    .exp = elementwise_exp,
    .chain_size = chain_size,
    .pack_chain = pack_chain,
    .chain = run_chain,
#endif
#if !FL_F64
    .matrix_size = matmul_size,
    .pack_matrix = pack_matmul,
    .matmul = run_matmul,
#endif
    .sigmoid = elementwise_sigmoid,
    .tanh = elementwise_tanh,
};

#if defined(FL_TARGET) && defined(__clang__)
#pragma clang attribute pop
#endif
