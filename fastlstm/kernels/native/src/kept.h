/* Numbers that forward keeps for backward, and the gate gradients that backward leaves in their
 * place: of type `kept_real`, which is `real` or, where products are of bfloat16, that.
 *
 * A row of them is a row of A as the products of bfloat16 want it, words and all. A sigmoid is kept
 * by its distance to the nearer of 0 and 1, with a sign for that to 1: near 1 bfloat16 has steps of
 * 2^-8, and a forget gate of 0.999 would be 1, or 0.996, whose 200th power is half of it.
 */
#ifndef FL_KEPT_H
#define FL_KEPT_H

#include "arena.h"
#include "operand.h"

enum { KEPT_ROUNDED = FL_WORD == 2 };

#if FL_WORD == 2

typedef uint16_t kept_real;
typedef uint16_t vkept __attribute__((vector_size(FL_BYTES / 2)));

/* Each number to its place among the words of a row. */
FL_INLINE vkept in_words(vkept v) {
#if __BYTE_ORDER__ == __ORDER_BIG_ENDIAN__
    vkept placed;
    for (int l = 0; l < VL; l++) placed[FL_PLACE(l)] = v[l];
    return placed;
#else
    return v;
#endif
}

FL_INLINE vreal load_kept(const kept_real *p) {
    vkept v;
    memcpy(&v, p, sizeof v);
    return (vreal)(__builtin_convertvector(in_words(v), vuint) << 16);
}

/* The first n numbers from number i on of a row. */
FL_INLINE vreal load_kept_n(const kept_real *row, int64_t i, int64_t n) {
    vkept v = {0};
#if __BYTE_ORDER__ == __ORDER_BIG_ENDIAN__
    for (int64_t l = 0; l < n; l++) v[l] = row[FL_PLACE(i + l)];
#elif FL_BYTES == 64
    v = (vkept)_mm256_maskz_loadu_epi16((__mmask16)((1u << n) - 1), row + i);
#else
    memcpy(&v, row + i, (size_t)n * sizeof *row);
#endif
    return (vreal)(__builtin_convertvector(v, vuint) << 16);
}

FL_INLINE void store_kept(kept_real *p, vreal v) {
#if FL_BYTES == 64 && defined(FL_BF16)
    _mm256_storeu_si256((__m256i *)(void *)p, (__m256i)_mm512_cvtneps_pbh((__m512)v));
#else
    vkept bits = in_words(__builtin_convertvector(bfloat16_bits(v), vkept));
    memcpy(p, &bits, sizeof bits);
#endif
}

/* The distance of a sigmoid to the nearer of 0 and 1, and back. */
FL_INLINE vreal to_nearer(vreal s) {
    vreal below = (vreal)((vint)(1 - s) | INT32_MIN);
    return vselect(s > 0.5f, below, s);
}
FL_INLINE vreal from_nearer(vreal d) { return d + (vreal)((vint)d >> 31 & (vint)vset1(1)); }

/* The words of two rows of kept numbers, as word_of makes them. */
FL_INLINE vreal kept_word(vreal low, vreal high) { return (vreal)((vuint)low >> 16 | (vuint)high); }

#else

typedef real kept_real;

FL_INLINE vreal load_kept(const kept_real *p) { return vload(p); }
FL_INLINE vreal load_kept_n(const kept_real *row, int64_t i, int64_t n) {
    return vload_n(row + i, n);
}
FL_INLINE void store_kept(kept_real *p, vreal v) { vstore(p, v); }
FL_INLINE vreal to_nearer(vreal s) { return s; }
FL_INLINE vreal from_nearer(vreal d) { return d; }
FL_INLINE vreal kept_word(vreal low, vreal high) {
    (void)high;
    return low;
}

#endif

FL_INLINE vreal vmagnitude(vreal v) { return vselect(v < 0, -v, v); }

#if FL_WORD == 2

/* Two sigmoids in two words, the second with 4 bits more, which the exponents have to spare: of a
 * distance, at most 1/2, 6 bits tell all down to 2^-63. So 1 is free to stand for NaN. */
enum { COARSE = 16, FINE = 12, FINE_BELOW = 2 }; /* bits not kept; of the second, in the first */
enum { SPARE = 64 << 23 };                       /* what all exponents have in common */

/* The distance to 0 or 1, whichever is nearer, without its last `drop` bits, rounded; above it a
 * bit that is set if that is 1. */
