"""Gradients of several processes added up: dense ones whole, sparse ones by the rows touched."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import groupby

import numpy as np
from numpy.typing import NDArray

from fastlstm.distributed.processes import Processes
from fastlstm.nn.module import Array
from fastlstm.nn.parameter import Parameter, RowGrad
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
        (parameter, _union(processes, parameter, of_each) if of_each.max() >= 0 else None)
        for (_, parameter), of_each in zip(parameters, kinds.T, strict=True)
        if of_each.max() > NONE
    ]
    for _, group in groupby(sorted(named, key=_dtype), key=_dtype):
        _sum(processes, list(group), weight)


def _kind(parameter: Parameter) -> int:
    if parameter.rows is not None:
        return len(parameter.rows.index)
    return DENSE if parameter.has_grad else NONE


def _dtype(item: tuple[Parameter, NDArray[np.int64] | None]) -> str:
    return str(item[0].data.dtype)


def _union(
    processes: Processes, parameter: Parameter, kinds: NDArray[np.int64]
) -> NDArray[np.int64]:
    """Return the rows that the batch touched, in any process: of each so many as `kinds` says."""
    counts = np.maximum(kinds, 0)
    own = np.zeros(counts.max(), np.int64)
    if parameter.rows is not None:
        own[: len(parameter.rows.index)] = parameter.rows.index
    touched = np.zeros(len(parameter.data), np.bool_)
    for index, count in zip(processes.gather(own), counts, strict=True):
        touched[index[:count]] = True
    return np.flatnonzero(touched)


def _sum(
    processes: Processes, items: list[tuple[Parameter, NDArray[np.int64] | None]], weight: float
) -> None:
    """Add up gradients of one dtype, all in one message."""
    shapes = [_shape(parameter, rows) for parameter, rows in items]
    ends = np.cumsum([int(np.prod(shape)) for shape in shapes])
    # of a length that processes share without a copy
    flat = np.zeros(-(-ends[-1] // processes.size) * processes.size, items[0][0].data.dtype)
    parts = np.split(flat[: ends[-1]], ends[:-1])
    for (parameter, rows), part, shape in zip(items, parts, shapes, strict=True):
        _put(parameter, rows, part.reshape(shape), flat.dtype.type(weight))
    total = np.split(processes.sum(flat)[: ends[-1]], ends[:-1])
    for (parameter, rows), part, shape in zip(items, total, shapes, strict=True):
        if rows is None:
            parameter.grad[...] = part.reshape(shape)
        else:
            parameter.rows = RowGrad(rows, part.reshape(shape))


def _shape(parameter: Parameter, rows: NDArray[np.int64] | None) -> tuple[int, ...]:
    shape = parameter.data.shape
    return shape if rows is None else (len(rows), *shape[1:])


def _put(
    parameter: Parameter, rows: NDArray[np.int64] | None, part: Array, weight: np.floating
) -> None:
    """Write the gradient of this process, weighted, into a part of the message, which is zero."""
    if rows is None:
        if parameter.has_grad:
            np.multiply(parameter.grad, weight, out=part)
    elif parameter.rows is not None:
        part[np.searchsorted(rows, parameter.rows.index)] = parameter.rows.value * weight
