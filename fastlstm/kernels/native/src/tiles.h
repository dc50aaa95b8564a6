/* Tile registers: 16 rows of 64 bytes, of which a processor with AMX multiplies two in one
 * instruction.
 *
 * A row of A has 16 words there, and what each of them meets is a row of B. Of bfloat16 the
 * products of a word's first numbers are summed apart from those of the second ones, along the 16
 * words from zero, and both sums are then added to C: so sums depend on where blocks of K begin.
 * They begin every 16 words from the first on, in every product.
 *
 * Each thread opens them before its products and closes them after: an open register file is saved
 * wherever threads change.
 *
 * FL_EMULATED: the same in plain C, for tests where no processor has them.
 */
#ifndef FL_TILES_H
#define FL_TILES_H

#include "operand.h"

#ifndef FL_AMX
FL_INLINE void open_tiles(void) {}
FL_INLINE void close_tiles(void) {}
#else

enum { TILE_ROW = 16 * (int)sizeof(real) }; /* bytes of a row */

#ifdef FL_EMULATED

typedef struct {
    uint32_t word[ROW_BLOCK][WORD_BLOCK];
} tile_register;
static _Thread_local tile_register tile_registers[8];

FL_INLINE void open_tiles(void) {}
FL_INLINE void close_tiles(void) {}
#define TILE_ZERO(T) memset(&tile_registers[T], 0, sizeof(tile_register))
#define TILE_LOAD(T, FROM, STEP)                                                                   \
    for (int r = 0; r < ROW_BLOCK; r++)                                                            \
    memcpy(tile_registers[T].word[r], (const char *)(FROM) + r * (STEP), TILE_ROW)
#define TILE_STORE(T, TO, STEP)                                                                    \
    for (int r = 0; r < ROW_BLOCK; r++)                                                            \
    memcpy((char *)(TO) + r * (STEP), tile_registers[T].word[r], TILE_ROW)
#define TILE_DOT(C, A, B) emulate_dot(&tile_registers[C], &tile_registers[A], &tile_registers[B])

#if FL_WORD == 2
FL_INLINE float number_of(uint32_t bits) {
    float number;
    memcpy(&number, &bits, sizeof number);
    return number;
}

/* Denormals are flushed to zero, as they are while a kernel runs. */
FL_INLINE void emulate_word(uint32_t *c, const uint32_t *a, const tile_register *b, int n) {
    float even = 0, odd = 0, sum = number_of(*c);
    for (int k = 0; k < WORD_BLOCK; k++) {
        even = fmaf(number_of(a[k] << 16), number_of(b->word[k][n] << 16), even);
        odd = fmaf(number_of(a[k] & 0xffff0000u), number_of(b->word[k][n] & 0xffff0000u), odd);
    }
    sum += even + odd;
    memcpy(c, &sum, sizeof sum);
}
#else
FL_INLINE void emulate_word(uint32_t *c, const uint32_t *a, const tile_register *b, int n) {
    for (int k = 0; k < WORD_BLOCK; k++)
        for (int i = 0; i < 32; i += 8)
            *c += (a[k] >> i & 255) * (uint32_t)(int8_t)(b->word[k][n] >> i & 255);
}
#endif

static void emulate_dot(tile_register *c, const tile_register *a, const tile_register *b) {
    for (int r = 0; r < ROW_BLOCK; r++)
        for (int n = 0; n < WORD_BLOCK; n++) emulate_word(&c->word[r][n], a->word[r], b, n);
}

#else

/* For _tile_loadconfig: eight full registers. */
typedef struct {
    uint8_t palette, start, reserved[14];
    uint16_t bytes[16];
    uint8_t rows[16];
} tile_shapes;
static const tile_shapes ALL_FULL = {
    .palette = 1,
    .bytes = {TILE_ROW, TILE_ROW, TILE_ROW, TILE_ROW, TILE_ROW, TILE_ROW, TILE_ROW, TILE_ROW},
    .rows = {ROW_BLOCK, ROW_BLOCK, ROW_BLOCK, ROW_BLOCK, ROW_BLOCK, ROW_BLOCK, ROW_BLOCK,
             ROW_BLOCK}};

FL_INLINE void open_tiles(void) { _tile_loadconfig(&ALL_FULL); }
FL_INLINE void close_tiles(void) { _tile_release(); }

#define TILE_ZERO(T) _tile_zero(T)
#define TILE_LOAD(T, FROM, STEP) _tile_loadd(T, FROM, STEP)
#define TILE_STORE(T, TO, STEP) _tile_stored(T, TO, STEP)
#if FL_WORD == 2
#define TILE_DOT(C, A, B) _tile_dpbf16ps(C, A, B)
#else
#define TILE_DOT(C, A, B) _tile_dpbusd(C, A, B)
#endif

#endif

/* Of 16 rows x V vectors in registers 0 to V - 1: from zero, or from sums [16][PANEL]. */
FL_INLINE void begin_tiles(const int V, int from_zero, const real *sums) {
    const int64_t row = 4 * TILE_ROW;
    __asm__ volatile("" ::: "memory"); /* loads of tiles do not say that they read */
    if (from_zero) {
        TILE_ZERO(0);
        TILE_ZERO(1);
        TILE_ZERO(2);
        TILE_ZERO(3);
        return;
    }
    TILE_LOAD(0, sums, row);
    if (V > 1) TILE_LOAD(1, sums + VL, row);
    if (V > 2) TILE_LOAD(2, sums + 2 * VL, row);
    if (V > 3) TILE_LOAD(3, sums + 3 * VL, row);
}

/* Adds the products of 16 words: of rows of A that are a_step words apart, and a panel of B. */
FL_INLINE void add_tiles(const int V, const real *a, int64_t a_step, const real *b) {
    TILE_LOAD(4, a, a_step * (int64_t)sizeof(real));
    TILE_LOAD(5, b, V * TILE_ROW);
    TILE_DOT(0, 4, 5);
    if (V > 1) {
        TILE_LOAD(6, b + VL, V * TILE_ROW);
        TILE_DOT(1, 4, 6);
    }
    if (V > 2) {
        TILE_LOAD(7, b + 2 * VL, V * TILE_ROW);
        TILE_DOT(2, 4, 7);
    }
    if (V > 3) {
        TILE_LOAD(5, b + 3 * VL, V * TILE_ROW);
        TILE_DOT(3, 4, 5);
    }
}

FL_INLINE void end_tiles(const int V, real *sums) {
    const int64_t row = 4 * TILE_ROW;
    TILE_STORE(0, sums, row);
    if (V > 1) TILE_STORE(1, sums + VL, row);
    if (V > 2) TILE_STORE(2, sums + 2 * VL, row);
    if (V > 3) TILE_STORE(3, sums + 3 * VL, row);
}

#endif
#endif
