/* Where a sorted row finds its data at a step. */
#ifndef FL_ROWS_H
#define FL_ROWS_H

#include "fastlstm.h"
#include "pack.h"
#include "share.h"

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

#endif
