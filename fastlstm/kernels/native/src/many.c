/* Many small calls of one kind as one job: a model is wholly on one thread, so that its results are
 * those of a call of its own, and threads take some models at a time until none is left. */
#include <stdatomic.h>

#include "fastlstm.h"

enum { TURNS = 16 }; /* of a thread: so many times it takes models, if there are enough */

/* Operations, some 30 ms of small models, from one question whether to stop to the next. */
#ifndef FL_ASK_MANY /* tests have another */
#define FL_ASK_MANY 1e9
#endif

typedef struct {
    const fl_many *m;
    int64_t each, every; /* models of a turn, and from one question to the next */
    uint64_t floats;     /* the caller's float state, for the asking */
    _Atomic int64_t next;
    atomic_int failed;
} job;

static int run_call(const fl_many *m, int64_t i, int asks) {
    if (m->adam) return m->kernels->adam(m->adam + i), 0;
    fl_call p = m->calls[i];
    p.stop = asks ? m->stop : NULL;
    return m->grads ? m->kernels->backward(&p, m->grads + i) : m->kernels->forward(&p);
}

static int run_model(const fl_many *m, int64_t i, int asks) {
    int failed = 0;
    for (int64_t k = 0; k < m->layers && !failed; k++)
        failed = run_call(m, i * m->layers + k, asks);
    return failed;
}

static int wants_stop(const job *j) {
    uint64_t floats = fl_float_state();
    fl_restore_denormals(j->floats);
    int stop = fl_ask(j->m->stop);
    fl_restore_denormals(floats);
    return stop;
}

static void run_models(void *ctx, int thread, int threads, fl_team *team) {
    job *j = ctx;
    const fl_many *m = j->m;
    int asks = !thread && m->stop;
    int64_t done = 0;
    (void)threads, (void)team;
    for (;;) {
        int64_t i = atomic_fetch_add(&j->next, j->each), last = i + j->each;
        for (; i < last; i++) {
            if (i >= m->M || atomic_load(&j->failed)) return;
            int failed = run_model(m, i, asks);
            if (!failed && asks && ++done % j->every == 0 && wants_stop(j)) failed = FL_STOPPED;
            if (failed) atomic_store(&j->failed, failed);
        }
    }
}

/* About 100 us of work repay a thread that has to wake. */
static int worth_threads(const fl_many *m) {
    double worth = m->work / 10e6, most = m->M < m->n_threads ? (double)m->M : m->n_threads;
    return worth < 2 ? 1 : (int)(worth < most ? worth : most);
}

int fl_run_many(const fl_many *m) {
    int threads = worth_threads(m);
    int64_t each = m->M / (threads * TURNS);
    job j = {.m = m,
             .each = each ? each : 1,
             .every = (int64_t)(FL_ASK_MANY / (m->work / (double)m->M + 1)) + 1,
             .floats = fl_float_state()};
    fl_run(threads, m->work < 4e9 ? FL_BRIEF : 0, run_models, &j);
    return atomic_load(&j.failed);
}

void fl_sort_rows(int64_t T, int64_t N, const int64_t *lengths, int64_t *order, int64_t *length,
                  int64_t *n_at, int64_t *offset) {
    int64_t before = 0;
    for (int64_t t = 0; t <= T; t++) offset[t] = 0;
    for (int64_t n = 0; n < N; n++) offset[lengths[n]]++;
    for (int64_t t = T; t >= 0; t--) { /* the counts become how many rows are longer */
        int64_t count = offset[t];
        offset[t] = before;
        if (t < T) n_at[t] = before;
        before += count;
    }
    for (int64_t n = 0; n < N; n++) {
        int64_t r = offset[lengths[n]]++;
        order[r] = n, length[r] = lengths[n];
    }
    offset[0] = 0;
    for (int64_t t = 0; t < T; t++) offset[t + 1] = offset[t] + n_at[t];
}
