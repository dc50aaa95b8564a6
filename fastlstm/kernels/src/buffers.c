/* Large blocks that training asks for again every step.
 *
 * A fresh block of tens of megabytes costs a page fault every 4 KiB, more than the gate maths on
 * it. So a few freed blocks are kept, at most KEEP_BYTES in all; what does not fit goes back. A
 * block is reused only for at least half its size, so shapes that vary do not pile up memory.
 */
#define _POSIX_C_SOURCE 200809L
#include <pthread.h>
#include <stdlib.h>

#include "fastlstm.h"

enum { KEEP_BLOCKS = 8, HEADER = 64 };
#define KEEP_BYTES ((size_t)512 << 20)

typedef struct {
    void *block;
    size_t size;
} kept_block;

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static kept_block kept[KEEP_BLOCKS];
static size_t kept_bytes;

static size_t *size_of(void *block) { return (size_t *)(void *)((char *)block - HEADER); }
static void release(void *block) { free((char *)block - HEADER); }

void *fl_alloc(size_t bytes) {
    void *found = NULL;
    int best = -1;
    bytes = (bytes + HEADER - 1) / HEADER * HEADER;
    pthread_mutex_lock(&lock);
    for (int i = 0; i < KEEP_BLOCKS; i++)
        if (kept[i].block && kept[i].size >= bytes && kept[i].size / 2 <= bytes &&
            (best < 0 || kept[i].size < kept[best].size))
            best = i;
    if (best >= 0) {
        found = kept[best].block;
        kept_bytes -= kept[best].size;
        kept[best] = (kept_block){NULL, 0};
    }
    pthread_mutex_unlock(&lock);
    if (found) return found;
    if (bytes > SIZE_MAX / 2) return NULL;
    char *raw = aligned_alloc(HEADER, bytes + HEADER);
    if (!raw) return NULL;
    found = raw + HEADER;
    *size_of(found) = bytes;
    return found;
}

void fl_free(void *block) {
    if (!block) return;
    size_t size = *size_of(block);
    pthread_mutex_lock(&lock);
    int slot = -1;
    for (int i = 0; i < KEEP_BLOCKS && slot < 0; i++)
        if (!kept[i].block) slot = i;
    if (slot < 0) { /* full: the smallest gives way */
        slot = 0;
        for (int i = 1; i < KEEP_BLOCKS; i++)
            if (kept[i].size < kept[slot].size) slot = i;
    }
    void *out = block;
    if (kept_bytes - kept[slot].size + size <= KEEP_BYTES && kept[slot].size <= size) {
        out = kept[slot].block;
        kept_bytes += size - kept[slot].size;
        kept[slot] = (kept_block){block, size};
    }
    pthread_mutex_unlock(&lock);
    if (out) release(out);
}

void fl_trim(void) {
    pthread_mutex_lock(&lock);
    for (int i = 0; i < KEEP_BLOCKS; i++) {
        if (kept[i].block) release(kept[i].block);
        kept[i] = (kept_block){NULL, 0};
    }
    kept_bytes = 0;
    pthread_mutex_unlock(&lock);
}

size_t fl_cached_bytes(void) {
    pthread_mutex_lock(&lock);
    size_t bytes = kept_bytes;
    pthread_mutex_unlock(&lock);
    return bytes;
}
