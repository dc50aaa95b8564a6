"""Random numbers of a batch whose rows are shared out among processes.

Each process draws those of the whole batch, from the same generator, and keeps the ones of its own
rows. So dropout does not depend on how many processes there are.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

Ints = NDArray[np.integer]


class SharedDraws(np.random.Generator):
    """The generator of a whole batch, for a process that has some of its rows.

    Parameters
    ----------
    rng : the generator; all processes have one in the same state.
    rows : int [n], the rows of this process among those of the whole batch.
    count : N, the rows of the whole batch.
    inputs : those of the model for the whole batch.
    axis : where arrays have the rows; None: by their shape, see `axis_of_rows`.
    """

    def __init__(
        self, rng: np.random.Generator, rows: Ints, count: int, inputs: tuple[Any, ...] = (),
        axis: int | None = None,
    ) -> None:  # fmt: skip
        super().__init__(rng.bit_generator)
        self.rows, self.count, self.inputs, self.axis = rows, count, inputs, axis

    def along(self, axis: int) -> SharedDraws:
        """Return the same generator for arrays whose rows are along this axis."""
        return SharedDraws(self, self.rows, self.count, self.inputs, axis)

    def of(self, rows: Ints, count: int) -> SharedDraws:
        """Return the same generator for other things than rows, of which there are `count`."""
        return SharedDraws(self, rows, count, self.inputs)

    def of_steps(self, x: int, lengths: int) -> SharedDraws:
        """Return it for all real steps of input number `x`, row after row.

        `lengths` is the number of the input that says how many are real, if there is one.
        """
        N, T = self.inputs[x].shape[:2]
        given = self.inputs[lengths] if lengths < len(self.inputs) else None
        counts = np.full(N, T) if given is None else np.asarray(given)
        starts = np.cumsum(counts) - counts
        own = [np.arange(starts[row], starts[row] + counts[row]) for row in self.rows]
        return self.of(np.concatenate(own), int(counts.sum()))

    def axis_of_rows(self, shape: tuple[int, ...]) -> int | None:
        """Return which axis of an array of this process has its rows; None if none does.

        Unless it was said, that is the last but one, as in [N,F] and [T,N,F], or else the first:
        who draws for [N,S,F] has to say it, as S may be the number of rows.
        """
        n = len(self.rows)
        if self.axis is not None:
            return self.axis
        if len(shape) > 1 and shape[-2] == n:
            return len(shape) - 2
        return 0 if shape and shape[0] == n else None
