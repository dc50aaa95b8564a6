"""The compiled backend; see `fastlstm.kernels.spec.Kernel` for what it must do."""

from __future__ import annotations

from functools import partial

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
from fastlstm.kernels.spec import CellSpec

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
