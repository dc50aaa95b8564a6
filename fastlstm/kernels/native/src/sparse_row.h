/* C = Cin + A B of one row of A that has many zeros, as behind a relu: what they would be
 * multiplied with is not read. With one row a product takes as long as its B takes to come from the
 * second-level cache.
 *
 * What is left out would have added 0: the numbers are those of product.h, if those of B are finite
 * (and but for the sign of a sum that is 0).
 */
#ifndef FL_SPARSE_ROW_H
#define FL_SPARSE_ROW_H

#include "product.h"

#if FL_WORD == 1
enum { SPARSE_K = 512 }; /* numbers of A at a time; C rests in memory in between */

/* Where the first K numbers of a row are not 0; returns how many are. */
FL_INLINE int64_t find_nonzero(const real *a, int64_t K, int32_t *at) {
    int64_t n = 0;
    for (int64_t k = 0; k < K; k++) {
        at[n] = (int32_t)k;
        n += a[k] != 0;
    }
    return n;
}

FL_INLINE void sparse_tile(const int Q, const int V, const real *a, const int32_t *at, int64_t n,
                           const real *b, int64_t b_panel, const real *cin, int64_t cin_panel,
                           real *c, int64_t c_panel) {
    vreal acc[4][FL_PANEL];
#pragma GCC unroll 4
    for (int q = 0; q < Q; q++)
#pragma GCC unroll 4
        for (int v = 0; v < V; v++) acc[q][v] = vload(cin + q * cin_panel + v * VL);
    for (int64_t j = 0; j < n; j++) {
        const real *bk = b + at[j] * (V * VL);
        vreal s = vset1(a[at[j]]);
#pragma GCC unroll 4
        for (int q = 0; q < Q; q++)
#pragma GCC unroll 4
            for (int v = 0; v < V; v++)
                acc[q][v] = vfma(s, vload(bk + q * b_panel + v * VL), acc[q][v]);
    }
#pragma GCC unroll 4
    for (int q = 0; q < Q; q++)
#pragma GCC unroll 4
        for (int v = 0; v < V; v++) vstore(c + q * c_panel + v * VL, acc[q][v]);
}

#define SPARSE_ARGS                                                                                \
    const real *a, const int32_t *at, int64_t n, const real *b, int64_t b_panel, const real *cin,  \
        int64_t cin_panel, real *c, int64_t c_panel
#define SPARSE_TILE(Q, V)                                                                          \
    static void sparse_##Q##_##V(SPARSE_ARGS) {                                                    \
        sparse_tile(Q, V, a, at, n, b, b_panel, cin, cin_panel, c, c_panel);                       \
    }
typedef void (*sparse_fn)(SPARSE_ARGS);

/* One panel, and as many as FEW takes of one row. */
#if FL_BYTES == 64 || defined(__aarch64__)
#define SPARSE_TILES(V) SPARSE_TILE(1, V) SPARSE_TILE(4, V)
#define SPARSE_FEW {sparse_4_1, sparse_4_2, sparse_4_3, sparse_4_4}
#else
#define SPARSE_TILES(V) SPARSE_TILE(1, V) SPARSE_TILE(2, V)
#define SPARSE_FEW {sparse_2_1, sparse_2_2, sparse_2_3, sparse_2_4}
#endif
SPARSE_TILES(1)
SPARSE_TILES(2)
SPARSE_TILES(3)
SPARSE_TILES(4)
static const sparse_fn SPARSE[2][FL_PANEL] = {{sparse_1_1, sparse_1_2, sparse_1_3, sparse_1_4},
                                              SPARSE_FEW};

/* A product of one row; each panel of C has its own place. */
static void sparse_product(const product *m) {
    int32_t at[SPARSE_K + 1];
    int64_t Q = FEW_PANELS[0], full = m->nv / m->V;
    for (int64_t k = 0; k < m->K; k += SPARSE_K) {
        const real *a = m->a[0] + k, *cin = k ? m->c[0] : m->cin[0];
        int64_t cin_panel = k ? m->c_panel : m->cin_panel, size = panel_size(m);
        int64_t n = find_nonzero(a, min64(SPARSE_K, m->K - k), at);
        for (int64_t p = m->p0, q; p < m->p1; p += q) {
            int64_t V = panel_vectors(m->nv, m->V, p);
            q = p + Q <= min64(m->p1, full) ? Q : 1;
            SPARSE[q > 1][V - 1](a, at, n, m->b + p * size + k * V * VL, size, cin + p * cin_panel,
                                 cin_panel, m->c[0] + p * m->c_panel, m->c_panel);
        }
    }
}
#endif

#endif
