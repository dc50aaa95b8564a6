"""ONNX files as models to call: ``fastlstm.onnx.load(path)`` gives an `OnnxModel`.

Recurrent nodes run on fastlstm's kernels, all others in NumPy. The `onnx` package reads the files.
"""

try:
    import onnx as _onnx
except ModuleNotFoundError as error:
    if error.name != "onnx":
        raise
    raise ImportError(
        "fastlstm.onnx needs the onnx package: pip install 'fastlstm[onnx]'"
    ) from error

from fastlstm.onnx.errors import OnnxError
from fastlstm.onnx.model import OnnxModel, load

__all__ = ["OnnxError", "OnnxModel", "load"]
