/* The factors of the products: as they are, in bfloat16 or in 8 bits.
 *
 * They stand in words of the size of `real`, FL_WORD of them in each: of a row of A neighbours
 * along K, of B those of a column. A product then walks words as it walks numbers, and a lane of
 * vdot adds a word's products to its sum. Sums are in float, those of 8 bits in integers.
 *
 * bfloat16: rounded to nearest, ties to even; NaN stays NaN.
 * 8 bits: a row of A is q s with q = rint(a / s) in -127..127 and s = max(floor, |a|) / 127 of its
 *     own, stored as q + 128 with s behind its last word; a column of B likewise, q with a sign.
 * Its sums begin at -128 times the sum of q, which makes up for the 128. A NaN or an infinity makes
 *     s NaN, and so the row's products and no other's.
 */
#ifndef FL_OPERAND_H
#define FL_OPERAND_H

#include "vec.h"

#define FL_BACKWARD (FL_WORD < 4) /* in 8 bits there is no way back */

/* Behind the words of a row of A: its scale; of a panel of B: where sums begin, and the scales. */
enum { WORD = FL_WORD, ROW_TAIL = FL_WORD == 4, PANEL_TAIL = FL_WORD == 4 ? 2 : 0 };

/* Tile registers take 16 words of 16 rows of A at a time: zeros fill the last words. */
#ifdef FL_AMX
enum { WORD_BLOCK = 16, ROW_BLOCK = 16 };
#else
enum { WORD_BLOCK = 1, ROW_BLOCK = 1 };
#endif

/* Words of n numbers along K. */
FL_INLINE int64_t words(int64_t n) {
    return (n + WORD_BLOCK * WORD - 1) / (WORD_BLOCK * WORD) * WORD_BLOCK;
}

/* Room for n elements in an odd number of cache lines: rows of another size would meet in a few
 * sets of the cache. */
FL_INLINE int64_t odd_lines(int64_t n) {
    int64_t line = 64 / (int64_t)sizeof(real);
    return ((n + line - 1) / line | 1) * line;
}

/* From one row of A, rounded for a product, to the next; 0 where rows are taken as they are. */
FL_INLINE int64_t operand_step(int64_t K) { return WORD == 1 ? 0 : odd_lines(words(K) + ROW_TAIL); }

#if FL_WORD < 4 /* sums are of `real`: they start from C, and are it */
FL_INLINE vreal begin_sum(const real *start, const real *tail) {
    (void)tail;
    return vload(start);
}
FL_INLINE vreal column_scale(const real *tail, int64_t next) {
    (void)tail, (void)next;
    return (vreal){0};
}
FL_INLINE vreal row_scale(const real *tail) {
    (void)tail;
    return (vreal){0};
}
FL_INLINE vreal end_sum(vreal sum, const real *start, vreal column, vreal row) {
    (void)start, (void)column, (void)row;
    return sum;
}
#endif

/* Store the first n words. */
FL_INLINE void store_words(real *to, vreal v, int64_t n) { vstore_n(to, v, min64(n, VL)); }

#if FL_WORD == 1

FL_INLINE vreal vword(const real *word) { return vset1(*word); }
FL_INLINE vreal vdot(vreal a, vreal b, vreal sum) { return vfma(a, b, sum); }
FL_INLINE vreal word_of(vreal only, vreal none) {
    (void)none;
    return only;
}
FL_INLINE void write_operand(const real *row, int64_t K, real floor, real *to) {
    (void)row, (void)K, (void)floor, (void)to;
}

#else

typedef uint32_t vuint __attribute__((vector_size(FL_BYTES)));

/* The same word in all lanes, bit by bit. */
FL_INLINE vreal vword(const real *word) {
    int32_t bits;
    memcpy(&bits, word, sizeof bits);
    return (vreal)(bits - (vint){0});
}

/* Where number i of a row stands in memory: the first of a word is that of its lowest bits. */
#if __BYTE_ORDER__ == __ORDER_BIG_ENDIAN__
#define FL_PLACE(I) ((I) ^ (WORD - 1))
#else
#define FL_PLACE(I) (I)
#endif

/* Elements i.. of a row of K, zeros behind its end. */
FL_INLINE vreal row_part(const real *row, int64_t i, int64_t K) {
    return i < K ? vload_n(row + i, min64(VL, K - i)) : (vreal){0};
}

#if FL_WORD == 2

/* bfloat16 in the low half of each lane. */
FL_INLINE vuint bfloat16_bits(vreal v) {
    vuint u = (vuint)v, rounded = (u + 0x7fff + ((u >> 16) & 1)) >> 16;
    vuint nan = (vuint)(v != v);
    return (nan & (u >> 16 | 0x40)) | (~nan & rounded);
}

