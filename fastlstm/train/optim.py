"""Optimizers: SGD, Adam and AdamW for dense and for row-sparse gradients.

Dense parameters are updated exactly as `torch.optim` does. A parameter whose gradient is
row-sparse (`Parameter.rows`, an embedding's) is updated in the touched rows only, as
`torch.optim.SparseAdam` does. What differs from giving the dense optimizer a gradient with
zeros in the other rows:

- an untouched row stays as it is, where dense Adam (or momentum) would go on moving it;
- its moments keep their values, where dense Adam would let them decay;
- bias correction counts the optimizer's steps, not the row's own;
- weight decay acts on a row only when the row is touched.

A touched row moves exactly as in the dense optimizer with the same moments. (So `eps` is added
after the bias correction as in `torch.optim.Adam`; SparseAdam adds it before.)
"""

from __future__ import annotations

import math
from collections.abc import Iterator

import numpy as np
from numpy.typing import NDArray

from fastlstm.nn.module import Array, Parameter, RowGrad
from fastlstm.train.parameters import Parameters, named_parameters
from fastlstm.train.state import State, copy_into

# Elements updated at a time: five float32 chunks (weight, gradient, two moments, scratch) stay
# in the second-level cache, and NumPy's cost of a call is spread over enough of them.
CHUNK = 16384


def sgd_update(
    p: Array, g: Array, v: Array | None, scratch: Array,
    lr: float, momentum: float, nesterov: bool, weight_decay: float,
) -> None:  # fmt: skip
    """One SGD step on arrays of one shape, in place: `p` and the velocity `v` change."""
    if weight_decay:
        g = np.add(g, p * weight_decay)
    if v is None:
        p -= np.multiply(g, lr, out=scratch)
        return
    v *= momentum
    v += g
    if nesterov:
        np.multiply(v, momentum, out=scratch)
        scratch += g
        scratch *= lr
    else:
        np.multiply(v, lr, out=scratch)
    p -= scratch


def adam_update(
    p: Array, g: Array, m: Array, v: Array, scratch: Array,
    lr: float, beta1: float, beta2: float, eps: float, step: int,
    weight_decay: float = 0.0, decoupled: bool = False,
) -> None:  # fmt: skip
    """One Adam or AdamW step on arrays of one shape, in place: `p`, `m` and `v` change.

    `step` counts from 1. `weight_decay` is added to the gradient, or with `decoupled` shrinks
    `p` itself (AdamW).
    """
    if weight_decay and decoupled:
        p *= 1.0 - lr * weight_decay
    elif weight_decay:
        g = np.add(g, p * weight_decay)
    m *= beta1
    m += np.multiply(g, 1.0 - beta1, out=scratch)
    v *= beta2
    np.multiply(g, g, out=scratch)
    scratch *= 1.0 - beta2
    v += scratch
    np.sqrt(v, out=scratch)
    scratch *= 1.0 / math.sqrt(1.0 - beta2**step)
    scratch += eps
    np.divide(m, scratch, out=scratch)
    scratch *= lr / (1.0 - beta1**step)
    p -= scratch


