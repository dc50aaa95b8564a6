/* Backward through time, for any cell: gate gradients step by step and, of so many rows at a time,
 * the gradients that are products of them (gradients.h).
 *
 * All sums over steps run from the last step to the first, so that they can be cut. With
 * `recompute` set the steps are worked on in segments, from the last one on: the gates and cells of
 * each are computed again from the states at its start.
 *
 * What a row needs is prefetched AHEAD rows before its turn.
 *
 * Tried and dropped:
 *   prefetching a whole step before: some of it has left the cache by then; (64,200,128,128) with
 *     gradients in batch order 49.9 for 47.9 ms
 *   gate gradients in rows of their own that stay in the cache, not over the gates: no faster */
#ifndef FL_BACKWARD_H
#define FL_BACKWARD_H

#include "forward.h"
#include "gradients.h"

FL_INLINE const real *dy_row(const call *k, int64_t row, int64_t step) {
    const real *dy = k->g->dy;
    return dy ? dy + place(&k->p->rows, row, step, k->g->dy_t, k->g->dy_n) : NULL;
}

/* Prefetches what a cell reads of the row that is AHEAD rows after row i of a step. */
FL_INLINE void prefetch_gates(const call *k, const share *w, const step_rows *rows, int64_t i,
                              int64_t step) {
    i += AHEAD;
    if (i >= rows->n) i -= rows->n, step--;
    if (i >= rows->n || step < k->first) return;
    int64_t row = rows->row[i];
    int64_t blocks = w->j1 - w->j0, units = min64(w->j1 * VL, k->p->H) - w->j0 * VL;
    prefetch_kept(gates_row(k, row, step) + w->j0 * k->cell->gates * VL,
                  blocks * k->cell->gates * VL);
    if (k->cell->c) {
        kept_cells c = cells_before(k, row, step);
        prefetch_kept(c.at + w->j0 * c.step, blocks * c.step);
    }
    if (k->cell->c_gate && !k->p->weights.w_hr)
        prefetch(output_row(k, row, step) + w->j0 * VL, units);
    if (k->cell->extra && !k->cell->extra_gate)
        prefetch_kept(extra_row(k, row, step) + w->j0 * VL, units);
    if (k->g->dy && !k->dproj) prefetch(dy_row(k, row, step) + w->j0 * VL, units);
}

/* Of rows that start from their reset state at the step, the gradient before it is that state's. */
static void reset_backward(const call *k, const share *w, const step_rows *rows, int64_t step) {
    int64_t u0 = w->j0 * VL, u1 = k->by_units ? w->j1 * VL : k->Rp, c1 = w->j1 * VL;
    for (int64_t i = 0; i < rows->n; i++) {
        int64_t row = rows->row[i];
        if (!is_reset(k, row, step)) continue;
        move_sum(k->dreset_h + row * k->Rp + u0, k->dh + row * k->Rp + u0, u1 - u0);
        if (k->cell->c) move_sum(k->dreset_c + row * k->Hp + u0, k->dc + row * k->Hp + u0, c1 - u0);
    }
    for (int64_t i = 0; step % SUM_BLOCK == 0 && i < rows->n; i++) {
        int64_t h = rows->row[i] * k->Rp + u0;
        int64_t at = rows->row[i] * k->Hp + u0;
        move_sum(k->reset_sum_h + h, k->dreset_h + h, u1 - u0);
        if (k->cell->c) move_sum(k->reset_sum_c + at, k->dreset_c + at, c1 - u0);
    }
}

/* The product's tiles, masked, to the gradients of h: added to those that came past the gates. */
typedef struct {
    const call *k;
    step_rows *rows;
    int direct;
} masked_out;

static void write_masked(void *ctx, int64_t row, int64_t R, int64_t panel) {
    const masked_out *o = ctx;
    for (int64_t r = row; r < row + R; r++)
        for (int64_t v = 0; v < FL_PANEL; v++) {
            int64_t at = panel * PANEL + v * VL, lanes = min64(VL, o->k->p->R - at);
            if (lanes <= 0) break;
            real *dh = o->rows->out[r] + at;
            vreal mask = vload_n(o->rows->mask[r] + at, lanes), d = vload(o->rows->z[r] + v * VL);
            vstore(dh, o->direct ? vfma(mask, d, vload(dh)) : mask * d);
        }
}

