"""Taking over saved arrays: all are checked before the first one is copied."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
from numpy.typing import NDArray

State = Mapping[str, NDArray[np.generic]]


def copy_into(own: State, given: State, owner: str) -> None:
    """Copy the `given` arrays into the ones the `owner` has, by name.

    Raises
    ------
    ValueError
        As `check_alike`; nothing has changed then.
    """
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
