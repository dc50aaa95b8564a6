"""Our layers as those of a Keras model: class, options, and arrays."""

from __future__ import annotations

from collections.abc import Mapping
from itertools import dropwhile
from typing import Any, NamedTuple

import numpy as np

from fastlstm.formats.as_sequential import as_sequential, first_sized, has_steps
from fastlstm.formats.keras.chains import NO_MASK_BEHIND, unchained
from fastlstm.formats.keras.stored import Stored, snake_case
from fastlstm.formats.keras.weights import theirs
from fastlstm.formats.own import of_run
from fastlstm.formats.recurrence import Recurrence
from fastlstm.formats.steps import (
    Activation,
    AveragePool,
    Conv1D,
    Flatten,
    Masking,
    MaskZero,
    Pool,
    PReLU,
    Scale,
    ZeroPad,
)
from fastlstm.kernels.spec import Activation as CellActivation
from fastlstm.models import TextClassifier
from fastlstm.models.softmax import SoftmaxDecoder
from fastlstm.nn.dropout import Dropout
from fastlstm.nn.embedding import Embedding
from fastlstm.nn.linear import Linear
from fastlstm.nn.recurrent import Recurrent

CLASSES = {
    "lstm": "LSTM", "gru": "GRU", "gru_reset_before": "GRU", "rnn_tanh": "SimpleRNN",
    "rnn_relu": "SimpleRNN",
}  # fmt: skip


class KerasLayer(NamedTuple):
    """A layer of a Keras model."""

    kind: str
    options: dict[str, Any]
    stored: Stored


NO_ARRAYS = Stored([], [])


class Writer:
    """Collects the layers of a model in order, with names that are each there once."""

    def __init__(self, masked: bool) -> None:
        self.layers: list[KerasLayer] = []
        self.masked = masked  # whether steps are masked here
        self.held = ""  # what holds its output over masked steps, where Keras's would make zeros
        self.steps = True  # whether values have steps, [N,T,.]
        self.flat = 0  # how many numbers a row is once it is flat, 0 if nothing tells
        self._count: dict[str, int] = {}

    def add(self, kind: str, stored: Stored = NO_ARRAYS, **options: Any) -> None:
        """Add a layer, named as Keras does: ``lstm``, ``lstm_1``."""
        place = snake_case(kind)
        number = self._count[place] = self._count.get(place, -1) + 1
        name = f"{place}_{number}" if number else place
        self.layers.append(KerasLayer(kind, {"name": name, **options}, stored))


def keras_layers(model: Any) -> list[KerasLayer]:
    """Return the layers of a Keras model that computes what ours does, its input first.

    Raises TypeError or ValueError if Keras has no such layer.
    """
    model = of_run(model)
    layers = unchained(as_sequential(model).layers)
    if getattr(model, "bigrams", None) is not None:
        raise TypeError("model has a table of bigrams, of which Keras has no layer")
    writer = Writer(isinstance(model, TextClassifier))
    first, size = first_sized(layers)
    dtypes = {p.data.dtype.name for layer in layers.values() for p in layer.parameters()}
    if len(dtypes) > 1:
        raise ValueError(f"model has parameters of {' and '.join(sorted(dtypes))}, expected one")
    dtype = (dtypes or {"float32"}).pop()
    writer.steps, writer.flat = has_steps(layers), _flat_width(layers)
    if isinstance(first, Embedding):
        writer.add("InputLayer", batch_shape=[None, None], dtype="int32", sparse=False)
    else:
        shape = [None, None, size] if writer.steps else [None, size]
        writer.add("InputLayer", batch_shape=shape, dtype=dtype, sparse=False)
    for name, layer in layers.items():
        try:
            _add(writer, layer)
        except (TypeError, ValueError) as error:
            raise type(error)(f"{name} cannot be a layer of Keras: {error}") from error
        _go_on(writer, name, layer)
    if writer.steps:
        _check_held(writer)
    return [one._replace(options={"dtype": dtype, **one.options}) for one in writer.layers]


