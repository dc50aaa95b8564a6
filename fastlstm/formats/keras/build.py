"""Our layers for those of a Keras model: a function for each class that is known."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.typing import NDArray

from fastlstm.formats.keras.config import LayerConfig, read_layer
from fastlstm.formats.keras.stored import Stored
from fastlstm.formats.keras.weights import from_cudnn, layer_of
from fastlstm.formats.recurrence import Recurrence
from fastlstm.formats.steps import (
    ACTIVATIONS,
    Activation,
    Conv1D,
    Flatten,
    Masking,
    MaskZero,
    Pool,
    Scale,
    ZeroPad,
)
from fastlstm.formats.steps import PReLU as PReLUStep
from fastlstm.kernels.spec import ACTIVATIONS as CELL_ACTIVATIONS
from fastlstm.nn.activation import Option
from fastlstm.nn.embedding import Embedding
from fastlstm.nn.linear import Linear
from fastlstm.nn.module import Module

Options = dict[str, Any]
OLD = "fastlstm: old"  # among them: whether Keras 1 or 2 wrote the file, as `modules_of`


class Refused(ValueError):
    """A layer that cannot be run here, and why."""


def modules_of(layer: LayerConfig, stored: Stored, old: bool = False) -> list[Module]:
    """Return what runs in the place of a layer, nothing for one that only training has.

    `old` says that Keras 1 or 2 wrote it.

    Raises Refused if there is nothing, ValueError if the weights do not fit.
    """
    if layer.kind in NOTHING:
        return []
    if layer.kind not in BUILDERS:
        raise Refused(f"a layer of class {layer.kind:.60} has no counterpart here")
    return BUILDERS[layer.kind]({**layer.options, OLD: old}, stored)


def activation_name(value: Any) -> str:
    """Return the name of an activation; Refused if it is a function of the user's."""
    if isinstance(value, dict) and value.get("class_name") == "function":
        value = value.get("config")
    if not isinstance(value, str):
        raise Refused(f"its activation is {value!r:.60}, expected a name")
    return {"swish": "silu"}.get(value, value)


def _activation(options: Options, alpha: float = 1.0) -> list[Module]:
    name = activation_name(options.get("activation", "linear"))
    if name == "leaky_relu":
        alpha = 0.2  # of Keras 3; earlier ones had no such name
    if name not in ACTIVATIONS:
        raise Refused(f"its activation is {name:.60}, expected one of {', '.join(ACTIVATIONS)}")
    return [] if name == "linear" else [Activation(name, alpha)]


def _usual(options: Options, **usual: Any) -> None:
    """Raise Refused if an option is another than the one that is known."""
    for name, value in usual.items():
        if options.get(name, value) not in (value, [value]):
            raise Refused(f"its {name} is {options[name]!r:.60}, expected {value!r}")


def _flag(options: Options, name: str, usual: bool = False) -> bool:
    value = options.get(name, usual)
    if not isinstance(value, bool):
        raise ValueError(f"its {name} is {value!r:.60}, expected true or false")
    return value


def _one(options: Options, name: str, usual: int = 1) -> int:
    """Return an option that is a whole number, perhaps alone in a list."""
    value = options.get(name, usual)
    value = value[0] if isinstance(value, list) and len(value) == 1 else value
    if type(value) is not int:
        raise ValueError(f"its {name} is {value!r:.60}, expected a whole number")
    return value


def _shapes(stored: Stored, *axes: int) -> list[NDArray[Any]]:
    """Return the arrays of a layer after checking how many axes each has."""
    found = [array.ndim for array in stored.arrays]
    if found != list(axes) or stored.second or not all(a.size for a in stored.arrays):
        shapes = [array.shape for array in stored.arrays]
        raise ValueError(f"its arrays have shapes {shapes}, expected {list(axes)} axes")
    return stored.arrays


def _dtype(arrays: list[NDArray[Any]]) -> Any:
    return np.result_type(np.float32, *arrays)


def _dense(options: Options, stored: Stored) -> list[Module]:
    bias = _flag(options, "use_bias", True)
    kernel, *rest = _shapes(stored, *((2, 1) if bias else (2,)))
    linear = Linear(kernel.shape[0], kernel.shape[1], bias, dtype=_dtype(stored.arrays))
    linear.load_state_dict({"weight": kernel.T, **({"bias": rest[0]} if bias else {})})
    return [linear, *_activation(options)]


def _embedding(options: Options, stored: Stored) -> list[Module]:
    (table,) = _shapes(stored, 2)
    embedding = Embedding(*table.shape, std=0.0, dtype=_dtype([table]))
    embedding.load_state_dict({"weight": table})
    return [MaskZero(), embedding] if _flag(options, "mask_zero") else [embedding]


