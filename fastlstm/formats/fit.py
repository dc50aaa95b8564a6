"""Whether layers can run one after another, as far as their options tell.

Letters: N rows, T steps, I features.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any, NamedTuple

from fastlstm.counts import count_of
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
    Step,
    ZeroPad,
)
from fastlstm.many.layers import Together
from fastlstm.models.softmax import SoftmaxDecoder
from fastlstm.nn.attention import DotAttention
from fastlstm.nn.cell import RecurrentCell
from fastlstm.nn.chain import Chain, Conv1d, Magnitude, Mean, ReLU, Sigmoid, Tanh
from fastlstm.nn.dropout import Dropout
from fastlstm.nn.embedding import Embedding
from fastlstm.nn.linear import Linear
from fastlstm.nn.module import Module
from fastlstm.nn.recurrent import Recurrent

# What is not called with one array for another: why, and what to do.
NOT_IN_LINE: dict[type[Module], str] = {
    Together: "makes outputs of many models: make a Sequential of each, with layer[m] in it",
    RecurrentCell: "makes one step, and takes a state: expected LSTM, GRU or RNN, of all steps",
    DotAttention: "takes a query and a memory: call it beside the others",
}
Sizes = tuple[int | None, int | None]  # the features that a layer takes and gives, None for any


class Value(NamedTuple):
    """What is known of what a layer gives.

    Attributes
    ----------
    maker : the layer's name and class; "" of what comes first.
    features : I; None if nothing tells.
    steps : whether it is [N,T,I], or else [N,I]; None if nothing tells.
    """

    maker: str = ""
    features: int | None = None
    steps: bool | None = None


def check_in_line(name: str, layer: Any) -> None:
    """Raise TypeError unless it is a layer that takes one array and gives one."""
    told = f"{name} is a {type(layer).__name__}"
    if not isinstance(layer, Module):
        raise TypeError(f"{told}, expected a Module")
    for kind, why in NOT_IN_LINE.items():
        if isinstance(layer, kind):
            raise TypeError(f"{told}, which {why}")


def check_fit(layers: Iterable[tuple[str, Module]]) -> None:
    """Raise ValueError if a layer never takes what the one before it gives.

    A class that is not known here may take and give anything.
    """
    value = Value()
    for name, layer in layers:
        maker = f"{name}, {type(layer).__name__}"
        takes, gives = _sizes(layer, value)
        _check_taken(maker, layer, takes, value)
        value = Value(maker, gives, _steps(layer, value.steps))


def _check_taken(maker: str, layer: Module, takes: int | None, value: Value) -> None:
    if value.features is not None and isinstance(layer, (Embedding, MaskZero)):
        raise ValueError(
            f"{maker}, is given no tokens: expected an Embedding as the first layer, with nothing "
            "but MaskZero before it"
        )
    if value.steps is False and _is_over_steps(layer):
        raise ValueError(
            f"layers do not fit: {maker}, takes steps [N,T,I], but {value.maker}, before it gives "
            "one vector for each row: leave one out, or let the one before give all steps"
        )
    if takes is not None and value.features is not None and takes != value.features:
        raise ValueError(
            f"layers do not fit: {maker}, takes {count_of(takes, 'feature')}, but {value.maker}, "
            f"before it gives {value.features}: make one of them for the size of the other"
        )


def _sizes(layer: Any, value: Value) -> Sizes:
    """Return the features that a layer takes, and those that it gives for what it is given."""
    if isinstance(layer, Recurrence):
        return layer.takes, layer.size
    if isinstance(layer, Recurrent):
        return layer.input_size, Recurrence(layer).size
    if isinstance(layer, KEEPING):
        return getattr(layer, "takes", None), value.features
    found = SIZES.get(type(layer))
    return (None, None) if found is None else found(layer, value)


def _is_over_steps(layer: Any) -> bool:
    """Whether a layer has no use for [N,I]: a chain of one channel may be given a signal [N,L]."""
    if isinstance(layer, Chain):
        return layer.in_channels > 1
    over_steps = isinstance(layer, Step) and layer.over_steps
    return over_steps or isinstance(layer, (Recurrent, Conv1d, Mean))


def _steps(layer: Any, steps: bool | None) -> bool | None:
    """Return whether there are steps behind a layer, if there are some before it."""
    if isinstance(layer, (Pool, Flatten)):
        return False
    if isinstance(layer, Recurrence):
        return layer.output == "all"
    if isinstance(layer, (MaskZero, Chain)) or _is_over_steps(layer):
        return True
    return steps if isinstance(layer, KEEPING) or type(layer) in SIZES else None


def _halved(layer: Any, value: Value) -> Sizes:
    """Return the sizes of a `Magnitude`, which takes any even number."""
    if value.features is None:
        return None, None
    half = value.features // 2
    return max(2 * half, 2), half


KEEPING = (
    Activation, AveragePool, Dropout, Masking, Mean, Pool, PReLU, ReLU, Scale, Sigmoid, Tanh,
    ZeroPad,
)  # fmt: skip
SIZES: dict[type[Module], Callable[[Any, Value], Sizes]] = {
    Linear: lambda layer, _: (layer.in_features, layer.out_features),
    SoftmaxDecoder: lambda layer, _: (layer.in_features, layer.vocab_size),
    Embedding: lambda layer, _: (None, layer.embedding_dim),
    Conv1D: lambda layer, _: (layer.in_features, layer.out_features),
    Conv1d: lambda layer, _: (layer.in_channels, layer.out_channels),
    Chain: lambda layer, v: (_channels(layer, v), layer.out_channels),
    Magnitude: _halved,
    Flatten: lambda _, v: (None, v.features if v.steps is False else None),
}


def _channels(chain: Chain, value: Value) -> int | None:
    """Return the channels that a chain takes: one channel's axis may be left out."""
    return None if chain.in_channels == 1 and not value.steps else chain.in_channels
