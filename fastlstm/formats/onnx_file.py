"""ONNX files: what `fastlstm.onnx` makes of them."""

from __future__ import annotations

from importlib import import_module
from pathlib import Path
from typing import Any


def load_onnx(path: Path) -> Any:
    """Return the graph of a file as `fastlstm.onnx.load` does."""
    try:
        onnx = import_module("fastlstm.onnx")
    except ModuleNotFoundError as error:
        raise ImportError(
            f"{path} is an ONNX file, which needs the package onnx: pip install 'fastlstm[onnx]'"
        ) from error
    return onnx.load(path)
