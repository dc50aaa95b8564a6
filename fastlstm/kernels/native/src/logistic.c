/* Logistic regressions by dual coordinate descent: fastlstm/kernels/reference/logistic.py says what
 * is computed and why. Each thread solves whole regressions: the bits of a result do not depend on
 * the number of threads. */
#include <math.h>
#include <stdatomic.h>

#include "fastlstm.h"
#include "sparse.h"

#define NEWTON_ENOUGH 1e-5 /* slope at which Newton's steps end */
#define LEAST 1e-200       /* part of its cost that a dual variable keeps */
#define QUIET 0.1          /* part of a row's share of the gap, below which it rests */
enum { NEWTON_STEPS = 20 };

typedef struct {
    const fl_logistic *p;
    double *square;  /* [N] lengths of rows, squared, with a 1 for the intercept */
    uint64_t floats; /* the caller's float state */
    atomic_int stopped, failed;
} job;

/* What the objectives of some rows are apart, and the loss of these. */
typedef struct {
    double gap, loss;
} sums;

/* One regression. */
typedef struct {
    const double *square;
    double *w;       /* [F] */
    double *a;       /* [N] */
    double *rest;    /* [N] cost - a: apart, as near the cost it is small */
    int32_t *order;  /* [N] rows: those that are at work, then those that rest */
    int64_t working; /* how many are at work */
    sums resting;    /* of the others, when they were last looked at */
    double b, norm;  /* norm is of w and b, squared */
    double primal;   /* objective of the last pass */
    uint64_t random; /* the generator's state */
} solver;

/* SplitMix64 (Steele, Lea & Flood 2014), its upper half. */
static uint64_t draw(uint64_t *state) {
    uint64_t z = *state += 0x9E3779B97F4A7C15u;
    z = (z ^ (z >> 30)) * 0xBF58476D1CE4E5B9u;
    z = (z ^ (z >> 27)) * 0x94D049BB133111EBu;
    return (z ^ (z >> 31)) >> 32;
}

/* Brings the rows at work into a random order. */
static void shuffle(solver *s) {
    for (int64_t i = s->working - 1; i > 0; i--) {
        int64_t j = (int64_t)(draw(&s->random) * (uint64_t)(i + 1) >> 32);
        int32_t row = s->order[i];
        s->order[i] = s->order[j];
        s->order[j] = row;
    }
}

/* Four sums, as each addition waits for the one before. */
static double dot(const fl_sparse *x, int64_t n, const double *w) {
    double sum[4] = {0, 0, 0, 0};
    int64_t m = x->start[n], end = x->start[n + 1];
    for (; m + 4 <= end; m += 4)
        for (int i = 0; i < 4; i++) sum[i] += x->value[m + i] * w[x->column[m + i]];
    for (; m < end; m++) sum[0] += x->value[m] * w[x->column[m]];
    return (sum[0] + sum[1]) + (sum[2] + sum[3]);
}

static void add(const fl_sparse *x, int64_t n, double scale, double *w) {
    for (int64_t m = x->start[n]; m < x->start[n + 1]; m++) w[x->column[m]] += scale * x->value[m];
}

/* The best dual variable while all others stay: Newton's steps on it, or on the rest if that is
 * less. */
static void move(double *a, double *rest, double c, double margin, double square) {
    int swapped = square * (*rest - *a) / 2 + margin < 0;
    double old = swapped ? *rest : *a, slope = swapped ? -margin : margin;
    double z = old > 0 && old <= c / 2 ? old : 0.1 * c;
    for (int i = 0; i < NEWTON_STEPS; i++) {
        double found = square * (z - old) + slope + log(z / (c - z));
        if (fabs(found) < NEWTON_ENOUGH) break;
        double next = z - found / (square + c / (c - z) / z);
        z = next > 0 ? next : 0.1 * z;
        if (z < LEAST * c) z = LEAST * c;
    }
    *a = swapped ? c - z : z;
    *rest = swapped ? z : c - z;
}

static double entropy(double a, double rest, double c) {
    return (a > 0 ? a * log(a / c) : 0) + (rest > 0 ? rest * log(rest / c) : 0);
}

