/* LSTM, backward through time: gate gradients step by step, then dx and the weights' gradients
 * as products over all steps. */
#ifndef FL_LSTM_BACKWARD_H
#define FL_LSTM_BACKWARD_H

#include "lstm_call.h"
#include "weight_grad.h"

FL_INLINE real *gate_grads(const lstm_call *k, int64_t row, int64_t step) {
    return k->gates + (k->p->rows.offset[step] + row) * k->GHp;
}

/* Gates of a row at a step into their gradients, units j0..j1-1; k->dc becomes that of the step
 * before. */
static void lstm_row_backward(const lstm_call *k, int64_t row, int64_t step, int64_t j0,
                              int64_t j1) {
    const fl_lstm_grads *g = k->g;
    const fl_rows *b = &k->p->rows;
    const real *dy = g->dy;
    if (dy) dy += place(b, row, step, g->dy_t, g->dy_n);
    const real *c_in = cell_row(k, row, step - 1), *c_out = cell_row(k, row, step);
    real *z = gate_grads(k, row, step), *dh = k->dh + row * k->Hp, *dc = k->dc + row * k->Hp;
    for (int64_t j = j0; j < j1; j++) {
        real *zj = z + j * PANEL;
        int64_t u = j * VL;
        lstm_gates a = {vload(zj), vload(zj + VL), vload(zj + 2 * VL), vload(zj + 3 * VL)}, d;
        vreal dhj = vload(dh + u);
        if (dy) dhj += vload_n(dy + u, min64(VL, k->p->H - u));
        vreal dcj =
            lstm_cell_backward(&a, vload(c_in + u), vload(c_out + u), dhj, vload(dc + u), &d);
        vstore(dc + u, dcj);
        vstore(zj, d.i);
        vstore(zj + VL, d.f);
        vstore(zj + 2 * VL, d.g);
        vstore(zj + 3 * VL, d.o);
    }
}

/* What lstm_row_backward will read a step earlier. */
FL_INLINE void prefetch_row(const lstm_call *k, int64_t row, int64_t step, const share *w) {
    const fl_lstm_grads *g = k->g;
    int64_t units = min64(w->j1 * VL, k->p->H) - w->j0 * VL;
    prefetch(gate_grads(k, row, step) + w->j0 * PANEL, (w->j1 - w->j0) * PANEL);
    prefetch(cell_row(k, row, step - 1) + w->j0 * VL, units);
    if (g->dy)
        prefetch((const real *)g->dy + place(&k->p->rows, row, step, g->dy_t, g->dy_n) + w->j0 * VL,
                 units);
}

static void lstm_step_backward(const lstm_call *k, const share *w, step_rows *rows, int64_t step,
                               fl_team *team) {
    rows->n = share_rows(w, k->p->rows.n_at[step]);
    for (int64_t i = 0; i < rows->n; i++) {
        int64_t row = w->first + i * w->stride;
        lstm_row_backward(k, row, step, w->j0, w->j1);
        if (step) prefetch_row(k, row, step - 1, w);
        rows->a[i] = gate_grads(k, row, step);
        rows->z[i] = k->dh + row * k->Hp;
        rows->init[i] = k->zeros;
    }
    if (k->by_units) fl_barrier(team); /* dh needs all units' gates */
    product m = {.n = rows->n,
                 .K = k->GHp,
                 .a = rows->a,
                 .a_step = 1,
                 .b = k->wht,
                 .nv = k->Hp / VL,
                 .p0 = w->p0,
                 .p1 = w->p1,
                 .cin = rows->init,
                 .cin_panel = 0,
                 .c = rows->z,
                 .c_panel = PANEL,
                 .down = step & 1};
    product_run(&m, NULL, NULL);
}

/* Rows of dx = dG W_ih leave their tile for the caller's array. */
typedef struct {
    real *tiles; /* [P_BLOCK,PANEL] */
    real **dx;
    int64_t I;
    int accumulate;
} dx_out;

FL_INLINE void write_dx(void *ctx, int64_t row, int64_t R, int64_t panel) {
    const dx_out *o = ctx;
    for (int64_t r = row; r < row + R; r++)
        for (int64_t v = 0; v < FL_PANEL; v++) {
            int64_t at = panel * PANEL + v * VL, lanes = min64(VL, o->I - at);
            if (lanes <= 0) break;
            vreal x = vload(o->tiles + r * PANEL + v * VL);
            if (o->accumulate) x += vload_n(o->dx[r] + at, lanes);
            vstore_n(o->dx[r] + at, x, lanes);
        }
}

static void lstm_dx_rows(const lstm_call *k, int64_t n, step_rows *rows, real *tiles) {
    dx_out out = {tiles, rows->out, k->p->in.I, k->g->accumulate_dx};
    for (int64_t i = 0; i < n; i++) {
        rows->z[i] = tiles + i * PANEL;
        rows->init[i] = k->zeros;
    }
    int64_t nv = vectors(k->p->in.I);
    product m = {.n = n,
                 .K = k->GHp,
                 .a = rows->a,
                 .a_step = 1,
                 .b = k->wxt,
                 .nv = nv,
                 .p0 = 0,
                 .p1 = (nv + FL_PANEL - 1) / FL_PANEL,
                 .cin = rows->init,
                 .cin_panel = 0,
                 .c = rows->z,
                 .c_panel = 0};
    product_run(&m, write_dx, &out);
}

