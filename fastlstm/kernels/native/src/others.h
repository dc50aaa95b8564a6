/* The activations of a cell: sigmoids of its gates and tanh of the rest, or others that a call
 * names.
 *
 * `others` is a constant wherever these are inlined: cells with other activations are a second copy
 * of the cells' functions, and the usual ones pay nothing for them. The gradients of all of them
 * come from the value y that was made of x. What they are is found out in one place: inlined into
 * the copies it would be a tenth of the kernels' size.
 *
 * A sum may be clipped first. All of these rise or fall everywhere, so y tells where that was, too.
 */
#ifndef FL_OTHERS_H
#define FL_OTHERS_H

#include "call.h"

FL_CALLED vreal other(const fl_activation *a, vreal x) {
    x = vclamp(x, (real)-a->clip, (real)a->clip);
    switch (a->kind) {
    case FL_RELU:
        return vrelu(x);
    case FL_SIGMOID:
        return vsigmoid(x);
    case FL_TANH:
        return vtanh(x);
    case FL_HARD_SIGMOID:
        return vclamp((real)a->alpha * x + (real)a->beta, 0, 1);
    case FL_SOFTSIGN:
        return x / (1 + vmagnitude(x));
    default:
        return x;
    }
}

/* d where y was made of an x that was not clipped, else 0. */
static vreal unclipped(const fl_activation *a, vreal y, vreal d) {
    vreal from = other(a, vset1((real)-a->clip)), to = other(a, vset1((real)a->clip));
    vreal low = vselect(from < to, from, to), high = vselect(from < to, to, from);
    return vselect((y <= low) | (y >= high), (vreal){0}, d);
}

/* d y/dx; where y has a kink or a bound, that of the bounded side. */
FL_CALLED vreal other_backward(const fl_activation *a, vreal y, vreal d) {
    vreal left = 1 - vmagnitude(y);
    if (a->clip < INFINITY) d = unclipped(a, y, d);
    switch (a->kind) {
    case FL_RELU:
        return vrelu_backward(y, d);
    case FL_SIGMOID:
        return d * y * (1 - y);
    case FL_TANH:
        return d * vfma(-y, y, vset1(1));
    case FL_HARD_SIGMOID:
        return vselect((y <= 0) | (y >= 1), (vreal){0}, d * (real)a->alpha);
    case FL_SOFTSIGN:
        return d * (left * left);
    default:
        return d;
    }
}

/* Of a gate; of two of them. */
FL_INLINE vreal gate_of(const int others, const call *k, vreal x) {
    return others ? other(&k->p->gate_activation, x) : vsigmoid(x);
}

FL_INLINE void gates_of(const int others, const call *k, vreal *a, vreal *b) {
    if (others)
        *a = gate_of(1, k, *a), *b = gate_of(1, k, *b);
    else
        vsigmoids(a, b);
}

/* Of what goes into a cell; of a gate and one of these. */
FL_INLINE vreal value_of(const int others, const call *k, vreal x) {
    return others ? other(&k->p->activation, x) : vtanh(x);
}

FL_INLINE void gate_and_value_of(const int others, const call *k, vreal *gate, vreal *x) {
    if (others)
        *gate = gate_of(1, k, *gate), *x = value_of(1, k, *x);
    else
        vsigmoid_and_tanh(gate, x);
}

/* Of a cell; of a gate and one of these. */
FL_INLINE vreal state_of(const int others, const call *k, vreal c) {
    return others ? other(&k->p->state_activation, c) : vtanh(c);
}

FL_INLINE void gate_and_state_of(const int others, const call *k, vreal *gate, vreal *c) {
    if (others)
        *gate = gate_of(1, k, *gate), *c = state_of(1, k, *c);
    else
        vsigmoid_and_tanh(gate, c);
}

FL_INLINE vreal gate_backward(const int others, const call *k, vreal y, vreal d) {
    return others ? other_backward(&k->p->gate_activation, y, d) : d * y * (1 - y);
}

FL_INLINE vreal value_backward(const int others, const call *k, vreal y, vreal d) {
    return others ? other_backward(&k->p->activation, y, d) : d * vfma(-y, y, vset1(1));
}

#endif
