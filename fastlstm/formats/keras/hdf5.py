"""HDF5 files that anybody may have made: arrays and texts of them, and nothing else.

Links to other files and to names are refused, as are arrays that lie elsewhere or claim to be
larger than all of the file; so is what is neither a number nor a text.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import numpy as np
from numpy.typing import NDArray

from fastlstm.formats.errors import package

DEEPEST = 12  # groups inside groups
MOST_ENTRIES = 100_000  # of a file
MOST_PIECES = 1_000  # that a long attribute is cut into


class Tree:
    """What an open file holds.

    Parameters
    ----------
    file : an `h5py.File`.
    size : bytes of the file: more are not read in all.
    """

    def __init__(self, file: Any, size: int) -> None:
        self.root, self._left, self._h5 = file, size, package("h5py", "keras", "Keras's HDF5")

    def child(self, group: Any, name: str) -> Any:
        """Return a member of a group, which may be of groups inside; KeyError if there is none."""
        for part in filter(None, name.split("/")):
            if not isinstance(group, self._h5.Group):
                raise ValueError(f"{name} is in {group.name}, expected a group there")
            if part not in group:
                raise KeyError(f"{group.name} has no {part}")
            if group.get(part, getclass=True, getlink=True) is not self._h5.HardLink:
                raise ValueError(f"{group.name}/{part} is a link to another place: not followed")
            group = group[part]
        return group

    def group(self, group: Any, name: str) -> Any:
        """Return a group in a group; ValueError if something else is there."""
        found = self.child(group, name)
        if not isinstance(found, self._h5.Group):
            raise ValueError(f"{found.name} is no group, expected one")
        return found

    def array(self, group: Any, name: str) -> NDArray[Any]:
        """Return an array of real numbers; ValueError if it is none."""
        found = self.child(group, name)
        if not isinstance(found, self._h5.Dataset):
            raise ValueError(f"{name} is a group, expected an array")
        if found.external or found.is_virtual:
            raise ValueError(f"{found.name} lies in another file: not read")
        if found.dtype.kind not in "fiu":
            raise ValueError(f"{found.name} has dtype {found.dtype}, expected real numbers")
        if found.shape is None:
            raise ValueError(f"{found.name} is empty, expected an array")
        self._left -= found.size * found.dtype.itemsize
        if self._left < 0:
            raise ValueError(f"{found.name} of shape {found.shape} is larger than the file")
        return np.asarray(found[()], found.dtype.newbyteorder("="))

    def walk(self, group: Any | None = None, depth: int = 0) -> Iterator[Any]:
        """Yield all groups, each before those inside."""
        group = self.root if group is None else group
        if depth > DEEPEST:
            raise ValueError(f"groups stand in groups more than {DEEPEST} deep")
        yield group
        for number, name in enumerate(group):
            if number > MOST_ENTRIES:
                raise ValueError(f"{group.name} has more than {MOST_ENTRIES:,} entries")
            found = self.child(group, name)
            if isinstance(found, self._h5.Group):
                yield from self.walk(found, depth + 1)

    def text(self, group: Any, name: str) -> str | None:
        """Return a text among the attributes, None if there is none of this name."""
        if name not in group.attrs:
            return None
        value = self._attribute(group, name)
        if isinstance(value, np.ndarray) and value.shape == ():
            value = value[()]
        return _decoded(name, value)

    def texts(self, group: Any, name: str) -> list[str]:
        """Return a list of texts, which Keras may have cut into several attributes."""
        if name in group.attrs:
            return [_decoded(name, value) for value in np.ravel(self._attribute(group, name))]
        found: list[str] = []
        for number in range(MOST_PIECES):
            if f"{name}{number}" not in group.attrs:
                return found
            found += self.texts(group, f"{name}{number}")
        raise ValueError(f"{name} is in more than {MOST_PIECES} pieces")

    def _attribute(self, group: Any, name: str) -> Any:
        about = group.attrs.get_id(name)
        if math.prod(about.shape) * about.dtype.itemsize > self._left:
            raise ValueError(f"the attribute {name} of {group.name} is larger than the file")
        return group.attrs[name]


def _decoded(name: str, value: Any) -> str:
    if isinstance(value, bytes):
        return value.decode("utf-8")
    if not isinstance(value, str):
        raise ValueError(f"the attribute {name} is a {type(value).__name__}, expected a text")
    return str(value)


@contextmanager
def opened(source: Any, size: int, what: str) -> Iterator[Tree]:
    """Open an HDF5 file, or the bytes of one; ValueError if the library finds it damaged."""
    h5py = package("h5py", "keras", what)
    try:
        with h5py.File(source, "r") as file:
            yield Tree(file, size)
    except OSError as error:  # what the library says of damage too
        raise ValueError(f"HDF5 finds it damaged: {error}") from error
