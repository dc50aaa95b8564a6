"""RTNeural's JSON: the layers of a Keras model in order, with Keras's arrays as lists.

``{"in_shape": [null, null, 1], "layers": [{"type": "lstm", "activation": "tanh",
"shape": [null, null, 8], "weights": [...]}, ...]}``
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from fastlstm.counts import count_of
from fastlstm.files.json_value import read_json
from fastlstm.formats.errors import reading
from fastlstm.formats.keras.build import scale_of
from fastlstm.formats.keras.weights import layer_of
from fastlstm.formats.sequential import Sequential
from fastlstm.formats.steps import Activation, Conv1D, PReLU
from fastlstm.kernels.rows import any_array
from fastlstm.nn.linear import Linear
from fastlstm.nn.module import Module

Array = NDArray[np.float32]
ACTIVATIONS = ("tanh", "relu", "sigmoid", "softmax", "elu")
EPSILON = 1e-3  # of a batch normalization that says none, as Keras's


def load_rtneural(path: Path) -> Sequential:
    """Return the model of a file: it runs over x [N,T,I] and gives all steps."""
    with reading(path, "RTNeural's JSON"):
        document = read_json(path)
        layers = document.get("layers") if isinstance(document, dict) else None
        if not isinstance(layers, list) or not layers or "in_shape" not in document:
            raise ValueError("it has not the in_shape and the list of layers of RTNeural's models")
        size = _last(document["in_shape"])
        made: dict[str, Module] = {}
        for number, layer in enumerate(layers):
            size = _add(made, number, layer, size)
        return Sequential(made)


def _add(made: dict[str, Module], number: int, layer: Any, size: int) -> int:
    """Add what a layer is, and return how many numbers it gives for those that it takes."""
    kind = layer.get("type") if isinstance(layer, dict) else None
    if not isinstance(kind, str) or kind not in BUILDERS:
        raise ValueError(
            f"layers[{number}] is of type {kind!r:.60}, expected one of {', '.join(BUILDERS)}"
        )
    try:
        modules = BUILDERS[kind](layer, size)
        given = _last(layer["shape"]) if "shape" in layer else None
    except KeyError as error:
        raise ValueError(f"layers[{number}], a {kind}: it has no {error}") from error
    except (TypeError, ValueError, OverflowError) as error:
        raise ValueError(f"layers[{number}], a {kind}: {error}") from error
    for module in modules:
        name = f"{number}/{type(module).__name__.lower()}" if module is not modules[0] else ""
        made[name or f"{number}"] = module
    taken, gives = _sizes(modules, size)
    if taken != size or given not in (None, gives):
        raise ValueError(
            f"layers[{number}], a {kind}: it takes {count_of(taken, 'number')} and gives {gives}, "
            f"expected {size} and {given}"
        )
    return gives


def _sizes(modules: list[Module], size: int) -> tuple[int, int]:
    first: Any = modules[0]
    if isinstance(first, (Linear, Conv1D)):
        return first.in_features, first.out_features
    if isinstance(first, Activation):
        return size, size
    if hasattr(first, "features"):
        return first.features, first.features
    return first.input_size, first.hidden_size


def _last(shape: Any) -> int:
    size = shape[-1] if isinstance(shape, list) and shape else None
    if type(size) is not int or size < 1:
        raise ValueError(f"a shape is {shape!r:.60}, expected a list that ends with a size")
    return size


def _arrays(layer: dict[str, Any], *axes: int) -> list[Array]:
    """Return the arrays of a layer after checking their number and how many axes each has."""
    weights = _listed(layer, len(axes))
    return [_array(value, number) for value, number in zip(weights, axes, strict=True)]


def _listed(layer: dict[str, Any], *counts: int) -> list[Any]:
    """Return the weights of a layer after checking that they are so many."""
    weights = layer["weights"]
    if not isinstance(weights, list) or len(weights) not in counts:
        expected = " or ".join(map(str, counts))
        raise ValueError(f"its weights are {weights!r:.60}, expected {expected} arrays")
    return weights


def _array(value: Any, axes: int) -> Array:
    array = any_array("an array of its weights", value)
    if array.dtype.kind not in "fi" or array.ndim != axes or not array.size:
        raise ValueError(
            f"an array of its weights has shape {array.shape} and dtype {array.dtype}, expected "
            f"numbers on {count_of(axes, 'axis', 'axes')}"
        )
    with np.errstate(over="ignore"):
        return array.astype(np.float32)


def _activation(layer: dict[str, Any], usual: str = "") -> list[Module]:
    name = layer.get("activation", usual) or usual
    if name in ("", "linear"):
        return []
    if name not in ACTIVATIONS:
        raise ValueError(f"its activation is {name!r:.60}, expected one of {ACTIVATIONS}")
    return [Activation(name)]


def _dense(layer: dict[str, Any], size: int) -> list[Module]:
    kernel, bias = _arrays(layer, 2, 1)
    linear = Linear(*kernel.shape)
    linear.load_state_dict({"weight": kernel.T, "bias": bias})
    return [linear, *_activation(layer)]


def _recurrent(kind: str, *axes: int) -> Callable[[dict[str, Any], int], list[Module]]:
    def build(layer: dict[str, Any], size: int) -> list[Module]:
        if layer.get("activation", "") not in ("", "tanh"):
            raise ValueError(f"its activation is {layer['activation']!r:.60}, expected tanh")
        return [layer_of(kind, [list(_arrays(layer, *axes))])]

    return build


def _conv(layer: dict[str, Any], size: int) -> list[Module]:
    kernel, bias = _arrays(layer, 3, 1)
    K, I, O = kernel.shape
    if _last(layer["kernel_size"]) != K:
        raise ValueError(f"its kernel_size is {layer['kernel_size']!r:.60}, its kernel of {K}")
    if layer.get("groups", 1) not in (1, [1]):
        raise ValueError(f"its groups are {layer['groups']!r:.60}, expected 1")
    conv = Conv1D(I, O, K, dilation=_last(layer["dilation"]), padding="causal")
    conv.load_state_dict({"weight": kernel, "bias": bias})
    return [conv, *_activation(layer)]


def _prelu(layer: dict[str, Any], size: int) -> list[Module]:
    weights = layer["weights"]
    alpha = _array(weights, any_array("its weights", weights).ndim).reshape(-1)
    if len(alpha) == 1:
        return [Activation("leaky_relu", float(alpha[0]))]
    if len(alpha) != size:
        raise ValueError(f"it has {count_of(len(alpha), 'slope')}, expected {size} or one")
    made = PReLU(size)
    made.load_state_dict({"weight": alpha})
    return [made]


def _batch_norm(layer: dict[str, Any], size: int) -> list[Module]:
    arrays = [_array(value, 1).astype(np.float64) for value in _listed(layer, 2, 4)]
    if len({array.shape for array in arrays}) != 1:
        sizes = ", ".join(str(len(array)) for array in arrays)
        raise ValueError(f"its weights have {sizes} numbers, expected as many in each")
    gamma, beta = arrays[:2] if len(arrays) == 4 else (np.float64(1), np.float64(0))
    mean, variance = arrays[-2:]
    epsilon = layer.get("epsilon", EPSILON)
    if isinstance(epsilon, bool) or not isinstance(epsilon, (int, float)):
        raise ValueError(f"its epsilon is {epsilon!r:.60}, expected a number")
    return [scale_of(gamma, beta, mean, variance, float(epsilon), "float32")]


def _activation_layer(layer: dict[str, Any], size: int) -> list[Module]:
    return _activation(layer) or [Activation("linear")]


BUILDERS: dict[str, Callable[[dict[str, Any], int], list[Module]]] = {
    "dense": _dense,
    "time-distributed-dense": _dense,
    "lstm": _recurrent("lstm", 2, 2, 1),
    "gru": _recurrent("gru", 2, 2, 2),
    "conv1d": _conv,
    "prelu": _prelu,
    "batchnorm": _batch_norm,
    "activation": _activation_layer,
}
