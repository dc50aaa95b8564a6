"""A window of truncated backpropagation through time."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from fastlstm.kernels.rows import Int64Array
from fastlstm.nn.module import Array, Tape


@dataclass(slots=True, eq=False, repr=False)
class Window:
    """What `Recurrent.tbptt` yields: some steps of a batch, run and ready for `backward`.

    Attributes
    ----------
    steps : slice of the steps of x that it covers.
    lengths : int64 [N], how many of its steps are real in each row.
    y : outputs of these steps, laid out as `Recurrent.forward` returns them.
    state : each row's state after them; the next window goes on from a copy.
    """

    steps: slice
    lengths: Int64Array
    y: Array
    state: Any
    _layer: Any
    _tape: Tape

    def backward(self, dy: Array | None) -> Array:
        """Add to the gradient of each parameter; return dx of the window's steps.

        `dy` is the gradient of y. That of the state is zero: gradients end here. RuntimeError if
        it was called before, TypeError or ValueError if dy does not fit.
        """
        dx: Array = self._layer.backward(self._tape, dy)[0]
        return dx
