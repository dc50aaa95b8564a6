"""Arrays out of a file: what it claims is checked before an array is made."""

from __future__ import annotations

import os
from math import prod
from typing import Any

import numpy as np
import onnx

from fastlstm.counts import count_of
from fastlstm.files.opening import open_file
from fastlstm.onnx.errors import OnnxError
from fastlstm.onnx.graph import Array

_T = onnx.TensorProto

# The file's number of an element type: its dtype, and the field that holds numbers written singly.
TYPES: dict[int, tuple[np.dtype[Any], str]] = {
    _T.FLOAT: (np.dtype("<f4"), "float_data"),
    _T.DOUBLE: (np.dtype("<f8"), "double_data"),
    _T.FLOAT16: (np.dtype("<f2"), "int32_data"),
    _T.INT8: (np.dtype("i1"), "int32_data"),
    _T.INT16: (np.dtype("<i2"), "int32_data"),
    _T.INT32: (np.dtype("<i4"), "int32_data"),
    _T.INT64: (np.dtype("<i8"), "int64_data"),
    _T.UINT8: (np.dtype("u1"), "int32_data"),
    _T.UINT16: (np.dtype("<u2"), "int32_data"),
    _T.UINT32: (np.dtype("<u4"), "uint64_data"),
    _T.UINT64: (np.dtype("<u8"), "uint64_data"),
    _T.BOOL: (np.dtype("?"), "int32_data"),
    _T.BFLOAT16: (np.dtype("<f4"), "int32_data"),  # which holds each of them
}
BFLOAT16: int = _T.BFLOAT16
HALF = np.dtype("<u2")  # the upper half of a float32, as a file has a bfloat16
MOST_AXES = 32  # of an array of NumPy


def dtype_of(number: int) -> np.dtype[Any]:
    """Return the dtype of an element type; OnnxError if arrays have no such elements."""
    if number not in TYPES:
        names = {value: name for name, value in _T.DataType.items()}
        raise OnnxError(
            f"elements of type {names.get(number, number)}, expected one of "
            f"{', '.join(names[kind].lower() for kind in TYPES)}"
        )
    dtype: np.dtype[Any] = TYPES[number][0].newbyteorder("=")
    return dtype


def read_tensor(tensor: Any, folder: str | None) -> Array:
    """Return a TensorProto as an array, read-only; its data may lie in a file in `folder`."""
    dtype, shape = dtype_of(tensor.data_type), read_shape(tensor.dims)
    size = prod(shape)
    stored, field = TYPES[tensor.data_type]
    if tensor.data_type == BFLOAT16:
        stored = HALF
    if tensor.data_location == _T.EXTERNAL:
        array = np.frombuffer(_read_external(tensor, size * stored.itemsize, folder), stored)
    elif tensor.HasField("raw_data"):
        _check_count("bytes", len(tensor.raw_data), size * stored.itemsize, shape, dtype)
        array = np.frombuffer(tensor.raw_data, stored)
    else:
        numbers = getattr(tensor, field)
        _check_count("numbers", len(numbers), size, shape, dtype)
        array = _cast(numbers, stored, field)
    if tensor.data_type == BFLOAT16:
        array = (array.astype(np.uint32) << np.uint32(16)).view(np.float32)
    array = array.astype(dtype, copy=False).reshape(shape)
    array.flags.writeable = False
    return array


def read_shape(dims: Any) -> tuple[int, ...]:
    """Return sizes after checking that an array can have them."""
    shape = tuple(int(size) for size in dims)
    if len(shape) > MOST_AXES or any(size < 0 for size in shape):
        raise OnnxError(f"shape {shape!s:.80}, expected up to {MOST_AXES} axes of size 0 or more")
    return shape


def _check_count(
    what: str, found: int, expected: int, shape: tuple[int, ...], dtype: np.dtype[Any]
) -> None:
    if found != expected:
        raise OnnxError(f"{found} {what}, expected {expected} for {shape} of {dtype}")


def _cast(numbers: Any, dtype: np.dtype[Any], field: str) -> Array:
    """Return a field's numbers in a narrower type; halves are written as their bits."""
    wide = np.array(numbers, {"int32_data": "i4", "uint64_data": "u8"}.get(field, dtype))
    if dtype == np.float16:
        return wide.astype(np.uint16).view(np.float16)
    return wide.astype(dtype)


def _read_external(tensor: Any, size: int, folder: str | None) -> bytes:
    """Return the bytes that lie in another file, which must be in the model's folder."""
    told = {entry.key: entry.value for entry in tensor.external_data}
    location = told.get("location", "")
    if folder is None:
        raise OnnxError(f"its data is in the file {location!r:.200}: load the model by its path")
    path = os.path.join(folder, location)
    inside = os.path.realpath(folder) + os.sep
    if not location or "\0" in location or not os.path.realpath(path).startswith(inside):
        raise OnnxError(f"its data is in {location!r:.200}, expected a file in the model's folder")
    start, length = _number(told, "offset", 0), _number(told, "length", size)
    try:
        with open_file(path) as file:
            held = os.fstat(file.fileno()).st_size
            if length != size or start + length > held:
                raise OnnxError(
                    f"its data is {count_of(length, 'byte')} from {start} on in {location!r:.200} "
                    f"of {held}, expected {size}"
                )
            file.seek(start)
            return file.read(length)
    except OSError as error:
        raise OnnxError(f"its data in {location!r:.200} cannot be read ({error})") from error


def _number(told: dict[str, str], key: str, default: int) -> int:
    text = told.get(key, str(default))
    if not (text.isascii() and text.isdigit() and len(text) < 19):
        raise OnnxError(f"external data has {key} {text!r:.60}, expected a whole number")
    return int(text)
