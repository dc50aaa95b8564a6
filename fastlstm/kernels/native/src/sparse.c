/* Keys to numbers of features, and sums of sparse rows. */
#include "sparse.h"

/* The first bits of a key, as a number. */
static inline int64_t head(const fl_keys *t, uint64_t key) {
    return t->bits ? (int64_t)(key >> (64 - t->bits)) : 0;
}

void fl_index_keys(const fl_keys *t, uint32_t *first) {
    int64_t heads = (int64_t)1 << t->bits, i = 0;
    for (int64_t h = 0; h <= heads; h++) {
        while (i < t->F && head(t, t->key[i]) < h) i++;
        first[h] = (uint32_t)i;
    }
}

static int32_t find(const fl_keys *t, uint64_t key) {
    int64_t h = head(t, key), low = t->first[h], high = t->first[h + 1];
    while (low < high) { /* in few steps also where somebody chose the keys */
        int64_t middle = low + (high - low) / 2;
        if (t->key[middle] < key)
            low = middle + 1;
        else
            high = middle;
    }
    return low < t->F && t->key[low] == key ? (int32_t)low : -1;
}

/* Each key waits for memory twice: ask for it some keys before. */
enum { AHEAD = 16 };

void fl_find_keys(const fl_keys *t, int64_t M, const uint64_t *key, int32_t *column) {
    for (int64_t m = 0; m < M; m++) {
        if (m + 2 * AHEAD < M) __builtin_prefetch(t->first + head(t, key[m + 2 * AHEAD]));
        if (m + AHEAD < M) __builtin_prefetch(t->key + t->first[head(t, key[m + AHEAD])]);
        column[m] = find(t, key[m]);
    }
}

void fl_collapse(const fl_sparse *named, int32_t *seen, int64_t *start, int32_t *column,
                 float *count) {
    int64_t end = 0;
    for (int64_t n = 0; n < named->N; n++) {
        int64_t begin = start[n] = end;
        for (int64_t m = named->start[n]; m < named->start[n + 1]; m++) {
            int32_t f = named->column[m];
            if (f < 0) continue;
            if (seen[f] > begin) { /* one more than its place among the entries */
                count[seen[f] - 1]++;
                continue;
            }
            column[end] = f;
            count[end] = 1;
            seen[f] = (int32_t)++end;
        }
    }
    start[named->N] = end;
}

void fl_sparse_product(const fl_sparse *x, int64_t K, const float *w, double *y) {
    for (int64_t n = 0; n < x->N; n++) {
        double *sum = y + n * K;
        for (int64_t k = 0; k < K; k++) sum[k] = 0;
        for (int64_t m = x->start[n]; m < x->start[n + 1]; m++) {
            const float *row = w + x->column[m] * K;
            for (int64_t k = 0; k < K; k++) sum[k] += (double)x->value[m] * row[k];
        }
    }
}
