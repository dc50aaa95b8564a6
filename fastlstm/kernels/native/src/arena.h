/* Parts of one block of memory, taken one after the other: of NULL to learn the size. */
#ifndef FL_ARENA_H
#define FL_ARENA_H

#include "vec.h"

typedef struct {
    real *base;
    int64_t size;
} arena;

FL_INLINE int64_t round_up(int64_t n) { return (n + VL - 1) / VL * VL; }

FL_INLINE real *take(arena *m, int64_t n) {
    real *at = m->base ? m->base + m->size : NULL;
    m->size += round_up(n);
    return at;
}

#endif
