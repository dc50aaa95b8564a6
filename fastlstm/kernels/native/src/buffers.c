/* Large blocks that training asks for again every step.
 *
 * A fresh block of tens of megabytes costs a page fault every 4 KiB, more than the gate maths on
 * it; on a virtual machine that gave the memory back to its host, ten times as much. So freed
 * blocks are kept, whatever shapes there were, as long as all blocks, in use and kept, take no
 * more than a quarter above the most that was in use at a time. Of training on texts of all
 * lengths that leaves no fresh block after the first few dozen steps. Those freed longest ago give
 * way first, and the most in use is forgotten, by half in some 45,000 blocks: memory that one
 * large call needed is given back while smaller ones go on.
 *
 * A block is reused for at least an eighth of its size, as what is kept for backward may stay in
 * use for long.
 */
#include "system.h"

#include <string.h>

#include "fastlstm.h"

enum { KEEP_BLOCKS = 32, HEADER = 64, SMALL = 1 << 16 };
enum { HUGE_PAGE = 2 << 20, HUGE_FROM = 512 << 10 };
#define ALWAYS ((size_t)256 << 20) /* bytes that may be in use and kept however few are needed */

typedef struct {
    void *block;
    size_t size;
} kept_block;

static mutex lock = NEW_MUTEX;
static kept_block kept[KEEP_BLOCKS]; /* in the order in which they were freed */
static int kept_count;
static size_t kept_bytes, bytes_in_use, most_in_use;

static size_t *size_of(void *block) { return (size_t *)(void *)((char *)block - HEADER); }
static void release(void *block) { free_aligned((char *)block - HEADER); }

#ifdef HAS_FORK
/* A child forked while another thread holds the lock must not find it locked. */
static void hold(void) { lock_mutex(&lock); }
static void let_go(void) { unlock_mutex(&lock); }
__attribute__((constructor)) static void watch_forks(void) { pthread_atfork(hold, let_go, let_go); }
#endif

/* Takes a block out of those kept. */
static void *remove_kept(int i) {
    void *block = kept[i].block;
    kept_bytes -= kept[i].size;
    kept_count--;
    memmove(kept + i, kept + i + 1, (size_t)(kept_count - i) * sizeof *kept);
    return block;
}

/* The smallest kept block that fits, or NULL. */
static void *find_kept(size_t bytes) {
    int best = -1;
    for (int i = 0; i < kept_count; i++)
        if (kept[i].size >= bytes && kept[i].size / 8 <= bytes &&
            (best < 0 || kept[i].size < kept[best].size))
            best = i;
    return best >= 0 ? remove_kept(best) : NULL;
}

/* Gives back what is kept beyond the bound. */
static void shrink(void) {
    size_t bound = most_in_use + most_in_use / 4;
    if (bound < ALWAYS) bound = ALWAYS;
    while (kept_count && bytes_in_use + kept_bytes > bound) release(remove_kept(0));
}

/* A kept block of at least that many bytes; if there is none, room for a fresh one. */
static void *take(size_t bytes, size_t fresh) {
    lock_mutex(&lock);
    void *block = find_kept(bytes);
    bytes_in_use += block ? *size_of(block) : fresh;
    if (most_in_use < bytes_in_use) most_in_use = bytes_in_use;
    shrink();
    unlock_mutex(&lock);
    return block;
}

/* A block of that size is no longer in use; it is kept, or NULL if it could not be had. */
static void put_back(void *block, size_t size) {
    lock_mutex(&lock);
    bytes_in_use -= size;
    most_in_use -= most_in_use >> 16;
    if (kept_count == KEEP_BLOCKS) release(remove_kept(0));
    if (block) {
        kept[kept_count++] = (kept_block){block, size};
        kept_bytes += size;
    }
    shrink();
    unlock_mutex(&lock);
}

size_t fl_block_bytes(size_t bytes) {
    size_t unit = bytes < HUGE_FROM ? HEADER : HUGE_PAGE;
    return bytes ? (bytes + HEADER + unit - 1) / unit * unit : 0;
}

/* A large block lies in huge pages where the system has them: a tile walks four panels at once,
 * and with pages of 4 KiB every other cache line of the recurrent weight would also miss the TLB.
 */
static char *new_block(size_t whole) {
    if (whole < HUGE_PAGE) return new_aligned(HEADER, whole);
    char *raw = new_aligned(HUGE_PAGE, whole);
    if (raw) ask_for_huge_pages(raw, whole);
    return raw;
}

void *fl_alloc(size_t bytes) {
    if (bytes > SIZE_MAX / 2) return NULL;
    size_t whole = fl_block_bytes(bytes ? bytes : 1), size = whole - HEADER;
    void *block = size > SMALL ? take(bytes, size) : NULL;
    if (block) return block;
    char *raw = new_block(whole);
    if (!raw) {
        if (size > SMALL) put_back(NULL, size);
        return NULL;
    }
    block = raw + HEADER;
    *size_of(block) = size;
    return block;
}

void fl_free(void *block) {
    if (!block) return;
    size_t size = *size_of(block);
    if (size > SMALL)
        put_back(block, size);
    else
        release(block);
}

void fl_trim(void) {
    lock_mutex(&lock);
    while (kept_count) release(remove_kept(kept_count - 1));
    most_in_use = bytes_in_use;
    unlock_mutex(&lock);
}

size_t fl_cached_bytes(void) {
    lock_mutex(&lock);
    size_t bytes = kept_bytes;
    unlock_mutex(&lock);
    return bytes;
}
