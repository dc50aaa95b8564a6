/* Where a sorted row finds its data at a step, and which rows and panels a thread works on. */
#ifndef FL_ROWS_H
#define FL_ROWS_H

#include "fastlstm.h"
#include "pack.h"

enum { AHEAD = 8 };     /* rows asked for before they are read */
enum { P_BLOCK = 128 }; /* packed rows that a product over steps takes at a time */

/* A chain of float32 additions is off by some 1e-2 after 10^7 terms of one sign. So a long sum adds
 * up sums of SUM_BLOCK terms, or over packed rows sums of P_BLOCK terms to sums of SUM_ROWS rows.
 */
enum { SUM_BLOCK = 512, SUM_ROWS = 256 * P_BLOCK };

/* Adds a sum to another, and zeroes it. */
FL_INLINE void move_sum(real *to, real *from, int64_t n) {
    for (int64_t u = 0; u < n; u += VL) {
        vstore(to + u, vload(to + u) + vload(from + u));
        vstore(from + u, (vreal){0});
    }
}

FL_INLINE int64_t time_of(const fl_rows *b, int64_t row, int64_t step) {
    return b->reverse ? b->length[row] - 1 - step : step;
}

/* Row of a [T,N,...] array of the caller's at a step of a sorted row. */
FL_INLINE int64_t place(const fl_rows *b, int64_t row, int64_t step, int64_t by_t, int64_t by_n) {
    return time_of(b, row, step) * by_t + b->order[row] * by_n;
}

FL_INLINE const real *input_row(const fl_rows *b, const fl_input *in, int64_t row, int64_t step) {
    if (in->ids)
        return (const real *)in->x + in->ids[place(b, row, step, in->ids_t, in->ids_n)] * in->I;
    return (const real *)in->x + place(b, row, step, in->x_t, in->x_n);
}

/* A thread's part of the time loop. Either its rows (every `stride`-th, so that all threads lose
 * rows alike as short ones end) with all units: no step waits for other threads. Or all rows with a
 * part of the units: each step waits for the others, but a large weight is read once, not once a
 * thread. */
typedef struct {
    int64_t first, stride; /* rows */
    int64_t j0, j1;        /* unit blocks */
    int64_t p0, p1;        /* panels of FL_PANEL unit blocks */
    int64_t turn, turns;   /* which of the parts that its rows are taken in, and of how many */
} share;

FL_INLINE share share_of(int64_t H, int by_units, int thread, int threads) {
    int64_t blocks = unit_blocks(H), panels = (blocks + FL_PANEL - 1) / FL_PANEL;
    share s = {thread, threads, 0, blocks, 0, panels, 0, 1};
    if (!by_units) return s;
    s.first = 0, s.stride = 1;
    s.p0 = panels * thread / threads, s.p1 = panels * (thread + 1) / threads;
    s.j0 = s.p0 * FL_PANEL, s.j1 = min64(s.p1 * FL_PANEL, blocks);
    return s;
}

/* How many of a share's rows are among the first n. */
FL_INLINE int64_t share_rows(const share *s, int64_t n) {
    return n > s->first ? (n - s->first + s->stride - 1) / s->stride : 0;
}

/* Of n things in a row, where the part of a thread begins. */
FL_INLINE int64_t part(int64_t n, int thread, int threads) { return n * thread / threads; }

#endif
