/* The LSTM's gate maths on one vector of units, forward above backward.
 *
 *     c' = f c + i g        h' = o tanh(c')        i, f, o = sigmoid, g = tanh of the products
 *
 * Two gates share a division: of 1/(ab) each takes its part by multiplying with the other's
 * denominator. FL_SATURATION keeps ab finite.
 */
#ifndef FL_LSTM_GATES_H
#define FL_LSTM_GATES_H

#include "activations.h"

typedef struct {
    vreal i, f, g, o;
} lstm_gates;

FL_INLINE lstm_gates lstm_activate(const real *z) {
    vreal di = vsigmoid_den(vload(z)), df = vsigmoid_den(vload(z + VL));
    vreal ng = vtanh_num(vload(z + 2 * VL)), dg = ng + 2;
    vreal d_o = vsigmoid_den(vload(z + 3 * VL));
    vreal ig = 1 / (di * dg), fo = 1 / (df * d_o);
    return (lstm_gates){.i = ig * dg, .f = fo * d_o, .g = ng * (ig * di), .o = fo * df};
}

/* Returns c'; *h is h'. */
FL_INLINE vreal lstm_cell(const lstm_gates *a, vreal c, vreal *h) {
    vreal c_next = vfma(a->f, c, a->i * a->g);
    *h = a->o * vtanh(c_next);
    return c_next;
}

/* From dh' and dc' to the gradients before the activations; returns dc. */
FL_INLINE vreal lstm_cell_backward(const lstm_gates *a, vreal c, vreal c_next, vreal dh, vreal dc,
                                   lstm_gates *d) {
    vreal t = vtanh(c_next);
    dc = vfma(dh * a->o, vfma(-t, t, vset1(1)), dc);
    d->o = dh * t * a->o * (1 - a->o);
    d->i = dc * a->g * a->i * (1 - a->i);
    d->g = dc * a->i * vfma(-a->g, a->g, vset1(1));
    d->f = dc * c * a->f * (1 - a->f);
    return dc * a->f;
}

#endif
