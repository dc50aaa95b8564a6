"""Models on disk: the weights, and the options to build the model."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from inspect import signature
from itertools import count, takewhile
from pathlib import Path
from typing import Any

from numpy.typing import NDArray

from fastlstm.models import (
    HorizonDecoder,
    LanguageModel,
    Seq2Seq,
    SequenceAutoencoder,
    SequenceClassifier,
    SequenceRegressor,
    SequenceTagger,
    TextClassifier,
)
from fastlstm.models.model import LAYERS, Model
from fastlstm.nn.check import check_choice
from fastlstm.train import checkpoint, earlier

KIND = "model"
LINEAR = "linear."  # before the names of the arrays of a linear part, beside those of a net
MODELS: dict[str, type[Model]] = {
    kind.__name__: kind
    for kind in (
        TextClassifier,
        SequenceClassifier,
        SequenceRegressor,
        SequenceTagger,
        SequenceAutoencoder,
        HorizonDecoder,
        LanguageModel,
        Seq2Seq,
    )
}


def save_model(
    path: str | Path, model: Model, weights: Mapping[str, NDArray[Any]] | None = None,
    **note: object,
) -> None:  # fmt: skip
    """Write a model into one file; errors as of `train.checkpoint.save`.

    `weights` are written in place of the model's own. `note` is kept with them, as JSON.
    """
    about = {"class": type(model).__name__, "model": model.options, **note}
    checkpoint.save(path, weights or model.state_dict(), KIND, about)


def load_model(path: str | Path, kind: type[Model] = Model) -> Any:
    """Return the model of a file, which must be of class `kind`.

    Errors as of `train.checkpoint.load`; also CheckpointError if this version cannot build the
    model or its class is another one.
    """
    return load_model_and_note(path, kind)[0]


def load_model_and_note(path: str | Path, kind: type[Model] = Model) -> tuple[Any, dict[str, Any]]:
    """Return the model, as `load_model`, and the note that `save_model` kept with it."""
    tensors, note = checkpoint.load(path, KIND)
    return build_model(path, tensors, note, kind), earlier.model_note(note)


def build_model(
    path: str | Path, tensors: checkpoint.Tensors, note: dict[str, Any], kind: type[Model]
) -> Any:
    """Return the model of what a file holds; of a joined one the net. Errors as of `load_model`."""
    tensors = {name: array for name, array in tensors.items() if not name.startswith(LINEAR)}
    with checkpoint.building(path):
        note = earlier.model_note(note)
        if "model" not in note and "linear" in note:
            raise ValueError("it is a linear part alone, without a net")
        found, options = MODELS[note["class"]], note["model"]
        if not issubclass(found, kind):
            raise ValueError(f"it is a {found.__name__}, expected a {kind.__name__}")
        _check_sizes(found, options, tensors)
        model = found(**options)
        model.load_state_dict(tensors)
    return model


def _check_sizes(kind: type[Model], options: object, tensors: checkpoint.Tensors) -> None:
    """Raise ValueError, before anything is built, if an option is not the size of its tensor."""
    if not isinstance(options, Mapping):
        raise ValueError(f"its options are {options!r:.60}, expected an object")
    usual = {name: it.default for name, it in signature(kind).parameters.items()}
    options = {**usual, **options}
    cell = options.get("cell")
    if "cell" in usual:
        check_choice("cell", cell, tuple(LAYERS))  # it is in the names of tensors
    found = {
        name: _size(tensors.get(tensor.format(cell=cell)), axis)
        for name, (tensor, axis) in kind.SIZES.items()
    }
    layers = (tensors.get(kind.LAYER.format(cell=cell, number=number)) for number in count())
    found["num_layers"] = _layers_alike(layers)
    _compare(options, found)
    _compare(kind.further_sizes(options, found), found)


def _compare(expected: Mapping[str, Any], found: Mapping[str, int]) -> None:
    for name, size in found.items():
        value = expected.get(name, size)
        if type(value) is int and value != size:
            raise ValueError(f"{name} is {value!r:.30}, but its tensors are of {size}")


def _layers_alike(layers: Iterator[NDArray[Any] | None]) -> int:
    """Return how many come before one that is missing or of another shape than the first.

    All layers are made as large as the first: a smaller tensor stands for none.
    """
    first = next(layers)
    if first is None:
        return 0
    return 1 + sum(
        1 for _ in takewhile(lambda one: getattr(one, "shape", None) == first.shape, layers)
    )


def _size(tensor: NDArray[Any] | None, axis: int) -> int:
    if tensor is None:
        return 0
    if tensor.ndim <= axis:
        raise ValueError(f"a tensor has shape {tensor.shape}")
    return int(tensor.shape[axis])
