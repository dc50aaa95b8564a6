/* What a team knows of other programs that want its cores, from what its jobs lost to them.
 *
 * Whoever tries a team beside a busy neighbour may lose milliseconds; not to try where cores are
 * free costs half the speed. So what was lost is followed by PAUSE times as long without a try:
 * losses then take a sixteenth of the time at most. Where each try loses, pauses grow. But none is
 * longer than a minute: a process that was stopped for an hour has lost that to no neighbour.
 *
 * A host that takes a core from us for a moment, now and then, is no neighbour either: as long as
 * teams win more than they lose, they are to go on. So what they won pays for losses that follow.
 * It counts up to CREDIT, which is then all that a new neighbour costs before it is noticed.
 * Times are in ns and come from the caller: there is no clock in here. */
#ifndef FL_CONTENTION_H
#define FL_CONTENTION_H

#include <stdatomic.h>
#include <stdint.h>

typedef struct {
    _Atomic int64_t until; /* when the pause ends; 0: nothing was ever lost */
    int64_t pause;
    int64_t won; /* and not lost again */
} contention;

enum { PAUSE = 16, LONGEST = 640000000 }; /* the longest that a pause grows to by itself */
static const int64_t MOST = 60000000000;  /* that any pause lasts */
enum { NOTICED = 20000 };                 /* without a core: less is no sign of anybody */
enum { CREDIT = 20000000 };               /* the most that a team may lose again */

/* What a job won by its team; below 0: lost. Its threads were `gone` so long, ready to run but
 * without a core. On one thread it would have taken what they worked together; a team is to win an
 * eighth of that. */
static inline int64_t won_by_team(int64_t took, int64_t worked, int64_t gone) {
    int64_t won = worked - worked / 8 - took;
    return won > 0 || gone > NOTICED ? won : 0;
}

static inline int is_pausing(const contention *c, int64_t now) {
    return now < atomic_load_explicit(&c->until, memory_order_relaxed);
}

/* To be called by one thread at a time, as what follows. */
static inline void note_win(contention *c, int64_t won) {
    c->won = won < CREDIT - c->won ? c->won + won : CREDIT;
}

/* Returns whether a pause begins. */
static inline int note_loss(contention *c, int64_t now, int64_t lost) {
    int64_t paid = lost < c->won ? lost : c->won;
    c->won -= paid;
    lost -= paid;
    if (!lost) return 0;
    int64_t since = now - atomic_load_explicit(&c->until, memory_order_relaxed);
    int64_t grown = since < 4 * c->pause ? 2 * c->pause : 0;
    if (grown > LONGEST) grown = LONGEST;
    int64_t due = lost < MOST / PAUSE ? PAUSE * lost : MOST;
    c->pause = due > grown ? due : grown;
    atomic_store_explicit(&c->until, now + c->pause, memory_order_relaxed);
    return 1;
}

#endif
