"""safetensors files: ours, and those of a state_dict, also in the dtypes that NumPy lacks."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from numpy.typing import NDArray
from safetensors import SafetensorError

from fastlstm.formats.errors import reading
from fastlstm.formats.own import load_own
from fastlstm.formats.state_dict import layers_of
from fastlstm.train.checkpoint import kind_of
from fastlstm.train.tensor_file import read_tensors

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
        return read_tensors(path)[0]
    except SafetensorError as error:
        raise ValueError(f"its header is damaged: {error}") from error
