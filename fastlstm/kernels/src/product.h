/* C = Cin + A B for a few rows against a packed B: every product of the engine.
 *
 * B is packed in panels of FL_PANEL vectors: [panel][K][FL_PANEL * VL], the last one perhaps
 * narrower. A tile keeps R rows x Q panels of C in registers while it walks K. Each element of C
 * is one chain of fused multiply-adds in the order of K, whatever the tile, the blocking of K
 * (C rests in memory between blocks) or the thread: equal inputs give equal bits.
 *
 * Tried and dropped (one core of a Zen 5 with 240 GFLOP/s, f32, AVX-512):
 *   arrays of accumulators sized by a parameter: gcc keeps them in memory, 2.6 times slower
 *   panels outside and rows inside for a B that fits L2: (64,200,128,128) 18.5 for 17.0 ms forward,
 *     66 for 57 with backward; 32 KiB blocks of K: (16,50,512,512) 62 for 53
 *   prefetching B 4 KiB ahead in every tile: 2 to 5 % slower; one row with one panel at a time,
 *     with or without it: (1,200,128,128) 0.65 and 0.72 for 0.52 ms, too few chains for the latency
 *   one row's product interleaved with a tile of 5 or 6 rows of the next steps' input products, to
 * use the multiply-adds that wait for the second-level cache: 2.7 us a step for 1.6 + 0.57 apart
 *   blocks of 256 packed rows in weight_grad.h: (64,200,128,128) 63 for 57
 */
#ifndef FL_PRODUCT_H
#define FL_PRODUCT_H

#include "vec.h"

#if FL_BYTES == 64 || defined(__aarch64__)
enum { MAX_ROWS = 6 }; /* 6 x 4 of 32 registers accumulate */
#elif FL_BYTES == 32
enum { MAX_ROWS = 3 }; /* 3 x 4 of 16 */
#else
enum { MAX_ROWS = 2 }; /* 2 x 4 of 16: without fused multiply-add the product needs its own */
#endif

enum { FL_PANEL = 4, PANEL = FL_PANEL * VL };
enum { K_BLOCK = 131072 / (PANEL * (int)sizeof(real)) }; /* 128 KiB of a panel stay in L2 */

enum { BY_ROWS = 640 << 10 }; /* bytes of B that a second-level cache keeps beside the rest */

/* One product: rows 0..n-1, panels p0..p1-1 of nv vectors in all. */
typedef struct {
    int64_t n, K;
    const real *const *a; /* [n] rows of A */
    int64_t a_step;       /* from one k to the next: 1, or the width of a packed A */
    const real *b;        /* packed */
    int64_t nv;           /* vectors in a row of B */
    int64_t p0, p1;
    const real *const *cin;     /* [n] rows to start from */
    real *const *c;             /* [n] rows to write; may be those of cin */
    int64_t cin_panel, c_panel; /* from one panel of a row to the next: PANEL, or 0 */
    int down;                   /* panels from last to first */
} product;

/* Panel number i in the order of the product. A weight too large for a cache is walked up and down
 * in turn: what the last walk left in the cache comes first in this one. */
FL_INLINE int64_t nth_panel(const product *m, int64_t i) {
    return m->down ? m->p1 - 1 - i : m->p0 + i;
}

/* Called when rows r..r+R-1 of a panel are complete. */
typedef void (*product_done)(void *ctx, int64_t row, int64_t R, int64_t panel);

FL_INLINE void tile(const int R, const int Q, const int V, const int64_t a_step, int64_t K,
                    const real *const *a, const real *b, int64_t b_panel, const real *const *cin,
                    int64_t cin_off, int64_t cin_panel, real *const *c, int64_t c_off,
                    int64_t c_panel) {
    vreal acc[6][4][FL_PANEL]; /* of constant size, or the compiler keeps it in memory */
    const real *ar[6];
#pragma GCC unroll 8
    for (int r = 0; r < R; r++) {
        ar[r] = a[r];
#pragma GCC unroll 4
        for (int q = 0; q < Q; q++)
#pragma GCC unroll 4
            for (int v = 0; v < V; v++)
                acc[r][q][v] = vload(cin[r] + cin_off + q * cin_panel + v * VL);
    }
    int64_t k = 0;
    do { /* K is at least 1 */
        vreal bk[4][FL_PANEL];
#pragma GCC unroll 4
        for (int q = 0; q < Q; q++)
#pragma GCC unroll 4
            for (int v = 0; v < V; v++) bk[q][v] = vload(b + q * b_panel + k * (V * VL) + v * VL);
#pragma GCC unroll 8
        for (int r = 0; r < R; r++) {
            vreal s = vset1(ar[r][k * a_step]);
#pragma GCC unroll 4
            for (int q = 0; q < Q; q++)
#pragma GCC unroll 4
                for (int v = 0; v < V; v++) acc[r][q][v] = vfma(s, bk[q][v], acc[r][q][v]);
        }
    } while (++k < K);
#pragma GCC unroll 8
    for (int r = 0; r < R; r++)
#pragma GCC unroll 4
        for (int q = 0; q < Q; q++)
#pragma GCC unroll 4
            for (int v = 0; v < V; v++) vstore(c[r] + c_off + q * c_panel + v * VL, acc[r][q][v]);
}

