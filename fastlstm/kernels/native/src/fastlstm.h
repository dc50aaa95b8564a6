/* The engine's C interface: one table of functions per instruction set and precision.
 *
 * Shapes, everywhere:
 *     T  steps             N  batch rows        I  input size       H  hidden size
 *     P  packed rows: the sum of all lengths, in order of steps, then of rows
 *     R  size of h: H, or that of its projection          G  gates of the cell
 *     VL lanes of a vector Hp H rounded up to VL         GHp G * Hp
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
    int sparse; /* x has many zeros, and the weights are finite: see sparse_row.h */
} fl_input;

typedef struct fl_weights {
    const void *w_ih;   /* [GH,I] */
    const void *w_hh;   /* [GH,R] */
    const void *b_ih;   /* [GH] or NULL */
    const void *b_hh;   /* [GH] or NULL */
    const void *w_hr;   /* [R,H] or NULL: then R is H */
    const void *params; /* [n,H] the cell's own parameters, or NULL */
} fl_weights;

/* What is made of a number. MAGNITUDE is of a chain's stage alone: sqrt(re^2 + im^2) of the first
 * half of the channels and the second. HARD_SIGMOID, alpha x + beta forced into 0..1, and SOFTSIGN,
 * x / (1 + |x|), are of cells alone. */
enum { FL_SAME, FL_RELU, FL_SIGMOID, FL_TANH, FL_MAGNITUDE, FL_HARD_SIGMOID, FL_SOFTSIGN };

typedef struct fl_activation {
    int kind;
    double alpha, beta;
    double clip; /* the number is forced into -clip..clip first; infinity: it is not */
} fl_activation;

/* One layer in one direction over a batch. Cells without a cell state leave c0, c_n, ... NULL. */
typedef struct fl_call {
    int cell; /* its number: see fl_kernels */
    /* Its activations, read if `others`: of what is a tanh of a sum, or else relu, of its sigmoids,
     * and of what is a tanh of a cell. Of lower precision there are no others. */
    int others;
    fl_activation activation, gate_activation, state_activation;
    fl_rows rows;
    fl_input in;
    int64_t H, R;
    fl_weights weights;
    const void *packed;      /* from `pack`, or NULL: pack the weights for this call */
    const void *packed_back; /* as `packed`, from `pack_back`, for the products of backward */
    const void *h0, *c0;     /* [N,R], [N,H] */
    const uint8_t *reset;    /* [T,N] or NULL: where a row's step starts from reset_h, reset_c */
    const void *reset_h, *reset_c; /* [N,R], [N,H] */
    const void *mask; /* [N,R] or NULL: what meets w_hh is mask * h: recurrent dropout */
    void *y;          /* [T,N,R], zero past a row's length */
    int64_t y_t, y_n;
    void *h_n, *c_n; /* [N,R], [N,H] last valid state of each row */
    /* 0: all that backward needs is kept. Or of so many steps only the first one's state, and
     * backward computes the rest again. */
    int64_t recompute;
    /* Kept for backward, of `kept` bytes; NULL if there are none, or all NULL for inference. As
     * kept numbers (src/kept.h), but for the cells before segments, which are as the arrays.
     * P rows stand in order of steps from the last to the first. */
    void *gates; /* [P,GHp] */
    void *cells; /* [N+P,Hp], steps ascending; [N,Hp]; or [segments,N,Hp] before each */
    void *extra; /* [P,Hp] what else the cell keeps, if that is not in a gate's place */
    int n_threads;
    /* NULL or, for long calls, asked by the calling thread some times a second whether to stop. */
    int (*stop)(void);
} fl_call;

typedef struct fl_grads {
    const void *dy; /* [T,N,R] or NULL */
    int64_t dy_t, dy_n;
    const void *dh_n, *dc_n;   /* [N,R], [N,H] or NULL */
    void *dh0, *dc0;           /* [N,R], [N,H] */
    void *dreset_h, *dreset_c; /* [N,R], [N,H], where there is a reset */
    void *dx;                  /* [T,N,I], or [U,I] for ids, or NULL */
    int64_t dx_t, dx_n;
    int accumulate_dx;                           /* add to dx instead of writing it */
    void *dw_ih, *dw_hh, *db_ih, *db_hh, *dw_hr; /* added to; the biases may be NULL */
    void *dparams;                               /* [n,H] added to, or NULL */
    int part;
} fl_grads;

