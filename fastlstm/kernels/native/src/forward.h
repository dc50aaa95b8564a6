/* The time loop forward, for any cell. */
#ifndef FL_FORWARD_H
#define FL_FORWARD_H

#include "packing.h"
#include "sparse_row.h"

/* Rows of products with a weight packed in gate order, its unit blocks j0..j1-1. */
FL_INLINE product gate_product(const call *k, const step_rows *rows, int64_t n, int64_t K,
                               const real *weight, int64_t j0, int64_t j1) {
    int64_t blocks = k->cell->panel / k->cell->gates;
    return (product){.n = n,
                     .K = words(K),
                     .a = rows->a,
                     .b = weight,
                     .nv = k->GHp / VL,
                     .V = k->cell->panel,
                     .p0 = j0 / blocks,
                     .p1 = (j1 + blocks - 1) / blocks,
                     .cin = rows->init,
                     .cin_panel = k->cell->panel * VL,
                     .c = rows->z,
                     .c_panel = k->cell->panel * VL};
}

FL_INLINE void gate_product_run(const call *k, const product *m, product_done done, void *ctx) {
    if (WORD == 1 && k->unpacked)
        unpacked_run(m, k->p->H, k->cell->gates, done, ctx);
    else
        product_run(m, done, ctx);
}

/* Input products of a thread's rows at steps s0..s1-1, where the input is no ids. */
static void make_inputs(const call *k, const share *w, step_rows *rows, int64_t s0, int64_t s1) {
    const fl_call *p = k->p;
    int64_t n = 0;
    for (int64_t s = s0; s < s1; s++) {
        int64_t own = share_rows(w, p->rows.n_at[s]);
        for (int64_t i = 0; i < own; i++, n++) {
            int64_t row = rows->row[i];
            rows->a[n] = input_row(&p->rows, &p->in, row, s);
            rows->z[n] = z_row(k, row, s);
            rows->init[n] = k->bias;
        }
    }
    round_rows(k, rows, n, p->in.I, 0);
    product m = gate_product(k, rows, n, p->in.I, k->wx, w->j0, w->j1);
#if FL_WORD == 1
    if (p->in.sparse && n == 1 && !k->unpacked) {
        sparse_product(&m);
        return;
    }
#endif
    gate_product_run(k, &m, NULL, NULL);
}

/* Input products of a thread's part of the distinct tokens, P_BLOCK at a time. */
static void make_table(const call *k, step_rows *rows, int thread) {
    const fl_input *in = &k->p->in;
    int64_t u1 = part(in->U, thread + 1, k->threads);
    for (int64_t u = part(in->U, thread, k->threads), n; u < u1; u += n) {
        n = min64(P_BLOCK, u1 - u);
        for (int64_t i = 0; i < n; i++) {
            rows->a[i] = (const real *)in->x + (u + i) * in->I;
            rows->z[i] = k->inputs + (u + i) * k->GHp;
            rows->init[i] = k->bias;
        }
        round_rows(k, rows, n, in->I, 0);
        product m = gate_product(k, rows, n, in->I, k->wx, 0, k->Hp / VL);
        product_only(&m);
    }
}

/* The input products of a row's token, where those are made once for each. */
FL_INLINE const real *token_products(const call *k, int64_t row, int64_t step) {
    return k->inputs + token_of(k, row, step) * k->GHp;
}

/* mask * h, for the rows of a thread. */
static void mask_hidden(const call *k, step_rows *rows) {
    for (int64_t i = 0; i < rows->n; i++) {
        const real *mask = rows->mask[i] = mask_row(k, rows->row[i]);
        real *to = own_masked(k, rows) + i * k->Rp;
        for (int64_t u = 0; u < k->Rp; u += VL) {
            int64_t lanes = min64(VL, k->p->R - u);
            vstore(to + u, vload_n(mask + u, lanes) * vload_n(rows->h[i] + u, lanes));
        }
        rows->a[i] = to;
    }
}

