"""Looking inside: what the gates and states of a recurrent layer were at every step."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from fastlstm.kernels import Reset, Rows
from fastlstm.nn.module import Array
from fastlstm.nn.sequence import Batch, check_not_nan
from fastlstm.runtime import get_num_threads

if TYPE_CHECKING:
    from fastlstm.nn.reset import Cuts
    from fastlstm.nn.stack import Stack, States


@dataclass(frozen=True)
class Trace:
    """What happened inside one layer in one direction: ``trace.f``, or ``trace["f"]``.

    Letters: T steps, N batch, H hidden_size, R the size of an output.

    Attributes
    ----------
    layer, direction : which, both counted from 0; direction 1 runs from each row's end.
    values : arrays by name, as the kernels computed them and not a second time. They lie as the
        layer's y does: [T,N,H], with batch_first [N,T,H], without a batch axis [T,H]; a step has
        the place of the input it read, and past a row's length there are zeros.

        LSTM: i, f, g, o, gates after their activation; c, h, the states after the step.
        GRU: r, z, n, gates after their activation; h. RNN: h.
        A cell of one's own: what its functions keep, under the names it gave; its states.

        h is [T,N,R]: with a projection, what that returns.
    """

    layer: int
    direction: int
    values: Mapping[str, Array]

    def __getitem__(self, name: str) -> Array:
        return self.values[name]

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
        return getattr(self[0], name)  # type: ignore[no-any-return]


def run_traced(stack: Stack, batch: Batch, state: States | None, cuts: Cuts | None) -> Traces:
    """Run all layers as without training; see `Recurrent.trace`."""
    kernel, rows = stack._kernel(), batch.rows
    initial = stack._initial(rows.N)
    state = initial if state is None else state
    found, layer_x, inner = [], batch.x, batch._replace(batch_first=False)
    for layer in range(stack.num_layers):
        _, y = inner.buffer(kernel, stack._width)
        for k, part in stack._parts(layer, y):
            d = k % stack._directions
            (h_n, *_), inside = kernel.trace(
                layer_x,
                tuple(s[k] for s in state),
                stack._weights(k),
                rows,
                part,
                reverse=d == 1,
                reset=cuts and Reset(cuts.starts[d], tuple(s[k] for s in initial)),
                n_threads=get_num_threads(),
            )
            check_not_nan(stack, h_n)
            values = unpack(inside, rows, reverse=d == 1)
            values[stack._cell.states[0]] = part
            shown = {name: _as_asked(value, batch) for name, value in values.items()}
            found.append(Trace(layer, d, shown))
        layer_x = y
    return Traces(found)


def unpack(inside: Mapping[str, Array], rows: Rows, *, reverse: bool) -> dict[str, Array]:
    """Return the packed arrays [P,H] of `Kernel.trace` as [T,N,H], zeros past each row's length."""
    steps = list(rows.steps(reverse))
    time, row = (np.concatenate(index) for index in zip(*steps, strict=True))
    unpacked = {}
    for name, packed in inside.items():
        unpacked[name] = np.zeros((rows.T, rows.N, packed.shape[1]), packed.dtype)
        unpacked[name][time, row] = packed
    return unpacked


def _as_asked(value: Array, batch: Batch) -> Array:
    """Return an array [T,N,...] of its own, laid out as the caller's."""
    if batch.single:
        return np.ascontiguousarray(value[:, 0])
    return np.ascontiguousarray(value.swapaxes(0, 1) if batch.batch_first else value)
