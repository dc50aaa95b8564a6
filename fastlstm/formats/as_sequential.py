"""Models as layers one after another: what files of graphs and of Keras are written from."""

from __future__ import annotations

from collections.abc import Mapping
from itertools import takewhile
from typing import Any

from fastlstm.formats.fit import check_in_line
from fastlstm.formats.layers import Layers
from fastlstm.formats.own import as_written, of_run
from fastlstm.formats.recurrence import Recurrence
from fastlstm.formats.sequential import Sequential
from fastlstm.formats.steps import AveragePool, Conv1D, Flatten, Masking, MaskZero, Pool, ZeroPad
from fastlstm.models import LanguageModel, SequenceClassifier, TextClassifier
from fastlstm.nn.chain import Chain, Magnitude
from fastlstm.nn.chain.part import ChainPart
from fastlstm.nn.dropout import Dropout
from fastlstm.nn.embedding import Embedding
from fastlstm.nn.module import Module
from fastlstm.nn.parameter import check_finite
from fastlstm.nn.recurrent import Recurrent


def as_sequential(model: Any) -> Sequential:
    """Return the layers of a model, which it shares, all in one line; rows come first.

    Of a `TextClassifier` those beside its bigrams. Raises TypeError if it is no model, or one that
    has other connections; ValueError if a parameter is not finite, which no reader takes, or a
    layer of tokens stands where there are none.
    """
    model = as_written(of_run(model))
    if isinstance(model, Module):
        for name, parameter in model.named_parameters():
            check_finite(name, parameter.data)
    if isinstance(model, Sequential):
        return Sequential(_in_line(model))
    if isinstance(model, (TextClassifier, SequenceClassifier)):
        return Sequential(_classifier(model))
    if isinstance(model, LanguageModel):
        return Sequential(_language_model(model))
    if isinstance(model, Layers) or not isinstance(model, Module) or hasattr(model, "options"):
        raise TypeError(
            f"model is a {type(model).__name__}, expected a layer, a list of layers, a "
            "TextClassifier, a SequenceClassifier or a LanguageModel"
        )
    check_in_line("model", model)
    return Sequential({type(model).__name__.lower(): model})


def reads_lengths(model: Any) -> bool:
    """Whether a model is called with lengths."""
    return isinstance(model, (TextClassifier, SequenceClassifier))


def first_sized(layers: Mapping[str, Module]) -> tuple[Any, int]:
    """Return the first layer that takes one number of features only, and that number.

    Raises ValueError if there is none.
    """
    times = 1
    for layer in layers.values():
        inner = layer.layer if isinstance(layer, Recurrence) else layer
        if isinstance(inner, Embedding):
            return inner, 1
        for name in ("input_size", "in_features", "features", "in_channels"):
            if hasattr(inner, name):
                return inner, times * int(getattr(inner, name))
        if isinstance(inner, Flatten):
            break  # what stands behind it takes the numbers of all steps
        times *= 2 if isinstance(inner, Magnitude) else 1
    raise ValueError("model has no layer that tells how many numbers it takes")


def has_steps(layers: Mapping[str, Module]) -> bool:
    """Whether what the layers take has steps, [N,T,.]."""
    over_steps = (
        Recurrence, Recurrent, Conv1D, ZeroPad, AveragePool, Pool, Flatten, Masking, Embedding,
        Chain, ChainPart,
    )  # fmt: skip
    return any(isinstance(layer, over_steps) for layer in layers.values())


def _in_line(model: Sequential) -> dict[str, Module]:
    """Return the layers by name, those of a `Sequential` inside beside the others."""
    layers: dict[str, Module] = {}
    for name, layer in model.in_line():
        if name in layers:
            raise ValueError(f"two layers are named {name}: rename one")
        layers[name] = layer
    _check_tokens(layers)
    return layers


def _check_tokens(layers: Mapping[str, Module]) -> None:
    """Raise ValueError if a layer of tokens stands behind one that makes numbers of them."""
    start = list(takewhile(lambda one: isinstance(one[1], (MaskZero, Dropout)), layers.items()))
    masks, (name, first) = dict(start), [*layers.items(), ("", None)][len(start)]
    known = {*masks, name} if isinstance(first, Embedding) else set()
    for name, layer in layers.items():
        if isinstance(layer, (MaskZero, Embedding)) and name not in known:
            raise ValueError(
                f"{name}, {type(layer).__name__}, is given no tokens: expected an Embedding as the "
                "first layer, with nothing but MaskZero before it"
            )


def _classifier(model: TextClassifier | SequenceClassifier) -> dict[str, Module]:
    layers: dict[str, Module] = {}
    if isinstance(model, TextClassifier):
        layers["embedding"] = model.embedding
    layers[model.cell] = Recurrence(model.recurrent, model.pooling)
    return {**layers, "head": model.head}


def _language_model(model: LanguageModel) -> dict[str, Module]:
    layers: dict[str, Module] = {"embedding": model.embedding, model.cell: model.recurrent}
    if model.projection is not None:
        layers["projection"] = model.projection
    return {**layers, "decoder": model.decoder}
