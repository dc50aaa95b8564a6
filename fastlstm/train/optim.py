"""Optimizers: SGD, Adam and AdamW for dense and for row-sparse gradients.

Dense parameters are updated exactly as in `torch.optim`. A parameter with a row-sparse gradient
(`Parameter.rows`, of an embedding) is updated in the touched rows only, as by
`torch.optim.SparseAdam`. The other rows do not see a gradient of zeros:

- an untouched row does not move, and its moments do not decay;
- bias correction counts the optimizer's steps, not the row's own;
- weight decay acts on a row only when it is touched.

A touched row moves exactly as in the dense optimizer with the same moments: `eps` is added after
the bias correction as in `torch.optim.Adam`; SparseAdam adds it before.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from operator import is_
from typing import Any

import numpy as np
from numpy.typing import NDArray

from fastlstm import kernels
from fastlstm.kernels.adam import AdamNumbers, AdamStep, WeightSum
from fastlstm.nn.check import check_choice, check_flag, check_number
from fastlstm.nn.module import Array
from fastlstm.nn.parameter import Parameter, check_writable
from fastlstm.runtime import get_num_threads
from fastlstm.shown import shown
from fastlstm.train.average import Average, add_weights
from fastlstm.train.parameters import (
    NamedParameter,
    Parameters,
    row_blocks,
    trainable_parameters,
)
from fastlstm.train.state import Stateful

# Increasing numbers of the rows that have a gradient; None for all rows.
RowIndex = NDArray[np.int64] | None


class Optimizer(Stateful):
    """Base of the optimizers.

    Parameters
    ----------
    parameters : a module, its named parameters or its parameters.
    lr : learning rate.
    weight_decay : of a step; see the optimizer.

    Attributes
    ----------
    lr : learning rate of the next step; assign to it to follow a schedule.
    """

    _slots: tuple[str, ...] = ()  # names of the state arrays of each parameter

    def __init__(self, parameters: Parameters, lr: float, weight_decay: float = 0.0) -> None:
        self._parameters = trainable_parameters(parameters)
        for name, parameter in self._parameters:
            check_writable(name, parameter)
        self.lr = _checked("lr", lr, 0.0)
        self.weight_decay = _checked("weight_decay", weight_decay, 0.0)
        self._state = {
            name: [np.zeros_like(parameter.data) for _ in self._slots]
            for name, parameter in self._parameters
        }

    def __repr__(self) -> str:
        return shown(self, parameters=len(self._parameters))

    def step(self, scale: float = 1.0, average: Average | None = None) -> None:
        """Update every parameter that has a gradient; leave the gradients as they are.

        Parameters
        ----------
        scale : factor on all gradients, such as that of `clip_factor`.
        average : brought up to date first, as by its `before_step`.
        """
        self.steps += 1
        left = self._parameters if average else self._update_at_once(scale)
        for name, parameter in left:
            if not parameter.has_grad:
                continue
            total = average.due(name, parameter) if average else None
            rows, gradient = parameter.rows or (None, parameter.grad)
            self._update(parameter, gradient, rows, self._state[name], scale, total)
        if average:
            average.steps += 1

    def _update_at_once(self, scale: float) -> list[NamedParameter]:
        """Update what can be updated in one call; return the other parameters."""
        return self._parameters

    def _update(
        self, parameter: Parameter, g: Array, rows: RowIndex, state: list[Array],
        scale: float, total: WeightSum | None,
    ) -> None:  # fmt: skip
        """Update a parameter, or some rows of it, in place; add the old ones to `total` first."""
        raise TypeError(f"{type(self).__name__} is not an optimizer: it has no update rule")

    def zero_grad(self) -> None:
        """Zero the gradient of every parameter."""
        for _, parameter in self._parameters:
            parameter.zero_grad()

    def _named_state(self) -> Iterator[tuple[str, Array]]:
        for name, _ in self._parameters:
            for slot, array in zip(self._slots, self._state[name], strict=True):
                yield f"{slot}.{name}", array


class SGD(Optimizer):
    """Stochastic gradient descent, with momentum, as `torch.optim.SGD`.

    Parameters
    ----------
    parameters : a module, its named parameters or its parameters.
    lr : learning rate.
    momentum : 0 for none.
    weight_decay : L2 penalty, added to the gradient.
    nesterov : look ahead along the velocity; needs momentum.

    Raises
    ------
    ValueError
        If a number is out of its range, nesterov has no momentum, or a parameter is a read-only
        array.
    """

    def __init__(
        self, parameters: Parameters, lr: float = 1e-3, momentum: float = 0.0,
        weight_decay: float = 0.0, nesterov: bool = False,
    ) -> None:  # fmt: skip
        self.momentum = _checked("momentum", momentum, 0.0, 1.0)
        self.nesterov = nesterov = check_flag("nesterov", nesterov)
        if nesterov and not momentum:
            raise ValueError("nesterov is True but momentum is 0: it needs a positive momentum")
        self._slots = ("velocity",) if momentum else ()
        super().__init__(parameters, lr, weight_decay)

    def _update(
        self, parameter: Parameter, g: Array, rows: RowIndex, state: list[Array],
        scale: float, total: WeightSum | None,
    ) -> None:  # fmt: skip
        if rows is not None:
            self._update_rows(parameter.data, g, rows, state, scale, total)
            return
        for block in row_blocks(parameter.data):
            self._update_rows(parameter.data, g[block], block, state, scale, total)

    def _update_rows(
        self, weights: Array, g: Array, rows: Any, state: list[Array],
        scale: float, total: WeightSum | None,
    ) -> None:  # fmt: skip
        """Update the chosen rows, given their gradient."""
        if total is not None:
            add_weights(total, weights, rows)
        if scale != 1.0:
            g = g * g.dtype.type(scale)
        if self.weight_decay:
            g = g + self.weight_decay * weights[rows]
        if self.momentum:
            velocity = self.momentum * state[0][rows] + g
            state[0][rows] = velocity
            g = g + self.momentum * velocity if self.nesterov else velocity
        weights[rows] -= self.lr * g


class Adam(Optimizer):
    """Adam as `torch.optim.Adam`; for row-sparse gradients as `torch.optim.SparseAdam`.

    Parameters
    ----------
    parameters : a module, its named parameters or its parameters.
    lr : learning rate.
    betas : decay of the first and of the second moment, each in [0, 1).
    eps : added to the root of the second moment.
    weight_decay : L2 penalty, added to the gradient.

    Raises
    ------
    ValueError
        If a number is out of its range, or a parameter is a read-only array.
    """

    _slots = ("m", "v")
    decoupled = False  # whether weight decay acts on the weights, not on the gradient

    def __init__(
        self, parameters: Parameters, lr: float = 1e-3,
        betas: tuple[float, float] = (0.9, 0.999), eps: float = 1e-8, weight_decay: float = 0.0,
    ) -> None:  # fmt: skip
        super().__init__(parameters, lr, weight_decay)
        if not isinstance(betas, (tuple, list)) or len(betas) != 2:
            raise TypeError(f"betas is {betas!r}, expected two numbers")
        self.betas = (_checked("betas", betas[0], 0.0, 1.0), _checked("betas", betas[1], 0.0, 1.0))
        self.eps = _checked("eps", eps, 0.0)
        self._grouped: list[Array] = []  # the arrays of
        self._group: Any = None

    def _update(
        self, parameter: Parameter, g: Array, rows: RowIndex, state: list[Array],
        scale: float, total: WeightSum | None,
    ) -> None:  # fmt: skip
        m, v = state
        p, g = parameter.data, np.ascontiguousarray(g)
        kernels.backend().adam(AdamStep(p, m, v, g, rows, self._numbers(scale), total))

    def _update_at_once(self, scale: float) -> list[NamedParameter]:
        """Update all parameters that have dense gradients in one call; return the others."""
        dense = [pair for pair in self._parameters if pair[1].has_grad and pair[1].rows is None]
        arrays = [(p.data, *self._state[name], p.grad) for name, p in dense]
        if len({p.dtype for p, *_ in arrays}) != 1:
            return self._parameters
        now = [array for four in arrays for array in four]
        if len(now) != len(self._grouped) or not all(map(is_, now, self._grouped)):
            self._grouped, self._group = now, kernels.backend().adam_group(arrays)
        self._group.step(self._numbers(scale))
        done = {name for name, _ in dense}
        return [pair for pair in self._parameters if pair[0] not in done]

    def _numbers(self, scale: float) -> AdamNumbers:
        """Return the numbers of a step."""
        beta1, beta2 = self.betas
        return AdamNumbers(
            rate=self.lr / (1.0 - beta1**self.steps),
            root=1.0 / math.sqrt(1.0 - beta2**self.steps),
            eps=self.eps,
            beta1=beta1,
            beta2=beta2,
            shrink=1.0 - self.lr * self.weight_decay if self.decoupled else 1.0,
            decay=0.0 if self.decoupled else self.weight_decay,
            scale=scale,
            n_threads=get_num_threads(),
        )

    def __getstate__(self) -> dict[str, Any]:
        return vars(self) | {"_grouped": [], "_group": None}


class AdamW(Adam):
    """Adam with decoupled weight decay, as `torch.optim.AdamW` (Loshchilov & Hutter 2019).

    Parameters
    ----------
    parameters, lr, betas, eps : as of `Adam`; so are errors.
    weight_decay : fraction of ``lr`` times the weights that a step takes off.
    """

    decoupled = True

    def __init__(
        self, parameters: Parameters, lr: float = 1e-3,
        betas: tuple[float, float] = (0.9, 0.999), eps: float = 1e-8, weight_decay: float = 0.01,
    ) -> None:  # fmt: skip
        super().__init__(parameters, lr, betas, eps, weight_decay)


OPTIMIZERS = ("adam", "adamw", "sgd")


def optimizer(
    name: str, parameters: Parameters, lr: float, weight_decay: float = 0.0, momentum: float = 0.0
) -> Optimizer:
    """Return an optimizer by its name in `OPTIMIZERS`; only "sgd" has momentum."""
    if check_choice("optimizer", name, OPTIMIZERS) == "sgd":
        return SGD(parameters, lr, momentum, weight_decay)
    kind = AdamW if name == "adamw" else Adam
    return kind(parameters, lr, weight_decay=weight_decay)


def _checked(name: str, value: float, low: float, below: float = math.inf) -> float:
    """Return `value` as a float; raise ValueError, by `name`, if not in ``[low, below)``."""
    if not low <= check_number(name, value) < below:
        limit = "finite" if below == math.inf else f"below {below:g}"
        raise ValueError(f"{name} is {value}, expected at least {low:g} and {limit}")
    return float(value)
