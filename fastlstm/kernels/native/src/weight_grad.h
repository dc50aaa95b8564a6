/* dW += dG^T A, summed over packed rows: the gradients of one or two weights that met rows of A
 * and made the same gates.
 *
 * Turned round so that vectors run along the gates: a product of A^T [F,P] with dG [P,GHp], in
 * blocks of P. Threads divide the panels of gates (or, if there are too few, the features), never
 * P: every element is summed in one order, whatever their number and however P is cut. A sum is of
 * chains of P_BLOCK terms, and after SUM_ROWS of them it is added to the caller's gradient.
 */
#ifndef FL_WEIGHT_GRAD_H
#define FL_WEIGHT_GRAD_H

#include "kept.h"
#include "rows.h"

/* Rows of A and the gradient they belong to. If `kept`, they are of kept numbers. */
typedef struct {
    int64_t F;
    void (*row)(const void *ctx, int64_t p0, int64_t n, const real **rows);
    void (*mask)(const void *ctx, int64_t p0, int64_t n, const real **rows); /* of A, or NULL */
    real *dw;                                                                /* [GH,F], added to */
    int kept;
} weight_factor;

/* How much of a row n features take. */
FL_INLINE int64_t features_size(const weight_factor *f, int64_t n) {
    return f->kept ? kept_size(n) : n;
}

/* How many packed rows each word is of, from p0 on: one or two; returns how many words n rows are.
 * Words of two rows must not depend on where a pass is cut. */
typedef int64_t (*word_rows)(const void *ctx, int64_t p0, int64_t n, uint8_t *rows);

typedef struct {
    int64_t H, G;
    int64_t P;      /* packed rows there are */
    int64_t dG_row; /* from one row of dG to the next */
    word_rows words;
    int64_t g0, g1;      /* gates to add */
    int64_t V;           /* vectors of a panel */
    weight_factor of[2]; /* features of the second follow those of the first; F = 0: none */
    real *db1, *db2;     /* [GH] or NULL, added to */
    const real *zeros;   /* [PANEL] */
} weight_grad;

typedef struct {
    int64_t p0, p1; /* panels of gates */
    int64_t f0, f1; /* features */
    int bias;       /* adds those of its panels */
} weight_part;

FL_INLINE int64_t grad_features(const weight_grad *m) { return m->of[0].F + m->of[1].F; }

/* A factor's features from..to-1 in a part, of which the first is number `at`; perhaps none. */
typedef struct {
    const weight_factor *of;
    int64_t from, to, at;
} factor_part;

FL_INLINE factor_part factor_part_of(const weight_grad *m, const weight_part *w, int which) {
    int64_t begin = which ? m->of[0].F : 0, from = max64(w->f0 - begin, 0);
    return (factor_part){&m->of[which], from, min64(w->f1 - begin, m->of[which].F),
                         begin + from - w->f0};
}

FL_INLINE int64_t grad_panels(const weight_grad *m) {
    return (m->G * unit_blocks(m->H) + m->V - 1) / m->V;
}

/* A thread's part: its own panels, or with too few of those its own features. */
FL_INLINE weight_part weight_part_of(const weight_grad *m, int thread, int threads) {
    int64_t panels = grad_panels(m), F = grad_features(m);
    if (panels < threads)
        return (weight_part){0, panels, part(F, thread, threads), part(F, thread + 1, threads),
                             thread == 0};
    return (weight_part){part(panels, thread, threads), part(panels, thread + 1, threads), 0, F, 1};
}

/* Features of a part, in whole tiles. */
FL_INLINE int64_t padded_features(int64_t F) { return (F + ROW_BLOCK - 1) / ROW_BLOCK * ROW_BLOCK; }

/* Elements for the sums of a part: biases, then weights, by panels. */
FL_INLINE int64_t weight_sums_of(const weight_part *w) {
    return (w->p1 - w->p0) * (padded_features(w->f1 - w->f0) + 1) * PANEL;
}

/* Elements that tiles keep of a block that was cut, in place of its sums: see weight_tiles.h. */
FL_INLINE int64_t kept_words_of(const weight_part *w) {
    int64_t panels = w->p1 - w->p0, F = padded_features(w->f1 - w->f0);
    return WORD_BLOCK == 1 ? 0 : panels * PANEL + WORD_BLOCK * (1 + F + panels * PANEL);
}

