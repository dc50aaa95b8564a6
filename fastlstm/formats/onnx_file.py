"""ONNX files: what `fastlstm.onnx` makes of them."""

from __future__ import annotations

from pathlib import Path
from typing import Any


def load_onnx(path: Path) -> Any:
    """Return the graph of a file; errors are those of `fastlstm.onnx.load`."""
    from fastlstm.onnx import load  # says which extra it needs

    return load(path)
