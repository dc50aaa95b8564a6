"""What runs a part of a sequence after another with the state inside: the base of streams."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from numpy.typing import ArrayLike

from fastlstm.nn.state import State, read_states
from fastlstm.shown import shown


class Carrying:
    """Base of `Stream` and `ChainStream`.

    A stream is one sequence (or N side by side) and serves one thread at a time: another gets a
    RuntimeError. Copies and pickles go on from the same state, each on its own.
    """

    __slots__ = ("_initial", "_steps")

    _initial: State  # of rows that start anew
    _steps: Any  # of the backend: it has the state

    def __repr__(self) -> str:
        shapes = [array.shape for array in self._initial]
        return shown(self, state=shapes, dtype=str(self._initial[0].dtype))

    def reset(self, rows: ArrayLike | None = None) -> None:
        """Put rows back to the initial state; None for all. For `rows` see `State.gather`."""
        if rows is None:
            self._steps.state = self._initial
            return
        state = self.state
        state.reset(rows, self._initial)
        self.state = state

    @property
    def state(self) -> State:
        """The state, an array [K,N,...] for each of its parts: copies out, values in.

        It may be given in torch's form too. Rows are picked and put elsewhere by `State.gather` and
        `State.scatter`.
        """
        return State(self._steps.state)

    @state.setter
    def state(self, value: Any) -> None:
        dtype, shapes = self._initial[0].dtype, [part.shape for part in self._initial]
        names = tuple(self._state_names())
        self._steps.state = tuple(read_states("state", value, names, shapes, dtype))

    def _state_names(self) -> Sequence[str]:
        """Return what errors call the parts of the state."""
        raise NotImplementedError

    def _made_of(self) -> tuple[Any, ...]:
        """Return the arguments that make one alike, in its initial state."""
        raise NotImplementedError

    def __reduce__(self) -> tuple[Any, ...]:
        return _restored, (type(self), self._made_of(), self.state)


def _restored(kind: type[Carrying], made_of: tuple[Any, ...], state: State) -> Carrying:
    """Return a stream in a state, of what `Carrying.__reduce__` names."""
    stream = kind(*made_of)
    stream.state = state
    return stream