def _go_on(writer: Writer, name: str, layer: Any) -> None:
    """Note which masked steps there are behind a layer, and what Keras would have in them."""
    if isinstance(layer, NO_MASK_BEHIND) and not (isinstance(layer, Pool) and layer.name == "mean"):
        _check_held(writer)
    run = Recurrence(layer) if isinstance(layer, Recurrent) else layer
    if isinstance(run, Recurrence):
        both = run.layer.bidirectional and not run.zero_masked
        writer.held = name if writer.masked and both and run.output == "all" else ""
    if isinstance(layer, NO_MASK_BEHIND) or not writer.steps:
        writer.masked, writer.held = False, ""


def _check_held(writer: Writer) -> None:
    """Raise ValueError where masked steps are read in which Keras would have other numbers."""
    if writer.held:
        raise ValueError(
            f"{writer.held} cannot be a layer of Keras: it is of two directions and its outputs at "
            "masked steps are used, where Bidirectional has zeros: expected a Recurrence with "
            "zero_masked=True"
        )


def _flat_width(layers: Mapping[str, Any]) -> int:
    """Return how many numbers a row is behind `Flatten`, 0 if there is none or nothing tells."""
    behind = list(dropwhile(lambda one: not isinstance(one[1], Flatten), layers.items()))[1:]
    try:
        return first_sized(dict(behind))[1]
    except ValueError:
        return 0


def _add(writer: Writer, layer: Any) -> None:
    if isinstance(layer, (Recurrence, Recurrent)):
        _add_recurrent(writer, layer if isinstance(layer, Recurrence) else Recurrence(layer))
    elif isinstance(layer, (Linear, SoftmaxDecoder)):
        bias = [] if layer.bias is None else [layer.bias.data]
        weight = np.ascontiguousarray(layer.weight.data.T)
        writer.add(
            "Dense", Stored([weight, *bias], []), units=weight.shape[1],
            use_bias=layer.bias is not None, activation="linear",
        )  # fmt: skip
    elif isinstance(layer, Embedding):
        rows, columns = layer.weight.data.shape
        writer.add(
            "Embedding", Stored([layer.weight.data], []), input_dim=rows, output_dim=columns,
            mask_zero=writer.masked,
        )  # fmt: skip
    elif isinstance(layer, MaskZero):
        writer.masked = True
    elif isinstance(layer, Masking):
        writer.masked = True
        writer.add("Masking", mask_value=layer.value)
    elif isinstance(layer, Dropout):
        writer.add("Dropout", rate=layer.p)
    elif isinstance(layer, Pool):
        _add_pool(writer, layer.name)
    elif isinstance(layer, Flatten):
        writer.steps = False
        if writer.flat:  # of any number of steps Keras's Flatten tells no width, which Dense needs
            writer.add("Reshape", target_shape=[writer.flat])
        else:
            writer.add("Flatten")
    else:
        _add_other(writer, layer)


def _add_pool(writer: Writer, name: str) -> None:
    writer.steps = False
    writer.add("GlobalAveragePooling1D" if name == "mean" else "GlobalMaxPooling1D")


def _add_other(writer: Writer, layer: Any) -> None:
    if isinstance(layer, Activation):
        if layer.name == "leaky_relu":
            writer.add("LeakyReLU", negative_slope=layer.alpha)
        elif layer.name == "elu":
            writer.add("ELU", alpha=layer.alpha)
        else:
            writer.add("Activation", activation=layer.name)
    elif isinstance(layer, Scale):
        scale, shift = layer.scale.data, layer.shift.data
        arrays = [scale, shift, np.zeros_like(scale), np.ones_like(scale)]
        writer.add("BatchNormalization", Stored(arrays, []), axis=-1, epsilon=0.0)
    elif isinstance(layer, ZeroPad):
        writer.add("ZeroPadding1D", padding=[layer.before, layer.after])
    elif isinstance(layer, AveragePool):
        size = [layer.size]
        writer.add("AveragePooling1D", pool_size=size, strides=size, padding="valid")
    elif isinstance(layer, PReLU):
        alpha = layer.weight.data
        axes = {"shared_axes": [1]} if writer.steps else {}
        writer.add("PReLU", Stored([alpha[None] if writer.steps else alpha], []), **axes)
    elif isinstance(layer, Conv1D):
        bias = [] if layer.bias is None else [layer.bias.data]
        writer.add(
            "Conv1D", Stored([layer.weight.data, *bias], []), filters=layer.out_features,
            kernel_size=[layer.kernel_size], strides=[layer.stride], padding=layer.padding,
            dilation_rate=[layer.dilation], use_bias=layer.bias is not None, activation="linear",
        )  # fmt: skip
    else:
        raise TypeError(f"there is none like a {type(layer).__name__}")


