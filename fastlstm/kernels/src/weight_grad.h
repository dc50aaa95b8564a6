/* dW += dG^T A, summed over packed rows: the gradient of a weight that met rows of A.
 *
 * Turned round so that vectors run along the gates: a product of A^T [F,P] with dG [P,GHp], in
 * blocks of P. Threads divide the panels of gates (or, if there are too few, the features), never
 * P: every element is summed in one order, whatever their number and however P is cut.
 */
#ifndef FL_WEIGHT_GRAD_H
#define FL_WEIGHT_GRAD_H

#include "rows.h"

typedef struct {
    int64_t H, G, F;
    int64_t g0, g1;                                                         /* gates to add */
    int64_t V;                                                              /* vectors of a panel */
    void (*row)(const void *ctx, int64_t p0, int64_t n, const real **rows); /* of A */
    real *dw;                                                               /* [GH,F], added to */
    real *db1, *db2; /* [GH] or NULL, added to */
} weight_grad;

typedef struct {
    int64_t p0, p1; /* panels of gates */
    int64_t f0, f1; /* features */
    int bias;       /* adds those of its panels */
} weight_part;

FL_INLINE int64_t grad_panels(const weight_grad *m) {
    return (m->G * unit_blocks(m->H) + m->V - 1) / m->V;
}

/* A thread's part: its own panels, or with too few of those its own features. */
FL_INLINE weight_part weight_part_of(const weight_grad *m, int thread, int threads) {
    int64_t panels = grad_panels(m), F = m->F;
    if (panels < threads)
        return (weight_part){0, panels, part(F, thread, threads), part(F, thread + 1, threads),
                             thread == 0};
    return (weight_part){part(panels, thread, threads), part(panels, thread + 1, threads), 0, F, 1};
}

/* Elements for the sums of a thread: biases, then weights, by panels. */
FL_INLINE int64_t weight_sums_size(const weight_grad *m, int threads) {
    int64_t size = 0;
    for (int t = 0; t < threads; t++) {
        weight_part w = weight_part_of(m, t, threads);
        size = max64(size, (w.p1 - w.p0) * (w.f1 - w.f0 + 1));
    }
    return size * PANEL;
}

/* Elements of the copies that a block of P is worked on in. */
FL_INLINE int64_t weight_copies_size(int64_t F) {
    return ((F + A_WIDTH) * P_BLOCK + P_BLOCK * PANEL + VL - 1) / VL * VL;
}

enum { AHEAD = 8 }; /* rows asked for before they are copied */

/* [n rows of A][F] -> [F/A_WIDTH][P_BLOCK][A_WIDTH]: what a tile of features reads stands together.
 * Rows are read in full, one after the other: they come from memory, what is written stays. */
static void pack_features(int64_t n, int64_t F, const real *const *rows, real *packed) {
    int64_t full = F / A_WIDTH, rest = F % A_WIDTH;
    for (int64_t p = 0; p < n; p++) {
        const real *row = rows[p];
        if (p + AHEAD < n) prefetch(rows[p + AHEAD], F);
        real *to = packed + p * A_WIDTH;
        for (int64_t i = 0; i < full; i++, row += A_WIDTH, to += P_BLOCK * A_WIDTH)
            memcpy(to, row, A_WIDTH * sizeof(real));
        for (int64_t w = 0; w < rest; w++) to[w] = row[w];
    }
}

/* n rows of a panel of dG, V vectors wide, side by side; their sum is added to `sum`. */
FL_INLINE void pack_panel(const int V, int64_t n, const real *dG, int64_t row, real *packed,
                          real *sum) {
    vreal s[FL_PANEL];
#pragma GCC unroll 4
    for (int v = 0; v < V; v++) s[v] = vload(sum + v * VL);
    for (int64_t p = 0; p < n; p++, dG += row, packed += V * VL) {
        prefetch(dG + AHEAD * row, V * VL);
#pragma GCC unroll 4
        for (int v = 0; v < V; v++) {
            vreal g = vload(dG + v * VL);
            vstore(packed + v * VL, g);
            s[v] += g;
        }
    }
#pragma GCC unroll 4
    for (int v = 0; v < V; v++) vstore(sum + v * VL, s[v]);
}

static void pack_panel_of(int64_t V, int64_t n, const real *dG, int64_t row, real *packed,
                          real *sum) {
    if (V == 4)
        pack_panel(4, n, dG, row, packed, sum);
    else if (V == 3)
        pack_panel(3, n, dG, row, packed, sum);
    else if (V == 2)
        pack_panel(2, n, dG, row, packed, sum);
    else
        pack_panel(1, n, dG, row, packed, sum);
}

