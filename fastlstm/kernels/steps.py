"""Arguments of streams, read alike by every backend."""

from __future__ import annotations

from collections.abc import Sequence
from threading import Lock
from typing import Any

import numpy as np

from fastlstm.counts import count_of
from fastlstm.kernels.call import Array, States
from fastlstm.kernels.masked import refuse_masked
from fastlstm.kernels.rows import Int64Array

STREAM_IN_USE = (
    "the stream is inside a step of another thread: a stream is one sequence and serves one caller "
    "at a time, so give each thread its own (copy.copy) or let them take turns"
)


class OneCaller:
    """A state that one caller has at a time: ``with caller:``, an error for a second one."""

    def __init__(self) -> None:
        self._lock = Lock()

    def __enter__(self) -> None:
        if not self._lock.acquire(blocking=False):
            raise RuntimeError(STREAM_IN_USE)

    def __exit__(self, *_: object) -> None:
        self._lock.release()


def read_step(x: Any, shape: tuple[int, int], dtype: str) -> tuple[Array, bool]:
    """Return x as a C-contiguous array [N,I], and whether it came without its batch axis.

    Raises
    ------
    TypeError
        If x is not an array of `dtype`.
    ValueError
        If x is not of `shape` [N,I], nor [I] with N = 1, or masks some of its values.
    """
    single = getattr(x, "ndim", None) == 1 and shape[0] == 1
    checked = _checked("x", x, shape[1:] if single else shape, dtype)
    if not (checked.flags.c_contiguous and checked.flags.aligned):
        checked = checked.copy(order="C")
    return checked.reshape(shape), single


def read_rows(rows: Any, N: int) -> Int64Array | None:
    """Return a copy of the numbers of the rows that a step is for; None for all.

    Raises
    ------
    TypeError, ValueError
        If rows is not an array of int64 with one axis, or names a row twice.
    IndexError
        If it names one that is not there.
    """
    if rows is None:
        return None
    if not isinstance(rows, np.ndarray) or rows.dtype != np.int64:
        kind = getattr(rows, "dtype", None)
        told = f"a {type(rows).__name__}" if kind is None else f"an array of {kind}"
        raise TypeError(f"rows is {told}, expected int64")
    if rows.ndim != 1:
        raise ValueError(f"rows has shape {rows.shape}, expected (any,)")
    numbers: Int64Array = rows.copy()
    seen: set[int] = set()
    for i, row in enumerate(numbers.tolist()):
        if not 0 <= row < N or row in seen:
            raise wrong_row(i, row, N)
        seen.add(row)
    return numbers


def wrong_row(i: int, row: int, N: int) -> Exception:
    """Return the error of a row that is not there, or that was named before."""
    if 0 <= row < N:
        return ValueError(f"rows[{i}] is {row} once more, expected each row once")
    return IndexError(f"rows[{i}] is {row}, expected 0 to {N - 1}")


def read_states(
    value: Any, names: Sequence[str], shapes: Sequence[tuple[int, ...]], dtype: str
) -> States:
    """Return the states `names` as a tuple after checking each; errors as above."""
    expected = f"({', '.join(names)}{',' * (len(names) == 1)})"
    if not isinstance(value, (tuple, list)):
        raise TypeError(f"state is a {type(value).__name__}, expected a tuple {expected}")
    if len(value) != len(names):
        raise TypeError(
            f"state has {count_of(len(value), 'entry', 'entries')}, expected a tuple {expected}"
        )
    parts = enumerate(zip(value, shapes, strict=True))
    return tuple(_checked(f"state[{i}]", part, shape, dtype) for i, (part, shape) in parts)


def _checked(name: str, value: Any, shape: tuple[int, ...], dtype: str) -> Array:
    if not isinstance(value, np.ndarray):
        raise TypeError(f"{name} is a {type(value).__name__}, expected a NumPy array of {dtype}")
    if value.dtype != dtype:
        raise TypeError(f"{name} has dtype {value.dtype}, expected {dtype}")
    if value.shape != shape:
        raise ValueError(f"{name} has shape {value.shape}, expected {shape}")
    refuse_masked(name, value)
    return np.asarray(value)
