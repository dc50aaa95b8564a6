/* sigmoid and tanh for AVX-512 where products are rounded: as accurate as that asks for, no more.
 *
 * bfloat16 rounds to 2e-3, 8 bits to 4e-3 of a row's largest number. Here the largest relative
 * error is, as tests/kernels/test_activations.py holds,
 *
 *     of sigmoid 8e-5, and so much of its distance to 1 where it is near that: a forget gate of
 *         0.999 is not off by a part of 1, which a few hundred steps would add up;
 *     of tanh 2.3e-4, and it is never more than 1.
 *
 *     sigmoid(x) = 1 / (1 + 2^t), t = -x log2(e); 2^t = 2^floor(t) p(t - floor(t)), p of degree 3
 *     tanh(x) = x n(x^2) / d(x^2), both of degree 2, for |x| <= 4.85, where it is 1 - 1.2e-4
 *
 * p, and n/d, have the least largest relative error. 16 units of an LSTM take 11.4 ns for 20 by the
 * ways of activations.h with a polynomial of degree 4 (one core of a Zen 4).
 */
#ifndef FL_ACTIVATIONS_ROUNDED_H
#define FL_ACTIVATIONS_ROUNDED_H

#define FL_LOG2E 0x1.715476p+0f
static const real FL_P[] = {0.99992522f, 0.69583354f, 0.22606714f, 0.078024545f};
static const real FL_N[] = {0.99995628f, 0.10287854f, 6.8509122e-4f};
static const real FL_D[] = {1.0f, 0.43593757f, 0.01296236f};
#define FL_TANH_MOST 4.85f

/* 1/x from a table, to 6e-5 */
FL_INLINE vreal vinverse_about(vreal x) { return (vreal)_mm512_rcp14_ps((__m512)x); }

/* 2^t, infinity included */
FL_INLINE vreal vexp2(vreal t) {
    enum { MINUS_FLOOR = 1 };
    vreal r = (vreal)_mm512_reduce_ps((__m512)t, MINUS_FLOOR), p = vset1(FL_P[3]);
#pragma GCC unroll 3
    for (int k = 2; k >= 0; k--) p = vfma(p, r, vset1(FL_P[k]));
    return (vreal)_mm512_scalef_ps((__m512)p, (__m512)t);
}

/* Of 1/(1 + 2^t) a step of Newton's method: near 1 the table alone would tell no distance. */
FL_INLINE vreal vsigmoid(vreal x) {
    vreal t = x * -FL_LOG2E, most = vset1(126); /* min returns its second operand if it is NaN */
    vreal d = 1 + vexp2((vreal)_mm512_min_ps((__m512)most, (__m512)t)), y = vinverse_about(d);
    return vfma(vfma(-d, y, vset1(1)), y, y);
}

FL_INLINE vreal vpolynomial2(const real c[3], vreal x) {
    return vfma(vfma(vset1(c[2]), x, vset1(c[1])), x, vset1(c[0]));
}

FL_INLINE vreal vtanh(vreal x) {
    vreal v = vclamp(x, -FL_TANH_MOST, FL_TANH_MOST), square = v * v;
    return v * vpolynomial2(FL_N, square) * vinverse_about(vpolynomial2(FL_D, square));
}

/* Each into its sigmoid: to share a division would cost more than the table. */
FL_INLINE void vsigmoids(vreal *a, vreal *b) { *a = vsigmoid(*a), *b = vsigmoid(*b); }

/* s into its sigmoid, t into its tanh. */
FL_INLINE void vsigmoid_and_tanh(vreal *s, vreal *t) { *s = vsigmoid(*s), *t = vtanh(*t); }

#endif
