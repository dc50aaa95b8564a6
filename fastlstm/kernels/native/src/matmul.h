/* C = A B^T + bias: the products of layers that have no time loop.
 *
 * B is packed whole. Of A, which may be long, a block of rows at a time is rounded and multiplied,
 * a panel of C at a time goes to where it belongs. In full precision rows of A are read as they
 * are, but of its transpose. Threads divide the rows of A, or if there are
 * few those of B; each element of C is a chain of K terms of its own, so nobody sees how.
 */
#ifndef FL_MATMUL_H
#define FL_MATMUL_H

#include "division.h"
#include "packing.h"

enum { A_ROWS = 192 };             /* rows of A at a time */
enum { FEW_ROWS = 16 * MAX_ROWS }; /* of so few a thread takes all, and some of B's */

/* A product that is being made, by one thread or by several. */
typedef struct {
    const fl_matmul *p;
    stopping *stop;
    int64_t K, nv;      /* words of a row; vectors of a row of C */
    int64_t a_step;     /* from one packed row of A to the next */
    const real *packed; /* B */
    real *zeros;        /* [PANEL] */
    real *scratch;      /* each thread's own */
    int64_t scratch_size;
    int threads, patience, by_panels;
} matmul;

FL_INLINE weight_shape matrix_shape(const fl_matmul *p) {
    return (weight_shape){.H = p->m, .K = p->K, .G = 1, .V = FL_PANEL};
}

FL_INLINE int64_t matrix_size(const fl_matmul *p) {
    return round_up(vectors(p->m) * VL * (words(p->K) + PANEL_TAIL));
}

FL_INLINE int64_t matrix_panels(const matmul *k) { return (k->nv + FL_PANEL - 1) / FL_PANEL; }

/* Rows of a product before they go to C: a panel of them, of few whole rows. */
FL_INLINE int64_t made_width(const matmul *k, int64_t n) {
    return n <= MAX_FEW ? k->nv * VL : PANEL;
}

/* Elements of a thread's memory; of one that makes whole products B is in front. */
FL_INLINE int64_t matmul_scratch(const matmul *k) {
    int64_t n = min64(k->p->n, A_ROWS), few = min64(n, MAX_FEW);
    int64_t made = max64(n * PANEL, few * made_width(k, few));
    return round_up((n + ROW_BLOCK - 1) * k->a_step) + made +
           (k->p->batch > 1 ? matrix_size(k->p) : 0);
}

FL_INLINE int64_t row_step(const fl_matmul *p) {
    return WORD == 1 && p->a_transposed ? odd_lines(p->K) : operand_step(p->K);
}

static matmul matmul_of(const fl_matmul *p) {
    matmul k = {.p = p, .K = words(p->K), .nv = vectors(p->m), .a_step = row_step(p)};
    int64_t flops = 2 * p->batch * p->n * p->m * p->K;
    k.threads = worth_threads(flops, 1, 0, p->n_threads);
    k.patience = patience_for(flops, 1, 0, k.threads);
    k.by_panels = p->batch == 1 && p->n < (int64_t)FEW_ROWS * k.threads;
    int64_t parts = p->batch > 1 ? p->batch : k.by_panels ? matrix_panels(&k) : p->n;
    k.threads = (int)min64(k.threads, parts);
    k.scratch_size = matmul_scratch(&k);
    return k;
}

#if FL_BACKWARD

/* Panels p0..p1-1 of B, given as its transpose [K,m]. */
static void pack_transposed(const fl_matmul *p, const real *b, real *packed, int64_t p0,
                            int64_t p1) {
    int64_t nv = vectors(p->m), size = PANEL * words(p->K);
    for (int64_t panel = p0; panel < p1; panel++) {
        int64_t width = panel_vectors(nv, FL_PANEL, panel) * VL;
        int64_t columns = min64(width, p->m - panel * PANEL);
        for (int64_t w = 0; w < words(p->K); w++) {
            const real *row[2] = {NULL, NULL};
            for (int i = 0; i < WORD; i++)
                if (WORD * w + i < p->K) row[i] = b + (WORD * w + i) * p->m + panel * PANEL;
            pack_columns_word(row, columns, width, packed + panel * size + w * width);
        }
    }
}

