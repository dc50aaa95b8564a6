/* Gradients of the weights, of x and of the tokens' table: products over the steps.
 *
 * They are made of rows whose gate gradients are complete, "ripe", some hundred at a time while
 * they are still in the second-level cache. All of them after the last step instead: no slower
 * where 32 MiB of third-level cache hold them, but the IMDB step (64 reviews of 200 words by
 * distinct tokens) took 18.7 ms backward in place of 17.6. 256 KiB or 1 MiB at a time: the same.
 */
#ifndef FL_GRADIENTS_H
#define FL_GRADIENTS_H

#include "packed_rows.h"
#include "param_grad.h"
#include "packing.h"
#include "token_sums.h"
#include "weight_grad_few.h"

/* C = Cin + A B with B in column order; cin_panel is PANEL, or 0 to start from zeros. */
FL_INLINE product column_product(int64_t n, int64_t K, const real *const *a, const real *b,
                                 int64_t nv, const real *const *cin, int64_t cin_panel,
                                 real *const *c) {
    return (product){.n = n,
                     .K = words(K),
                     .a = a,
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

static void column_product_run(const call *k, const product *m, const weight_shape *s,
                               product_done done, void *ctx) {
    if (WORD == 1 && k->unpacked)
        unpacked_columns_run(m, s, done, ctx);
    else
        product_run(m, done, ctx);
}

/* Rows of A for weight_grad. */
static void hidden_rows(const void *ctx, int64_t p0, int64_t n, const real **rows) {
    place_of_row at = packed_place(ctx, p0);
    for (int64_t i = 0; i < n; i++, next_place(ctx, &at))
        rows[i] = hidden_before(ctx, at.row, at.step);
}

static void mask_rows(const void *ctx, int64_t p0, int64_t n, const real **rows) {
    place_of_row at = packed_place(ctx, p0);
    for (int64_t i = 0; i < n; i++, next_place(ctx, &at)) rows[i] = mask_row(ctx, at.row);
}

static void input_rows(const void *ctx, int64_t p0, int64_t n, const real **rows) {
    const call *k = ctx;
    place_of_row at = packed_place(k, p0);
    for (int64_t i = 0; i < n; i++, next_place(k, &at))
        rows[i] = input_row(&k->p->rows, &k->p->in, at.row, at.step);
}

static void extra_rows(const void *ctx, int64_t p0, int64_t n, const real **rows) {
    const call *k = ctx;
    for (int64_t i = 0; i < n; i++) rows[i] = as_operand(extra_at(k, p0 + i));
}

static void table_rows(const void *ctx, int64_t p0, int64_t n, const real **rows) {
    const call *k = ctx;
    for (int64_t i = 0; i < n; i++) rows[i] = (const real *)k->p->in.x + (p0 + i) * k->p->in.I;
}

/* Words of the rows of a segment are of one step: a segment ends with a step. */
static int64_t step_words(const void *ctx, int64_t p0, int64_t n, uint8_t *rows) {
    const call *k = ctx;
    int64_t words = 0;
    place_of_row at = packed_place(k, p0);
    for (int64_t p = 0; p < n; p += rows[words++]) {
        rows[words] = (uint8_t)min64(2, min64(n - p, k->p->rows.n_at[at.step] - at.row));
        for (int i = 0; i < rows[words]; i++) next_place(k, &at);
    }
    return words;
}

static int64_t table_words(const void *ctx, int64_t p0, int64_t n, uint8_t *rows) {
    (void)ctx, (void)p0;
    for (int64_t p = 0; p < n; p += 2) rows[p / 2] = (uint8_t)min64(2, n - p);
    return (n + 1) / 2;
}

/* The weights' gradients of a call. */
enum { OF_HIDDEN, OF_LATE_HIDDEN, OF_PROJECTION, OF_INPUT, WEIGHT_GRADS };

enum { JOINT_BYTES = 256 << 10 }; /* of rows packed together: a quarter of that cache */

/* Are the gradients of both weights made together? If they meet the same gate gradients, those are
 * then packed once; unless the rows of both together do not stay in the second-level cache. */
FL_INLINE int made_jointly(const call *k) {
    int64_t row = (k->p->R + k->p->in.I) * (int64_t)sizeof(real);
    int same = !k->cell->split && !k->cell->late && !k->p->in.ids;
    return same && row * P_BLOCK <= JOINT_BYTES;
}

FL_INLINE int has_grad(const call *k, int which) {
    return which == OF_LATE_HIDDEN  ? k->cell->late
           : which == OF_PROJECTION ? k->p->weights.w_hr != NULL
           : which == OF_INPUT      ? !made_jointly(k)
                                    : 1;
}

static weight_grad grad_of(const call *k, int which) {
    const fl_call *p = k->p;
    const fl_grads *g = k->g;
    int64_t P = p->rows.offset[k->last] - p->rows.offset[k->first];
    weight_grad m = {.H = p->H,
                     .G = k->cell->gates,
                     .g1 = k->cell->gates,
                     .V = k->cell->panel,
                     .P = P,
                     .dG_row = k->GHp,
                     .words = step_words,
                     .zeros = k->zeros};
    weight_factor input = {p->in.I, p->in.ids ? table_rows : input_rows, NULL, g->dw_ih, 0};
    switch (which) {
    case OF_HIDDEN:
        m.of[0] = (weight_factor){p->R, hidden_rows, p->mask ? mask_rows : NULL, g->dw_hh, 0};
        if (made_jointly(k)) m.of[1] = input;
        m.db1 = g->db_hh, m.db2 = k->cell->split ? NULL : g->db_ih;
        m.g1 -= k->cell->late;
        break;
    case OF_LATE_HIDDEN: /* extra holds what the late gates met */
        m.of[0] = (weight_factor){p->R, extra_rows, NULL, g->dw_hh, 1};
        m.db1 = g->db_hh, m.db2 = g->db_ih;
        m.g0 = k->G - k->cell->late;
        break;
    case OF_PROJECTION:
        m = (weight_grad){.H = p->R, .G = 1, .g1 = 1, .V = FL_PANEL, .P = P, .dG_row = k->Rp};
        m.words = step_words, m.zeros = k->zeros;
        m.of[0] = (weight_factor){p->H, extra_rows, NULL, g->dw_hr, 1};
        break;
    default:
        m.of[0] = input;
        if (p->in.ids)
            m.P = p->in.U, m.words = table_words, m.dG_row = kept_token(k, 1) - kept_token(k, 0);
        m.db1 = k->cell->split ? g->db_ih : NULL;
    }
    return m;
}

/* The most features that are packed at a time. */
FL_INLINE int64_t most_features(const call *k) {
    const fl_call *p = k->p;
    int64_t most = max64(p->R, p->in.I);
    if (made_jointly(k)) most = p->R + p->in.I;
    return p->weights.w_hr ? max64(most, p->H) : most;
}

/* Elements of the sums of the first `count` gradients, in a thread's scratch. */
static int64_t sums_size(const call *k, int count) {
    int64_t size = 0;
    for (int i = 0; i < count; i++) {
        if (!has_grad(k, i)) continue;
        weight_grad m = grad_of(k, i);
        size += weight_sums_size(&m, k->threads);
    }
    return size;
}

/* One weight's gradient of ripe rows, added to the thread's sums. After every SUM_ROWS rows of the
 * call, and after its last, those are added to the caller's gradient and zeroed. */
static void run_grad(const call *k, int which, const ripe *r, const kept_real *dG, int thread,
                     real *copies, real *sums) {
    if (!has_grad(k, which)) return;
    weight_grad m = grad_of(k, which);
    if (WORD == 1 && k->unpacked) {
        weight_grad_few(&m, thread, k->threads, k, r->p1, (const real *)(const void *)dG, copies);
        return;
    }
    weight_part w = weight_part_of(&m, thread, k->threads);
    const int64_t *offset = k->p->rows.offset;
    int64_t before = offset[k->p->rows.T] - offset[k->last];
    if (which == OF_INPUT && k->p->in.ids) before = 0; /* rows of the table */
    size_t bytes = (size_t)weight_sums_of(&w) * sizeof(real);
    sums += sums_size(k, which);
    if (r->begin) memset(sums, 0, bytes);
    for (int64_t p = r->p0, n; p < r->p1; p += n) {
        int64_t at = before + p;
        n = min64(P_BLOCK - at % P_BLOCK, r->p1 - p);
        int last = r->end && p + n == r->p1;
        block_sum to = {sums, sums + sums_size(k, WEIGHT_GRADS), at % P_BLOCK == 0,
                        (at + n) % P_BLOCK == 0 || last};
        weight_grad_block(&m, &w, k, p, n, dG + p * m.dG_row, copies, &to);
        if (!last && (at + n) % SUM_ROWS) continue;
        add_weight_grad(&m, thread, k->threads, sums);
        memset(sums, 0, bytes);
    }
}

/* Where the tiles of dx = dG W_ih go: rows of the caller's array. */
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

static void dx_rows(const call *k, int64_t n, step_rows *rows, real *tiles) {
    dx_out out = {tiles, rows->out, k->p->in.I, k->g->accumulate_dx};
    for (int64_t i = 0; i < n; i++) {
        rows->z[i] = tiles + i * PANEL;
        rows->init[i] = k->zeros;
    }
    round_kept_rows(k, rows, n, k->GHp, 0);
    product m =
        column_product(n, k->GHp, rows->a, k->wxt, vectors(k->p->in.I), rows->init, 0, rows->z);
    m.c_panel = 0, m.panels_first = 1;
    weight_shape shape = input_shape(k);
    column_product_run(k, &m, &shape, write_dx, &out);
}

/* dx of this thread's part of ripe rows, or of the table's. */
static void make_dx(const call *k, const ripe *ready, int thread, step_rows *rows, real *tiles) {
    const fl_rows *b = &k->p->rows;
    const fl_grads *g = k->g;
    int64_t P = ready->p1 - ready->p0, p1 = ready->p0 + part(P, thread + 1, k->threads);
    for (int64_t p = ready->p0 + part(P, thread, k->threads), n; p < p1; p += n) {
        n = min64(P_BLOCK, p1 - p);
        place_of_row at = k->p->in.ids ? (place_of_row){0, 0} : packed_place(k, p);
        for (int64_t i = 0; i < n; i++) {
            if (k->p->in.ids) {
                rows->a[i] = as_operand(kept_token(k, p + i));
                rows->out[i] = (real *)g->dx + (p + i) * g->dx_n;
                continue;
            }
            rows->a[i] = as_operand(k->gates + (p + i) * k->GHp);
            rows->out[i] = (real *)g->dx + place(b, at.row, at.step, g->dx_t, g->dx_n);
            next_place(k, &at);
        }
        dx_rows(k, n, rows, tiles);
    }
}

/* Of a split gate the gradient of the recurrent product stands among the gates, and that of the
 * input product in extra. They change places. */
static void swap_gates(const call *k, const ripe *ready, int thread) {
    int64_t last = (k->cell->gates - 1) * VL, P = ready->p1 - ready->p0;
    int64_t p1 = ready->p0 + part(P, thread + 1, k->threads);
    for (int64_t p = ready->p0 + part(P, thread, k->threads); p < p1; p++)
        for (int64_t j = 0; j < k->Hp / VL; j++) {
            kept_real *gate = k->gates + p * k->GHp + j * k->cell->gates * VL + last;
            kept_real *extra = extra_at(k, p) + j * VL;
            vreal hidden = load_kept(gate);
            store_kept(gate, load_kept(extra));
            store_kept(extra, hidden);
        }
}

/* The gradients that are products over the steps, of ripe rows. */
static void ripe_products(const call *k, const ripe *ready, int thread, step_rows *rows,
                          real *copies, fl_team *team) {
    real *sums = copies + weight_copies_size(most_features(k));
    int weights = k->g->part != FL_GATES;
    if (k->cell->params && k->g->dparams) param_grad(k, ready, thread);
    if (weights) {
        run_grad(k, OF_HIDDEN, ready, k->gates, thread, copies, sums);
        run_grad(k, OF_LATE_HIDDEN, ready, k->gates, thread, copies, sums);
        run_grad(k, OF_PROJECTION, ready, k->dproj, thread, copies, sums);
    }
    if (k->cell->split) {
        fl_barrier(team);
        swap_gates(k, ready, thread);
        fl_barrier(team);
    }
    ripe table = {0, k->p->in.U, 1, 1};
    if (k->p->in.ids) {
        sum_tokens(k, ready, thread);
        if (!ready->end) return;
        fl_barrier(team);
        if (KEPT_ROUNDED) {
            keep_tokens(k, thread);
            fl_barrier(team);
        }
        ready = &table;
    }
    if (k->g->dx) make_dx(k, ready, thread, rows, copies);
    if (!weights) return;
    run_grad(k, OF_INPUT, ready, k->p->in.ids ? kept_token(k, 0) : k->gates, thread, copies, sums);
}

enum { RIPE_BYTES = 512 << 10 }; /* half of a second-level cache of 1 MiB */

/* How many ripe rows are waited for. Up to H = 128 their gate gradients are still in the
 * second-level cache then; fewer than two blocks would make the products of larger nets slower. */
FL_INLINE int64_t ripe_rows(const call *k) {
    int64_t row = k->GHp * (int64_t)sizeof(kept_real);
    return max64(2 * P_BLOCK, k->threads * RIPE_BYTES / row / P_BLOCK * P_BLOCK);
}

#endif
