/* Which packed weights a call has, and a thread's part of packing them. */
#ifndef FL_PACKING_H
#define FL_PACKING_H

#include "division.h"

FL_INLINE weight_shape input_shape(const call *k) {
    return (weight_shape){k->p->H, k->p->in.I, k->G, k->cell->panel};
}

/* The recurrent weight: of the gates whose product meets h, then of the late ones. */
FL_INLINE weight_shape hidden_shape(const call *k) {
    int64_t late = k->cell->late;
    return (weight_shape){k->p->H, k->p->R, k->G - late, k->cell->panel - late};
}
FL_INLINE weight_shape late_shape(const call *k) {
    return (weight_shape){k->p->H, k->p->R, k->cell->late, k->cell->late};
}
FL_INLINE const real *late_weight(const call *k) {
    return (const real *)k->p->weights.w_hh + (k->G - k->cell->late) * k->p->H * k->p->R;
}

FL_INLINE weight_shape project_shape(const call *k) { /* its units are the R outputs */
    return (weight_shape){k->p->R, k->p->H, 1, FL_PANEL};
}

/* Is reading the weights as they are, once for each few rows, less work than packing them? */
static int stay_unpacked(const call *k) {
    const fl_call *p = k->p;
    int possible = WORD == 1 && !p->packed && !p->in.ids && one_product(k);
    return possible && p->rows.T <= UNPACKED_STEPS && p->rows.T * p->rows.N <= UNPACKED_ROWS;
}

/* Words of a column of K numbers, packed in gate order. */
FL_INLINE int64_t column_words(int64_t K) { return words(K) + PANEL_TAIL; }

/* Where the packed weights stand in `packed`; returns their size. */
FL_CALLED int64_t place_weights(call *k, const real *packed) {
    arena m = {(real *)packed, 0};
    int64_t R = column_words(k->p->R), late = k->cell->late * k->Hp * R;
    k->wx = k->unpacked ? k->p->weights.w_ih : take(&m, k->GHp * column_words(k->p->in.I));
    k->wh = k->unpacked ? k->p->weights.w_hh : take(&m, k->GHp * R - late);
    k->whn = late ? take(&m, late) : NULL;
    k->bias = take(&m, k->GHp);
    k->bias_h = k->cell->split ? take(&m, k->GHp) : NULL;
    k->params = k->cell->params ? take(&m, k->cell->params * k->Hp) : NULL;
    k->whr = k->p->weights.w_hr ? take(&m, k->Rp * column_words(k->p->H)) : NULL;
    return m.size;
}

static void pack_params(const call *k, int64_t j0, int64_t j1) {
    if (k->cell->params)
        pack_bias(k->p->H, k->cell->params, k->p->weights.params, NULL, (real *)k->params, j0, j1);
}

/* For products forward: unit blocks j0..j1-1, blocks r0..r1-1 of a projection's outputs. */
static void pack_forward(const call *k, int64_t j0, int64_t j1, int64_t r0, int64_t r1) {
    const fl_weights *w = &k->p->weights;
    weight_shape x = input_shape(k), h = hidden_shape(k), late = late_shape(k);
    weight_shape r = project_shape(k);
    pack_bias(k->p->H, k->G, w->b_ih, k->cell->split ? NULL : w->b_hh, (real *)k->bias, j0, j1);
    if (k->cell->split) pack_bias(k->p->H, k->G, NULL, w->b_hh, (real *)k->bias_h, j0, j1);
    pack_params(k, j0, j1);
    if (k->unpacked) return;
    pack_gates(&x, w->w_ih, (real *)k->wx, j0, j1);
    pack_gates(&h, w->w_hh, (real *)k->wh, j0, j1);
    if (k->cell->late) pack_gates(&late, late_weight(k), (real *)k->whn, j0, j1);
    if (w->w_hr) pack_gates(&r, w->w_hr, (real *)k->whr, r0, r1);
}

static void pack_forward_part(const call *k, int thread) {
    int64_t outputs = k->Rp / VL;
    pack_forward(k, block_part(k, thread, k->threads), block_part(k, thread + 1, k->threads),
                 part(outputs, thread, k->threads), part(outputs, thread + 1, k->threads));
}

#if FL_BACKWARD
/* For products backward: unit blocks j0..j1-1, blocks r0..r1-1 of a projection's outputs. */
static void pack_backward(const call *k, int dx, int64_t j0, int64_t j1, int64_t r0, int64_t r1) {
    const fl_call *p = k->p;
    const fl_weights *w = &p->weights;
    int64_t G = k->G, late = k->cell->late;
    pack_columns(p->H, G, G - late, p->R, w->w_hh, (real *)k->wht, j0, j1);
    if (late) pack_columns(p->H, late, late, p->R, late_weight(k), (real *)k->whnt, j0, j1);
    if (dx) pack_columns(p->H, G, G, p->in.I, w->w_ih, (real *)k->wxt, j0, j1);
    if (w->w_hr) pack_columns(p->R, 1, 1, p->H, w->w_hr, (real *)k->whrt, r0, r1);
}

static void pack_backward_part(const call *k, int thread) {
    int64_t blocks = k->Hp / VL, outputs = k->Rp / VL;
    int64_t j0 = part(blocks, thread, k->threads), j1 = part(blocks, thread + 1, k->threads);
    if (k->p->recompute)
        pack_forward_part(k, thread);
    else
        pack_params(k, j0, j1);
    if (k->unpacked || k->p->packed_back) return;
    pack_backward(k, k->g->dx != NULL, j0, j1, part(outputs, thread, k->threads),
                  part(outputs, thread + 1, k->threads));
}
#endif

#endif