/* Gradient of h before the step: mask * (gate gradients W_hh), and if `direct` what k->dh holds of
 * the ways past the gates. */
static void hidden_product(const call *k, const share *w, step_rows *rows, int64_t step, int direct,
                           fl_team *team) {
    int masked = k->p->mask != NULL;
    for (int64_t i = 0; i < rows->n; i++) {
        int64_t row = rows->row[i];
        rows->a[i] = as_operand(gates_row(k, row, step));
        rows->out[i] = rows->z[i] = k->dh + row * k->Rp;
        rows->init[i] = direct && !masked ? rows->z[i] : k->zeros;
        if (!masked) continue;
        rows->z[i] = rows->own + k->Rp + i * PANEL;
        rows->mask[i] = mask_row(k, row);
    }
    if (k->by_units) fl_barrier(team); /* it needs all units' gates */
    round_kept_rows(k, rows, rows->n, k->GHp, 0);
    product m = column_product(rows->n, k->GHp, rows->a, k->wht, k->Rp / VL, rows->init,
                               direct && !masked ? PANEL : 0, rows->z);
    if (masked) m.c_panel = 0;
    if (k->by_units) m.p0 = w->p0, m.p1 = w->p1;
    m.down = step & 1;
    weight_shape shape = hidden_shape(k);
    masked_out out = {k, rows, direct};
    column_product_run(k, &m, &shape, masked ? write_masked : NULL, &out);
    if (k->p->reset) reset_backward(k, w, rows, step);
}

/* dx past the rows' ends is zero. */
static void clear_dx(const call *k, int thread) {
    const fl_rows *b = &k->p->rows;
    const fl_grads *g = k->g;
    if (!g->dx || k->p->in.ids || g->accumulate_dx) return;
    for (int64_t r = part(b->N, thread, k->threads); r < part(b->N, thread + 1, k->threads); r++)
        for (int64_t t = b->length[r]; t < b->T; t++)
            memset((real *)g->dx + t * g->dx_t + b->order[r] * g->dx_n, 0,
                   (size_t)k->p->in.I * sizeof(real));
}

/* Before the last step, the first one backward. Returns as begin_forward. */
static int begin_backward(const call *k, int thread, step_rows *rows, fl_team *team) {
    const fl_call *p = k->p;
    int64_t N = p->rows.N;
    pack_backward_part(k, thread);
    for (int64_t r = part(N, thread, k->threads); r < part(N, thread + 1, k->threads); r++) {
        read_state(k, k->g->dh_n, p->R, r, k->dh + r * k->Rp);
        if (k->cell->c) read_state(k, k->g->dc_n, p->H, r, k->dc + r * k->Hp);
        if (!p->reset) continue;
        memset(k->dreset_h + r * k->Rp, 0, (size_t)k->Rp * sizeof(real));
        memset(k->reset_sum_h + r * k->Rp, 0, (size_t)k->Rp * sizeof(real));
        if (!k->cell->c) continue;
        memset(k->dreset_c + r * k->Hp, 0, (size_t)k->Hp * sizeof(real));
        memset(k->reset_sum_c + r * k->Hp, 0, (size_t)k->Hp * sizeof(real));
        read_state(k, p->reset_c, p->H, r, (real *)k->reset_c + r * k->Hp);
        if (KEPT_ROUNDED)
            keep_row(k->reset_c + r * k->Hp, k->Hp, (kept_real *)k->reset_kept + r * k->Hp);
    }
    clear_dx(k, thread);
    if (fl_barrier(team)) return 1;
    if (!p->recompute || !p->in.ids) return 0;
    make_table(k, rows, thread);
    fl_barrier(team);
    return 0;
}

