"""What the memory of a call depends on, and how much that is."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import DTypeLike

from fastlstm.kernels.arguments import MOST, check_precision
from fastlstm.kernels.call import DTYPES
from fastlstm.kernels.rows import Rows
from fastlstm.kernels.spec import CellSpec


class CallSizes(NamedTuple):
    """What the memory of a call depends on."""

    rows: Rows
    input_size: int
    hidden_size: int
    proj_size: int = 0
    tokens: int = 0  # U, 0 for an array
    mask: bool = False
    recompute: int = 0
    dtype: DTypeLike = np.float32
    n_threads: int = 1
    precision: str = "float32"


class MemoryUse(NamedTuple):
    """Bytes of one layer in one direction, beside its arguments and results."""

    kept: int  # from forward to backward
    forward: int  # at work in forward
    backward: int  # at work in backward


def check_sizes(cell: CellSpec, sizes: CallSizes) -> None:
    """Check what `Backend.memory` is asked about: sizes that a call of the cell may have."""
    _, input_size, hidden_size, proj_size, tokens, _, recompute, dtype, _, precision = sizes
    given = {"input_size": (input_size, 1), "hidden_size": (hidden_size, 1)}
    given |= {"proj_size": (proj_size, 0), "tokens": (tokens, 0), "recompute": (recompute, 0)}
    for name, (size, least) in given.items():
        if not least <= size <= MOST:
            raise ValueError(f"{name} is {size}, expected {least} to {MOST}")
    if proj_size and not cell.projects:
        raise ValueError(f"proj_size is {proj_size}, expected 0 for this cell")
    if np.dtype(dtype) not in DTYPES:
        raise ValueError(f"dtype is {dtype}, expected float32 or float64")
    check_precision(precision, np.dtype(dtype), save=True, cell=cell)
