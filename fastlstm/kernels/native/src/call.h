/* What the passes forward and backward of every cell share: the memory of a call, and where a
 * sorted row finds its data at a step. */
#ifndef FL_CALL_H
#define FL_CALL_H

#include "activations.h"
#include "arena.h"
#include "cell.h"
#include "kept.h"
#include "stopping.h"
#include "unpacked.h"

/* What a call's threads share. */
struct call {
    const cell *cell;
    const fl_call *p;
    stopping *stop;
    const fl_grads *g; /* NULL in forward */
    int64_t G, GHp, Hp, Rp;
    int by_units, threads;
    int patience;  /* of a call so short that waiting for a core which others use takes longer */
    int pieces;    /* in how many the units are cut, for threads that are awake; 0: they are not */
    int unpacked;  /* wx and wh are the caller's weights */
    int64_t chunk; /* steps whose input products are made together */

    const real *wx, *wh, *whn, *whr;     /* packed in gate order; whn late gates, whr projects */
    const real *bias, *bias_h;           /* of the input products; of the recurrent ones if split */
    const real *params;                  /* the cell's own: [Hp/VL][params][VL] */
    const real *wxt, *wht, *whrt, *whnt; /* backward: packed in column order */
    const real *zeros;                   /* where products without a bias start from */
    const real *reset_c;                 /* [N,Hp] */
    const kept_real *reset_kept;         /* the same for backward */

    /* If `full`, gates, cells and extra hold each step from first to last-1. */
    int full;
    int64_t first, last;
    kept_real *gates, *cells, *extra;
    int64_t extra_ring; /* see extra_row */
    /* What a step works on: gates before their activation, of a chunk of steps, and one vector of
     * cells for each row of the batch. NULL where it works in what is kept: numbers as they are. */
    real *z, *c;
    real *states; /* cells at the start of every segment, or NULL */

    real *inputs;              /* [U,GHp] products of the table's rows */
    real *table;               /* [U,GHp] their gradients; then the rows above of token_sums.h */
    real *token_sums;          /* each thread's counts of terms for those rows */
    real *dh, *dc;             /* [N,Rp], [N,Hp] */
    real *dreset_h, *dreset_c; /* [N,Rp], [N,Hp], sums of up to SUM_BLOCK steps */
    real *reset_sum_h, *reset_sum_c;
    real *param_sums; /* [2,params*Hp], see param_grad.h */
    kept_real *dproj; /* [P,Rp] gradients of projected outputs */
    real *scratch;    /* each thread's own */
    int64_t scratch_size;
};

/* A step's rows of one thread, as the products and the gate maths want them. */
struct step_rows {
    const call *call;
    int64_t n, most;
    intptr_t *row;      /* number among all: see list_rows; of the size of a pointer, as the rest */
    const real **h;     /* before the step */
    const real **mask;  /* what h is masked with, if it is */
    const real **a;     /* what meets the weight: h, masked, or the input */
    const real **init;  /* what the gate products start from, or add if split */
    const real **start; /* what split products start from */
    real **z;           /* gates before their activation */
    real **c_in, **c_out, **out;
    kept_real **gates, **cells, **extra; /* where these are kept, if they are */
    real **s;        /* recurrent products, if split; products to be written elsewhere */
    int64_t s_panel; /* from one panel of s to the next, or 0 */
    real *own;       /* the thread's memory: see own_extra */
};

enum { ROW_POINTERS = 14 };

FL_INLINE int64_t pointers_size(int64_t n) {
    int64_t each = sizeof(void *) / sizeof(real);
    return round_up(n * ROW_POINTERS * (each ? each : 1));
}

/* In a thread's scratch: pointers for `most` rows, then its own memory. */
FL_CALLED step_rows step_rows_in(const call *k, real *scratch, int64_t most) {
    void **at = (void **)(void *)scratch;
    return (step_rows){.call = k,
                       .most = most,
                       .a = (const real **)at,
                       .init = (const real **)(at + most),
                       .z = (real **)(at + 2 * most),
                       .c_in = (real **)(at + 3 * most),
                       .c_out = (real **)(at + 4 * most),
                       .out = (real **)(at + 5 * most),
                       .extra = (kept_real **)(at + 6 * most),
                       .s = (real **)(at + 7 * most),
                       .start = (const real **)(at + 8 * most),
                       .h = (const real **)(at + 9 * most),
                       .mask = (const real **)(at + 10 * most),
                       .gates = (kept_real **)(at + 11 * most),
                       .cells = (kept_real **)(at + 12 * most),
                       .row = (intptr_t *)(void *)(at + 13 * most),
                       .own = scratch + pointers_size(most)};
}