/* What a backward pass of one step makes. The gradients of the weights may wait until many steps'
 * are one product: a pass then leaves those of the gates in `gates` (and `extra`), and one over
 * the rows of all of them as one step, with their x and h0, makes nothing but dw_ih .. db_hh. */
enum { FL_ALL, FL_GATES, FL_WEIGHTS };

enum { FL_STOPPED = -2 };

/* Mean and maximum of y over each row's real steps; backward, of their gradients into y's place. */
typedef struct fl_pool {
    int64_t T, N, F;
    const int64_t *lengths; /* [N] */
    void *y;                /* [T,N,F]; in backward written, but not past a row's length */
    int64_t y_t, y_n;
    void *mean, *max; /* [N,F]; mean may be NULL, so may max and step */
    int64_t *step;    /* [N,F] where the maximum was */
    int n_threads;
} fl_pool;

/* p -= rate m / (root sqrt(v) + eps), after the moments' update with scale g + decay p; p is first
 * multiplied by shrink. Bias corrections are part of rate and root. Before that, for an average of
 * the weights, total = keep total + add p. */
typedef struct fl_adam {
    int64_t rows, width;
    const int64_t *index; /* [rows] which rows of p, m, v; NULL for all in order */
    void *p, *m, *v;      /* [any,width] */
    const void *g;        /* [rows,width] */
    double rate, root, eps, beta1, beta2, shrink, decay, scale;
    void *total;            /* [any,width] or NULL */
    const void *keep, *add; /* of row r: keep[r * term], add[r * term] */
    int64_t term;
    int n_threads;
} fl_adam;

/* Cross-entropy of the softmax of rows of logits. Its gradient times `scale` takes their place; at
 * a scale of 0 they are of no use afterwards. */
typedef struct fl_softmax {
    int64_t M, V;
    void *z;                 /* [M,V] */
    const void *bias;        /* [V] added to each row, or NULL */
    const int64_t *target;   /* [M] */
    const void *target_bias; /* [M] added to the logit of each row's target, or NULL */
    double scale;
    double *loss; /* [M] */
    void *dbias;  /* [V] or NULL: sums of the gradient's columns */
    int n_threads;
} fl_softmax;

/* C = A B^T + bias of matrices of rows: `batch` products of [n,K] and [m,K], one after the other.
 * But in 8 bits A and B may be given as their transposes, [K,n] and [K,m]. */
typedef struct fl_matmul {
    int64_t batch, n, m, K; /* none is 0 */
    const void *a, *b;
    int a_transposed, b_transposed;
    const void *packed; /* B, if `batch` is 1, as `pack_matrix` has left it; NULL: `b` is packed */
    const void *bias;   /* [m] or NULL */
    void *c;            /* [batch,n,m] */
    int add;            /* to what is there */
    int n_threads;
    int (*stop)(void); /* as of fl_call */
} fl_matmul;

/* A chain of stages: each makes frames, [positions, channels], of others. */
enum { FL_MAP, FL_MEAN, FL_CONV, FL_CELL };
/* Products of a convolution that share their taps: at positions p0..p1-1 of what goes out, of K
 * numbers that begin at `start` for position 0 (where that is before the frame, p0 is not 0). If
 * `fold`, of the sums (1) or differences (-1) of numbers as far from the middle of a kernel. */
typedef struct fl_part {
    int64_t p0, p1, start, K, O;
    int fold;
    const void *weight; /* [O,K], read when it is packed */
    const void *packed; /* set then */
} fl_part;

