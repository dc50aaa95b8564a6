"""Writes safetensors files array by array.

The library makes the whole file in memory first, twice the size of the arrays, and ends the
process if there is too little. It reads what is written here. The format: the length of the
header in 8 bytes, the header as JSON with blanks up to a multiple of 8 bytes, then the arrays.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Mapping
from typing import Any, BinaryIO

import numpy as np
from numpy.typing import NDArray

DTYPES = {
    "bool": "BOOL", "uint8": "U8", "int8": "I8", "uint16": "U16", "int16": "I16", "uint32": "U32",
    "int32": "I32", "uint64": "U64", "int64": "I64", "float16": "F16", "float32": "F32",
    "float64": "F64",
}  # fmt: skip


def write_tensors(
    file: BinaryIO, tensors: Mapping[str, NDArray[Any]], metadata: Mapping[str, str]
) -> None:
    """Write arrays by name, and `metadata` into the header.

    Raises TypeError if the format has no such dtype, OSError if the file cannot be written.
    """
    # large elements first, so that each array is aligned
    order = sorted(tensors, key=lambda name: (-tensors[name].dtype.itemsize, name))
    header: dict[str, Any] = {"__metadata__": dict(metadata)}
    end = 0
    for name in order:
        array = tensors[name]
        if array.dtype.name not in DTYPES:
            raise TypeError(f"{name} has dtype {array.dtype}, expected one of {', '.join(DTYPES)}")
        begin, end = end, end + array.nbytes
        kind, shape = DTYPES[array.dtype.name], list(array.shape)
        header[name] = {"dtype": kind, "shape": shape, "data_offsets": [begin, end]}
    text = json.dumps(header, separators=(",", ":")).encode()
    text += b" " * (-len(text) % 8)
    file.write(len(text).to_bytes(8, "little") + text)
    for name in order:
        array = np.ascontiguousarray(tensors[name])
        if sys.byteorder == "big":
            array = array.byteswap()
        file.write(array.reshape(-1).view(np.uint8).data)
