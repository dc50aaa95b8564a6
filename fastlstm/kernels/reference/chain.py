"""A chain of stages in plain NumPy: the definition."""

from __future__ import annotations

import numpy as np

from fastlstm.kernels.call import Array, States
from fastlstm.kernels.chain import (
    ChainSpec,
    Convolution,
    Map,
    Placed,
    Recurrence,
    read_chain,
    read_signal,
    state_of,
)
from fastlstm.kernels.reference.activations import sigmoid
from fastlstm.kernels.reference.cells import product, steps_of
from fastlstm.kernels.steps import OneCaller, read_states


class Chain:
    """Frames of a signal through stages, what they carry from frame to frame kept inside.

    Parameters
    ----------
    spec : the stages, copied: later changes to the model are not seen.
    batch_size : N.

    Attributes
    ----------
    state : in the order of `state_of`, each [1,N,size]: copies out, values in.
    """

    def __init__(self, spec: ChainSpec, batch_size: int) -> None:
        self._placed = read_chain(spec.copy(), batch_size)
        self._spec, self._N, self._caller = spec, batch_size, OneCaller()
        self._names, sizes = state_of(self._placed)
        self._state = [np.zeros((1, batch_size, size), spec.dtype) for size in sizes]

    @np.errstate(all="ignore")
    def __call__(self, x: Array, n_threads: int = 1) -> Array:
        """Go on by some frames: x [N,F*P,C] -> y [N,F*Q,O] of the last stage.

        With N = 1 the batch axis may be left out, of x and then of y; with C = 1 the channels of x.

        Raises
        ------
        TypeError, ValueError
            If x is not an array of that dtype and shape.
        """
        _, frame, channels, dtype = self._spec
        x, single = read_signal(x, self._N, frame, channels, dtype)
        with self._caller:
            made = [self._frame(part) for part in np.split(x, x.shape[1] // frame, axis=1)]
        y: Array = np.concatenate(made, axis=1)
        return y[0] if single else y

    def _frame(self, x: Array) -> Array:
        at = 0
        for placed in self._placed:
            n = len(list(placed.states))
            before = tuple(part[0] for part in self._state[at : at + n])
            x, after = _run(placed, x, before)
            for part, value in zip(self._state[at : at + n], after, strict=True):
                part[0] = value
            at += n
        return x

    @property
    def state(self) -> States:
        with self._caller:
            return tuple(part.copy() for part in self._state)

    @state.setter
    def state(self, value: States) -> None:
        shapes = [part.shape for part in self._state]
        values = read_states(value, self._names, shapes, self._spec.dtype)
        with self._caller:
            for part, new in zip(self._state, values, strict=True):
                part[...] = new


def _run(placed: Placed, x: Array, state: States) -> tuple[Array, States]:
    """Run a stage on a frame of each row: x [N,P,C] -> y [N,Q,O], and its state after that."""
    stage = placed.stage
    if isinstance(stage, Convolution):
        return _convolve(stage, x, state)
    if isinstance(stage, Recurrence):
        return _step(stage, x, state)
    if isinstance(stage, Map):
        return _map(stage.name, x), ()
    return x.mean(axis=1, keepdims=True), ()


def _convolve(conv: Convolution, x: Array, state: States) -> tuple[Array, States]:
    if conv.context:
        past = state[0].reshape(len(x), conv.context, x.shape[2])
        x = np.concatenate([past, x], axis=1)
        state = (x[:, -conv.context :].reshape(len(x), -1),)
    x = np.pad(x, ((0, 0), conv.padding, (0, 0)), "reflect" if conv.reflect else "constant")
    O, C, kernel = conv.weight.shape
    windows = np.lib.stride_tricks.sliding_window_view(x, kernel, axis=1)[:, :: conv.stride]
    N, Q = windows.shape[:2]
    rows = windows.reshape(N * Q, C * kernel)
    return product(conv.weight.reshape(O, -1), rows, conv.bias).reshape(N, Q, O), state


def _step(stage: Recurrence, x: Array, state: States) -> tuple[Array, States]:
    cell, w = stage
    made = []
    for position in range(x.shape[1]):
        z_x = product(w.w_ih, x[:, position], w.b_ih)
        state, _ = steps_of(cell).forward(z_x, state, w)
        made.append(state[0])
    return np.stack(made, axis=1), state


def _map(name: str, x: Array) -> Array:
    if name == "relu":
        return np.maximum(x, 0)
    if name == "sigmoid":
        return sigmoid(x)
    if name == "tanh":
        return np.tanh(x)
    re, im = np.split(x, 2, axis=2)
    magnitude: Array = np.sqrt(re * re + im * im)
    return magnitude
