/* The time loop forward, for any cell. */
#ifndef FL_FORWARD_H
#define FL_FORWARD_H

#include "call.h"

/* Rows of products with a weight packed in gate order, its unit blocks j0..j1-1. */
FL_INLINE product gate_product(const call *k, const step_rows *rows, int64_t n, int64_t K,
                               const real *weight, int64_t j0, int64_t j1) {
    int64_t blocks = k->cell->panel / k->cell->gates;
    return (product){.n = n,
                     .K = K,
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
    if (k->unpacked)
        unpacked_run(m, k->p->H, k->cell->gates, done, ctx);
    else
        product_run(m, done, ctx);
}

/* This thread's part of the unit blocks, in whole panels. */
FL_INLINE int64_t block_part(const call *k, int thread, int threads) {
    int64_t blocks = k->Hp / VL, each = k->cell->panel / k->cell->gates;
    return min64(blocks, part((blocks + each - 1) / each, thread, threads) * each);
}

/* The recurrent weight where the last gate has a product of its own: the others, then it. */
FL_INLINE weight_shape first_gates(const weight_shape *s) {
    return (weight_shape){s->H, s->K, s->G - 1, s->G - 1};
}
FL_INLINE weight_shape last_gate(const weight_shape *s) { return (weight_shape){s->H, s->K, 1, 1}; }

/* A thread's part of packing the weights for products forward. */
static void pack_forward(const call *k, int64_t j0, int64_t j1, int64_t r0, int64_t r1) {
    const fl_weights *w = &k->p->weights;
    weight_shape x = input_shape(k), h = hidden_shape(k), r = project_shape(k->p);
    pack_bias(k->p->H, k->G, w->b_ih, k->cell->split ? NULL : w->b_hh, (real *)k->bias, j0, j1);
    if (k->cell->split) pack_bias(k->p->H, k->G, NULL, w->b_hh, (real *)k->bias_h, j0, j1);
    if (k->unpacked) return;
    pack_gates(&x, w->w_ih, (real *)k->wx, j0, j1);
    if (k->cell->late) {
        weight_shape first = first_gates(&h), last = last_gate(&h);
        pack_gates(&first, w->w_hh, (real *)k->wh, j0, j1);
        pack_gates(&last, (const real *)w->w_hh + first.G * h.H * h.K,
                   (real *)k->wh + gates_size(&first) * h.K, j0, j1);
    } else {
        pack_gates(&h, w->w_hh, (real *)k->wh, j0, j1);
    }
    if (w->w_hr) pack_gates(&r, w->w_hr, (real *)k->whr, r0, r1);
}

/* Input products of a thread's rows at steps s0..s1-1; with ids they were made once a token. */
static void make_inputs(const call *k, const share *w, step_rows *rows, int64_t s0, int64_t s1) {
    const fl_call *p = k->p;
    int64_t n = 0;
    for (int64_t s = s0; s < s1; s++)
        for (int64_t i = 0; i < share_rows(w, p->rows.n_at[s]); i++, n++) {
            int64_t row = w->first + i * w->stride;
            rows->a[n] = input_row(&p->rows, &p->in, row, s);
            rows->z[n] = gates_row(k, row, s);
            rows->init[n] = k->bias;
        }
    product m = gate_product(k, rows, n, p->in.I, k->wx, w->j0, w->j1);
    gate_product_run(k, &m, NULL, NULL);
}

/* The distinct tokens' products, P_BLOCK at a time. */
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
        product m = gate_product(k, rows, n, in->I, k->wx, 0, k->Hp / VL);
        product_only(&m);
    }
}

/* A thread's own memory: an output that nobody reads, recurrent products, what the cell keeps. */
FL_INLINE int64_t products_size(const call *k) { return MAX_FEW * k->GHp + k->p->rows.N * PANEL; }
FL_INLINE real *own_extra(const call *k, const step_rows *rows) {
    return rows->own + k->Rp + products_size(k);
}
FL_INLINE int64_t own_size(const call *k) {
    int64_t N = k->p->rows.N, extra = k->cell->late ? 2 : keeps_extra(k);
    return k->Rp + products_size(k) + extra * N * k->Hp;
}

