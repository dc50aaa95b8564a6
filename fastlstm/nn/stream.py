"""Single steps of a recurrent layer, the state inside."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import ArrayLike

from fastlstm.kernels import Stream as KernelStream
from fastlstm.nn.module import Array
from fastlstm.nn.state import State


class Stream:
    """What `Recurrent.stream` returns: one time step after another.

    Parameters
    ----------
    steps : the backend's stream.
    initial : the state of rows that start anew.
    """

    __slots__ = ("_initial", "_steps")

    def __init__(self, steps: KernelStream, initial: State) -> None:
        self._steps, self._initial = steps, initial
        self.reset()

    def __call__(self, x: Array, /) -> Array:
        """Advance by one step: x [N,I] -> y [N,R] of the last layer; [I] -> [R] if N is 1.

        The array returned may be overwritten by the next call.

        Raises
        ------
        TypeError, ValueError
            If x is not an array of the layer's dtype and that shape.
        """
        return self._steps(x)

    def reset(self, rows: ArrayLike | None = None) -> None:
        """Put rows back to the initial state; None for all. For `rows` see `State.gather`."""
        if rows is None:
            self._steps.state = self._initial
            return
        state = self.state
        state.reset(rows, self._initial)
        self.state = state

    @property
    def state(self) -> State:
        """The state, each array [L,N,...]: copies out; torch's form or a `State` in."""
        return State(self._steps.state)

    @state.setter
    def state(self, value: Any) -> None:
        given = (value,) if isinstance(value, np.ndarray) and len(self._initial) == 1 else value
        self._steps.state = given
