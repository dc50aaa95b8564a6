/* Weights to and from the order in which the kernels read them.
 *
 * Units stand in blocks of VL; a block's gates stand side by side, so that one pass over a row
 * of A feeds all gates of the block:
 *     gate order     [GH,K]  ->  [panel of V vectors][K][V][VL],  vectors in order of blocks, then
 *                                of gates: V is G, or 4 blocks of a cell with one gate
 *     column order   [GH,K]  ->  [panel of columns][GHp][PANEL]   (products with the transpose)
 * Units from H to Hp are zero and stay zero.
 */
#ifndef FL_PACK_H
#define FL_PACK_H

#include "product.h"

FL_INLINE int64_t unit_blocks(int64_t H) { return (H + VL - 1) / VL; }
FL_INLINE int64_t vectors(int64_t n) { return (n + VL - 1) / VL; }

/* A weight [all gates * H, K]: which of its gates, and how they are packed. */
typedef struct {
    int64_t H, K; /* K in numbers */
    int64_t G;    /* gates in a block of the packed order */
    int64_t V;    /* vectors of a panel */
} weight_shape;

FL_INLINE int64_t gates_size(const weight_shape *s) { return s->G * unit_blocks(s->H) * VL; }

/* Where vector v of row k stands; *step is the way to row k + 1. */
FL_INLINE real *packed_at(const weight_shape *s, real *packed, int64_t v, int64_t *step) {
    int64_t panel = v / s->V, width = panel_vectors(s->G * unit_blocks(s->H), s->V, panel);
    *step = width * VL;
    return packed + panel * s->V * VL * (words(s->K) + PANEL_TAIL) + (v - panel * s->V) * VL;
}

#if FL_WORD == 1
/* `units` rows of w [.,K] as one vector of each packed row. */
static void pack_block(int64_t units, int64_t K, const real *w, real *to, int64_t step) {
    int64_t k = 0;
    for (; units == VL && k + STRIP <= K; k += STRIP) {
        vreal strip[STRIP];
        vload_strip(w + k, K, strip);
#pragma GCC unroll 16
        for (int i = 0; i < STRIP; i++) vstore(to + (k + i) * step, strip[i]);
    }
    for (int64_t l = 0; l < units; l++)
        for (int64_t i = k; i < K; i++) to[i * step + l] = w[l * K + i];
    for (int64_t i = 0; i < K; i++)
        for (int64_t l = units; l < VL; l++) to[i * step + l] = 0;
}
#else
/* Numbers k..k+STRIP-1 of `units` rows of w [.,K], a vector of units each. */
FL_INLINE void load_units(int64_t units, int64_t K, const real *w, int64_t k, vreal r[STRIP]) {
    if (units == VL && k + STRIP <= K) {
        vload_strip(w + k, K, r);
        return;
    }
    for (int i = 0; i < STRIP; i++)
        for (int l = 0; l < VL; l++) r[i][l] = l < units && k + i < K ? w[l * K + k + i] : 0;
}

#if FL_WORD == 2
/* `units` rows of w [.,K] as one vector of each packed row. */
static void pack_block(int64_t units, int64_t K, const real *w, real *to, int64_t step) {
    vreal r[STRIP];
    int64_t end = words(K) * WORD;
    for (int64_t k = 0; k < end; k += STRIP) {
        load_units(units, K, w, k, r);
        for (int i = 0; i < STRIP && k + i < end; i += 2)
            vstore(to + (k + i) / 2 * step, word_of(r[i], r[i + 1]));
    }
}
#else
/* `units` rows of w [.,K] as one vector of each packed row, and of the two behind those. */
static void pack_block(int64_t units, int64_t K, const real *w, real *to, int64_t step) {
    vreal r[STRIP], m = {0};
    for (int64_t k = 0; k < K; k += STRIP) {
        load_units(units, K, w, k, r);
        for (int i = 0; i < STRIP; i++) m = vmax(vabs(r[i]), m);
    }
    vreal levels = levels_per(m);
    vuint sum = {0}; /* of weights that are no numbers it may wrap */
    int64_t end = words(K) * WORD;
    for (int64_t k = 0; k < end; k += STRIP) {
        load_units(units, K, w, k, r);
        for (int i = 0; i < STRIP && k + i < end; i += 4) {
            vint word = {0};
            for (int g = 0; g < 4; g++) {
                vint q = nearest(r[i + g] * levels);
                sum += (vuint)q;
                word |= (q & 255) << 8 * g;
            }
            vstore(to + (k + i) / 4 * step, (vreal)word);
        }
    }
    /* This may overflow and wrap. So may the sums that start from it, but their ends fit in 32
     * bits: they wrap back. */
    vstore(to + words(K) * step, (vreal)(sum * -128u));
    vstore(to + (words(K) + 1) * step, scale_of(m));
}
#endif
#endif

