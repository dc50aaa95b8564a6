/* A small team of threads, made when first needed and asleep between calls.
 *
 * Not OpenMP: its threads spin beside other libraries' and hang a forked child. Here a child
 * starts with no team and makes its own, workers wait on a condition after a short spin, and a
 * second Python thread that finds the team busy runs its work alone instead of waiting.
 */
#define _POSIX_C_SOURCE 200809L
#include <pthread.h>
#include <sched.h>
#include <stdatomic.h>
#include <stdlib.h>

#include "fastlstm.h"

enum { MAX_THREADS = 1024, SPINS = 2000 }; /* the former as in runtime.py */
enum { LATE = 8192, ALONE = 64 }; /* spins at a barrier: a thread had lost its core; jobs after */

typedef struct {
    fl_body body;
    void *ctx;
    int threads; /* taking part, the caller included */
} job;

struct fl_team {
    pthread_mutex_t mutex; /* of `current` and of changes to `jobs` */
    pthread_cond_t wake;
    job current;
    atomic_uint jobs; /* how many there have been: workers wait for it to change */

    int workers;
    unsigned hired_at[MAX_THREADS]; /* value of `jobs` when a worker was hired */

    atomic_int arrived, unfinished;
    atomic_uint phase, first_phase; /* of this job: its first barrier waits for threads to wake */
    atomic_int alone; /* jobs with many barriers yet to run on one thread: a core was busy */
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

/* Waits for a job after number `seen` and copies it. */
static job next_job(unsigned *seen) {
    for (int spin = 0; spin < SPINS; spin++) {
        if (atomic_load_explicit(&team.jobs, memory_order_acquire) != *seen) break;
        pause_briefly(spin);
    }
    pthread_mutex_lock(&team.mutex);
    while (atomic_load(&team.jobs) == *seen) pthread_cond_wait(&team.wake, &team.mutex);
    job next = team.current;
    *seen = atomic_load(&team.jobs);
    pthread_mutex_unlock(&team.mutex);
    return next;
}

static void *work(void *number) {
    int thread = (int)(intptr_t)number;
    unsigned seen = team.hired_at[thread];
    for (;;) {
        job next = next_job(&seen);
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
    pthread_mutex_lock(&team.mutex);
    team.current = (job){body, ctx, threads};
    atomic_fetch_add_explicit(&team.jobs, 1, memory_order_release);
    pthread_cond_broadcast(&team.wake);
    pthread_mutex_unlock(&team.mutex);
    run_body(body, ctx, 0, threads);
    for (int spin = 0; atomic_load_explicit(&team.unfinished, memory_order_acquire); spin++)
        pause_briefly(spin);
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
