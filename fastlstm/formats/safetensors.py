"""safetensors files: ours, and those of a state_dict, also in the dtypes that NumPy lacks."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from safetensors import SafetensorError, safe_open

from fastlstm.files.json_value import parse_json
from fastlstm.files.opening import open_file
from fastlstm.formats.errors import reading
from fastlstm.formats.own import load_own
from fastlstm.formats.state_dict import layers_of
from fastlstm.train.checkpoint import kind_of
from fastlstm.train.tensor_file import DTYPES

NAMES = {code: name for name, code in DTYPES.items()}
Arrays = dict[str, NDArray[Any]]


def load_safetensors(path: Path, kinds: dict[str, str]) -> Any:
    """Return the model of a file of ours, else the layers of a state_dict."""
    if kind_of(path) is not None:
        if kinds:
            raise ValueError(f"kinds is {kinds!r}, expected none: {path} describes its layers")
        return load_own(path)
    with reading(path, "a state_dict"):
        return layers_of(read_arrays(path), kinds)


def read_arrays(path: Path) -> Arrays:
    """Return the arrays of a file by name, bfloat16 as float32.

    Raises ValueError if the header does not fit the file or a dtype is none of NumPy's.
    """
    try:
        with safe_open(path, framework="np") as file:  # checks the header against the file
            names = list(file.keys())
    except SafetensorError as error:
        raise ValueError(f"its header is damaged: {error}") from error
    with open_file(path) as file:
        size = int.from_bytes(file.read(8), "little")
        header = parse_json(file.read(size))
        return {name: _read(file, 8 + size, name, header[name]) for name in sorted(names)}


def _read(file: Any, start: int, name: str, entry: dict[str, Any]) -> NDArray[Any]:
    code, (begin, end) = entry["dtype"], entry["data_offsets"]
    if code not in NAMES and code != "BF16":
        raise ValueError(f"{name} has dtype {code}, expected one of {', '.join(NAMES)}, BF16")
    file.seek(start + begin)
    raw = np.frombuffer(file.read(end - begin), NAMES.get(code, "uint16"))
    if code == "BF16":
        raw = (raw.astype(np.uint32) << 16).view(np.float32)
    array: NDArray[Any] = raw.reshape(entry["shape"])
    return array
