"""Our layers for those of a Keras model: a function for each class that is known."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from fastlstm.formats.keras.config import LayerConfig, read_layer
from fastlstm.formats.keras.options import (
    OLD,
    Options,
    Refused,
    activation_name,
    arrays_of,
    dtype_of,
    flag,
    number,
    object_of,
    usual_only,
    whole_number,
)
from fastlstm.formats.keras.recurrent import RECURRENT, bidirectional, recurrent
from fastlstm.formats.keras.stored import Stored
from fastlstm.formats.steps import (
    ACTIVATIONS,
    Activation,
    AveragePool,
    Conv1D,
    Flatten,
    Masking,
    MaskZero,
    Pool,
    Scale,
    ZeroPad,
)
from fastlstm.formats.steps import PReLU as PReLUStep
from fastlstm.nn.embedding import Embedding
from fastlstm.nn.linear import Linear
from fastlstm.nn.module import Module


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


def _activation(options: Options, alpha: float = 1.0) -> list[Module]:
    name = activation_name(options.get("activation", "linear"))
    if name == "leaky_relu":
        alpha = 0.2  # of Keras 3; earlier ones had no such name
    if name not in ACTIVATIONS:
        raise Refused(f"its activation is {name:.60}, expected one of {', '.join(ACTIVATIONS)}")
    return [] if name == "linear" else [Activation(name, alpha)]


def _dense(options: Options, stored: Stored) -> list[Module]:
    bias = flag(options, "use_bias", True)
    kernel, *rest = arrays_of(stored, *((2, 1) if bias else (2,)))
    linear = Linear(kernel.shape[0], kernel.shape[1], bias, dtype=dtype_of(stored.arrays))
    linear.load_state_dict({"weight": kernel.T, **({"bias": rest[0]} if bias else {})})
    return [linear, *_activation(options)]


def _embedding(options: Options, stored: Stored) -> list[Module]:
    (table,) = arrays_of(stored, 2)
    embedding = Embedding(*table.shape, std=0.0, dtype=dtype_of([table]))
    embedding.load_state_dict({"weight": table})
    return [MaskZero(), embedding] if flag(options, "mask_zero") else [embedding]


def _time_distributed(options: Options, stored: Stored) -> list[Module]:
    inner = read_layer({"config": {"name": ""}, **object_of(options, "layer")})
    if inner.kind not in ("Dense", "Activation"):
        raise Refused(f"it wraps a layer of class {inner.kind:.60}")
    return modules_of(inner, stored, options[OLD])


def _batch_norm(options: Options, stored: Stored) -> list[Module]:
    axis = options.get("axis", -1)
    if axis not in (-1, 2, [-1], [2]):
        raise Refused(f"its axis is {axis!r:.60}, expected the last one, -1")
    arrays = list(arrays_of(stored, *[1] * len(stored.arrays)))
    wanted = 2 + flag(options, "scale", True) + flag(options, "center", True)
    if len(arrays) != wanted or len({array.shape for array in arrays}) != 1:
        raise ValueError(f"it has arrays of shapes {[a.shape for a in arrays]}, expected {wanted}")
    epsilon = options.get("epsilon", 1e-3)
    wide = [array.astype(np.float64) for array in arrays]
    gamma = wide.pop(0) if flag(options, "scale", True) else np.float64(1)
    beta = wide.pop(0) if flag(options, "center", True) else np.float64(0)
    return [scale_of(gamma, beta, wide[0], wide[1], float(epsilon), dtype_of(arrays))]


def scale_of(gamma: Any, beta: Any, mean: Any, variance: Any, epsilon: float, dtype: Any) -> Scale:
    """Return what a batch normalization with these statistics does."""
    if not ((variance + epsilon) > 0).all():
        raise ValueError("its variance is not above zero everywhere")
    scale = np.broadcast_to(gamma / np.sqrt(variance + epsilon), mean.shape)
    made = Scale(len(mean), dtype=dtype)
    made.load_state_dict({"scale": scale, "shift": beta - mean * scale})
    return made


def _conv(options: Options, stored: Stored) -> list[Module]:
    usual_only(options, groups=1, data_format="channels_last")
    bias = flag(options, "use_bias", True)
    kernel, *rest = arrays_of(stored, *((3, 1) if bias else (3,)))
    K, I, O = kernel.shape
    conv = Conv1D(
        I, O, K, whole_number(options, "strides"), whole_number(options, "dilation_rate"),
        options.get("padding", "valid"), bias, dtype=dtype_of(stored.arrays),
    )  # fmt: skip
    conv.load_state_dict({"weight": kernel, **({"bias": rest[0]} if bias else {})})
    return [conv, *_activation(options)]


def _average_pool(options: Options, stored: Stored) -> list[Module]:
    usual_only(options, data_format="channels_last", padding="valid")
    size = whole_number(options, "pool_size", 2)
    if options.get("strides") is not None and whole_number(options, "strides") != size:
        raise Refused(f"its strides are {options['strides']!r:.60}, expected its pool_size, {size}")
    return [AveragePool(size)]


def _reshape(options: Options, stored: Stored) -> list[Module]:
    shape = options.get("target_shape")
    if not isinstance(shape, (list, tuple)) or len(shape) != 1:
        raise Refused(f"its target_shape is {shape!r:.60}, expected one number: a flat row")
    return [Flatten()]


def _zero_pad(options: Options, stored: Stored) -> list[Module]:
    given = options.get("padding", 1)
    around = given if isinstance(given, (list, tuple)) else [given, given]
    if len(around) != 2 or any(type(n) is not int for n in around):
        raise ValueError(f"its padding is {given!r:.60}, expected a whole number or two")
    usual_only(options, data_format="channels_last")
    return [ZeroPad(*around)]


def _prelu(options: Options, stored: Stored) -> list[Module]:
    (alpha,) = stored.arrays if len(stored.arrays) == 1 else [np.zeros((0, 0))]
    row = alpha.reshape(-1)
    if alpha.ndim not in (1, 2) or alpha.shape[-1] != row.size or not row.size:
        raise Refused(f"its alpha has shape {alpha.shape}, expected one for each feature")
    made = PReLUStep(row.size, dtype=dtype_of([row]))
    made.load_state_dict({"weight": row})
    return [made]


def _relu(options: Options, stored: Stored) -> list[Module]:
    usual_only(options, max_value=None)
    if number(options, "threshold", usual=0.0):
        raise Refused(f"its threshold is {options['threshold']}, expected 0")
    return [Activation("leaky_relu", number(options, "negative_slope", usual=0.0))]


def _pool(name: str) -> Callable[[Options, Stored], list[Module]]:
    def build(options: Options, stored: Stored) -> list[Module]:
        usual_only(options, data_format="channels_last", keepdims=False)
        return [Pool(name)]

    return build


def _softmax(options: Options, stored: Stored) -> list[Module]:
    usual_only(options, axis=-1)
    return [Activation("softmax")]


def _recurrent_of(name: str) -> Callable[[Options, Stored], list[Module]]:
    return lambda options, stored: recurrent(name, options, stored)


NOTHING = (  # in inference
    "InputLayer", "Dropout", "SpatialDropout1D", "GaussianNoise", "GaussianDropout",
    "AlphaDropout", "ActivityRegularization",
)  # fmt: skip
BUILDERS: dict[str, Callable[[Options, Stored], list[Module]]] = {
    **{name: _recurrent_of(name) for name in RECURRENT},
    "Bidirectional": bidirectional,
    "Dense": _dense,
    "TimeDistributed": _time_distributed,
    "Embedding": _embedding,
    "BatchNormalization": _batch_norm,
    "Conv1D": _conv,
    "ZeroPadding1D": _zero_pad,
    "AveragePooling1D": _average_pool,
    "PReLU": _prelu,
    "Activation": lambda options, stored: _activation(options),
    "ReLU": _relu,
    "LeakyReLU": lambda options, stored: [
        Activation("leaky_relu", number(options, "negative_slope", "alpha", usual=0.3))
    ],
    "ELU": lambda options, stored: [Activation("elu", number(options, "alpha", usual=1.0))],
    "Softmax": _softmax,
    "GlobalAveragePooling1D": _pool("mean"),
    "GlobalMaxPooling1D": _pool("max"),
    "Flatten": lambda options, stored: [Flatten()],
    "Reshape": _reshape,
    "Masking": lambda options, stored: [Masking(number(options, "mask_value", usual=0.0))],
}