/* The input products of a row's token, where those are made once for each. */
FL_INLINE const real *token_products(const call *k, int64_t row, int64_t step) {
    return k->inputs + token_of(k, row, step) * k->GHp;
}

/* Where the rows of a thread find and put their data at a step. */
static void place_rows(const call *k, const share *w, step_rows *rows, int64_t step) {
    const fl_call *p = k->p;
    rows->n = share_rows(w, p->rows.n_at[step]);
    /* with few rows several panels are made before the first is done with */
    rows->s_panel = rows->n <= MAX_FEW ? k->cell->panel * VL : 0;
    int64_t s_row = rows->n <= MAX_FEW ? k->GHp : PANEL;
    for (int64_t i = 0; i < rows->n; i++) {
        int64_t row = w->first + i * w->stride;
        rows->a[i] = hidden_before(k, row, step);
        rows->z[i] = gates_row(k, row, step);
        if (k->cell->c) rows->c_in[i] = (real *)cell_before(k, row, step);
        if (k->cell->c) rows->c_out[i] = cell_after(k, row, step);
        /* what is made anew for backward was put out before */
        rows->out[i] = k->g ? rows->own : output_row(k, row, step);
        rows->s[i] = rows->own + k->Rp + i * s_row;
        if (keeps_extra(k))
            rows->extra[i] = k->extra ? extra_row(k, row, step) : own_extra(k, rows) + i * k->Hp;
        rows->init[i] = rows->z[i];
        if (p->in.ids) rows->init[i] = token_products(k, row, step);
        if (p->in.ids && step + 1 < p->rows.length[row])
            prefetch(token_products(k, row, step + 1) + w->j0 * k->cell->gates * VL,
                     (w->j1 - w->j0) * k->cell->gates * VL);
    }
}

/* All steps of a thread from first to last, or to where a forward pass is stopped. */
static void run_steps(const call *k, const share *w, step_rows *rows, int64_t first, int64_t last,
                      int thread, fl_team *team) {
    const fl_rows *b = &k->p->rows;
    for (int64_t s = first; s < last && b->n_at[s]; s++) {
        if ((s - first) % k->chunk == 0 && !k->p->in.ids)
            make_inputs(k, w, rows, s, min64(s + k->chunk, last));
        place_rows(k, w, rows, s);
        if (k->states && !k->full && s % k->p->recompute == 0)
            for (int64_t i = 0; i < rows->n; i++)
                memcpy(k->states + (s / k->p->recompute * b->N + w->first + i * w->stride) * k->Hp +
                           w->j0 * VL,
                       cell_after(k, w->first + i * w->stride, s - 1) + w->j0 * VL,
                       (size_t)((w->j1 - w->j0) * VL) * sizeof(real));
        k->cell->step(k, w, rows, s);
        if (!k->g) ask_to_stop(k, thread, b->offset[s], b->offset[s + 1]);
        if (k->by_units) fl_barrier(team);
        if (!k->g && is_stopped(k, b->offset[s + 1])) return;
    }
}

/* Before the first step: weights packed, cells from c0, the distinct tokens' products. Returns
 * whether threads did not come, as fl_barrier does. */