typedef struct fl_stage {
    int kind, map;
    int64_t P, C; /* of a frame that comes in: positions, and channels of each */
    int64_t Q, O; /* and of what is made of it, before the map */
    /* Of a convolution: positions of the past in front of a frame, then padding around both that is
     * written (zeros or a reflection), not left out by the parts. */
    int64_t kernel, stride, context, left, right;
    int sparse; /* what comes in has many zeros, and the weights are finite */
    int reflect;
    void *past; /* [N,context,C] */
    int64_t n_parts;
    fl_part *parts;
    const void *bias; /* [O] or NULL, read when it is packed */
    const void *packed_bias;
    fl_call cell; /* its sizes, weights, and h0, c0 of N rows, which are read and written */
} fl_stage;

typedef struct fl_chain {
    int64_t n, N; /* stages, rows */
    fl_stage *stages;
    int64_t flops; /* of a frame of a row; set when it is packed */
} fl_chain;

/* F frames of every row. */
typedef struct fl_frames {
    int64_t F;
    const void *x; /* [N,F*P,C] of the first stage */
    int64_t x_n;
    void *y; /* [N,F*Q,channels] of the last */
    int n_threads;
    int (*stop)(void); /* as of fl_call */
} fl_frames;

/* How products are made: of numbers as they are, rounded to bfloat16, or in 8 bits. */
enum { FL_FULL, FL_BFLOAT16, FL_INT8 };

/* In lower precision only what has products is there, in 8 bits no backward. */
typedef struct fl_kernels {
    const char *isa;
    int itemsize; /* 4 or 8 */
    int width;    /* VL */

    const char *(*cell_name)(int number); /* NULL past the last one */

    /* Elements of the packed weights; write them. Of a call they read in.I, H, R and weights. */
    int64_t (*packed_size)(const fl_call *p);
    void (*pack)(const fl_call *p, void *packed);

    /* The same for products backward, with those of w_ih if `dx`; 0 where a call of these rows
     * reads the weights as they are. They serve calls without dx too. */
    int64_t (*packed_back_size)(const fl_call *p, int dx);
    void (*pack_back)(const fl_call *p, int dx, void *packed);

    /* Bytes of gates, cells and extra that a call with `recompute` keeps. */
    void (*kept)(const fl_call *p, int64_t bytes[3]);

    /* Bytes of the blocks at work in a call, beside what it is given (backward: with dx). */
    int64_t (*forward_bytes)(const fl_call *p);
    int64_t (*backward_bytes)(const fl_call *p);

    /* 0, or -1 if memory ran out, or FL_STOPPED: outputs are then undefined, gradients of weights
     * added to in part. Backward turns `gates` into gate gradients in place, so what forward kept
     * serves once. */
    int (*forward)(const fl_call *p);
    int (*backward)(const fl_call *p, const fl_grads *g);

    /* Of a call without recompute that was run forward: its gates [P,GHp] after their activations
     * and, for cells that have one, the cell state after each step [P,Hp], steps ascending. */
    void (*inside)(const fl_call *p, void *gates, void *cells);

    /* Elements of a packed matrix B, and the packing: of m, K, b. The product returns 0, or -1 if
     * memory ran out, or FL_STOPPED. Not of double. */
    int64_t (*matrix_size)(const fl_matmul *p);
    void (*pack_matrix)(const fl_matmul *p, void *packed);
    int (*matmul)(const fl_matmul *p);

    /* Elements of the packed weights of a chain; write them, and where they are; run it: 0, or -1
     * if memory ran out, or FL_STOPPED: states and outputs are then undefined. In full precision
     * only.
     */
    int64_t (*chain_size)(const fl_chain *p);
    void (*pack_chain)(fl_chain *p, void *packed);
    int (*chain)(const fl_chain *p, const fl_frames *f);

    void (*pool_forward)(const fl_pool *p);
    void (*pool_backward)(const fl_pool *p);
    void (*adam)(const fl_adam *a);
    int (*softmax_cross_entropy)(const fl_softmax *p); /* 0, or -1 if memory ran out */

    /* Elementwise, for tests of their accuracy. */
    void (*exp)(int64_t n, const void *x, void *y);
    void (*sigmoid)(int64_t n, const void *x, void *y);
    void (*tanh)(int64_t n, const void *x, void *y);
} fl_kernels;

