/* Vectors of FL_REAL for one instruction set: type, loads, stores, fused multiply-add.
 *
 * The including file has chosen FL_REAL (float or double), FL_F64 (0 or 1) and FL_BYTES (bytes of
 * a vector). GCC and clang vector types carry + - * / and comparisons; what they lack is below.
 * A multiply-add is fused only where vfma is written (-ffp-contract=off), so that every tile
 * shape rounds alike: a row's result does not depend on the rows beside it.
 */
#ifndef FL_VEC_H
#define FL_VEC_H

#include <math.h>
#include <stdint.h>
#include <string.h>

#if defined(__x86_64__)
#include "intrinsics.h"
#elif defined(__aarch64__)
#include <arm_neon.h>
#endif

#define FL_INLINE static inline __attribute__((always_inline))
#define FL_CALLED static __attribute__((noinline)) /* what would stand in many places */

FL_INLINE int64_t min64(int64_t a, int64_t b) { return a < b ? a : b; }
FL_INLINE int64_t max64(int64_t a, int64_t b) { return a > b ? a : b; }

/* Numbers in a word of the factors of products: operand.h. */
#ifndef FL_WORD
#define FL_WORD 1
#endif

typedef FL_REAL real;
#if FL_F64
typedef int64_t intlane;
#define FL_MANTISSA 52
#define FL_BIAS 1023
#else
typedef int32_t intlane;
#define FL_MANTISSA 23
#define FL_BIAS 127
#endif

typedef real vreal __attribute__((vector_size(FL_BYTES)));
typedef intlane vint __attribute__((vector_size(FL_BYTES)));
enum { VL = FL_BYTES / (int)sizeof(real) };

FL_INLINE vreal vset1(real s) { return s - (vreal){0}; }

FL_INLINE vreal vload(const real *p) {
    vreal v;
    memcpy(&v, p, sizeof v);
    return v;
}

FL_INLINE void vstore(real *p, vreal v) { memcpy(p, &v, sizeof v); }

/* The first n lanes, 1 <= n <= VL; the other lanes read as zero. */
FL_INLINE vreal vload_n(const real *p, int64_t n) {
    vreal v = {0};
#if FL_BYTES == 64 && FL_F64
    v = (vreal)_mm512_maskz_loadu_pd((__mmask8)((1u << n) - 1), p);
#elif FL_BYTES == 64
    v = (vreal)_mm512_maskz_loadu_ps((__mmask16)((1u << n) - 1), p);
#else
    if (n == VL) return vload(p);
    memcpy(&v, p, (size_t)n * sizeof(real));
#endif
    return v;
}

FL_INLINE void vstore_n(real *p, vreal v, int64_t n) {
#if FL_BYTES == 64 && FL_F64
    _mm512_mask_storeu_pd(p, (__mmask8)((1u << n) - 1), (__m512d)v);
#elif FL_BYTES == 64
    _mm512_mask_storeu_ps(p, (__mmask16)((1u << n) - 1), (__m512)v);
#else
    if (n == VL)
        vstore(p, v);
    else
        memcpy(p, &v, (size_t)n * sizeof(real));
#endif
}

/* Ask for n elements ahead of their use, into the second-level cache. */
FL_INLINE void prefetch(const real *p, int64_t n) {
    for (int64_t i = 0; i < n; i += 64 / (int64_t)sizeof(real)) __builtin_prefetch(p + i, 0, 2);
}

/* Ask for n elements that will be written, into the first. The end of a panel asks for the place of
 * the next one's: gates that are kept go to memory nobody has read before where input products are
 * made by token, and stores that wait for it hold up the tile behind them. */
FL_INLINE void prefetch_written(real *p, int64_t n) {
    for (int64_t i = 0; i < n; i += 64 / (int64_t)sizeof(real)) __builtin_prefetch(p + i, 1, 3);
}

/* a * b + c, rounded once where the instruction set has it. */
FL_INLINE vreal vfma(vreal a, vreal b, vreal c) {
#if FL_BYTES == 64 && FL_F64
    return (vreal)_mm512_fmadd_pd((__m512d)a, (__m512d)b, (__m512d)c);
#elif FL_BYTES == 64
    return (vreal)_mm512_fmadd_ps((__m512)a, (__m512)b, (__m512)c);
#elif FL_BYTES == 32 && FL_F64
    return (vreal)_mm256_fmadd_pd((__m256d)a, (__m256d)b, (__m256d)c);
#elif FL_BYTES == 32
    return (vreal)_mm256_fmadd_ps((__m256)a, (__m256)b, (__m256)c);
#elif defined(__aarch64__) && FL_F64
    return (vreal)vfmaq_f64((float64x2_t)c, (float64x2_t)a, (float64x2_t)b);
#elif defined(__aarch64__)
    return (vreal)vfmaq_f32((float32x4_t)c, (float32x4_t)a, (float32x4_t)b);
#else
    return a * b + c;
#endif
}

