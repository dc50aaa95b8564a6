/* The rules of contention.h for tests to call; times are the tests' own. */
#include "contention.h"

static contention others;

void forget(void) {
    atomic_store(&others.until, 0);
    others.pause = others.won = 0;
}

int64_t won(int64_t took, int64_t worked, int64_t gone) { return won_by_team(took, worked, gone); }

int64_t win(int64_t won) {
    note_win(&others, won);
    return others.won;
}

/* The pause that begins, 0 if none does. */
int64_t note(int64_t now, int64_t lost) { return note_loss(&others, now, lost) ? others.pause : 0; }

int pausing(int64_t now) { return is_pausing(&others, now); }
