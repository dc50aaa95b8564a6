"""A chain of layers, run in one call."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from fastlstm import kernels
from fastlstm.kernels.chain import (
    ChainSpec,
    Convolution,
    Placed,
    Recurrence,
    Stage,
    read_chain,
    state_of,
)
from fastlstm.nn.chain.convolution import Conv1d
from fastlstm.nn.chain.maps import Magnitude
from fastlstm.nn.chain.part import ChainPart, ForInference
from fastlstm.nn.chain.stream import ChainStream
from fastlstm.nn.check import MOST_SIZE, as_array, check_size
from fastlstm.nn.linear import Linear
from fastlstm.nn.module import Array, Module
from fastlstm.nn.parameter import check_finite
from fastlstm.nn.recurrent.layer import Recurrent
from fastlstm.nn.state import State

MOST_FRAME = 1 << 30  # positions: more is a mistake, or a damaged file


class Chain(ForInference):
    """Layers one after the other, from a signal to what is made of it: inference in one call.

    A signal goes through in frames of `frame` positions, each [frame, C]. A `stream` takes one, or
    some, of each row at a time, and carries on what convolutions and recurrent layers keep. The
    compiled kernels run all stages of all rows in one call without Python's lock, on weights that
    are packed once; rows are shared among threads.

    The whole signal in one call gives what its frames one by one give, to the bit. So do other rows
    beside a row, their number, and the number of threads.

    Letters: N rows, L positions of a signal, C channels of a position, of which the result has O;
    F frames of a signal, L / frame, and Q positions of the result for each.

    Parameters
    ----------
    modules : `Conv1d`, `Linear`, `ReLU`, `Sigmoid`, `Tanh`, `Magnitude`, `Mean`, and recurrent
        layers of one direction, which make a step at every position. All of one dtype, their
        precision float32.
    frame : positions of a frame, up to 2^30.

    Attributes
    ----------
    in_channels, out_channels : C and O.
    frame_out : Q.

    Raises
    ------
    TypeError, ValueError
        If a module cannot be in a chain, or does not fit the one before it: it is named by its
        number.
    """

    _fixed = frozenset(["frame", "frame_out", "in_channels", "out_channels", "dtype"])

    def __init__(self, modules: Sequence[Module], frame: int = 1) -> None:
        self.frame = check_size("frame", frame, most=MOST_FRAME)
        if not isinstance(modules, (list, tuple)) or not modules:
            raise TypeError(f"modules is {modules!r:.60}, expected a list of modules")
        for i, module in enumerate(modules):
            _check_module(f"modules[{i}]", module)
            setattr(self, str(i), module)
        self.in_channels = _first_channels(modules)
        self.dtype = next(m.dtype for m in modules if hasattr(m, "dtype"))
        last = self._placed()[-1]
        self.frame_out, self.out_channels = last.Q, last.O

    def __call__(self, x: Array) -> Array:
        """Run over whole signals, from the initial state: x [N,L,C] -> y [N,F*Q,O].

        Parameters
        ----------
        x : also [L,C], one row without its batch axis, which y then lacks too. With one channel its
            axis may be left out: [N,L] or [L].

        Raises
        ------
        TypeError, ValueError
            If x has not that shape or dtype, L is no multiple of the frame, or a weight is no
            finite number.
        """
        x = as_array("x", x, self.dtype)
        if self.in_channels == 1 and x.ndim < 3:
            x = x[..., None]
        single = x.ndim == 2
        if single:
            x = x[None]
        if x.ndim != 3 or not len(x):
            raise ValueError(
                f"x has shape {x.shape}, expected [N,L,{self.in_channels}] with at least one row"
            )
        y = self.stream(len(x))(x)
        return y[0] if single else y

    def stream(self, batch_size: int = 1) -> ChainStream:
        """Return a runner of frames of N rows, with the state inside.

        The weights are copied: later changes to the modules are not seen.

        Raises
        ------
        ValueError
            If a weight is NaN or infinite.
        """
        state = self.make_state(check_size("batch_size", batch_size, most=MOST_SIZE))
        for name, parameter in self.named_parameters():
            check_finite(name, parameter.data)
        return ChainStream(kernels.default_backend(), self._spec().copy(), state)

    def make_state(self, batch_size: int = 1) -> State:
        """Return the initial state of N rows: a zero past, and that of recurrent layers.

        Its arrays are [1,N,size] each; `state_names` tells of what.
        """
        N = check_size("batch_size", batch_size, most=MOST_SIZE)
        _, sizes = state_of(self._placed())
        parts, at = [np.zeros((1, N, size), self.dtype) for size in sizes], 0
        for module in self._modules():
            if isinstance(module, Conv1d):
                at += bool(module.context)
            if isinstance(module, Recurrent):
                states = module._initial(N)
                for k in range(module.num_layers):
                    for part in states:
                        parts[at][0] = part[k]
                        at += 1
        return State(parts)

    @property
    def state_names(self) -> list[str]:
        """What the arrays of a state are: the number of a stage, and "past", "h" or "c".

        Each layer of a recurrent module is a stage.
        """
        return state_of(self._placed())[0]

    def _modules(self) -> list[Any]:
        return list(self._by_name().values())

    def _by_name(self) -> dict[str, Any]:
        """Return the modules by the names under which their parameters go, which are numbers."""
        return {name: value for name, value in vars(self).items() if isinstance(value, Module)}

    def _spec(self) -> ChainSpec:
        stages = [stage for module in self._modules() for stage in _stages(module)]
        return ChainSpec(tuple(stages), self.frame, self.in_channels, self.dtype.name)

    def _placed(self) -> list[Placed]:
        return read_chain(self._spec(), 1)


def _check_module(name: str, module: object) -> None:
    """Raise an error unless a chain can run the module."""
    kind = type(module).__name__
    if not isinstance(module, (ChainPart, Linear, Recurrent)):
        raise TypeError(
            f"{name} is a {kind}, expected Conv1d, Linear, LSTM, GRU, RNN, ReLU, Sigmoid, Tanh, "
            "Magnitude or Mean"
        )
    precision = getattr(module, "precision", "float32")
    if precision != "float32":
        raise ValueError(f"{name} has a precision of {precision}, expected float32")
    if isinstance(module, Recurrent):
        if module.bidirectional:
            raise ValueError(f"{name} is bidirectional: a frame has no end to run back from")
        if module._engine:
            raise ValueError(f"{name} is of a cell of one's own, which a chain does not run")


def _stages(module: Any) -> list[Stage]:
    if isinstance(module, Linear):
        bias = None if module.bias is None else module.bias.data
        return [Convolution(module.weight.data[:, :, None], bias)]
    if isinstance(module, Recurrent):
        layers = range(module.num_layers)
        return [Recurrence(module._cell, module._weights(k)) for k in layers]
    stage: Stage = module.stage()
    return [stage]


def _first_channels(modules: Sequence[Any]) -> int:
    """Return how many channels come in: the first module with weights tells."""
    times = 1
    for module in modules:
        for name in ("in_channels", "in_features", "input_size"):
            if hasattr(module, name):
                return times * int(getattr(module, name))
        if isinstance(module, Magnitude):
            times *= 2
    raise ValueError("modules have no weights, expected one that tells how many channels come in")
