"""Stacked recurrent layers in one or two directions: their options and parameters."""

from __future__ import annotations

import warnings
from collections.abc import Callable, Sequence
from functools import partial
from typing import Any, ClassVar, TypedDict

import numpy as np
from numpy.typing import DTypeLike

from fastlstm import kernels
from fastlstm.kernels import CellSpec, Weights
from fastlstm.kernels.spec import with_activations
from fastlstm.nn.check import (
    MOST_SIZE,
    Rng,
    check_choice,
    check_dtype,
    check_flag,
    check_probability,
    check_rng,
    check_size,
    refuse_keywords,
)
from fastlstm.nn.init import orthogonal, uniform
from fastlstm.nn.module import Array, described
from fastlstm.nn.parameter import Parameter
from fastlstm.nn.precision import Precise
from fastlstm.nn.recurrent.options import Option, option
from fastlstm.nn.recurrent.reset import BoolArray
from fastlstm.nn.sums import sum_rows
from fastlstm.nn.unpack import Unpack
from fastlstm.nn.weights import Owned, find_parameters, make_weights, read_weights
from fastlstm.notices import IdleWarning

MOST_LAYERS = 10_000  # each is made as an object: a mistaken number must not take all memory
INITS = ("torch", "orthogonal")
FIXED = (  # options that the parameters are made for
    "input_size", "hidden_size", "num_layers", "bias", "bidirectional", "proj_size", "dtype",
    "learn_state", "nonlinearity", "reset_after", "activation", "recurrent_activation",
)  # fmt: skip
States = list[Array]  # each [K,N,...], K = layers * directions


class LoopOptions(TypedDict, total=False):
    """Options of `Stack.OPTIONS` by name, for type checkers."""

    recompute: int
    recurrent_dropout: float
    weight_drop: float
    variational: bool


class LayerOptions(LoopOptions, total=False):
    """All options that every recurrent layer has by name."""

    dtype: DTypeLike
    rng: Rng
    init: str
    learn_state: bool
    precision: str
    models: int


