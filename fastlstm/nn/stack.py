"""Stacked recurrent layers in one or two directions: their parameters, and the walk over them."""

from __future__ import annotations

import warnings
from collections.abc import Callable, Sequence
from functools import partial
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import DTypeLike

from fastlstm import kernels
from fastlstm.kernels import CellSpec, Kernel, Reset, Weights
from fastlstm.nn.check import (
    Rng,
    check_choice,
    check_dtype,
    check_flag,
    check_probability,
    check_rng,
    check_size,
)
from fastlstm.nn.dropout import dropout_mask
from fastlstm.nn.init import orthogonal
from fastlstm.nn.module import Array, Module, Parameter, described
from fastlstm.nn.reset import BoolArray, Cuts
from fastlstm.nn.sequence import Batch, check_not_nan
from fastlstm.nn.sums import sum_rows
from fastlstm.nn.weights import Owned, find_parameters, make_weights, read_gradients, read_weights
from fastlstm.runtime import get_num_threads

MOST_LAYERS = 10_000  # each is made as an object: a mistaken number must not take all memory
INITS = ("torch", "orthogonal")
CHECKED: dict[str, Callable[[str, Any], Any]] = {  # options that may be changed at any time
    "batch_first": check_flag,
    "dropout": check_probability,
    "recompute": partial(check_size, least=0),
}
States = list[Array]  # each [K,N,...], K = layers * directions


class Run(NamedTuple):
    """What one forward pass keeps for the backward pass."""

    batch: Batch
    saved: list[Any]  # [layers * directions]
    owned: list[Owned]  # likewise: whose gradients are added to, whatever the module has by then
    masks: list[Array | None]  # of dropout, [layers]
    ended: BoolArray | None  # [N], rows whose last state is the initial one again
    learned: bool  # whether the rows began with the layer's own initial state


