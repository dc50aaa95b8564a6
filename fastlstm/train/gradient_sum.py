"""Gradients of several processes added up: dense ones whole, sparse ones by the rows touched."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import groupby

import numpy as np
from numpy.typing import NDArray

from fastlstm.distributed.processes import Processes
from fastlstm.nn.module import Array, Parameter, RowGrad
from fastlstm.train.parameters import NamedParameter

# Kinds of a gradient; from 0 on: so many rows. What was sent is dense, and may have been zeros.
SENT, NONE, DENSE = -3, -2, -1


def kinds_of(parameters: Sequence[NamedParameter], sent: NDArray[np.bool_]) -> NDArray[np.int64]:
    """Return what gradient each parameter has, for all processes to know of each other.

    `sent` says whose was sent already, see `Sending`.
    """
    kinds = np.array([_kind(parameter) for _, parameter in parameters], np.int64)
    return np.where(sent, SENT, kinds)


def sum_gradients(
    processes: Processes, parameters: Sequence[NamedParameter], kinds: NDArray[np.int64],
    weight: float,
) -> None:  # fmt: skip
    """Replace each gradient by the sum over the processes, of each the part `weight`.

    `kinds` [size, parameters] are those of all; what all have sent stays. The sum is the same in
    all, bit for bit.
    """
    named = [
        (parameter, _union(processes, parameter) if most >= 0 else None)
        for (_, parameter), most in zip(parameters, kinds.max(axis=0), strict=True)
        if most > NONE
    ]
    for _, group in groupby(sorted(named, key=_dtype), key=_dtype):
        _sum(processes, list(group), weight)


def _kind(parameter: Parameter) -> int:
    if parameter.rows is not None:
        return len(parameter.rows.index)
    return DENSE if parameter.has_grad else NONE


def _dtype(item: tuple[Parameter, NDArray[np.int64] | None]) -> str:
    return str(item[0].data.dtype)


def _union(processes: Processes, parameter: Parameter) -> NDArray[np.int64]:
    """Return the rows that the batch touched, in any process."""
    own = np.zeros(0, np.int64) if parameter.rows is None else parameter.rows.index
    told = processes.gather_bytes(own.tobytes())
    touched = np.zeros(len(parameter.data), np.bool_)
    for one in told:
        touched[np.frombuffer(one, np.int64)] = True
    return np.flatnonzero(touched)


def _sum(
    processes: Processes, items: list[tuple[Parameter, NDArray[np.int64] | None]], weight: float
) -> None:
    """Add up gradients of one dtype, all in one message."""
    shapes = [_shape(parameter, rows) for parameter, rows in items]
    ends = np.cumsum([int(np.prod(shape)) for shape in shapes])
    flat = np.zeros(ends[-1], items[0][0].data.dtype)
    parts = [part.reshape(s) for part, s in zip(np.split(flat, ends[:-1]), shapes, strict=True)]
    for (parameter, rows), part in zip(items, parts, strict=True):
        _put(parameter, rows, part)
    flat *= flat.dtype.type(weight)
    total = np.split(processes.sum(flat), ends[:-1])
    for (parameter, rows), part, shape in zip(items, total, shapes, strict=True):
        if rows is None:
            parameter.grad[...] = part.reshape(shape)
        else:
            parameter.rows = RowGrad(rows, part.reshape(shape))


def _shape(parameter: Parameter, rows: NDArray[np.int64] | None) -> tuple[int, ...]:
    shape = parameter.data.shape
    return shape if rows is None else (len(rows), *shape[1:])


def _put(parameter: Parameter, rows: NDArray[np.int64] | None, part: Array) -> None:
    """Write the gradient of this process into a part of the message, which is zero."""
    if rows is None:
        if parameter.has_grad:
            part[...] = parameter.grad
    elif parameter.rows is not None:
        part[np.searchsorted(rows, parameter.rows.index)] = parameter.rows.value
