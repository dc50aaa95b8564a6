/* A small team of threads, made when first needed and asleep between calls.
 *
 * Not OpenMP: its threads spin beside other libraries' and hang a forked child. Here a child
 * starts with no team and makes its own, workers wait on a condition after a short spin, and a
 * second Python thread that finds the team busy runs its work alone instead of waiting.
 *
 * A worker that sleeps takes some 50 us to come, many times what a single step of a cell takes.
 * Pieces of such a step are laid on the desks of workers, and those that still spin take them.
 */
#define _POSIX_C_SOURCE 200809L
#include <pthread.h>
#include <sched.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <time.h>

#include "fastlstm.h"

enum { MAX_THREADS = 1024 };      /* as in runtime.py */
enum { LATE = 8192, ALONE = 64 }; /* spins at a barrier: a thread had lost its core; jobs after */
enum { SPIN = 50000 };            /* ns that a worker is awake after a job */
enum { OFTEN = 40000 };           /* ns from one short job to the next that keep workers awake */

typedef struct {
    fl_body body;
    void *ctx;
    int threads; /* taking part, the caller included */
} job;

/* A piece of a short job. One who turns OPEN into TAKEN runs it: the worker whose turn it is or, if
 * that has not come by then, the caller. A desk is a line of the cache of its own: what two cores
 * both write takes longer to go from one to the other than a tenth of the job. */
enum { DONE, OPEN, TAKEN };
typedef struct {
    _Alignas(128) atomic_int state;
    int threads, pieces;
    fl_piece run;
    void *ctx;
} desk;

struct fl_team {
    pthread_mutex_t mutex; /* of `current` and of changes to `jobs` */
    pthread_cond_t wake;
    job current;
    atomic_uint jobs; /* how many there have been: workers wait for it to change */

    int workers;
    atomic_int asleep;
    int64_t missed;                 /* when a short job last found workers asleep */
    unsigned hired_at[MAX_THREADS]; /* value of `jobs` when a worker was hired */

    atomic_int arrived, unfinished;
    atomic_uint phase, first_phase; /* of this job: its first barrier waits for threads to wake */
    atomic_int alone; /* short or with many barriers, yet to run on one thread: a core was busy */
    desk desks[FL_PIECES]; /* of each piece; worker i takes i, i + threads, ... */
};

static pthread_mutex_t in_use = PTHREAD_MUTEX_INITIALIZER;
static fl_team team = {.mutex = PTHREAD_MUTEX_INITIALIZER, .wake = PTHREAD_COND_INITIALIZER};

static inline void pause_briefly(int spin) {
#if defined(__x86_64__)
    __builtin_ia32_pause();
#elif defined(__aarch64__)
    __asm__ volatile("yield");
#endif
    if (spin % 256 == 255) sched_yield();
}

static int64_t now_ns(void) {
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (int64_t)now.tv_sec * 1000000000 + now.tv_nsec;
}

/* A forked child has the forking thread alone: forget the team that stayed behind. */
static void forget_team(void) {
    team = (fl_team){.mutex = PTHREAD_MUTEX_INITIALIZER, .wake = PTHREAD_COND_INITIALIZER};
    in_use = (pthread_mutex_t)PTHREAD_MUTEX_INITIALIZER;
}

__attribute__((constructor)) static void watch_forks(void) {
    pthread_atfork(NULL, NULL, forget_team);
}

static void run_body(fl_body body, void *ctx, int thread, int threads) {
    uint64_t state = fl_flush_denormals();
    body(ctx, thread, threads, threads > 1 ? &team : NULL);
    fl_restore_denormals(state);
}

/* Runs a piece unless another has begun it; returns the next of the same worker, 0 if none. */
static int take_piece(int number) {
    desk *d = &team.desks[number];
    int open = OPEN;
    if (!atomic_compare_exchange_strong(&d->state, &open, TAKEN)) return 0;
    int next = number + d->threads < d->pieces ? number + d->threads : 0;
    uint64_t state = fl_flush_denormals();
    d->run(d->ctx, number, d->pieces);
    fl_restore_denormals(state);
    atomic_store_explicit(&d->state, DONE, memory_order_release);
    return next;
}

/* Spins until there is a job after number `seen` or time is up; takes the worker's pieces. */
static void spin_at_desk(int thread, unsigned seen) {
    int64_t until = now_ns() + SPIN;
    for (int spin = 0; atomic_load_explicit(&team.jobs, memory_order_acquire) == seen; spin++) {
        if (thread < FL_PIECES &&
            atomic_load_explicit(&team.desks[thread].state, memory_order_relaxed) == OPEN) {
            for (int i = thread; i; i = take_piece(i)) continue;
            until = now_ns() + SPIN;
        }
        pause_briefly(spin);
        if (spin % 64 == 63 && now_ns() > until) return;
    }
}

/* Waits for a job after number `seen` and copies it. */
static job next_job(int thread, unsigned *seen) {
    spin_at_desk(thread, *seen);
    pthread_mutex_lock(&team.mutex);
    atomic_fetch_add(&team.asleep, 1);
    while (atomic_load(&team.jobs) == *seen) pthread_cond_wait(&team.wake, &team.mutex);
    atomic_fetch_sub(&team.asleep, 1);
    job next = team.current;
    *seen = atomic_load(&team.jobs);
    pthread_mutex_unlock(&team.mutex);
    return next;
}