/* dispatch.c: the table of a named instruction set, or NULL if this build or machine lacks it. */
const fl_kernels *fl_get_kernels(const char *isa, int itemsize, int precision);
int fl_isa_built(const char *isa);
int fl_isa_supported(const char *isa);
const char *const *fl_isa_names(void); /* best first, ends with NULL */
/* The set in use, of the whole process: chosen (0: this build or machine lacks it), named, and its
 * tables, without asking the processor. Threads may ask while another one chooses. */
int fl_use(const char *isa);
const char *fl_isa_in_use(void);
const fl_kernels *fl_kernels_in_use(int itemsize, int precision);

/* threads.c: body(ctx, thread, threads, team) on every thread of a team, the caller among them,
 * with denormals flushed to zero. A team that is busy (another Python thread is inside) is not
 * waited for: the body then runs on the caller alone, with the same results; so does a job while
 * other programs want the cores, as far as jobs of its kind, brief or not, have met them. A body
 * without barriers may run for several threads one after the other, on the caller. `patience` says
 * how many ns a brief job waits at its first barrier; 0: it is not brief, and waits for all. */
enum { FL_BRIEF = 300000 }; /* the least */
typedef struct fl_team fl_team;
typedef void (*fl_body)(void *ctx, int thread, int threads, fl_team *team);
void fl_run(int threads, int patience, fl_body body, void *ctx);
/* run(ctx, i, pieces) for each i, for jobs too short to wake threads: on the caller and on those
 * that are still awake; if none is, all in one, run(ctx, 0, 1). Nobody waits for a thread that has
 * not begun a piece. At most FL_PIECES, several a thread: a fast core then takes some of a slow
 * one's. */
enum { FL_PIECES = 32 };
typedef void (*fl_piece)(void *ctx, int piece, int pieces);
void fl_share(int threads, int pieces, fl_piece run, void *ctx);
/* Waits for all threads; NULL: there are no others. Returns 0 but, at the first barrier of a brief
 * job, 1 if some did not come in time: each thread leaves the body then, the caller after running
 * it again as body(ctx, 0, 1, NULL). */
int fl_barrier(fl_team *team);
/* The answer of `ask`, called within a body. What the thread waits for it, as for Python's lock
 * while other threads run Python, is not taken for time without a core. */
int fl_ask(int (*ask)(void));
/* For tests: whether brief jobs too wait for all their threads, whoever wants the cores. */
void fl_be_patient(int yes);

/* many.c: models of equal shape, each wholly on one thread, by many threads; or parts of Adam. */
typedef struct fl_many {
    const fl_kernels *kernels;
    int64_t M, layers;     /* models, and calls of each, one after the other */
    const fl_call *calls;  /* [M,layers], each for one thread; their `stop` is not read */
    const fl_grads *grads; /* [M,layers], or NULL: forward */
    const fl_adam *adam;   /* [M,layers] in the place of calls, or NULL */
    double work;           /* operations of all, or what takes as long */
    int n_threads;
    int (*stop)(void); /* as of fl_call */
} fl_many;
int fl_run_many(const fl_many *m); /* 0, or -1 if memory ran out, or FL_STOPPED */
/* The rows of a batch, as fl_rows has them, from its lengths [N] in 0..T. */
void fl_sort_rows(int64_t T, int64_t N, const int64_t *lengths, int64_t *order, int64_t *length,
                  int64_t *n_at, int64_t *offset);

/* buffers.c: large blocks are kept for the next call instead of given back, up to a bound. */
void *fl_alloc(size_t bytes);
void fl_free(void *block);
void fl_trim(void);
size_t fl_cached_bytes(void);
size_t fl_block_bytes(size_t bytes); /* what a block of that size takes */

/* denormals.c */
uint64_t fl_flush_denormals(void); /* returns the state to restore */
void fl_restore_denormals(uint64_t state);
uint64_t fl_float_state(void);

#endif
