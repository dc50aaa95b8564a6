/* The sums of weight_grad.h by tile registers: 16 features x 4 vectors of gates, over 16 words of
 * packed rows at a time, straight on to the thread's sums.
 *
 * Which words are multiplied together decides about bits, so a block of P that the end of a segment
 * cuts in two is still one row of words: those that do not fill the last 16 are kept for the rest.
 */
#ifndef FL_WEIGHT_TILES_H
#define FL_WEIGHT_TILES_H

#include "tiles.h"

/* From one feature to the next: words of a block of P and those kept, an odd number of lines. */
enum { A_STEP = P_BLOCK + WORD_BLOCK };
/* At `begun`, behind the biases, stands how many words are kept, then those of features and gates.
 */
enum { KEPT_COUNT = WORD_BLOCK };

FL_INLINE int64_t weight_copies_size(int64_t F) { return (padded_features(F) + PANEL) * A_STEP; }

/* The words of a block: those kept, then new ones, then zeros. */
struct word_row {
    block_words of;
    int64_t kept, whole;    /* words; those in whole blocks, perhaps with zeros behind */
    uint8_t first[P_BLOCK]; /* packed rows before each new word */
    int keep;               /* the words behind the whole blocks */
    real *features, *gates; /* words kept, [WORD_BLOCK][step] and [panel][WORD_BLOCK][V * VL] */
    int64_t step;
};

static word_row word_row_of(const weight_grad *m, const weight_part *part, const void *ctx,
                            int64_t p0, int64_t n, const block_sum *s) {
    word_row w = {.of = words_of_block(m, ctx, p0, n), .keep = !s->ends};
    real *count = s->begun + (part->p1 - part->p0) * PANEL;
    w.kept = s->begins ? 0 : (int64_t)*count;
    w.step = padded_features(part->f1 - part->f0);
    w.features = count + KEPT_COUNT;
    w.gates = w.features + WORD_BLOCK * w.step;
    int64_t words = w.kept + w.of.n, full = words / WORD_BLOCK * WORD_BLOCK;
    w.whole = full < words && !w.keep ? full + WORD_BLOCK : full;
    if (w.keep) *count = (real)(words - full);
    for (int64_t q = 0, p = 0; q < w.of.n; p += w.of.rows[q++]) w.first[q] = (uint8_t)p;
    return w;
}

/* Word q of up to VL features from number i of the part on. */
FL_INLINE vreal feature_word(const int kept, const word_row *w, const factor_part *f, int64_t q,
                             int64_t i, int64_t lanes, const real *const *rows,
                             const real *const *masks) {
    if (q < w->kept) return vload_n(w->features + q * w->step + i, lanes);
    q -= w->kept;
    if (q >= w->of.n) return (vreal){0};
    int64_t at = f->from + i - f->at, p = w->first[q];
    return word_of_rows(kept, &w->of, q, p, at, lanes, rows, masks);
}

/* To [feature][A_STEP words]; the words behind the whole blocks stay as they are. */
FL_INLINE void pack_rows(const int kept, const word_row *w, const factor_part *f,
                         const real *const *rows, const real *const *masks, real *packed) {
    int64_t end = f->at + f->to - f->from;
    for (int64_t q = 0; q < w->kept + w->of.n; q += WORD_BLOCK)
        for (int64_t i = f->at; i < end; i += VL) {
            int64_t lanes = min64(VL, end - i);
            vreal square[VL];
            for (int l = 0; l < VL; l++)
                square[l] = feature_word(kept, w, f, q + l, i, lanes, rows, masks);
            if (q < w->whole) {
                vtranspose(square);
                for (int64_t l = 0; l < lanes; l++)
                    vstore(packed + (i + l) * A_STEP + q, square[l]);
            } else {
                for (int l = 0; l < VL; l++)
                    vstore_n(w->features + l * w->step + i, square[l], lanes);
            }
        }
}

/* Panel number j of the part as [word][V * VL], and its biases' sums. */
FL_INLINE void pack_words(const word_row *w, int64_t V, int64_t j, const kept_real *dG, int64_t row,
                          real *packed, const block_sum *s, const real *zeros) {
    real *kept = w->gates + j * WORD_BLOCK * PANEL, *to = s->ends ? s->sums : s->begun;
    int64_t words = w->kept + w->of.n;
    memcpy(packed, kept, (size_t)(w->kept * V * VL) * sizeof(real));
    pack_panel_of(V, &w->of, dG, row, packed + w->kept * V * VL,
                  s->begins ? zeros : s->begun + j * PANEL, s->ends ? to + j * PANEL : NULL,
                  to + j * PANEL);
    if (w->keep)
        memcpy(kept, packed + w->whole * V * VL,
               (size_t)((words - w->whole) * V * VL) * sizeof(real));
    else
        memset(packed + words * V * VL, 0, (size_t)((w->whole - words) * V * VL) * sizeof(real));
}

/* Sums of 16 features. */
FL_INLINE void sum_tiles(const int V, int64_t words, const real *a, const real *b, real *sums) {
    begin_tiles(V, 0, sums);
    for (int64_t k = 0; k < words; k += WORD_BLOCK) add_tiles(V, a + k, A_STEP, b + k * V * VL);
    end_tiles(V, sums);
}

static void sum_tiles_of(int64_t V, int64_t words, const real *a, const real *b, real *sums) {
    if (V == 4)
        sum_tiles(4, words, a, b, sums);
    else if (V == 3)
        sum_tiles(3, words, a, b, sums);
    else if (V == 2)
        sum_tiles(2, words, a, b, sums);
    else
        sum_tiles(1, words, a, b, sums);
}

/* Add n packed rows from p0 on, dG [n,dG_row] of which GHp, to the sums. */
static void weight_grad_block(const weight_grad *m, const weight_part *w, const void *ctx,
                              int64_t p0, int64_t n, const kept_real *dG, real *copies,
                              const block_sum *s) {
    int64_t nv = m->G * unit_blocks(m->H), panels = w->p1 - w->p0,
            F = padded_features(w->f1 - w->f0);
    real *a = copies, *b = copies + padded_features(grad_features(m)) * A_STEP;
    word_row row = word_row_of(m, w, ctx, p0, n, s);
    pack_factors(m, w, ctx, p0, n, &row, a);
    block_ahead next = next_block(m, w, ctx, p0 + n, panels * (F / ROW_BLOCK));
    for (int64_t j = 0; j < panels; j++) {
        int64_t V = panel_vectors(nv, m->V, w->p0 + j);
        pack_words(&row, V, j, dG + (w->p0 + j) * m->V * VL, m->dG_row, b, s, m->zeros);
        for (int64_t f = 0; f < F; f += ROW_BLOCK) {
            ask_for_some(&next);
            sum_tiles_of(V, row.whole, a + f * A_STEP, b, s->sums + (panels + j * F + f) * PANEL);
        }
    }
}

#endif
