"""Our recurrent layers for those of a Keras model."""

from __future__ import annotations

from fastlstm.formats.keras.config import read_layer
from fastlstm.formats.keras.options import (
    OLD,
    Options,
    Refused,
    activation_name,
    flag,
    object_of,
    usual_only,
    whole_number,
)
from fastlstm.formats.keras.stored import Stored
from fastlstm.formats.keras.weights import from_cudnn, layer_of
from fastlstm.formats.recurrence import Recurrence
from fastlstm.kernels.spec import ACTIVATIONS as CELL_ACTIVATIONS
from fastlstm.nn.activation import Option
from fastlstm.nn.module import Module

RECURRENT = ("LSTM", "GRU", "SimpleRNN", "CuDNNLSTM", "CuDNNGRU", "RNN")


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
    return "gru" if flag(options, "reset_after", after) else "gru_reset_before"


def recurrent(name: str, options: Options, stored: Stored, merge: str = "concat") -> list[Module]:
    usual_only(options, stateful=False, return_state=False, time_major=False)
    if name == "RNN":
        cell = read_layer({"config": {"name": ""}, **object_of(options, "cell")})
        name, options = cell.kind, {**options, **cell.options}
        if name not in ("LSTMCell", "GRUCell", "SimpleRNNCell"):
            raise Refused(f"its cell is of class {name:.60}")
    directions = [stored.arrays, *([stored.second] if stored.second else [])]
    kind = _kind(name, options, stored)
    directions = [from_cudnn(kind, arrays) for arrays in directions]
    layer = layer_of(kind, directions, _activations(name, options))
    if whole_number(options, "units") != layer.hidden_size:
        raise ValueError(f"its units are {options['units']}, its arrays of {layer.hidden_size}")
    backwards = flag(options, "go_backwards")
    if backwards and stored.second:
        raise Refused("it goes backwards in two directions")
    every = flag(options, "return_sequences")
    return [
        Recurrence(
            layer,
            "all" if every else "last",
            backwards=backwards,
            merge=merge,
            # `Bidirectional` has its own: zeros if all outputs are returned, whatever is written
            zero_masked=every if stored.second else flag(options, "zero_output_for_mask"),
        )
    ]


def bidirectional(options: Options, stored: Stored) -> list[Module]:
    inner = read_layer({"config": {"name": ""}, **object_of(options, "layer")})
    if inner.kind not in RECURRENT:
        raise Refused(f"it wraps a layer of class {inner.kind:.60}")
    if len(stored.arrays) in (4, 6) and not stored.second:
        half = len(stored.arrays) // 2
        stored = Stored(stored.arrays[:half], stored.arrays[half:])
    if not stored.second:
        raise ValueError(f"it has {len(stored.arrays)} arrays, expected those of two directions")
    back = options.get("backward_layer")
    if back is not None:
        other = read_layer({"config": {"name": ""}, **object_of(options, "backward_layer")})
        for name in ("activation", "recurrent_activation", "return_sequences", "reset_after"):
            if other.kind != inner.kind or other.options.get(name) != inner.options.get(name):
                raise Refused("its backward_layer is of another kind")
    merge = {"concat": "concat", "sum": "sum", "mul": "mul", "ave": "ave"}.get(
        str(options.get("merge_mode", "concat"))
    )
    if merge is None:
        raise Refused(f"its merge_mode is {options['merge_mode']!r:.60}")
    return recurrent(inner.kind, {**inner.options, OLD: options[OLD]}, stored, merge)
