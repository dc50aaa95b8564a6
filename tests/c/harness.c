/* Runs the kernels on cases read from a file, without Python: for machines that are emulated and
 * for sanitizers, where the interpreter would only be in the way.
 *
 *     harness ISA CASES RESULTS
 *     harness ISA                  exit status only: can ISA run here?
 *
 * A case is a header of HEADER int64 (see the enum), then its arrays; harness.py writes it and
 * knows the order. Results are arrays back to back; of a case with STOP forward is all that runs:
 * the answer to that question stops it, and y holds what was made after it. Exit status: 0; 1 a
 * call failed or left the float state changed; 2 bad usage or files; 3 the instruction set is not
 * built or not supported.
 */
#include "fastlstm.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { HEADER = 27 };
enum { OP, ITEMSIZE, T, N, I, H, REVERSE, BIAS, U, BATCH_FIRST, DY, DSTATE, ACCUMULATE, THREADS };
enum { CELL = THREADS + 1, GATES, STATES, PROJ, RESET, RECOMPUTE, PACKED, REPEAT, HASTY };
enum { PARAMS = HASTY + 1, MASK, PRECISION, STOP };
enum { OP_CELL, OP_POOL, OP_ADAM, OP_MATMUL, OP_SOFTMAX, OP_EXP, OP_SIGMOID, OP_TANH };

static FILE *cases, *results;

static void fail(int status, const char *what) {
    fprintf(stderr, "harness: %s\n", what);
    exit(status);
}

static void *allocate(int64_t count, int64_t size) {
    void *block = calloc(count > 0 ? (size_t)count : 1, (size_t)size);
    if (!block) fail(2, "out of memory");
    return block;
}

/* An array of the case, in a block of exactly its size so that a sanitizer sees every overrun. */
static void *read_array(int64_t count, int64_t size) {
    void *block = allocate(count, size);
    if (fread(block, (size_t)size, (size_t)count, cases) != (size_t)count)
        fail(2, "case file ends early");
    return block;
}

static void write_and_free(void *block, int64_t count, int64_t size) {
    if (block && fwrite(block, (size_t)size, (size_t)count, results) != (size_t)count)
        fail(2, "cannot write results");
    free(block);
}

static fl_rows read_rows(const int64_t *head) {
    return (fl_rows){
        .T = head[T],
        .N = head[N],
        .order = read_array(head[N], 8),
        .length = read_array(head[N], 8),
        .n_at = read_array(head[T], 8),
        .offset = read_array(head[T] + 1, 8),
        .reverse = (int)head[REVERSE],
    };
}

/* Strides of a [T,N,width] array, which lies in memory as [N,T,width] where BATCH_FIRST. */
static int64_t time_stride(const int64_t *head, int64_t width) {
    return head[BATCH_FIRST] ? width : head[N] * width;
}

static int64_t row_stride(const int64_t *head, int64_t width) {
    return head[BATCH_FIRST] ? head[T] * width : width;
}

static int64_t output_size(const int64_t *head) { return head[PROJ] ? head[PROJ] : head[H]; }
static int64_t gate_rows(const int64_t *head) { return head[GATES] * head[H]; }

/* A state [N,R], or the second one [N,H] of cells that have it. */
static int64_t state_size(const int64_t *head, int second) {
    if (second) return head[STATES] > 1 ? head[N] * head[H] : 0;
    return head[N] * output_size(head);
}

static void *read_state(const int64_t *head, int second) {
    int64_t count = state_size(head, second);
    return count ? read_array(count, head[ITEMSIZE]) : NULL;
}

static void *allocate_state(const int64_t *head, int second) {
    int64_t count = state_size(head, second);
    return count ? allocate(count, head[ITEMSIZE]) : NULL;
}

static fl_input read_input(const int64_t *head) {
    int64_t steps = head[T] * head[N];
    fl_input in = {.I = head[I], .U = head[U]};
    if (head[U]) {
        in.ids = read_array(steps, 8);
        in.ids_t = time_stride(head, 1);
        in.ids_n = row_stride(head, 1);
    }
    in.x = read_array(head[U] ? head[U] * head[I] : steps * head[I], head[ITEMSIZE]);
    in.x_t = time_stride(head, head[I]);
    in.x_n = row_stride(head, head[I]);
    return in;
}

static fl_weights read_weights(const int64_t *head) {
    int64_t size = head[ITEMSIZE], G = gate_rows(head);
    fl_weights w = {0};
    w.w_ih = read_array(G * head[I], size);
    w.w_hh = read_array(G * output_size(head), size);
    if (head[BIAS]) {
        w.b_ih = read_array(G, size);
        w.b_hh = read_array(G, size);
    }
    if (head[PROJ]) w.w_hr = read_array(head[PROJ] * head[H], size);
    if (head[PARAMS]) w.params = read_array(head[PARAMS] * head[H], size);
    return w;
}