/* Of each lane a word: low and high. */
FL_INLINE vreal word_of(vreal low, vreal high) {
#if FL_BYTES == 64 && defined(FL_BF16)
    static const uint16_t PLACES[] = {0, 16, 1, 17, 2,  18, 3,  19, 4,  20, 5,  21, 6,  22, 7,  23,
                                      8, 24, 9, 25, 10, 26, 11, 27, 12, 28, 13, 29, 14, 30, 15, 31};
    __m512bh both = _mm512_cvtne2ps_pbh((__m512)high, (__m512)low);
    return (vreal)_mm512_permutexvar_epi16(_mm512_loadu_si512(PLACES), (__m512i)both);
#endif
    return (vreal)(bfloat16_bits(low) | bfloat16_bits(high) << 16);
}

FL_INLINE vreal vdot(vreal a, vreal b, vreal sum) {
#if FL_BYTES == 64 && defined(FL_BF16)
    return (vreal)_mm512_dpbf16_ps((__m512)sum, (__m512bh)a, (__m512bh)b);
#elif defined(__aarch64__) && defined(FL_BF16)
    return (vreal)vbfdotq_f32((float32x4_t)sum, (bfloat16x8_t)a, (bfloat16x8_t)b);
#else
    vuint ai = (vuint)a, bi = (vuint)b;
    sum = vfma((vreal)(ai << 16), (vreal)(bi << 16), sum);
    return vfma((vreal)(ai & 0xffff0000u), (vreal)(bi & 0xffff0000u), sum);
#endif
}

/* Two vectors of a row as words side by side. */
FL_INLINE vreal words_of(vreal first, vreal second) {
#if FL_BYTES == 64 && defined(FL_BF16)
    return (vreal)_mm512_cvtne2ps_pbh((__m512)second, (__m512)first);
#elif FL_BYTES == 64
    const __m512i places = _mm512_set_epi64(7, 5, 3, 1, 6, 4, 2, 0);
    __m512i both =
        _mm512_packus_epi32((__m512i)bfloat16_bits(first), (__m512i)bfloat16_bits(second));
    return (vreal)_mm512_permutexvar_epi64(places, both);
#elif FL_BYTES == 32
    __m256i both =
        _mm256_packus_epi32((__m256i)bfloat16_bits(first), (__m256i)bfloat16_bits(second));
    return (vreal)_mm256_permute4x64_epi64(both, 0xd8);
#else
    vuint f = bfloat16_bits(first), s = bfloat16_bits(second);
    uint16_t both[2 * VL];
    vreal v;
    for (int l = 0; l < VL; l++) {
        both[FL_PLACE(l)] = (uint16_t)f[l];
        both[FL_PLACE(VL + l)] = (uint16_t)s[l];
    }
    memcpy(&v, both, sizeof v);
    return v;
#endif
}

FL_INLINE void write_operand(const real *row, int64_t K, real floor, real *to) {
    (void)floor;
    for (int64_t i = 0; i < K; i += 2 * VL)
        store_words(to + i / 2, words_of(row_part(row, i, K), row_part(row, i + VL, K)),
                    words(K - i));
}

#else /* 8 bits */

#define FL_LEVELS 127.0f
/* A row of smaller numbers counts as zeros: in others what is flushed is less than half a level. */
#define FL_LEAST_SCALED 0x1p-118f

FL_INLINE vreal vabs(vreal v) { return (vreal)((vint)v & 0x7fffffff); }

/* rint of |v| < 2^22 */
FL_INLINE vint nearest(vreal v) {
    const vreal most = vset1(0x1.8p23f);
    return (vint)(v + most) - (vint)most;
}

/* 127 / m, 0 for a row of zeros. */
FL_INLINE vreal levels_per(vreal m) {
    return vselect(m < FL_LEAST_SCALED, (vreal){0}, FL_LEVELS / m);
}
FL_INLINE vreal scale_of(vreal m) {
    return vselect(m < FL_LEAST_SCALED, (vreal){0}, m / FL_LEVELS);
}

FL_INLINE vreal vdot(vreal a, vreal b, vreal sum) {
#if defined(FL_VNNI) /* of the intrinsic's sums gcc keeps half in memory */
    __asm__(FL_VNNI " %2, %1, %0" : "+v"(sum) : "v"(a), "v"(b));
    return sum;
#elif FL_BYTES == 64 /* in 16 bits: those of 8 would be cut off where two products are added */
    __m512i low = _mm512_set1_epi16(0xff), x = (__m512i)a, y = (__m512i)b;
    __m512i even =
        _mm512_madd_epi16(_mm512_and_si512(x, low), _mm512_srai_epi16(_mm512_slli_epi16(y, 8), 8));
    __m512i odd = _mm512_madd_epi16(_mm512_srli_epi16(x, 8), _mm512_srai_epi16(y, 8));
    return (vreal)_mm512_add_epi32(_mm512_add_epi32(even, odd), (__m512i)sum);
#elif FL_BYTES == 32
    __m256i low = _mm256_set1_epi16(0xff), x = (__m256i)a, y = (__m256i)b;
    __m256i even =
        _mm256_madd_epi16(_mm256_and_si256(x, low), _mm256_srai_epi16(_mm256_slli_epi16(y, 8), 8));
    __m256i odd = _mm256_madd_epi16(_mm256_srli_epi16(x, 8), _mm256_srai_epi16(y, 8));
    return (vreal)_mm256_add_epi32(_mm256_add_epi32(even, odd), (__m256i)sum);
#elif defined(FL_DOTPROD) /* of numbers with a sign: q as it was before 128 was added */
    vuint q = (vuint)a ^ 0x80808080u;
    return (vreal)vdotq_s32((int32x4_t)sum, (int8x16_t)q, (int8x16_t)b);
#else
    vuint s = (vuint)sum, x = (vuint)a, y = (vuint)b;
#pragma GCC unroll 4
    for (int g = 0; g < 4; g++) s += (x >> 8 * g & 255) * (vuint)((vint)(y << (24 - 8 * g)) >> 24);
    return (vreal)s;
#endif
}

