"""Types and shapes of elements, as the messages of a header have them."""

from __future__ import annotations

import struct
from typing import Any, NamedTuple

import numpy as np

from fastlstm.counts import count_of

# By size: where the sign, exponent and mantissa of the usual floats stand.
FLOATS = {
    2: (0, 16, 10, 5, 0, 10, 15), 4: (0, 32, 23, 8, 0, 23, 127), 8: (0, 64, 52, 11, 0, 52, 1023),
}  # fmt: skip


class Type(NamedTuple):
    """The type of an element: a dtype of numbers, or of texts the bytes of one."""

    dtype: np.dtype[Any] | None
    size: int
    variable: bool  # a text that stands in the global heap


def read_shape(data: bytes) -> tuple[int, ...]:
    """Return the shape that a dataspace tells; ValueError if it is none."""
    version, axes = data[0], data[1]
    start = {1: 8, 2: 4}.get(version)
    if start is None or (version == 2 and data[3] == 2):
        raise ValueError(f"a dataspace of version {version} is empty or unknown, expected a shape")
    if len(data) < start + 8 * axes:
        raise ValueError(
            f"a dataspace of {count_of(axes, 'axis', 'axes')} has {count_of(len(data), 'byte')}"
        )
    return struct.unpack_from(f"<{axes}Q", data, start)


def read_type(data: bytes) -> Type:
    """Return a type of real numbers or of texts; ValueError if it is another one."""
    kind, bits = data[0] & 15, int.from_bytes(data[1:4], "little")
    (size,) = struct.unpack_from("<I", data, 4)
    order = ">" if bits & 1 else "<"
    if kind == 0 and size in (1, 2, 4, 8):
        return Type(np.dtype(f"{order}{'i' if bits & 8 else 'u'}{size}"), size, False)
    if kind == 1 and size in FLOATS and not bits & 0x40:
        if struct.unpack_from("<HHBBBBI", data, 8) == FLOATS[size]:
            return Type(np.dtype(f"{order}f{size}"), size, False)
    if kind == 3 and size:
        return Type(None, size, False)
    if kind == 9 and size == 16 and bits & 15 == 1:
        return Type(None, size, True)
    raise ValueError(
        f"a type is of class {kind} and {count_of(size, 'byte')}, expected real numbers or texts"
    )