static fl_call read_call(const int64_t *head, const fl_kernels *k) {
    int64_t size = head[ITEMSIZE], steps = head[T] * head[N], R = output_size(head), kept[3];
    fl_call p = {.cell = (int)head[CELL],
                 .rows = read_rows(head),
                 .H = head[H],
                 .R = R,
                 .n_threads = (int)head[THREADS]};
    p.in = read_input(head);
    p.weights = read_weights(head);
    p.h0 = read_state(head, 0);
    p.c0 = read_state(head, 1);
    if (head[RESET]) {
        p.reset = read_array(steps, 1);
        p.reset_h = read_state(head, 0);
        p.reset_c = read_state(head, 1);
    }
    if (head[MASK]) p.mask = read_array(head[N] * R, size);
    p.y = allocate(steps * R, size);
    memset(p.y, 0xff, (size_t)(steps * R * size)); /* NaN: what is not written shows */
    p.y_t = time_stride(head, R);
    p.y_n = row_stride(head, R);
    p.h_n = allocate_state(head, 0);
    p.c_n = allocate_state(head, 1);
    if (head[PACKED]) {
        void *packed = allocate(k->packed_size(&p), size);
        k->pack(&p, packed);
        p.packed = packed;
    }
    if (!k->backward) return p; /* nothing is kept for what there is not */
    p.recompute = head[RECOMPUTE];
    k->kept(&p, kept);
    p.gates = kept[0] ? allocate(kept[0], 1) : NULL;
    p.cells = kept[1] ? allocate(kept[1], 1) : NULL;
    p.extra = kept[2] ? allocate(kept[2], 1) : NULL;
    return p;
}

static fl_grads read_grads(const int64_t *head) {
    int64_t size = head[ITEMSIZE], steps = head[T] * head[N], R = output_size(head);
    fl_grads g = {.accumulate_dx = (int)head[ACCUMULATE]};
    if (head[DY]) {
        g.dy = read_array(steps * R, size);
        g.dy_t = time_stride(head, R);
        g.dy_n = row_stride(head, R);
    }
    if (head[DSTATE]) {
        g.dh_n = read_state(head, 0);
        g.dc_n = read_state(head, 1);
    }
    g.dh0 = allocate_state(head, 0);
    g.dc0 = allocate_state(head, 1);
    if (head[RESET]) {
        g.dreset_h = allocate_state(head, 0);
        g.dreset_c = allocate_state(head, 1);
    }
    g.dx = read_array(head[U] ? head[U] * head[I] : steps * head[I], size); /* what was in it */
    g.dx_t = time_stride(head, head[I]);
    g.dx_n = head[U] ? head[I] : row_stride(head, head[I]);
    g.dw_ih = allocate(gate_rows(head) * head[I], size);
    g.dw_hh = allocate(gate_rows(head) * R, size);
    if (head[BIAS]) {
        g.db_ih = allocate(gate_rows(head), size);
        g.db_hh = allocate(gate_rows(head), size);
    }
    if (head[PROJ]) g.dw_hr = allocate(head[PROJ] * head[H], size);
    if (head[PARAMS]) g.dparams = allocate(head[PARAMS] * head[H], size);
    return g;
}

static void write_results(const int64_t *head, fl_call *p, fl_grads *g) {
    int64_t size = head[ITEMSIZE], steps = head[T] * head[N], R = output_size(head);
    write_and_free(p->y, steps * R, size);
    write_and_free(p->h_n, state_size(head, 0), size);
    write_and_free(p->c_n, state_size(head, 1), size);
    write_and_free(g->dx, head[U] ? head[U] * head[I] : steps * head[I], size);
    write_and_free(g->dh0, state_size(head, 0), size);
    write_and_free(g->dc0, state_size(head, 1), size);
    write_and_free(g->dreset_h, state_size(head, 0), size);
    write_and_free(g->dreset_c, state_size(head, 1), size);
    write_and_free(g->dw_ih, gate_rows(head) * head[I], size);
    write_and_free(g->dw_hh, gate_rows(head) * R, size);
    write_and_free(g->db_ih, gate_rows(head), size);
    write_and_free(g->db_hh, gate_rows(head), size);
    write_and_free(g->dw_hr, head[PROJ] * head[H], size);
    write_and_free(g->dparams, head[PARAMS] * head[H], size);
}

