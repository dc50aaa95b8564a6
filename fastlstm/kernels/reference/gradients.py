"""Gradients that are sums over steps, in plain NumPy.

They are summed in float64: a float32 sum of 10^7 terms would be off by a hundredth.
"""

from __future__ import annotations

import numpy as np

from fastlstm.kernels.call import Array, Call, Gradients, States, Tokens
from fastlstm.kernels.reference.cells import StepGradient
from fastlstm.kernels.reference.precision import by_row, gradient
from fastlstm.kernels.reference.tape import Step, inputs_of
from fastlstm.kernels.rows import SUM_BLOCK


class Sums:
    """The sums of one backward pass, from the last step run to the first.

    Parameters
    ----------
    call : of the forward pass.
    w_ih : its weight, as products see it.
    given : of the backward pass; `finish` adds to its arrays.
    current : gradients of the states, as they are changed from step to step.
    """

    def __init__(self, call: Call, w_ih: Array, given: Gradients, current: States) -> None:
        self._call, self._w_ih, self._given, self._current = call, w_ih, given, current
        self._sums = given.weights.map(lambda g: np.zeros(g.shape))
        dx = given.dx
        if dx is not None and not given.accumulate_dx:
            dx[...] = 0
        tokens = dx is not None and isinstance(call.x, Tokens)
        self._dtable = np.zeros(dx.shape) if dx is not None and tokens else None
        # of the states that rows were reset to: of the last SUM_BLOCK steps, and of all
        self._part: States | None = None
        self.dreset: States | None = None
        if call.reset is not None:
            self._part = tuple(np.zeros_like(s) for s in current)
            self.dreset = tuple(np.zeros_like(s) for s in current)

    def leave_to_reset(self, s: int, step: Step) -> None:
        """Give the gradients of the rows that started anew at step s to the reset's state."""
        if self._call.reset is None or self._part is None or self.dreset is None:
            return
        t, n = step
        anew = n[self._call.reset.mask[t, n]]
        for state, part, total in zip(self._current, self._part, self.dreset, strict=True):
            part[anew] += state[anew]
            state[anew] = 0
            if s % SUM_BLOCK == 0:
                total += part
                part[...] = 0

    def add(self, step: Step, d: StepGradient) -> None:
        """Add one step's gradients of the weights and of the input."""
        call, sums = self._call, self._sums
        sums.w_ih[...] += gradient(self._w_ih, d.z_x, inputs_of(call, step))
        sums.w_hh[...] += d.w_hh
        if sums.b_ih is not None:
            sums.b_ih[...] += d.z_x.sum(axis=0, dtype=np.float64)
        if sums.b_hh is not None:
            sums.b_hh[...] += d.z_h.sum(axis=0, dtype=np.float64)
        if sums.w_hr is not None and d.w_hr is not None:
            sums.w_hr[...] += d.w_hr
        for total, param in zip(sums.params, d.params, strict=True):
            total += param
        if self._given.dx is None:
            return
        dx = by_row(self._w_ih.T, d.z_x)
        if self._dtable is not None and isinstance(call.x, Tokens):
            np.add.at(self._dtable, call.x.ids[step], dx)
        else:
            self._given.dx[step] += dx

    def finish(self) -> None:
        """Add the sums to the arrays of the caller."""
        given = (*self._given.weights.arrays(), self._given.dx)
        for to, total in zip(given, (*self._sums.arrays(), self._dtable), strict=True):
            if to is not None and total is not None:
                to[...] += total
