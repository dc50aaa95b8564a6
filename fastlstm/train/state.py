"""Arrays that are saved and loaded: all are checked before the first one is copied."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

import numpy as np
from numpy.typing import NDArray

from fastlstm.shown import shown

State = Mapping[str, NDArray[np.generic]]


class Stateful:
    """Base of what has arrays for each parameter and counts its `steps`."""

    steps = 0

    def __repr__(self) -> str:
        return shown(self)

    def state_dict(self) -> dict[str, NDArray[np.generic]]:
        """Return copies of what a resumed run needs: ``step`` and ``<array>.<parameter>``.

        Hyper-parameters are not in it: give them to the new object.
        """
        state = {name: array.copy() for name, array in self._named_state()}
        return {"step": np.array(self.steps, dtype=np.int64), **state}

    def load_state_dict(self, state: State) -> None:
        """Copy in the state of an object of the same kind and parameters.

        Raises ValueError, and changes nothing, if a name is missing or unknown or a shape or dtype
        differs.
        """
        step = np.array(0, dtype=np.int64)
        copy_into({"step": step, **dict(self._named_state())}, state, type(self).__name__)
        self.steps = int(step)

    def _named_state(self) -> Iterator[tuple[str, NDArray[np.generic]]]:
        """Yield the arrays by name."""
        raise NotImplementedError


def copy_into(own: State, given: State, owner: str) -> None:
    """Copy the `given` arrays into those of `owner`, by name; errors as of `check_alike`."""
    check_alike(own, given, owner)
    for name, array in own.items():
        array[...] = given[name]


def check_alike(own: State, given: State, owner: str) -> None:
    """Raise ValueError if a name is missing or unknown, or a shape or dtype differs."""
    missing, unknown = sorted(own.keys() - given.keys()), sorted(given.keys() - own.keys())
    if missing or unknown:
        raise ValueError(f"state does not fit {owner}: missing {missing}, unknown {unknown}")
    for name, array in own.items():
        if given[name].shape != array.shape or given[name].dtype != array.dtype:
            raise ValueError(
                f"state[{name!r}] has shape {given[name].shape} and dtype {given[name].dtype}, "
                f"expected {array.shape} and {array.dtype}"
            )
