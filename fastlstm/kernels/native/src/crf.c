/* Linear-chain conditional random fields: fastlstm/kernels/reference/crf.py says what is computed.
 *
 * All is kept in logarithms, so that no length overflows. A sum over pairs of labels is yet a
 * product with exp(between): K exponentials a step in place of K*K. Where that loses too much, as
 * scores differ by hundreds, the sum is taken term by term.
 *
 * First each thread works on rows, then on labels before a pair: so no sum depends on how many
 * threads there are. */
#include "crf.h"

#include <math.h>
#include <stdatomic.h>

#include "fastlstm.h"

#define LEAST 1e-280 /* sum of products: what was too small for a double is no part of it */
#define MOST 500     /* logarithm of a factor, from which on it is too large */

/* Scores of pairs, from the row's label to the column's, and exp(score - top). */
typedef struct {
    const double *score, *exp; /* [K,K] */
    double top;
} pairs;

typedef struct {
    const fl_crf *p;
    pairs after, before; /* of a label and the next; of a label and the one before */
    double *a;           /* [N,T,K] log of all that leads to a label, its own score included */
    double *v;           /* [N,T,K] the same for all that follows */
    double *total;       /* [N] log of the sum over all paths */
    double *sum;         /* [K,K] of products, for dbetween */
    atomic_int failed;
} job;

/* The largest; NaN if there is one. */
static double largest(int64_t K, const double *x) {
    double most = x[0];
    for (int64_t k = 1; k < K; k++)
        if (!(x[k] <= most) && most == most) most = x[k];
    return most;
}

/* log of the sum of exp(x[k] + y[k * stride]), term by term. */
static double log_sum(int64_t K, const double *x, const double *y, int64_t stride) {
    double most = x[0] + y[0], sum = 0;
    for (int64_t k = 1; k < K; k++) {
        double one = x[k] + y[k * stride];
        if (!(one <= most) && most == most) most = one;
    }
    if (most == -INFINITY) return most;
    for (int64_t k = 0; k < K; k++) sum += exp(x[k] + y[k * stride] - most);
    return most + log(sum);
}

/* out[k] = log of the sum over j of exp(x[j] + score[j,k]). */
static void log_product(int64_t K, const double *x, const pairs *w, double *out) {
    double most = largest(K, x);
    for (int64_t k = 0; k < K; k++) out[k] = 0;
    for (int64_t j = 0; j < K; j++) {
        double part = exp(x[j] - most);
        for (int64_t k = 0; k < K; k++) out[k] += part * w->exp[j * K + k];
    }
    for (int64_t k = 0; k < K; k++)
        out[k] = out[k] > LEAST ? log(out[k]) + most + w->top : log_sum(K, x, w->score + k, K);
}

static double path_score(const fl_crf *p, int64_t n) {
    const double *x = p->x + n * p->T * p->K;
    const int64_t *label = p->label + n * p->T;
    int64_t last = p->length[n] - 1;
    double score = p->start[label[0]] + x[label[0]];
    for (int64_t t = 1; t <= last; t++)
        score += p->between[label[t - 1] * p->K + label[t]] + x[t * p->K + label[t]];
    return score + p->end[label[last]];
}

/* The steps of a row of at least one. */
static void forward(const job *j, int64_t n) {
    const fl_crf *p = j->p;
    int64_t K = p->K, last = p->length[n] - 1;
    const double *x = p->x + n * p->T * K;
    double *a = j->a + n * p->T * K;
    for (int64_t k = 0; k < K; k++) a[k] = p->start[k] + x[k];
    for (int64_t t = 1; t <= last; t++) {
        log_product(K, a + (t - 1) * K, &j->after, a + t * K);
        for (int64_t k = 0; k < K; k++) a[t * K + k] += x[t * K + k];
    }
    j->total[n] = log_sum(K, a + last * K, p->end, 1);
    p->loss[n] = j->total[n] - path_score(p, n);
}

/* What follows a label is in the place of its gradient until that is known. */
static void backward(const job *j, int64_t n) {
    const fl_crf *p = j->p;
    int64_t K = p->K, at = n * p->T * K, last = p->length[n] - 1;
    const double *x = p->x + at, *a = j->a + at;
    double *v = j->v + at, *d = p->dx + at;
    for (int64_t k = 0; k < K; k++) d[last * K + k] = p->end[k];
    for (int64_t t = last; t >= 0; t--) {
        for (int64_t k = t * K; k < (t + 1) * K; k++) {
            v[k] = x[k] + d[k];
            d[k] = exp(a[k] + d[k] - j->total[n]);
        }
        d[t * K + p->label[n * p->T + t]] -= 1;
        if (t) log_product(K, v + t * K, &j->before, d + (t - 1) * K);
    }
}

/* Adds the probability of each pair of a label of from..to-1 and the next, at step t of row n. */
static void add_pairs(const job *j, int64_t n, int64_t t, int64_t from, int64_t to, double *part) {
    const fl_crf *p = j->p;
    int64_t K = p->K;
    const double *v = j->v + (n * p->T + t) * K, *a = j->a + (n * p->T + t - 1) * K;
    double most_a = largest(K, a), most_v = largest(K, v), total = j->total[n];
    double scale = most_a + most_v + j->after.top - total;
    if (!(scale < MOST)) {
        for (int64_t i = from * K; i < to * K; i++)
            p->dbetween[i] += exp(a[i / K] + p->between[i] + v[i % K] - total);
        return;
    }
    for (int64_t k = 0; k < K; k++) part[k] = exp(v[k] - most_v);
    for (int64_t i = from; i < to; i++) {
        double factor = exp(a[i] - most_a + scale);
        for (int64_t k = 0; k < K; k++) j->sum[i * K + k] += factor * part[k];
    }
}

