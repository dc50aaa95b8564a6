"""Layers as JSON and back: a class of a fixed table, its options, and the layers inside.

``{"class": "LSTM", "options": {...}, "settings": {...}}``; what holds other layers has a list of
``[name, description]`` under "inside". Settings are the options that may be changed at any time.
What a description claims is compared with the tensors before anything is made.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

import numpy as np

from fastlstm.counts import count_of
from fastlstm.formats.cells import LAYERS, SINGLE_STEPS, fixed_options, taken
from fastlstm.formats.layers import Layers
from fastlstm.formats.recurrence import Recurrence
from fastlstm.formats.sequential import Sequential
from fastlstm.formats.shapes import (
    Shapes,
    attention_shapes,
    cell_shapes,
    conv1d_shapes,
    conv_shapes,
    feature_shapes,
    matrix_shapes,
    recurrent_shapes,
)
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
from fastlstm.models.softmax import SoftmaxDecoder
from fastlstm.nn.attention import DotAttention
from fastlstm.nn.chain import Chain, Conv1d, Magnitude, Mean, ReLU, Sigmoid, Tanh
from fastlstm.nn.check import check_probability
from fastlstm.nn.dropout import Dropout
from fastlstm.nn.embedding import Embedding
from fastlstm.nn.linear import Linear
from fastlstm.nn.module import Module
from fastlstm.nn.recurrent import Recurrent

DEEPEST = 20  # layers inside layers
HOLDERS = ("Recurrence", "Sequential", "Chain", "Layers")  # what has layers inside
SETTINGS = ("batch_first", "dropout", "recurrent_dropout", "recompute", "precision", "p")
LATER: dict[str, Any] = {"axis": None} | {  # written if not the usual ones
    name: option.usual for name, option in Recurrent.OPTIONS.items() if name not in SETTINGS
}


class Kind(NamedTuple):
    """What of a class is written, and how it is made again."""

    make: Callable[..., Module]
    options: tuple[str, ...] = ()  # attributes, which are the arguments too
    shapes: Callable[[Mapping[str, Any]], Shapes] = lambda options: iter(())
    others: Mapping[str, Any] = {}  # options that are written if they are not the usual ones


_ACTIVATIONS = {"activation": "tanh", "recurrent_activation": "sigmoid"}


def _recurrent(kind: Any, shapes: Callable[[str], Callable[[Mapping[str, Any]], Shapes]]) -> Kind:
    """Return what is written of a recurrent layer or of a cell of one step."""
    options = (name for name in fixed_options(kind) if name not in _ACTIVATIONS)
    others = {name: _ACTIVATIONS[name] for name in taken(kind, _ACTIVATIONS)}
    return Kind(kind, tuple(options), shapes(kind.__name__), others)


KINDS: dict[str, Kind] = {
    **{kind.__name__: _recurrent(kind, recurrent_shapes) for kind in LAYERS},
    **{kind.__name__: _recurrent(kind, cell_shapes) for kind in SINGLE_STEPS},
    "Linear": Kind(
        Linear,
        ("in_features", "out_features", "bias", "dtype"),
        matrix_shapes("out_features", "in_features"),
    ),
    "SoftmaxDecoder": Kind(
        SoftmaxDecoder,
        ("in_features", "vocab_size", "bias", "dtype"),
        matrix_shapes("vocab_size", "in_features"),
    ),
    "Embedding": Kind(
        Embedding,
        ("num_embeddings", "embedding_dim", "padding_idx", "sparse", "dtype"),
        matrix_shapes("num_embeddings", "embedding_dim"),
    ),
    "DotAttention": Kind(DotAttention, ("size", "out_features", "dtype"), attention_shapes),
    "Dropout": Kind(Dropout),
    "Activation": Kind(Activation, ("name", "alpha")),
    "MaskZero": Kind(MaskZero),
    "Masking": Kind(Masking, ("value",)),
    "Pool": Kind(Pool, ("name",)),
    "Flatten": Kind(Flatten),
    "AveragePool": Kind(AveragePool, ("size",)),
    "ZeroPad": Kind(ZeroPad, ("before", "after")),
    "Scale": Kind(Scale, ("features", "dtype"), feature_shapes("scale", "shift")),
    "PReLU": Kind(PReLU, ("features", "dtype"), feature_shapes("weight")),
    "Conv1D": Kind(
        Conv1D,
        ("in_features", "out_features", "kernel_size", "stride", "dilation", "padding", "bias",
         "dtype"),
        conv_shapes,
    ),
    "Conv1d": Kind(
        Conv1d,
        ("in_channels", "out_channels", "kernel_size", "stride", "padding", "bias",
         "padding_mode", "context", "dtype"),
        conv1d_shapes,
    ),
    **{kind.__name__: Kind(kind) for kind in (ReLU, Sigmoid, Tanh, Magnitude, Mean)},
    "Chain": Kind(Chain, ("frame",)),
    "Recurrence": Kind(Recurrence, ("output", "backwards", "merge", "zero_masked")),
    "Sequential": Kind(Sequential),
    "Layers": Kind(Layers),  # type: ignore[arg-type]
}  # fmt: skip


def describe(layer: Any) -> dict[str, Any]:
    """Return the description of a layer; TypeError if its class is none of the table's."""
    name = type(layer).__name__
    if name not in KINDS or type(layer) is not KINDS[name].make:
        raise TypeError(
            f"{type(layer).__module__}.{name} is of no class that can be written, expected one of "
            f"{', '.join(KINDS)}, a model of fastlstm.models, a list or a dict of such: keep "
            "state_dict() of another one, and call load_state_dict() on it"
        )
    found: dict[str, Any] = {"class": name, "options": {}}
    for option in KINDS[name].options:
        value = getattr(layer, option)
        if option == "bias" and not isinstance(value, bool):
            value = value is not None
        found["options"][option] = _plain(value)
    for option, usual in KINDS[name].others.items():
        if getattr(layer, option) != usual:
            found["options"][option] = _plain(getattr(layer, option))
    inside = inside_of(layer)
    if inside is not None:
        found["inside"] = [[name, describe(part)] for name, part in inside.items()]
        return found
    return {**found, "settings": settings_of(layer)}


