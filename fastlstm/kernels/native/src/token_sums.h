/* Gate gradients summed per distinct token, for the gradients of the table and of its weight.
 *
 * A token may come any number of times. Of every SUM_BLOCK terms the sum goes to a row above, of
 * which there are few: most tokens never have so many. The rows above have rows above them
 * likewise.
 */
#ifndef FL_TOKEN_SUMS_H
#define FL_TOKEN_SUMS_H

#include "call.h"
#include "packed_rows.h"

/* A row: those of the table, then those above. Each thread keeps count for itself. */
typedef struct {
    int32_t terms; /* that came to it since it was last emptied */
    int32_t above; /* the row above, or 0 */
} token_sum;

/* How many rows above there can be: each has had SUM_BLOCK terms of a row below. */
FL_INLINE int64_t rows_above(const fl_call *p) {
    return p->rows.offset[p->rows.T] / (SUM_BLOCK - 1);
}

FL_INLINE int64_t token_sums_size(const fl_call *p) { /* of a thread; the first one is no row */
    int64_t rows = 1 + p->in.U + rows_above(p);
    return round_up(rows * (int64_t)(sizeof(token_sum) / sizeof(real)));
}

FL_INLINE void add_row(real *to, const real *from, int64_t n) {
    for (int64_t e = 0; e < n; e += VL) vstore(to + e, vload(to + e) + vload(from + e));
}

FL_INLINE void add_kept_row(real *to, const kept_real *from, int64_t n) {
    for (int64_t e = 0; e < n; e += VL) vstore(to + e, vload(to + e) + load_kept(from + e));
}

/* A thread's part of the rows: their elements from..to-1. */
typedef struct {
    const call *k;
    token_sum *of;
    int64_t from, to;
} token_rows;

FL_INLINE real *row_of_token(const token_rows *t, int64_t i) { /* they are numbered from 1 on */
    return t->k->table + (i - 1) * t->k->GHp + t->from;
}

/* A row has had SUM_BLOCK terms: its sum goes to the row above. of[0].above counts those rows. */
static void empty_row(const token_rows *t, int64_t i) {
    token_sum *row = t->of + i;
    size_t bytes = (size_t)(t->to - t->from) * sizeof(real);
    if (!row->above) {
        row->above = (int32_t)(t->k->p->in.U + ++t->of[0].above);
        t->of[row->above] = (token_sum){0};
        memset(row_of_token(t, row->above), 0, bytes);
    }
    add_row(row_of_token(t, row->above), row_of_token(t, i), t->to - t->from);
    memset(row_of_token(t, i), 0, bytes);
    row->terms = 0;
    if (++t->of[row->above].terms == SUM_BLOCK) empty_row(t, row->above);
}

/* Adds n packed rows from p on, at most P_BLOCK. */
static void add_to_tokens(const token_rows *t, int64_t p, int64_t n) {
    int64_t token[P_BLOCK];
    place_of_row at = packed_place(t->k, p);
    for (int64_t i = 0; i < n; i++, next_place(t->k, &at))
        token[i] = 1 + token_of(t->k, at.row, at.step);
    for (int64_t i = 0; i < n; i++) {
        if (i + 2 < n) prefetch(row_of_token(t, token[i + 2]), t->to - t->from);
        add_kept_row(row_of_token(t, token[i]), t->k->gates + (p + i) * t->k->GHp + t->from,
                     t->to - t->from);
        if (++t->of[token[i]].terms == SUM_BLOCK) empty_row(t, token[i]);
    }
}

/* Ripe rows, this thread's unit blocks of them. */
static void sum_tokens(const call *k, const ripe *r, int thread) {
    int64_t blocks = k->Hp / VL, block = k->GHp / blocks, U = k->p->in.U;
    token_rows t = {.k = k, .from = part(blocks, thread, k->threads) * block};
    t.of = (token_sum *)(void *)(k->token_sums + thread * token_sums_size(k->p));
    t.to = part(blocks, thread + 1, k->threads) * block;
    if (r->begin) memset(t.of, 0, (size_t)(1 + U) * sizeof *t.of);
    for (int64_t i = 1; r->begin && i <= U; i++)
        memset(row_of_token(&t, i), 0, (size_t)(t.to - t.from) * sizeof(real));
    for (int64_t p = r->p0; p < r->p1; p += P_BLOCK)
        add_to_tokens(&t, p, min64(P_BLOCK, r->p1 - p));
    for (int64_t i = 1; r->end && t.of[0].above && i <= U; i++)
        for (int64_t j = t.of[i].above; j; j = t.of[j].above)
            add_row(row_of_token(&t, i), row_of_token(&t, j), t.to - t.from);
}

/* A row of the table, when its sum is complete, as kept numbers: in its place. */
FL_INLINE kept_real *kept_token(const call *k, int64_t u) {
    return (kept_real *)(void *)(k->table + u * k->GHp);
}

/* A thread's part of the rows to kept numbers. */
static void keep_tokens(const call *k, int thread) {
    int64_t end = part(k->p->in.U, thread + 1, k->threads);
    for (int64_t u = part(k->p->in.U, thread, k->threads); u < end; u++)
        keep_row(k->table + u * k->GHp, k->GHp, kept_token(k, u));
}

#endif