/* Word q of `lanes` neighbouring rows of A, given as its transpose [K,all]. */
FL_INLINE vreal transposed_word(const real *a, int64_t all, int64_t K, int64_t q, int64_t lanes) {
    vreal r[2] = {{0}, {0}};
    for (int i = 0; i < WORD; i++)
        if (WORD * q + i < K) r[i] = vload_n(a + (WORD * q + i) * all, lanes);
    return word_of(r[0], r[1]);
}

/* n rows of A, given as its transpose [K,all]. */
static void write_transposed(const real *a, int64_t all, int64_t K, int64_t n, real *to,
                             int64_t step) {
    for (int64_t r = 0; r < n; r += VL) {
        int64_t lanes = min64(VL, n - r);
        for (int64_t q = 0; q < words(K); q += VL) {
            vreal square[VL];
            for (int l = 0; l < VL; l++) square[l] = transposed_word(a + r, all, K, q + l, lanes);
            vtranspose(square);
            for (int64_t l = 0; l < lanes; l++)
                store_words(to + (r + l) * step + q, square[l], words(K) - q);
        }
    }
}

#endif

/* Panels p0..p1-1 of B. */
static void pack_matrix_panels(const fl_matmul *p, const real *b, real *packed, int64_t p0,
                               int64_t p1) {
    weight_shape s = matrix_shape(p);
#if FL_BACKWARD
    if (p->b_transposed) {
        pack_transposed(p, b, packed, p0, p1);
        return;
    }
#endif
    pack_gates(&s, b, packed, p0 * FL_PANEL, min64(p1 * FL_PANEL, vectors(p->m)));
}

/* Rows r0.. of A, n of them, as the products want them. */
static void write_rows(const matmul *k, const real *a, int64_t r0, int64_t n, real *to) {
    const fl_matmul *p = k->p;
#if FL_BACKWARD
    if (p->a_transposed) {
        write_transposed(a + r0, p->n, p->K, n, to, k->a_step);
        return;
    }
#endif
    for (int64_t r = 0; r < n; r++) write_operand(a + (r0 + r) * p->K, p->K, 0, to + r * k->a_step);
}

/* What was made of a panel goes to C. */
typedef struct {
    const fl_matmul *p;
    const product *m;
    real *c; /* of the first row */
} placing;

static void place_made(void *ctx, int64_t row, int64_t R, int64_t panel) {
    const placing *of = ctx;
    int64_t at = panel * PANEL, columns = min64(PANEL, of->p->m - at);
    const real *bias = of->p->bias ? (const real *)of->p->bias + at : NULL;
    for (int64_t r = row; r < row + R; r++) {
        const real *made = of->m->c[r] + panel * of->m->c_panel;
        real *c = of->c + r * of->p->m + at;
        for (int64_t v = 0; v < columns; v += VL) {
            int64_t lanes = min64(VL, columns - v);
            vreal sum = vload(made + v);
            if (bias) sum += vload_n(bias + v, lanes);
            if (of->p->add) sum += vload_n(c + v, lanes);
            vstore_n(c + v, sum, lanes);
        }
    }
}

/* Rows r0.. of C, n of them: those of the panels. */
static void matmul_rows(const matmul *k, const real *a, real *c, int64_t r0, int64_t n, int64_t p0,
                        int64_t p1, const real *packed, real *scratch) {
    const real *rows[A_ROWS], *from[A_ROWS];
    real *to[A_ROWS];
    int64_t width = made_width(k, n);
    real *made = scratch + round_up((n + ROW_BLOCK - 1) * k->a_step);
    write_rows(k, a, r0, n, scratch);
    for (int64_t r = 0; r < n; r++) {
        rows[r] = k->a_step ? scratch + r * k->a_step : a + (r0 + r) * k->p->K;
        from[r] = k->zeros;
        to[r] = made + r * width;
    }
    product m = {.n = n,
                 .K = k->K,
                 .a = rows,
                 .b = packed,
                 .nv = k->nv,
                 .V = FL_PANEL,
                 .p0 = p0,
                 .p1 = p1,
                 .cin = from,
                 .c = to,
                 .c_panel = n <= MAX_FEW ? PANEL : 0};
    placing of = {k->p, &m, c + r0 * k->p->m};
    product_run(&m, place_made, &of);
}