FL_INLINE vuint distance_bits(vreal s, const int drop) {
    vreal size = vmin(vmax(vset1(0x1p-63f), vmin(s, 1 - s)), vset1(1));
    vuint v = ((vuint)size + ((1u << (drop - 1)) - SPARE)) >> drop;
    return v | ((vuint)(0.5f - s) >> (drop + 2) & 1u << (29 - drop));
}

FL_INLINE vreal distance_of(vuint bits, const int drop) {
    return (vreal)((bits << drop & ((1u << 29) - 1)) + SPARE);
}

FL_INLINE vreal sigmoid_of(vuint bits, const int drop) {
    vuint nearer_1 = (vuint)((vint)(bits << (drop + 2)) >> 31);
    vreal size = (vreal)((vuint)distance_of(bits, drop) ^ (nearer_1 & 1u << 31));
    return (vreal)(nearer_1 & (vuint)vset1(1)) + size;
}

FL_INLINE void store_bits(kept_real *p, vuint bits) {
    vkept v = in_words(__builtin_convertvector(bits, vkept));
    memcpy(p, &v, sizeof v);
}

FL_INLINE vuint load_bits(const kept_real *p) {
    vkept v;
    memcpy(&v, p, sizeof v);
    return __builtin_convertvector(in_words(v), vuint);
}

FL_INLINE void store_sigmoids(kept_real *p, vreal s, kept_real *fine_p, vreal fine) {
    vuint bits = distance_bits(fine, FINE), below = bits & ((1 << FINE_BELOW) - 1);
    store_bits(p, distance_bits(s, COARSE) << FINE_BELOW | below);
    store_bits(fine_p, bits >> FINE_BELOW);
}

FL_INLINE vuint first_bits(const kept_real *p) { return load_bits(p) >> FINE_BELOW; }

FL_INLINE vuint second_bits(const kept_real *p, const kept_real *fine_p) {
    return load_bits(fine_p) << FINE_BELOW | (load_bits(p) & ((1 << FINE_BELOW) - 1));
}

/* The first of both sigmoids. In the place of NaN it gives some number, as load_second does: what
 * is kept beside them is NaN then, and so are the gradients. */
FL_INLINE vreal load_first(const kept_real *p) { return sigmoid_of(first_bits(p), COARSE); }

FL_INLINE vreal load_second(const kept_real *p, const kept_real *fine_p) {
    return sigmoid_of(second_bits(p, fine_p), FINE);
}

/* Both sigmoids that store_sigmoids wrote, NaN as NaN. */
FL_INLINE void load_sigmoids(const kept_real *p, const kept_real *fine_p, vreal *both) {
    vuint first = first_bits(p), second = second_bits(p, fine_p);
    vreal none = vset1(__builtin_nanf(""));
    both[0] = vselect(distance_of(first, COARSE) < 1, sigmoid_of(first, COARSE), none);
    both[1] = vselect(distance_of(second, FINE) < 1, sigmoid_of(second, FINE), none);
}

#else

FL_INLINE void store_sigmoids(kept_real *p, vreal s, kept_real *fine_p, vreal fine) {
    vstore(p, s);
    vstore(fine_p, fine);
}

FL_INLINE vreal load_first(const kept_real *p) { return vload(p); }
FL_INLINE vreal load_second(const kept_real *p, const kept_real *fine_p) {
    (void)p;
    return vload(fine_p);
}
FL_INLINE void load_sigmoids(const kept_real *p, const kept_real *fine_p, vreal *both) {
    both[0] = vload(p), both[1] = vload(fine_p);
}

#endif

FL_INLINE void store_sigmoid(kept_real *p, vreal s) { store_kept(p, to_nearer(s)); }
FL_INLINE vreal load_sigmoid(const kept_real *p) { return from_nearer(load_kept(p)); }

/* The size of n of them, whole vectors, in numbers. */
FL_INLINE int64_t kept_size(int64_t n) {
    return n * (int64_t)sizeof(kept_real) / (int64_t)sizeof(real);
}

FL_INLINE kept_real *take_kept(arena *m, int64_t n) {
    return (kept_real *)(void *)take(m, kept_size(n));
}

FL_INLINE void keep_row(const real *from, int64_t n, kept_real *to) {
    for (int64_t i = 0; i < n; i += VL) store_kept(to + i, vload(from + i));
}

/* As `prefetch` and `prefetch_written` in vec.h. */
FL_INLINE void prefetch_kept(const kept_real *p, int64_t n) {
    prefetch((const real *)(const void *)p, kept_size(n));
}
FL_INLINE void prefetch_kept_written(kept_real *p, int64_t n) {
    prefetch_written((real *)(void *)p, kept_size(n));
}

#endif
