/* A small team of threads, made when first needed and asleep between calls.
 *
 * Not OpenMP: its threads spin beside other libraries' and hang a forked child. Here a child
 * starts with no team and makes its own, whoever waits sleeps after a short spin, and a second
 * Python thread that finds the team busy runs its work alone instead of waiting.
 *
 * A worker that sleeps takes some 50 us to come, many times what a single step of a cell takes.
 * Pieces of such a step are laid on the desks of workers, and those that still spin take them.
 *
 * Where other programs want the cores too, a thread may lose its own for milliseconds, and all
 * that wait for it lose them as well. So work that nobody has begun is done by the caller, and
 * where jobs lose more by the team than they won of late, those like them run on the caller alone
 * for a while (contention.h).
 */
#include "system.h"

#include <stdatomic.h>

#include "contention.h"
#include "fastlstm.h"

enum { MAX_THREADS = 1024 }; /* as in runtime.py */
enum { SPIN = 50000 };       /* ns that a worker is awake after a job */
enum { OFTEN = 40000 };      /* ns from a short job to the next that keep workers awake */
enum { WAIT = 30000 };       /* ns of spinning for another thread before sleeping */
enum { LOST = 300000 };      /* ns that count as lost for brief jobs where a long one lost time */
enum { LONG_JOB, BRIEF_JOB };

typedef struct {
    fl_body body;
    void *ctx;
    int threads;  /* taking part, the caller included */
    int patience; /* ns after which a brief job goes on without those who have not come; or 0 */
    int64_t posted;
    int core; /* of the caller, or -1 */
} job;

/* A piece of a short job. One who turns OPEN into TAKEN runs it: the worker whose turn it is or, if
 * that has not come by then, the caller. A desk is a line of the cache of its own: what two cores
 * both write takes longer to go from one to the other than a tenth of the job. */
enum { DONE, OPEN, TAKEN };
typedef struct {
    _Alignas(128) atomic_uint state;
    int threads, pieces;
    fl_piece run;
    void *ctx;
} desk;

struct fl_team {
    mutex mutex; /* of `current`, `open`, `came`, `present`, and of changes to `jobs` */
    condition wake, met;
    job current;
    atomic_uint jobs;           /* how many there have been: workers wait for it to change */
    int open;                   /* may workers still come to the job? */
    int present;                /* who has come, the caller included */
    unsigned came[MAX_THREADS]; /* number of the last job that a worker came to */

    int workers;
    atomic_int asleep;
    int64_t missed;                 /* when a short job ended that found workers asleep */
    unsigned hired_at[MAX_THREADS]; /* value of `jobs` when a worker was hired */

    atomic_uint unfinished, phase; /* workers; barriers that have been met, ever */
    unsigned first_phase;          /* of this job */
    atomic_int arrived, sleepers;  /* at the barrier; who wait for `met` */
    _Atomic int64_t given_up;      /* ns until the caller no longer waited for all to come; or 0 */
    _Atomic int64_t worked, gone;  /* ns of this job's threads with a core, and without one */
    contention others[2];          /* of each kind of jobs; notes are made under the mutex */
    atomic_int patient;
    desk desks[FL_PIECES]; /* of each piece; worker i takes i, i + threads, ... */
};

#define NEW_TEAM {.mutex = NEW_MUTEX, .wake = NEW_CONDITION, .met = NEW_CONDITION}
static mutex in_use = NEW_MUTEX;
static fl_team team = NEW_TEAM;
static _Thread_local int my_number; /* of a worker; 0: a caller */
static _Thread_local int64_t slept; /* ns that the thread waited asleep in its job */

#ifdef HAS_FORK
/* A forked child has the forking thread alone: forget the team that stayed behind. */
static void forget_team(void) {
    team = (fl_team)NEW_TEAM;
    in_use = (mutex)NEW_MUTEX;
}

__attribute__((constructor)) static void watch_forks(void) {
    pthread_atfork(NULL, NULL, forget_team);
}
#endif

