"""The 16 kHz voice detector as a chain, its weights from an ONNX file."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from fastlstm import nn
from fastlstm.files.opening import open_file

Array = NDArray[Any]
Tensors = dict[str, Array]

FRAME, CONTEXT = 512, 64  # samples: a frame, and what is kept of the one before it
BASIS = "stft.forward_basis_buffer"
MOST_BYTES = 64 << 20  # of a file: the detector has two megabytes

# As the file names them, behind a prefix of each model in it -> as the chain does; with shapes.
WEIGHTS: dict[str, tuple[str, tuple[int, ...]]] = {
    BASIS: ("0.weight", (258, 1, 256)),
    "encoder.0.reparam_conv.weight": ("2.weight", (128, 129, 3)),
    "encoder.0.reparam_conv.bias": ("2.bias", (128,)),
    "encoder.1.reparam_conv.weight": ("4.weight", (64, 128, 3)),
    "encoder.1.reparam_conv.bias": ("4.bias", (64,)),
    "encoder.2.reparam_conv.weight": ("6.weight", (64, 64, 3)),
    "encoder.2.reparam_conv.bias": ("6.bias", (64,)),
    "encoder.3.reparam_conv.weight": ("8.weight", (128, 64, 3)),
    "encoder.3.reparam_conv.bias": ("8.bias", (128,)),
    "decoder.rnn.weight_ih": ("10.weight_ih_l0", (512, 128)),
    "decoder.rnn.weight_hh": ("10.weight_hh_l0", (512, 128)),
    "decoder.rnn.bias_ih": ("10.bias_ih_l0", (512,)),
    "decoder.rnn.bias_hh": ("10.bias_hh_l0", (512,)),
    "decoder.decoder.2.weight": ("12.weight", (1, 128, 1)),
    "decoder.decoder.2.bias": ("12.bias", (1,)),
}


def make_detector() -> nn.Chain:
    """Return a detector with random weights: samples [N,F*512] -> probabilities [N,F,1]."""
    from fastlstm import LSTM

    def convolution(inputs: int, outputs: int, stride: int = 1) -> list[nn.Module]:
        return [nn.Conv1d(inputs, outputs, 3, stride, padding=1), nn.ReLU()]

    spectrum = nn.Conv1d(
        1, 258, 256, 128, padding=(0, 64), bias=False, padding_mode="reflect", context=CONTEXT
    )
    modules = [
        spectrum,
        nn.Magnitude(),
        *convolution(129, 128),
        *convolution(128, 64, 2),
        *convolution(64, 64, 2),
        *convolution(64, 128),
        LSTM(128, 128),
        nn.ReLU(),
        nn.Conv1d(128, 1, 1),
        nn.Sigmoid(),
    ]
    return nn.Chain(modules, FRAME)


def read_detector(path: Path) -> nn.Chain:
    """Return the detector of an ONNX file, of which other sample rates may be part as well.

    Weights are found by their names; what the file computes with them is not looked at.

    Raises
    ------
    ImportError
        If the package `onnx` is missing.
    OSError, ValueError
        If the file cannot be read, or holds no detector of that architecture.
    """
    tensors = _tensors(path)
    found = sorted(name for name in tensors if name.endswith(BASIS))
    if not found:
        raise ValueError(f"{path}: no detector of this architecture, expected a tensor {BASIS}")
    of_16_khz = [name for name in found if tensors[name].shape == WEIGHTS[BASIS][1]]
    prefix = (of_16_khz or found)[0][: -len(BASIS)]
    detector, state = make_detector(), {}
    for name, (own, shape) in WEIGHTS.items():
        value = tensors.get(prefix + name)
        told = "nothing" if value is None else f"{value.dtype} of shape {value.shape}"
        if value is None or value.shape != shape or value.dtype != np.float32:
            raise ValueError(
                f"{path}: {prefix + name} is {told}, expected float32 of shape {shape}"
            )
        state[own] = value
    try:
        detector.load_state_dict(state)
    except ValueError as error:
        raise ValueError(f"{path}: {error}") from None
    return detector


def _tensors(path: Path) -> Tensors:
    """Return the constants of an ONNX file by name, those inside its branches too."""
    try:
        import onnx
    except ImportError as error:
        raise ImportError(
            f"to read {path} needs onnx ({error}): pip install 'fastlstm[onnx]'"
        ) from error
    with open_file(path) as file:
        data = file.read(MOST_BYTES + 1)
    if len(data) > MOST_BYTES:
        raise ValueError(f"{path}: more than {MOST_BYTES >> 20} MB, expected a detector of two")
    model = onnx.ModelProto()
    try:
        model.ParseFromString(data)
    except Exception as error:  # protobuf has its own, of a package without types
        raise ValueError(f"{path}: no ONNX file ({error})") from None
    return {name: _array(path, name, tensor) for name, tensor in _constants(model.graph)}


def _constants(graph: Any) -> Iterator[tuple[str, Any]]:
    for tensor in graph.initializer:
        yield tensor.name, tensor
    for node in graph.node:
        for attribute in node.attribute:
            if node.op_type == "Constant" and attribute.name == "value" and node.output:
                yield node.output[0], attribute.t
            if attribute.HasField("g"):
                yield from _constants(attribute.g)


def _array(path: Path, name: str, tensor: Any) -> Array:
    from onnx import TensorProto, numpy_helper

    if tensor.data_location == TensorProto.EXTERNAL:
        raise ValueError(f"{path}: {name} is in another file, expected all in this one")
    try:
        return np.asarray(numpy_helper.to_array(tensor))
    except (TypeError, ValueError) as error:
        raise ValueError(f"{path}: {name} cannot be read ({error})") from None
