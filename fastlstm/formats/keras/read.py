"""Reads Keras's files: a model if its layers stand in one line, else its layers by name.

Weights alone do not tell the options of a layer: those of the classes of today's Keras are taken,
tanh and sigmoid, and its names and shapes tell the class.
"""

from __future__ import annotations

import io
import os
import zipfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any, BinaryIO

from fastlstm.counts import count_of
from fastlstm.files.json_value import parse_json
from fastlstm.files.opening import open_file
from fastlstm.formats.errors import BAD_ARCHIVE, reading
from fastlstm.formats.hdf5 import Tree
from fastlstm.formats.keras.build import modules_of
from fastlstm.formats.keras.config import LayerConfig, ModelConfig, read_model
from fastlstm.formats.keras.options import Refused
from fastlstm.formats.keras.stored import Stored, is_new, new_layers, old_layers, snake_case
from fastlstm.formats.keras.weights import from_cudnn, layer_of
from fastlstm.formats.layers import Layers
from fastlstm.formats.recurrence import Recurrence
from fastlstm.formats.sequential import Sequential
from fastlstm.formats.steps import Step
from fastlstm.nn.module import Module

CONFIG, METADATA, WEIGHTS = "config.json", "metadata.json", "model.weights.h5"
LARGEST_CONFIG = 1 << 24  # bytes
MOST_PACKED = 20  # times: weights hardly shrink, and Keras packs none


def load_keras(path: Path, kinds: dict[str, str]) -> Any:
    """Return the model of a ``.keras`` file."""
    with reading(path, "a Keras file"):
        _no_kinds(kinds)
        with open_file(path) as file:
            size = os.fstat(file.fileno()).st_size
            with _archive(file) as archive:
                config = _member(archive, CONFIG, LARGEST_CONFIG)
                weights = _member(archive, WEIGHTS, MOST_PACKED * size)
                told = METADATA in archive.namelist()
                metadata = _member(archive, METADATA, LARGEST_CONFIG) if told else b"{}"
        model = read_model(parse_json(config))
        tree = Tree(io.BytesIO(weights), len(weights))
        if not is_new(tree):
            raise ValueError(f"its {WEIGHTS} has no layers")
        old = _is_old(dict(parse_json(metadata)).get("keras_version", "3"))
        return model_of(model, _by_name(model, new_layers(tree)), old)


@contextmanager
def _archive(file: BinaryIO) -> Iterator[zipfile.ZipFile]:
    """Open a zip archive; ValueError if it is damaged."""
    try:
        with zipfile.ZipFile(file) as archive:
            yield archive
    except BAD_ARCHIVE as error:
        raise ValueError(f"its archive is damaged: {error}") from error


def _member(archive: zipfile.ZipFile, name: str, most: int) -> bytes:
    """Return a member; ValueError, before it is unpacked, if it claims to be too large."""
    about = archive.getinfo(name)
    if about.file_size > most:
        raise ValueError(
            f"{name} claims {count_of(about.file_size, 'byte')} unpacked, of {most:,} at most"
        )
    with archive.open(about) as file:
        found = file.read(about.file_size + 1)
    if len(found) != about.file_size:
        raise ValueError(f"{name} has not the {count_of(about.file_size, 'byte')} that it claims")
    return found


def load_hdf5(path: Path, kinds: dict[str, str]) -> Any:
    """Return the model of an old ``.h5`` file, or the layers of a file of weights."""
    with reading(path, "a Keras file"), open_file(path) as file:
        tree = Tree(file, os.fstat(file.fileno()).st_size)
        if is_new(tree):
            return _layers_of(new_layers(tree), kinds)
        config = tree.text(tree.root, "model_config")
        if config is None:
            return _layers_of(old_layers(tree), kinds)
        _no_kinds(kinds)
        old = _is_old(tree.text(tree.root, "keras_version"))
        return model_of(read_model(parse_json(config)), old_layers(tree), old)


def _is_old(version: Any) -> bool:
    """Whether that is Keras 1, whose first files tell no version, or 2."""
    return version is None or str(version).startswith(("1.", "2."))


def _no_kinds(kinds: Mapping[str, str]) -> None:
    if kinds:
        raise ValueError(f"kinds is {dict(kinds)!r}, expected none: the file tells them itself")


def _by_name(model: ModelConfig, stored: dict[str, Stored]) -> dict[str, Stored]:
    """Return the layers of a new file by their names: it has them by class and number."""
    seen: dict[str, int] = {}
    found = {}
    for layer in model.layers:
        place = snake_case(layer.kind)
        number = seen[place] = seen.get(place, -1) + 1
        found[layer.name] = stored.get(f"{place}_{number}" if number else place, Stored([], []))
    return found