/* Works on one row; returns what it was before. */
static sums visit(const fl_logistic *p, solver *s, int64_t k, int64_t n) {
    double y = p->target[n] == (p->classes == 2 ? 1 : k) ? 1 : -1, c = p->cost[n];
    double margin = y * (dot(&p->x, n, s->w) + s->b), old = s->a[n];
    double loss = c * (log1p(exp(-fabs(margin))) + (margin < 0 ? -margin : 0));
    double gap = loss + old * margin + entropy(old, s->rest[n], c);
    move(s->a + n, s->rest + n, c, margin, s->square[n]);
    double change = s->a[n] - old;
    add(&p->x, n, change * y, s->w);
    s->b += change * y;
    s->norm += change * (2 * margin + change * s->square[n]);
    return (sums){gap, loss + c * p->doubt[n] * margin};
}

/* One pass over the rows at work; whether the objective is good enough, as far as they know. */
static int pass(const fl_logistic *p, solver *s, int64_t k) {
    double quiet = QUIET * p->tolerance * s->primal / (double)p->x.N;
    sums all = s->resting;
    shuffle(s);
    for (int64_t i = 0; i < s->working;) {
        int32_t n = s->order[i];
        sums one = visit(p, s, k, n);
        all.gap += one.gap;
        all.loss += one.loss;
        if (one.gap > quiet) {
            i++;
            continue;
        }
        s->resting.gap += one.gap;
        s->resting.loss += one.loss;
        s->order[i] = s->order[--s->working];
        s->order[s->working] = n;
    }
    s->primal = s->norm / 2 + all.loss;
    return all.gap <= p->tolerance * s->primal;
}

static void begin(const fl_logistic *p, solver *s, int64_t k) {
    s->random = p->seed + (uint64_t)k * 0xD1342543DE82EF95u;
    s->b = s->norm = s->primal = 0;
    for (int64_t f = 0; f < p->F; f++) s->w[f] = 0;
    for (int64_t n = 0; n < p->x.N; n++) {
        s->a[n] = p->cost[n] * p->doubt[n];
        s->rest[n] = p->cost[n] - s->a[n];
        s->order[n] = (int32_t)n;
    }
}

/* Whether another thread said so, or a signal came: one of Python, heard by the calling thread. */
static int is_stopped(job *j, int thread) {
    if (j->p->ended && *j->p->ended) atomic_store(&j->stopped, 1);
    if (!thread && j->p->stop) {
        uint64_t floats = fl_float_state();
        fl_restore_denormals(j->floats);
        if (fl_ask(j->p->stop)) atomic_store(&j->stopped, 1);
        fl_restore_denormals(floats);
    }
    return atomic_load(&j->stopped);
}

static void solve(job *j, int thread, solver *s, int64_t k) {
    const fl_logistic *p = j->p;
    int64_t epoch = 0, whole = 1;
    begin(p, s, k);
    while (p->x.N && epoch < p->max_epochs && !is_stopped(j, thread)) {
        if (whole) {
            s->working = p->x.N;
            s->resting = (sums){0, 0};
        }
        epoch++;
        int enough = pass(p, s, k);
        if (enough && whole) break;
        whole = enough || !s->working;
    }
    for (int64_t f = 0; f < p->F; f++) p->weights[k * p->F + f] = (float)s->w[f];
    p->intercept[k] = s->b;
    p->epochs[k] = epoch;
}

static void logistic_body(void *ctx, int thread, int threads, fl_team *team) {
    job *j = ctx;
    const fl_logistic *p = j->p;
    size_t F = (size_t)p->F, N = (size_t)p->x.N;
    double *block = fl_alloc((F + 2 * N) * sizeof(double) + N * sizeof(int32_t));
    (void)team;
    if (!block) {
        atomic_store(&j->failed, 1);
        return;
    }
    solver s = {.square = j->square,
                .w = block,
                .a = block + F,
                .rest = block + F + N,
                .order = (int32_t *)(void *)(block + F + 2 * N)};
    for (int64_t k = thread; k < p->problems && !is_stopped(j, thread); k += threads)
        solve(j, thread, &s, k);
    fl_free(block);
}

int fl_fit_logistic(const fl_logistic *p) {
    job j = {.p = p, .floats = fl_float_state()};
    int threads = p->n_threads < p->problems ? p->n_threads : (int)p->problems;
    j.square = fl_alloc((size_t)p->x.N * sizeof(double));
    if (!j.square) return -1;
    for (int64_t n = 0; n < p->x.N; n++) {
        j.square[n] = 1;
        for (int64_t m = p->x.start[n]; m < p->x.start[n + 1]; m++)
            j.square[n] += (double)p->x.value[m] * p->x.value[m];
    }
    fl_run(threads, 0, logistic_body, &j);
    fl_free(j.square);
    return j.failed ? -1 : j.stopped ? FL_STOPPED : 0;
}