static void free_inputs(fl_call *p, fl_grads *g) {
    const void *inputs[] = {p->rows.order,   p->rows.length,  p->rows.n_at,    p->rows.offset,
                            p->in.ids,       p->in.x,         p->packed,       p->weights.w_ih,
                            p->weights.w_hh, p->weights.b_ih, p->weights.b_hh, p->weights.w_hr,
                            p->h0,           p->c0,           p->reset,        p->reset_h,
                            p->reset_c,      p->gates,        p->cells,        p->extra,
                            g->dy,           g->dh_n,         g->dc_n,         p->weights.params,
                            p->mask};
    for (size_t i = 0; i < sizeof inputs / sizeof *inputs; i++) free((void *)inputs[i]);
}

static struct {
    int64_t questions; /* until the answer is yes */
    void *y;
    int64_t bytes;
} stopped;

static int answer(void) {
    if (--stopped.questions) return 0;
    memset(stopped.y, 0xff, (size_t)stopped.bytes);
    return 1;
}

static void run_until_stopped(const int64_t *head, const fl_kernels *k, fl_call *p) {
    stopped.questions = head[STOP], stopped.y = p->y;
    stopped.bytes = head[T] * head[N] * output_size(head) * head[ITEMSIZE];
    p->stop = answer;
    if (k->forward(p) != FL_STOPPED) fail(1, "forward was not stopped");
}

static void run_passes(const int64_t *head, const fl_kernels *k, fl_call *p, const fl_grads *g) {
    for (int64_t i = 0; i < head[REPEAT]; i++) /* back to back: threads stay awake in between */
        if (k->forward(p)) fail(1, "forward ran out of memory");
    if (k->backward && k->backward(p, g)) fail(1, "backward ran out of memory");
}

static void run_cell(const int64_t *head, const fl_kernels *k) {
    fl_call p = read_call(head, k);
    fl_grads g = read_grads(head);
    uint64_t before = fl_float_state();
    if (head[STOP])
        run_until_stopped(head, k, &p);
    else
        run_passes(head, k, &p, &g);
    if (fl_float_state() != before) fail(1, "the float state was not restored");
    write_results(head, &p, &g);
    free_inputs(&p, &g);
}

/* y [T,N,I] and gradients of its mean and maximum -> mean, max, step [N,I], then dy. */
static void run_pool(const int64_t *head, const fl_kernels *k) {
    int64_t size = head[ITEMSIZE], pooled = head[N] * head[I], steps = head[T] * pooled;
    fl_pool p = {.T = head[T], .N = head[N], .F = head[I], .n_threads = (int)head[THREADS]};
    p.lengths = read_array(head[N], 8);
    p.y = read_array(steps, size);
    p.y_t = time_stride(head, head[I]);
    p.y_n = row_stride(head, head[I]);
    p.mean = allocate(pooled, size);
    p.max = allocate(pooled, size);
    p.step = allocate(pooled, 8);
    k->pool_forward(&p);
    int64_t *step = p.step;
    write_and_free(p.mean, pooled, size);
    write_and_free(p.max, pooled, size);
    p.mean = read_array(pooled, size);
    p.max = read_array(pooled, size);
    k->pool_backward(&p);
    write_and_free(step, pooled, 8);
    write_and_free(p.y, steps, size);
    free((void *)p.lengths);
    free(p.mean);
    free(p.max);
}

/* N rows of I numbers, in place or picked from a table of U, the eight factors, and the terms of
 * the sum of weights for each row. */
static void run_adam(const int64_t *head, const fl_kernels *k) {
    int64_t size = head[ITEMSIZE], all = (head[U] ? head[U] : head[N]) * head[I];
    fl_adam a = {.rows = head[N], .width = head[I], .n_threads = (int)head[THREADS]};
    if (head[U]) a.index = read_array(head[N], 8);
    a.p = read_array(all, size);
    a.m = read_array(all, size);
    a.v = read_array(all, size);
    a.g = read_array(head[N] * head[I], size);
    double *f = read_array(8, 8);
    a.rate = f[0], a.root = f[1], a.eps = f[2], a.beta1 = f[3], a.beta2 = f[4];
    a.shrink = f[5], a.decay = f[6], a.scale = f[7];
    a.total = read_array(all, size);
    a.keep = read_array(head[N], size);
    a.add = read_array(head[N], size);
    a.term = 1;
    k->adam(&a);
    write_and_free(a.p, all, size);
    write_and_free(a.m, all, size);
    write_and_free(a.v, all, size);
    write_and_free(a.total, all, size);
    free((void *)a.index);
    free((void *)a.g);
    free((void *)a.keep);
    free((void *)a.add);
    free(f);
}