/* Spins until *value is (or no longer is) `number`; returns whether that came before `until`. */
static int spin_for(atomic_uint *value, int is, unsigned number, int64_t until) {
    for (int spin = 1;; spin++) {
        if ((atomic_load(value) == number) == is) return 1;
        if (spin % 64 == 0 && now_ns() > until) return 0;
        pause_briefly();
    }
}

/* As spin_for, without an end: after a short spin it sleeps. Returns the ns that it waited, or 0 if
 * the spin was enough. */
static int64_t wait_for(atomic_uint *value, int is, unsigned number) {
    if ((atomic_load(value) == number) == is) return 0;
    int64_t start = now_ns();
    if (spin_for(value, is, number, start + WAIT)) return 0;
    int64_t asleep_at = now_ns();
    lock_mutex(&team.mutex);
    atomic_fetch_add(&team.sleepers, 1);
    while ((atomic_load(value) == number) != is) await(&team.met, &team.mutex);
    atomic_fetch_sub(&team.sleepers, 1);
    unlock_mutex(&team.mutex);
    int64_t end = now_ns();
    slept += end - asleep_at;
    return end - start;
}

/* To be called after a change of a value that others may be asleep on. */
static void wake_sleepers(void) {
    if (!atomic_load(&team.sleepers)) return;
    lock_mutex(&team.mutex);
    wake_all(&team.met);
    unlock_mutex(&team.mutex);
}

int fl_ask(int (*ask)(void)) {
    int64_t began = now_ns(), worked = -worked_ns();
    int answer = ask();
    worked += worked_ns();
    slept += now_ns() - began - worked;
    return answer;
}

/* Are jobs of a kind to do without the team, as others want the cores? */
static int alone(int kind) {
    const contention *c = &team.others[kind];
    if (!atomic_load_explicit(&c->until, memory_order_relaxed)) return 0;
    return is_pausing(c, now_ns()) && !atomic_load(&team.patient);
}

void fl_be_patient(int yes) { atomic_store(&team.patient, yes); }

/* What a job won by the team; below 0: lost. All that a long job lost would keep brief ones from
 * the team for seconds. */
static void note_won(int kind, int64_t won) {
    if (!won) return;
    int64_t now = now_ns();
    lock_mutex(&team.mutex);
    if (won > 0)
        note_win(&team.others[kind], won);
    else if (note_loss(&team.others[kind], now, -won) && kind == LONG_JOB)
        note_loss(&team.others[BRIEF_JOB], now, LOST);
    unlock_mutex(&team.mutex);
}

/* Did the system find no core for a worker but the one from which the caller posted the job? */
static int crowds_caller(const job *j) {
    return j->core >= 0 && this_core() == j->core && !atomic_load(&team.patient);
}

static void run_alone(fl_body body, void *ctx) {
    uint64_t state = fl_flush_denormals();
    body(ctx, 0, 1, NULL);
    fl_restore_denormals(state);
}

/* A part of a team's job; of no team for a worker that is absent. Time that a thread neither worked
 * nor slept was another program's. */
static void run_part(const job *j, int thread, fl_team *t) {
    uint64_t state = fl_flush_denormals();
    int64_t began = now_ns(), worked = -worked_ns();
    slept = 0;
    j->body(j->ctx, thread, j->threads, t);
    worked += worked_ns();
    atomic_fetch_add(&team.worked, worked);
    /* The clocks are read one after the other: a few ns below 0 are none. */
    int64_t gone = now_ns() - began - worked - slept;
    if (gone > 0) atomic_fetch_add(&team.gone, gone);
    fl_restore_denormals(state);
}

/* Runs a piece unless another has begun it; returns the next of the same worker, 0 if none. */
static int take_piece(int number) {
    desk *d = &team.desks[number];
    unsigned open = OPEN;
    if (!atomic_compare_exchange_strong(&d->state, &open, TAKEN)) return 0;
    int next = number + d->threads < d->pieces ? number + d->threads : 0;
    uint64_t state = fl_flush_denormals();
    d->run(d->ctx, number, d->pieces);
    fl_restore_denormals(state);
    atomic_store(&d->state, DONE);
    wake_sleepers();
    return next;
}

