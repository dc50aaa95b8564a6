"""Frames of a signal through a chain, the state inside."""

from __future__ import annotations

from typing import Any

from numpy.typing import ArrayLike

from fastlstm import kernels
from fastlstm.kernels.chain import ChainSpec, read_chain, state_of
from fastlstm.nn.check import as_array
from fastlstm.nn.module import Array
from fastlstm.nn.state import State, read_states
from fastlstm.runtime import get_num_threads


class ChainStream:
    """What `Chain.stream` returns: some frames after others.

    A stream is one signal (or N side by side) and serves one thread at a time: another gets a
    RuntimeError. Copies and pickles go on from the same state, each on its own.

    Parameters
    ----------
    backend : name of the backend.
    spec : of the chain, the stream's own.
    initial : the state of rows that start anew.
    """

    __slots__ = ("_alone", "_backend", "_frames", "_initial", "_names", "_spec")

    def __init__(self, backend: str, spec: ChainSpec, initial: State) -> None:
        self._backend, self._spec, self._initial = backend, spec, initial
        N = initial.batch_size
        self._names, self._alone = tuple(state_of(read_chain(spec, N))[0]), N == 1
        self._frames = kernels.backend(backend).chain(spec, N)
        self.reset()

    def __call__(self, x: Array, /) -> Array:
        """Go on by some frames: x [N,F*frame,C] -> y [N,F*Q,O].

        If N is 1 the batch axis may be left out, of x and then of y; if C is 1 the channels of x.

        Raises
        ------
        TypeError, ValueError
            If x is not an array of that shape and the chain's dtype, nor becomes one without loss.
        RuntimeError
            If another thread is inside.
        KeyboardInterrupt
            Or what else a signal's handler raises, in a long call: the state is then as before it.
        """
        threads = 1 if self._alone else get_num_threads()
        try:
            return self._frames(x, threads)
        except TypeError:
            return self._frames(as_array("x", x, self._initial[0].dtype), threads)

    def reset(self, rows: ArrayLike | None = None) -> None:
        """Put rows back to the initial state; None for all. For `rows` see `State.gather`."""
        if rows is None:
            self._frames.state = self._initial
            return
        state = self.state
        state.reset(rows, self._initial)
        self.state = state

    @property
    def state(self) -> State:
        """The state, arrays [1,N,size] in the order of `Chain.state_names`: copies out, values in.

        Rows are picked and put elsewhere by `State.gather` and `State.scatter`.
        """
        return State(self._frames.state)

    @state.setter
    def state(self, value: Any) -> None:
        shapes = [part.shape for part in self._initial]
        dtype = self._initial[0].dtype
        self._frames.state = tuple(read_states("state", value, self._names, shapes, dtype))

    def __reduce__(self) -> tuple[Any, ...]:
        return _restored, (type(self), (self._backend, self._spec, self._initial), self.state)


def _restored(
    kind: type[ChainStream], made_of: tuple[str, ChainSpec, State], state: State
) -> ChainStream:
    """Return a stream in a state, of what `ChainStream.__reduce__` names."""
    stream = kind(*made_of)
    stream.state = state
    return stream
