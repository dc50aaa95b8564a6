"""Single steps of many models, the state inside."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from fastlstm import kernels
from fastlstm.nn.check import check_array
from fastlstm.nn.module import Array
from fastlstm.nn.recurrent.stream import Stream
from fastlstm.nn.state import read_states
from fastlstm.runtime import get_num_threads
from fastlstm.shown import shown


class ManyStream:
    """What `Together.stream` returns: one time step of all models after another.

    It serves one thread at a time: another gets a RuntimeError. Copies and pickles go on from the
    same state, each on its own.

    Parameters
    ----------
    streams : one of each model, its own.
    """

    __slots__ = ("_steps", "_streams")

    def __init__(self, streams: Sequence[Stream]) -> None:
        self._streams = list(streams)
        backend = kernels.backend(self._streams[0]._backend)
        self._steps = backend.many_stream([stream._steps for stream in self._streams])

    def __repr__(self) -> str:
        return shown(self, models=len(self._streams), each=self._streams[0])

    def __call__(self, x: Array, /) -> Array:
        """Advance by one step: x [M,N,I] -> y [M,N,R] of the last layer; [M,I] -> [M,R] if N is 1.

        The bits are those of a `stream` of each model.

        Raises
        ------
        TypeError, ValueError
            If x is not an array of that shape and the layers' dtype, nor becomes one without loss.
        RuntimeError
            If another thread is inside.
        """
        M, N, I = len(self._streams), self._initial.batch_size, self._input_size
        single = N == 1 and np.ndim(x) == 2
        shape = (M, I) if single else (M, N, I)
        x = check_array("x", x, self._initial[0].dtype, shape)
        y = self._steps(x[:, None] if single else x, get_num_threads())
        return y[:, 0] if single else y

    @property
    def _initial(self) -> Any:
        return self._streams[0]._initial

    @property
    def _input_size(self) -> int:
        return int(self._streams[0]._layers[0].w_ih.shape[1])

    def reset(self) -> None:
        """Put all models back to the initial state."""
        self._steps.state = tuple(np.zeros_like(part) for part in self._steps.state)

    @property
    def state(self) -> tuple[Array, ...]:
        """The state, each array [M,L,N,...]: copies out, values in."""
        state: tuple[Array, ...] = self._steps.state
        return state

    @state.setter
    def state(self, value: Any) -> None:
        first = self._streams[0]
        shapes = [(len(self._streams), *part.shape) for part in first._initial]
        names = first._find_cell().states
        if len(names) == 1 and isinstance(value, tuple) and len(value) == 1:
            (value,) = value  # as it was read
        self._steps.state = tuple(
            read_states("state", value, names, shapes, first._initial[0].dtype)
        )

    def __reduce__(self) -> tuple[Any, ...]:
        made_of = [stream._made_of() for stream in self._streams]
        return _restored, (type(self), made_of, self.state)


def _restored(
    kind: type[ManyStream], made_of: Sequence[tuple[Any, ...]], state: tuple[Array, ...]
) -> ManyStream:
    """Return a stream in a state, of what `ManyStream.__reduce__` names."""
    stream = kind([Stream(*one) for one in made_of])
    stream.state = state
    return stream