FL_INLINE vreal begin_sum(const real *start, const real *tail) {
    (void)start;
#ifdef FL_DOTPROD
    (void)tail;
    return (vreal){0};
#else
    return vload(tail);
#endif
}
FL_INLINE vreal column_scale(const real *tail, int64_t next) { return vload(tail + next); }
FL_INLINE vreal row_scale(const real *tail) { return vset1(*tail); }
FL_INLINE vreal end_sum(vreal sum, const real *start, vreal column, vreal row) {
    return vfma(__builtin_convertvector((vint)sum, vreal), row * column, vload(start));
}

/* Four vectors of a row, in levels, as words side by side. */
FL_INLINE vreal words_of(const vint q[4]) {
#if FL_BYTES == 64
    __m512i low = _mm512_packs_epi32((__m512i)q[0], (__m512i)q[1]);
    __m512i high = _mm512_packs_epi32((__m512i)q[2], (__m512i)q[3]);
    const __m512i places = _mm512_setr_epi32(0, 4, 8, 12, 1, 5, 9, 13, 2, 6, 10, 14, 3, 7, 11, 15);
    return (vreal)_mm512_permutexvar_epi32(places, _mm512_packus_epi16(low, high));
#elif FL_BYTES == 32
    __m256i low = _mm256_packs_epi32((__m256i)q[0], (__m256i)q[1]);
    __m256i high = _mm256_packs_epi32((__m256i)q[2], (__m256i)q[3]);
    const __m256i places = _mm256_setr_epi32(0, 4, 1, 5, 2, 6, 3, 7);
    return (vreal)_mm256_permutevar8x32_epi32(_mm256_packus_epi16(low, high), places);
#else
    uint8_t bytes[4 * VL];
    vreal v;
    for (int i = 0; i < 4; i++)
        for (int l = 0; l < VL; l++) bytes[FL_PLACE(i * VL + l)] = (uint8_t)q[i][l];
    memcpy(&v, bytes, sizeof v);
    return v;
#endif
}

/* The largest lane of what is not negative, in all lanes; NaN is larger than any number. */
FL_INLINE vreal largest(vint m) {
#if FL_BYTES == 64
    return (vreal)_mm512_set1_epi32(_mm512_reduce_max_epi32((__m512i)m));
#else
    int32_t most = m[0];
    for (int l = 1; l < VL; l++) most = m[l] > most ? m[l] : most;
    return (vreal)(most - (vint){0});
#endif
}

/* The larger one of each lane. */
FL_INLINE vint vmax_int(vint a, vint b) {
#if FL_BYTES == 64
    return (vint)_mm512_max_epi32((__m512i)a, (__m512i)b);
#elif FL_BYTES == 32
    return (vint)_mm256_max_epi32((__m256i)a, (__m256i)b);
#else
    vint more = a > b;
    return (more & a) | (~more & b);
#endif
}

/* Of a row's magnitudes the largest, or `floor` if that is more. By their bits, whose order is that
 * of the numbers. */
FL_INLINE vreal largest_of_row(const real *row, int64_t K, real floor) {
    vint most[2] = {(vint)vset1(floor), (vint)vset1(floor)};
    int64_t i = 0;
    for (; i + 2 * VL <= K; i += 2 * VL)
        for (int g = 0; g < 2; g++)
            most[g] = vmax_int(most[g], (vint)vabs(vload(row + i + g * VL)));
    for (; i < K; i += VL) most[0] = vmax_int(most[0], (vint)vabs(row_part(row, i, K)));
    return largest(vmax_int(most[0], most[1]));
}

FL_INLINE vint stored_level(vreal v, vreal levels) { return nearest(v * levels) + 128; }

FL_INLINE void write_operand(const real *row, int64_t K, real floor, real *to) {
    vreal m = largest_of_row(row, K, floor), levels = levels_per(m);
    vint q[4];
    int64_t i = 0;
    for (; i + 4 * VL <= K; i += 4 * VL) {
#pragma GCC unroll 4
        for (int g = 0; g < 4; g++) q[g] = stored_level(vload(row + i + g * VL), levels);
        vstore(to + i / 4, words_of(q));
    }
    if (i < K) {
        for (int g = 0; g < 4; g++) q[g] = stored_level(row_part(row, i + g * VL, K), levels);
        store_words(to + i / 4, words_of(q), words(K) - i / 4);
    }
    to[words(K)] = (scale_of(m) + (m - m))[0]; /* m - m: 0, or NaN of what is no number */
}

#endif
#endif
#endif