/* A thread's part of one product of matrices. */
static void matmul_part(const matmul *k, int64_t item, int thread, int threads, const real *packed,
                        real *scratch) {
    const fl_matmul *p = k->p;
    const real *a = (const real *)p->a + item * p->n * p->K;
    real *c = (real *)p->c + item * p->n * p->m;
    int64_t panels = matrix_panels(k), p0 = 0, p1 = panels, r0 = 0, r1 = p->n;
    if (k->by_panels)
        p0 = part(panels, thread, threads), p1 = part(panels, thread + 1, threads);
    else
        r0 = part(p->n, thread, threads), r1 = part(p->n, thread + 1, threads);
    for (int64_t r = r0; r < r1; r += A_ROWS) {
        int64_t n = min64(A_ROWS, r1 - r);
        matmul_rows(k, a, c, r, n, p0, p1, packed, scratch);
        ask_to_stop(k->stop, thread, r - r0, r - r0 + n);
        if (was_stopped(k->stop)) return;
    }
}

/* A thread's part of one product. Returns 1 if the job was given up: see fl_barrier. */
static int one_matmul(const matmul *k, int thread, int threads, fl_team *team) {
    const fl_matmul *p = k->p;
    int64_t panels = matrix_panels(k);
    if (!p->packed) {
        pack_matrix_panels(p, p->b, (real *)k->packed, part(panels, thread, threads),
                           part(panels, thread + 1, threads));
        /* by panels a thread reads what it has packed itself */
        if (!k->by_panels && fl_barrier(team)) return 1;
    }
    matmul_part(k, 0, thread, threads, k->packed, k->scratch + thread * k->scratch_size);
    return 0;
}

static void matmul_body(void *ctx, int thread, int threads, fl_team *team) {
    const matmul *k = ctx;
    open_tiles();
    if (one_matmul(k, thread, threads, team) && !thread) one_matmul(k, 0, 1, NULL);
    close_tiles();
}

/* Of many products each is one thread's. */
static void batch_body(void *ctx, int thread, int threads, fl_team *team) {
    const matmul *k = ctx;
    const fl_matmul *p = k->p;
    real *packed = k->scratch + thread * k->scratch_size, *scratch = packed + matrix_size(p);
    (void)team;
    open_tiles();
    for (int64_t i = part(p->batch, thread, threads); i < part(p->batch, thread + 1, threads);
         i++) {
        pack_matrix_panels(p, (const real *)p->b + i * p->m * p->K, packed, 0, matrix_panels(k));
        matmul_part(k, i, 0, 1, packed, scratch);
        if (was_stopped(k->stop)) break;
    }
    close_tiles();
}

static int64_t matmul_size(const fl_matmul *p) { return matrix_size(p); }

static void pack_matmul(const fl_matmul *p, void *packed) {
    pack_matrix_panels(p, p->b, packed, 0, (vectors(p->m) + FL_PANEL - 1) / FL_PANEL);
}

static int run_matmul(const fl_matmul *p) {
    matmul k = matmul_of(p);
    int64_t own = p->packed || p->batch > 1 ? 0 : matrix_size(p);
    size_t size = (size_t)(own + PANEL + k.threads * k.scratch_size) * sizeof(real);
    real *block = fl_alloc(size);
    if (!block) return -1;
    stopping stop = stopping_of(p->stop, 2 * p->m * p->K);
    k.stop = &stop;
    k.packed = p->packed ? p->packed : block;
    k.zeros = block + own;
    k.scratch = k.zeros + PANEL;
    memset(k.zeros, 0, PANEL * sizeof(real));
    fl_run(k.threads, k.patience, p->batch > 1 ? batch_body : matmul_body, &k);
    fl_free(block);
    return was_stopped(&stop) ? FL_STOPPED : 0;
}

#endif
