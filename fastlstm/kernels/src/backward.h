/* Backward through time, for any cell: gate gradients step by step, then dx and the weights'
 * gradients as products over all steps.
 *
 * All sums over steps run from the last step to the first, so that they can be cut: with `every`
 * set the steps are worked on in segments, each made anew from the states at its start. */
#ifndef FL_BACKWARD_H
#define FL_BACKWARD_H

#include "forward.h"
#include "weight_grad.h"

FL_INLINE const real *dy_row(const call *k, int64_t row, int64_t step) {
    const real *dy = k->g->dy;
    return dy ? dy + place(&k->p->rows, row, step, k->g->dy_t, k->g->dy_n) : NULL;
}

/* What a cell reads of a row a step earlier. */
FL_INLINE void prefetch_before(const cell *c, const call *k, int64_t row, int64_t step,
                               const share *w) {
    int64_t blocks = w->j1 - w->j0, units = min64(w->j1 * VL, k->p->H) - w->j0 * VL;
    prefetch(gates_row(k, row, step - 1) + w->j0 * c->gates * VL, blocks * c->gates * VL);
    if (c->c) prefetch(cell_before(k, row, step - 1) + w->j0 * VL, units);
    if (c->extra) prefetch(extra_row(k, row, step - 1) + w->j0 * VL, units);
    if (k->g->dy && !k->dproj) prefetch(dy_row(k, row, step - 1) + w->j0 * VL, units);
}

/* C = Cin + A B with B in column order; cin_panel is PANEL, or 0 to start from zeros. */
FL_INLINE product column_product(int64_t n, int64_t K, const real *const *a, const real *b,
                                 int64_t nv, const real *const *cin, int64_t cin_panel,
                                 real *const *c) {
    return (product){.n = n,
                     .K = K,
                     .a = a,
                     .a_step = 1,
                     .b = b,
                     .nv = nv,
                     .V = FL_PANEL,
                     .p0 = 0,
                     .p1 = (nv + FL_PANEL - 1) / FL_PANEL,
                     .cin = cin,
                     .cin_panel = cin_panel,
                     .c = c,
                     .c_panel = PANEL};
}

FL_INLINE void column_product_run(const call *k, const product *m, const weight_shape *s,
                                  product_done done, void *ctx) {
    if (k->unpacked)
        unpacked_columns_run(m, s, done, ctx);
    else
        product_run(m, done, ctx);
}

/* Rows that started anew at the step: what came back is a gradient of that start. */
FL_INLINE void reset_backward(const cell *c, const call *k, const share *w, const step_rows *rows,
                              int64_t step) {
    int64_t u1 = k->by_units ? w->j1 * VL : k->Rp, c1 = w->j1 * VL;
    for (int64_t i = 0; i < rows->n; i++) {
        int64_t row = w->first + i * w->stride;
        if (!is_reset(k, row, step)) continue;
        real *dh = k->dh + row * k->Rp, *sum = k->dfresh_h + row * k->Rp;
        for (int64_t u = w->j0 * VL; u < u1; u += VL) {
            vstore(sum + u, vload(sum + u) + vload(dh + u));
            vstore(dh + u, (vreal){0});
        }
        real *dc = k->dc + row * k->Hp, *sum_c = k->dfresh_c + row * k->Hp;
        for (int64_t u = w->j0 * VL; c->c && u < c1; u += VL) {
            vstore(sum_c + u, vload(sum_c + u) + vload(dc + u));
            vstore(dc + u, (vreal){0});
        }
    }
}

/* Gradient of h before the step, from those of the gates in rows->a: rows->z = init + a W_hh. */
FL_INLINE void hidden_product(const cell *c, const call *k, const share *w, step_rows *rows,
                              int64_t step, fl_team *team) {
    if (k->by_units) fl_barrier(team);  /* it needs all units' gates */
    int direct = c->apart || c->before; /* h also went past the gates */
    product m = column_product(rows->n, k->GHp, rows->a, k->wht, k->Rp / VL, rows->init,
                               direct ? PANEL : 0, rows->z);
    if (k->by_units) m.p0 = w->p0, m.p1 = w->p1;
    m.down = step & 1;
    weight_shape shape = hidden_shape(c, k->p);
    column_product_run(k, &m, &shape, NULL, NULL);
    if (k->p->reset) reset_backward(c, k, w, rows, step);
}