class Optimizer:
    """Base of the optimizers: walks over parameters, rows and chunks.

    Attributes
    ----------
    lr : learning rate of the next step; assign to it to follow a schedule.
    steps : number of steps made so far.
    """

    slots: tuple[str, ...] = ()  # names of the state arrays that each parameter has

    def __init__(self, parameters: Parameters, lr: float, weight_decay: float = 0.0) -> None:
        self._parameters = named_parameters(parameters)
        self.lr = _checked("lr", lr, 0.0)
        self.weight_decay = _checked("weight_decay", weight_decay, 0.0)
        self.steps = 0
        self._state = {
            name: [np.zeros_like(parameter.data) for _ in self.slots]
            for name, parameter in self._parameters
        }
        self._buffers: dict[np.dtype[np.generic], list[Array]] = {}

    def _update(self, p: Array, g: Array, state: list[Array], scratch: Array) -> None:
        """Apply the rule to one chunk, in place; overridden by each optimizer."""
        raise TypeError(f"{type(self).__name__} is not an optimizer: it has no update rule")

    def step(self) -> None:
        """Update every parameter that has a gradient; leave the gradients as they are."""
        self.steps += 1
        for name, parameter in self._parameters:
            if parameter.rows is not None:
                self._step_rows(parameter, parameter.rows, self._state[name])
            elif parameter.has_grad:
                self._step_dense(parameter, self._state[name])

    def zero_grad(self) -> None:
        """Zero the gradient of every parameter."""
        for _, parameter in self._parameters:
            parameter.zero_grad()

    def _step_dense(self, parameter: Parameter, state: list[Array]) -> None:
        arrays = [a.reshape(-1) for a in (parameter.data, parameter.grad, *state)]
        scratch = self._chunks(parameter.data.dtype)[0]
        for part in _slices(parameter.data.size, CHUNK):
            p, g, *s = (a[part] for a in arrays)
            self._update(p, g, s, scratch[: p.size])

    def _step_rows(self, parameter: Parameter, rows: RowGrad, state: list[Array]) -> None:
        """Gather some touched rows, update them as a dense chunk, scatter them back."""
        tables = [parameter.data, *state]
        width = parameter.data.shape[1]
        buffers = self._chunks(parameter.data.dtype, width)
        for part in _slices(len(rows.index), max(1, CHUNK // width)):
            index = rows.index[part]
            scratch, *parts = (b[: index.size * width].reshape(-1, width) for b in buffers)
            for table, rows_of in zip(tables, parts, strict=True):
                # mode="clip" lets `take` write straight into `out`; the indices are in range
                np.take(table, index, axis=0, out=rows_of, mode="clip")
            self._update(parts[0], rows.value[part], parts[1:], scratch)
            for table, rows_of in zip(tables, parts, strict=True):
                table[index] = rows_of

    def _chunks(self, dtype: np.dtype[np.generic], width: int = 1) -> list[Array]:
        """Scratch, weight and state buffers of one chunk, kept between steps."""
        buffers = self._buffers.get(dtype)
        if buffers is None or buffers[0].size < width:
            size = max(CHUNK, width)
            buffers = [np.empty(size, dtype=dtype) for _ in range(2 + len(self.slots))]
            self._buffers[dtype] = buffers
        return buffers

    def state_dict(self) -> dict[str, NDArray[np.generic]]:
        """Return copies of what a resumed run needs: ``step`` and ``<slot>.<parameter>``.

        Hyper-parameters are not part of it: give them to the new optimizer.
        """
        state = {name: array.copy() for name, array in self._named_state()}
        return {"step": np.array(self.steps, dtype=np.int64), **state}

    def load_state_dict(self, state: State) -> None:
        """Take over the state of another optimizer of the same kind and parameters.

        Raises
        ------
        ValueError
            If a name is missing or unknown, or a shape or dtype differs; nothing has changed.
        """
        step = np.array(0, dtype=np.int64)
        copy_into({"step": step, **dict(self._named_state())}, state, type(self).__name__)
        self.steps = int(step)

    def _named_state(self) -> Iterator[tuple[str, Array]]:
        for name, _ in self._parameters:
            for slot, array in zip(self.slots, self._state[name], strict=True):
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
    """

    def __init__(
        self, parameters: Parameters, lr: float = 1e-3, momentum: float = 0.0,
        weight_decay: float = 0.0, nesterov: bool = False,
    ) -> None:  # fmt: skip
        self.momentum = _checked("momentum", momentum, 0.0, 1.0)
        self.nesterov = bool(nesterov)
        if nesterov and not momentum:
            raise ValueError("nesterov is True but momentum is 0: it needs a positive momentum")
        self.slots = ("velocity",) if momentum else ()
        super().__init__(parameters, lr, weight_decay)

    def _update(self, p: Array, g: Array, state: list[Array], scratch: Array) -> None:
        velocity = state[0] if state else None
        sgd_update(
            p, g, velocity, scratch, self.lr, self.momentum, self.nesterov, self.weight_decay
        )


class Adam(Optimizer):
    """Adam as `torch.optim.Adam`; for row-sparse gradients as `torch.optim.SparseAdam`.

    Parameters
    ----------
    parameters : a module, its named parameters or its parameters.
    lr : learning rate.
    betas : decay of the first and of the second moment, each in [0, 1).
    eps : added to the root of the second moment.
    weight_decay : L2 penalty, added to the gradient.
    """

    slots = ("m", "v")
    decoupled = False

    def __init__(
        self, parameters: Parameters, lr: float = 1e-3,
        betas: tuple[float, float] = (0.9, 0.999), eps: float = 1e-8, weight_decay: float = 0.0,
    ) -> None:  # fmt: skip
        super().__init__(parameters, lr, weight_decay)
        self.betas = (_checked("betas", betas[0], 0.0, 1.0), _checked("betas", betas[1], 0.0, 1.0))
        self.eps = _checked("eps", eps, 0.0)

    def _update(self, p: Array, g: Array, state: list[Array], scratch: Array) -> None:
        m, v = state
        beta1, beta2 = self.betas
        adam_update(
            p, g, m, v, scratch, self.lr, beta1, beta2, self.eps, self.steps,
            self.weight_decay, self.decoupled,
        )  # fmt: skip


class AdamW(Adam):
    """Adam with decoupled weight decay, as `torch.optim.AdamW`."""

    decoupled = True

    def __init__(
        self, parameters: Parameters, lr: float = 1e-3,
        betas: tuple[float, float] = (0.9, 0.999), eps: float = 1e-8, weight_decay: float = 0.01,
    ) -> None:  # fmt: skip
        super().__init__(parameters, lr, betas, eps, weight_decay)


def _slices(size: int, step: int) -> Iterator[slice]:
    return (slice(start, min(start + step, size)) for start in range(0, size, step))


def _checked(name: str, value: float, low: float, below: float = math.inf) -> float:
    """`value` as a float in ``[low, below)``, or a ValueError that names it."""
    if not low <= value < below:
        limit = "" if below == math.inf else f" and below {below:g}"
        raise ValueError(f"{name} is {value}, expected at least {low:g}{limit}")
    return float(value)
