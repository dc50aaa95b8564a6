/* Gradients of a cell's own parameters: sums over rows and steps of what one row adds.
 *
 * Threads divide the units, so that each sum has one order, whatever their number. As in
 * weight_grad.h it is of chains of P_BLOCK terms, and after SUM_ROWS of them it is added to the
 * caller's gradient; a chain that the end of a segment cuts waits for the rest.
 */
#ifndef FL_PARAM_GRAD_H
#define FL_PARAM_GRAD_H

#include "packed_rows.h"

/* The sums of blocks j0..j1-1 to the caller's gradients, and zero again. */
static void add_params(const call *k, int64_t j0, int64_t j1, real *sums) {
    int64_t n = k->cell->params;
    for (int64_t j = j0; j < j1; j++)
        for (int64_t i = 0; i < n; i++) {
            int64_t lanes = min64(VL, k->p->H - j * VL);
            real *to = (real *)k->g->dparams + i * k->p->H + j * VL, *sum = sums + (j * n + i) * VL;
            vstore_n(to, vload_n(to, lanes) + vload(sum), lanes);
            vstore(sum, (vreal){0});
        }
}

/* Of ripe rows, this thread's unit blocks. */
static void param_grad(const call *k, const ripe *r, int thread) {
    int64_t blocks = k->Hp / VL, block = k->cell->params * VL;
    int64_t j0 = part(blocks, thread, k->threads), j1 = part(blocks, thread + 1, k->threads);
    real *chain = k->param_sums, *sums = chain + blocks * block;
    const int64_t *offset = k->p->rows.offset;
    int64_t before = offset[k->p->rows.T] - offset[k->last], size = (j1 - j0) * block;
    if (r->begin) {
        memset(chain + j0 * block, 0, (size_t)size * sizeof(real));
        memset(sums + j0 * block, 0, (size_t)size * sizeof(real));
    }
    for (int64_t p = r->p0, n; p < r->p1; p += n) {
        int64_t at = before + p;
        n = min64(P_BLOCK - at % P_BLOCK, r->p1 - p);
        int last = r->end && p + n == r->p1;
        place_of_row row = packed_place(k, p);
        for (int64_t i = 0; i < n; i++, next_place(k, &row))
            k->cell->params_backward(k, row.row, row.step, j0, j1, chain);
        if (!last && (at + n) % P_BLOCK) continue;
        move_sum(sums + j0 * block, chain + j0 * block, size);
        if (last || (at + n) % SUM_ROWS == 0) add_params(k, j0, j1, sums);
    }
}

#endif