/* The step of the segment's packed row p. */
FL_INLINE int64_t step_of(const call *k, int64_t p) {
    const int64_t *offset = k->p->rows.offset;
    int64_t lo = k->first, hi = k->last - 1;
    while (lo < hi) { /* the last one with at most p rows behind it */
        int64_t mid = (lo + hi) / 2;
        if (offset[k->last] - offset[mid + 1] <= p)
            hi = mid;
        else
            lo = mid + 1;
    }
    return lo;
}

/* Walks the packed rows from p on. */
typedef struct {
    int64_t row, step;
} place_of_row;

FL_INLINE place_of_row packed_place(const call *k, int64_t p) {
    int64_t step = step_of(k, p);
    return (place_of_row){p - packed_row(k, 0, step), step};
}

FL_INLINE void next_place(const call *k, place_of_row *at) {
    if (++at->row == k->p->rows.n_at[at->step]) at->row = 0, at->step--;
}

/* Rows of A for weight_grad. */
static void hidden_rows(const void *ctx, int64_t p0, int64_t n, const real **rows) {
    place_of_row at = packed_place(ctx, p0);
    for (int64_t i = 0; i < n; i++, next_place(ctx, &at))
        rows[i] = hidden_before(ctx, at.row, at.step);
}

static void input_rows(const void *ctx, int64_t p0, int64_t n, const real **rows) {
    const call *k = ctx;
    place_of_row at = packed_place(k, p0);
    for (int64_t i = 0; i < n; i++, next_place(k, &at))
        rows[i] = input_row(&k->p->rows, &k->p->in, at.row, at.step);
}

static void extra_rows(const void *ctx, int64_t p0, int64_t n, const real **rows) {
    const call *k = ctx;
    for (int64_t i = 0; i < n; i++) rows[i] = k->extra + (p0 + i) * k->Hp;
}

static void table_rows(const void *ctx, int64_t p0, int64_t n, const real **rows) {
    const call *k = ctx;
    for (int64_t i = 0; i < n; i++) rows[i] = (const real *)k->p->in.x + (p0 + i) * k->p->in.I;
}

/* The weights' gradients of a call. */
enum { OF_HIDDEN, OF_RESET_HIDDEN, OF_PROJECTION, OF_INPUT, WEIGHT_GRADS };

FL_INLINE int has_grad(const cell *c, const call *k, int which) {
    return which == OF_RESET_HIDDEN ? c->before
           : which == OF_PROJECTION ? k->p->weights.w_hr != NULL
                                    : 1;
}

static weight_grad grad_of(const cell *c, const call *k, int which) {
    const fl_call *p = k->p;
    const fl_grads *g = k->g;
    weight_grad m = {.H = p->H, .G = c->gates, .g1 = c->gates, .V = c->panel};
    switch (which) {
    case OF_HIDDEN:
        m.F = p->R, m.row = hidden_rows, m.dw = g->dw_hh;
        m.db1 = g->db_hh, m.db2 = c->apart ? NULL : g->db_ih;
        if (c->before) m.g1 = 2;
        break;
    case OF_RESET_HIDDEN: /* the gate that met the hidden state after its reset */
        m.F = p->R, m.row = extra_rows, m.dw = g->dw_hh;
        m.db1 = g->db_hh, m.db2 = g->db_ih;
        m.g0 = 2;
        break;
    case OF_PROJECTION:
        m = (weight_grad){.H = p->R, .G = 1, .g1 = 1, .V = FL_PANEL, .F = p->H};
        m.row = extra_rows, m.dw = g->dw_hr;
        break;
    default:
        m.F = p->in.I, m.row = p->in.ids ? table_rows : input_rows, m.dw = g->dw_ih;
        m.db1 = c->apart ? g->db_ih : NULL;
    }
    return m;
}

