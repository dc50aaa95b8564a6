/* LSTM, the time loop forward. */
#ifndef FL_LSTM_FORWARD_H
#define FL_LSTM_FORWARD_H

#include "lstm_call.h"

static int64_t lstm_packed_size(int64_t I, int64_t H) {
    return unit_blocks(H) * PANEL * (I + H + 1);
}

/* Unit blocks j0..j1-1 of [wx | wh | bias]. */
static void lstm_pack(int64_t I, int64_t H, const fl_weights *w, real *packed, int64_t j0,
                      int64_t j1) {
    int64_t GHp = unit_blocks(H) * PANEL;
    pack_gates(H, I, w->w_ih, packed, j0, j1);
    pack_gates(H, H, w->w_hh, packed + GHp * I, j0, j1);
    pack_bias(H, w->b_ih, w->b_hh, packed + GHp * (I + H), j0, j1);
}

/* Gate maths on rows of a unit block whose products are complete. */
FL_INLINE void lstm_finish(void *ctx, int64_t row, int64_t R, int64_t j) {
    const step_rows *s = ctx;
    int64_t lanes = min64(VL, s->call->p->H - j * VL);
    for (int64_t r = row; r < row + R; r++) {
        real *z = s->z[r] + j * PANEL;
        lstm_gates a = lstm_activate(z);
        vreal h, c = lstm_cell(&a, vload(s->c_in[r] + j * VL), &h);
        vstore(s->c_out[r] + j * VL, c);
        vstore_n(s->out[r] + j * VL, h, lanes);
        if (s->call->p->gates) {
            vstore(z, a.i);
            vstore(z + VL, a.f);
            vstore(z + 2 * VL, a.g);
            vstore(z + 3 * VL, a.o);
        }
    }
}

/* Rows of products with a packed weight, its unit blocks j0..j1-1. */
FL_INLINE product lstm_product(const lstm_call *k, const step_rows *rows, int64_t n, int64_t K,
                               const real *weight, int64_t j0, int64_t j1) {
    return (product){.n = n,
                     .K = K,
                     .a = rows->a,
                     .a_step = 1,
                     .b = weight,
                     .nv = k->GHp / VL,
                     .p0 = j0,
                     .p1 = j1,
                     .cin = rows->init,
                     .cin_panel = PANEL,
                     .c = rows->z,
                     .c_panel = PANEL};
}

/* Input products of a thread's rows at steps s0..s1-1; with ids they were made once a token. */
static product lstm_inputs(const lstm_call *k, const share *w, step_rows *rows, int64_t s0,
                           int64_t s1) {
    const fl_lstm *p = k->p;
    int64_t n = 0;
    for (int64_t s = s0; s < s1; s++)
        for (int64_t i = 0; i < share_rows(w, p->rows.n_at[s]); i++, n++) {
            int64_t row = w->first + i * w->stride;
            rows->a[n] = input_row(&p->rows, &p->in, row, s);
            rows->z[n] = gates_row(k, row, s, s0);
            rows->init[n] = k->bias;
        }
    return lstm_product(k, rows, n, p->in.I, k->wx, w->j0, w->j1);
}

static product lstm_step(const lstm_call *k, const share *w, step_rows *rows, int64_t step,
                         int64_t s0) {
    const fl_lstm *p = k->p;
    rows->n = share_rows(w, p->rows.n_at[step]);
    for (int64_t i = 0; i < rows->n; i++) {
        int64_t row = w->first + i * w->stride;
        rows->a[i] = hidden_row(k, row, step - 1);
        rows->z[i] = gates_row(k, row, step, s0);
        rows->c_in[i] = cell_row(k, row, step - 1);
        rows->c_out[i] = cell_row(k, row, step);
        rows->out[i] = output_row(k, row, step);
        rows->init[i] = rows->z[i];
        if (p->in.ids) {
            const real *x = input_row(&p->rows, &p->in, row, step);
            rows->init[i] = k->table + (x - (const real *)p->in.x) / p->in.I * k->GHp;
        }
    }
    return lstm_product(k, rows, rows->n, p->H, k->wh, w->j0, w->j1);
}

