/* How a call is divided over threads: how many are worth it, by rows, by units or in pieces. */
#ifndef FL_DIVISION_H
#define FL_DIVISION_H

#include "call.h"

/* This thread's part of the unit blocks, in whole panels. */
FL_INLINE int64_t block_part(const call *k, int thread, int threads) {
    int64_t blocks = k->Hp / VL, each = k->cell->panel / k->cell->gates;
    return min64(blocks, part((blocks + each - 1) / each, thread, threads) * each);
}

/* The thread's part of the time loop. */
FL_CALLED share share_of(const call *k, int thread, int threads) {
    int64_t blocks = unit_blocks(k->p->H), panels = (blocks + FL_PANEL - 1) / FL_PANEL;
    int cut = k->by_units;
    share s =
        cut ? rows_of_thread(&k->p->rows, 0, 1) : rows_of_thread(&k->p->rows, thread, threads);
    s.p0 = cut ? part(panels, thread, threads) : 0;
    s.p1 = cut ? part(panels, thread + 1, threads) : panels;
    s.j0 = s.p0 * FL_PANEL, s.j1 = min64(s.p1 * FL_PANEL, blocks);
    return s;
}

/* Dividing rows keeps the threads independent; dividing units pays when there are too few rows
 * for that or when the recurrent weight, of that many bytes, falls out of a core's cache. */
FL_INLINE int divide_units(int64_t N, int64_t H, int64_t weight, int threads) {
    int64_t panels = (unit_blocks(H) + FL_PANEL - 1) / FL_PANEL;
    if (threads < 2 || panels < threads) return 0;
    return N < threads || weight > (int64_t)1 << 20;
}

/* More threads than the work repays are not used: about 50 us for one that has to wake. */
FL_INLINE int worth_threads(int64_t flops, int64_t steps, int by_units, int threads) {
    int64_t each = by_units ? max64(10000000, steps * 125000) : 10000000;
    return (int)max64(1, min64(threads, flops / each));
}

/* How many ns a call waits for threads that are late, as fl_run takes it; 0: for all of them.
 *
 * A thread that loses its core for some milliseconds costs more than threads gain where the work is
 * less than about 40 ms, or a step of less than a million operations a thread waits for all of
 * them. Such work waits for a quarter of the time that it takes alone. */
FL_INLINE int patience_for(int64_t flops, int64_t steps, int by_units, int threads) {
    int is_brief = flops < 4000000000 || (by_units && flops / threads < steps * 1000000);
    return is_brief ? (int)min64(max64(flops / 400, FL_BRIEF), 2000000) : 0;
}

/* Steps whose input products are made together: enough rows for full tiles, and many more for a
 * large input weight, so that it is seldom read. */
static int64_t chunk_steps(const call *k, int64_t steps) {
    int64_t N = k->p->rows.N;
    int64_t large = k->GHp * k->p->in.I * (int64_t)sizeof(real) > (int64_t)512 << 10;
    return min64(steps, max64(1, (large ? 192 : 24) * k->threads / N));
}

/* How a call is divided over threads. */
static void set_threads(call *k, int64_t work) {
    const fl_call *p = k->p;
    int64_t N = p->rows.N, T = p->rows.T,
            weight = k->GHp * words(p->R) * (int64_t)sizeof(real); /* as it is packed */
    int may = one_product(k); /* two of them would need more barriers */
    int64_t flops = work * p->rows.offset[T] * k->GHp * (p->in.I + p->R);
    k->by_units = may && divide_units(N, p->H, weight, p->n_threads);
    k->threads = worth_threads(flops, T, k->by_units, p->n_threads);
    k->by_units = may && divide_units(N, p->H, weight, k->threads);
    k->patience = patience_for(flops, T, k->by_units, k->threads);
}

enum { SHARE = 80000 }; /* operations, about a microsecond: fewer do not repay a thread's turn */

/* Cuts a call of one step, which is too short to wake threads for, into pieces. Not one that writes
 * its new h over the h that other pieces still read. */
static void set_pieces(call *k) {
    const fl_call *p = k->p;
    int64_t N = p->rows.N, each = k->cell->panel / k->cell->gates,
            panels = (k->Hp / VL + each - 1) / each;
    int one_step = p->rows.T == 1 && p->rows.offset[1] == N && !p->in.ids && !p->reset;
    int64_t shares = 2 * N * k->GHp * (p->in.I + p->R) / SHARE;
    k->pieces = 0;
    if (k->threads > 1 || !one_step || !one_product(k) || p->recompute) return;
    if (shares < 2 || panels < 2 || p->n_threads < 2 || p->h_n == p->h0) return;
    k->threads = (int)min64(min64(shares, p->n_threads), min64(panels, FL_PIECES));
    k->pieces = (int)min64(min64(2 * k->threads, panels), FL_PIECES);
}

#endif