/* Those that any thread needs. */
FL_INLINE int64_t weight_sums_size(const weight_grad *m, int threads) {
    int64_t size = 0;
    for (int t = 0; t < threads; t++) {
        weight_part w = weight_part_of(m, t, threads);
        size = max64(size, max64(weight_sums_of(&w), kept_words_of(&w)));
    }
    return size;
}

FL_INLINE void copy_features(int64_t n, const real *row, const real *mask, real *to) {
    if (!mask) {
        memcpy(to, row, (size_t)n * sizeof(real));
        return;
    }
    for (int64_t w = 0; w < n; w++) to[w] = row[w] * mask[w];
}

/* The words of a block of P packed rows. */
typedef struct {
    int64_t P, n;
    uint8_t rows[P_BLOCK]; /* of each word */
} block_words;

FL_INLINE block_words words_of_block(const weight_grad *m, const void *ctx, int64_t p0, int64_t n) {
    block_words w = {.P = n, .n = n};
    if (WORD > 1) w.n = m->words(ctx, p0, n, w.rows);
    return w;
}

#if FL_WORD > 1
/* Features i.. of row p, masked. */
FL_INLINE vreal features_of(const int kept, int64_t p, int64_t i, int64_t lanes,
                            const real *const *rows, const real *const *masks) {
    if (kept) return load_kept_n((const kept_real *)(const void *)rows[p], i, lanes);
    vreal v = vload_n(rows[p] + i, lanes);
    return masks ? v * vload_n(masks[p] + i, lanes) : v;
}

/* Word q of a block, whose rows begin at p, of features i.. */
FL_INLINE vreal word_of_rows(const int kept, const block_words *w, int64_t q, int64_t p, int64_t i,
                             int64_t lanes, const real *const *rows, const real *const *masks) {
    vreal low = features_of(kept, p, i, lanes, rows, masks), high = {0};
    if (w->rows[q] == 2) high = features_of(kept, p + 1, i, lanes, rows, masks);
    return kept ? kept_word(low, high) : word_of(low, high);
}
#endif

/* A block's words, and what packing them takes besides: its own for vectors and for tiles. */
typedef struct word_row word_row;

/* [rows of A][features of a factor] -> words, as they are read for sums. */
FL_INLINE void pack_rows(const int kept, const word_row *w, const factor_part *f,
                         const real *const *rows, const real *const *masks, real *packed);

static void pack_features(const word_row *w, const factor_part *f, const real *const *rows,
                          const real *const *masks, real *packed) {
    if (KEPT_ROUNDED && f->of->kept)
        pack_rows(1, w, f, rows, NULL, packed);
    else
        pack_rows(0, w, f, rows, masks, packed);
}

/* Both factors' rows, side by side. */
static void pack_factors(const weight_grad *m, const weight_part *w, const void *ctx, int64_t p0,
                         int64_t n, const word_row *of, real *packed) {
    const real *rows[P_BLOCK], *masks[P_BLOCK];
    for (int which = 0; which < 2; which++) {
        factor_part f = factor_part_of(m, w, which);
        if (f.from >= f.to) continue;
        f.of->row(ctx, p0, n, rows);
        if (f.of->mask) f.of->mask(ctx, p0, n, masks);
        pack_features(of, &f, rows, f.of->mask ? masks : NULL, packed);
    }
}

/* Rows of the next block, to be prefetched while the products of this one are made. */
typedef struct {
    const real *row[2 * P_BLOCK];
    int64_t F[2], first; /* elements of the first rows and of those after them */
    int64_t n, asked, each;
} block_ahead;

static block_ahead next_block(const weight_grad *m, const weight_part *w, const void *ctx,
                              int64_t p0, int64_t times) {
    block_ahead next = {.n = 0};
    int64_t n = min64(P_BLOCK, m->P - p0);
    for (int which = 0; which < 2 && n > 0; which++) {
        factor_part f = factor_part_of(m, w, which);
        next.F[which] = features_size(f.of, f.to - f.from);
        if (next.F[which] < 1) continue;
        f.of->row(ctx, p0, n, next.row + next.n);
        for (int64_t p = 0; p < n; p++) next.row[next.n + p] += features_size(f.of, f.from);
        next.n += n;
        if (!which) next.first = n;
    }
    next.each = times ? (next.n + times - 1) / times : 0; /* a thread may have no features */
    return next;
}