static int begin_forward(const call *k, int thread, step_rows *rows, fl_team *team) {
    const fl_call *p = k->p;
    int64_t outputs = k->Rp / VL;
    if (!p->packed)
        pack_forward(k, block_part(k, thread, k->threads), block_part(k, thread + 1, k->threads),
                     part(outputs, thread, k->threads), part(outputs, thread + 1, k->threads));
    for (int64_t r = part(p->rows.N, thread, k->threads);
         k->cell->c && r < part(p->rows.N, thread + 1, k->threads); r++) {
        read_state(k, p->c0, p->H, r, k->cells + r * k->Hp);
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

/* A thread's part; returns 1 if it was given up, as not all threads came. */
static int forward_part(const call *shared, int thread, int threads, fl_team *team) {
    call own = *shared, *k = &own;
    k->threads = threads;
    k->by_units = k->by_units && threads > 1;
    const fl_rows *b = &k->p->rows;
    share w = share_of(k->p->H, k->by_units, thread, threads);
    int64_t most = max64(P_BLOCK, b->N * k->chunk);
    step_rows rows = step_rows_in(k, k->scratch + thread * k->scratch_size, most);
    if (begin_forward(k, thread, &rows, team)) return 1;
    run_steps(k, &w, &rows, 0, b->T, thread, team);
    fl_barrier(team);
    if (!is_stopped(k, INT64_MAX - 1)) end_forward(k, thread);
    return 0;
}

static void forward_body(void *ctx, int thread, int threads, fl_team *team) {
    if (forward_part(ctx, thread, threads, team) && !thread) forward_part(ctx, 0, 1, NULL);
}

/* A piece of the units of a call of one step: none needs another, so that no piece waits. */
static void step_piece(void *ctx, int piece, int pieces) {
    const call *k = ctx;
    const fl_call *p = k->p;
    share w = {
        .stride = 1, .j0 = block_part(k, piece, pieces), .j1 = block_part(k, piece + 1, pieces)};
    int64_t u0 = w.j0 * VL, units = min64(w.j1 * VL, p->H) - u0;
    step_rows rows = step_rows_in(k, k->scratch + piece * k->scratch_size, p->rows.N);
    if (!p->packed) pack_forward(k, w.j0, w.j1, 0, 0);
    for (int64_t r = 0; k->cell->c && r < p->rows.N; r++) {
        real *to = k->cells + r * k->Hp + u0;
        memset(to, 0, (size_t)(w.j1 * VL - u0) * sizeof(real));
        if (p->c0)
            memcpy(to, (const real *)p->c0 + p->rows.order[r] * p->H + u0,
                   (size_t)units * sizeof(real));
    }
    make_inputs(k, &w, &rows, 0, 1);
    place_rows(k, &w, &rows, 0);
    k->cell->step(k, &w, &rows, 0);
    for (int64_t r = 0; r < p->rows.N; r++) {
        int64_t at = p->rows.order[r] * p->H + u0;
        size_t bytes = (size_t)units * sizeof(real);
        const real *h = output_row(k, r, 0) + u0;
        if ((real *)p->h_n + at != h) memcpy((real *)p->h_n + at, h, bytes);
        if (k->cell->c) memcpy((real *)p->c_n + at, cell_after(k, r, 0) + u0, bytes);
    }
}

/* Steps whose input products are made together: enough rows for full tiles, and for the input
 * weight to be read seldom if it is large. */
static int64_t chunk_steps(const call *k, int64_t steps) {
    int64_t N = k->p->rows.N;
    int64_t large = k->GHp * k->p->in.I * (int64_t)sizeof(real) > (int64_t)512 << 10;
    return min64(steps, max64(1, (large ? 192 : 24) * k->threads / N));
}

/* How a call is divided over threads. */
static void set_threads(call *k, int64_t work) {
    const fl_call *p = k->p;
    int64_t N = p->rows.N, T = p->rows.T, weight = k->GHp * p->R * (int64_t)sizeof(real);
    int may = !k->cell->late && !p->weights.w_hr; /* two products a step would need more barriers */
    int64_t flops = work * p->rows.offset[T] * k->GHp * (p->in.I + p->R);
    k->by_units = may && divide_units(N, p->H, weight, p->n_threads);
    k->threads = worth_threads(flops, T, k->by_units, p->n_threads);
    k->by_units = may && divide_units(N, p->H, weight, k->threads);
    k->brief = is_brief(flops, T, k->by_units, k->threads);
}

enum { SHARE = 80000 }; /* operations, about a microsecond: fewer do not repay a thread's turn */

/* Divides a call that is too short to wake threads for; not where it has more to it than one step,
 * or writes h over the h that other pieces still read. */
static void set_pieces(call *k) {
    const fl_call *p = k->p;
    int64_t N = p->rows.N, each = k->cell->panel / k->cell->gates,
            panels = (k->Hp / VL + each - 1) / each;
    int one_step = p->rows.T == 1 && p->rows.offset[1] == N && !p->in.ids && !p->reset;
    int64_t shares = 2 * N * k->GHp * (p->in.I + p->R) / SHARE;
    k->pieces = 0;
    if (k->threads > 1 || !one_step || k->cell->late || p->weights.w_hr || p->recompute) return;
    if (shares < 2 || panels < 2 || p->n_threads < 2 || p->h_n == p->h0) return;
    k->threads = (int)min64(min64(shares, p->n_threads), min64(panels, FL_PIECES));
    k->pieces = (int)min64(min64(2 * k->threads, panels), FL_PIECES);
}

/* Is reading the weights as they are, once for each few rows, less work than packing them? */
static int stay_unpacked(const call *k) {
    const fl_call *p = k->p;
    int possible = !p->packed && !p->in.ids && !k->cell->late && !p->weights.w_hr;
    return possible && p->rows.T <= UNPACKED_STEPS && p->rows.T * p->rows.N <= UNPACKED_ROWS;
}

static int64_t plan_forward(call *k, real *block) {
    const fl_call *p = k->p;
    int64_t N = p->rows.N;
    arena m = {block, 0};
    k->first = 0, k->last = p->rows.T, k->full = p->gates != NULL;
    k->unpacked = stay_unpacked(k);
    if (!k->by_units && !k->pieces) k->threads = (int)min64(k->threads, N);
    k->chunk = chunk_steps(k, p->rows.T);
    int64_t packed = place_weights(k, p->packed);
    if (!p->packed) place_weights(k, take(&m, packed));
    k->zeros = take(&m, max64(k->GHp, PANEL));
    k->inputs = p->in.ids ? take(&m, p->in.U * k->GHp) : NULL;
    k->gates = k->full ? p->gates : take(&m, N * k->chunk * k->GHp);
    k->cells = k->full && k->cell->c ? p->cells : k->cell->c ? take(&m, N * k->Hp) : NULL;
    k->states = k->full ? NULL : p->cells;
    k->extra = k->full ? p->extra : NULL;
    k->reset_c = k->cell->c && p->reset ? take(&m, N * k->Hp) : NULL;
    int64_t most = max64(P_BLOCK, N * k->chunk);
    k->scratch_size = pointers_size(most) + own_size(k);
    k->scratch = take(&m, k->scratch_size * (k->pieces ? k->pieces : k->threads));
    return m.size;
}

static int64_t forward_bytes(call *k) {
    set_threads(k, 2);
    set_pieces(k);
    return plan_forward(k, NULL) * (int64_t)sizeof(real);
}

static int run_forward(call *k) {
    set_threads(k, 2);
    set_pieces(k);
    real *block = fl_alloc((size_t)plan_forward(k, NULL) * sizeof(real));
    if (!block) return -1;
    plan_forward(k, block);
    stopping stop = stopping_of(k);
    k->stop = &stop;
    memset((real *)k->zeros, 0, (size_t)max64(k->GHp, PANEL) * sizeof(real));
    if (k->pieces)
        fl_share(k->threads, k->pieces, step_piece, k);
    else
        fl_run(k->threads, k->brief, forward_body, k);
    fl_free(block);
    return is_stopped(k, INT64_MAX - 1) ? FL_STOPPED : 0;
}

#endif