/* Spins until there is a job after number `seen`, time is up or others need the core; takes the
 * worker's pieces. */
static void spin_at_desk(int thread, unsigned seen, const job *last) {
    int64_t until = now_ns() + SPIN;
    for (int spin = 0; atomic_load_explicit(&team.jobs, memory_order_acquire) == seen; spin++) {
        if (spin % 64 == 0 && (now_ns() > until || crowds_caller(last))) return;
        if (thread < FL_PIECES &&
            atomic_load_explicit(&team.desks[thread].state, memory_order_relaxed) == OPEN) {
            for (int i = thread; i; i = take_piece(i)) continue;
            until = now_ns() + SPIN;
        }
        pause_briefly();
        if (spin % 256 == 255) yield_core();
    }
}

/* Waits for a job after `last`, of number *seen, and comes to it if it has a part for the thread. A
 * worker that was woken for pieces where it can only get in the caller's way tells so. */
static job next_job(int thread, unsigned *seen, const job *last) {
    spin_at_desk(thread, *seen, last);
    lock_mutex(&team.mutex);
    int woken = atomic_load(&team.jobs) == *seen;
    atomic_fetch_add(&team.asleep, 1);
    while (atomic_load(&team.jobs) == *seen) await(&team.wake, &team.mutex);
    atomic_fetch_sub(&team.asleep, 1);
    job next = team.current;
    *seen = atomic_load(&team.jobs);
    if (woken && !next.body && crowds_caller(&next))
        note_loss(&team.others[BRIEF_JOB], now_ns(), SPIN);
    if (!team.open || thread >= next.threads) next.body = NULL;
    if (next.body) team.present++, team.came[thread] = *seen;
    unlock_mutex(&team.mutex);
    return next;
}

THREAD work(void *number) {
    my_number = (int)(intptr_t)number;
    unsigned seen = team.hired_at[my_number];
    job last = {.core = -1};
    for (;;) {
        last = next_job(my_number, &seen, &last);
        if (!last.body) continue;
        run_part(&last, my_number, &team);
        if (atomic_fetch_sub(&team.unfinished, 1) == 1) wake_sleepers();
    }
    return 0;
}

/* How many threads there are for a job that asks for some; fewer if the system refuses more. */
static int hire(int threads) {
    if (threads > MAX_THREADS) threads = MAX_THREADS;
    while (team.workers < threads - 1) {
        intptr_t number = team.workers + 1;
        team.hired_at[number] = atomic_load(&team.jobs);
        if (!start_thread(work, (void *)number)) break;
        team.workers++;
    }
    return threads < team.workers + 1 ? threads : team.workers + 1;
}

/* Posts a job: wakes all workers; those that it leaves out go back to their desks. */
static void post(job next) {
    lock_mutex(&team.mutex);
    team.current = next;
    team.open = next.body != NULL;
    team.present = 1;
    atomic_fetch_add_explicit(&team.jobs, 1, memory_order_release);
    wake_all(&team.wake);
    unlock_mutex(&team.mutex);
}

/* Workers that have not come to the job stay out of it, and nobody waits for the `absent` among
 * them. */
static void close_job(unsigned absent) {
    team.open = 0;
    atomic_fetch_sub(&team.unfinished, absent);
}

/* The caller has done its part: it also does those of workers that have not come. There are none in
 * a job with a barrier, which all have passed. */
static void run_absent(const job *j) {
    lock_mutex(&team.mutex);
    int close = team.open && team.present < j->threads;
    unsigned number = atomic_load(&team.jobs);
    if (close) close_job((unsigned)(j->threads - team.present));
    unlock_mutex(&team.mutex);
    for (int thread = 1; close && thread < j->threads; thread++)
        if (team.came[thread] != number) run_part(j, thread, NULL);
}