/* Sums in a thread's scratch: with several segments each gradient keeps its own. */
static int64_t sums_size(const cell *c, const call *k, int count, int together) {
    int64_t size = 0;
    for (int i = 0; i < count; i++) {
        if (!has_grad(c, k, i)) continue;
        weight_grad m = grad_of(c, k, i);
        int64_t one = weight_sums_size(&m, k->threads);
        size = together ? size + one : max64(size, one);
    }
    return size;
}

/* Over n packed rows of the segment; zeroed before the first one, added to the caller's gradient
 * after the last. */
static void run_grad(const cell *c, const call *k, int which, int64_t n, const real *dG, int begin,
                     int end, int thread, real *copies, real *sums) {
    if (!has_grad(c, k, which)) return;
    weight_grad m = grad_of(c, k, which);
    if (k->unpacked) {
        weight_grad_few(&m, thread, k->threads, k, n, dG);
        return;
    }
    weight_part w = weight_part_of(&m, thread, k->threads);
    int64_t row = m.G * round_up(m.H), segments = k->p->every > 0;
    if (segments) sums += sums_size(c, k, which, 1);
    if (begin) memset(sums, 0, (size_t)((w.p1 - w.p0) * (w.f1 - w.f0 + 1) * PANEL) * sizeof(real));
    for (int64_t p = 0; p < n; p += P_BLOCK)
        weight_grad_block(&m, &w, k, p, min64(P_BLOCK, n - p), dG + p * row, copies, sums);
    if (end) add_weight_grad(&m, thread, k->threads, sums);
}

/* Rows of dx = dG W_ih leave their tile for the caller's array. */
typedef struct {
    real *tiles; /* [P_BLOCK,PANEL] */
    real **dx;
    int64_t I;
    int accumulate;
} dx_out;

static void write_dx(void *ctx, int64_t row, int64_t R, int64_t panel) {
    const dx_out *o = ctx;
    for (int64_t r = row; r < row + R; r++)
#pragma GCC unroll 4
        for (int64_t v = 0; v < FL_PANEL; v++) {
            int64_t at = panel * PANEL + v * VL, lanes = min64(VL, o->I - at);
            if (lanes <= 0) break;
            vreal x = vload(o->tiles + r * PANEL + v * VL);
            if (o->accumulate) x += vload_n(o->dx[r] + at, lanes);
            vstore_n(o->dx[r] + at, x, lanes);
        }
}

static void dx_rows(const cell *c, const call *k, int64_t n, step_rows *rows, real *tiles) {
    dx_out out = {tiles, rows->out, k->p->in.I, k->g->accumulate_dx};
    for (int64_t i = 0; i < n; i++) {
        rows->z[i] = tiles + i * PANEL;
        rows->init[i] = k->zeros;
    }
    product m =
        column_product(n, k->GHp, rows->a, k->wxt, vectors(k->p->in.I), rows->init, 0, rows->z);
    m.c_panel = 0, m.panels_first = 1;
    weight_shape shape = input_shape(c, k->p);
    column_product_run(k, &m, &shape, write_dx, &out);
}

/* dx of this thread's part of the segment's rows, or of the table's. */
static void make_dx(const cell *c, const call *k, int64_t P, int thread, step_rows *rows,
                    real *tiles) {
    const fl_rows *b = &k->p->rows;
    const fl_grads *g = k->g;
    int64_t p1 = part(P, thread + 1, k->threads);
    for (int64_t p = part(P, thread, k->threads), n; p < p1; p += n) {
        n = min64(P_BLOCK, p1 - p);
        place_of_row at = k->p->in.ids ? (place_of_row){0, 0} : packed_place(k, p);
        for (int64_t i = 0; i < n; i++) {
            if (k->p->in.ids) {
                rows->a[i] = k->table + (p + i) * k->GHp;
                rows->out[i] = (real *)g->dx + (p + i) * g->dx_n;
                continue;
            }
            rows->a[i] = k->gates + (p + i) * k->GHp;
            rows->out[i] = (real *)g->dx + place(b, at.row, at.step, g->dx_t, g->dx_n);
            next_place(k, &at);
        }
        dx_rows(c, k, n, rows, tiles);
    }
}

