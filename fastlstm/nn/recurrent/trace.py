"""Looking inside: what the gates and states of a recurrent layer were at every step."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass

import numpy as np

from fastlstm import kernels
from fastlstm.kernels import Rows
from fastlstm.nn.module import Array
from fastlstm.nn.recurrent.reset import Cuts
from fastlstm.nn.recurrent.stack import Stack, States
from fastlstm.nn.recurrent.walk import run_forward
from fastlstm.nn.sequence import Sequences


@dataclass(frozen=True)
class Trace:
    """What happened inside one layer in one direction: ``trace.f``, or ``trace["f"]``.

    Letters: T steps, N batch, H hidden_size, R the size of an output.

    Attributes
    ----------
    layer, direction : which, both counted from 0; direction 1 runs from each row's end.
    values : arrays by name, laid out as the layer's y: [T,N,H], with batch_first [N,T,H], without
        a batch axis [T,H]. A step has the place of the input it read; past a row's length are
        zeros.

        LSTM: i, f, g, o, gates after their activation; c, h, the states after the step.
        GRU: r, z, n, gates after their activation; h. RNN: h.
        A custom cell: what its functions keep, under the names it gave; its states.

        h is [T,N,R]: with a projection, its result.
    """

    layer: int
    direction: int
    values: Mapping[str, Array]

    def __getitem__(self, name: str) -> Array:
        return self.values[name]

    def __iter__(self) -> Iterator[str]:
        return iter(self.values)

    def __getattr__(self, name: str) -> Array:
        if name.startswith("__") or name == "values":  # asked by copy and pickle
            raise AttributeError(name)
        try:
            return self.values[name]
        except KeyError:
            known = ", ".join(self.values)
            raise AttributeError(f"no {name!r} in this trace, which has {known}") from None

    def __repr__(self) -> str:
        shapes = ", ".join(f"{name} {value.shape}" for name, value in self.values.items())
        return f"Trace(layer={self.layer}, direction={self.direction}: {shapes})"


class Traces(tuple[Trace, ...]):
    """A `Trace` of each layer and direction, in the order of the states: k = layer * D + direction.

    Of one layer in one direction it can be used as that trace itself: ``traces.f``.
    """

    __slots__ = ()

    def __new__(cls, parts: Iterable[Trace]) -> Traces:
        return super().__new__(cls, parts)

    def __getattr__(self, name: str) -> Array:
        if name.startswith("__"):
            raise AttributeError(name)
        if len(self) != 1:
            raise AttributeError(
                f"{name!r} of which of the {len(self)} layers and directions? Say traces[k].{name}"
            )
        value: Array = getattr(self[0], name)
        return value


def trace(stack: Stack, batch: Sequences, state: States | None, cuts: Cuts | None) -> Traces:
    """Run all layers as without training; see `Recurrent.trace`."""
    inside, found = kernels.backend(stack._backend).inside, []
    _, _, run = run_forward(stack, batch, state, cuts, save=lambda saved, y: (inside(saved), y))
    for k, (packed, y) in enumerate(run.saved):
        layer, d = divmod(k, stack._directions)
        values = unpack(packed, batch.rows, reverse=d == 1)
        values[stack._cell.states[0]] = y
        shown = {name: _as_asked(value, batch) for name, value in values.items()}
        found.append(Trace(layer, d, shown))
    return Traces(found)


def unpack(inside: Mapping[str, Array], rows: Rows, *, reverse: bool) -> dict[str, Array]:
    """Return the arrays [P,H] of `Backend.inside` as [T,N,H], zeros past each row's length."""
    steps = list(rows.steps(reverse))
    time, row = (np.concatenate(index) for index in zip(*steps, strict=True))
    unpacked = {}
    for name, packed in inside.items():
        unpacked[name] = np.zeros((rows.T, rows.N, packed.shape[1]), packed.dtype)
        unpacked[name][time, row] = packed
    return unpacked


def _as_asked(value: Array, batch: Sequences) -> Array:
    """Return an array [T,N,...] of its own, laid out as the caller's."""
    if batch.single:
        return np.ascontiguousarray(value[:, 0])
    return np.ascontiguousarray(value.swapaxes(0, 1) if batch.batch_first else value)
