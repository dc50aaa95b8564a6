/* dW += dG^T A, as weight_grad.h, of so few packed rows that no copy of them is worth its time. */
#ifndef FL_WEIGHT_GRAD_FEW_H
#define FL_WEIGHT_GRAD_FEW_H

#include "weight_grad.h"

/* Of a unit, whose gradients are d[0], d[step], ...: its row of dW. */
FL_INLINE void unit_grad(const factor_part *f, int64_t unit, int64_t n, const real *const *rows,
                         const real *d, int64_t step) {
    real *dw = f->of->dw + unit * f->of->F;
    for (int64_t i = f->from; i < f->to; i += VL) {
        int64_t lanes = min64(VL, f->to - i);
        vreal sum = {0};
        for (int64_t p = 0; p < n; p++)
            sum = vfma(vload_n(rows[p] + i, lanes), vset1(d[p * step]), sum);
        vstore_n(dw + i, vload_n(dw + i, lanes) + sum, lanes);
    }
}

FL_INLINE void unit_bias_grad(const weight_grad *m, int64_t unit, int64_t n, const real *d,
                              int64_t step) {
    real sum = 0;
    for (int64_t p = 0; p < n; p++) sum += d[p * step];
    if (m->db1) m->db1[unit] += sum;
    if (m->db2) m->db2[unit] += sum;
}

/* Rows of A, masked: copies of them. */
static void mask_few(const weight_factor *f, const void *ctx, int64_t n, const real **rows,
                     real *copies) {
    const real *masks[P_BLOCK];
    f->mask(ctx, 0, n, masks);
    for (int64_t p = 0; p < n; p++) {
        copy_features(f->F, rows[p], masks[p], copies + p * f->F);
        rows[p] = copies + p * f->F;
    }
}

/* Added to the caller's gradients as it is made. One of the two factors may be masked. */
static void weight_grad_few(const weight_grad *m, int thread, int threads, const void *ctx,
                            int64_t n, const real *dG, real *copies) {
    weight_part w = weight_part_of(m, thread, threads);
    int64_t nv = m->G * unit_blocks(m->H), end = min64(w.p1 * m->V, nv);
    const real *rows[2][P_BLOCK];
    factor_part parts[2];
    for (int which = 0; which < 2; which++) {
        parts[which] = factor_part_of(m, &w, which);
        if (parts[which].from >= parts[which].to) continue;
        m->of[which].row(ctx, 0, n, rows[which]);
        if (m->of[which].mask) mask_few(&m->of[which], ctx, n, rows[which], copies);
    }
    for (int64_t v = w.p0 * m->V; v < end; v++) {
        int64_t g = v % m->G, block = v / m->G, units = min64(VL, m->H - block * VL);
        if (g < m->g0 || g >= m->g1) continue;
        for (int64_t l = 0; l < units; l++) {
            int64_t unit = g * m->H + block * VL + l;
            const real *d = dG + v * VL + l;
            for (int which = 0; which < 2; which++)
                unit_grad(&parts[which], unit, n, rows[which], d, nv * VL);
            if (w.bias) unit_bias_grad(m, unit, n, d, nv * VL);
        }
    }
}

#endif
