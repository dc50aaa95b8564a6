"""Weights and training states on disk: safetensors files with a JSON note in the header.

One file holds everything, so that one atomic rename replaces it. The metadata has, under the key
"fastlstm", a JSON object: the kind of the file, the version of the format, a checksum and the
writer's note. Every safetensors library can read the arrays.
"""

from __future__ import annotations

import json
import zlib
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from safetensors import SafetensorError, safe_open

from fastlstm.files.json_value import parse_json
from fastlstm.files.naming import named_path
from fastlstm.files.opening import check_file
from fastlstm.files.writing import replacing
from fastlstm.train import earlier
from fastlstm.train.tensor_file import read_tensors, write_tensors

VERSION = 1
# Errors of reading a damaged header, or of building a model from it.
UNREADABLE = (AttributeError, IndexError, KeyError, OverflowError, TypeError, ValueError)
KEY = "fastlstm"

Tensors = dict[str, NDArray[np.generic]]


class CheckpointError(ValueError):
    """A checkpoint is damaged, foreign, of another version or of another run."""


def save(path: str | Path, tensors: Mapping[str, NDArray[np.generic]], kind: str,
         note: Mapping[str, object]) -> None:  # fmt: skip
    """Write arrays by name; on OSError an earlier file at `path` stays whole.

    `kind` says what the file is, such as "model", and `load` asks for it. `note` is anything JSON
    can hold.
    """
    path = named_path(path)
    header = {"kind": kind, "version": VERSION, "crc32": _checksum(tensors, note), "note": note}
    text = json.dumps(header, allow_nan=False)
    with replacing(path) as file:
        write_tensors(file, tensors, {KEY: text})


def load(path: str | Path, kind: str) -> tuple[Tensors, dict[str, Any]]:
    """Read a checkpoint: ``(tensors, note)``.

    Raises OSError if there is no such file, or only a folder or a pipe; CheckpointError if the file
    is damaged, was not written by fastlstm, or has another version or kind.
    """
    path = named_path(path)
    if not path.exists():
        raise FileNotFoundError(f"there is no checkpoint at {path}")
    check_file(path)
    try:
        tensors, metadata = read_tensors(path)
    except (SafetensorError, *UNREADABLE) as error:  # also for dtypes unknown to NumPy
        raise CheckpointError(f"{path} is damaged or no checkpoint: {error}") from error
    return tensors, _checked_note(path, metadata, kind, tensors)


def kind_of(path: str | Path) -> str | None:
    """Return the kind of a checkpoint, None if another program wrote the file.

    Raises OSError if there is no such file; CheckpointError if it is damaged.
    """
    found = _told(path, "kind")
    return None if found is None else earlier.KINDS.get(str(found), str(found))


def crc32_of(path: str | Path) -> int | None:
    """Return the checksum that a checkpoint tells of itself; otherwise as `kind_of`."""
    found = _told(path, "crc32")
    return found if isinstance(found, int) else None


def _told(path: str | Path, name: str) -> Any:
    """Return an entry of our header, without reading the arrays; None if there is no header."""
    path = named_path(path)
    check_file(path)
    try:
        with safe_open(path, framework="np") as file:
            metadata = file.metadata() or {}
        return parse_json(metadata[KEY])[name] if KEY in metadata else None
    except (SafetensorError, *UNREADABLE) as error:
        raise CheckpointError(f"{path} is damaged or no checkpoint: {error}") from error


def joined(parts: Mapping[str, Mapping[str, NDArray[Any]]]) -> Tensors:
    """Return the arrays of several parts as one dict, named ``<part>/<name>``."""
    return {f"{part}/{n}": array for part, state in parts.items() for n, array in state.items()}


def parted(tensors: Tensors) -> dict[str, Tensors]:
    """Invert `joined`; a part without arrays is missing."""
    parts: dict[str, Tensors] = {}
    for name, array in tensors.items():
        part, _, rest = name.partition("/")
        parts.setdefault(part, {})[rest] = array
    return parts


def of_precision(precision: str) -> dict[str, object]:
    """Return the part of an `identity` that says how products are made.

    Of float32 it is nothing: checkpoints of versions without a choice go on.
    """
    return {} if precision == "float32" else {"precision": precision}


def check_same(
    path: str | Path, saved: Mapping[str, Any], own: Mapping[str, Any], names: Iterable[str],
    way: str = "",
) -> None:  # fmt: skip
    """Raise CheckpointError if the file at `path` is of a run whose options `names` differ.

    `way` is what to do then.
    """
    different = sorted(name for name in names if saved.get(name) != own.get(name))
    if different:
        values = _values(different, saved, own)
        told = f"{', '.join(different)} differ" + (values and f" ({values})")
        raise CheckpointError(f"{path} is of another run: {told}{way}")


def _values(names: Iterable[str], saved: Mapping[str, Any], own: Mapping[str, Any]) -> str:
    """Return what options, or those of a part, are in a file and in a run, where they differ.

    Checksums, whose names are no options', tell nobody anything.
    """
    told = []
    for name in names:
        there, here = saved.get(name), own.get(name)
        if isinstance(there, Mapping) and isinstance(here, Mapping):
            inner = sorted(n for n in there.keys() | here.keys() if there.get(n) != here.get(n))
            told.append(_values(inner, there, here))
        elif name.isidentifier():
            told.append(f"{name} is {_value(name, saved)} there, {_value(name, own)} here")
    return "; ".join(filter(None, told))


def _value(name: str, options: Mapping[str, Any]) -> str:
    """Return an option in words; a file need not tell one that is as usual, or newer than it."""
    return f"{options[name]!r:.60}" if name in options else "not set"


@contextmanager
def building(path: str | Path) -> Iterator[None]:
    """Raise CheckpointError if building a model from a checkpoint fails inside the block."""
    try:
        yield
    except UNREADABLE as error:
        raise CheckpointError(
            f"{path} holds no model that this version can build: {error}"
        ) from error


def _checked_note(
    path: Path, metadata: Mapping[str, str], kind: str, tensors: Tensors
) -> dict[str, Any]:
    if KEY not in metadata:
        raise CheckpointError(f"{path} was not written by fastlstm: its header has no {KEY!r}")
    try:
        header = parse_json(metadata[KEY])
        version, found, crc32 = header["version"], header["kind"], header["crc32"]
        note: dict[str, Any] = dict(header["note"])
    except UNREADABLE as error:
        raise CheckpointError(f"{path} is damaged: its header cannot be read") from error
    if version != VERSION:
        raise CheckpointError(f"{path} has format version {version}, expected {VERSION}")
    if found != kind and earlier.KINDS.get(str(found)) != kind:
        raise CheckpointError(f"{path} holds a {found}, expected a {kind}")
    if crc32 != _checksum(tensors, note):
        raise CheckpointError(f"{path} is damaged: its checksum does not match")
    return note


def _checksum(tensors: Mapping[str, NDArray[np.generic]], note: Mapping[str, object]) -> int:
    """CRC-32 of the note and of every array's name, type, shape and bytes."""
    crc = zlib.crc32(json.dumps(note, sort_keys=True).encode())
    for name in sorted(tensors):
        array = np.ascontiguousarray(tensors[name])
        crc = zlib.crc32(f"{name} {array.dtype} {tensors[name].shape}".encode(), crc)
        crc = zlib.crc32(array.reshape(-1).view(np.uint8).data, crc)
    return crc
