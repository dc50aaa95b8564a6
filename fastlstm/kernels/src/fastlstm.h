/* The engine's C interface: one table of functions per instruction set and precision.
 *
 * Shapes, everywhere:
 *     T  steps             N  batch rows        I  input size       H  hidden size
 *     P  packed rows: the sum of all lengths, in order of steps, then of rows
 *     VL lanes of a vector Hp H rounded up to VL
 * The rightmost dimension changes fastest. Strides are in elements, not bytes.
 *
 * Rows are sorted by descending length ("sorted row" r stands for row order[r] of the caller's
 * arrays), so the rows alive at step s are 0 .. n_at[s]-1 and no padding is ever computed.
 * A reversed direction reads, at step s, time length-1-s of each row.
 */
#ifndef FASTLSTM_H
#define FASTLSTM_H

#include <stddef.h>
#include <stdint.h>

typedef struct fl_rows {
    int64_t T, N;
    const int64_t *order;  /* [N]   caller's row of sorted row r            */
    const int64_t *length; /* [N]   steps of sorted row r, descending       */
    const int64_t *n_at;   /* [T]   rows alive at step s                    */
    const int64_t *offset; /* [T+1] where step s starts among the P packed  */
    int reverse;
} fl_rows;

/* What the steps read: rows of x, or rows of a table picked by ids (distinct tokens). */
typedef struct fl_input {
    int64_t I;
    const void *x;      /* [T,N,I]                                          */
    int64_t x_t, x_n;   /* strides of time and row                          */
    const int64_t *ids; /* [T,N] or NULL; then x is a table [U,I], C order  */
    int64_t ids_t, ids_n, U;
} fl_input;

typedef struct fl_weights {
    const void *w_ih; /* [4H,I] */
    const void *w_hh; /* [4H,H] */
    const void *b_ih; /* [4H] or NULL */
    const void *b_hh; /* [4H] or NULL */
} fl_weights;

typedef struct fl_lstm {
    fl_rows rows;
    fl_input in;
    int64_t H;
    fl_weights weights;
    const void *packed;  /* from `pack`, or NULL: pack the weights for this call */
    const void *h0, *c0; /* [N,H] */
    void *y;             /* [T,N,H], zero past a row's length */
    int64_t y_t, y_n;
    void *h_n, *c_n; /* [N,H] last valid state of each row */
    void *gates;     /* [P,4Hp]  kept for backward, or NULL */
    void *cells;     /* [N+P,Hp] kept for backward, or NULL */
    int n_threads;
} fl_lstm;

typedef struct fl_lstm_grads {
    const void *dy; /* [T,N,H] or NULL */
    int64_t dy_t, dy_n;
    const void *dh_n, *dc_n; /* [N,H] or NULL */
    void *dh0, *dc0;         /* [N,H] */
    void *dx;                /* [T,N,I], or [U,I] for ids, or NULL */
    int64_t dx_t, dx_n;
    int accumulate_dx;                   /* add to dx instead of writing it */
    void *dw_ih, *dw_hh, *db_ih, *db_hh; /* added to; the biases may be NULL */
} fl_lstm_grads;

/* Mean and maximum of y over each row's real steps; backward, of their gradients into y's place. */
typedef struct fl_pool {
    int64_t T, N, F;
    const int64_t *lengths; /* [N] */
    void *y;                /* [T,N,F]; in backward written, but not past a row's length */
    int64_t y_t, y_n;
    void *mean, *max, *step; /* [N,F]; mean may be NULL, so may max and step (where it was) */
    int n_threads;
} fl_pool;

/* p -= rate m / (root sqrt(v) + eps), after the moments' update with g + decay p; p is first
 * multiplied by shrink. Bias corrections are part of rate and root. */
typedef struct fl_adam {
    int64_t rows, width;
    const int64_t *index; /* [rows] which rows of p, m, v; NULL for all in order */
    void *p, *m, *v;      /* [any,width] */
    const void *g;        /* [rows,width] */
    double rate, root, eps, beta1, beta2, shrink, decay;
    int n_threads;
} fl_adam;

typedef struct fl_kernels {
    const char *isa;
    int itemsize; /* 4 or 8 */
    int width;    /* VL */

    /* Elements of the packed weight; write it. */
    int64_t (*packed_size)(int64_t I, int64_t H);
    void (*pack)(int64_t I, int64_t H, const fl_weights *weights, void *packed);

    /* Elements of a row of `gates` and of `cells`. */
    int64_t (*gates_size)(int64_t H);
    int64_t (*cells_size)(int64_t H);

    /* 0, or -1 if memory ran out (outputs are then undefined). Backward turns `gates` into gate
     * gradients in place, so what forward kept serves once. */
    int (*lstm_forward)(const fl_lstm *p);
    int (*lstm_backward)(const fl_lstm *p, const fl_lstm_grads *g);

    void (*pool_forward)(const fl_pool *p);
    void (*pool_backward)(const fl_pool *p);
    void (*adam)(const fl_adam *a);

    /* Elementwise, for tests of their accuracy. */
    void (*exp)(int64_t n, const void *x, void *y);
    void (*sigmoid)(int64_t n, const void *x, void *y);
    void (*tanh)(int64_t n, const void *x, void *y);
} fl_kernels;

/* dispatch.c: the table of a named instruction set, or NULL if this build or machine lacks it. */
const fl_kernels *fl_get_kernels(const char *isa, int itemsize);
int fl_isa_built(const char *isa);
int fl_isa_supported(const char *isa);
const char *const *fl_isa_names(void); /* best first, ends with NULL */

/* threads.c: body(ctx, thread, threads, team) on every thread of a team, the caller among them,
 * with denormals flushed to zero. A team that is busy (another Python thread is inside) is not
 * waited for: the body then runs on the caller alone, with the same results. */
typedef struct fl_team fl_team;
typedef void (*fl_body)(void *ctx, int thread, int threads, fl_team *team);
void fl_run(int threads, fl_body body, void *ctx);
void fl_barrier(fl_team *team); /* NULL: no other threads, nothing to wait for */
/* Was a barrier waited for very long of late? Counts down: true for some calls after. */
int fl_cores_busy(void);

/* buffers.c: large blocks are kept for the next call instead of given back, up to a bound. */
void *fl_alloc(size_t bytes);
void fl_free(void *block);
void fl_trim(void);
size_t fl_cached_bytes(void);

/* denormals.c */
uint64_t fl_flush_denormals(void); /* returns the state to restore */
void fl_restore_denormals(uint64_t state);
uint64_t fl_float_state(void);

#endif
