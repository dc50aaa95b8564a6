/* The packed rows of a segment: steps stand from the last to the first. */
#ifndef FL_PACKED_ROWS_H
#define FL_PACKED_ROWS_H

#include "call.h"

/* The step of the segment's packed row p. Later steps are packed first, so it is the first step
 * with at most p rows of later ones. */
FL_INLINE int64_t step_of(const call *k, int64_t p) {
    const int64_t *offset = k->p->rows.offset;
    int64_t lo = k->first, hi = k->last - 1;
    while (lo < hi) {
        int64_t mid = (lo + hi) / 2;
        if (offset[k->last] - offset[mid + 1] <= p)
            hi = mid;
        else
            lo = mid + 1;
    }
    return lo;
}

/* Walks the packed rows from p on. */
typedef struct {
    int64_t row, step;
} place_of_row;

FL_INLINE place_of_row packed_place(const call *k, int64_t p) {
    int64_t step = step_of(k, p);
    return (place_of_row){p - packed_row(k, 0, step), step};
}

FL_INLINE void next_place(const call *k, place_of_row *at) {
    if (++at->row == k->p->rows.n_at[at->step]) at->row = 0, at->step--;
}

/* Packed rows p0..p1-1 of a segment. */
typedef struct {
    int64_t p0, p1;
    int begin, end; /* the first and the last of the call */
} ripe;

#endif
