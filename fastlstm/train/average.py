"""Exponential moving average of the weights.

Averaged weights often generalise better than the last ones, and let the learning rate stay
high for longer. With decay ``d`` the average after ``t`` steps is

    a_t = (1 - d) / (1 - d^t) * sum over s = 1..t of d^(t - s) w_s

the usual average with Adam's bias correction, so it needs no warm-up.

A row of an embedding that a batch does not touch keeps its weights, and then ``k`` terms of
the sum are one: rows are brought up to date only when they are about to change, which costs a
step the touched rows and not the whole table.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from contextlib import contextmanager

import numpy as np
from numpy.typing import NDArray

from fastlstm.nn.module import Array, Parameter
from fastlstm.train.parameters import Parameters, named_parameters
from fastlstm.train.state import State, copy_into


class Average:
    """Average of the weights after each optimizer step, of exponentially falling weight.

    Call `before_step` just before every ``optimizer.step()``, when the gradients are there.

    Parameters
    ----------
    parameters : a module, its named parameters or its parameters.
    decay : in (0, 1): ``1 / (1 - decay)`` steps are averaged, roughly.
    """

    def __init__(self, parameters: Parameters, decay: float) -> None:
        if not 0.0 < decay < 1.0:
            raise ValueError(f"decay is {decay}, expected a number between 0 and 1")
        self._parameters = named_parameters(parameters)
        self._log_decay = math.log(decay)
        self.steps = 0
        self._sum = {name: np.zeros_like(p.data) for name, p in self._parameters}
        # the step whose weights each row's sum holds last; scalars and vectors are one row
        self._last = {
            name: np.zeros(len(p.data) if p.data.ndim > 1 else 1, dtype=np.int64)
            for name, p in self._parameters
        }

    def before_step(self) -> None:
        """Add the weights that the coming optimizer step will change to their sums."""
        for name, parameter in self._parameters:
            if parameter.rows is not None:
                self._add_rows(name, parameter, parameter.rows.index)
            elif parameter.has_grad:
                self._add_all(name, parameter)
        self.steps += 1

    def weights(self) -> dict[str, Array]:
        """Return the averaged weights by name, as new arrays."""
        if self.steps == 0:
            return {name: parameter.data.copy() for name, parameter in self._parameters}
        scale = 1.0 / -math.expm1(self.steps * self._log_decay)
        averaged: dict[str, Array] = {}
        for name, parameter in self._parameters:
            keep, add = self._factors(self.steps - self._last[name], parameter.data)
            averaged[name] = (self._sum[name] * keep + parameter.data * add) * scale
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

    def _add_rows(self, name: str, parameter: Parameter, index: NDArray[np.int64]) -> None:
        last = self._last[name]
        weights = parameter.data[index]
        keep, add = self._factors(self.steps - last[index], parameter.data)
        total = self._sum[name][index]
        total *= keep
        weights *= add
        total += weights
        self._sum[name][index] = total
        last[index] = self.steps

    def _add_all(self, name: str, parameter: Parameter) -> None:
        last, total = self._last[name], self._sum[name]
        keep, add = self._factors(self.steps - last, parameter.data)
        total *= keep
        total += parameter.data * add
        last[...] = self.steps

    def _factors(self, age: NDArray[np.int64], like: Array) -> tuple[Array, Array]:
        """Weights of the old sum and of the current value after `age` equal terms."""
        if age.size and age[0] == age[-1] and np.all(age == age[0]):
            age = age[:1]  # one number serves all rows: the usual case of a dense gradient
        exponent = age * self._log_decay
        shape = (-1,) + (1,) * (like.ndim - 1)
        keep = np.exp(exponent).astype(like.dtype).reshape(shape)
        add = -np.expm1(exponent).astype(like.dtype).reshape(shape)
        return keep, add

    def state_dict(self) -> dict[str, NDArray[np.generic]]:
        """Return copies of what a resumed run needs."""
        state = {name: array.copy() for name, array in self._named_state()}
        return {"step": np.array(self.steps, dtype=np.int64), **state}

    def load_state_dict(self, state: State) -> None:
        """Take over the state of another average of the same parameters.

        Raises
        ------
        ValueError
            If a name is missing or unknown, or a shape or dtype differs; nothing has changed.
        """
        step = np.array(0, dtype=np.int64)
        copy_into({"step": step, **dict(self._named_state())}, state, type(self).__name__)
        self.steps = int(step)

    def _named_state(self) -> Iterator[tuple[str, NDArray[np.generic]]]:
        for name, _ in self._parameters:
            yield f"sum.{name}", self._sum[name]
            yield f"last.{name}", self._last[name]
