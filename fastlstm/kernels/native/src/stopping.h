/* Whether a call is to end early. The calling thread asks now and then, as Python's signals are
 * handled there; rows are counted in the order in which they are worked on, and all threads, far
 * apart as they may be, leave after the same row. */
#ifndef FL_STOPPING_H
#define FL_STOPPING_H

#include <stdatomic.h>

#include "fastlstm.h"
#include "tiles.h"

typedef struct {
    int (*ask)(void); /* NULL: never */
    int64_t every;    /* rows from one question to the next */
    uint64_t floats;  /* the caller's float state, for the asking */
    _Atomic int64_t after;
} stopping;

/* Operations from one question to the next, some 50 to 100 ms: a thread that runs Python meanwhile
 * may let one wait for 5 ms. */
#ifndef FL_ASK /* tests have another */
#define FL_ASK 10000000000
#endif

static inline stopping stopping_of(int (*ask)(void), int64_t row_flops) {
    return (stopping){ask, FL_ASK / row_flops + 1, fl_float_state(), INT64_MAX};
}

/* Between rows `from` and `to` of all. */
static inline void ask_to_stop(stopping *s, int thread, int64_t from, int64_t to) {
    if (thread || !s->ask || from / s->every == to / s->every) return;
    uint64_t floats = fl_float_state();
    close_tiles(); /* what runs meanwhile may use them too */
    fl_restore_denormals(s->floats);
    if (fl_ask(s->ask)) atomic_store(&s->after, to);
    fl_restore_denormals(floats);
    open_tiles();
}

static inline int is_stopped(stopping *s, int64_t at) {
    return s->ask && atomic_load(&s->after) <= at;
}

/* At whichever row. */
static inline int was_stopped(stopping *s) { return is_stopped(s, INT64_MAX - 1); }

#endif
