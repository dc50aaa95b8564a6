/* dW += dG^T A, summed over packed rows: the gradient of a weight that met rows of A.
 *
 * Turned round so that vectors run along the gates: a product of A^T [F,P] with dG [P,4Hp], in
 * blocks of P. Threads divide the unit blocks (or, if there are too few, the features), never P:
 * every element is summed in one order, whatever their number.
 */
#ifndef FL_WEIGHT_GRAD_H
#define FL_WEIGHT_GRAD_H

#include "rows.h"

typedef struct {
    int64_t H, F, P;
    const real *dG;                                                         /* [P,4Hp] */
    void (*row)(const void *ctx, int64_t p0, int64_t n, const real **rows); /* of A */
    const void *ctx;
    real *dw;        /* [4H,F], added to */
    real *db1, *db2; /* [4H] or NULL, added to */
} weight_grad;

typedef struct {
    int64_t j0, j1; /* unit blocks */
    int64_t f0, f1; /* features */
} weight_part;

/* A thread's part: its own unit blocks, or with too few of those its own features. */
FL_INLINE weight_part weight_part_of(int64_t H, int64_t F, int thread, int threads) {
    int64_t blocks = unit_blocks(H);
    if (blocks < threads)
        return (weight_part){0, blocks, part(F, thread, threads), part(F, thread + 1, threads)};
    return (weight_part){part(blocks, thread, threads), part(blocks, thread + 1, threads), 0, F};
}

/* Elements of scratch that each thread needs. */
FL_INLINE int64_t weight_grad_scratch(int64_t H, int64_t F, int threads) {
    int64_t size = 0;
    for (int t = 0; t < threads; t++) {
        weight_part w = weight_part_of(H, F, t, threads);
        size = max64(size, (w.j1 - w.j0) * (w.f1 - w.f0 + 1));
    }
    return (F + A_WIDTH) * P_BLOCK + P_BLOCK * PANEL + size * PANEL;
}

/* [n rows of A][F] -> [F/A_WIDTH][P_BLOCK][A_WIDTH]: what a tile of features reads stands together.
 * Rows are read in full, one after the other: they come from memory, what is written stays. */
static void pack_features(int64_t n, int64_t F, const real *const *rows, real *packed) {
    int64_t full = F / A_WIDTH, rest = F % A_WIDTH;
    for (int64_t p = 0; p < n; p++) {
        const real *row = rows[p];
        real *to = packed + p * A_WIDTH;
        for (int64_t i = 0; i < full; i++, row += A_WIDTH, to += P_BLOCK * A_WIDTH)
            memcpy(to, row, A_WIDTH * sizeof(real));
        for (int64_t w = 0; w < rest; w++) to[w] = row[w];
    }
}

/* n rows of one panel of dG, side by side; their sum is added to `sum` [PANEL]. */
static void pack_panel(int64_t n, const real *dG, int64_t row, real *packed, real *sum) {
    vreal s[FL_PANEL];
    for (int v = 0; v < FL_PANEL; v++) s[v] = vload(sum + v * VL);
    for (int64_t p = 0; p < n; p++, dG += row, packed += PANEL)
        for (int v = 0; v < FL_PANEL; v++) {
            vreal g = vload(dG + v * VL);
            vstore(packed + v * VL, g);
            s[v] += g;
        }
    for (int v = 0; v < FL_PANEL; v++) vstore(sum + v * VL, s[v]);
}

FL_INLINE void weight_grad_block(const weight_grad *m, weight_part w, int64_t p0, int64_t n,
                                 real *a, real *b, real *db, real *dw) {
    int64_t row = unit_blocks(m->H) * PANEL, F = w.f1 - w.f0;
    const real *rows[P_BLOCK], *features[A_WIDTH];
    real *out[A_WIDTH];
    m->row(m->ctx, p0, n, rows);
    for (int64_t p = 0; p < n; p++) rows[p] += w.f0;
    pack_features(n, F, rows, a);
    for (int64_t j = 0; j < w.j1 - w.j0; j++) {
        pack_panel(n, m->dG + p0 * row + (w.j0 + j) * PANEL, row, b, db + j * PANEL);
        for (int64_t f = 0; f < F; f += A_WIDTH) {
            int64_t width = min64(A_WIDTH, F - f);
            for (int64_t i = 0; i < width; i++) {
                features[i] = a + f * P_BLOCK + i;
                out[i] = dw + (j * F + f + i) * PANEL;
            }
            product block = {.n = width,
                             .K = n,
                             .a = features,
                             .a_step = A_WIDTH,
                             .b = b,
                             .nv = FL_PANEL,
                             .p0 = 0,
                             .p1 = 1,
                             .cin = (const real *const *)out,
                             .c = out,
                             .cin_panel = 0,
                             .c_panel = 0};
            product_run(&block, NULL, NULL);
        }
    }
}

/* One gate of a unit block: dw [F][PANEL] turned back and added to the block's rows of the weight.
 */
static void add_gate(int64_t units, int64_t F, const real *dw, real *to, int64_t row) {
    int64_t f = 0;
    for (; units == VL && f + VL <= F; f += VL) {
        vreal square[VL];
        for (int i = 0; i < VL; i++) square[i] = vload(dw + (f + i) * PANEL);
        vtranspose(square);
        for (int l = 0; l < VL; l++) vstore(to + l * row + f, vload(to + l * row + f) + square[l]);
    }
    for (int64_t l = 0; l < units; l++)
        for (int64_t i = f; i < F; i++) to[l * row + i] += dw[i * PANEL + l];
}

static void add_weight_grad(const weight_grad *m, weight_part w, int add_bias, const real *db,
                            const real *dw) {
    int64_t F = w.f1 - w.f0;
    for (int64_t j = w.j0; j < w.j1; j++, db += PANEL, dw += F * PANEL)
        for (int64_t g = 0; g < GATES; g++) {
            int64_t units = min64(VL, m->H - j * VL), unit = g * m->H + j * VL;
            add_gate(units, F, dw + g * VL, m->dw + unit * m->F + w.f0, m->F);
            for (int64_t l = 0; l < units; l++) {
                if (add_bias && m->db1) m->db1[unit + l] += db[g * VL + l];
                if (add_bias && m->db2) m->db2[unit + l] += db[g * VL + l];
            }
        }
}

static void weight_grad_run(const weight_grad *m, int thread, int threads, real *scratch) {
    weight_part w = weight_part_of(m->H, m->F, thread, threads);
    int64_t size = (w.j1 - w.j0) * (w.f1 - w.f0 + 1) * PANEL;
    real *a = scratch, *b = a + (m->F + A_WIDTH) * P_BLOCK;
    real *db = b + P_BLOCK * PANEL, *dw = db + (w.j1 - w.j0) * PANEL;
    memset(db, 0, (size_t)size * sizeof(real));
    for (int64_t p = 0; p < m->P; p += P_BLOCK)
        weight_grad_block(m, w, p, min64(P_BLOCK, m->P - p), a, b, db, dw);
    /* dividing features, every thread has summed the biases: the first adds them */
    add_weight_grad(m, w, w.f0 == 0, db, dw);
}

#endif