/* No gradient past the rows' ends. */
static void clear_dx(const call *k, int thread) {
    const fl_rows *b = &k->p->rows;
    const fl_grads *g = k->g;
    if (!g->dx || k->p->in.ids || g->accumulate_dx) return;
    for (int64_t r = part(b->N, thread, k->threads); r < part(b->N, thread + 1, k->threads); r++)
        for (int64_t t = b->length[r]; t < b->T; t++)
            memset((real *)g->dx + t * g->dx_t + b->order[r] * g->dx_n, 0,
                   (size_t)k->p->in.I * sizeof(real));
}

FL_INLINE real *token_row(const call *k, int64_t row, int64_t step) {
    const fl_input *in = &k->p->in;
    return k->table + in->ids[place(&k->p->rows, row, step, in->ids_t, in->ids_n)] * k->GHp;
}

/* Gate gradients summed per distinct token, this thread's unit blocks of them. */
static void sum_tokens(const call *k, int begin, int thread) {
    const fl_rows *b = &k->p->rows;
    int64_t blocks = k->Hp / VL, block = k->GHp / blocks;
    int64_t from = part(blocks, thread, k->threads) * block;
    int64_t to = part(blocks, thread + 1, k->threads) * block;
    for (int64_t u = 0; begin && u < k->p->in.U; u++)
        memset(k->table + u * k->GHp + from, 0, (size_t)(to - from) * sizeof(real));
    for (int64_t s = k->last - 1; s >= k->first; s--)
        for (int64_t r = 0; r < b->n_at[s]; r++) {
            const real *d = gates_row(k, r, s);
            if (r + 2 < b->n_at[s]) prefetch(token_row(k, r + 2, s) + from, to - from);
            real *sum = token_row(k, r, s);
            for (int64_t i = from; i < to; i += VL) vstore(sum + i, vload(sum + i) + vload(d + i));
        }
}

/* Where the recurrent product met a gate first, its gradient gives way to the input product's. */
static void input_gates(const cell *c, const call *k, int64_t P, int thread) {
    int64_t last = (c->gates - 1) * VL;
    for (int64_t p = part(P, thread, k->threads); p < part(P, thread + 1, k->threads); p++)
        for (int64_t j = 0; j < k->Hp / VL; j++)
            vstore(k->gates + p * k->GHp + j * c->gates * VL + last,
                   vload(k->extra + p * k->Hp + j * VL));
}

/* The gradients that are products over the steps of a segment. */
static void segment_products(const cell *c, const call *k, int begin, int end, int thread,
                             step_rows *rows, real *copies, fl_team *team) {
    int64_t P = k->p->rows.offset[k->last] - k->p->rows.offset[k->first];
    real *sums = copies + weight_copies_size(max64(max64(k->p->R, k->p->H), k->p->in.I));
    run_grad(c, k, OF_HIDDEN, P, k->gates, begin, end, thread, copies, sums);
    run_grad(c, k, OF_RESET_HIDDEN, P, k->gates, begin, end, thread, copies, sums);
    run_grad(c, k, OF_PROJECTION, P, k->dproj, begin, end, thread, copies, sums);
    if (c->apart) {
        fl_barrier(team);
        input_gates(c, k, P, thread);
        fl_barrier(team);
    }
    if (k->p->in.ids) {
        sum_tokens(k, begin, thread);
        if (!end) return;
        fl_barrier(team);
        P = k->p->in.U;
    }
    if (k->g->dx) make_dx(c, k, P, thread, rows, copies);
    if (k->p->in.ids)
        run_grad(c, k, OF_INPUT, P, k->table, 1, 1, thread, copies, sums);
    else
        run_grad(c, k, OF_INPUT, P, k->gates, begin, end, thread, copies, sums);
}

