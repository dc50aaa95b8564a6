/* Large blocks that training asks for again every step.
 *
 * A fresh block of tens of megabytes costs a page fault every 4 KiB, more than the gate maths on
 * it. So freed blocks are kept, at most KEEP_BYTES in all, whatever shapes there were; the
 * smallest give way first. A block is reused for at least a quarter of its size.
 */
#define _DEFAULT_SOURCE
#include <pthread.h>
#include <stdlib.h>
#include <sys/mman.h>

#include "fastlstm.h"

enum { KEEP_BLOCKS = 32, HEADER = 64, SMALL = 1 << 16 };
enum { HUGE_PAGE = 2 << 20, HUGE_FROM = 512 << 10 };
#define KEEP_BYTES ((size_t)256 << 20)

typedef struct {
    void *block;
    size_t size;
} kept_block;

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static kept_block kept[KEEP_BLOCKS];
static size_t kept_bytes;

static size_t *size_of(void *block) { return (size_t *)(void *)((char *)block - HEADER); }
static void release(void *block) { free((char *)block - HEADER); }

/* A child forked while another thread holds the lock must not find it locked. */
static void hold(void) { pthread_mutex_lock(&lock); }
static void let_go(void) { pthread_mutex_unlock(&lock); }
__attribute__((constructor)) static void watch_forks(void) { pthread_atfork(hold, let_go, let_go); }

/* The smallest kept block that fits, or NULL. */
static void *take_kept(size_t bytes) {
    void *found = NULL;
    int best = -1;
    pthread_mutex_lock(&lock);
    for (int i = 0; i < KEEP_BLOCKS; i++)
        if (kept[i].block && kept[i].size >= bytes && kept[i].size / 4 <= bytes &&
            (best < 0 || kept[i].size < kept[best].size))
            best = i;
    if (best >= 0) {
        found = kept[best].block;
        kept_bytes -= kept[best].size;
        kept[best] = (kept_block){NULL, 0};
    }
    pthread_mutex_unlock(&lock);
    return found;
}

size_t fl_block_bytes(size_t bytes) {
    size_t unit = bytes < HUGE_FROM ? HEADER : HUGE_PAGE;
    return bytes ? (bytes + HEADER + unit - 1) / unit * unit : 0;
}

/* A large block lies in huge pages where the system has them: a tile walks four panels at once,
 * and with pages of 4 KiB every other cache line of the recurrent weight would also miss the TLB.
 */
static char *new_block(size_t whole) {
    if (whole < HUGE_PAGE) return aligned_alloc(HEADER, whole);
    char *raw = aligned_alloc(HUGE_PAGE, whole);
#ifdef MADV_HUGEPAGE
    if (raw) madvise(raw, whole, MADV_HUGEPAGE);
#endif
    return raw;
}

void *fl_alloc(size_t bytes) {
    if (bytes > SIZE_MAX / 2) return NULL;
    void *block = bytes > SMALL ? take_kept(bytes) : NULL;
    if (block) return block;
    size_t whole = fl_block_bytes(bytes ? bytes : 1);
    char *raw = new_block(whole);
    if (!raw) return NULL;
    block = raw + HEADER;
    *size_of(block) = whole - HEADER;
    return block;
}

/* Where to keep a block: an empty slot, or that of the smallest block, or -1. */
static int slot_for(size_t size) {
    int slot = 0;
    for (int i = 0; i < KEEP_BLOCKS; i++)
        if (kept[i].size < kept[slot].size) slot = i; /* an empty one has size 0 */
    if (kept[slot].size > size || kept_bytes - kept[slot].size + size > KEEP_BYTES) return -1;
    return slot;
}

void fl_free(void *block) {
    if (!block) return;
    size_t size = *size_of(block);
    if (size > SMALL) {
        pthread_mutex_lock(&lock);
        int slot = slot_for(size);
        if (slot >= 0) {
            void *out = kept[slot].block;
            kept_bytes += size - kept[slot].size;
            kept[slot] = (kept_block){block, size};
            block = out;
        }
        pthread_mutex_unlock(&lock);
    }
    if (block) release(block);
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
