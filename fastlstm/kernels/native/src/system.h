/* What the kernels ask of the operating system, POSIX or Windows: locks, threads, clocks, blocks of
 * memory. To be included before any other header. */
#ifndef FL_SYSTEM_H
#define FL_SYSTEM_H

#ifdef _WIN32
#define WIN32_LEAN_AND_MEAN
#include <malloc.h>
#include <windows.h>
#else
#define _GNU_SOURCE /* sched_getcpu, MADV_HUGEPAGE */
#include <pthread.h>
#include <sched.h>
#include <sys/mman.h>
#include <time.h>
#endif
#include <stdint.h>
#include <stdlib.h>

/* A hint to the processor that the thread spins. */
static inline void pause_briefly(void) {
#if defined(__x86_64__)
    __builtin_ia32_pause();
#elif defined(__aarch64__)
    __asm__ volatile("yield");
#endif
}

#ifdef _WIN32

typedef SRWLOCK mutex;
#define NEW_MUTEX SRWLOCK_INIT
static inline void lock_mutex(mutex *m) { AcquireSRWLockExclusive(m); }
static inline int try_mutex(mutex *m) { return TryAcquireSRWLockExclusive(m); }
static inline void unlock_mutex(mutex *m) { ReleaseSRWLockExclusive(m); }

typedef CONDITION_VARIABLE condition;
#define NEW_CONDITION CONDITION_VARIABLE_INIT
static inline void await(condition *c, mutex *m) { SleepConditionVariableSRW(c, m, INFINITE, 0); }
static inline void wake_all(condition *c) { WakeAllConditionVariable(c); }

/* THREAD name(void *argument) is what a thread runs. */
#define THREAD static DWORD WINAPI
static inline int start_thread(LPTHREAD_START_ROUTINE run, void *argument) {
    HANDLE thread = CreateThread(NULL, 0, run, argument, 0, NULL);
    return thread && CloseHandle(thread);
}
static inline void yield_core(void) { SwitchToThread(); }
static inline int this_core(void) { return (int)GetCurrentProcessorNumber(); }

static inline int64_t now_ns(void) {
    const int64_t second = 1000000000;
    LARGE_INTEGER ticks, frequency;
    QueryPerformanceCounter(&ticks);
    QueryPerformanceFrequency(&frequency);
    int64_t seconds = ticks.QuadPart / frequency.QuadPart,
            rest = ticks.QuadPart % frequency.QuadPart;
    return seconds * second + rest * second / frequency.QuadPart;
}

/* Windows counts a thread's time in steps of 15 ms, longer than most jobs: threads are taken to
 * have had a core all the time. */
static inline int64_t worked_ns(void) { return now_ns(); }

static inline void *new_aligned(size_t alignment, size_t bytes) {
    return _aligned_malloc(bytes, alignment);
}
static inline void free_aligned(void *block) { _aligned_free(block); }
static inline void ask_for_huge_pages(void *block, size_t bytes) { (void)block, (void)bytes; }

#else

#define HAS_FORK

typedef pthread_mutex_t mutex;
#define NEW_MUTEX PTHREAD_MUTEX_INITIALIZER
static inline void lock_mutex(mutex *m) { pthread_mutex_lock(m); }
static inline int try_mutex(mutex *m) { return !pthread_mutex_trylock(m); }
static inline void unlock_mutex(mutex *m) { pthread_mutex_unlock(m); }

typedef pthread_cond_t condition;
#define NEW_CONDITION PTHREAD_COND_INITIALIZER
static inline void await(condition *c, mutex *m) { pthread_cond_wait(c, m); }
static inline void wake_all(condition *c) { pthread_cond_broadcast(c); }

/* THREAD name(void *argument) is what a thread runs. */
#define THREAD static void *
/* Starts a thread that nobody waits for; 0 if the system refuses. */
static inline int start_thread(void *(*run)(void *), void *argument) {
    pthread_t thread;
    return !pthread_create(&thread, NULL, run, argument) && !pthread_detach(thread);
}
static inline void yield_core(void) { sched_yield(); }

/* The core that a thread runs on, or -1 where nobody tells. */
static inline int this_core(void) {
#ifdef __linux__
    return sched_getcpu();
#else
    return -1;
#endif
}

static inline int64_t clock_ns(clockid_t clock) {
    struct timespec now;
    clock_gettime(clock, &now);
    return (int64_t)now.tv_sec * 1000000000 + now.tv_nsec;
}
static inline int64_t now_ns(void) { return clock_ns(CLOCK_MONOTONIC); }

/* How long the thread has had a core. */
static inline int64_t worked_ns(void) { return clock_ns(CLOCK_THREAD_CPUTIME_ID); }

/* Not C11's aligned_alloc, which macOS has from 10.15 on only. */
static inline void *new_aligned(size_t alignment, size_t bytes) {
    void *block;
    return posix_memalign(&block, alignment, bytes) ? NULL : block;
}
static inline void free_aligned(void *block) { free(block); }
static inline void ask_for_huge_pages(void *block, size_t bytes) {
#ifdef MADV_HUGEPAGE
    madvise(block, bytes, MADV_HUGEPAGE);
#else
    (void)block, (void)bytes;
#endif
}

#endif
#endif