def _activations(name: str, options: Options) -> dict[str, Option]:
    """Return those activations of a recurrent layer that are not the usual ones.

    Raises Refused if the kernels do not have one.
    """
    usual = {"activation": "tanh", "recurrent_activation": "sigmoid"}
    if name.startswith("SimpleRNN"):
        del usual["recurrent_activation"]
    found: dict[str, Option] = {}
    for told, value in usual.items():
        given = activation_name(options.get(told, value))
        if given not in CELL_ACTIVATIONS:
            known = ", ".join(CELL_ACTIVATIONS)
            raise Refused(f"its {told} is {given:.60}, expected one of {known}")
        if given != value:
            new_hard = given == "hard_sigmoid" and not options[OLD]
            found[told] = ("hard_sigmoid", 1 / 6, 0.5) if new_hard else given
    return found


def _kind(name: str, options: Options, stored: Stored) -> str:
    """Return the kind of a recurrent layer, but for its activations."""
    name = name.removesuffix("Cell").removeprefix("CuDNN")
    if name == "SimpleRNN":
        return "rnn_tanh"
    if name == "LSTM":
        return "lstm"
    one_bias = len(stored.arrays) == 3 and stored.arrays[2].ndim == 1
    arrays = from_cudnn("gru", stored.arrays)
    after = not (one_bias and arrays is stored.arrays)
    return "gru" if _flag(options, "reset_after", after) else "gru_reset_before"


def _recurrent(name: str, options: Options, stored: Stored, merge: str = "concat") -> list[Module]:
    _usual(options, stateful=False, return_state=False, time_major=False)
    if name == "RNN":
        cell = read_layer({"config": {"name": ""}, **_object(options, "cell")})
        name, options = cell.kind, {**options, **cell.options}
        if name not in ("LSTMCell", "GRUCell", "SimpleRNNCell"):
            raise Refused(f"its cell is of class {name:.60}")
    directions = [stored.arrays, *([stored.second] if stored.second else [])]
    kind = _kind(name, options, stored)
    layer = layer_of(kind, directions, _activations(name, options))
    if _one(options, "units") != layer.hidden_size:
        raise ValueError(f"its units are {options['units']}, its arrays of {layer.hidden_size}")
    backwards = _flag(options, "go_backwards")
    if backwards and stored.second:
        raise Refused("it goes backwards in two directions")
    every = _flag(options, "return_sequences")
    return [
        Recurrence(
            layer,
            "all" if every else "last",
            backwards=backwards,
            merge=merge,
            zero_masked=_flag(options, "zero_output_for_mask"),
        )
    ]


def _object(options: Options, name: str) -> Options:
    value = options.get(name)
    if not isinstance(value, dict):
        raise ValueError(f"its {name} is {value!r:.60}, expected an object")
    return value


def _bidirectional(options: Options, stored: Stored) -> list[Module]:
    inner = read_layer({"config": {"name": ""}, **_object(options, "layer")})
    if inner.kind not in RECURRENT:
        raise Refused(f"it wraps a layer of class {inner.kind:.60}")
    if len(stored.arrays) in (4, 6) and not stored.second:
        half = len(stored.arrays) // 2
        stored = Stored(stored.arrays[:half], stored.arrays[half:])
    if not stored.second:
        raise ValueError(f"it has {len(stored.arrays)} arrays, expected those of two directions")
    back = options.get("backward_layer")
    if back is not None:
        other = read_layer({"config": {"name": ""}, **_object(options, "backward_layer")})
        for name in ("activation", "recurrent_activation", "return_sequences", "reset_after"):
            if other.kind != inner.kind or other.options.get(name) != inner.options.get(name):
                raise Refused("its backward_layer is of another kind")
    merge = {"concat": "concat", "sum": "sum", "mul": "mul", "ave": "ave"}.get(
        str(options.get("merge_mode", "concat"))
    )
    if merge is None:
        raise Refused(f"its merge_mode is {options['merge_mode']!r:.60}")
    return _recurrent(inner.kind, {**inner.options, OLD: options[OLD]}, stored, merge)


def _time_distributed(options: Options, stored: Stored) -> list[Module]:
    inner = read_layer({"config": {"name": ""}, **_object(options, "layer")})
    if inner.kind not in ("Dense", "Activation"):
        raise Refused(f"it wraps a layer of class {inner.kind:.60}")
    return modules_of(inner, stored, options[OLD])


def _batch_norm(options: Options, stored: Stored) -> list[Module]:
    axis = options.get("axis", -1)
    if axis not in (-1, 2, [-1], [2]):
        raise Refused(f"its axis is {axis!r:.60}, expected the last one, -1")
    arrays = list(_shapes(stored, *[1] * len(stored.arrays)))
    wanted = 2 + _flag(options, "scale", True) + _flag(options, "center", True)
    if len(arrays) != wanted or len({array.shape for array in arrays}) != 1:
        raise ValueError(f"it has arrays of shapes {[a.shape for a in arrays]}, expected {wanted}")
    epsilon = options.get("epsilon", 1e-3)
    wide = [array.astype(np.float64) for array in arrays]
    gamma = wide.pop(0) if _flag(options, "scale", True) else np.float64(1)
    beta = wide.pop(0) if _flag(options, "center", True) else np.float64(0)
    return [scale_of(gamma, beta, wide[0], wide[1], float(epsilon), _dtype(arrays))]


