/* exp, sigmoid and tanh of a vector, in registers.
 *
 * With x = n ln2 + r, n an integer and |r| <= ln2/2:  e^x = 2^n (1 + q),  q = e^r - 1 = r p(r).
 * ln2 is subtracted in two parts, the first so short that n times it is exact even without a
 * fused multiply-add. p is the minimax polynomial of (e^r - 1)/r (relative error 1.1e-8 in
 * float, 1.8e-17 in double), so q, and with it e^x - 1 and tanh, stay accurate near zero. With a
 * degree less that of e^r alone would be 4e-7. Where products are rounded less will do: there p
 * has two degrees less (2.1e-5), and AVX-512 has other ways (activations_rounded.h).
 *
 * Two gates share a division: of 1/(ab) each takes its part by multiplying with the other's
 * denominator. FL_SMALL keeps ab finite.
 *
 * Largest relative error (tests/kernels/test_activations.py): float 3e-7, double 6e-16, float where
 * products are rounded 2.4e-5; of sigmoid down to the smallest normal number, where denormals are
 * flushed to zero.
 */
#ifndef FL_ACTIVATIONS_H
#define FL_ACTIVATIONS_H

#include "vec.h"

#if FL_WORD > 1 && FL_BYTES == 64
#include "activations_rounded.h"
#else

#if FL_F64
#define FL_LEAST -709.0 /* from here on sigmoid is 0, and from FL_MOST on it is 1 */
#define FL_MOST 350.0
#define FL_TANH_MOST 20.0 /* from here on tanh is 1 */
#define FL_SMALL 0x1p-511
#define FL_LOG2E 0x1.71547652b82fep+0
#define FL_LN2_HI 0x1.62e42fefa3800p-1
#define FL_LN2_LO 0x1.ef35793c76730p-45
static const real FL_P[] = {0x1.0000000000000p+0,  0x1.0000000000005p-1,  0x1.5555555555530p-3,
                            0x1.55555555520f6p-5,  0x1.111111111a2bbp-7,  0x1.6c16c17f34774p-10,
                            0x1.a01a0170ebc08p-13, 0x1.a019a6905351fp-16, 0x1.71de8e845f56bp-19,
                            0x1.28a2a1939b21ep-22, 0x1.ae6448e9a5cf1p-26};
#else
#define FL_LEAST -88.0f
#define FL_MOST 43.0f
#define FL_TANH_MOST 10.0f
#define FL_SMALL 0x1p-63f
#define FL_LOG2E 0x1.715476p+0f
#define FL_LN2_HI 0x1.62e400p-1f
#define FL_LN2_LO 0x1.7f7d1cp-20f
#if FL_WORD == 1
static const real FL_P[] = {0x1.000000p+0f, 0x1.fffffep-2f, 0x1.55547ep-3f,
                            0x1.555652p-5f, 0x1.123d0ep-7f, 0x1.6c16a6p-10f};
#else
static const real FL_P[] = {0x1.000000p+0f, 0x1.00022ap-1f, 0x1.57084ap-3f, 0x1.54de82p-5f};
#endif
#endif
enum { FL_DEGREE = (int)(sizeof FL_P / sizeof *FL_P) - 1 };

/* Added to x it leaves the nearest integer to x in the low bits, with the exponent's bias. */
FL_INLINE vreal vrounder(void) { return vset1((real)(3ull << (FL_MANTISSA - 1)) + (real)FL_BIAS); }

/* p 2^n, of n = rounded - vrounder() */
FL_INLINE vreal vscale(vreal p, vreal rounded) {
#if FL_BYTES == 64 && FL_F64
    return (vreal)_mm512_scalef_pd((__m512d)p, (__m512d)(rounded - vrounder()));
#elif FL_BYTES == 64
    return (vreal)_mm512_scalef_ps((__m512)p, (__m512)(rounded - vrounder()));
#else
    return p * (vreal)((vint)rounded << FL_MANTISSA);
#endif
}

/* e^-x times a power of two, FL_LEAST <= x <= FL_MOST */
FL_INLINE vreal vexp_neg(vreal x, const real factor) {
    vreal rounded = vfma(x, vset1((real)-FL_LOG2E), vrounder()), n = rounded - vrounder();
    vreal minus_r = vfma(n, vset1((real)FL_LN2_HI), x);
    minus_r = vfma(n, vset1((real)FL_LN2_LO), minus_r);
    vreal p = {0};
#pragma GCC unroll 16
    for (int k = FL_DEGREE; k >= 0; k--) {
        vreal a = vset1(k % 2 ? FL_P[k] * factor : -FL_P[k] * factor);
        p = k == FL_DEGREE ? a : vfma(p, minus_r, a);
    }
    return vscale(vfma(p, minus_r, vset1(factor)), rounded);
}

/* e^2x - 1, |x| <= FL_TANH_MOST; of r/2, so that nothing is doubled at run time. */
FL_INLINE vreal vexpm1_twice(vreal x) {
    vreal rounded = vfma(x, vset1((real)(2 * FL_LOG2E)), vrounder()), n = rounded - vrounder();
    vreal half_r = vfma(n, vset1((real)(-FL_LN2_HI / 2)), x);
    half_r = vfma(n, vset1((real)(-FL_LN2_LO / 2)), half_r);
    vreal p = {0};
#pragma GCC unroll 16
    for (int k = FL_DEGREE; k >= 0; k--) {
        vreal a = vset1(FL_P[k] * (real)(2 << k));
        p = k == FL_DEGREE ? a : vfma(p, half_r, a);
    }
    vreal scale = (vreal)((vint)rounded << FL_MANTISSA);
    return vfma(scale, half_r * p, scale - 1);
}

/* The denominator of sigmoid(x), 1 + e^-x, times FL_SMALL: the product of two of them is finite as
 * long as both sigmoids are normal numbers. What is divided by it must be times FL_SMALL too. */
FL_INLINE vreal vsigmoid_den(vreal x) {
    return FL_SMALL + vexp_neg(vclamp(x, FL_LEAST, FL_MOST), FL_SMALL);
}

/* e^2x - 1, whose ratio to itself plus 2 is tanh(x); tanh rounds to 1 before the bound. */
FL_INLINE vreal vtanh_num(vreal x) { return vexpm1_twice(vclamp(x, -FL_TANH_MOST, FL_TANH_MOST)); }

FL_INLINE vreal vsigmoid(vreal x) { return FL_SMALL / vsigmoid_den(x); }

FL_INLINE vreal vtanh(vreal x) {
    vreal e = vtanh_num(x);
    return e / (e + 2);
}

/* Each into its sigmoid. */
FL_INLINE void vsigmoids(vreal *a, vreal *b) {
    vreal da = vsigmoid_den(*a), db = vsigmoid_den(*b), both = 1 / (da * db);
    *a = both * db * FL_SMALL, *b = both * da * FL_SMALL;
}

/* s into its sigmoid, t into its tanh. */
FL_INLINE void vsigmoid_and_tanh(vreal *s, vreal *t) {
    vreal ds = vsigmoid_den(*s), nt = vtanh_num(*t), dt = nt + 2, both = 1 / (ds * dt);
    *s = both * dt * FL_SMALL, *t = nt * (both * ds);
}

#endif

/* max(x, 0), and its gradient where it gave h; NaN passes. */
FL_INLINE vreal vrelu(vreal x) { return vselect(x < 0, (vreal){0}, x); }
FL_INLINE vreal vrelu_backward(vreal h, vreal d) { return vselect(h <= 0, (vreal){0}, d); }

#endif