FL_INLINE void ask_for_some(block_ahead *next) {
    int64_t end = min64(next->n, next->asked + next->each);
    for (; next->asked < end; next->asked++)
        prefetch(next->row[next->asked], next->F[next->asked >= next->first]);
}

/* Words of n rows of a panel of dG, V vectors wide, side by side; and sum = add + (start + their
 * sum). */
FL_INLINE void pack_panel(const int V, const block_words *w, const kept_real *dG, int64_t row,
                          real *packed, const real *start, const real *add, real *sum) {
    vreal s[FL_PANEL];
#pragma GCC unroll 4
    for (int v = 0; v < V; v++) s[v] = vload(start + v * VL);
    for (int64_t q = 0; q < w->n; q++, dG += row, packed += V * VL) {
        prefetch_kept(dG + AHEAD * row, V * VL);
#pragma GCC unroll 4
        for (int v = 0; v < V; v++) {
            vreal g = load_kept(dG + v * VL);
            s[v] += g;
#if FL_WORD > 1
            vreal next = {0};
            if (w->rows[q] == 2) next = load_kept(dG + row + v * VL);
            s[v] += next;
            g = kept_word(g, next);
#endif
            vstore(packed + v * VL, g);
        }
        if (WORD > 1 && w->rows[q] == 2) dG += row;
    }
#pragma GCC unroll 4
    for (int v = 0; v < V; v++) vstore(sum + v * VL, add ? s[v] + vload(add + v * VL) : s[v]);
}

static void pack_panel_of(int64_t V, const block_words *w, const kept_real *dG, int64_t row,
                          real *packed, const real *start, const real *add, real *sum) {
    if (V == 4)
        pack_panel(4, w, dG, row, packed, start, add, sum);
    else if (V == 3)
        pack_panel(3, w, dG, row, packed, start, add, sum);
    else if (V == 2)
        pack_panel(2, w, dG, row, packed, start, add, sum);
    else
        pack_panel(1, w, dG, row, packed, start, add, sum);
}

/* Where the sum of a block goes. The end of a segment may cut a block of P in two, which is still
 * one chain: the sum of its beginning stays in `begun` until the rest is added. */
typedef struct {
    real *sums, *begun;
    int begins, ends; /* does the block begin with these rows, does it end with them? */
} block_sum;

#ifdef FL_AMX
#include "weight_tiles.h"
#else
/* Words between groups of features: a cache line more than they need, or the groups of a row
 * would meet in a few sets of the cache. */
enum { A_WIDTH = 6 }; /* features side by side: of a packed A, [words of P][A_WIDTH] */
enum { A_GROUP = P_BLOCK * A_WIDTH + 64 / (int)sizeof(real) };

/* Elements of the copies that a block of P is worked on in. */
FL_INLINE int64_t weight_copies_size(int64_t F) {
    return (F + A_WIDTH) / A_WIDTH * A_GROUP + P_BLOCK * PANEL + (WORD > 1) * round_up(F);
}

/* R features x V vectors of gates in registers, over the words of K rows: C = Cin + A B or, to add
 * it, C += Cin + A B. A sum of short chains is more exact than a long one. */
FL_INLINE void sum_tile(const int R, const int V, int64_t K, const real *const *a, const real *b,
                        const real *const *cin, int add, real *const *c) {
    vreal acc[8][FL_PANEL];
    const real *ar[8];
#pragma GCC unroll 8
    for (int r = 0; r < R; r++) {
        ar[r] = a[r];
#pragma GCC unroll 4
        for (int v = 0; v < V; v++) acc[r][v] = vload(cin[r] + v * VL);
    }
    int64_t k = 0;
    do { /* K is at least 1 */
        vreal bk[FL_PANEL];
#pragma GCC unroll 4
        for (int v = 0; v < V; v++) bk[v] = vload(b + (k * V + v) * VL);
#pragma GCC unroll 8
        for (int r = 0; r < R; r++) {
            vreal s = vword(ar[r] + k * A_WIDTH);
#pragma GCC unroll 4
            for (int v = 0; v < V; v++) acc[r][v] = vdot(s, bk[v], acc[r][v]);
        }
    } while (++k < K);
#pragma GCC unroll 8
    for (int r = 0; r < R; r++)
#pragma GCC unroll 4
        for (int v = 0; v < V; v++) {
            if (add) acc[r][v] += vload(c[r] + v * VL);
            vstore(c[r] + v * VL, acc[r][v]);
        }
}

