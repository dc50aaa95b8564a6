/* C = Cin + A B for a few rows against a packed B: every product of the engine.
 *
 * B is packed in panels of V vectors, 1 to FL_PANEL: [panel][K][V * VL], the last one perhaps
 * narrower. A tile keeps R rows x Q panels of C in registers while it walks K. Each element of C
 * is one chain of fused multiply-adds in the order of K, whatever the tile, the blocking of K
 * (C rests in memory between blocks) or the thread: equal inputs give equal bits.
 *
 * A large B is asked for a block ahead: on a quiet machine that is worth nothing, with the other
 * core at work on as large a net 13 % of (64,50,1024,1024).
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
 *   the input's products a tile at a time, just before those of h that go on from them: the same
 *   asking for what a tile starts from a block of rows before: the same
 */
#ifndef FL_PRODUCT_H
#define FL_PRODUCT_H

#include "operand.h"

#if FL_BYTES == 64 || defined(__aarch64__)
enum { MAX_FEW = 3, MAX_ROWS = 8, ROWS_OF_4 = 6 }; /* 6 x 4 or 8 x 3 of 32 registers accumulate */
#elif FL_BYTES == 32
enum { MAX_FEW = 1, MAX_ROWS = 4, ROWS_OF_4 = 3 }; /* 3 x 4 or 4 x 3 of 16 */
#else
enum {
    MAX_FEW = 1,
    MAX_ROWS = 2,
    ROWS_OF_4 = 2
}; /* 2 x 4 of 16: a multiply-add not fused needs a register */
#endif

enum { FL_PANEL = 4, PANEL = FL_PANEL * VL };            /* the widest */
enum { K_BLOCK = 131072 / (PANEL * (int)sizeof(real)) }; /* 128 KiB of a panel stay in L2 */

enum { BY_ROWS = 640 << 10 }; /* bytes of B that a second-level cache keeps beside the rest */

/* One product: rows 0..n-1, panels p0..p1-1 of nv vectors in all. */
typedef struct {
    int64_t n, K;         /* K in words */
    const real *const *a; /* [n] rows of A */
    const real *b;        /* packed */
    int64_t nv;           /* vectors in a row of B */
    int64_t V;            /* of them in a panel */
    int64_t p0, p1;
    const real *const *cin;     /* [n] rows to start from */
    real *const *c;             /* [n] rows to write; may be those of cin */
    int64_t cin_panel, c_panel; /* from one panel of a row to the next, or 0 */
    int panels_first;           /* all rows over a panel before the next, though B fits */
    int down;                   /* panels from last to first */
} product;

/* Panel number i in the order of the product. A weight too large for a cache is walked up and down
 * in turn: what the last walk left in the cache comes first in this one. */
FL_INLINE int64_t nth_panel(const product *m, int64_t i) {
    return m->down ? m->p1 - 1 - i : m->p0 + i;
}

/* Called when rows r..r+R-1 of a panel, at most MAX_ROWS, are complete. */
typedef void (*product_done)(void *ctx, int64_t row, int64_t R, int64_t panel);

/* Vectors of a panel: fewer than V in the last, perhaps. */
FL_INLINE int64_t panel_vectors(int64_t nv, int64_t V, int64_t panel) {
    int64_t left = nv - panel * V;
    return left < V ? left : V;
}

/* Words of a full panel of B. */
FL_INLINE int64_t panel_size(const product *m) { return m->V * VL * (m->K + PANEL_TAIL); }

/* TILES_n: those of 1 to n rows. MAKE is TILE or, in weight_grad.h, SUM_TILE. */
#define TILES_2(MAKE, V) MAKE(1, 1, V) MAKE(2, 1, V)
#define TILES_3(MAKE, V) TILES_2(MAKE, V) MAKE(3, 1, V)
#define TILES_4(MAKE, V) TILES_3(MAKE, V) MAKE(4, 1, V)
#define TILES_6(MAKE, V) TILES_4(MAKE, V) MAKE(5, 1, V) MAKE(6, 1, V)
#define TILES_8(MAKE, V) TILES_6(MAKE, V) MAKE(7, 1, V) MAKE(8, 1, V)
#define NAMES_2(NAME, V) NAME##_1_1_##V, NAME##_2_1_##V
#define NAMES_3(NAME, V) NAMES_2(NAME, V), NAME##_3_1_##V
#define NAMES_4(NAME, V) NAMES_3(NAME, V), NAME##_4_1_##V
#define NAMES_6(NAME, V) NAMES_4(NAME, V), NAME##_5_1_##V, NAME##_6_1_##V
#define NAMES_8(NAME, V) NAMES_6(NAME, V), NAME##_7_1_##V, NAME##_8_1_##V

