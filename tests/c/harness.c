/* Runs the kernels on cases read from a file, without Python: for machines that are emulated and
 * for sanitizers, where the interpreter would only be in the way.
 *
 *     harness ISA CASES RESULTS
 *     harness ISA                  exit status only: can ISA run here?
 *
 * A case is a header of HEADER int64 (see the enum), then its arrays; harness.py writes it and
 * knows the order. Results are arrays back to back. Exit status: 0; 1 a call failed or left the
 * float state changed; 2 bad usage or files; 3 the instruction set is not built or not supported.
 */
#include "fastlstm.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { HEADER = 14 };
enum { OP, ITEMSIZE, T, N, I, H, REVERSE, BIAS, U, BATCH_FIRST, DY, DSTATE, ACCUMULATE, THREADS };
enum { OP_LSTM, OP_POOL, OP_ADAM, OP_EXP, OP_SIGMOID, OP_TANH };

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

static fl_lstm read_lstm(const int64_t *head, const fl_kernels *k) {
    int64_t size = head[ITEMSIZE], states = head[N] * head[H], steps = head[T] * head[N];
    fl_lstm p = {.rows = read_rows(head), .H = head[H], .n_threads = (int)head[THREADS]};
    p.in.I = head[I];
    if (head[U]) {
        p.in.ids = read_array(steps, 8);
        p.in.ids_t = time_stride(head, 1);
        p.in.ids_n = row_stride(head, 1);
        p.in.U = head[U];
    }
    p.in.x = read_array(head[U] ? head[U] * head[I] : steps * head[I], size);
    p.in.x_t = time_stride(head, head[I]);
    p.in.x_n = row_stride(head, head[I]);
    p.weights.w_ih = read_array(4 * head[H] * head[I], size);
    p.weights.w_hh = read_array(4 * head[H] * head[H], size);
    if (head[BIAS]) {
        p.weights.b_ih = read_array(4 * head[H], size);
        p.weights.b_hh = read_array(4 * head[H], size);
    }
    p.h0 = read_array(states, size);
    p.c0 = read_array(states, size);
    p.y = allocate(steps * head[H], size);
    memset(p.y, 0xff, (size_t)(steps * head[H] * size)); /* NaN: what is not written shows */
    p.y_t = time_stride(head, head[H]);
    p.y_n = row_stride(head, head[H]);
    p.h_n = allocate(states, size);
    p.c_n = allocate(states, size);
    int64_t packed = p.rows.offset[head[T]];
    p.gates = allocate(packed * k->gates_size(head[H]), size);
    p.cells = allocate((head[N] + packed) * k->cells_size(head[H]), size);
    return p;
}

static fl_lstm_grads read_grads(const int64_t *head) {
    int64_t size = head[ITEMSIZE], states = head[N] * head[H], steps = head[T] * head[N];
    fl_lstm_grads g = {.accumulate_dx = (int)head[ACCUMULATE]};
    if (head[DY]) {
        g.dy = read_array(steps * head[H], size);
        g.dy_t = time_stride(head, head[H]);
        g.dy_n = row_stride(head, head[H]);
    }
    if (head[DSTATE]) {
        g.dh_n = read_array(states, size);
        g.dc_n = read_array(states, size);
    }
    g.dh0 = allocate(states, size);
    g.dc0 = allocate(states, size);
    g.dx = read_array(head[U] ? head[U] * head[I] : steps * head[I], size); /* what was in it */
    g.dx_t = time_stride(head, head[I]);
    g.dx_n = head[U] ? head[I] : row_stride(head, head[I]);
    g.dw_ih = allocate(4 * head[H] * head[I], size);
    g.dw_hh = allocate(4 * head[H] * head[H], size);
    if (head[BIAS]) {
        g.db_ih = allocate(4 * head[H], size);
        g.db_hh = allocate(4 * head[H], size);
    }
    return g;
}