#define SUM_ARGS                                                                                   \
    int64_t K, const real *const *a, const real *b, const real *const *cin, int add, real *const *c
#define SUM_TILE(R, Q, V)                                                                          \
    static void sum_tile_##R##_##Q##_##V(SUM_ARGS) { sum_tile(R, V, K, a, b, cin, add, c); }
typedef void (*sum_fn)(SUM_ARGS);
ALL_TILES(SUM_TILE)
static const sum_fn SUM_TILES[FL_PANEL][MAX_ROWS] = {ALL_NAMES(sum_tile)};

struct word_row {
    block_words of;
    real *word; /* of a row's features */
};

/* A row of F features, or of their words, to features f.. of the groups from `to` on. */
FL_INLINE void spread_features(int64_t F, const real *row, const real *mask, real *to, int64_t f) {
    int64_t lead = min64(F, (A_WIDTH - f % A_WIDTH) % A_WIDTH);
    int64_t full = (F - lead) / A_WIDTH, rest = (F - lead) % A_WIDTH;
    to += f / A_WIDTH * A_GROUP;
    if (lead) {
        copy_features(lead, row, mask, to + f % A_WIDTH);
        row += lead, mask += mask ? lead : 0, to += A_GROUP;
    }
    for (int64_t i = 0; i < full; i++, row += A_WIDTH, to += A_GROUP) {
        copy_features(A_WIDTH, row, mask, to);
        mask += mask ? A_WIDTH : 0;
    }
    copy_features(rest, row, mask, to);
}

/* [n rows of A][F] -> features f.. of [.../A_WIDTH][words of P_BLOCK][A_WIDTH]: what a tile of
 * features reads stands together. Rows are read in full, one after the other: they come from
 * memory, what is written stays. */
#if FL_WORD == 1
FL_INLINE void pack_rows(const int kept, const word_row *of, const factor_part *f,
                         const real *const *rows, const real *const *masks, real *packed) {
    (void)kept; /* no number is of 16 bits */
    const block_words *w = &of->of;
    int64_t F = f->to - f->from;
    for (int64_t p = 0; p < w->P; p++) {
        if (p + AHEAD < w->P) prefetch(rows[p + AHEAD] + f->from, F);
        spread_features(F, rows[p] + f->from, masks ? masks[p] + f->from : NULL,
                        packed + p * A_WIDTH, f->at);
    }
}
#else
FL_INLINE void pack_rows(const int kept, const word_row *of, const factor_part *f,
                         const real *const *rows, const real *const *masks, real *packed) {
    const block_words *w = &of->of;
    int64_t F = f->to - f->from;
    real *word = of->word;
    for (int64_t q = 0, p = 0; q < w->n; p += w->rows[q++]) {
        for (int64_t a = p + AHEAD; a < min64(w->P, p + AHEAD + w->rows[q]); a++)
            prefetch(rows[a] + features_size(f->of, f->from), features_size(f->of, F));
        for (int64_t i = 0; i < F; i += VL) {
            int64_t lanes = min64(VL, F - i), at = f->from + i;
            vreal both = word_of_rows(kept, w, q, p, at, lanes, rows, masks);
            vstore_n(word + i, both, lanes);
        }
        spread_features(F, word, NULL, packed + q * A_WIDTH, f->at);
    }
}
#endif