/* Where the rows of a thread find and put their data at a step. */
static void place_rows(const call *k, const share *w, step_rows *rows, int64_t step) {
    const fl_call *p = k->p;
    rows->n = share_rows(w, p->rows.n_at[step]);
    /* with few rows several panels are made at a time: each needs its own place in s */
    rows->s_panel = rows->n <= MAX_FEW ? k->cell->panel * VL : 0;
    int64_t s_row = rows->n <= MAX_FEW ? k->GHp : PANEL;
    for (int64_t i = 0; i < rows->n; i++) {
        int64_t row = rows->row[i];
        rows->a[i] = rows->h[i] = hidden_before(k, row, step);
        rows->z[i] = z_row(k, row, step);
        if (k->full) rows->gates[i] = gates_row(k, row, step);
        if (k->cell->c) rows->c_in[i] = (real *)cell_before(k, row, step);
        if (k->cell->c) rows->c_out[i] = cell_after(k, row, step);
        if (k->cell->c && !k->cell->c_gate && k->full) rows->cells[i] = kept_after(k, row, step);
        /* where backward recomputes a step, its output is in y already and this one is not read */
        rows->out[i] = k->g ? rows->own : output_row(k, row, step);
        /* tiles need those of so few rows at a time that they stay in the first-level cache */
        rows->s[i] = rows->own + k->Rp + (WORD_BLOCK > 1 ? i % MAX_ROWS : i) * s_row;
        if (keeps_extra(k))
            rows->extra[i] = k->extra && !k->cell->extra_gate
                                 ? extra_row(k, row, step)
                                 : (kept_real *)(void *)own_extra(k, rows) + i * k->Hp;
        rows->init[i] = rows->z[i];
        if (p->in.ids) rows->init[i] = token_products(k, row, step);
        if (p->in.ids && step + 1 < p->rows.length[row])
            prefetch(token_products(k, row, step + 1) + w->j0 * k->cell->gates * VL,
                     (w->j1 - w->j0) * k->cell->gates * VL);
    }
    if (p->mask) mask_hidden(k, rows);
    round_rows(k, rows, rows->n, p->R, bound_of_h(k));
}

/* The cells before the step, for backward to recompute from. */
static void keep_states(const call *k, const share *w, const step_rows *rows, int64_t step) {
    int64_t at = step / k->p->recompute * k->p->rows.N, j = w->j0 * VL;
    for (int64_t i = 0; i < rows->n; i++) {
        int64_t row = rows->row[i];
        memcpy(k->states + (at + row) * k->Hp + j, cell_after(k, row, step - 1) + j,
               (size_t)((w->j1 - w->j0) * VL) * sizeof(real));
    }
}

enum { TURN_ROWS = 64, TURN_WEIGHTS = 1 << 20 };

/* In how many turns a thread takes its rows, all steps in each. With tiles most of the time would
 * go into gates that leave the second-level cache and come back, if it were for all rows at once;
 * weights that do not stay there are better read for as many rows as there are. */
static int64_t row_turns(const call *k, const share *w) {
    int64_t weights = k->GHp * (words(k->p->in.I) + words(k->p->R)) * (int64_t)sizeof(real);
    if (WORD_BLOCK == 1 || k->by_units || weights > TURN_WEIGHTS) return 1;
    return max64(1, share_rows(w, k->p->rows.N) / TURN_ROWS);
}

/* One of a thread's turns. */
FL_INLINE share turn_of(const share *w, int64_t turn, int64_t turns) {
    share own = *w;
    own.turn = turn, own.turns = turns;
    return own;
}

/* How many rows of all are worked on when a turn comes to step s. */
FL_INLINE int64_t rows_before(const fl_rows *b, const share *w, int64_t s) {
    if (WORD_BLOCK == 1) return b->offset[s];
    return (w->turn * b->offset[b->T] + b->offset[s]) / w->turns;
}

/* All steps of a thread from first to last, or to where a forward pass is stopped. */
static void run_steps(const call *k, const share *w, step_rows *rows, int64_t first, int64_t last,
                      int thread, fl_team *team) {
    const fl_rows *b = &k->p->rows;
    int keeps = k->states && !k->full;
    for (int64_t s = first; s < last && b->n_at[s]; s++) {
        if ((s - first) % k->chunk == 0 && !k->p->in.ids)
            make_inputs(k, w, rows, s, min64(s + k->chunk, last));
        place_rows(k, w, rows, s);
        if (keeps && s % k->p->recompute == 0) keep_states(k, w, rows, s);
        k->cell->step(k, w, rows, s);
        if (!k->g) ask_to_stop(k->stop, thread, rows_before(b, w, s), rows_before(b, w, s + 1));
        if (k->by_units) fl_barrier(team);
        if (!k->g && is_stopped(k->stop, rows_before(b, w, s + 1))) return;
    }
}

/* Before the first step: weights packed, cells from c0, the distinct tokens' products. Returns
 * 1 if the job was given up, as fl_barrier does. */
