"""Writes Keras's files without Keras: a Sequential model, or its weights alone."""

from __future__ import annotations

import io
import json
import zipfile
from pathlib import Path
from typing import Any

import numpy as np

from fastlstm.files.writing import replacing
from fastlstm.formats.errors import package
from fastlstm.formats.keras.as_keras import KerasLayer, keras_layers
from fastlstm.formats.keras.read import CONFIG, WEIGHTS
from fastlstm.formats.keras.stored import DIRECTIONS

KERAS = "3.3.0"  # the version whose files these are
CELLS = ("LSTM", "GRU", "SimpleRNN")
LARGEST_ATTRIBUTE = 64_000  # bytes: what HDF5 keeps in the header of a group
DATE = (1980, 1, 1, 0, 0, 0)  # the same model gives the same bytes


def save_keras(model: Any, path: Path) -> None:
    """Write a ``.keras`` file; see `fastlstm.save`."""
    layers = keras_layers(model)
    metadata = {"keras_version": KERAS, "date_saved": "1980-01-01@00:00:00"}
    members = {
        "metadata.json": json.dumps(metadata).encode(),
        CONFIG: json.dumps(_config(layers, "keras")).encode(),
        WEIGHTS: _weights(layers),
    }
    with replacing(path) as file, zipfile.ZipFile(file, "w") as archive:
        for name, data in members.items():
            archive.writestr(zipfile.ZipInfo(name, DATE), data)


def save_weights(model: Any, path: Path) -> None:
    """Write a ``.weights.h5`` file."""
    data = _weights(keras_layers(model))
    with replacing(path) as file:
        file.write(data)


def save_hdf5(model: Any, path: Path) -> None:
    """Write an ``.h5`` file with the model and its weights."""
    data = _old(keras_layers(model))
    with replacing(path) as file:
        file.write(data)


def _config(layers: list[KerasLayer], module: str) -> dict[str, Any]:
    """Return the configuration of the model, of Keras 3 or, with module "", of Keras 2."""
    made = [_layer_config(layer.kind, layer.options, module) for layer in layers]
    return _object("Sequential", {"name": "sequential", "layers": made}, module)


def _layer_config(kind: str, options: dict[str, Any], module: str) -> dict[str, Any]:
    options = dict(options)
    for place in ("layer", "backward_layer"):  # without both, Keras mixes them up now and then
        if place in options:
            inner = options[place]
            inner_options = {"dtype": options["dtype"], **inner["config"]}
            options[place] = _layer_config(inner["class_name"], inner_options, "keras")
    if not module and kind == "InputLayer":
        options["batch_input_shape"] = options.pop("batch_shape")
    return _object(kind, options, module and f"{module}.layers")


def _object(kind: str, options: dict[str, Any], module: str) -> dict[str, Any]:
    found: dict[str, Any] = {"class_name": kind, "config": options}
    if module:
        found |= {"module": module, "registered_name": None}
    return found


def _weights(layers: list[KerasLayer]) -> bytes:
    """Return a file of weights as Keras 3 has it."""
    h5py = package("h5py", "keras", "a Keras file")
    data = io.BytesIO()
    with h5py.File(data, "w") as file:
        for layer in layers:
            group = file.create_group(f"layers/{layer.options['name']}")
            for place, arrays in _places(layer):
                holder = group.create_group(place)
                for number, array in enumerate(arrays):
                    holder[str(number)] = array
    return data.getvalue()


def _places(layer: KerasLayer) -> list[tuple[str, list[Any]]]:
    """Return where the arrays of a layer stand."""
    if layer.stored.second:
        both = zip(DIRECTIONS, layer.stored, strict=True)
        return [(f"{name}/cell/vars", arrays) for name, arrays in both]
    return [("cell/vars" if layer.kind in CELLS else "vars", layer.stored.arrays)]


def _old(layers: list[KerasLayer]) -> bytes:
    """Return a model as Keras 2 wrote it, which Keras 3 reads."""
    h5py = package("h5py", "keras", "a Keras file")
    data = io.BytesIO()
    with h5py.File(data, "w") as file:
        file.attrs["model_config"] = json.dumps(_config(layers, "")).encode()
        file.attrs["keras_version"] = KERAS.encode()
        root = file.create_group("model_weights")
        root.attrs["keras_version"] = KERAS.encode()
        _set_texts(root, "layer_names", [layer.options["name"] for layer in layers])
        for layer in layers:
            group = root.create_group(layer.options["name"])
            names = _weight_names(layer)
            _set_texts(group, "weight_names", list(names))
            for name, array in names.items():
                group[name] = array
    return data.getvalue()


def _weight_names(layer: KerasLayer) -> dict[str, Any]:
    """Return the arrays of a layer by names as of Keras 2."""
    name, stored = layer.options["name"], layer.stored
    if stored.second:
        return {
            f"{name}/{direction}/{own}:0": array
            for direction, arrays in zip(DIRECTIONS, stored, strict=True)
            for own, array in _own_names(arrays)
        }
    return {f"{name}/{own}:0": array for own, array in _own_names(stored.arrays)}


def _own_names(arrays: list[Any]) -> list[tuple[str, Any]]:
    return [(f"weight_{number}", array) for number, array in enumerate(arrays)]


def _set_texts(group: Any, name: str, texts: list[str]) -> None:
    """Write a list of texts as attributes, cut where it is too long for one."""
    array = np.array([text.encode() for text in texts], "S") if texts else np.zeros(0, "S1")
    pieces = -(-max(array.nbytes, 1) // LARGEST_ATTRIBUTE)
    if pieces == 1:
        group.attrs[name] = array
        return
    for number, piece in enumerate(np.array_split(array, pieces)):
        group.attrs[f"{name}{number}"] = piece
