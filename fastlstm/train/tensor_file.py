"""Writes and reads safetensors files array by array.

To write, the library makes the whole file in memory first, twice the size of the arrays, and ends
the process if there is too little; to read, it maps the file into memory, and the process ends if
somebody cuts the file short meanwhile, as copying another one over it does. So it checks headers
alone. The format: the length of the header in 8 bytes, the header as JSON with blanks up to a
multiple of 8 bytes, then the arrays.
"""

from __future__ import annotations

import io
import json
import os
import sys
from collections.abc import Mapping
from typing import Any, BinaryIO, cast

import numpy as np
from numpy.typing import NDArray
from safetensors import safe_open

from fastlstm.files.json_value import parse_json
from fastlstm.files.opening import AnyPath, open_file

DTYPES = {
    "bool": "BOOL", "uint8": "U8", "int8": "I8", "uint16": "U16", "int16": "I16", "uint32": "U32",
    "int32": "I32", "uint64": "U64", "int64": "I64", "float16": "F16", "float32": "F32",
    "float64": "F64",
}  # fmt: skip
NAMES = {code: name for name, code in DTYPES.items()}
BFLOAT16 = "BF16"  # which NumPy lacks
METADATA = "__metadata__"
SHORT = "it was cut short while it was read: try again"


def write_tensors(
    file: BinaryIO, tensors: Mapping[str, NDArray[Any]], metadata: Mapping[str, str]
) -> None:
    """Write arrays by name, and `metadata` into the header.

    Raises TypeError if the format has no such dtype, OSError if the file cannot be written.
    """
    # large elements first, so that each array is aligned
    order = sorted(tensors, key=lambda name: (-tensors[name].dtype.itemsize, name))
    header: dict[str, Any] = {METADATA: dict(metadata)}
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


def read_tensors(path: AnyPath) -> tuple[dict[str, NDArray[Any]], dict[str, str]]:
    """Return the arrays of a file by name, those of bfloat16 as float32, and its metadata.

    Raises OSError if it cannot be read, SafetensorError if its header does not fit it, ValueError
    if a dtype is none of NumPy's, or the file is another one or shorter than when it was opened.
    """
    with safe_open(path, framework="np"):  # checks the header against the file
        pass
    with cast(io.BufferedReader, open_file(path)) as file:
        start, header = _header(file)
        metadata: dict[str, str] = header.pop(METADATA, {})
        return {name: _read(file, start, name, header[name]) for name in sorted(header)}, metadata


def _header(file: io.BufferedReader) -> tuple[int, dict[str, Any]]:
    """Return where the arrays begin, and the header."""
    size = int.from_bytes(file.read(8), "little")
    if size > os.fstat(file.fileno()).st_size:
        raise ValueError(SHORT)
    header: dict[str, Any] = dict(parse_json(file.read(size)))
    return 8 + size, header


def _read(file: io.BufferedReader, start: int, name: str, entry: dict[str, Any]) -> NDArray[Any]:
    code, (begin, end) = entry["dtype"], entry["data_offsets"]
    if code not in NAMES and code != BFLOAT16:
        raise ValueError(f"{name} has dtype {code}, expected one of {', '.join(NAMES)}, {BFLOAT16}")
    dtype = np.dtype(NAMES.get(code, "uint16"))
    if end > os.fstat(file.fileno()).st_size:
        raise ValueError(SHORT)
    raw = np.empty((end - begin) // dtype.itemsize, dtype)
    file.seek(start + begin)
    if raw.size and file.readinto(raw.view(np.uint8).data) != raw.nbytes:
        raise ValueError(SHORT)
    if sys.byteorder == "big":
        raw = raw.byteswap()
    if code == BFLOAT16:
        raw = (raw.astype(np.uint32) << 16).view(np.float32)
    array: NDArray[Any] = raw.reshape(entry["shape"])
    return array