/* Add n packed rows from p0 on, dG [n,dG_row] of which GHp, to the sums. */
static void weight_grad_block(const weight_grad *m, const weight_part *w, const void *ctx,
                              int64_t p0, int64_t n, const kept_real *dG, real *copies,
                              const block_sum *s) {
    int64_t nv = m->G * unit_blocks(m->H), F = w->f1 - w->f0, panels = w->p1 - w->p0;
    const real *features[A_WIDTH], *start[A_WIDTH];
    real *a = copies, *b = copies + (grad_features(m) + A_WIDTH) / A_WIDTH * A_GROUP, *out[A_WIDTH];
    real *to = s->ends ? s->sums : s->begun;
    word_row row = {words_of_block(m, ctx, p0, n), b + P_BLOCK * PANEL};
    const block_words *of = &row.of;
    pack_factors(m, w, ctx, p0, n, &row, a);
    int64_t tiles = panels * ((F + A_WIDTH - 1) / A_WIDTH);
    block_ahead next = next_block(m, w, ctx, p0 + n, tiles);
    for (int64_t j = 0; j < panels; j++) {
        int64_t V = panel_vectors(nv, m->V, w->p0 + j);
        real *sum = to + j * PANEL;
        pack_panel_of(V, of, dG + (w->p0 + j) * m->V * VL, m->dG_row, b,
                      s->begins ? m->zeros : s->begun + j * PANEL, s->ends ? sum : NULL, sum);
        for (int64_t f = 0; f < F; f += A_WIDTH) {
            int64_t width = min64(A_WIDTH, F - f);
            int64_t at = (panels + j * F + f) * PANEL;
            ask_for_some(&next);
            prefetch_written(to + at + A_WIDTH * PANEL, A_WIDTH * PANEL);
            for (int64_t i = 0; i < width; i++) {
                features[i] = a + f / A_WIDTH * A_GROUP + i;
                start[i] = s->begins ? m->zeros : s->begun + at + i * PANEL;
                out[i] = to + at + i * PANEL;
            }
            for (int64_t i = 0, most = tile_rows(V); i < width; i += most)
                SUM_TILES[V - 1][min64(most, width - i) - 1](of->n, features + i, b, start + i,
                                                             s->ends, out + i);
        }
    }
}
#endif

/* One gate of a unit block: dw [F][PANEL] turned back and added to the block's rows of the weight.
 */
static void add_gate(int64_t units, int64_t F, const real *dw, real *to, int64_t row) {
    int64_t f = 0;
    for (; units == VL && f + VL <= F; f += VL) {
        vreal square[VL];
#pragma GCC unroll 16
        for (int i = 0; i < VL; i++) square[i] = vload(dw + (f + i) * PANEL);
        vtranspose(square);
#pragma GCC unroll 16
        for (int l = 0; l < VL; l++) vstore(to + l * row + f, vload(to + l * row + f) + square[l]);
    }
    for (int64_t l = 0; l < units; l++)
        for (int64_t i = f; i < F; i++) to[l * row + i] += dw[i * PANEL + l];
}

/* The sums, to the caller's gradients. */
static void add_weight_grad(const weight_grad *m, int thread, int threads, const real *sums) {
    weight_part w = weight_part_of(m, thread, threads);
    int64_t F = padded_features(w.f1 - w.f0), nv = m->G * unit_blocks(m->H);
    const real *db = sums, *dw = sums + (w.p1 - w.p0) * PANEL;
    for (int64_t j = w.p0; j < w.p1; j++, db += PANEL, dw += F * PANEL)
        for (int64_t i = 0; i < panel_vectors(nv, m->V, j); i++) {
            int64_t v = j * m->V + i, g = v % m->G, block = v / m->G;
            if (g < m->g0 || g >= m->g1) continue;
            int64_t units = min64(VL, m->H - block * VL), unit = g * m->H + block * VL;
            for (int which = 0; which < 2; which++) {
                factor_part f = factor_part_of(m, &w, which);
                if (f.from < f.to)
                    add_gate(units, f.to - f.from, dw + f.at * PANEL + i * VL,
                             f.of->dw + unit * f.of->F + f.from, f.of->F);
            }
            for (int64_t l = 0; w.bias && l < units; l++) {
                if (m->db1) m->db1[unit + l] += db[i * VL + l];
                if (m->db2) m->db2[unit + l] += db[i * VL + l];
            }
        }
}

#endif
