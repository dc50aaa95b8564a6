/* Sparse rows and logistic regressions on them, in the instruction set that every machine has: as
 * good as all of the time goes into memory.
 *
 *     F features          N rows          K classes          M entries of all rows
 */
#ifndef FL_SPARSE_H
#define FL_SPARSE_H

#include <stdint.h>

typedef struct fl_sparse {
    int64_t N;
    const int64_t *start;  /* [N+1] of each row among the entries */
    const int32_t *column; /* [M]                                 */
    const float *value;    /* [M]                                 */
} fl_sparse;

/* Sorted keys and where those begin that start with the same bits: as the keys are hashes, there
 * are but a few of each. */
typedef struct fl_keys {
    int64_t F;
    const uint64_t *key;   /* [F] rising           */
    int bits;              /* the first of a key   */
    const uint32_t *first; /* [2^bits + 1]         */
} fl_keys;

void fl_index_keys(const fl_keys *t, uint32_t *first);
void fl_find_keys(const fl_keys *t, int64_t M, const uint64_t *key, int32_t *column);

/* How often each feature is named in a row: writes rows of at most as many entries, and where each
 * starts. `seen` is [F], zeros. */
void fl_collapse(const fl_sparse *named, int32_t *seen, int64_t *start, int32_t *column,
                 float *count);

/* y [N,K] = rows times w [F,K]. */
void fl_sparse_product(const fl_sparse *x, int64_t K, const float *w, double *y);

typedef struct fl_logistic {
    fl_sparse x;
    int64_t F, classes, problems;
    const int64_t *target; /* [N] */
    const double *cost;    /* [N] */
    const double *doubt;   /* [N] */
    double tolerance;
    int64_t max_epochs;
    uint64_t seed;
    float *weights;    /* [problems,F] */
    double *intercept; /* [problems]   */
    int64_t *epochs;   /* [problems]   */
    int n_threads;
    int (*stop)(void);
    const volatile int32_t *ended; /* [1] another thread writes it to end the call; or NULL */
} fl_logistic;

/* 0, or -1 if memory ran out, or FL_STOPPED. */
int fl_fit_logistic(const fl_logistic *p);

#endif
