/* LSTM over a ragged batch: what the passes forward and backward share. */
#ifndef FL_LSTM_CALL_H
#define FL_LSTM_CALL_H

#include "lstm_gates.h"
#include "rows.h"

/* What a call's threads share. */
typedef struct {
    const fl_lstm *p;
    const fl_lstm_grads *g; /* NULL in forward */
    int64_t GHp, Hp;        /* rows of gates and cells */
    int by_units, threads;
    const real *wx, *wh, *bias; /* forward: packed weights in gate order */
    const real *wxt, *wht;      /* backward: packed in column order */
    const real *zeros;          /* backward: where its products start from */
    real *gates;                /* forward: [P or rows of a chunk, 4Hp]; backward [P,4Hp] */
    real *cells;                /* forward: [N+P or N, Hp] */
    real *table;                /* [U,4Hp] products of the table's rows, or their gradients */
    real *dh, *dc;              /* backward [N,Hd], [N,Hp] */
    int64_t chunk;              /* steps whose input products are made together */
    real *scratch;              /* each thread's own */
    int64_t scratch_size;
} lstm_call;

/* A step's rows of one thread, as the products and the gate maths want them. */
typedef struct {
    const lstm_call *call;
    int64_t n, step;
    const real **a; /* h before the step, or the input */
    real **z;       /* gates */
    real **c_in, **c_out, **out;
    const real **init;
} step_rows;

FL_INLINE real *gates_row(const lstm_call *k, int64_t row, int64_t step, int64_t chunk_start) {
    const fl_rows *b = &k->p->rows;
    /* In a chunk's buffer a row keeps its place: threads that are chunks apart must not meet. */
    int64_t at = k->p->gates ? b->offset[step] : (step - chunk_start) * b->N;
    return k->gates + (at + row) * k->GHp;
}

FL_INLINE real *cell_row(const lstm_call *k, int64_t row, int64_t step) { /* after the step */
    const fl_rows *b = &k->p->rows;
    if (!k->p->cells || step < 0) return k->cells + row * k->Hp;
    return k->cells + (b->N + b->offset[step] + row) * k->Hp;
}

FL_INLINE real *output_row(const lstm_call *k, int64_t row, int64_t step) {
    return (real *)k->p->y + place(&k->p->rows, row, step, k->p->y_t, k->p->y_n);
}

FL_INLINE const real *hidden_row(const lstm_call *k, int64_t row, int64_t step) {
    if (step < 0) return (const real *)k->p->h0 + k->p->rows.order[row] * k->p->H;
    return output_row(k, row, step);
}

FL_INLINE int64_t pointers_size(int64_t n) { /* elements for the 6 arrays of step_rows */
    return (n + 1) * 6 * (int64_t)(sizeof(void *) / sizeof(real) + (sizeof(void *) < sizeof(real)));
}

FL_INLINE step_rows step_rows_in(const lstm_call *k, real *scratch, int64_t n) {
    void **at = (void **)(void *)scratch;
    return (step_rows){.call = k,
                       .a = (const real **)at,
                       .z = (real **)(at + n),
                       .c_in = (real **)(at + 2 * n),
                       .c_out = (real **)(at + 3 * n),
                       .out = (real **)(at + 4 * n),
                       .init = (const real **)(at + 5 * n)};
}

#endif