/* Gates and cells of a segment, computed again from the cells at its start. */
static void run_segment(const call *k, const share *w, step_rows *rows, int thread, fl_team *team) {
    int64_t N = k->p->rows.N, at = k->first / k->p->recompute * N;
    int64_t own = k->cell->c ? share_rows(w, N) : 0;
    for (int64_t i = 0; i < own; i++) {
        int64_t row = rows->row[i], j = w->j0 * VL;
        memcpy(cell_after(k, row, k->first - 1) + j, k->states + (at + row) * k->Hp + j,
               (size_t)((w->j1 - w->j0) * VL) * sizeof(real));
        keep_start(k, row, w->j0, w->j1);
    }
    run_steps(k, w, rows, k->first, k->last, thread, team);
}

static void end_backward(const call *k, int thread) {
    const fl_call *p = k->p;
    const fl_grads *g = k->g;
    int64_t N = p->rows.N;
    for (int64_t r = part(N, thread, k->threads); r < part(N, thread + 1, k->threads); r++) {
        write_state(k, k->dh + r * k->Rp, p->R, r, g->dh0);
        if (k->cell->c) write_state(k, k->dc + r * k->Hp, p->H, r, g->dc0);
        if (!p->reset) continue;
        write_state(k, k->reset_sum_h + r * k->Rp, p->R, r, g->dreset_h);
        if (k->cell->c) write_state(k, k->reset_sum_c + r * k->Hp, p->H, r, g->dreset_c);
    }
}

/* The gradients of the weights, of gates that a pass of FL_GATES left, swapped if split: a thread's
 * part. Returns as backward_part. */
static int weights_part(const call *k, int thread, step_rows *rows, real *copies, fl_team *team) {
    ripe all = {0, k->p->rows.offset[1], 1, 1};
    if (fl_barrier(team)) return 1;
    if (k->cell->split) {
        swap_gates(k, &all, thread);
        fl_barrier(team);
    }
    ripe_products(k, &all, thread, rows, copies, team);
    return 0;
}

/* A thread's part. Returns 1 if the job was given up because not all threads came: see
 * fl_barrier. */
static int backward_part(const call *shared, int thread, int threads, fl_team *team) {
    call own = *shared, *k = &own;
    k->threads = threads;
    k->by_units = k->by_units && threads > 1;
    const fl_rows *b = &k->p->rows;
    share w = share_of(k, thread, threads);
    int64_t every = k->p->recompute;
    step_rows rows = step_rows_in(k, k->scratch + thread * k->scratch_size, most_rows(k));
    list_rows(&w, &rows);
    real *copies = rows.own + own_size(k);
    k->first = 0, k->last = b->T;
    if (k->g->part == FL_WEIGHTS) return weights_part(k, thread, &rows, copies, team);
    if (begin_backward(k, thread, &rows, team)) return 1;
    int64_t segments = every ? (b->T + every - 1) / every : 1;
    for (int64_t i = segments - 1; i >= 0; i--) {
        k->first = i * every, k->last = every ? min64(b->T, k->first + every) : b->T;
        if (every) run_segment(k, &w, &rows, thread, team);
        ripe ready = {.begin = i == segments - 1};
        for (int64_t s = k->last - 1; s >= k->first; s--) {
            rows.n = share_rows(&w, b->n_at[s]);
            if (b->n_at[s]) k->cell->step_backward(k, &w, &rows, s, team);
            ready.p1 = b->offset[k->last] - b->offset[s];
            if (s > k->first && ready.p1 - ready.p0 < ripe_rows(k)) continue;
            if (s > k->first) ready.p1 -= (b->offset[b->T] - b->offset[s]) % P_BLOCK;
            ready.end = s == 0;
            int64_t before = b->offset[b->T] - b->offset[k->last];
            ask_to_stop(k->stop, thread, before + ready.p0, before + ready.p1);
            fl_barrier(team);
            if (is_stopped(k->stop, before + ready.p1)) return 0;
            ripe_products(k, &ready, thread, &rows, copies, team);
            ready.p0 = ready.p1, ready.begin = 0;
        }
        if (i) fl_barrier(team); /* the next segment takes this one's place */
    }
    fl_barrier(team);
    end_backward(k, thread);
    return 0;
}

static void backward_body(void *ctx, int thread, int threads, fl_team *team) {
    open_tiles();
    if (backward_part(ctx, thread, threads, team) && !thread) backward_part(ctx, 0, 1, NULL);
    close_tiles();
}

#endif
