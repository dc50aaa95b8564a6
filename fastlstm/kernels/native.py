"""The compiled backend; see `fastlstm.kernels.spec.Kernel` for what it must do."""

from __future__ import annotations

from functools import partial

import numpy as np

from fastlstm.kernels import _native
from fastlstm.kernels._native import (
    built_isas,
    cached_bytes,
    isa,
    mxcsr,
    set_isa,
    supported_isas,
    trim,
    vec_exp,
    vec_sigmoid,
    vec_tanh,
)
from fastlstm.kernels.rows import Int64Array, Rows
from fastlstm.kernels.spec import Array, CellSpec, Reset, States, Tokens, Weights

__all__ = [
    "Kernel",
    "built_isas",
    "cached_bytes",
    "isa",
    "mxcsr",
    "set_isa",
    "supported_isas",
    "trim",
    "vec_exp",
    "vec_sigmoid",
    "vec_tanh",
]


class Kernel:
    """The compiled kernels of a cell.

    Raises
    ------
    NotImplementedError
        If the extension has no such cell: it is older than the Python files beside it.
    """

    pool = staticmethod(_native.pool)
    pool_backward = staticmethod(_native.pool_backward)
    adam = staticmethod(_native.adam)
    empty = staticmethod(_native.empty)
    backward = staticmethod(_native.backward)

    def __init__(self, cell: CellSpec) -> None:
        names = _native.cell_names()
        if cell.name not in names:
            raise NotImplementedError(f"the extension has {', '.join(names)}, not {cell.name}")
        self.cell = cell
        index = names.index(cell.name)
        self.forward = partial(_native.forward, index)
        self.memory = partial(_native.memory, index)
        self.Stream = partial(_native.Stream, index)
        self.TensorStep = partial(_native.TensorStep, index)

    def trace(
        self,
        x: Array | Tokens,
        state: States,
        weights: Weights,
        rows: Rows,
        y: Array,
        *,
        reverse: bool = False,
        reset: Reset | None = None,
        n_threads: int = 1,
    ) -> tuple[States, dict[str, Array]]:
        """Run all steps, and return what was inside: see `reference.Kernel.trace`."""
        state_n, saved = self.forward(
            x,
            state,
            weights,
            rows,
            y,
            reverse=reverse,
            reset=reset,
            save=True,
            n_threads=n_threads,
        )
        gates, cells, width = _native.kept(saved)
        G, P = len(self.cell.gates), rows.total
        H = len(weights.w_ih) // G
        Hp = -(-H // width) * width
        # A row's units stand in blocks of a vector, and in a block its gates side by side.
        by_gate = gates.reshape(P, Hp // width, G, width)[_steps_ascending(rows)]
        values = {
            name: by_gate[:, :, g].reshape(P, Hp)[:, :H] for g, name in enumerate(self.cell.gates)
        }
        if len(self.cell.states) > 1:  # before the P rows stand the N of the initial state
            values[self.cell.states[1]] = cells.reshape(rows.N + P, Hp)[rows.N :, :H]
        return state_n, {name: values[name] for name in self.cell.traced}


def _steps_ascending(rows: Rows) -> Int64Array:
    """Return where each packed row stands among gates, whose steps go from the last to the first.

    Rows of one step keep their order.
    """
    step = np.repeat(np.arange(rows.T), rows.n_at)
    return rows.total - rows.offset[step + 1] + np.arange(rows.total) - rows.offset[step]