/* Notes which rows those of a share are. */
FL_CALLED void list_rows(const share *w, step_rows *rows) {
    int64_t own = share_rows(w, w->end);
    for (int64_t i = 0; i < own; i++) rows->row[i] = (intptr_t)row_of(w, i);
}

/* Row of the segment's packed arrays: steps stand from the last to the first. */
FL_INLINE int64_t packed_row(const call *k, int64_t row, int64_t step) {
    const int64_t *offset = k->p->rows.offset;
    return offset[k->last] - offset[step + 1] + row;
}

FL_INLINE kept_real *gates_row(const call *k, int64_t row, int64_t step) {
    return k->gates + packed_row(k, row, step) * k->GHp;
}

/* Extra of packed row p. Forward keeps it of all rows, and extra_ring has all bits set; or in a
 * gate's place, and backward takes it from there to a ring of so many rows that those which wait
 * for their sums have a place each, a power of two, of which extra_ring is one less. */
FL_INLINE kept_real *extra_at(const call *k, int64_t p) {
    return k->extra + (p & k->extra_ring) * k->Hp;
}

FL_INLINE kept_real *extra_row(const call *k, int64_t row, int64_t step) {
    return extra_at(k, packed_row(k, row, step));
}

/* Before the segment's first step: those that it starts from. */
FL_INLINE kept_real *kept_after(const call *k, int64_t row, int64_t step) {
    const fl_rows *b = &k->p->rows;
    if (step < k->first) return k->cells + row * k->Hp;
    return k->cells + (b->N + b->offset[step] - b->offset[k->first] + row) * k->Hp;
}

FL_INLINE real *z_row(const call *k, int64_t row, int64_t step) {
    if (!k->z) return (real *)(void *)gates_row(k, row, step);
    /* A row keeps its place: threads that are chunks apart must not meet. */
    return k->z + (step % k->chunk * k->p->rows.N + row) * k->GHp;
}

FL_INLINE real *cell_after(const call *k, int64_t row, int64_t step) {
    return k->c ? k->c + row * k->Hp : (real *)(void *)kept_after(k, row, step);
}

FL_INLINE real *output_row(const call *k, int64_t row, int64_t step) {
    return (real *)k->p->y + place(&k->p->rows, row, step, k->p->y_t, k->p->y_n);
}

/* Which of the distinct tokens a row reads at a step. */
FL_INLINE int64_t token_of(const call *k, int64_t row, int64_t step) {
    const fl_input *in = &k->p->in;
    return in->ids[place(&k->p->rows, row, step, in->ids_t, in->ids_n)];
}

/* Does the row start from its reset state at the step? */
FL_INLINE int is_reset(const call *k, int64_t row, int64_t step) {
    const fl_rows *b = &k->p->rows;
    return k->p->reset && k->p->reset[time_of(b, row, step) * b->N + b->order[row]];
}

FL_INLINE const real *hidden_before(const call *k, int64_t row, int64_t step) {
    int64_t at = k->p->rows.order[row] * k->p->R;
    if (is_reset(k, row, step)) return (const real *)k->p->reset_h + at;
    return step ? output_row(k, row, step - 1) : (const real *)k->p->h0 + at;
}

FL_INLINE const real *mask_row(const call *k, int64_t row) {
    return (const real *)k->p->mask + k->p->rows.order[row] * k->p->R;
}

FL_INLINE const real *cell_before(const call *k, int64_t row, int64_t step) {
    if (is_reset(k, row, step)) return k->reset_c + row * k->Hp;
    return cell_after(k, row, step - 1);
}

FL_INLINE const kept_real *kept_before(const call *k, int64_t row, int64_t step) {
    if (is_reset(k, row, step)) return k->reset_kept + row * k->Hp;
    return kept_after(k, row, step - 1);
}

/* Cells of a row: those of block j stand at `at + j * step`. */
typedef struct {
    const kept_real *at;
    int64_t step;
} kept_cells;

FL_INLINE kept_cells cells_after(const call *k, int64_t row, int64_t step) {
    if (!k->cell->c_gate || step < k->first) return (kept_cells){kept_after(k, row, step), VL};
    return (kept_cells){gates_row(k, row, step) + (k->cell->c_gate - 1) * VL, k->G * VL};
}

FL_INLINE kept_cells cells_before(const call *k, int64_t row, int64_t step) {
    if (is_reset(k, row, step)) return (kept_cells){k->reset_kept + row * k->Hp, VL};
    return cells_after(k, row, step - 1);
}