class Stack(Precise):
    """The options and parameters of `Recurrent`; letters as there, and K = L*D."""

    OPTIONS: ClassVar[dict[str, Option]] = {}  # those that may be changed at any time
    batch_first: bool = option(False, check_flag)
    dropout: float = option(0.0, check_probability, noise=True)
    recompute: int = option(0, partial(check_size, least=0))
    recurrent_dropout: float = option(0.0, check_probability, noise=True)
    weight_drop: float = option(0.0, check_probability, noise=True)
    variational: bool = option(False, check_flag)

    _cell: CellSpec  # or a property, where options choose it
    _engine: ClassVar[str] = ""  # the backend of the class, if it is not the one in use
    _fixed = frozenset(FIXED)

    def __setattr__(self, name: str, value: Any) -> None:
        if name in self.OPTIONS:
            value = self.OPTIONS[name].check(name, value)
        super().__setattr__(name, value)

    def __init__(
        self,
        input_size: int,
        hidden_size: int,
        num_layers: int = 1,
        bias: bool = True,
        batch_first: bool = False,
        dropout: float = 0.0,
        bidirectional: bool = False,
        proj_size: int = 0,
        *,
        dtype: DTypeLike = "float32",
        rng: Rng = None,
        init: str = "torch",
        learn_state: bool = False,
        precision: str = "float32",
        models: int | None = None,  # of `Recurrent.__new__`, which makes them one by one
        **options: Unpack[LoopOptions],
    ) -> None:
        unknown = {name: value for name, value in options.items() if name not in self.OPTIONS}
        if unknown:
            refuse_keywords(self, unknown, type(self))
        self.input_size = check_size("input_size", input_size, most=MOST_SIZE)
        self.hidden_size = H = check_size("hidden_size", hidden_size, most=MOST_SIZE)
        self.num_layers = check_size("num_layers", num_layers, most=MOST_LAYERS)
        self.bias = check_flag("bias", bias)
        given = {**options, "batch_first": batch_first, "dropout": dropout}
        for name, declared in self.OPTIONS.items():
            setattr(self, name, given.get(name, declared.usual))
        self.bidirectional = check_flag("bidirectional", bidirectional)
        self.proj_size = check_size("proj_size", proj_size, 0)
        if proj_size >= H:
            raise ValueError(f"proj_size is {proj_size}, expected less than hidden_size, {H}")
        if proj_size and not self._cell.projects:
            refuse_keywords(self, {"proj_size": proj_size}, type(self))
        self.dtype = check_dtype(dtype)
        self.precision = precision
        self.learn_state = check_flag("learn_state", learn_state)
        check_choice("init", init, INITS)
        if dropout and num_layers == 1:
            warnings.warn(
                f"dropout={dropout} does nothing with num_layers=1: "
                "it applies to the outputs of every layer but the last",
                IdleWarning,
                stacklevel=2 + (type(self).__init__ is not Stack.__init__),
            )
        self._rng = check_rng(rng)
        self._backend = self._engine or kernels.default_backend()
        directions = ("", "_reverse") if bidirectional else ("",)
        self._directions, self._size = len(directions), self.proj_size or H
        self._width = self._directions * self._size
        self._suffixes = [f"_l{k}{d}" for k in range(self.num_layers) for d in directions]
        self._make_parameters(init)

    def _make_parameters(self, init: str) -> None:
        cell, H = self._cell, self.hidden_size
        for suffix in self._suffixes:
            first = suffix.startswith("_l0")
            sizes = (self.input_size if first else self._width, H, self.proj_size)
            make_weights(self, suffix, cell, sizes, self.bias, self.dtype, self._rng)
            if init == "orthogonal":
                weight = getattr(self, "weight_hh" + suffix)
                weight.data = orthogonal(H, self._size, len(cell.gates), self.dtype, self._rng)
        for name in (name + suffix for suffix in self._suffixes for name in cell.params):
            setattr(self, name, Parameter(uniform((H,), H**-0.5, self.dtype, self._rng)))
        if self.learn_state:
            K = len(self._suffixes)
            for name, size in zip(cell.states, self._state_sizes(), strict=True):
                setattr(self, name + "_0", Parameter(np.zeros((K, size), self.dtype)))

    def _find_cell(self) -> Callable[[], CellSpec]:
        """Return a function that returns the cell and can be pickled."""
        cell = self._cell
        given = (cell.activation, cell.recurrent_activation, cell.state_activation)
        return partial(with_activations, cell.name, *given)

    def _owned(self, k: int) -> Owned:
        """Return the parameters of one layer in one direction."""
        return find_parameters(self, self._suffixes[k], self._cell)

    def _weights(self, k: int) -> Weights:
        return read_weights(self._owned(k))

    def extra_repr(self) -> str:
        """Return the sizes and the options that differ from the usual ones."""
        more = {name: (getattr(self, name), o.usual) for name, o in self.OPTIONS.items()}
        return described(
            self.input_size,
            self.hidden_size,
            proj_size=(self.proj_size, 0),
            num_layers=(self.num_layers, 1),
            bias=(self.bias, True),
            batch_first=more.pop("batch_first"),
            dropout=more.pop("dropout"),
            bidirectional=(self.bidirectional, False),
            nonlinearity=(getattr(self, "nonlinearity", "tanh"), "tanh"),
            reset_after=(getattr(self, "reset_after", True), True),
            activation=(getattr(self, "activation", "tanh"), "tanh"),
            recurrent_activation=(getattr(self, "recurrent_activation", "sigmoid"), "sigmoid"),
            dtype=(self.dtype, "float32"),
            learn_state=(self.learn_state, False),
            **more,
            precision=(self.precision, "float32"),
        )

    def _state_sizes(self) -> tuple[int, ...]:
        """Return the last axis of each state."""
        return self._cell.state_sizes(self.hidden_size, self._size)

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

    def _leave_to_initial(self, dstate: States, ended: BoolArray) -> None:
        """Move the gradients of rows that are done to that of the initial state they returned."""
        for k in range(0, len(self._suffixes), self._directions):
            self._learn(k, [d[k, ended] for d in dstate])
            for d in dstate:
                d[k, ended] = 0

    def _learn(self, k: int, dstate: Sequence[Array]) -> None:
        """Add the gradients [N,...] of rows that started anew to that of the learned state."""
        for parameter, d in zip(self._learned(), dstate, strict=False):
            parameter.grad[k] += sum_rows(d)

    def _parts(self, layer: int, y: Array | None) -> list[tuple[int, Any]]:
        """Return (k, its part of y [T,N,D*R]) for each direction of `layer`."""
        D, R = self._directions, self._size
        return [
            (layer * D + d, None if y is None else y[..., d * R : (d + 1) * R]) for d in range(D)
        ]
