/* The products of product.h by tile registers.
 *
 * Of a panel a block of K that stays in the first-level cache meets 16 rows after the other. Sums
 * begin at zero, rest in memory between blocks of K, and are added to what C starts from at the
 * end. Rows of A are a constant step apart; beyond the last one there is room for 15 more, which
 * nobody reads the sums of.
 *
 * In between go the ends of the rows before, and with them the maths of gates, MAX_ROWS at a time.
 * 16 units of a row, H = 128, 64 rows of one core of a Sapphire Rapids, took 107 cycles so, 40 of
 * them for products alone and 57 for gates alone.
 *
 * Tried and dropped:
 *   4 rows in each of 4 places in between: 119 cycles; all 16 in one place: 146 to 152
 *   asking for what rows start from, their cells and outputs, 8 rows ahead: the same
 *   asking for the next block of a panel while this one is at work: 123 cycles for 109
 *   the input's products of several steps at a time, (64,200,128,128): 5 % slower
 */
#ifndef FL_TILE_PRODUCT_H
#define FL_TILE_PRODUCT_H

#include "tiles.h"

enum { TILE_K = 64 };     /* words of a block of K */
enum { TILE_BLOCKS = 4 }; /* blocks of rows that meet it in turn, if there are several */

/* What end_sum makes, of a sum that began at zero and not at `begin`. */
FL_INLINE vreal end_tile_sum(vreal sum, const real *start, vreal begin, vreal column, vreal row) {
#if FL_WORD == 4
    return end_sum((vreal)((vuint)sum + (vuint)begin), start, column, row);
#else
    (void)begin, (void)column, (void)row;
    return vload(start) + sum;
#endif
}

/* Rows r..end-1 of a panel whose sums are complete, but not yet C. */
typedef struct {
    const product *m;
    product_done done;
    void *ctx;
    int64_t p, V, r, end;
    const real *sums; /* of row r */
} summed_rows;

FL_INLINE void end_rows(const int V, const summed_rows *s, int64_t n) {
    const product *m = s->m;
    int64_t c_at = s->p * m->c_panel, cin_at = s->p * m->cin_panel;
    const real *tail = m->b + s->p * panel_size(m) + m->K * V * VL, *sums = s->sums;
    vreal begin[FL_PANEL], scales[FL_PANEL];
#pragma GCC unroll 4
    for (int v = 0; PANEL_TAIL > 0 && v < V; v++) {
        begin[v] = vload(tail + v * VL);
        scales[v] = column_scale(tail + v * VL, V * VL);
    }
    for (int64_t r = s->r; r < s->r + n; r++, sums += PANEL) {
        const real *start = m->cin[r] + cin_at;
        real *to = m->c[r] + c_at;
        vreal scale = row_scale(m->a[r] + m->K);
#pragma GCC unroll 4
        for (int v = 0; v < V; v++)
            vstore(to + v * VL,
                   end_tile_sum(vload(sums + v * VL), start + v * VL, begin[v], scales[v], scale));
    }
}

/* C of up to n of them, at most MAX_ROWS. */
static void end_some(summed_rows *s, int64_t n) {
    n = min64(n, s->end - s->r);
    if (n < 1) return;
    if (s->V == 4)
        end_rows(4, s, n);
    else if (s->V == 3)
        end_rows(3, s, n);
    else if (s->V == 2)
        end_rows(2, s, n);
    else
        end_rows(1, s, n);
    if (s->done) s->done(s->ctx, s->r, n, s->p);
    s->r += n, s->sums += n * PANEL;
}

FL_INLINE void end_all(summed_rows *s) {
    while (s->r < s->end) end_some(s, MAX_ROWS);
}

/* Sums of 16 rows with `words` of a panel, and meanwhile C of the rows before. */
FL_INLINE void tile_sums(const int V, int64_t words, const real *a, int64_t a_step, const real *b,
                         int from_zero, real *sums, summed_rows *before) {
    int64_t steps = words / WORD_BLOCK, every = max64(1, steps / (ROW_BLOCK / MAX_ROWS));
    begin_tiles(V, from_zero, sums);
    for (int64_t k = 0; k < steps; k++) {
        add_tiles(V, a + k * WORD_BLOCK, a_step, b + k * WORD_BLOCK * V * VL);
        if (k % every == 0) end_some(before, MAX_ROWS);
    }
    end_tiles(V, sums);
    end_all(before);
}

/* All rows of a panel, of V vectors, but the end of the last ones. */
FL_INLINE void panel_product(const int V, const product *m, int64_t p, real *sums, int64_t *slot,
                             summed_rows *before) {
    const real *b = m->b + p * panel_size(m);
    int64_t a_step = m->n > 1 ? m->a[1] - m->a[0] : 0;
    int64_t blocks = m->K > TILE_K ? TILE_BLOCKS : 1, slots = blocks + 1;
    for (int64_t g = 0; g < m->n; g += blocks * ROW_BLOCK) {
        int64_t end = min64(m->n, g + blocks * ROW_BLOCK), first = *slot;
        for (int64_t k = 0; k < m->K; k += TILE_K) {
            *slot = first;
            for (int64_t r = g; r < end; r += ROW_BLOCK, *slot = (*slot + 1) % slots) {
                real *at = sums + *slot * ROW_BLOCK * PANEL;
                tile_sums(V, min64(TILE_K, m->K - k), m->a[r] + k, a_step, b + k * V * VL, !k, at,
                          before);
                if (k + TILE_K < m->K) continue;
                before->p = p, before->V = V, before->sums = at;
                before->r = r, before->end = min64(end, r + ROW_BLOCK);
            }
        }
    }
}

#define PANEL_PRODUCT(V)                                                                           \
    static void panel_product_##V(const product *m, int64_t p, real *sums, int64_t *slot,          \
                                  summed_rows *before) {                                           \
        panel_product(V, m, p, sums, slot, before);                                                \
    }
PANEL_PRODUCT(1)
PANEL_PRODUCT(2)
PANEL_PRODUCT(3)
PANEL_PRODUCT(4)

static void tile_product(const product *m, product_done done, void *ctx) {
    static void (*const PANELS[])(const product *, int64_t, real *, int64_t *, summed_rows *) = {
        panel_product_1, panel_product_2, panel_product_3, panel_product_4};
    _Alignas(64) real sums[(TILE_BLOCKS + 1) * ROW_BLOCK * PANEL];
    summed_rows before = {.m = m, .done = done, .ctx = ctx};
    int64_t slot = 0;
    for (int64_t i = 0; m->n > 0 && i < m->p1 - m->p0; i++) {
        int64_t p = nth_panel(m, i);
        PANELS[panel_vectors(m->nv, m->V, p) - 1](m, p, sums, &slot, &before);
    }
    end_all(&before);
}

/* Of few rows most of a tile would be of no use: 4.3 us for 3.0 a step of one row in 8 bits, H =
 * 128. In bfloat16 other instructions make other sums. */
FL_INLINE void product_run(const product *m, product_done done, void *ctx) {
#if FL_WORD == 4
    if (m->n <= MAX_FEW) {
        vector_product(m, done, ctx);
        return;
    }
#endif
    tile_product(m, done, ctx);
}

#endif
