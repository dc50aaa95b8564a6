"""Many models of equal shape in one call: the records, and what runs them one after the other.

Letters as in `spec`, and M models.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, NamedTuple, Protocol

import numpy as np

from fastlstm.counts import count_of
from fastlstm.kernels.arguments import plain
from fastlstm.kernels.call import Array, Call, Gradients, States, Weights
from fastlstm.kernels.rows import Int64Array, Rows
from fastlstm.kernels.spec import CellSpec


class ManyCall(NamedTuple):
    """One layer in one direction of each model, over a batch of its own: see `Call`.

    Attributes
    ----------
    x : [M,T,N,I] with a contiguous last axis; all models may share one batch (a stride of zero).
    state : h [M,N,R] and, of an LSTM, c [M,N,H].
    lengths : int64 [M,N]; None if all rows have T steps.
    y : [M,T,N,R], written in full.
    reverse, save, recompute, n_threads : as in `Call`.
    """

    x: Array
    state: States
    lengths: Int64Array | None
    y: Array
    reverse: bool = False
    save: bool = False
    recompute: int = 0
    n_threads: int = 1


class ManyGradients(NamedTuple):
    """What a backward pass of many models is given, and where it writes: see `Gradients`.

    Attributes
    ----------
    dy : [M,T,N,R] or None for zero.
    dstate : gradients of the last states, [M,N,R or H]; any of them None for zero.
    weights : what `Models.hold` returned of the arrays to add to.
    dx : [M,T,N,I] or None if it is not wanted.
    accumulate_dx, n_threads : as in `Gradients`.
    """

    dy: Array | None
    dstate: tuple[Array | None, ...]
    weights: Any
    dx: Array | None = None
    accumulate_dx: bool = False
    n_threads: int = 1


class Models(Protocol):
    """The weights of M models in one layer and direction, held for many calls.

    Results are those of a call for each model, to the bit.
    """

    def hold(self, gradients: Sequence[Weights], /) -> Any:
        """Hold the gradients of the weights, of each model, for many backward passes."""

    def forward(self, call: ManyCall, /) -> tuple[States, Any]:
        """Run all models: the last states [M,N,R or H], and what was saved for `backward`."""

    def backward(self, saved: Any, given: ManyGradients, /) -> States:
        """Run them backward: gradients of the initial states."""


class ManyStream(Protocol):
    """One time step after another of M models, state inside."""

    state: States  # each [M,L,N,R or H]: copies out, values in

    def __call__(self, x: Array, n_threads: int = 1, /) -> Array:
        """Advance by a step: x [M,N,I] -> y [M,N,R]."""


class Looped:
    """Many models one after the other: the definition of what `Backend.models` returns.

    Parameters
    ----------
    forward, backward : of a backend.
    cell : of all models.
    weights : of each model, equal in their shapes; referred to.
    precision : of the products.

    Raises
    ------
    TypeError, ValueError
        Here or in the methods, if an array does not fit the others.
    """

    def __init__(
        self,
        forward: Callable[..., Any],
        backward: Callable[..., Any],
        cell: CellSpec,
        weights: Sequence[Weights],
        precision: str = "float32",
    ) -> None:
        self._forward, self._backward = forward, backward
        self._cell, self._weights, self._precision = cell, list(weights), precision
        if not self._weights:
            raise ValueError("weights is empty, expected those of one model at least")
        check_alike("weights", self._weights, self._weights[0])

    def hold(self, gradients: Sequence[Weights]) -> list[Weights]:
        """Return the gradients of each model, checked."""
        gradients, M = list(gradients), len(self._weights)
        if len(gradients) != M:
            raise ValueError(f"gradients has {count_of(len(gradients), 'model')}, expected {M}")
        check_alike("gradients", gradients, self._weights[0])
        return gradients

    def forward(self, call: ManyCall) -> tuple[States, list[Any] | None]:
        """Run all models: the last states [M,N,R or H], and what was saved for `backward`.

        An error leaves y undefined.
        """
        M, x, lengths = len(self._weights), call.x, call.lengths
        dtype = self._weights[0].w_hh.dtype
        x = plain("x", x, dtype, (M, None, None, self._weights[0].w_ih.shape[1]))
        T, N = x.shape[1:3]
        if lengths is not None:
            lengths = plain("lengths", lengths, np.dtype(np.int64), (M, N))
        arrays = {f"state[{i}]": part for i, part in enumerate(call.state)} | {"y": call.y}
        for name, array in arrays.items():
            plain(name, array, dtype, (M, *[None] * (np.ndim(array) - 1)))
        states, saved = [], []
        for m, weights in enumerate(self._weights):
            one = Call(
                x[m],
                tuple(part[m] for part in call.state),
                weights,
                Rows(T, N, None if lengths is None else lengths[m]),
                call.y[m],
                reverse=call.reverse,
                save=call.save,
                recompute=call.recompute,
                n_threads=call.n_threads,
                precision=self._precision,
            )
            state, kept = self._forward(self._cell, one)
            states.append(state)
            saved.append(kept)
        return stacked(states), saved if call.save else None

    def backward(self, saved: list[Any], given: ManyGradients) -> States:
        """Run them backward: gradients of the initial states."""
        states = []
        for m, (kept, weights) in enumerate(zip(saved, given.weights, strict=True)):
            one = Gradients(
                None if given.dy is None else given.dy[m],
                tuple(None if part is None else part[m] for part in given.dstate),
                weights,
                None if given.dx is None else given.dx[m],
                given.accumulate_dx,
                given.n_threads,
            )
            states.append(self._backward(kept, one)[0])
        return stacked(states)


class LoopedStream:
    """Steps of many models one after the other, of a stream each."""

    def __init__(self, streams: Sequence[Any]) -> None:
        self._streams = list(streams)

    def __call__(self, x: Array, n_threads: int = 1, /) -> Array:
        pairs = zip(self._streams, x, strict=True)
        return np.stack([stream(one, None, n_threads).copy() for stream, one in pairs])

    @property
    def state(self) -> States:
        """Each state [M,L,N,R or H]: copies out, values in."""
        return stacked([stream.state for stream in self._streams])

    @state.setter
    def state(self, value: States) -> None:
        put_states(self._streams, value)


def put_states(streams: Sequence[Any], state: States) -> None:
    """Set the states [M,L,N,R or H] of streams."""
    for stream, *parts in zip(streams, *state, strict=True):
        stream.state = tuple(parts)


def stacked(states: Sequence[States]) -> States:
    """Return the states of each model as arrays of all."""
    return tuple(np.stack(part) for part in zip(*states, strict=True))


def check_alike(name: str, models: Sequence[Weights], first: Weights) -> None:
    """Raise TypeError or ValueError if the arrays of a model are not as those of the first."""
    for m, weights in enumerate(models):
        if len(weights.params) != len(first.params):
            raise ValueError(
                f"{name}[{m}].params has {count_of(len(weights.params), 'array')}, not as many"
            )
        for field, array, like in zip(_names(first), weights.arrays(), first.arrays(), strict=True):
            if (array is None) != (like is None):
                raise ValueError(f"{name}[{m}].{field} is None, or that of the first model is")
            if array is not None and like is not None:
                plain(f"{name}[{m}].{field}", array, like.dtype, like.shape)


def _names(weights: Weights) -> list[str]:
    return [*weights._fields[:5], *[f"params[{i}]" for i in range(len(weights.params))]]
