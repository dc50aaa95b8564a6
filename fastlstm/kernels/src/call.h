/* What the passes forward and backward of every cell share: the cell's row, the memory of a call,
 * and where a sorted row finds its data at a step. */
#ifndef FL_CALL_H
#define FL_CALL_H

#include <stdatomic.h>

#include "activations.h"
#include "rows.h"
#include "unpacked.h"

typedef struct call call;
typedef struct step_rows step_rows;

/* A cell, as the engine sees it. The engine is shared; the products are inlined into the steps. */
typedef struct {
    int gates; /* G, rows of the weights for each unit */
    int panel; /* vectors of a panel of gate products: G, or those of 4 blocks where G is 1 */
    int c;     /* has a cell state beside h */
    int split; /* the recurrent product has its own bias and sum: it meets a gate first */
    int extra; /* keeps one more vector for each unit */
    int late;  /* the reset gate meets h before its product: two products a step */

    void (*step)(const call *k, const share *w, step_rows *rows, int64_t step);
    void (*step_backward)(const call *k, const share *w, step_rows *rows, int64_t step,
                          fl_team *team);
} cell;

/* Whether a call is to end early: after which row of all, in the order in which they are worked on.
 * Threads that are apart all leave at the same one. */
typedef struct {
    _Atomic int64_t after;
    int64_t every;   /* rows from one question to the next */
    uint64_t floats; /* the caller's float state, for the asking */
} stopping;

/* What a call's threads share. */
struct call {
    const cell *cell;
    const fl_call *p;
    stopping *stop;
    const fl_grads *g; /* NULL in forward */
    int64_t G, GHp, Hp, Rp;
    int by_units, threads;
    int brief;     /* not worth a wait for cores that others want */
    int pieces;    /* of the units, for threads that are awake; 0 if divided in another way */
    int unpacked;  /* wx and wh are the caller's weights */
    int64_t chunk; /* steps whose input products are made together */

    const real *wx, *wh, *whr;           /* packed in gate order; whr projects */
    const real *bias, *bias_h;           /* of the input products; of the recurrent ones if split */
    const real *wxt, *wht, *whrt, *whnt; /* backward: packed in column order */
    const real *zeros;                   /* where products without a bias start from */
    const real *reset_c;                 /* [N,Hp] */

    /* Gates, cells and extra hold steps first .. last-1 in full, or (not full) a chunk and a row.
     */
    int full;
    int64_t first, last;
    real *gates, *cells, *extra;
    real *states; /* cells at the start of every segment, or NULL */

    real *inputs;              /* [U,GHp] products of the table's rows */
    real *table;               /* [U,GHp] their gradients, and what token_sums.h needs above */
    real *token_sums;          /* what each thread knows of those rows */
    real *dh, *dc;             /* [N,Rp], [N,Hp] */
    real *dreset_h, *dreset_c; /* [N,Rp], [N,Hp], of SUM_BLOCK steps */
    real *reset_sum_h, *reset_sum_c;
    real *dproj;   /* [P,Rp] gradients of projected outputs */
    real *scratch; /* each thread's own */
    int64_t scratch_size;
};

/* A step's rows of one thread, as the products and the gate maths want them. */
struct step_rows {
    const call *call;
    int64_t n, most;
    const real **a;     /* h before the step, or the input */
    const real **init;  /* what the gate products start from, or add if split */
    const real **start; /* what split products start from */
    real **z;           /* gates */
    real **c_in, **c_out, **out, **extra;
    real **s;        /* recurrent products, if split; products to be written elsewhere */
    int64_t s_panel; /* from one panel of s to the next, or 0 */
    real *own;       /* memory for them */
};

/* Between rows `from` and `to` of all: the calling thread asks now and then. */
FL_INLINE void ask_to_stop(const call *k, int thread, int64_t from, int64_t to) {
    if (thread || !k->p->stop || from / k->stop->every == to / k->stop->every) return;
    uint64_t floats = fl_float_state();
    fl_restore_denormals(k->stop->floats);
    if (k->p->stop()) atomic_store(&k->stop->after, to);
    fl_restore_denormals(floats);
}

FL_INLINE int is_stopped(const call *k, int64_t at) {
    return k->p->stop && atomic_load(&k->stop->after) <= at;
}

/* Operations from one question to the next, some 50 to 100 ms: a thread that runs Python meanwhile
 * may let one wait for 5 ms. */
static const int64_t ASK = 10000000000;

FL_INLINE stopping stopping_of(const call *k) {
    int64_t row = 2 * k->GHp * (k->p->in.I + k->p->R);
    return (stopping){INT64_MAX, ASK / row + 1, fl_float_state()};
}

enum { ROW_POINTERS = 9 };

FL_INLINE int64_t round_up(int64_t n) { return (n + VL - 1) / VL * VL; }

FL_INLINE int64_t pointers_size(int64_t n) {
    int64_t each = sizeof(void *) / sizeof(real);
    return round_up(n * ROW_POINTERS * (each ? each : 1));
}

