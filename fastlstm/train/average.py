"""Exponential moving average of the weights.

With decay ``d`` the average after ``t`` steps is

    a_t = (1 - d) / (1 - d^t) * sum over s = 1..t of d^(t - s) w_s

which has Adam's bias correction, so it needs no warm-up. A row of an embedding that no batch
touches keeps its weights, so its sum is brought up to date only before it changes: a step costs
the touched rows, not the whole table.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import numpy as np
from numpy.typing import NDArray

from fastlstm.kernels.adam import WeightSum
from fastlstm.nn.module import Array
from fastlstm.nn.parameter import Parameter
from fastlstm.train.parameters import Parameters, row_blocks, trainable_parameters
from fastlstm.train.state import Stateful


class Average(Stateful):
    """Exponential moving average of the weights after each optimizer step.

    Call `before_step` just before every ``optimizer.step()``, when the gradients are there.

    Parameters
    ----------
    parameters : a module, its named parameters or its parameters.
    decay : in (0, 1): about ``1 / (1 - decay)`` steps are averaged.

    Raises
    ------
    ValueError
        If decay is not between 0 and 1.
    """

    def __init__(self, parameters: Parameters, decay: float) -> None:
        if not 0.0 < decay < 1.0:
            raise ValueError(f"decay is {decay}, expected a number between 0 and 1")
        self._parameters, self.decay = trainable_parameters(parameters), decay
        self._log_decay = math.log(decay)
        self._sum = {name: np.zeros_like(p.data) for name, p in self._parameters}
        # the last step in the sum of each row; scalars and vectors are one row
        self._last = {
            name: np.zeros(len(p.data) if p.data.ndim > 1 else 1, dtype=np.int64)
            for name, p in self._parameters
        }

    def before_step(self) -> None:
        """Add the weights that the coming optimizer step will change to their sums."""
        for name, parameter in self._parameters:
            if parameter.has_grad:
                due, sparse = self.due(name, parameter), parameter.rows
                blocks = row_blocks(parameter.data) if sparse is None else [sparse.index]
                for rows in blocks:
                    add_weights(due, parameter.data, rows)
        self.steps += 1

    def due(self, name: str, parameter: Parameter) -> WeightSum:
        """Return what `before_step` would add to the sum of a parameter, and count it as added.

        For an optimizer that adds it in the same pass as its update. It counts the step in `steps`
        when all parameters with a gradient are done.
        """
        total, last = self._sum[name], self._last[name]
        rows = slice(None) if parameter.rows is None else parameter.rows.index
        age = self.steps - last[rows]
        last[rows] = self.steps
        if parameter.rows is None:
            if np.any(age != age[:1]):  # after gradients of single rows
                due = WeightSum(total, *self._factors(age, total.dtype))
                add_weights(due, parameter.data, rows)
                age[:1] = 0
            age = age[:1]
        return WeightSum(total, *self._factors(age, total.dtype))

    def weights(self) -> dict[str, Array]:
        """Return the averaged weights by name, as new arrays."""
        if self.steps == 0:
            return {name: parameter.data.copy() for name, parameter in self._parameters}
        scale = 1.0 / -math.expm1(self.steps * self._log_decay)
        averaged: dict[str, Array] = {}
        for name, parameter in self._parameters:
            total = self._sum[name]
            keep, add = self._factors(self.steps - self._last[name], total.dtype)
            current = total * _per_row(keep, total) + parameter.data * _per_row(add, total)
            averaged[name] = current * scale
        return averaged

    @contextmanager
    def applied(self) -> Iterator[None]:
        """Put the averaged weights into the parameters inside a ``with`` block."""
        current = {name: parameter.data.copy() for name, parameter in self._parameters}
        averaged = self.weights()
        try:
            for name, parameter in self._parameters:
                parameter.data[...] = averaged[name]
            yield
        finally:
            for name, parameter in self._parameters:
                parameter.data[...] = current[name]

    def _factors(self, age: NDArray[np.int64], dtype: np.dtype[Any]) -> tuple[Array, Array]:
        """Return factors, shaped like age, of an old sum and of a value kept for `age` steps."""
        exponent = age * self._log_decay
        return np.exp(exponent).astype(dtype), -np.expm1(exponent).astype(dtype)

    def _named_state(self) -> Iterator[tuple[str, NDArray[np.generic]]]:
        for name, _ in self._parameters:
            yield f"sum.{name}", self._sum[name]
            yield f"last.{name}", self._last[name]


def add_weights(total: WeightSum, weights: Array, rows: Any) -> None:
    """Bring the chosen rows of a sum up to date."""
    kept = total.sum[rows] * _per_row(total.keep, weights)
    total.sum[rows] = kept + weights[rows] * _per_row(total.add, weights)


def _per_row(factor: Array, like: Array) -> Array:
    """Return a factor for each row, shaped to multiply all elements of the row."""
    return factor.reshape(-1, *[1] * (like.ndim - 1)) if like.ndim else factor[0]
