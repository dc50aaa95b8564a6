"""Which kind a file is: by its bytes when it is read, by its name when it is written."""

from __future__ import annotations

import os
import zipfile
from collections.abc import Callable, Mapping
from functools import partial
from importlib import import_module
from pathlib import Path
from typing import Any

from fastlstm.files.naming import named_path
from fastlstm.files.opening import open_file
from fastlstm.formats.errors import BAD_ARCHIVE

HEAD = 16  # bytes that tell
READERS = {  # kind -> what it is, the function that reads it, whether that takes `kinds`
    "run": ("the folder of a run", "run:load_run_folder", False),
    "safetensors": ("safetensors", "safetensors:load_safetensors", True),
    "torch": ("a state_dict of torch", "torch_file:load_torch", True),
    "keras": ("Keras's .keras", "keras.read:load_keras", True),
    "hdf5": ("Keras's HDF5", "keras.read:load_hdf5", True),
    "json": ("RTNeural's JSON", "rtneural:load_rtneural", False),
    "onnx": ("ONNX", "onnx_file:load_onnx", False),
}
WRITERS = {  # ending -> the function that writes it; the longest ending counts
    ".safetensors": "own:save_own",
    ".pt": "torch_file:save_torch",
    ".pth": "torch_file:save_torch",
    ".keras": "keras.write:save_keras",
    ".weights.h5": "keras.write:save_weights",
    ".h5": "keras.write:save_hdf5",
    ".onnx": "onnx_export:save_onnx",
}
# The first field of an ONNX model is its version, a small number; after it comes any other field.
ONNX_FIELDS = b"\x12\x1a\x22\x28\x32\x3a\x42\x72\xa2"


def find_reader(path: str | os.PathLike[str], kinds: Mapping[str, str] | None) -> Callable[[], Any]:
    """Return what reads the file; ValueError if it is of no kind that is known."""
    path = named_path(path)
    kind = "run" if path.is_dir() else _kind_of(path)
    told, place, takes_kinds = READERS[kind]
    if kinds and not takes_kinds:
        raise ValueError(f"kinds is {dict(kinds)!r}, expected none for {path}, which is {told}")
    return partial(_function(place), path, *([dict(kinds or {})] if takes_kinds else ()))


def find_writer(path: str | os.PathLike[str]) -> Callable[[Any, Any], None]:
    """Return what writes a file of this name; ValueError if the ending is none that is known."""
    name = named_path(path).name.lower()
    for ending in sorted(WRITERS, key=len, reverse=True):
        if name.endswith(ending):
            writer: Callable[[Any, Any], None] = _function(WRITERS[ending])
            return writer
    raise ValueError(f"{path} does not end in one of {', '.join(WRITERS)}")


def _function(place: str) -> Any:
    module, _, name = place.partition(":")
    return getattr(import_module(f"fastlstm.formats.{module}"), name)


def _kind_of(path: Path) -> str:
    with open_file(path) as file:
        head, size = file.read(HEAD), os.fstat(file.fileno()).st_size
    if head.startswith(b"\x89HDF\r\n\x1a\n"):
        return "hdf5"
    if head.startswith(b"PK\x03\x04"):
        return _kind_of_archive(path)
    if len(head) > 8 and head[8:9] == b"{" and int.from_bytes(head[:8], "little") <= size - 8:
        return "safetensors"
    if head[:1] == b"\x80" and head[1:2] in (b"\x02", b"\x03", b"\x04", b"\x05"):
        return "torch"
    if head.removeprefix(b"\xef\xbb\xbf").lstrip().startswith(b"{"):
        return "json"
    if head[:1] == b"\x08" and head[1:2] < b"\x20" and head[2:3] in tuple(map(_byte, ONNX_FIELDS)):
        return "onnx"
    known = ", ".join(told for told, _, _ in READERS.values())
    raise ValueError(
        f"{path} is of no kind that is read: it begins with {head!r}, expected one of {known}"
    )


def _byte(value: int) -> bytes:
    return bytes([value])


def _kind_of_archive(path: Path) -> str:
    """Return the kind of a zip archive: Keras's or torch's."""
    try:
        with open_file(path) as file, zipfile.ZipFile(file) as archive:
            names = archive.namelist()
    except BAD_ARCHIVE as error:
        raise ValueError(f"{path} is a damaged zip archive: {error}") from error
    if "config.json" in names:
        return "keras"
    if any(name.rpartition("/")[2] == "data.pkl" for name in names):
        return "torch"
    raise ValueError(
        f"{path} is a zip archive of {', '.join(sorted(names)[:5])!r:.200}, expected config.json "
        "of a Keras model or data.pkl of a torch file"
    )
