"""Single steps of any cell through stacked layers in plain NumPy: the definition."""

from __future__ import annotations

import copy

import numpy as np

from fastlstm.kernels.arguments import read_layers
from fastlstm.kernels.call import Array, States, Weights
from fastlstm.kernels.reference.cells import product, steps_of
from fastlstm.kernels.reference.precision import with_precision
from fastlstm.kernels.rows import Int64Array
from fastlstm.kernels.spec import CellSpec
from fastlstm.kernels.steps import OneCaller, read_rows, read_states, read_step


class Stream:
    """One time step after another through stacked layers, the state kept inside.

    Parameters
    ----------
    cell : which cell.
    layers : weights of each layer, copied: later changes to the model are not seen.
    batch_size : N.
    precision : of the products, as `Call.precision`.

    Attributes
    ----------
    state : in the order of ``cell.states``, each [L,N,R or H]: copies out, values in.
    """

    shares = False

    def __init__(
        self, cell: CellSpec, layers: list[Weights], batch_size: int, precision: str = "float32"
    ) -> None:
        self._cell = cell
        read_layers(cell, layers, batch_size, precision)
        own = copy.deepcopy(layers)
        self._layers = [with_precision(cell, weights, precision) for weights in own]
        self._caller = OneCaller()
        w = layers[0]
        self._x_shape = (batch_size, w.w_ih.shape[1])
        _, H, R = w.sizes()
        shapes = [(len(layers), batch_size, size) for size in cell.state_sizes(H, R)]
        self._state = tuple(np.zeros(shape, w.w_hh.dtype) for shape in shapes)

    @np.errstate(all="ignore")
    def __call__(self, x: Array, /, rows: Int64Array | None = None, n_threads: int = 1) -> Array:
        """Advance by one step: x [N,I] -> y [N,R] of the last layer; [I] -> [R] if N is 1.

        Parameters
        ----------
        rows : int64 [M], the rows that x and y are of, [M,I] and [M,R]; others keep their state.
            None for all.
        n_threads : that a step may use, where `shares` says that one of all rows is worth several.

        Raises
        ------
        TypeError, ValueError
            If x is not an array of the weights' dtype and that shape, or rows are not as told.
        IndexError
            If there is no such row.
        """
        numbers, (N, I) = read_rows(rows, self._x_shape[0]), self._x_shape
        which = slice(None) if numbers is None else numbers
        M = N if numbers is None else len(numbers)
        y, single = read_step(x, (M, I), self._state[0].dtype.name)
        with self._caller:
            for layer, w in enumerate(self._layers):
                before = tuple(s[layer][which] for s in self._state)
                z_x = product(w.w_ih, y, w.b_ih)
                after, _ = steps_of(self._cell).forward(z_x, before, w)
                for s, value in zip(self._state, after, strict=True):
                    s[layer][which] = value
                y = after[0]
        return y[0] if single else y

    def reset(self) -> None:
        """Set the state to zero."""
        with self._caller:
            for s in self._state:
                s[...] = 0

    @property
    def state(self) -> States:
        with self._caller:
            return tuple(s.copy() for s in self._state)

    @state.setter
    def state(self, value: States) -> None:
        shapes = [s.shape for s in self._state]
        dtype = self._state[0].dtype.name
        values = read_states(value, self._cell.states, shapes, dtype)
        with self._caller:
            for s, new in zip(self._state, values, strict=True):
                s[...] = new
