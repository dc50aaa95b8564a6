/* Weights to and from the order in which the kernels read them.
 *
 * Units stand in blocks of VL; a block's gates stand side by side, so that one pass over a row
 * of A feeds all gates of the block:
 *     gate order     [4H,K]  ->  [Hp/VL][K][4][VL]     (gate products; also their gradients)
 *     column order   [4H,K]  ->  [panel of columns][4Hp][PANEL]   (products with the transpose)
 * Units from H to Hp are zero and stay zero.
 */
#ifndef FL_PACK_H
#define FL_PACK_H

#include "product.h"

enum { GATES = 4 };

FL_INLINE int64_t unit_blocks(int64_t H) { return (H + VL - 1) / VL; }
FL_INLINE int64_t vectors(int64_t n) { return (n + VL - 1) / VL; }
FL_INLINE int64_t min64(int64_t a, int64_t b) { return a < b ? a : b; }
FL_INLINE int64_t max64(int64_t a, int64_t b) { return a > b ? a : b; }

/* Blocks j0..j1-1. Each function packs a part, so that threads can share the work. */
static void pack_gates(int64_t H, int64_t K, const real *w, real *packed, int64_t j0, int64_t j1) {
    for (int64_t j = j0; j < j1; j++)
        for (int64_t g = 0; g < GATES; g++) {
            int64_t units = min64(VL, H - j * VL);
            const real *from = w + (g * H + j * VL) * K;
            real *to = packed + j * K * PANEL + g * VL;
            int64_t k = 0;
            for (; units == VL && k + VL <= K; k += VL) {
                vreal square[VL];
                for (int l = 0; l < VL; l++) square[l] = vload(from + l * K + k);
                vtranspose(square);
                for (int i = 0; i < VL; i++) vstore(to + (k + i) * PANEL, square[i]);
            }
            for (int64_t l = 0; l < units; l++)
                for (int64_t i = k; i < K; i++) to[i * PANEL + l] = from[l * K + i];
            for (int64_t i = 0; i < K; i++)
                for (int64_t l = units; l < VL; l++) to[i * PANEL + l] = 0;
        }
}

/* b_ih + b_hh in gate order, [Hp/VL][4][VL]. */
static void pack_bias(int64_t H, const real *b_ih, const real *b_hh, real *packed, int64_t j0,
                      int64_t j1) {
    for (int64_t j = j0; j < j1; j++)
        for (int64_t g = 0; g < GATES; g++)
            for (int64_t l = 0; l < VL; l++) {
                int64_t u = j * VL + l;
                real sum = 0;
                if (u < H && b_ih) sum += b_ih[g * H + u];
                if (u < H && b_hh) sum += b_hh[g * H + u];
                packed[(j * GATES + g) * VL + l] = sum;
            }
}

FL_INLINE int64_t packed_columns_size(int64_t H, int64_t K) {
    return GATES * unit_blocks(H) * VL * vectors(K) * VL;
}

/* The rows of blocks j0..j1-1, in every panel. */
static void pack_columns(int64_t H, int64_t K, const real *w, real *packed, int64_t j0,
                         int64_t j1) {
    int64_t rows = unit_blocks(H) * PANEL, nv = vectors(K);
    for (int64_t p = 0; p * FL_PANEL < nv; p++) {
        int64_t width = panel_vectors(nv, p) * VL, columns = min64(width, K - p * PANEL);
        for (int64_t m = j0 * PANEL; m < j1 * PANEL; m++) {
            int64_t unit = m / PANEL * VL + m % VL, g = m % PANEL / VL, c = 0;
            real *to = packed + m * width;
            if (unit < H)
                for (; c < columns; c++) to[c] = w[(g * H + unit) * K + p * PANEL + c];
            for (; c < width; c++) to[c] = 0;
        }
        packed += rows * width;
    }
}

#endif