FL_INLINE vreal vsqrt(vreal x) {
#if FL_BYTES == 64 && FL_F64
    return (vreal)_mm512_sqrt_pd((__m512d)x);
#elif FL_BYTES == 64
    return (vreal)_mm512_sqrt_ps((__m512)x);
#elif FL_BYTES == 32 && FL_F64
    return (vreal)_mm256_sqrt_pd((__m256d)x);
#elif FL_BYTES == 32
    return (vreal)_mm256_sqrt_ps((__m256)x);
#else
#pragma GCC unroll 16
    for (int l = 0; l < VL; l++)
        x[l] = FL_F64 ? (real)sqrt((double)x[l]) : (real)sqrtf((float)x[l]);
    return x;
#endif
}

/* Lane by lane `mask ? a : b`, mask from a comparison. */
FL_INLINE vreal vselect(vint mask, vreal a, vreal b) {
    return (vreal)((mask & (vint)a) | (~mask & (vint)b));
}

/* The larger one; b where either is NaN. */
FL_INLINE vreal vmax(vreal a, vreal b) {
#if FL_BYTES == 64 && FL_F64
    return (vreal)_mm512_max_pd((__m512d)a, (__m512d)b);
#elif FL_BYTES == 64
    return (vreal)_mm512_max_ps((__m512)a, (__m512)b);
#elif FL_BYTES == 32 && FL_F64
    return (vreal)_mm256_max_pd((__m256d)a, (__m256d)b);
#elif FL_BYTES == 32
    return (vreal)_mm256_max_ps((__m256)a, (__m256)b);
#else
    return vselect(a > b, a, b);
#endif
}

/* The smaller one; b where either is NaN. */
FL_INLINE vreal vmin(vreal a, vreal b) {
#if FL_BYTES == 64 && FL_F64
    return (vreal)_mm512_min_pd((__m512d)a, (__m512d)b);
#elif FL_BYTES == 64
    return (vreal)_mm512_min_ps((__m512)a, (__m512)b);
#elif FL_BYTES == 32 && FL_F64
    return (vreal)_mm256_min_pd((__m256d)a, (__m256d)b);
#elif FL_BYTES == 32
    return (vreal)_mm256_min_ps((__m256)a, (__m256)b);
#else
    return vselect(a < b, a, b);
#endif
}

/* x forced into [least, most]; NaN stays NaN (every comparison with it is false). */
FL_INLINE vreal vclamp(vreal x, real least, real most) {
    vreal hi = vset1(most), lo = vset1(least);
#if FL_BYTES == 64 && FL_F64 /* min and max return their second operand if either is NaN */
    return (vreal)_mm512_max_pd((__m512d)lo, _mm512_min_pd((__m512d)hi, (__m512d)x));
#elif FL_BYTES == 64
    return (vreal)_mm512_max_ps((__m512)lo, _mm512_min_ps((__m512)hi, (__m512)x));
#elif FL_BYTES == 32 && FL_F64
    return (vreal)_mm256_max_pd((__m256d)lo, _mm256_min_pd((__m256d)hi, (__m256d)x));
#elif FL_BYTES == 32
    return (vreal)_mm256_max_ps((__m256)lo, _mm256_min_ps((__m256)hi, (__m256)x));
#else
    x = vselect(x > hi, hi, x);
    return vselect(x < lo, lo, x);
#endif
}

/* The first half of the lanes from one place, the second from another. */
FL_INLINE vreal vload_halves(const real *low, const real *high) {
#if FL_BYTES == 64
    __m512 v = _mm512_castps256_ps512(_mm256_loadu_ps((const float *)low));
    return (vreal)_mm512_mask_broadcast_f32x8(v, 0xff00, _mm256_loadu_ps((const float *)high));
#elif FL_BYTES == 32
    __m256 v = _mm256_castps128_ps256(_mm_loadu_ps((const float *)low));
    return (vreal)_mm256_insertf128_ps(v, _mm_loadu_ps((const float *)high), 1);
#else
    vreal v;
    memcpy(&v, low, FL_BYTES / 2);
    memcpy((char *)&v + FL_BYTES / 2, high, FL_BYTES / 2);
    return v;
#endif
}