/* The sorted row and step of packed row p. */
FL_INLINE int64_t step_of(const fl_rows *b, int64_t p) {
    int64_t lo = 0, hi = b->T;
    while (hi - lo > 1) {
        int64_t mid = (lo + hi) / 2;
        if (b->offset[mid] <= p)
            lo = mid;
        else
            hi = mid;
    }
    return lo;
}

static void lstm_dx(const lstm_call *k, int thread, step_rows *rows, real *tiles) {
    const fl_rows *b = &k->p->rows;
    const fl_lstm_grads *g = k->g;
    int64_t P = k->p->in.ids ? k->p->in.U : b->offset[b->T];
    int64_t p1 = part(P, thread + 1, k->threads);
    for (int64_t p = part(P, thread, k->threads), n; p < p1; p += n) {
        n = min64(P_BLOCK, p1 - p);
        for (int64_t i = 0, step = step_of(b, p); i < n; i++) {
            if (k->p->in.ids) {
                rows->a[i] = k->table + (p + i) * k->GHp;
                rows->out[i] = (real *)g->dx + (p + i) * g->dx_n;
                continue;
            }
            while (p + i >= b->offset[step + 1]) step++;
            rows->a[i] = k->gates + (p + i) * k->GHp;
            rows->out[i] =
                (real *)g->dx + place(b, p + i - b->offset[step], step, g->dx_t, g->dx_n);
        }
        lstm_dx_rows(k, n, rows, tiles);
    }
    if (k->p->in.ids || g->accumulate_dx) return;
    for (int64_t r = part(b->N, thread, k->threads); r < part(b->N, thread + 1, k->threads); r++)
        for (int64_t t = b->length[r]; t < b->T; t++)
            memset((real *)g->dx + t * g->dx_t + b->order[r] * g->dx_n, 0,
                   (size_t)k->p->in.I * sizeof(real));
}

FL_INLINE real *token_row(const lstm_call *k, int64_t row, int64_t step) {
    const fl_input *in = &k->p->in;
    return k->table + in->ids[place(&k->p->rows, row, step, in->ids_t, in->ids_n)] * k->GHp;
}

/* Gate gradients summed per distinct token, this thread's unit blocks of them. */
static void lstm_sum_tokens(const lstm_call *k, int thread) {
    const fl_rows *b = &k->p->rows;
    const fl_input *in = &k->p->in;
    int64_t blocks = unit_blocks(k->p->H);
    int64_t from = part(blocks, thread, k->threads) * PANEL;
    int64_t to = part(blocks, thread + 1, k->threads) * PANEL;
    for (int64_t u = 0; u < in->U; u++)
        memset(k->table + u * k->GHp + from, 0, (size_t)(to - from) * sizeof(real));
    for (int64_t s = 0; s < b->T; s++)
        for (int64_t r = 0; r < b->n_at[s]; r++) {
            const real *d = gate_grads(k, r, s);
            if (r + 2 < b->n_at[s]) prefetch(token_row(k, r + 2, s) + from, to - from);
            real *sum = token_row(k, r, s);
            for (int64_t i = from; i < to; i += VL) vstore(sum + i, vload(sum + i) + vload(d + i));
        }
}

/* Rows of A for weight_grad: hidden states before each packed row, and inputs. */
static void hidden_rows(const void *ctx, int64_t p0, int64_t n, const real **rows) {
    const lstm_call *k = ctx;
    const fl_rows *b = &k->p->rows;
    for (int64_t p = p0, step = step_of(b, p0); p < p0 + n; p++) {
        while (p >= b->offset[step + 1]) step++;
        rows[p - p0] = hidden_row(k, p - b->offset[step], step - 1);
    }
}

static void input_rows(const void *ctx, int64_t p0, int64_t n, const real **rows) {
    const lstm_call *k = ctx;
    const fl_rows *b = &k->p->rows;
    for (int64_t p = p0, step = step_of(b, p0); p < p0 + n; p++) {
        while (p >= b->offset[step + 1]) step++;
        rows[p - p0] = input_row(b, &k->p->in, p - b->offset[step], step);
    }
}

static void table_rows(const void *ctx, int64_t p0, int64_t n, const real **rows) {
    const lstm_call *k = ctx;
    for (int64_t i = 0; i < n; i++) rows[i] = (const real *)k->p->in.x + (p0 + i) * k->p->in.I;
}