/* A thread's part of packing the weights for products backward. */
static void pack_backward(const cell *c, const call *k, int thread) {
    const fl_call *p = k->p;
    const fl_weights *w = &p->weights;
    if (k->unpacked) return;
    int64_t G = k->G, blocks = k->Hp / VL, outputs = k->Rp / VL;
    int64_t j0 = part(blocks, thread, k->threads), j1 = part(blocks, thread + 1, k->threads);
    pack_columns(p->H, G, c->before ? 2 : G, p->R, w->w_hh, (real *)k->wht, j0, j1);
    if (c->before)
        pack_columns(p->H, 1, 1, p->R, (const real *)w->w_hh + 2 * p->H * p->R, (real *)k->whnt, j0,
                     j1);
    if (k->g->dx) pack_columns(p->H, G, G, p->in.I, w->w_ih, (real *)k->wxt, j0, j1);
    if (w->w_hr)
        pack_columns(p->R, 1, 1, p->H, w->w_hr, (real *)k->whrt, part(outputs, thread, k->threads),
                     part(outputs, thread + 1, k->threads));
    if (p->every)
        pack_forward(c, k, block_part(c, k, thread), block_part(c, k, thread + 1),
                     part(outputs, thread, k->threads), part(outputs, thread + 1, k->threads));
}

static void begin_backward(const cell *c, const call *k, int thread, step_rows *rows,
                           fl_team *team) {
    const fl_call *p = k->p;
    int64_t N = p->rows.N;
    pack_backward(c, k, thread);
    for (int64_t r = part(N, thread, k->threads); r < part(N, thread + 1, k->threads); r++) {
        read_state(k, k->g->dh_n, p->R, r, k->dh + r * k->Rp);
        if (c->c) read_state(k, k->g->dc_n, p->H, r, k->dc + r * k->Hp);
        if (!p->reset) continue;
        memset(k->dfresh_h + r * k->Rp, 0, (size_t)k->Rp * sizeof(real));
        if (!c->c) continue;
        memset(k->dfresh_c + r * k->Hp, 0, (size_t)k->Hp * sizeof(real));
        read_state(k, p->fresh_c, p->H, r, (real *)k->fresh_c + r * k->Hp);
    }
    clear_dx(k, thread);
    fl_barrier(team);
    if (!p->every || !p->in.ids) return;
    make_table(c, k, rows, thread);
    fl_barrier(team);
}

/* Make the gates and cells of a segment anew from the cells at its start. */
static void run_segment(const cell *c, const call *k, const share *w, step_rows *rows,
                        fl_team *team) {
    int64_t N = k->p->rows.N, at = k->first / k->p->every * N;
    for (int64_t i = 0; c->c && i < share_rows(w, N); i++) {
        int64_t row = w->first + i * w->stride, j = w->j0 * VL;
        memcpy(k->cells + row * k->Hp + j, k->states + (at + row) * k->Hp + j,
               (size_t)((w->j1 - w->j0) * VL) * sizeof(real));
    }
    run_steps(c, k, w, rows, k->first, k->last, team);
}

static void end_backward(const cell *c, const call *k, int thread) {
    const fl_call *p = k->p;
    const fl_grads *g = k->g;
    int64_t N = p->rows.N;
    for (int64_t r = part(N, thread, k->threads); r < part(N, thread + 1, k->threads); r++) {
        write_state(k, k->dh + r * k->Rp, p->R, r, g->dh0);
        if (c->c) write_state(k, k->dc + r * k->Hp, p->H, r, g->dc0);
        if (!p->reset) continue;
        write_state(k, k->dfresh_h + r * k->Rp, p->R, r, g->dfresh_h);
        if (c->c) write_state(k, k->dfresh_c + r * k->Hp, p->H, r, g->dfresh_c);
    }
}

static void backward_body(const cell *c, void *ctx, int thread, int threads, fl_team *team) {
    call own = *(call *)ctx, *k = &own;
    k->threads = threads;
    k->by_units = k->by_units && threads > 1;
    const fl_rows *b = &k->p->rows;
    share w = share_of(k->p->H, k->by_units, thread, threads);
    int64_t most = max64(P_BLOCK, b->N * k->chunk), every = k->p->every;
    step_rows rows = step_rows_in(k, k->scratch + thread * k->scratch_size, most);
    real *copies = rows.own + own_size(c, k);
    begin_backward(c, k, thread, &rows, team);
    int64_t segments = every ? (b->T + every - 1) / every : 1;
    for (int64_t i = segments - 1; i >= 0; i--) {
        k->first = i * every, k->last = every ? min64(b->T, k->first + every) : b->T;
        if (every) run_segment(c, k, &w, &rows, team);
        for (int64_t s = k->last - 1; s >= k->first; s--) {
            rows.n = share_rows(&w, b->n_at[s]);
            if (b->n_at[s]) c->step_backward(k, &w, &rows, s, team);
        }
        fl_barrier(team);
        segment_products(c, k, i == segments - 1, i == 0, thread, &rows, copies, team);
        fl_barrier(team);
    }
    end_backward(c, k, thread);
}