/* Tiles of 1, 2, 3 and 4 vectors. */
#if FL_BYTES == 64 || defined(__aarch64__)
#define ALL_TILES(MAKE) TILES_8(MAKE, 1) TILES_8(MAKE, 2) TILES_8(MAKE, 3) TILES_6(MAKE, 4)
#define ALL_NAMES(NAME)                                                                            \
    {NAMES_8(NAME, 1)}, {NAMES_8(NAME, 2)}, {NAMES_8(NAME, 3)}, { NAMES_6(NAME, 4) }
#elif FL_BYTES == 32
#define ALL_TILES(MAKE) TILES_4(MAKE, 1) TILES_4(MAKE, 2) TILES_4(MAKE, 3) TILES_3(MAKE, 4)
#define ALL_NAMES(NAME)                                                                            \
    {NAMES_4(NAME, 1)}, {NAMES_4(NAME, 2)}, {NAMES_4(NAME, 3)}, { NAMES_3(NAME, 4) }
#else
#define ALL_TILES(MAKE) TILES_2(MAKE, 1) TILES_2(MAKE, 2) TILES_2(MAKE, 3) TILES_2(MAKE, 4)
#define ALL_NAMES(NAME)                                                                            \
    {NAMES_2(NAME, 1)}, {NAMES_2(NAME, 2)}, {NAMES_2(NAME, 3)}, { NAMES_2(NAME, 4) }
#endif
FL_INLINE int64_t tile_rows(int64_t V) { return V == 4 ? ROWS_OF_4 : MAX_ROWS; }

/* By vectors: with tile registers few rows in 8 bits, whose sums are the same. */
#if !defined(FL_AMX) || FL_WORD == 4
/* `ahead` is asked for while the tile is made, an address for each k, ahead_step apart: not by
 * tiles of fewer rows, which have less to do for each k. */
FL_INLINE void tile(const int R, const int Q, const int V, int64_t K, const real *const *a,
                    const real *b, int64_t b_panel, const real *const *cin, int64_t cin_off,
                    int64_t cin_panel, real *const *c, int64_t c_off, int64_t c_panel,
                    const real *ahead, int64_t ahead_step) {
    vreal acc[8][4][FL_PANEL]; /* of constant size, or the compiler keeps it in memory */
    const real *ar[8];
#pragma GCC unroll 8
    for (int r = 0; r < R; r++) {
        ar[r] = a[r];
#pragma GCC unroll 4
        for (int q = 0; q < Q; q++)
#pragma GCC unroll 4
            for (int v = 0; v < V; v++)
                acc[r][q][v] = begin_sum(cin[r] + cin_off + q * cin_panel + v * VL,
                                         b + q * b_panel + (K * V + v) * VL);
    }
    int64_t k = 0;
    do { /* K is at least 1 */
        if (R >= ROWS_OF_4 - 1) __builtin_prefetch(ahead + k * ahead_step, 0, 2);
        vreal bk[4][FL_PANEL];
#pragma GCC unroll 4
        for (int q = 0; q < Q; q++)
#pragma GCC unroll 4
            for (int v = 0; v < V; v++) bk[q][v] = vload(b + q * b_panel + k * (V * VL) + v * VL);
#pragma GCC unroll 8
        for (int r = 0; r < R; r++) {
            vreal s = vword(ar[r] + k);
#pragma GCC unroll 4
            for (int q = 0; q < Q; q++)
#pragma GCC unroll 4
                for (int v = 0; v < V; v++) acc[r][q][v] = vdot(s, bk[q][v], acc[r][q][v]);
        }
    } while (++k < K);
#pragma GCC unroll 4
    for (int q = 0; q < Q; q++) {
        vreal scales[FL_PANEL]; /* read once: for all the compiler knows C may lie over them */
#pragma GCC unroll 4
        for (int v = 0; v < V; v++)
            scales[v] = column_scale(b + q * b_panel + (K * V + v) * VL, V * VL);
#pragma GCC unroll 8
        for (int r = 0; r < R; r++) {
            const real *start = cin[r] + cin_off + q * cin_panel;
            real *to = c[r] + c_off + q * c_panel;
            vreal scale = row_scale(ar[r] + K);
#pragma GCC unroll 4
            for (int v = 0; v < V; v++)
                vstore(to + v * VL, end_sum(acc[r][q][v], start + v * VL, scales[v], scale));
        }
    }
}