def _named(activation: CellActivation) -> str:
    """Return Keras's name of a cell's activation; ValueError if it has no such one."""
    name, *numbers, _ = activation  # no layer has a clip
    if name == "hard_sigmoid" and not np.allclose(numbers, (1 / 6, 0.5), rtol=1e-6):
        raise ValueError(
            f"its hard_sigmoid has alpha {numbers[0]} and beta {numbers[1]}, expected Keras 3's "
            "1/6 and 1/2"
        )
    return name


def _add_recurrent(writer: Writer, run: Recurrence) -> None:
    layer, cell = run.layer, run.layer._cell
    kind = cell.name
    if kind not in CLASSES or layer.proj_size or layer.learn_state:
        named = [name for name in ("proj_size", "learn_state") if getattr(layer, name)]
        raise ValueError(f"there is none like a {type(layer).__name__} {' '.join(named)}".strip())
    D = layer._directions
    if run.backwards and layer.num_layers > 1:
        raise ValueError("it goes backwards with more than one layer")
    if run.merge != "concat" and layer.num_layers > 1:
        raise ValueError(f"its merge is {run.merge!r} with more than one layer")
    if run.backwards and run.output == "mean" and writer.masked:
        raise ValueError("it goes backwards into a mean, for which Keras's mask stays forwards")
    # A sum of means is the mean of sums; nothing else is alike before and behind the merge.
    alike = ("concat", "sum", "ave") if run.output == "mean" else ("concat",)
    if D > 1 and run.output in ("mean", "max") and run.merge not in alike:
        raise ValueError(
            f"its merge is {run.merge!r} of each direction's {run.output}: Keras's layers merge "
            "each step before"
        )
    if "+" in run.output:
        raise ValueError(f"its output is {run.output!r}: Keras's layers in line give one of them")
    if run.output == "max" and writer.masked:
        raise ValueError("its maximum leaves masked steps out, which GlobalMaxPooling1D does not")
    if run.zero_masked and run.output == "last" and D > 1:
        raise ValueError("its last output is zero where masked, which that of Bidirectional is not")
    for k in range(layer.num_layers):
        arrays = [theirs(kind, layer, suffix) for suffix in layer._suffixes[k * D : (k + 1) * D]]
        options: dict[str, Any] = {
            "units": layer.hidden_size, "use_bias": layer.bias,
            "return_sequences": k < layer.num_layers - 1 or run.output != "last",
            "go_backwards": run.backwards, "zero_output_for_mask": run.zero_masked,
            "activation": "relu" if kind == "rnn_relu" else _named(cell.activation),
        }  # fmt: skip
        if CLASSES[kind] != "SimpleRNN":
            options["recurrent_activation"] = _named(cell.recurrent_activation)
        if CLASSES[kind] == "GRU":
            options["reset_after"] = kind == "gru"
        if D == 1:
            writer.add(CLASSES[kind], Stored(arrays[0], []), **options)
        else:
            inner = {
                place: {"class_name": CLASSES[kind], "config": {"name": place, **options, **turned}}
                for place, turned in (("layer", {}), ("backward_layer", {"go_backwards": True}))
            }
            writer.add("Bidirectional", Stored(*arrays), merge_mode=run.merge, **inner)
    writer.steps = run.output != "last"
    if run.output in ("mean", "max"):
        _add_pool(writer, run.output)
