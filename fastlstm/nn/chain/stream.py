"""Frames of a signal through a chain, the state inside."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from fastlstm import kernels
from fastlstm.kernels.backend import Chain as Frames
from fastlstm.kernels.chain import ChainSpec, read_chain, state_of
from fastlstm.nn.carrying import Carrying
from fastlstm.nn.check import as_array
from fastlstm.nn.module import Array
from fastlstm.nn.state import State
from fastlstm.runtime import get_num_threads


class ChainStream(Carrying):
    """What `Chain.stream` returns: some frames after others.

    A stream is one signal (or N side by side) and serves one thread at a time: another gets a
    RuntimeError. Copies and pickles go on from the same state, each on its own. The arrays of the
    state are [1,N,size] in the order of `Chain.state_names`.

    Parameters
    ----------
    backend : name of the backend.
    spec : of the chain, the stream's own.
    initial : the state of rows that start anew.
    """

    __slots__ = ("_alone", "_backend", "_names", "_spec")

    _steps: Frames

    def __init__(self, backend: str, spec: ChainSpec, initial: State) -> None:
        self._backend, self._spec, self._initial = backend, spec, initial
        N = initial.batch_size
        self._names, self._alone = tuple(state_of(read_chain(spec, N))[0]), N == 1
        self._steps = kernels.backend(backend).chain(spec, N)
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
            return self._steps(x, threads)
        except TypeError:
            return self._steps(as_array("x", x, self._initial[0].dtype), threads)

    def _state_names(self) -> Sequence[str]:
        return self._names

    def _made_of(self) -> tuple[Any, ...]:
        return self._backend, self._spec, self._initial