#define TILE_ARGS                                                                                  \
    int64_t K, const real *const *a, const real *b, int64_t b_panel, const real *const *cin,       \
        int64_t cin_off, int64_t cin_panel, real *const *c, int64_t c_off, int64_t c_panel,        \
        const real *ahead, int64_t ahead_step
#define TILE(R, Q, V)                                                                              \
    static void tile_##R##_##Q##_##V(TILE_ARGS) {                                                  \
        tile(R, Q, V, K, a, b, b_panel, cin, cin_off, cin_panel, c, c_off, c_panel, ahead,         \
             ahead_step);                                                                          \
    }
typedef void (*tile_fn)(TILE_ARGS);

ALL_TILES(TILE)
static const tile_fn TILES[FL_PANEL][MAX_ROWS] = {ALL_NAMES(tile)};

/* With few rows one panel cannot fill the pipelines: take several at once. */
#if FL_BYTES == 64 || defined(__aarch64__)
#define FEW_TILES(V)                                                                               \
    TILE(1, 4, V)                                                                                  \
    TILE(2, 2, V)                                                                                  \
    TILE(3, 2, V)
#define FEW_NAMES(V) {tile_1_4_##V, tile_2_2_##V, tile_3_2_##V}
static const int FEW_PANELS[MAX_FEW] = {4, 2, 2};
#else
#define FEW_TILES(V) TILE(1, 2, V)
#define FEW_NAMES(V) {tile_1_2_##V}
static const int FEW_PANELS[MAX_FEW] = {2};
#endif
FEW_TILES(1)
FEW_TILES(2)
FEW_TILES(3)
FEW_TILES(4)
static const tile_fn FEW[FL_PANEL][MAX_FEW] = {FEW_NAMES(1), FEW_NAMES(2), FEW_NAMES(3),
                                               FEW_NAMES(4)};

/* Rows r0 .. r0+R-1 of a panel, from k0 to k1. */
FL_INLINE void product_tile(const product *m, int64_t p, int64_t r0, int64_t R, int64_t k0,
                            int64_t k1, const real *ahead, int64_t ahead_step) {
    int64_t V = panel_vectors(m->nv, m->V, p);
    const real *b = m->b + p * panel_size(m) + k0 * V * VL; /* all panels before are full */
    const tile_fn *tiles = TILES[V - 1];
    const real *a[MAX_ROWS];
    for (int64_t r = 0; r < R; r++) a[r] = m->a[r0 + r] + k0;
    if (k0 == 0)
        tiles[R - 1](k1, a, b, 0, m->cin + r0, p * m->cin_panel, 0, m->c + r0, p * m->c_panel, 0,
                     ahead, ahead_step);
    else
        tiles[R - 1](k1 - k0, a, b, 0, (const real *const *)m->c + r0, p * m->c_panel, 0, m->c + r0,
                     p * m->c_panel, 0, ahead, ahead_step);
}

/* B fits a core's second-level cache: it streams past each block of rows, which stays in the
 * first with its part of C. */
FL_INLINE void product_by_rows(const product *m, product_done done, void *ctx) {
    int64_t most = tile_rows(m->V), blocks = (m->n + most - 1) / most;
    for (int64_t i = 0; i < blocks; i++) {
        int64_t r0 = m->n * i / blocks, R = m->n * (i + 1) / blocks - r0;
        for (int64_t p = m->p0; p < m->p1; p++) {
            product_tile(m, p, r0, R, 0, m->K, m->b, 0);
            if (done) done(ctx, r0, R, p);
        }
    }
}

