/* Products of very few rows with a weight as the caller has it, not packed.
 *
 * A weight that serves one or two steps is not worth packing. Forward, C = Cin + A W^T, its squares
 * are turned in registers on their way to the multiply-adds, half of one at a time: more registers
 * would hold more work than the processor can have waiting. Backward, C = Cin + A W, its rows are
 * as they should be. Each element of C is the chain of product.h, so the bits are the same.
 */
#ifndef FL_UNPACKED_H
#define FL_UNPACKED_H

#include "pack.h"

/* Features k..k+n-1 of up to VL units, a vector of units each. */
FL_INLINE void load_edge(int64_t units, int64_t K, const real *w, int64_t n, real square[][VL]) {
    for (int64_t i = 0; i < n; i++)
        for (int64_t l = 0; l < VL; l++) square[i][l] = l < units ? w[l * K + i] : 0;
}

/* R rows x V vectors of C, a panel: the chains of fewer vectors do not cover their latency. */
FL_INLINE void unpacked_tile(const int R, const int V, int64_t K, const real *const *a,
                             const real *const *w, const int64_t *units, const real *const *cin,
                             real *const *c, int64_t at, int64_t c_at) {
    vreal acc[MAX_FEW][FL_PANEL];
#pragma GCC unroll 4
    for (int r = 0; r < R; r++)
#pragma GCC unroll 4
        for (int v = 0; v < V; v++) acc[r][v] = vload(cin[r] + at + v * VL);
    for (int64_t k = 0; k < K; k += VL) {
        int64_t n = min64(VL, K - k);
#pragma GCC unroll 4
        for (int v = 0; v < V; v++) {
            if (n == VL && units[v] == VL) {
#pragma GCC unroll 2
                for (int64_t h = k; h < k + VL; h += STRIP) {
                    vreal strip[STRIP];
                    vload_strip(w[v] + h, K, strip);
#pragma GCC unroll 16
                    for (int i = 0; i < STRIP; i++)
#pragma GCC unroll 4
                        for (int r = 0; r < R; r++)
                            acc[r][v] = vfma(vset1(a[r][h + i]), strip[i], acc[r][v]);
                }
                continue;
            }
            real edge[VL][VL];
            load_edge(units[v], K, w[v] + k, n, edge);
            for (int64_t i = 0; i < n; i++)
#pragma GCC unroll 4
                for (int r = 0; r < R; r++)
                    acc[r][v] = vfma(vset1(a[r][k + i]), vload(edge[i]), acc[r][v]);
        }
    }
#pragma GCC unroll 4
    for (int r = 0; r < R; r++)
#pragma GCC unroll 4
        for (int v = 0; v < V; v++) vstore(c[r] + c_at + v * VL, acc[r][v]);
}

#define UNPACKED_TILE(R, V)                                                                        \
    static void unpacked_tile_##R##_##V(int64_t K, const real *const *a, const real *const *w,     \
                                        const int64_t *units, const real *const *cin,              \
                                        real *const *c, int64_t at, int64_t c_at) {                \
        unpacked_tile(R, V, K, a, w, units, cin, c, at, c_at);                                     \
    }
#define UNPACKED_TILES(R)                                                                          \
    UNPACKED_TILE(R, 1)                                                                            \
    UNPACKED_TILE(R, 2)                                                                            \
    UNPACKED_TILE(R, 3)                                                                            \
    UNPACKED_TILE(R, 4)