def scale_of(gamma: Any, beta: Any, mean: Any, variance: Any, epsilon: float, dtype: Any) -> Scale:
    """Return what a batch normalization with these statistics does."""
    if not ((variance + epsilon) > 0).all():
        raise ValueError("its variance is not above zero everywhere")
    scale = np.broadcast_to(gamma / np.sqrt(variance + epsilon), mean.shape)
    made = Scale(len(mean), dtype=dtype)
    made.load_state_dict({"scale": scale, "shift": beta - mean * scale})
    return made


def _conv(options: Options, stored: Stored) -> list[Module]:
    _usual(options, groups=1, data_format="channels_last")
    bias = _flag(options, "use_bias", True)
    kernel, *rest = _shapes(stored, *((3, 1) if bias else (3,)))
    K, I, O = kernel.shape  # noqa: E741
    conv = Conv1D(
        I, O, K, _one(options, "strides"), _one(options, "dilation_rate"),
        options.get("padding", "valid"), bias, dtype=_dtype(stored.arrays),
    )  # fmt: skip
    conv.load_state_dict({"weight": kernel, **({"bias": rest[0]} if bias else {})})
    return [conv, *_activation(options)]


def _zero_pad(options: Options, stored: Stored) -> list[Module]:
    given = options.get("padding", 1)
    around = given if isinstance(given, (list, tuple)) else [given, given]
    if len(around) != 2 or any(type(n) is not int for n in around):
        raise ValueError(f"its padding is {given!r:.60}, expected a whole number or two")
    _usual(options, data_format="channels_last")
    return [ZeroPad(*around)]


def _prelu(options: Options, stored: Stored) -> list[Module]:
    (alpha,) = stored.arrays if len(stored.arrays) == 1 else [np.zeros((0, 0))]
    row = alpha.reshape(-1)
    if alpha.ndim not in (1, 2) or alpha.shape[-1] != row.size or not row.size:
        raise Refused(f"its alpha has shape {alpha.shape}, expected one for each feature")
    made = PReLUStep(row.size, dtype=_dtype([row]))
    made.load_state_dict({"weight": row})
    return [made]


def _number(options: Options, *names: str, usual: float) -> float:
    value = next((options[name] for name in names if name in options), usual)
    if isinstance(value, bool) or not isinstance(value, (int, float)):
        raise ValueError(f"its {names[0]} is {value!r:.60}, expected a number")
    return float(value)


def _relu(options: Options, stored: Stored) -> list[Module]:
    _usual(options, max_value=None)
    if _number(options, "threshold", usual=0.0):
        raise Refused(f"its threshold is {options['threshold']}, expected 0")
    return [Activation("leaky_relu", _number(options, "negative_slope", usual=0.0))]


def _pool(name: str) -> Callable[[Options, Stored], list[Module]]:
    def build(options: Options, stored: Stored) -> list[Module]:
        _usual(options, data_format="channels_last", keepdims=False)
        return [Pool(name)]

    return build


def _softmax(options: Options, stored: Stored) -> list[Module]:
    _usual(options, axis=-1)
    return [Activation("softmax")]


def _recurrent_of(name: str) -> Callable[[Options, Stored], list[Module]]:
    return lambda options, stored: _recurrent(name, options, stored)


NOTHING = (  # in inference
    "InputLayer", "Dropout", "SpatialDropout1D", "GaussianNoise", "GaussianDropout",
    "AlphaDropout", "ActivityRegularization",
)  # fmt: skip
RECURRENT = ("LSTM", "GRU", "SimpleRNN", "CuDNNLSTM", "CuDNNGRU", "RNN")
BUILDERS: dict[str, Callable[[Options, Stored], list[Module]]] = {
    **{name: _recurrent_of(name) for name in RECURRENT},
    "Bidirectional": _bidirectional,
    "Dense": _dense,
    "TimeDistributed": _time_distributed,
    "Embedding": _embedding,
    "BatchNormalization": _batch_norm,
    "Conv1D": _conv,
    "ZeroPadding1D": _zero_pad,
    "PReLU": _prelu,
    "Activation": lambda options, stored: _activation(options),
    "ReLU": _relu,
    "LeakyReLU": lambda options, stored: [
        Activation("leaky_relu", _number(options, "negative_slope", "alpha", usual=0.3))
    ],
    "ELU": lambda options, stored: [Activation("elu", _number(options, "alpha", usual=1.0))],
    "Softmax": _softmax,
    "GlobalAveragePooling1D": _pool("mean"),
    "GlobalMaxPooling1D": _pool("max"),
    "Flatten": lambda options, stored: [Flatten()],
    "Masking": lambda options, stored: [Masking(_number(options, "mask_value", usual=0.0))],
}