/* Add n packed rows from p0 on, dG [n,GHp], to the sums. */
static void weight_grad_block(const weight_grad *m, const weight_part *w, const void *ctx,
                              int64_t p0, int64_t n, const real *dG, real *copies, real *sums) {
    int64_t nv = m->G * unit_blocks(m->H), F = w->f1 - w->f0;
    const real *rows[P_BLOCK], *features[A_WIDTH];
    real *a = copies, *b = copies + (m->F + A_WIDTH) * P_BLOCK, *out[A_WIDTH];
    real *db = sums, *dw = sums + (w->p1 - w->p0) * PANEL;
    m->row(ctx, p0, n, rows);
    for (int64_t p = 0; p < n; p++) rows[p] += w->f0;
    pack_features(n, F, rows, a);
    for (int64_t j = 0; j < w->p1 - w->p0; j++) {
        int64_t V = panel_vectors(nv, m->V, w->p0 + j);
        pack_panel_of(V, n, dG + (w->p0 + j) * m->V * VL, nv * VL, b, db + j * PANEL);
        for (int64_t f = 0; f < F; f += A_WIDTH) {
            int64_t width = min64(A_WIDTH, F - f);
            prefetch_written(dw + (j * F + f + A_WIDTH) * PANEL, A_WIDTH * PANEL);
            for (int64_t i = 0; i < width; i++) {
                features[i] = a + f * P_BLOCK + i;
                out[i] = dw + (j * F + f + i) * PANEL;
            }
            product block = {.n = width,
                             .K = n,
                             .a = features,
                             .a_step = A_WIDTH,
                             .b = b,
                             .nv = V,
                             .V = V,
                             .p0 = 0,
                             .p1 = 1,
                             .cin = (const real *const *)out,
                             .c = out,
                             .panels_first = 1};
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
#pragma GCC unroll 16
        for (int i = 0; i < VL; i++) square[i] = vload(dw + (f + i) * PANEL);
        vtranspose(square);
#pragma GCC unroll 16
        for (int l = 0; l < VL; l++) vstore(to + l * row + f, vload(to + l * row + f) + square[l]);
    }
    for (int64_t l = 0; l < units; l++)
        for (int64_t i = f; i < F; i++) to[l * row + i] += dw[i * PANEL + l];
}

/* dW of so few packed rows that it is not worth copying anything: added as it is made. */
static void weight_grad_few(const weight_grad *m, int thread, int threads, const void *ctx,
                            int64_t n, const real *dG) {
    weight_part w = weight_part_of(m, thread, threads);
    int64_t nv = m->G * unit_blocks(m->H), end = min64(w.p1 * m->V, nv);
    const real *rows[P_BLOCK];
    m->row(ctx, 0, n, rows);
    for (int64_t v = w.p0 * m->V; v < end; v++) {
        int64_t g = v % m->G, block = v / m->G, units = min64(VL, m->H - block * VL);
        if (g < m->g0 || g >= m->g1) continue;
        for (int64_t l = 0; l < units; l++) {
            int64_t unit = g * m->H + block * VL + l;
            real *dw = m->dw + unit * m->F, bias = 0;
            const real *d = dG + v * VL + l;
            for (int64_t f = w.f0; f < w.f1; f += VL) {
                int64_t lanes = min64(VL, w.f1 - f);
                vreal sum = {0};
                for (int64_t p = 0; p < n; p++)
                    sum = vfma(vload_n(rows[p] + f, lanes), vset1(d[p * nv * VL]), sum);
                vstore_n(dw + f, vload_n(dw + f, lanes) + sum, lanes);
            }
            for (int64_t p = 0; p < n; p++) bias += d[p * nv * VL];
            if (w.bias && m->db1) m->db1[unit] += bias;
            if (w.bias && m->db2) m->db2[unit] += bias;
        }
    }
}

/* The sums, to the caller's gradients. */
static void add_weight_grad(const weight_grad *m, int thread, int threads, const real *sums) {
    weight_part w = weight_part_of(m, thread, threads);
    int64_t F = w.f1 - w.f0, nv = m->G * unit_blocks(m->H);
    const real *db = sums, *dw = sums + (w.p1 - w.p0) * PANEL;
    for (int64_t j = w.p0; j < w.p1; j++, db += PANEL, dw += F * PANEL)
        for (int64_t i = 0; i < panel_vectors(nv, m->V, j); i++) {
            int64_t v = j * m->V + i, g = v % m->G, block = v / m->G;
            if (g < m->g0 || g >= m->g1) continue;
            int64_t units = min64(VL, m->H - block * VL), unit = g * m->H + block * VL;
            add_gate(units, F, dw + i * VL, m->dw + unit * m->F + w.f0, m->F);
            for (int64_t l = 0; w.bias && l < units; l++) {
                if (m->db1) m->db1[unit + l] += db[i * VL + l];
                if (m->db2) m->db2[unit + l] += db[i * VL + l];
            }
        }
}

#endif
