"""Single steps of a recurrent layer, the state inside."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from numpy.typing import ArrayLike

from fastlstm import kernels
from fastlstm.kernels import CellSpec, Weights
from fastlstm.kernels.backend import Stream as Steps
from fastlstm.nn.carrying import Carrying
from fastlstm.nn.check import as_array
from fastlstm.nn.module import Array
from fastlstm.nn.state import State, row_numbers
from fastlstm.runtime import get_num_threads


class Stream(Carrying):
    """What `Recurrent.stream` returns: one time step after another.

    A stream is one sequence (or N side by side) and serves one thread at a time: another gets a
    RuntimeError. Copies and pickles go on from the same state, each on its own. The arrays of the
    state are [L,N,...].

    Parameters
    ----------
    find_cell : returns the cell; pickled with the stream.
    backend : name of the backend.
    layers : weights of each layer, the stream's own.
    initial : the state of rows that start anew.
    precision : of the products.
    """

    __slots__ = ("_backend", "_find_cell", "_layers", "_precision", "_shares")

    _steps: Steps

    def __init__(
        self,
        find_cell: Callable[[], CellSpec],
        backend: str,
        layers: list[Weights],
        initial: State,
        precision: str = "float32",
    ) -> None:
        self._find_cell, self._backend = find_cell, backend
        self._layers, self._initial, self._precision = layers, initial, precision
        make, N = kernels.backend(backend).stream, initial.batch_size
        self._steps = make(find_cell(), layers, N, precision)
        self._shares = self._steps.shares
        self.reset()

    def __call__(self, x: Array, /, rows: ArrayLike | None = None) -> Array:
        """Advance by one step: x [N,I] -> y [N,R] of the last layer; [I] -> [R] if N is 1.

        The array returned may be overwritten by the next call. Large steps are shared among
        threads (`set_num_threads`), to the same bits.

        Parameters
        ----------
        rows : the rows to advance, each once: numbers, or bool [N]. x and y are of these, in that
            order; the others keep their state. None for all.

        Raises
        ------
        TypeError, ValueError
            If x is not an array of that shape and the layer's dtype, nor becomes one without loss;
            or rows are no such numbers.
        IndexError
            If there is no such row.
        RuntimeError
            If another thread is inside.
        """
        try:
            if rows is None and not self._shares:
                return self._steps(x)
            return self._steps(x, *self._options(rows))
        except TypeError:
            x = as_array("x", x, self._initial[0].dtype)
            return self._steps(x, *self._options(rows))

    def _options(self, rows: ArrayLike | None) -> tuple[Any, int]:
        """Return the numbers of rows, and of threads."""
        numbers = None if rows is None else row_numbers(rows, self._initial.batch_size)
        return numbers, get_num_threads() if self._shares else 1

    def _state_names(self) -> Sequence[str]:
        return self._find_cell().states

    def _made_of(self) -> tuple[Any, ...]:
        return self._find_cell, self._backend, self._layers, self._initial, self._precision