/* The first halves of 128-bit parts interleaved, and the second ones: the cheapest shuffles. */
#if FL_BYTES == 64 && FL_F64
#define VLOW(A, B) (vreal) _mm512_unpacklo_pd((__m512d)(A), (__m512d)(B))
#define VHIGH(A, B) (vreal) _mm512_unpackhi_pd((__m512d)(A), (__m512d)(B))
#elif FL_BYTES == 64
#define VLOW(A, B) (vreal) _mm512_unpacklo_ps((__m512)(A), (__m512)(B))
#define VHIGH(A, B) (vreal) _mm512_unpackhi_ps((__m512)(A), (__m512)(B))
#elif FL_BYTES == 32 && FL_F64
#define VLOW(A, B) (vreal) _mm256_unpacklo_pd((__m256d)(A), (__m256d)(B))
#define VHIGH(A, B) (vreal) _mm256_unpackhi_pd((__m256d)(A), (__m256d)(B))
#elif FL_BYTES == 32
#define VLOW(A, B) (vreal) _mm256_unpacklo_ps((__m256)(A), (__m256)(B))
#define VHIGH(A, B) (vreal) _mm256_unpackhi_ps((__m256)(A), (__m256)(B))
#elif defined(__aarch64__) && FL_F64
#define VLOW(A, B) (vreal) vzip1q_f64((float64x2_t)(A), (float64x2_t)(B))
#define VHIGH(A, B) (vreal) vzip2q_f64((float64x2_t)(A), (float64x2_t)(B))
#elif defined(__aarch64__)
#define VLOW(A, B) (vreal) vzip1q_f32((float32x4_t)(A), (float32x4_t)(B))
#define VHIGH(A, B) (vreal) vzip2q_f32((float32x4_t)(A), (float32x4_t)(B))
#elif defined(__x86_64__) && FL_F64
#define VLOW(A, B) (vreal) _mm_unpacklo_pd((__m128d)(A), (__m128d)(B))
#define VHIGH(A, B) (vreal) _mm_unpackhi_pd((__m128d)(A), (__m128d)(B))
#elif defined(__x86_64__)
#define VLOW(A, B) (vreal) _mm_unpacklo_ps((__m128)(A), (__m128)(B))
#define VHIGH(A, B) (vreal) _mm_unpackhi_ps((__m128)(A), (__m128)(B))
#endif

#if defined(VLOW) && !defined(__clang__)
#define VSHUFFLES
enum { LANE = 16 / (int)sizeof(real) }; /* elements of a 128-bit part */

/* The stages of a transposition up to blocks of `n` rows, of n vectors. */
FL_INLINE void vtranspose_stages(vreal *r, const int n) {
    /* within the parts: interleave the rows l and l + LANE / 2, log2(LANE) times */
#pragma GCC unroll 2
    for (int times = 1; times < LANE; times *= 2)
#pragma GCC unroll 4
        for (int i = 0; i < n; i += LANE) {
            vreal from[LANE];
#pragma GCC unroll 4
            for (int l = 0; l < LANE; l++) from[l] = r[i + l];
#pragma GCC unroll 2
            for (int l = 0; l < LANE / 2; l++) {
                r[i + 2 * l] = VLOW(from[l], from[l + LANE / 2]);
                r[i + 2 * l + 1] = VHIGH(from[l], from[l + LANE / 2]);
            }
        }
    static const intlane LANES[] = {0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15};
    vint lane;
    memcpy(&lane, LANES, sizeof lane);
    /* across them: blocks of s that are not on the diagonal change places */
#pragma GCC unroll 4
    for (int s = LANE; s < n; s *= 2) {
        vint odd = (lane & s) != 0;
        vint first = lane + (odd & (VL - s)), second = first + s;
#pragma GCC unroll 16
        for (int i = 0; i < n; i++)
            if (!(i & s) && i + s < n) { /* the second, for the compiler's warnings */
                vreal a = r[i], b = r[i + s];
                r[i] = __builtin_shuffle(a, b, first);
                r[i + s] = __builtin_shuffle(a, b, second);
            }
    }
}
#endif

/* A square of VL rows, in place. */
FL_INLINE void vtranspose(vreal r[VL]) {
#ifndef VSHUFFLES
    real square[VL][VL];
#pragma GCC unroll 16
    for (int i = 0; i < VL; i++) vstore(square[i], r[i]);
    for (int i = 0; i < VL; i++)
        for (int l = 0; l < VL; l++) r[i][l] = square[l][i];
#else
    vtranspose_stages(r, VL);
#endif
}

/* STRIP elements of each of VL rows in memory, `step` apart, a vector of every row's first ones,
   one of the second ones and so on. Where halves of vectors are loaded, the last stage is spared.
 */
#ifdef VSHUFFLES
enum { STRIP = FL_BYTES > 16 ? VL / 2 : VL };
#else
enum { STRIP = VL };
#endif
FL_INLINE void vload_strip(const real *p, int64_t step, vreal r[STRIP]) {
#pragma GCC unroll 16
    for (int l = 0; l < STRIP; l++) {
        const real *row = p + l * step;
        r[l] = (int)STRIP < (int)VL ? vload_halves(row, row + STRIP * step) : vload(row);
    }
#ifdef VSHUFFLES
    vtranspose_stages(r, STRIP);
#else
    vtranspose(r);
#endif
}

#endif
