/* The memory of a call: what forward keeps for backward, and the block that a pass works in. */
#ifndef FL_PLAN_H
#define FL_PLAN_H

#include "packing.h"
#if FL_BACKWARD
#include "backward.h"
#endif

/* Rows of cells that have a place of their own, of P steps of rows. */
FL_INLINE int64_t cell_rows(const call *k, int64_t P) {
    return k->p->rows.N + (k->cell->c_gate ? 0 : P);
}

/* Bytes of gates, cells and extra; see fl_call. */
static void plan_kept(const call *k, int64_t bytes[3]) {
    const fl_call *p = k->p;
    int64_t N = p->rows.N, T = p->rows.T, P = p->rows.offset[T];
    int64_t segments = p->recompute ? (T + p->recompute - 1) / p->recompute : 0;
    int64_t each = sizeof(kept_real), states = segments * N * k->Hp * (int64_t)sizeof(real);
    bytes[0] = p->recompute ? 0 : P * k->GHp * each;
    bytes[1] = !k->cell->c ? 0 : p->recompute ? states : cell_rows(k, P) * k->Hp * each;
    bytes[2] = !p->recompute && keeps_extra(k) && !k->cell->extra_gate ? P * k->Hp * each : 0;
}

/* What steps work on where they do not work in what is kept: before that, `full` is set. */
static void plan_steps(call *k, arena *m) {
    int apart = KEPT_ROUNDED || !k->full;
    int64_t N = k->p->rows.N;
    k->z = apart ? take(m, N * k->chunk * k->GHp) : NULL;
    k->c = apart && k->cell->c ? take(m, N * k->Hp) : NULL;
}

/* The memory of a pass. Large weights have a block of their own, which forward leaves for those of
 * backward: in one with all the rest it would be too small for what backward works in. */
typedef struct {
    real *work, *weights; /* NULL, both, to learn their sizes */
    int64_t work_size, weights_size;
} pass_memory;

enum { OWN_BLOCK = 4 << 20 }; /* bytes of weights: of fewer, whole huge pages would be half empty */

FL_INLINE real *take_weights(pass_memory *b, arena *m, int64_t size) {
    if (size * (int64_t)sizeof(real) < OWN_BLOCK) return take(m, size);
    b->weights_size = size;
    return b->weights;
}

static void plan_forward(call *k, pass_memory *b) {
    const fl_call *p = k->p;
    int64_t N = p->rows.N;
    arena m = {b->work, 0};
    k->first = 0, k->last = p->rows.T, k->full = p->gates != NULL;
    k->unpacked = stay_unpacked(k);
    if (!k->by_units && !k->pieces) k->threads = (int)min64(k->threads, N);
    k->chunk = chunk_steps(k, p->rows.T);
    int64_t packed = place_weights(k, p->packed);
    if (!p->packed) place_weights(k, take_weights(b, &m, packed));
    k->zeros = take(&m, max64(k->GHp, PANEL));
    k->inputs = p->in.ids ? take(&m, p->in.U * k->GHp) : NULL;
    k->gates = k->full ? p->gates : NULL;
    k->cells = k->full ? p->cells : NULL;
    k->states = k->full ? NULL : p->cells;
    k->extra = k->full ? p->extra : NULL;
    plan_steps(k, &m);
    k->reset_c = k->cell->c && p->reset ? take(&m, N * k->Hp) : NULL;
    k->scratch_size = pointers_size(most_rows(k)) + own_size(k);
    k->scratch = take(&m, k->scratch_size * (k->pieces ? k->pieces : k->threads));
    b->work_size = m.size;
}

#if FL_BACKWARD
/* Packed rows of the longest segment: rows only end, so the first one. */
static int64_t longest_segment(const fl_call *p) {
    const fl_rows *b = &p->rows;
    return b->offset[p->recompute ? min64(b->T, p->recompute) : b->T];
}

/* The ring of extra_row. The rows after those that are ripe may be written while other threads read
 * these; but where gates are split, no thread does by then (ripe_products). */