/* In a thread's scratch: pointers for `most` rows, then its own memory. */
FL_INLINE step_rows step_rows_in(const call *k, real *scratch, int64_t most) {
    void **at = (void **)(void *)scratch;
    return (step_rows){.call = k,
                       .most = most,
                       .a = (const real **)at,
                       .init = (const real **)(at + most),
                       .z = (real **)(at + 2 * most),
                       .c_in = (real **)(at + 3 * most),
                       .c_out = (real **)(at + 4 * most),
                       .out = (real **)(at + 5 * most),
                       .extra = (real **)(at + 6 * most),
                       .s = (real **)(at + 7 * most),
                       .start = (const real **)(at + 8 * most),
                       .own = scratch + pointers_size(most)};
}

/* Row of the segment's packed arrays: steps stand from the last to the first. */
FL_INLINE int64_t packed_row(const call *k, int64_t row, int64_t step) {
    const int64_t *offset = k->p->rows.offset;
    return offset[k->last] - offset[step + 1] + row;
}

FL_INLINE real *gates_row(const call *k, int64_t row, int64_t step) {
    /* In a chunk's buffer a row keeps its place: threads that are chunks apart must not meet. */
    int64_t at = k->full ? packed_row(k, row, step) : step % k->chunk * k->p->rows.N + row;
    return k->gates + at * k->GHp;
}

FL_INLINE real *extra_row(const call *k, int64_t row, int64_t step) {
    return k->extra + packed_row(k, row, step) * k->Hp;
}

FL_INLINE real *cell_after(const call *k, int64_t row, int64_t step) {
    const fl_rows *b = &k->p->rows;
    if (!k->full || step < k->first) return k->cells + row * k->Hp;
    return k->cells + (b->N + b->offset[step] - b->offset[k->first] + row) * k->Hp;
}

FL_INLINE real *output_row(const call *k, int64_t row, int64_t step) {
    return (real *)k->p->y + place(&k->p->rows, row, step, k->p->y_t, k->p->y_n);
}

/* Which of the distinct tokens a row reads at a step. */
FL_INLINE int64_t token_of(const call *k, int64_t row, int64_t step) {
    const fl_input *in = &k->p->in;
    return in->ids[place(&k->p->rows, row, step, in->ids_t, in->ids_n)];
}

/* Does the row start anew at the step? */
FL_INLINE int is_reset(const call *k, int64_t row, int64_t step) {
    const fl_rows *b = &k->p->rows;
    return k->p->reset && k->p->reset[time_of(b, row, step) * b->N + b->order[row]];
}

FL_INLINE const real *hidden_before(const call *k, int64_t row, int64_t step) {
    int64_t at = k->p->rows.order[row] * k->p->R;
    if (is_reset(k, row, step)) return (const real *)k->p->reset_h + at;
    return step ? output_row(k, row, step - 1) : (const real *)k->p->h0 + at;
}

FL_INLINE const real *cell_before(const call *k, int64_t row, int64_t step) {
    if (is_reset(k, row, step)) return k->reset_c + row * k->Hp;
    return cell_after(k, row, step - 1);
}

/* Of a caller's [N,n] array into a row of ours, filled up with zeros; NULL reads as zero. */
FL_INLINE void read_state(const call *k, const void *from, int64_t n, int64_t row, real *to) {
    int64_t have = from ? n : 0;
    if (have) memcpy(to, (const real *)from + k->p->rows.order[row] * n, (size_t)n * sizeof(real));
    memset(to + have, 0, (size_t)(round_up(n) - have) * sizeof(real));
}

FL_INLINE void write_state(const call *k, const real *from, int64_t n, int64_t row, void *to) {
    memcpy((real *)to + k->p->rows.order[row] * n, from, (size_t)n * sizeof(real));
}

/* Parts of one block of memory, taken one after the other: of NULL to learn the size. */
typedef struct {
    real *base;
    int64_t size;
} arena;

FL_INLINE real *take(arena *m, int64_t n) {
    real *at = m->base ? m->base + m->size : NULL;
    m->size += round_up(n);
    return at;
}

FL_INLINE call call_of(const cell *c, const fl_call *p, const fl_grads *g) {
    int64_t Hp = round_up(p->H);
    return (call){.cell = c,
                  .p = p,
                  .g = g,
                  .G = c->gates,
                  .GHp = c->gates * Hp,
                  .Hp = Hp,
                  .Rp = round_up(p->R)};
}

FL_INLINE int keeps_extra(const call *k) { return k->cell->extra || k->p->weights.w_hr; }

FL_INLINE weight_shape input_shape(const call *k) {
    return (weight_shape){k->p->H, k->p->in.I, k->cell->gates, k->cell->panel};
}
FL_INLINE weight_shape hidden_shape(const call *k) {
    return (weight_shape){k->p->H, k->p->R, k->cell->gates, k->cell->panel};
}
FL_INLINE weight_shape project_shape(const fl_call *p) { /* its units are the R outputs */
    return (weight_shape){p->R, p->H, 1, FL_PANEL};
}

/* Where the packed weights stand in `packed`; returns their size. */
FL_INLINE int64_t place_weights(call *k, const real *packed) {
    arena m = {(real *)packed, 0};
    k->wx = k->unpacked ? k->p->weights.w_ih : take(&m, k->GHp * k->p->in.I);
    k->wh = k->unpacked ? k->p->weights.w_hh : take(&m, k->GHp * k->p->R);
    k->bias = take(&m, k->GHp);
    k->bias_h = k->cell->split ? take(&m, k->GHp) : NULL;
    k->whr = k->p->weights.w_hr ? take(&m, k->Rp * k->p->H) : NULL;
    return m.size;
}

#endif