static void lstm_weight_grads(const lstm_call *k, int thread, real *scratch) {
    const fl_lstm *p = k->p;
    const fl_lstm_grads *g = k->g;
    weight_grad hh = {.H = p->H,
                      .F = p->H,
                      .P = p->rows.offset[p->rows.T],
                      .dG = k->gates,
                      .row = hidden_rows,
                      .ctx = k,
                      .dw = g->dw_hh,
                      .db1 = g->db_ih,
                      .db2 = g->db_hh};
    weight_grad_run(&hh, thread, k->threads, scratch);
    weight_grad ih = {.H = p->H,
                      .F = p->in.I,
                      .P = hh.P,
                      .dG = k->gates,
                      .row = input_rows,
                      .ctx = k,
                      .dw = g->dw_ih};
    if (p->in.ids) ih.P = p->in.U, ih.dG = k->table, ih.row = table_rows;
    weight_grad_run(&ih, thread, k->threads, scratch);
}

/* [N,H] of the caller's into rows of ours or back; NULL reads as zero. */
static void read_state(const lstm_call *k, const void *from, int64_t row, real *to) {
    int64_t H = from ? k->p->H : 0;
    if (H) memcpy(to, (const real *)from + k->p->rows.order[row] * H, (size_t)H * sizeof(real));
    memset(to + H, 0, (size_t)(k->Hp - H) * sizeof(real));
}

static void write_state(const lstm_call *k, const real *from, int64_t row, void *to) {
    int64_t H = k->p->H;
    memcpy((real *)to + k->p->rows.order[row] * H, from, (size_t)H * sizeof(real));
}

static void lstm_backward_body(void *ctx, int thread, int threads, fl_team *team) {
    lstm_call call = *(lstm_call *)ctx, *k = &call;
    const fl_lstm *p = k->p;
    k->threads = threads;
    k->by_units = k->by_units && threads > 1;
    int64_t N = p->rows.N, n0 = part(N, thread, threads), n1 = part(N, thread + 1, threads);
    int64_t blocks = unit_blocks(p->H), j0 = part(blocks, thread, threads);
    int64_t j1 = part(blocks, thread + 1, threads);
    share w = share_of(p->H, k->by_units, thread, threads);
    real *own = k->scratch + thread * k->scratch_size;
    step_rows rows = step_rows_in(k, own, max64(P_BLOCK, N));
    real *tiles = own + pointers_size(max64(P_BLOCK, N)) / VL * VL + VL;

    pack_columns(p->H, p->H, p->weights.w_hh, (real *)k->wht, j0, j1);
    if (k->g->dx) pack_columns(p->H, p->in.I, p->weights.w_ih, (real *)k->wxt, j0, j1);
    for (int64_t r = n0; r < n1; r++) {
        read_state(k, k->g->dh_n, r, k->dh + r * k->Hp);
        read_state(k, k->g->dc_n, r, k->dc + r * k->Hp);
    }
    fl_barrier(team);
    for (int64_t s = p->rows.T - 1; s >= 0; s--)
        if (p->rows.n_at[s]) lstm_step_backward(k, &w, &rows, s, team);
    fl_barrier(team);
    for (int64_t r = n0; r < n1; r++) {
        write_state(k, k->dh + r * k->Hp, r, k->g->dh0);
        write_state(k, k->dc + r * k->Hp, r, k->g->dc0);
    }
    if (p->in.ids) {
        lstm_sum_tokens(k, thread);
        fl_barrier(team);
    }
    if (k->g->dx) lstm_dx(k, thread, &rows, tiles);
    lstm_weight_grads(k, thread, tiles);
}

static int lstm_backward(const fl_lstm *p, const fl_lstm_grads *g) {
    int64_t N = p->rows.N, T = p->rows.T, H = p->H, I = p->in.I, P = p->rows.offset[T];
    int64_t Hp = unit_blocks(H) * VL, GHp = GATES * Hp;
    lstm_call k = {.p = p, .g = g, .GHp = GHp, .Hp = Hp, .gates = p->gates, .cells = p->cells};
    k.by_units = divide_units(N, H, p->n_threads);
    k.threads = worth_threads(4 * P * GHp * (I + H), T, k.by_units, p->n_threads);
    k.by_units = divide_units(N, H, k.threads);
    int64_t wht = packed_columns_size(H, H), wxt = g->dx ? packed_columns_size(H, I) : 0;
    int64_t table = p->in.ids ? p->in.U * GHp : 0;
    k.scratch_size = pointers_size(max64(P_BLOCK, N)) / VL * VL + VL;
    k.scratch_size += max64(P_BLOCK * PANEL, weight_grad_scratch(H, max64(H, I), k.threads));
    real *block = fl_alloc(sizeof(real) * (size_t)(wht + wxt + table + Hp + PANEL + 2 * N * Hp +
                                                   k.scratch_size * k.threads));
    if (!block) return -1;
    real *zeros = block;
    memset(zeros, 0, (size_t)(Hp + PANEL) * sizeof(real));
    k.zeros = zeros;
    k.wht = zeros + Hp + PANEL;
    k.wxt = k.wht + wht;
    k.table = (real *)k.wxt + wxt;
    k.dh = k.table + table;
    k.dc = k.dh + N * Hp;
    k.scratch = k.dc + N * Hp;
    fl_run(k.threads, lstm_backward_body, &k);
    fl_free(block);
    return 0;
}

#endif
