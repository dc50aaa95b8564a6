/* A turn that one thread at a time has. Python's lock does not see to that: it is given away during
 * a call, and a free-threaded Python has none. To begin with, it is to be given before it is taken.
 */
#ifndef FL_TURN_H
#define FL_TURN_H

#include <stdatomic.h>

typedef struct {
    atomic_int free;
} fl_turn;

/* Whether it was there; the taker has it now. */
static inline int fl_take_turn(fl_turn *t) {
    return atomic_exchange_explicit(&t->free, 0, memory_order_acquire);
}

static inline void fl_give_turn(fl_turn *t) {
    atomic_store_explicit(&t->free, 1, memory_order_release);
}

#endif