/* The block of B that follows block kb of panel number j; some block after the last. */
FL_INLINE const real *block_after(const product *m, int64_t j, int64_t kb, int64_t k_blocks) {
    int64_t last = m->p1 - m->p0 - 1, more = kb + 1 < k_blocks;
    int64_t p = nth_panel(m, more ? j : min64(j + 1, last));
    int64_t k = more ? m->K * (kb + 1) / k_blocks : 0;
    return m->b + p * panel_size(m) + k * panel_vectors(m->nv, m->V, p) * VL;
}

/* It does not: a block of a panel at a time, all rows over it while it is in the first. The next
 * one comes from the third-level cache meanwhile, some of it with each tile. */
FL_INLINE void product_by_panels(const product *m, int64_t from, product_done done, void *ctx) {
    int64_t most = tile_rows(m->V), blocks = (m->n + most - 1) / most;
    /* sums of integers do not rest in C, which is of `real` */
    int64_t k_blocks = m->n > most && !PANEL_TAIL ? (m->K + K_BLOCK - 1) / K_BLOCK : 1;
    for (int64_t j = from; j < m->p1 - m->p0; j++)
        for (int64_t kb = 0, p = nth_panel(m, j); kb < k_blocks; kb++) {
            int64_t k0 = m->K * kb / k_blocks, k1 = m->K * (kb + 1) / k_blocks;
            const real *next = block_after(m, j, kb, k_blocks);
            int64_t each = m->V * VL / blocks + 1; /* of it, elements for each k of a tile */
            for (int64_t i = 0; i < blocks; i++) {
                int64_t r0 = m->n * i / blocks, R = m->n * (i + 1) / blocks - r0;
                product_tile(m, p, r0, R, k0, k1, next + i * each * (k1 - k0), each);
                if (done && kb == k_blocks - 1) done(ctx, r0, R, p);
            }
        }
}

/* At most MAX_FEW rows, several full panels at a time; returns how many panels that made. */
FL_INLINE int64_t product_of_few(const product *m, product_done done, void *ctx) {
    int64_t Q = FEW_PANELS[m->n - 1], i = 0;
    for (; i + Q <= m->p1 - m->p0; i += Q) {
        int64_t p = m->down ? m->p1 - i - Q : m->p0 + i;
        if (p + Q > m->nv / m->V) break;
        int64_t panel = panel_size(m);
        FEW[m->V - 1][m->n - 1](m->K, m->a, m->b + p * panel, panel, m->cin, p * m->cin_panel,
                                m->cin_panel, m->c, p * m->c_panel, m->c_panel, m->b, 0);
        for (int64_t q = 0; done && q < Q; q++) done(ctx, 0, m->n, p + q);
    }
    return i;
}

/* All rows, but not the panels of few rows that are `made`. Not inlined: a call for each tile costs
 * nothing, a copy for each kind of product 2 KB and compile time. */
static void product_blocks(const product *m, int64_t made, product_done done, void *ctx) {
    int64_t bytes = (m->p1 - m->p0) * m->V * VL * m->K * (int64_t)sizeof(real);
    if (!made && !m->panels_first && bytes <= BY_ROWS)
        product_by_rows(m, done, ctx);
    else
        product_by_panels(m, made, done, ctx);
}

/* With `done` inlined for few rows: a call then costs up to 2 % of a step. */
FL_INLINE void vector_product(const product *m, product_done done, void *ctx) {
    if (m->n < 1) return;
    int64_t made = m->n <= MAX_FEW && m->c_panel ? product_of_few(m, done, ctx) : 0;
    if (made < m->p1 - m->p0) product_blocks(m, made, done, ctx);
}

#endif

#ifdef FL_AMX
#include "tile_product.h"
#else
FL_INLINE void product_run(const product *m, product_done done, void *ctx) {
    vector_product(m, done, ctx);
}
#endif

static void product_only(const product *m) { product_run(m, NULL, NULL); }

#endif