def model_of(model: ModelConfig, stored: Mapping[str, Stored], old: bool) -> Any:
    """Return the layers of a model as a `Sequential`, or as `Layers` where that is not possible."""
    made: dict[str, list[Module]] = {}
    left_out: dict[str, str] = {}
    for layer in model.layers:
        if layer.name in made or layer.name in left_out:
            raise ValueError(f"two layers are named {layer.name:.60}")
        try:
            made[layer.name] = _modules(layer, stored.get(layer.name, Stored([], [])), old)
        except Refused as error:
            left_out[layer.name] = str(error)
    if left_out or model.not_in_line:
        if model.not_in_line:
            left_out["the graph"] = f"its layers do not stand in one line: {model.not_in_line}"
        taken = {
            name: layer
            for name, modules in made.items()
            for layer in map(_bare, modules)
            if not isinstance(layer, Step)
        }
        if not taken:
            told = "; ".join(f"{name}: {why}" for name, why in left_out.items())
            raise ValueError(f"none of its layers can be run: {told}")
        return Layers(taken, left_out)
    return Sequential(_named(made))


def _modules(layer: LayerConfig, stored: Stored, old: bool) -> list[Module]:
    try:
        return modules_of(layer, stored, old)
    except Refused:
        raise
    except (KeyError, TypeError, ValueError, OverflowError) as error:
        raise ValueError(f"layer {layer.name:.60}: {error}") from error


def _bare(module: Module) -> Module:
    return module.layer if isinstance(module, Recurrence) else module


def _named(made: Mapping[str, list[Module]]) -> dict[str, Module]:
    """Return the modules of all layers by name: the first with parameters has the layer's."""
    found: dict[str, Module] = {}
    for name, modules in made.items():
        first = next((m for m in modules if any(m.parameters())), modules[0] if modules else None)
        for module in modules:
            extra = f"{name}/{type(module).__name__.lower()}"
            found[name if module is first else extra] = module
    return found


def _layers_of(stored: Mapping[str, Stored], kinds: Mapping[str, str]) -> Layers:
    """Return the layers of a file of weights alone."""
    unknown = kinds.keys() - stored.keys()
    if unknown:
        raise ValueError(f"kinds names {sorted(unknown)}, expected layers: {sorted(stored)}")
    layers = Layers()
    for name, one in stored.items():
        if not one.arrays:
            continue
        kind = kinds.get(name) or _told_kind(name, one)
        try:
            if not kind:
                shapes = [array.shape for array in one.arrays]
                layers.left_out[name] = f"arrays of shapes {shapes} are of no layer that is known"
            elif kind in ("linear", "embedding"):
                layers[name] = _plain(kind, name, one)
            else:
                directions = [one.arrays, *([one.second] if one.second else [])]
                layers[name] = layer_of(kind, [from_cudnn(kind, arrays) for arrays in directions])
        except (KeyError, TypeError, ValueError) as error:
            raise ValueError(f"layer {name:.60}: {error}") from error
    if not layers:
        raise ValueError(f"none of its layers {sorted(stored)!r:.200} is known")
    return layers


def _plain(kind: str, name: str, stored: Stored) -> Module:
    options = {"name": name, "use_bias": len(stored.arrays) == 2}
    built = "Dense" if kind == "linear" else "Embedding"
    return modules_of(LayerConfig(name, built, options), stored)[0]


def _told_kind(name: str, stored: Stored) -> str:
    """Return what the shapes of a layer tell, "" if that is nothing; ValueError if too little."""
    shapes = [array.shape for array in stored.arrays]
    axes = [len(shape) for shape in shapes]
    if axes[:2] == [2, 2] and len(shapes) in (2, 3) and all(shapes[1]):
        gates = shapes[1][1] / shapes[1][0]
        if gates == 4:
            return "lstm"
        if gates == 3:
            if len(shapes) == 2:
                told = "'gru' or 'gru_reset_before'"
                raise ValueError(
                    f"layer {name}: without biases a GRU's reset_after is not told: say "
                    f"kinds={{{name!r}: ...}}, {told}"
                )
            after = axes[2] == 2 or shapes[2] == (2 * shapes[1][1],)
            return "gru" if after else "gru_reset_before"
        if gates == 1:
            raise ValueError(
                f"layer {name}: a plain RNN's activation is not told: say "
                f"kinds={{{name!r}: 'rnn_tanh'}} or 'rnn_relu'"
            )
    if axes == [2, 1] and not stored.second:
        return "linear"
    if axes == [2] and not stored.second:
        return "embedding" if "emb" in name.lower() else "linear"
    return ""
