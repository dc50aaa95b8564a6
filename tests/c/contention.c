/* The rules of contention.h for tests to call; times are the tests' own. */
#include "contention.h"

static contention others;

void forget(void) {
    atomic_store(&others.until, 0);
    others.pause = 0;
}

int64_t lost(int64_t took, int64_t worked, int64_t gone) {
    return lost_by_team(took, worked, gone);
}

int64_t note(int64_t now, int64_t lost) {
    note_loss(&others, now, lost);
    return others.pause;
}

int pausing(int64_t now) { return is_pausing(&others, now); }