/* T products of [N,I] and [H,I], where REVERSE or BATCH_FIRST given as their transposes; added to c
 * if ACCUMULATE. */
static void run_matmul(const int64_t *head, const fl_kernels *k) {
    int64_t size = head[ITEMSIZE], all = head[T] * head[N] * head[H];
    fl_matmul p = {.batch = head[T],
                   .n = head[N],
                   .m = head[H],
                   .K = head[I],
                   .a_transposed = (int)head[REVERSE],
                   .b_transposed = (int)head[BATCH_FIRST],
                   .add = (int)head[ACCUMULATE],
                   .n_threads = (int)head[THREADS]};
    void *packed = NULL;
    p.a = read_array(head[T] * head[N] * head[I], size);
    p.b = read_array(head[T] * head[H] * head[I], size);
    if (head[BIAS]) p.bias = read_array(head[H], size);
    p.c = read_array(all, size);
    if (head[PACKED]) {
        p.packed = packed = allocate(k->matrix_size(&p), size);
        k->pack_matrix(&p, packed);
    }
    uint64_t before = fl_float_state();
    if (k->matmul(&p)) fail(1, "a product of matrices ran out of memory");
    if (fl_float_state() != before) fail(1, "the float state was not restored");
    write_and_free(p.c, all, size);
    free(packed);
    free((void *)p.a);
    free((void *)p.b);
    free((void *)p.bias);
}

/* Logits [N,I], targets and what is added, and the scale -> losses, gradient, sums of columns. */
static void run_softmax(const int64_t *head, const fl_kernels *k) {
    int64_t size = head[ITEMSIZE];
    fl_softmax p = {.M = head[N], .V = head[I], .n_threads = (int)head[THREADS]};
    p.z = read_array(head[N] * head[I], size);
    p.target = read_array(head[N], 8);
    p.bias = read_array(head[I], size);
    p.target_bias = read_array(head[N], size);
    double *scale = read_array(1, 8);
    p.scale = *scale;
    p.loss = allocate(head[N], 8);
    p.dbias = allocate(head[I], size);
    if (k->softmax_cross_entropy(&p)) fail(1, "a softmax ran out of memory");
    write_and_free(p.loss, head[N], 8);
    write_and_free(p.z, head[N] * head[I], size);
    write_and_free(p.dbias, head[I], size);
    free((void *)p.target);
    free((void *)p.bias);
    free((void *)p.target_bias);
    free(scale);
}

static void run_activation(const int64_t *head, const fl_kernels *k) {
    void *x = read_array(head[N], head[ITEMSIZE]);
    void *y = allocate(head[N], head[ITEMSIZE]);
    if (head[OP] == OP_EXP) k->exp(head[N], x, y);
    if (head[OP] == OP_SIGMOID) k->sigmoid(head[N], x, y);
    if (head[OP] == OP_TANH) k->tanh(head[N], x, y);
    write_and_free(y, head[N], head[ITEMSIZE]);
    free(x);
}

/* Runs all cases under an instruction set. What a call keeps for the next one is let go after each:
 * the next one is to find no more memory than it asks for, where a sanitizer looks. */
static void run_all(const char *isa) {
    int64_t head[HEADER];
    while (fread(head, sizeof head, 1, cases) == 1) {
        const fl_kernels *k = fl_get_kernels(isa, (int)head[ITEMSIZE], (int)head[PRECISION]);
        if (!k) fail(3, "this instruction set is not built, or not supported here");
        fl_be_patient(!head[HASTY]);
        if (head[OP] == OP_CELL)
            run_cell(head, k);
        else if (head[OP] == OP_POOL)
            run_pool(head, k);
        else if (head[OP] == OP_ADAM)
            run_adam(head, k);
        else if (head[OP] == OP_MATMUL)
            run_matmul(head, k);
        else if (head[OP] == OP_SOFTMAX)
            run_softmax(head, k);
        else
            run_activation(head, k);
        fl_trim();
    }
}

int main(int argc, char **argv) {
    if (argc == 2) return fl_get_kernels(argv[1], 4, FL_FULL) ? 0 : 3;
    if (argc < 4) fail(2, "usage: harness ISA | harness CASES RESULTS ISA...");
    cases = fopen(argv[1], "rb");
    results = fopen(argv[2], "wb");
    if (!cases || !results) fail(2, "cannot open the files");
    for (int i = 3; i < argc; i++) {
        rewind(cases);
        run_all(argv[i]);
    }
    fclose(cases);
    if (fclose(results)) fail(2, "cannot write results");
    return 0;
}
