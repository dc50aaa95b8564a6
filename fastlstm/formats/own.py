"""Our own files: safetensors with torch's names, and a description of the layers in the header."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from fastlstm.forecast.saving import KIND as FORECASTER
from fastlstm.formats.describe import build, describe, set_settings, settings_of, shapes_of
from fastlstm.formats.layers import Layers, check_names
from fastlstm.formats.run import LanguageRun, load_forecast
from fastlstm.formats.sequential import Sequential
from fastlstm.formats.shapes import check_shapes
from fastlstm.models.model import Model
from fastlstm.nn.module import Module
from fastlstm.nn.parameter import check_finite
from fastlstm.train import checkpoint
from fastlstm.train.checkpoint import Tensors
from fastlstm.train.classifier.loaded_run import LoadedRun
from fastlstm.train.model_file import KIND as MODEL
from fastlstm.train.model_file import load_model_and_note, save_model
from fastlstm.train.seq2seq import Translator

KIND = "layers"


def save_own(model: Any, path: Path) -> None:
    """Write a layer or a model; see `fastlstm.save`."""
    model = as_written(of_run(model))
    if isinstance(model, Translator):
        model.save(path)
        return
    tensors = tensors_of(model)
    if isinstance(model, Model):
        save_model(path, model, tensors, settings=_all_settings(model))
        return
    checkpoint.save(path, tensors, KIND, describe(model))


def as_written(model: Any) -> Any:
    """Return a list as a `Sequential`, a dict as `Layers`, and all else as it is.

    Raises TypeError or ValueError for a dict that no file could give back, and for layers of a
    `Sequential` that do not fit each other.
    """
    if isinstance(model, Sequential):
        Sequential(model.layers)  # which may have been changed since it was made
    if isinstance(model, Mapping):
        if not model:
            raise ValueError("layers is empty, expected at least one")
        check_names(model)
        return model if isinstance(model, Layers) else Layers(model)
    return Sequential(model) if type(model) in (list, tuple) else model


def of_run(model: Any) -> Any:
    """Return the model of a run, and all else as it is.

    ValueError for a run with a linear part, of which the model would be a half.
    """
    if isinstance(model, LoadedRun) and model.parts.linear is not None:
        alone = "" if model.parts.net is None else ", or give the net alone, which is run.model"
        raise ValueError(
            f"the run in {model.folder.path} has a linear part, which files of this kind have not: "
            f"train with --parts net{alone}"
        )
    return model.model if isinstance(model, (LoadedRun, LanguageRun)) else model


def tensors_of(model: Any) -> Tensors:
    """Return the parameters of a model by name; ValueError if one is not finite."""
    found: Tensors = {}
    parts = model.items() if isinstance(model, Layers) else [("", model)]
    for name, part in parts:
        if not isinstance(part, Module):
            told = f"layers[{name!r}]" if name else "model"
            raise TypeError(f"{told} is a {type(part).__name__}, expected a layer or a model")
        for full, parameter in part.named_parameters(f"{name}." if name else ""):
            if full in found:
                raise ValueError(f"two parameters are named {full}: rename a layer")
            check_finite(full, parameter.data)
            found[full] = parameter.data
    return found


def _all_settings(model: Model) -> dict[str, Any]:
    return {name: found for name, m in model._named_modules() if (found := settings_of(m))}


def load_own(path: Path) -> Any:
    """Return what `save_own` wrote, or the model of a run; CheckpointError if it is damaged."""
    kind = checkpoint.kind_of(path)
    if kind == KIND:
        return _load_layers(path)
    if kind == FORECASTER:
        return load_forecast(path)
    if kind != MODEL:
        raise checkpoint.CheckpointError(f"{path} holds a {kind}, expected a {MODEL} or {KIND}")
    model, note = load_model_and_note(path)
    if "source" in note:
        return Translator.load(path)
    if "linear" in note:
        raise checkpoint.CheckpointError(
            f"{path} holds a net joined to a linear part: load the folder of its run, which "
            "predicts with both; its .model is the net"
        )
    with checkpoint.building(path):
        modules = dict(model._named_modules())
        for name, settings in dict(note.get("settings", {})).items():
            set_settings(modules[name], settings)
    return model


def _load_layers(path: Path) -> Any:
    tensors, description = checkpoint.load(path, KIND)
    with checkpoint.building(path):
        check_shapes(shapes_of(description), tensors, "its layers")
        layers = build(description)
        parts = layers.items() if isinstance(layers, Layers) else [("", layers)]
        for name, layer in parts:
            prefix = f"{name}." if name else ""
            own = [full for full, _ in layer.named_parameters(prefix)]
            layer.load_state_dict({full[len(prefix) :]: tensors[full] for full in own})
    return layers