/* Blocks j0..j1-1 of the gates of w. Each function packs a part, so that threads can share it. */
static void pack_gates(const weight_shape *s, const real *w, real *packed, int64_t j0, int64_t j1) {
    for (int64_t j = j0; j < j1; j++)
        for (int64_t g = 0, step; g < s->G; g++) {
            real *to = packed_at(s, packed, j * s->G + g, &step);
            pack_block(min64(VL, s->H - j * VL), s->K, w + (g * s->H + j * VL) * s->K, to, step);
        }
}

/* b1 + b2, either NULL for zero, in gate order [Hp/VL][G][VL]. */
static void pack_bias(int64_t H, int64_t G, const real *b1, const real *b2, real *packed,
                      int64_t j0, int64_t j1) {
    for (int64_t j = j0; j < j1; j++)
        for (int64_t g = 0; g < G; g++) {
            int64_t at = g * H + j * VL, lanes = min64(VL, H - j * VL);
            vreal sum = {0};
            if (b1) sum += vload_n(b1 + at, lanes);
            if (b2) sum += vload_n(b2 + at, lanes);
            vstore(packed + (j * G + g) * VL, sum);
        }
}

FL_INLINE int64_t columns_size(int64_t H, int64_t G, int64_t K) {
    return words(G * unit_blocks(H) * VL) * vectors(K) * VL;
}

#if FL_BACKWARD /* products with the transpose */
/* Row m of the packed order: its columns in a panel, or NULL where that is zero. */
FL_INLINE const real *row_of_columns(int64_t H, int64_t G, int64_t g1, int64_t K, const real *w,
                                     int64_t m) {
    int64_t block = G * VL, unit = m / block * VL + m % VL, g = m % block / VL;
    return unit < H && g < g1 ? w + (g * H + unit) * K : NULL;
}

/* Words of the rows from m on, one of each column. */
FL_INLINE void pack_columns_word(const real *const *row, int64_t columns, int64_t width, real *to) {
#if FL_WORD == 1
    int64_t some = row[0] ? columns : 0;
    if (some) memcpy(to, row[0], (size_t)some * sizeof(real));
    memset(to + some, 0, (size_t)(width - some) * sizeof(real));
#else
    for (int64_t c = 0; c < width; c += VL) {
        vreal r[2] = {{0}, {0}};
        for (int i = 0; i < 2; i++)
            if (row[i] && c < columns) r[i] = vload_n(row[i] + c, min64(VL, columns - c));
        vstore(to + c, word_of(r[0], r[1]));
    }
#endif
}

/* The rows of blocks j0..j1-1, in every panel; gates from g1 on read as zero. */
static void pack_columns(int64_t H, int64_t G, int64_t g1, int64_t K, const real *w, real *packed,
                         int64_t j0, int64_t j1) {
    int64_t block = G * VL, rows = words(unit_blocks(H) * block), nv = vectors(K);
    int64_t end = j1 == unit_blocks(H) ? rows * WORD : j1 * block;
    for (int64_t p = 0; p * FL_PANEL < nv; p++) {
        int64_t width = panel_vectors(nv, FL_PANEL, p) * VL;
        int64_t columns = min64(width, K - p * PANEL);
        for (int64_t m = j0 * block; m < end; m += WORD) {
            const real *row[2] = {NULL, NULL};
            for (int i = 0; i < WORD; i++) {
                row[i] = row_of_columns(H, G, g1, K, w, m + i);
                if (row[i]) row[i] += p * PANEL;
            }
            pack_columns_word(row, columns, width, packed + m / WORD * width);
        }
        packed += rows * width;
    }
}
#endif

#endif