class Stack(Module):
    """What `Recurrent` runs on; its letters, and K = L*D, the layers of all directions."""

    _fixed = frozenset(
        "input_size hidden_size num_layers bias bidirectional proj_size dtype learn_state "
        "nonlinearity reset_after".split()
    )

    def __setattr__(self, name: str, value: Any) -> None:
        if name in CHECKED:
            value = CHECKED[name](name, value)
        super().__setattr__(name, value)

    def __init__(
        self,
        cell: CellSpec,
        input_size: int,
        hidden_size: int,
        num_layers: int,
        bias: bool,
        batch_first: bool,
        dropout: float,
        bidirectional: bool,
        proj_size: int = 0,
        *,
        dtype: DTypeLike,
        rng: Rng,
        init: str,
        learn_state: bool,
        recompute: int,
    ) -> None:
        self.input_size = check_size("input_size", input_size)
        self.hidden_size = H = check_size("hidden_size", hidden_size)
        self.num_layers = check_size("num_layers", num_layers, most=MOST_LAYERS)
        self.bias = check_flag("bias", bias)
        self.batch_first = batch_first
        self.dropout = dropout
        self.bidirectional = check_flag("bidirectional", bidirectional)
        self.proj_size = check_size("proj_size", proj_size, 0)
        if proj_size >= H:
            raise ValueError(f"proj_size is {proj_size}, expected less than hidden_size, {H}")
        self.dtype = check_dtype(dtype)
        self.learn_state = check_flag("learn_state", learn_state)
        self.recompute = recompute
        check_choice("init", init, INITS)
        if dropout and num_layers == 1:
            warnings.warn(
                f"dropout={dropout} does nothing with num_layers=1: "
                "it applies to the outputs of every layer but the last",
                stacklevel=3,
            )
        self._rng = check_rng(rng)
        self._backend = kernels.default_backend()
        self._cell = cell
        directions = ("", "_reverse") if bidirectional else ("",)
        self._directions, self._size = len(directions), self.proj_size or H
        self._width = self._directions * self._size
        self._suffixes = [f"_l{k}{d}" for k in range(self.num_layers) for d in directions]
        self._make_parameters(init)

    def _make_parameters(self, init: str) -> None:
        H, G = self.hidden_size, len(self._cell.gates)
        for suffix in self._suffixes:
            first = suffix.startswith("_l0")
            sizes = (self.input_size if first else self._width, H, self.proj_size)
            make_weights(self, suffix, self._cell, sizes, self.bias, self.dtype, self._rng)
            if init == "orthogonal":
                weight = getattr(self, "weight_hh" + suffix)
                weight.data = orthogonal(H, self._size, G, self.dtype, self._rng)
        if self.learn_state:
            K, names = len(self._suffixes), self._cell.states
            for name, size in zip(names, self._state_sizes(), strict=True):
                setattr(self, name + "_0", Parameter(np.zeros((K, size), self.dtype)))

    def _kernel(self) -> Kernel:
        return kernels.get(self._cell.name, self._backend)

    def _find_kernel(self) -> Callable[[], Kernel]:
        """Return what returns the kernels, and can be pickled."""
        return partial(kernels.get, self._cell.name, self._backend)

    def _owned(self, k: int) -> Owned:
        """Return the parameters of one layer in one direction."""
        return find_parameters(self, self._suffixes[k])

    def _values(self, owned: Owned) -> Weights:
        return read_weights(owned)

    def _gradients(self, owned: Owned) -> Weights:
        return read_gradients(owned)

    def _weights(self, k: int) -> Weights:
        return self._values(self._owned(k))

    def extra_repr(self) -> str:
        """Return the sizes and the options that differ from the usual ones."""
        return described(
            self.input_size,
            self.hidden_size,
            proj_size=(self.proj_size, 0),
            num_layers=(self.num_layers, 1),
            bias=(self.bias, True),
            batch_first=(self.batch_first, False),
            dropout=(self.dropout, 0),
            bidirectional=(self.bidirectional, False),
            nonlinearity=(getattr(self, "nonlinearity", "tanh"), "tanh"),
            reset_after=(getattr(self, "reset_after", True), True),
            dtype=(self.dtype, "float32"),
            learn_state=(self.learn_state, False),
            recompute=(self.recompute, 0),
        )

    def _state_sizes(self) -> tuple[int, ...]:
        """Return the last axis of each state."""
        return (self._size, *(self.hidden_size for _ in self._cell.states[1:]))

    def _learned(self) -> list[Parameter]:
        """Return the initial states that are learned."""
        if not self.learn_state:
            return []
        return [getattr(self, name + "_0") for name in self._cell.states]

    def _zeros(self, N: int) -> States:
        shape = (len(self._suffixes), N)
        return [np.zeros((*shape, size), self.dtype) for size in self._state_sizes()]

    def _initial(self, N: int) -> States:
        """Return the states of N rows that start anew."""
        if not self.learn_state:
            return self._zeros(N)
        return [np.repeat(p.data[:, None], N, axis=1) for p in self._learned()]

    def _run(
        self, batch: Batch, state: States | None, cuts: Cuts | None, rng: np.random.Generator | None
    ) -> tuple[Array, States, Run]:
        """Run all layers; with a generator as in training."""
        kernel, ended = self._kernel(), None if cuts is None else cuts.ended(batch)
        run = Run(batch, [], [], [], ended, state is None)
        initial = self._initial(batch.rows.N) if state is None or cuts else []
        state = initial if state is None else state
        state_n = [np.empty_like(part) for part in state]
        layer_x, inner = batch.x, batch._replace(batch_first=False)  # inner: between layers
        for layer in range(self.num_layers):
            last = layer == self.num_layers - 1
            y, view = (batch if last else inner).buffer(kernel, self._width)
            for k, part in self._parts(layer, view):
                d, owned = k % self._directions, self._owned(k)
                values, saved = kernel.forward(
                    layer_x,
                    tuple(s[k] for s in state),
                    self._values(owned),
                    batch.rows,
                    part,
                    reverse=d == 1,
                    reset=cuts and Reset(cuts.starts[d], tuple(s[k] for s in initial)),
                    save=rng is not None,
                    recompute=self.recompute if rng is not None else 0,
                    n_threads=get_num_threads(),
                )
                for s, value in zip(state_n, values, strict=True):
                    s[k] = value
                run.saved.append(saved)
                run.owned.append(owned)
            mask = None
            if rng is not None and self.dropout and not last:
                mask = dropout_mask(view.shape, self.dropout, self.dtype, rng)
            run.masks.append(mask)
            layer_x = view if mask is None else view * mask
        check_not_nan(self, state_n[0])
        if ended is not None:
            for s, anew in zip(state_n, initial, strict=True):
                s[:: self._directions, ended] = anew[:: self._directions, ended]
        return y, state_n, run

    def _run_backward(self, run: Run, d_out: Array | None, dstate: States) -> tuple[Array, States]:
        """Run all layers backward: d_out [T,N,D*R] -> dx in the caller's layout, dstate_0."""
        batch, kernel = run.batch, self._kernel()
        inner = batch._replace(batch_first=False)
        if run.ended is not None:
            self._leave_to_initial(dstate, run.ended)
        dstate_0 = [np.empty_like(d) for d in dstate]
        for layer in reversed(range(self.num_layers)):
            dx, view = inner.buffer(kernel, self._width) if layer else batch.dx_buffer(kernel)
            for k, part in self._parts(layer, d_out):
                values, dreset = kernel.backward(
                    run.saved[k],
                    part,
                    tuple(d[k] for d in dstate),
                    self._gradients(run.owned[k]),
                    view,
                    accumulate_dx=k % self._directions == 1,
                    n_threads=get_num_threads(),
                )
                for d, value in zip(dstate_0, values, strict=True):
                    d[k] = value
                if dreset is not None:
                    self._learn(k, dreset)
                if run.learned:
                    self._learn(k, values)
            mask = run.masks[layer - 1] if layer else None
            if mask is not None:
                view *= mask
            d_out = view
        return dx, dstate_0

    def _leave_to_initial(self, dstate: States, ended: BoolArray) -> None:
        """Move the gradients of rows that are done to the initial state that they returned."""
        for k in range(0, len(self._suffixes), self._directions):
            self._learn(k, [d[k, ended] for d in dstate])
            for d in dstate:
                d[k, ended] = 0

    def _learn(self, k: int, dstate: Sequence[Array]) -> None:
        """Add the gradients [N,...] of rows that started anew to that of the initial state."""
        for parameter, d in zip(self._learned(), dstate, strict=False):
            parameter.grad[k] += sum_rows(d)

    def _parts(self, layer: int, y: Array | None) -> list[tuple[int, Any]]:
        """Return (k, its part of y [T,N,D*R]) for each direction of `layer`."""
        D, R = self._directions, self._size
        return [
            (layer * D + d, None if y is None else y[..., d * R : (d + 1) * R]) for d in range(D)
        ]