#define TILE_ARGS                                                                                  \
    int64_t K, const real *const *a, const real *b, int64_t b_panel, const real *const *cin,       \
        int64_t cin_off, int64_t cin_panel, real *const *c, int64_t c_off, int64_t c_panel
#define TILE(R, Q, V, S)                                                                           \
    static void tile_##R##_##Q##_##V##_##S(TILE_ARGS) {                                            \
        tile(R, Q, V, S, K, a, b, b_panel, cin, cin_off, cin_panel, c, c_off, c_panel);            \
    }
typedef void (*tile_fn)(TILE_ARGS);

#if FL_BYTES == 64 || defined(__aarch64__)
#define FOR_ROWS(Q, V, S)                                                                          \
    TILE(1, Q, V, S)                                                                               \
    TILE(2, Q, V, S)                                                                               \
    TILE(3, Q, V, S)                                                                               \
    TILE(4, Q, V, S)                                                                               \
    TILE(5, Q, V, S)                                                                               \
    TILE(6, Q, V, S)
#define ROWS(Q, V, S)                                                                              \
    {tile_1_##Q##_##V##_##S, tile_2_##Q##_##V##_##S, tile_3_##Q##_##V##_##S,                       \
     tile_4_##Q##_##V##_##S, tile_5_##Q##_##V##_##S, tile_6_##Q##_##V##_##S}
#elif FL_BYTES == 32
#define FOR_ROWS(Q, V, S)                                                                          \
    TILE(1, Q, V, S)                                                                               \
    TILE(2, Q, V, S)                                                                               \
    TILE(3, Q, V, S)
#define ROWS(Q, V, S) {tile_1_##Q##_##V##_##S, tile_2_##Q##_##V##_##S, tile_3_##Q##_##V##_##S}
#else
#define FOR_ROWS(Q, V, S)                                                                          \
    TILE(1, Q, V, S)                                                                               \
    TILE(2, Q, V, S)
#define ROWS(Q, V, S) {tile_1_##Q##_##V##_##S, tile_2_##Q##_##V##_##S}
#endif

FOR_ROWS(1, 1, 1)
FOR_ROWS(1, 2, 1)
FOR_ROWS(1, 3, 1)
FOR_ROWS(1, 4, 1)
FOR_ROWS(1, 1, 6)
FOR_ROWS(1, 2, 6)
FOR_ROWS(1, 3, 6)
FOR_ROWS(1, 4, 6)
static const tile_fn TILES[FL_PANEL][MAX_ROWS] = {ROWS(1, 1, 1), ROWS(1, 2, 1), ROWS(1, 3, 1),
                                                  ROWS(1, 4, 1)};
static const tile_fn TILES_OF_PACKED_A[FL_PANEL][MAX_ROWS] = {ROWS(1, 1, 6), ROWS(1, 2, 6),
                                                              ROWS(1, 3, 6), ROWS(1, 4, 6)};
enum { A_WIDTH = 6 }; /* of a packed A: [K][A_WIDTH] */

/* With few rows one panel cannot fill the pipelines: take several at once. */
#if FL_BYTES == 64 || defined(__aarch64__)
enum { MAX_FEW = 3 };
TILE(1, 4, 4, 1)
TILE(2, 2, 4, 1)
TILE(3, 2, 4, 1)
static const tile_fn FEW[MAX_FEW] = {tile_1_4_4_1, tile_2_2_4_1, tile_3_2_4_1};
static const int FEW_PANELS[MAX_FEW] = {4, 2, 2};
#else
enum { MAX_FEW = 1 };
TILE(1, 2, 4, 1)
static const tile_fn FEW[MAX_FEW] = {tile_1_2_4_1};
static const int FEW_PANELS[MAX_FEW] = {2};
#endif

FL_INLINE int64_t panel_vectors(int64_t nv, int64_t panel) {
    int64_t left = nv - panel * FL_PANEL;
    return left < FL_PANEL ? left : FL_PANEL;
}

/* Rows r0 .. r0+R-1 of a panel, from k0 to k1. */
FL_INLINE void product_tile(const product *m, int64_t p, int64_t r0, int64_t R, int64_t k0,
                            int64_t k1) {
    int64_t V = panel_vectors(m->nv, p);
    const real *b = m->b + p * PANEL * m->K + k0 * V * VL; /* all panels before are full */
    const tile_fn *tiles = m->a_step == 1 ? TILES[V - 1] : TILES_OF_PACKED_A[V - 1];
    const real *a[MAX_ROWS];
    for (int64_t r = 0; r < R; r++) a[r] = m->a[r0 + r] + k0 * m->a_step;
    if (k0 == 0)
        tiles[R - 1](k1, a, b, 0, m->cin + r0, p * m->cin_panel, 0, m->c + r0, p * m->c_panel, 0);
    else
        tiles[R - 1](k1 - k0, a, b, 0, (const real *const *)m->c + r0, p * m->c_panel, 0, m->c + r0,
                     p * m->c_panel, 0);
}

/* B fits a core's second-level cache: it streams past each block of rows, which stays in the
 * first with its part of C. */
FL_INLINE void product_by_rows(const product *m, product_done done, void *ctx) {
    int64_t blocks = (m->n + MAX_ROWS - 1) / MAX_ROWS;
    for (int64_t i = 0; i < blocks; i++) {
        int64_t r0 = m->n * i / blocks, R = m->n * (i + 1) / blocks - r0;
        for (int64_t p = m->p0; p < m->p1; p++) {
            product_tile(m, p, r0, R, 0, m->K);
            if (done) done(ctx, r0, R, p);
        }
    }
}

/* It does not: a block of a panel at a time, all rows over it while it is in the first. */
FL_INLINE void product_by_panels(const product *m, int64_t from, product_done done, void *ctx) {
    int64_t blocks = (m->n + MAX_ROWS - 1) / MAX_ROWS;
    int64_t k_blocks = m->n > MAX_ROWS ? (m->K + K_BLOCK - 1) / K_BLOCK : 1;
    for (int64_t j = from; j < m->p1 - m->p0; j++)
        for (int64_t kb = 0, p = nth_panel(m, j); kb < k_blocks; kb++) {
            int64_t k0 = m->K * kb / k_blocks, k1 = m->K * (kb + 1) / k_blocks;
            for (int64_t i = 0; i < blocks; i++) {
                int64_t r0 = m->n * i / blocks, R = m->n * (i + 1) / blocks - r0;
                product_tile(m, p, r0, R, k0, k1);
                if (done && kb == k_blocks - 1) done(ctx, r0, R, p);
            }
        }
}

/* At most MAX_FEW rows, several full panels at a time; returns how many panels that made. */
FL_INLINE int64_t product_of_few(const product *m, product_done done, void *ctx) {
    int64_t Q = FEW_PANELS[m->n - 1], i = 0;
    for (; i + Q <= m->p1 - m->p0; i += Q) {
        int64_t p = m->down ? m->p1 - i - Q : m->p0 + i;
        if (p + Q > m->nv / FL_PANEL) break;
        FEW[m->n - 1](m->K, m->a, m->b + p * PANEL * m->K, PANEL * m->K, m->cin, p * m->cin_panel,
                      m->cin_panel, m->c, p * m->c_panel, m->c_panel);
        for (int64_t q = 0; done && q < Q; q++) done(ctx, 0, m->n, p + q);
    }
    return i;
}

FL_INLINE void product_run(const product *m, product_done done, void *ctx) {
    if (m->n < 1) return;
    int64_t made = 0;
    if (m->n <= MAX_FEW && m->a_step == 1 && m->c_panel) made = product_of_few(m, done, ctx);
    if (!made && m->c_panel && (m->p1 - m->p0) * PANEL * m->K * (int64_t)sizeof(real) <= BY_ROWS)
        product_by_rows(m, done, ctx);
    else
        product_by_panels(m, made, done, ctx);
}

#endif