#define UNPACKED_NAMES(R)                                                                          \
    {unpacked_tile_##R##_1, unpacked_tile_##R##_2, unpacked_tile_##R##_3, unpacked_tile_##R##_4}
typedef void (*unpacked_fn)(int64_t K, const real *const *a, const real *const *w,
                            const int64_t *units, const real *const *cin, real *const *c,
                            int64_t at, int64_t c_at);
UNPACKED_TILES(1)
#if FL_BYTES == 64 || defined(__aarch64__)
UNPACKED_TILES(2)
UNPACKED_TILES(3)
static const unpacked_fn UNPACKED[MAX_FEW][FL_PANEL] = {UNPACKED_NAMES(1), UNPACKED_NAMES(2),
                                                        UNPACKED_NAMES(3)};
#else
static const unpacked_fn UNPACKED[MAX_FEW][FL_PANEL] = {UNPACKED_NAMES(1)};
#endif

/* So seldom is a weight read in a call of few steps and rows that packing it is slower. */
enum { UNPACKED_STEPS = 2, UNPACKED_ROWS = 2 * MAX_FEW };

/* `m` with its weight [GH,K] in m->b, of a cell with G gates. */
static void unpacked_run(const product *m, int64_t H, int64_t G, product_done done, void *ctx) {
    for (int64_t r = 0; r < m->n; r += MAX_FEW)
        for (int64_t p = m->p0; p < m->p1; p++) {
            int64_t R = min64(MAX_FEW, m->n - r), V = panel_vectors(m->nv, m->V, p);
            const real *w[FL_PANEL];
            int64_t units[FL_PANEL];
            for (int64_t v = 0; v < V; v++) {
                int64_t vector = p * m->V + v, j = vector / G, g = vector % G;
                w[v] = m->b + (g * H + j * VL) * m->K;
                units[v] = min64(VL, H - j * VL);
            }
            UNPACKED[R - 1][V - 1](m->K, m->a + r, w, units, m->cin + r, m->c + r, p * m->cin_panel,
                                   p * m->c_panel);
            if (done) done(ctx, r, R, p);
        }
}

#if FL_BACKWARD
/* R rows x V vectors of columns: a row of W after the other, in the packed order of units. */
FL_INLINE void column_tile(const int R, const int V, const weight_shape *s, int64_t lanes,
                           const real *const *a, const real *w, const real *const *cin,
                           int64_t cin_at, real *const *c, int64_t c_at) {
    vreal acc[MAX_FEW][FL_PANEL];
#pragma GCC unroll 4
    for (int r = 0; r < R; r++)
#pragma GCC unroll 4
        for (int v = 0; v < V; v++) acc[r][v] = vload(cin[r] + cin_at + v * VL);
    for (int64_t j = 0; j < unit_blocks(s->H); j++)
        for (int64_t g = 0; g < s->G; g++) {
            const real *row = w + (g * s->H + j * VL) * s->K;
            int64_t m = (j * s->G + g) * VL, units = min64(VL, s->H - j * VL);
            for (int64_t l = 0; l < units; l++, row += s->K) {
                vreal b[FL_PANEL];
#pragma GCC unroll 4
                for (int v = 0; v < V - 1; v++) b[v] = vload(row + v * VL);
                b[V - 1] = vload_n(row + (V - 1) * VL, lanes);
#pragma GCC unroll 4
                for (int r = 0; r < R; r++) {
                    vreal x = vset1(a[r][m + l]);
#pragma GCC unroll 4
                    for (int v = 0; v < V; v++) acc[r][v] = vfma(x, b[v], acc[r][v]);
                }
            }
        }
#pragma GCC unroll 4
    for (int r = 0; r < R; r++)
#pragma GCC unroll 4
        for (int v = 0; v < V; v++) vstore(c[r] + c_at + v * VL, acc[r][v]);
}

#define COLUMN_ARGS                                                                                \
    const weight_shape *s, int64_t lanes, const real *const *a, const real *w,                     \
        const real *const *cin, int64_t cin_at, real *const *c, int64_t c_at
#define COLUMN_TILE(R, V)                                                                          \
    static void column_tile_##R##_##V(COLUMN_ARGS) {                                               \
        column_tile(R, V, s, lanes, a, w, cin, cin_at, c, c_at);                                   \
    }
#define COLUMN_TILES(R)                                                                            \
    COLUMN_TILE(R, 1)                                                                              \
    COLUMN_TILE(R, 2)                                                                              \
    COLUMN_TILE(R, 3)                                                                              \
    COLUMN_TILE(R, 4)
#define COLUMN_NAMES(R)                                                                            \
    {column_tile_##R##_1, column_tile_##R##_2, column_tile_##R##_3, column_tile_##R##_4}
typedef void (*column_fn)(COLUMN_ARGS);
COLUMN_TILES(1)
#if FL_BYTES == 64 || defined(__aarch64__)
COLUMN_TILES(2)
COLUMN_TILES(3)
static const column_fn COLUMNS[MAX_FEW][FL_PANEL] = {COLUMN_NAMES(1), COLUMN_NAMES(2),
                                                     COLUMN_NAMES(3)};
#else
static const column_fn COLUMNS[MAX_FEW][FL_PANEL] = {COLUMN_NAMES(1)};
#endif

/* `m` with its weight [GH,K] of shape s in m->b, where a packed one would be in column order. */
static void unpacked_columns_run(const product *m, const weight_shape *s, product_done done,
                                 void *ctx) {
    for (int64_t r = 0; r < m->n; r += MAX_FEW)
        for (int64_t p = m->p0; p < m->p1; p++) {
            int64_t R = min64(MAX_FEW, m->n - r), V = panel_vectors(m->nv, m->V, p);
            int64_t lanes = min64(VL, s->K - p * PANEL - (V - 1) * VL);
            COLUMNS[R - 1][V - 1](s, lanes, m->a + r, m->b + p * PANEL, m->cin + r,
                                  p * m->cin_panel, m->c + r, p * m->c_panel);
            if (done) done(ctx, r, R, p);
        }
}
#endif

#endif