static int begin_forward(const call *k, int thread, step_rows *rows, fl_team *team) {
    const fl_call *p = k->p;
    if (!p->packed) pack_forward_part(k, thread);
    for (int64_t r = part(p->rows.N, thread, k->threads);
         k->cell->c && r < part(p->rows.N, thread + 1, k->threads); r++) {
        read_state(k, p->c0, p->H, r, cell_after(k, r, -1));
        keep_start(k, r, 0, k->Hp / VL);
        if (p->reset) read_state(k, p->reset_c, p->H, r, (real *)k->reset_c + r * k->Hp);
    }
    if (fl_barrier(team)) return 1;
    if (!p->in.ids) return 0;
    make_table(k, rows, thread);
    fl_barrier(team);
    return 0;
}

/* After the last step: zeros past each row's end, its final state. */
static void end_forward(const call *k, int thread) {
    const fl_call *p = k->p;
    const fl_rows *b = &p->rows;
    for (int64_t r = part(b->N, thread, k->threads); r < part(b->N, thread + 1, k->threads); r++) {
        int64_t n = b->order[r], last = b->length[r] - 1;
        for (int64_t t = last + 1; t < b->T; t++)
            memset((real *)p->y + t * p->y_t + n * p->y_n, 0, (size_t)p->R * sizeof(real));
        const real *h = last < 0 ? (const real *)p->h0 + n * p->R : output_row(k, r, last);
        memcpy((real *)p->h_n + n * p->R, h, (size_t)p->R * sizeof(real));
        if (k->cell->c) write_state(k, cell_after(k, r, last), p->H, r, p->c_n);
    }
}

/* A thread's part. Returns 1 if the job was given up because not all threads came: see
 * fl_barrier. */
static int forward_part(const call *shared, int thread, int threads, fl_team *team) {
    call own = *shared, *k = &own;
    k->threads = threads;
    k->by_units = k->by_units && threads > 1;
    const fl_rows *b = &k->p->rows;
    share w = share_of(k, thread, threads);
    step_rows rows = step_rows_in(k, k->scratch + thread * k->scratch_size, most_rows(k));
    if (begin_forward(k, thread, &rows, team)) return 1;
    int64_t turns = row_turns(k, &w);
    for (int64_t i = 0; i < turns; i++) {
        share turn = turn_of(&w, i, turns);
        if (is_stopped(k->stop, rows_before(b, &turn, 0))) break;
        list_rows(&turn, &rows);
        run_steps(k, &turn, &rows, 0, b->T, thread, team);
    }
    fl_barrier(team);
    if (!was_stopped(k->stop)) end_forward(k, thread);
    return 0;
}

static void forward_body(void *ctx, int thread, int threads, fl_team *team) {
    open_tiles();
    if (forward_part(ctx, thread, threads, team) && !thread) forward_part(ctx, 0, 1, NULL);
    close_tiles();
}

/* A piece of the units of a call of one step. No piece needs what another makes, so none waits. */
static void step_piece(void *ctx, int piece, int pieces) {
    const call *k = ctx;
    const fl_call *p = k->p;
    share w = rows_of_thread(&p->rows, 0, 1);
    w.j0 = block_part(k, piece, pieces), w.j1 = block_part(k, piece + 1, pieces);
    int64_t u0 = w.j0 * VL, units = min64(w.j1 * VL, p->H) - u0;
    step_rows rows = step_rows_in(k, k->scratch + piece * k->scratch_size, p->rows.N);
    list_rows(&w, &rows);
    if (!p->packed) pack_forward(k, w.j0, w.j1, 0, 0);
    for (int64_t r = 0; k->cell->c && r < p->rows.N; r++) {
        real *to = cell_after(k, r, -1) + u0;
        memset(to, 0, (size_t)(w.j1 * VL - u0) * sizeof(real));
        if (p->c0)
            memcpy(to, (const real *)p->c0 + p->rows.order[r] * p->H + u0,
                   (size_t)units * sizeof(real));
        keep_start(k, r, w.j0, w.j1);
    }
    open_tiles();
    make_inputs(k, &w, &rows, 0, 1);
    place_rows(k, &w, &rows, 0);
    k->cell->step(k, &w, &rows, 0);
    close_tiles();
    for (int64_t r = 0; r < p->rows.N; r++) {
        int64_t at = p->rows.order[r] * p->H + u0;
        size_t bytes = (size_t)units * sizeof(real);
        const real *h = output_row(k, r, 0) + u0;
        if ((real *)p->h_n + at != h) memcpy((real *)p->h_n + at, h, bytes);
        if (k->cell->c) memcpy((real *)p->c_n + at, cell_after(k, r, 0) + u0, bytes);
    }
}

#endif