static int64_t longest_segment(const fl_call *p) { /* in packed rows */
    const fl_rows *b = &p->rows;                   /* rows only end: the first is the longest */
    return b->offset[p->every ? min64(b->T, p->every) : b->T];
}

static int64_t plan_backward(const cell *c, call *k, int dx, real *block) {
    const fl_call *p = k->p;
    int64_t N = p->rows.N, P = longest_segment(p);
    arena m = {block, 0};
    k->full = 1;
    k->chunk = chunk_steps(k, p->every ? min64(p->every, p->rows.T) : p->rows.T);
    k->zeros = take(&m, max64(k->GHp, PANEL));
    k->unpacked = !p->every && stay_unpacked(c, p);
    k->wht = k->unpacked ? p->weights.w_hh : take(&m, columns_size(p->H, k->G, p->R));
    k->whnt = c->before ? take(&m, columns_size(p->H, 1, p->R)) : NULL;
    k->wxt = k->unpacked ? p->weights.w_ih
             : dx        ? take(&m, columns_size(p->H, k->G, p->in.I))
                         : NULL;
    k->whrt = p->weights.w_hr ? take(&m, columns_size(p->R, 1, p->H)) : NULL;
    k->dproj = p->weights.w_hr ? take(&m, P * k->Rp) : NULL;
    k->table = p->in.ids ? take(&m, p->in.U * k->GHp) : NULL;
    k->dh = take(&m, N * k->Rp);
    k->dc = c->c ? take(&m, N * k->Hp) : NULL;
    k->fresh_c = c->c && p->reset ? take(&m, N * k->Hp) : NULL;
    k->dfresh_h = p->reset ? take(&m, N * k->Rp) : NULL;
    k->dfresh_c = c->c && p->reset ? take(&m, N * k->Hp) : NULL;
    k->gates = p->gates, k->cells = p->cells, k->extra = p->extra;
    if (p->every) {
        place_weights(c, k, take(&m, place_weights(c, k, NULL)));
        k->inputs = p->in.ids ? take(&m, p->in.U * k->GHp) : NULL;
        k->states = p->cells;
        k->gates = take(&m, P * k->GHp);
        k->cells = c->c ? take(&m, (N + P) * k->Hp) : NULL;
        k->extra = keeps_extra(c, p) ? take(&m, P * k->Hp) : NULL;
    }
    int64_t most = max64(P_BLOCK, N * k->chunk), F = max64(max64(p->R, p->H), p->in.I);
    k->scratch_size = pointers_size(most) + own_size(c, k) + weight_copies_size(F) +
                      sums_size(c, k, WEIGHT_GRADS, p->every > 0);
    k->scratch = take(&m, k->scratch_size * k->threads);
    return m.size;
}

static int64_t backward_bytes(const cell *c, const fl_call *p) {
    fl_grads none = {0};
    call k = call_of(c, p, &none);
    set_threads(c, &k, 4);
    return plan_backward(c, &k, 1, NULL) * (int64_t)sizeof(real);
}

static int run_backward(const cell *c, const fl_call *p, const fl_grads *g, fl_body body) {
    call k = call_of(c, p, g);
    set_threads(c, &k, 4);
    real *block = fl_alloc((size_t)plan_backward(c, &k, g->dx != NULL, NULL) * sizeof(real));
    if (!block) return -1;
    plan_backward(c, &k, g->dx != NULL, block);
    memset((real *)k.zeros, 0, (size_t)max64(k.GHp, PANEL) * sizeof(real));
    fl_run(k.threads, body, &k);
    fl_free(block);
    return 0;
}

#endif