/* Before the first step: weights packed, cells from c0, the distinct tokens' products. */
static void lstm_begin(const lstm_call *k, int thread, step_rows *rows, fl_team *team) {
    const fl_lstm *p = k->p;
    int64_t H = p->H, blocks = unit_blocks(H);
    if (!p->packed)
        lstm_pack(p->in.I, H, &p->weights, (real *)k->wx, part(blocks, thread, k->threads),
                  part(blocks, thread + 1, k->threads));
    for (int64_t r = part(p->rows.N, thread, k->threads);
         r < part(p->rows.N, thread + 1, k->threads); r++) {
        memcpy(cell_row(k, r, -1), (const real *)p->c0 + p->rows.order[r] * H,
               (size_t)H * sizeof(real));
        memset(cell_row(k, r, -1) + H, 0, (size_t)(k->Hp - H) * sizeof(real));
    }
    fl_barrier(team);
    if (!p->in.ids) return;
    int64_t u1 = part(p->in.U, thread + 1, k->threads);
    for (int64_t u = part(p->in.U, thread, k->threads), n; u < u1; u += n) {
        n = min64(P_BLOCK, u1 - u);
        for (int64_t i = 0; i < n; i++) {
            rows->a[i] = (const real *)p->in.x + (u + i) * p->in.I;
            rows->z[i] = k->table + (u + i) * k->GHp;
            rows->init[i] = k->bias;
        }
        product m = lstm_product(k, rows, n, p->in.I, k->wx, 0, blocks);
        product_run(&m, NULL, NULL);
    }
    fl_barrier(team);
}

/* After the last step: zeros past each row's end, its final state. */
static void lstm_end(const lstm_call *k, int thread) {
    const fl_lstm *p = k->p;
    const fl_rows *b = &p->rows;
    size_t bytes = (size_t)p->H * sizeof(real);
    for (int64_t r = part(b->N, thread, k->threads); r < part(b->N, thread + 1, k->threads); r++) {
        int64_t n = b->order[r], last = b->length[r] - 1;
        for (int64_t t = last + 1; t < b->T; t++)
            memset((real *)p->y + t * p->y_t + n * p->y_n, 0, bytes);
        memcpy((real *)p->h_n + n * p->H, hidden_row(k, r, last), bytes);
        memcpy((real *)p->c_n + n * p->H, cell_row(k, r, last), bytes);
    }
}

static void lstm_forward_body(void *ctx, int thread, int threads, fl_team *team) {
    lstm_call call = *(lstm_call *)ctx, *k = &call;
    k->threads = threads;
    const fl_rows *b = &k->p->rows;
    share w = share_of(k->p->H, k->by_units && threads > 1, thread, threads);
    real *own = k->scratch + thread * k->scratch_size;
    step_rows rows = step_rows_in(k, own, max64(P_BLOCK, b->N * k->chunk));
    lstm_begin(k, thread, &rows, team);
    for (int64_t s = 0; s < b->T && b->n_at[s]; s++) {
        int64_t s0 = s / k->chunk * k->chunk;
        if (s == s0 && !k->p->in.ids) {
            product inputs = lstm_inputs(k, &w, &rows, s0, min64(s0 + k->chunk, b->T));
            product_run(&inputs, NULL, NULL);
        }
        product m = lstm_step(k, &w, &rows, s, s0);
        m.down = s & 1;
        product_run(&m, lstm_finish, &rows);
        if (k->by_units) fl_barrier(team);
    }
    fl_barrier(team);
    lstm_end(k, thread);
}

/* Steps whose input products are made together: enough rows for full tiles, and for the input
 * weight to be read seldom if it is large. */
FL_INLINE int64_t chunk_steps(int64_t N, int64_t H, int64_t I, int threads) {
    int64_t large = GATES * H * I * (int64_t)sizeof(real) > (int64_t)512 << 10;
    return max64(1, (large ? 192 : 24) * threads / N);
}

static int lstm_forward(const fl_lstm *p) {
    int64_t N = p->rows.N, T = p->rows.T, H = p->H, I = p->in.I, P = p->rows.offset[T];
    int64_t Hp = unit_blocks(H) * VL, GHp = GATES * Hp;
    lstm_call k = {.p = p, .GHp = GHp, .Hp = Hp};
    k.by_units = divide_units(N, H, p->n_threads);
    k.threads = worth_threads(2 * P * GHp * (I + H), T, k.by_units, p->n_threads);
    k.by_units = divide_units(N, H, k.threads);
    if (!k.by_units) k.threads = (int)min64(k.threads, N);
    k.chunk = min64(T, chunk_steps(N, H, I, k.threads));
    k.scratch_size = pointers_size(max64(P_BLOCK, N * k.chunk)) / VL * VL + VL;

    int64_t packed = p->packed ? 0 : GHp * (I + H + 1), table = p->in.ids ? p->in.U * GHp : 0;
    int64_t gates = p->gates ? 0 : N * k.chunk * GHp, cells = p->cells ? 0 : N * Hp;
    real *block = fl_alloc(sizeof(real) *
                           (size_t)(packed + table + gates + cells + k.scratch_size * k.threads));
    if (!block) return -1;
    k.wx = p->packed ? p->packed : block;
    k.wh = k.wx + GHp * I;
    k.bias = k.wh + GHp * H;
    k.table = block + packed;
    k.gates = p->gates ? p->gates : k.table + table;
    k.cells = p->cells ? p->cells : k.table + table + gates;
    k.scratch = k.table + table + gates + cells;
    fl_run(k.threads, lstm_forward_body, &k);
    fl_free(block);
    return 0;
}

#endif