/* Gradients of the scores that start, join and end: of the labels from..to-1 before a pair. */
static void add_rows(const job *j, int64_t from, int64_t to, double *part) {
    const fl_crf *p = j->p;
    int64_t K = p->K;
    for (int64_t i = from * K; i < to * K; i++) j->sum[i] = 0;
    for (int64_t n = 0; n < p->N; n++) {
        const int64_t *label = p->label + n * p->T, last = p->length[n] - 1;
        const double *d = p->dx + n * p->T * K;
        if (last < 0) continue;
        for (int64_t k = from; k < to; k++) {
            p->dstart[k] += d[k];
            p->dend[k] += d[last * K + k];
        }
        for (int64_t t = 1; t <= last; t++) {
            add_pairs(j, n, t, from, to, part);
            if (from <= label[t - 1] && label[t - 1] < to)
                p->dbetween[label[t - 1] * K + label[t]] -= 1;
        }
    }
    for (int64_t i = from * K; i < to * K; i++) p->dbetween[i] += j->sum[i] * j->after.exp[i];
}

static void loss_body(void *ctx, int thread, int threads, fl_team *team) {
    job *j = ctx;
    const fl_crf *p = j->p;
    double *part = fl_alloc((size_t)p->K * sizeof(double));
    if (!part) atomic_store(&j->failed, 1);
    for (int64_t n = thread; n < p->N; n += threads) {
        p->loss[n] = 0;
        if (!p->length[n]) continue;
        forward(j, n);
        if (p->dx) backward(j, n);
    }
    fl_barrier(team);
    if (p->dx && part) add_rows(j, p->K * thread / threads, p->K * (thread + 1) / threads, part);
    fl_free(part);
}

int fl_crf_loss(const fl_crf *p) {
    size_t K = (size_t)p->K, squares = K * K, all = (size_t)(p->N * p->T) * K;
    double *block = fl_alloc((4 * squares + 2 * all + (size_t)p->N) * sizeof(double));
    if (!block) return -1;
    double *turned = block, *e = turned + squares, *turned_e = e + squares;
    job j = {.p = p, .sum = turned_e + squares, .total = turned_e + 2 * squares};
    double top = largest(p->K * p->K, p->between);
    j.a = j.total + p->N;
    j.v = j.a + all;
    for (size_t i = 0; i < squares; i++) e[i] = exp(p->between[i] - top);
    for (size_t i = 0; i < squares; i++) {
        turned[i] = p->between[i % K * K + i / K];
        turned_e[i] = e[i % K * K + i / K];
    }
    j.after = (pairs){p->between, e, top};
    j.before = (pairs){turned, turned_e, top};
    fl_run(p->n_threads, 0, loss_body, &j);
    fl_free(block);
    return j.failed ? -1 : 0;
}

/* The likeliest path of a row. As NumPy's argmax, the first of equal ones and of those NaN. */
static void viterbi(const fl_crf *p, int64_t n, double *best, int32_t *from) {
    int64_t K = p->K, last = p->length[n] - 1, *label = p->label + n * p->T;
    const double *x = p->x + n * p->T * K;
    double *next = best + K;
    for (int64_t k = 0; k < K; k++) best[k] = p->start[k] + x[k];
    for (int64_t t = 1; t <= last; t++) {
        double *now = best;
        int32_t *back = from + t * K;
        for (int64_t k = 0; k < K; k++) next[k] = now[0] + p->between[k];
        for (int64_t k = 0; k < K; k++) back[k] = 0;
        for (int64_t i = 1; i < K; i++)
            for (int64_t k = 0; k < K; k++) {
                double one = now[i] + p->between[i * K + k];
                if (one <= next[k] || next[k] != next[k]) continue;
                next[k] = one;
                back[k] = (int32_t)i;
            }
        for (int64_t k = 0; k < K; k++) next[k] += x[t * K + k];
        best = next;
        next = now;
    }
    for (int64_t k = 0; k < K; k++) best[k] += p->end[k];
    double most = largest(K, best);
    int32_t at = 0;
    while (at < K - 1 && best[at] != most && best[at] == best[at]) at++;
    p->loss[n] = best[at];
    for (int64_t t = last; t > 0; t--) {
        label[t] = at;
        at = from[t * K + at];
    }
    label[0] = at;
}

static void viterbi_body(void *ctx, int thread, int threads, fl_team *team) {
    job *j = ctx;
    const fl_crf *p = j->p;
    size_t K = (size_t)p->K;
    double *best = fl_alloc(2 * K * sizeof(double) + (size_t)p->T * K * sizeof(int32_t));
    (void)team;
    if (!best) {
        atomic_store(&j->failed, 1);
        return;
    }
    for (int64_t n = thread; n < p->N; n += threads) {
        p->loss[n] = 0;
        if (p->length[n]) viterbi(p, n, best, (int32_t *)(void *)(best + 2 * K));
    }
    fl_free(best);
}

int fl_viterbi(const fl_crf *p) {
    job j = {.p = p};
    fl_run(p->n_threads, 0, viterbi_body, &j);
    return j.failed ? -1 : 0;
}