static void *work(void *number) {
    int thread = (int)(intptr_t)number;
    unsigned seen = team.hired_at[thread];
    for (;;) {
        job next = next_job(thread, &seen);
        if (thread >= next.threads) continue; /* a smaller team will do */
        run_body(next.body, next.ctx, thread, next.threads);
        atomic_fetch_sub_explicit(&team.unfinished, 1, memory_order_release);
    }
    return NULL;
}

/* How many threads there are for a job that asks for some; fewer if the system refuses more. */
static int hire(int threads) {
    if (threads > MAX_THREADS) threads = MAX_THREADS;
    while (team.workers < threads - 1) {
        intptr_t number = team.workers + 1;
        pthread_t worker;
        team.hired_at[number] = atomic_load(&team.jobs);
        if (pthread_create(&worker, NULL, work, (void *)number)) break;
        pthread_detach(worker);
        team.workers++;
    }
    return threads < team.workers + 1 ? threads : team.workers + 1;
}

/* Posts a job: wakes all workers; those that it leaves out go back to their desks. */
static void post(job next) {
    pthread_mutex_lock(&team.mutex);
    team.current = next;
    atomic_fetch_add_explicit(&team.jobs, 1, memory_order_release);
    pthread_cond_broadcast(&team.wake);
    pthread_mutex_unlock(&team.mutex);
}

void fl_run(int threads, fl_body body, void *ctx) {
    if (threads < 2 || pthread_mutex_trylock(&in_use)) {
        run_body(body, ctx, 0, 1);
        return;
    }
    if (hire(threads) < threads) { /* memory was planned for all of them, or for one */
        pthread_mutex_unlock(&in_use);
        run_body(body, ctx, 0, 1);
        return;
    }
    atomic_store(&team.arrived, 0);
    atomic_store(&team.first_phase, atomic_load(&team.phase));
    atomic_store(&team.unfinished, threads - 1);
    post((job){body, ctx, threads});
    run_body(body, ctx, 0, threads);
    for (int spin = 0; atomic_load_explicit(&team.unfinished, memory_order_acquire); spin++)
        pause_briefly(spin);
    pthread_mutex_unlock(&in_use);
}

/* Whether workers are awake for a short job. They are woken where such jobs come so fast that they
 * stay awake in between. */
static int someone_awake(void) {
    int asleep = atomic_load_explicit(&team.asleep, memory_order_relaxed);
    if (!asleep) return 1;
    int64_t before = team.missed;
    team.missed = now_ns();
    if (team.missed - before < OFTEN) post((job){0});
    return asleep < team.workers;
}

/* Every threads-th piece. */
static void run_pieces(int threads, int pieces, fl_piece run, void *ctx) {
    uint64_t state = fl_flush_denormals();
    for (int i = 0; i < pieces; i += threads) run(ctx, i, pieces);
    fl_restore_denormals(state);
}

/* Lays out the pieces of all workers. */
static void open_desks(int threads, int pieces, fl_piece run, void *ctx) {
    for (int i = 0; i < pieces; i++) {
        desk *d = &team.desks[i];
        if (i % threads == 0) continue; /* the caller's own */
        d->threads = threads, d->pieces = pieces, d->run = run, d->ctx = ctx;
        atomic_store_explicit(&d->state, OPEN, memory_order_release);
    }
}

/* Takes what no worker has begun, last things first, and waits for the others. */
static void clear_desks(int threads, int pieces) {
    for (int i = pieces - 1; i > 0; i--)
        if (i % threads) take_piece(i);
    for (int i = 1; i < pieces; i++) {
        int spin = 0;
        for (; atomic_load_explicit(&team.desks[i].state, memory_order_acquire) != DONE; spin++)
            pause_briefly(spin);
        if (spin > LATE) atomic_store_explicit(&team.alone, ALONE, memory_order_relaxed);
    }
}

void fl_share(int threads, int pieces, fl_piece run, void *ctx) {
    if (threads < 2 || fl_cores_busy() || pthread_mutex_trylock(&in_use)) {
        run_pieces(1, 1, run, ctx);
        return;
    }
    threads = hire(threads);
    if (someone_awake()) {
        open_desks(threads, pieces, run, ctx);
        run_pieces(threads, pieces, run, ctx);
        clear_desks(threads, pieces);
    } else {
        run_pieces(1, 1, run, ctx);
    }
    pthread_mutex_unlock(&in_use);
}

void fl_barrier(fl_team *t) {
    if (!t) return;
    unsigned phase = atomic_load_explicit(&t->phase, memory_order_acquire);
    if (atomic_fetch_add_explicit(&t->arrived, 1, memory_order_acq_rel) == t->current.threads - 1) {
        atomic_store_explicit(&t->arrived, 0, memory_order_relaxed);
        atomic_fetch_add_explicit(&t->phase, 1, memory_order_release);
        return;
    }
    for (int spin = 0; atomic_load_explicit(&t->phase, memory_order_acquire) == phase; spin++) {
        pause_briefly(spin);
        if (spin == LATE && phase != atomic_load(&t->first_phase))
            atomic_store_explicit(&t->alone, ALONE, memory_order_relaxed);
    }
}

int fl_cores_busy(void) {
    int left = atomic_load_explicit(&team.alone, memory_order_relaxed);
    if (left > 0) atomic_store_explicit(&team.alone, left - 1, memory_order_relaxed);
    return left > 0;
}