void fl_run(int threads, int patience, fl_body body, void *ctx) {
    int kind = patience ? BRIEF_JOB : LONG_JOB;
    if (threads < 2 || alone(kind) || !try_mutex(&in_use)) {
        run_alone(body, ctx);
        return;
    }
    if (hire(threads) < threads) { /* memory was planned for all of them, or for one */
        unlock_mutex(&in_use);
        run_alone(body, ctx);
        return;
    }
    if (atomic_load(&team.patient)) patience = 0;
    job next = {body, ctx, threads, patience, now_ns(), this_core()};
    atomic_store(&team.arrived, 0);
    atomic_store(&team.given_up, 0);
    atomic_store(&team.worked, 0);
    atomic_store(&team.gone, 0);
    atomic_store(&team.unfinished, (unsigned)threads - 1);
    team.first_phase = atomic_load(&team.phase);
    post(next);
    run_part(&next, 0, &team);
    run_absent(&next);
    wait_for(&team.unfinished, 1, 0);
    int64_t took = now_ns() - next.posted, lost = atomic_load(&team.given_up);
    int64_t won = won_by_team(took, atomic_load(&team.worked), atomic_load(&team.gone));
    note_won(kind, lost ? -lost : won);
    unlock_mutex(&in_use);
}

/* The caller of a brief job waits at its first barrier as long as it has patience. If some have not
 * come by then, and all who have are at the barrier, the job is given up: returns 0. */
static int come_together(fl_team *t, unsigned phase) {
    int64_t began = now_ns(), until = t->current.posted + t->current.patience;
    while (!spin_for(&t->phase, 0, phase, until)) {
        lock_mutex(&t->mutex);
        int absent = t->current.threads - t->present;
        int give_up = absent > 0 && atomic_load(&t->arrived) == t->present;
        if (give_up) {
            close_job((unsigned)absent);
            atomic_store(&t->given_up, now_ns() - t->current.posted);
            atomic_fetch_add(&t->phase, 1);
            wake_all(&t->met);
        }
        unlock_mutex(&t->mutex);
        if (give_up) return 0;
        if (!absent) break;
        until = now_ns() + WAIT;
    }
    atomic_fetch_sub(&t->worked, now_ns() - began); /* it span */
    return 1;
}

int fl_barrier(fl_team *t) {
    if (!t) return 0;
    unsigned phase = atomic_load(&t->phase);
    if (atomic_fetch_add(&t->arrived, 1) == t->current.threads - 1) {
        atomic_store(&t->arrived, 0);
        atomic_fetch_add(&t->phase, 1);
        wake_sleepers();
        return 0;
    }
    if (!my_number && t->current.patience && phase == t->first_phase && !come_together(t, phase))
        return 1;
    wait_for(&t->phase, 0, phase);
    return phase == t->first_phase && atomic_load(&t->given_up) > 0;
}

/* Every threads-th piece. */
static void run_pieces(int threads, int pieces, fl_piece run, void *ctx) {
    uint64_t state = fl_flush_denormals();
    for (int i = 0; i < pieces; i += threads) run(ctx, i, pieces);
    fl_restore_denormals(state);
}

/* Lays the workers' pieces on their desks. */
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
    int64_t waited = 0;
    for (int i = pieces - 1; i > 0; i--)
        if (i % threads) take_piece(i);
    for (int i = 1; i < pieces; i++) waited += wait_for(&team.desks[i].state, 1, DONE);
    note_won(BRIEF_JOB, -waited);
}

/* Workers are woken where such jobs follow one another so soon that they stay awake in between. */
void fl_share(int threads, int pieces, fl_piece run, void *ctx) {
    if (threads < 2 || alone(BRIEF_JOB) || !try_mutex(&in_use)) {
        run_pieces(1, 1, run, ctx);
        return;
    }
    threads = hire(threads);
    int asleep = atomic_load_explicit(&team.asleep, memory_order_relaxed);
    int wake = asleep && now_ns() - team.missed < OFTEN;
    if (wake) post((job){.core = this_core()});
    if (wake || asleep < team.workers) {
        open_desks(threads, pieces, run, ctx);
        run_pieces(threads, pieces, run, ctx);
        clear_desks(threads, pieces);
    } else {
        run_pieces(1, 1, run, ctx);
    }
    if (asleep) team.missed = now_ns();
    unlock_mutex(&in_use);
}
