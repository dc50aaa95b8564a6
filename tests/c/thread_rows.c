/* Which rows share.h gives to a thread, for tests to ask. */
#define FL_REAL float
#define FL_F64 0
#define FL_BYTES 16
#define FL_ISA "base"
#include "share.h"

/* How many of the first n rows are the thread's in one of its turns; `found` gets all that are.
 * sizes: rows and steps; who: thread, threads, turn and turns. */
int64_t rows_of(const int64_t sizes[2], const int64_t *n_at, const int64_t who[4], int64_t n,
                int64_t *found) {
    fl_rows rows = {.N = sizes[0], .T = sizes[1], .n_at = n_at};
    share s = rows_of_thread(&rows, (int)who[0], (int)who[1]);
    s.turn = who[2], s.turns = who[3];
    for (int64_t i = 0; i < share_rows(&s, rows.N); i++) found[i] = row_of(&s, i);
    return share_rows(&s, n);
}