/* The cells that a row's segment starts from, in blocks j0..j1-1, to what is kept. */
FL_INLINE void keep_start(const call *k, int64_t row, int64_t j0, int64_t j1) {
    int64_t at = row * k->Hp + j0 * VL;
    if (k->full && k->c) keep_row(k->c + at, (j1 - j0) * VL, k->cells + at);
}

/* New cells of a row in a step. */
FL_INLINE void store_cell(const step_rows *s, int64_t r, int64_t at, vreal c) {
    vstore(s->c_out[r] + at, c);
    if (KEPT_ROUNDED && s->call->full) store_kept(s->cells[r] + at, c);
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

FL_CALLED call call_of(const cell *c, const fl_call *p, const fl_grads *g) {
    int64_t Hp = round_up(p->H);
    return (call){.cell = c,
                  .p = p,
                  .g = g,
                  .G = c->gates,
                  .GHp = c->gates * Hp,
                  .extra_ring = -1,
                  .Hp = Hp,
                  .Rp = round_up(p->R)};
}

/* Whether a step makes no more than one product with the states of other units. */
FL_INLINE int one_product(const call *k) { return !k->cell->late && !k->p->weights.w_hr; }

FL_INLINE int keeps_extra(const call *k) { return k->cell->extra || k->p->weights.w_hr; }

/* A thread's own memory: an output that nobody reads, recurrent products, and for each row what the
 * cell keeps beside the gates, if that is not for backward, or works in, and h masked. */
FL_INLINE int64_t products_size(const call *k) { return MAX_FEW * k->GHp + k->p->rows.N * PANEL; }

FL_INLINE real *own_extra(const call *k, const step_rows *rows) {
    return rows->own + k->Rp + products_size(k);
}

FL_INLINE int64_t extra_size(const call *k) {
    return max64(keeps_extra(k), k->cell->work) * k->p->rows.N * k->Hp;
}

FL_INLINE real *own_masked(const call *k, const step_rows *rows) {
    return own_extra(k, rows) + extra_size(k);
}

FL_INLINE int64_t masked_size(const call *k) { return k->p->mask ? k->p->rows.N * k->Rp : 0; }

/* Rows that a thread's products take at a time, at most. */
FL_INLINE int64_t most_rows(const call *k) { return max64(P_BLOCK, k->p->rows.N * k->chunk); }

/* Room, in words, for the rows of A of the largest product; it is read in whole tiles, beyond the
 * last row. */
FL_INLINE int64_t operands_size(const call *k) {
    int64_t K = max64(max64(k->p->in.I, k->Hp), max64(k->Rp, k->g ? k->GHp : 0));
    return round_up((most_rows(k) + ROW_BLOCK - 1) * operand_step(K));
}

FL_INLINE int64_t own_size(const call *k) {
    return k->Rp + products_size(k) + extra_size(k) + masked_size(k) + operands_size(k);
}

/* Are the values of h in -1..1, unless the caller gave others? */
FL_INLINE real bound_of_h(const call *k) {
    return k->cell->unbounded || k->p->weights.w_hr ? 0 : 1;
}

/* Takes the first n rows of K numbers in rows->a as the products want them; `floor` as in
 * operand.h. */
FL_INLINE void round_rows(const call *k, step_rows *rows, int64_t n, int64_t K, real floor) {
    if (WORD == 1) return;
    real *to = own_masked(k, rows) + masked_size(k);
    for (int64_t i = 0; i < n; i++, to += operand_step(K)) {
        if (i + AHEAD < n) prefetch(rows->a[i + AHEAD], K); /* an input comes from memory */
        write_operand(rows->a[i], K, floor, to);
        rows->a[i] = to;
    }
}

/* The same of rows of kept numbers. Those of bfloat16 are words already, but tile registers want a
 * constant step between rows, and zeros in the last words. */
FL_INLINE void round_kept_rows(const call *k, step_rows *rows, int64_t n, int64_t K, real floor) {
    if (!KEPT_ROUNDED) round_rows(k, rows, n, K, floor);
    if (!KEPT_ROUNDED || WORD_BLOCK == 1) return;
    int64_t own = (K + WORD - 1) / WORD;
    real *to = own_masked(k, rows) + masked_size(k);
    for (int64_t i = 0; i < n; i++, to += operand_step(K)) {
        memcpy(to, rows->a[i], (size_t)own * sizeof(real));
        memset(to + own, 0, (size_t)(words(K) - own) * sizeof(real));
        rows->a[i] = to;
    }
}

FL_INLINE const real *as_operand(const kept_real *row) { return (const real *)(const void *)row; }

#endif
