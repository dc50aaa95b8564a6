"""Gradients that are sums over steps, in plain NumPy.

They are summed in float64: a float32 sum of 10^7 terms would be off by a hundredth.
"""

from __future__ import annotations

import numpy as np

from fastlstm.kernels.reference_cells import StepGradient, by_row
from fastlstm.kernels.reference_tape import Call, Step
from fastlstm.kernels.rows import SUM_BLOCK
from fastlstm.kernels.spec import Array, States, Tokens, Weights


class Gradients:
    """The sums of one backward pass, from the last step run to the first.

    Parameters
    ----------
    call : of the forward pass.
    grads : arrays like the weights, added into by `finish`.
    dx : of the input, or None.
    accumulate_dx : add into dx in place of writing it.
    current : gradients of the states, as they are changed from step to step.
    """

    def __init__(
        self, call: Call, grads: Weights, dx: Array | None, accumulate_dx: bool, current: States
    ) -> None:
        self._call, self._grads, self._dx = call, grads, dx
        self._sums = Weights(*(None if g is None else np.zeros(g.shape) for g in grads))  # type: ignore[arg-type]
        if dx is not None and not accumulate_dx:
            dx[...] = 0
        tokens = dx is not None and isinstance(call.x, Tokens)
        self._dtable = np.zeros(dx.shape) if dx is not None and tokens else None
        self._current = current
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
        sums.w_ih[...] += d.z_x.T @ call.inputs(step)
        sums.w_hh[...] += d.w_hh
        if sums.b_ih is not None:
            sums.b_ih[...] += d.z_x.sum(axis=0, dtype=np.float64)
        if sums.b_hh is not None:
            sums.b_hh[...] += d.z_h.sum(axis=0, dtype=np.float64)
        if sums.w_hr is not None and d.w_hr is not None:
            sums.w_hr[...] += d.w_hr
        if self._dx is None:
            return
        dx = by_row(call.weights.w_ih.T, d.z_x)
        if self._dtable is not None and isinstance(call.x, Tokens):
            np.add.at(self._dtable, call.x.ids[step], dx)
        else:
            self._dx[step] += dx

    def finish(self) -> None:
        """Add the sums to the arrays of the caller."""
        for to, total in zip((*self._grads, self._dx), (*self._sums, self._dtable), strict=True):
            if to is not None and total is not None:
                to[...] += total
