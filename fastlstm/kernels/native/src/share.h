/* Which rows and panels a thread works on. */
#ifndef FL_SHARE_H
#define FL_SHARE_H

#include "fastlstm.h"
#include "vec.h"

/* Of n things in a row, where the part of a thread begins. */
FL_INLINE int64_t part(int64_t n, int thread, int threads) { return n * thread / threads; }

/* A thread's part of the time loop. Either some rows with all units: no step waits for other
 * threads. Or all rows with a part of the units: each step waits for the others, but a large weight
 * is read once, not once a thread.
 *
 * Of rows begin..end-1 a thread has blocks that are dealt out to and fro, so that all threads lose
 * rows alike as short ones end; if none is shorter, all of its rows are neighbours. A core reads
 * ahead beyond the end of a row: with every second row another thread's it would take away what
 * that one is about to write (128 units in bfloat16: two threads 1.5 times as fast as one; by
 * neighbours 1.9). */
typedef struct {
    int64_t begin, end;
    int64_t thread, threads, shift; /* the blocks, of 1 << shift rows, are dealt to */
    int64_t j0, j1;                 /* unit blocks */
    int64_t p0, p1;                 /* panels of FL_PANEL unit blocks */
    int64_t turn, turns; /* which of the parts that its rows are taken in, and of how many */
} share;

enum { BLOCK_SHIFT = 3 }; /* of the largest blocks: eight rows */
enum { BLOCKS = 4 };      /* that a thread has at least, where rows end one after the other */

/* The rows of a thread. */
FL_CALLED share rows_of_thread(const fl_rows *b, int thread, int threads) {
    share s = {.end = b->N, .thread = thread, .threads = threads, .turns = 1};
    if (!b->T || b->n_at[b->T - 1] == b->N)
        return (share){.begin = part(b->N, thread, threads),
                       .end = part(b->N, thread + 1, threads),
                       .threads = 1,
                       .turns = 1};
    while (s.shift < BLOCK_SHIFT && b->N >> (s.shift + 1) >= (int64_t)BLOCKS * threads) s.shift++;
    return s;
}

/* Where in a round of dealing a thread has its turn. */
FL_INLINE int64_t place_in_round(const share *s, int64_t round) {
    return round & 1 ? s->threads - 1 - s->thread : s->thread;
}

/* The i-th row of a share. */
FL_INLINE int64_t row_of(const share *s, int64_t i) {
    i = s->turn + i * s->turns;
    int64_t round = i >> s->shift, block = round * s->threads + place_in_round(s, round);
    return s->begin + (block << s->shift) + (i & (((int64_t)1 << s->shift) - 1));
}

/* How many of a share's rows are among the first n. */
FL_CALLED int64_t share_rows(const share *s, int64_t n) {
    n = min64(n, s->end) - s->begin;
    if (n <= 0) return 0;
    int64_t rounds = (n >> s->shift) / s->threads, size = (int64_t)1 << s->shift;
    int64_t first = (rounds * s->threads + place_in_round(s, rounds)) << s->shift;
    int64_t rows = (rounds << s->shift) + max64(0, min64(n - first, size));
    return rows > s->turn ? (rows - s->turn + s->turns - 1) / s->turns : 0;
}

#endif