static void write_results(const int64_t *head, fl_lstm *p, fl_lstm_grads *g) {
    int64_t size = head[ITEMSIZE], states = head[N] * head[H], steps = head[T] * head[N];
    write_and_free(p->y, steps * head[H], size);
    write_and_free(p->h_n, states, size);
    write_and_free(p->c_n, states, size);
    write_and_free(g->dx, head[U] ? head[U] * head[I] : steps * head[I], size);
    write_and_free(g->dh0, states, size);
    write_and_free(g->dc0, states, size);
    write_and_free(g->dw_ih, 4 * head[H] * head[I], size);
    write_and_free(g->dw_hh, 4 * head[H] * head[H], size);
    write_and_free(g->db_ih, 4 * head[H], size);
    write_and_free(g->db_hh, 4 * head[H], size);
}

static void free_inputs(fl_lstm *p, fl_lstm_grads *g) {
    const void *inputs[] = {
        p->rows.order,   p->rows.length,  p->rows.n_at,    p->rows.offset,  p->in.ids, p->in.x,
        p->weights.w_ih, p->weights.w_hh, p->weights.b_ih, p->weights.b_hh, p->h0,     p->c0,
        p->gates,        p->cells,        g->dy,           g->dh_n,         g->dc_n};
    for (size_t i = 0; i < sizeof inputs / sizeof *inputs; i++) free((void *)inputs[i]);
}

static void run_lstm(const int64_t *head, const fl_kernels *k) {
    fl_lstm p = read_lstm(head, k);
    fl_lstm_grads g = read_grads(head);
    uint64_t before = fl_float_state();
    if (k->lstm_forward(&p)) fail(1, "lstm_forward ran out of memory");
    if (k->lstm_backward(&p, &g)) fail(1, "lstm_backward ran out of memory");
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
    p.step = allocate(pooled, size);
    k->pool_forward(&p);
    void *step = p.step;
    write_and_free(p.mean, pooled, size);
    write_and_free(p.max, pooled, size);
    p.mean = read_array(pooled, size);
    p.max = read_array(pooled, size);
    k->pool_backward(&p);
    write_and_free(step, pooled, size);
    write_and_free(p.y, steps, size);
    free((void *)p.lengths);
    free(p.mean);
    free(p.max);
}

/* N rows of I numbers, in place or picked from a table of U, and the seven factors. */
static void run_adam(const int64_t *head, const fl_kernels *k) {
    int64_t size = head[ITEMSIZE], all = (head[U] ? head[U] : head[N]) * head[I];
    fl_adam a = {.rows = head[N], .width = head[I], .n_threads = (int)head[THREADS]};
    if (head[U]) a.index = read_array(head[N], 8);
    a.p = read_array(all, size);
    a.m = read_array(all, size);
    a.v = read_array(all, size);
    a.g = read_array(head[N] * head[I], size);
    double *f = read_array(7, 8);
    a.rate = f[0], a.root = f[1], a.eps = f[2], a.beta1 = f[3], a.beta2 = f[4];
    a.shrink = f[5], a.decay = f[6];
    k->adam(&a);
    write_and_free(a.p, all, size);
    write_and_free(a.m, all, size);
    write_and_free(a.v, all, size);
    free((void *)a.index);
    free((void *)a.g);
    free(f);
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

int main(int argc, char **argv) {
    if (argc == 2) return fl_get_kernels(argv[1], 4) ? 0 : 3;
    if (argc != 4) fail(2, "usage: harness ISA [CASES RESULTS]");
    cases = fopen(argv[2], "rb");
    results = fopen(argv[3], "wb");
    if (!cases || !results) fail(2, "cannot open the files");
    int64_t head[HEADER];
    while (fread(head, sizeof head, 1, cases) == 1) {
        const fl_kernels *k = fl_get_kernels(argv[1], (int)head[ITEMSIZE]);
        if (!k) fail(3, "this instruction set is not built, or not supported here");
        if (head[OP] == OP_LSTM)
            run_lstm(head, k);
        else if (head[OP] == OP_POOL)
            run_pool(head, k);
        else if (head[OP] == OP_ADAM)
            run_adam(head, k);
        else
            run_activation(head, k);
    }
    fclose(cases);
    if (fclose(results)) fail(2, "cannot write results");
    fl_trim();
    return 0;
}