static void plan_extra_ring(call *k, arena *m) {
    int64_t rows = 1, most = ripe_rows(k) + k->p->rows.N;
    if (k->threads > 1 && !k->cell->split) most *= 2;
    most = min64(most, longest_segment(k->p));
    while (rows < most) rows *= 2;
    k->extra = take_kept(m, rows * k->Hp);
    k->extra_ring = rows - 1;
}

/* What backward needs of a segment that it recomputes, in place of what forward kept. */
static void plan_segment(call *k, arena *m) {
    const fl_call *p = k->p;
    int64_t P = longest_segment(p);
    place_weights(k, take(m, place_weights(k, NULL)));
    k->inputs = p->in.ids ? take(m, p->in.U * k->GHp) : NULL;
    k->states = p->cells;
    k->gates = take_kept(m, P * k->GHp);
    k->cells = k->cell->c ? take_kept(m, cell_rows(k, P) * k->Hp) : NULL;
    if (keeps_extra(k) && !k->cell->extra_gate) k->extra = take_kept(m, P * k->Hp);
    plan_steps(k, m);
}

/* Gradients of the states before a step and of the reset states, and their sums. */
static void plan_states(call *k, arena *m) {
    int64_t h = k->p->rows.N * k->Rp, c = k->cell->c ? k->p->rows.N * k->Hp : 0;
    k->dh = take(m, h);
    k->dc = c ? take(m, c) : NULL;
    if (!k->p->reset) return;
    k->dreset_h = take(m, h);
    k->reset_sum_h = take(m, h);
    if (!c) return;
    k->reset_c = take(m, c);
    k->reset_kept = KEPT_ROUNDED ? take_kept(m, c) : (const kept_real *)(const void *)k->reset_c;
    k->dreset_c = take(m, c);
    k->reset_sum_c = take(m, c);
}

/* The weights of products with the transpose; returns their size. */
static int64_t place_columns(call *k, int dx, const real *packed) {
    const fl_call *p = k->p;
    const fl_weights *w = &p->weights;
    int64_t late = k->cell->late;
    arena m = {(real *)packed, 0};
    k->wht = k->unpacked ? w->w_hh : take(&m, columns_size(p->H, k->G, p->R));
    k->whnt = late ? take(&m, columns_size(p->H, late, p->R)) : NULL;
    k->whrt = w->w_hr ? take(&m, columns_size(p->R, 1, p->H)) : NULL;
    k->wxt = k->unpacked ? w->w_ih : dx ? take(&m, columns_size(p->H, k->G, p->in.I)) : NULL;
    return m.size;
}

static void plan_backward(call *k, int dx, pass_memory *b) {
    const fl_call *p = k->p;
    const fl_weights *w = &p->weights;
    arena m = {b->work, 0};
    k->full = 1;
    k->chunk = p->recompute ? chunk_steps(k, min64(p->recompute, p->rows.T)) : 1;
    k->zeros = take(&m, max64(k->GHp, PANEL));
    k->unpacked = !p->recompute && stay_unpacked(k);
    int64_t packed = place_columns(k, dx, p->packed_back);
    if (!p->packed_back) place_columns(k, dx, take_weights(b, &m, packed));
    k->dproj = w->w_hr ? take_kept(&m, longest_segment(p) * k->Rp) : NULL;
    k->table = p->in.ids ? take(&m, (p->in.U + rows_above(p)) * k->GHp) : NULL;
    k->token_sums = p->in.ids ? take(&m, k->threads * token_sums_size(p)) : NULL;
    plan_states(k, &m);
    k->gates = p->gates, k->cells = p->cells, k->extra = p->extra;
    if (p->recompute)
        plan_segment(k, &m);
    else
        k->params = take(&m, k->cell->params * k->Hp);
    if (k->cell->extra_gate) plan_extra_ring(k, &m);
    k->param_sums = take(&m, 2 * k->cell->params * k->Hp);
    int64_t sums = sums_size(k, WEIGHT_GRADS);
    k->scratch_size = pointers_size(most_rows(k)) + own_size(k) +
                      weight_copies_size(most_features(k)) + (p->recompute ? 2 : 1) * sums;
    k->scratch = take(&m, k->scratch_size * k->threads);
    b->work_size = m.size;
}
#endif

#endif