def _plain(value: Any) -> Any:
    """Return an option as JSON has it."""
    if isinstance(value, np.dtype):
        return value.name
    return list(value) if isinstance(value, tuple) else value


def inside_of(layer: Any) -> Mapping[str, Any] | None:
    """Return the layers that a layer is made of, None if it is none of those that have any."""
    if isinstance(layer, Recurrence):
        return {"": layer.layer}
    if isinstance(layer, Sequential):
        return layer.layers
    if isinstance(layer, Chain):
        return layer._by_name()
    return layer if isinstance(layer, dict) else None


def settings_of(layer: Any) -> dict[str, Any]:
    """Return the options of a layer that may be changed at any time."""
    found = {name: getattr(layer, name) for name in SETTINGS if name in vars(layer)}
    later = {name: getattr(layer, name) for name in LATER if name in vars(layer)}
    return {**found, **{name: value for name, value in later.items() if value != LATER[name]}}


def set_settings(layer: Any, settings: Any) -> None:
    """Give a layer the settings of a description; ValueError if it has no such one."""
    known = settings_of(layer).keys() - LATER
    may = {name for name in LATER if name in vars(layer)}
    if not isinstance(settings, dict) or settings.keys() - may != known:
        raise ValueError(
            f"the settings of a {type(layer).__name__} are {settings!r:.200}, expected "
            f"{', '.join(settings_of(layer))}"
        )
    for name, value in {**{name: LATER[name] for name in may}, **settings}.items():
        setattr(layer, name, check_probability(name, value) if name == "p" else value)


def shapes_of(description: Any, prefix: str = "", depth: int = 0) -> Shapes:
    """Yield the name and the shape of each parameter of what is described."""
    kind, options, inside = _parts(description, depth)
    if inside is None:
        for name, shape in kind.shapes(options):
            yield prefix + name, shape
        return
    for name, part in inside:
        yield from shapes_of(part, prefix + (f"{name}." if name else ""), depth + 1)


def build(description: Any, depth: int = 0) -> Any:
    """Return what is described, with first values in its parameters."""
    kind, options, inside = _parts(description, depth)
    if inside is None:
        layer = kind.make(**options)
        set_settings(layer, description.get("settings"))
        return layer
    parts = [(name, build(part, depth + 1)) for name, part in inside]
    if kind.make is Recurrence:
        (one,) = parts
        return kind.make(one[1], **options)
    if kind.make is Chain:
        if [name for name, _ in parts] != [str(number) for number in range(len(parts))]:
            raise ValueError("the layers in a Chain are not named by their numbers")
        return Chain([part for _, part in parts], **options)
    if len(dict(parts)) < len(parts):
        raise ValueError(f"a {description['class']} has a name twice")
    return kind.make(dict(parts))


def _parts(description: Any, depth: int) -> tuple[Kind, dict[str, Any], Any]:
    """Return the kind, the options and the layers inside of a description that was checked."""
    if depth > DEEPEST:
        raise ValueError(f"layers stand in layers more than {DEEPEST} deep")
    if not isinstance(description, dict) or not isinstance(description.get("class"), str):
        raise ValueError(f"a layer is described by {description!r:.100}, expected its class")
    name, options = description["class"], description.get("options")
    kind = KINDS.get(name)
    if kind is None:
        raise ValueError(f"a layer is of class {name!r:.60}, expected one of {', '.join(KINDS)}")
    if not isinstance(options, dict) or options.keys() - kind.others != set(kind.options):
        may = f", and perhaps {', '.join(kind.others)}" if kind.others else ""
        raise ValueError(
            f"the options of a {name} are {options!r:.200}, expected {', '.join(kind.options)}{may}"
        )
    inside = description.get("inside")
    if (inside is None) == (name in HOLDERS):
        raise ValueError(f"a {name} has layers inside or none: {inside!r:.100}")
    if inside is not None and not _are_named(inside):
        raise ValueError(f"the layers in a {name} are {inside!r:.100}, expected pairs with a name")
    if name == "Recurrence" and inside is not None and len(inside) != 1:
        raise ValueError(f"a Recurrence has {count_of(len(inside), 'layer')} inside, expected one")
    return kind, options, inside


def _are_named(inside: Any) -> bool:
    return isinstance(inside, list) and all(
        isinstance(pair, list) and len(pair) == 2 and isinstance(pair[0], str) for pair in inside
    )
