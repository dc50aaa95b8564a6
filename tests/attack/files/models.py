"""Damaged files of models: our own, of torch, of Keras and of RTNeural."""

from __future__ import annotations

import contextlib
import io
import json
import zipfile
from collections.abc import Callable
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np

import fastlstm as fl
from attack.files import mutate, structure
from attack.files.outcome import read
from attack.files.runs import _damaged_weights, _split
from attack.fuzz.draw import Rng, chance, pick
from fastlstm.formats.recurrence import Recurrence
from fastlstm.formats.sequential import Sequential
from fastlstm.formats.steps import Activation, Conv1D, MaskZero, Scale
from fastlstm.train import checkpoint

# What a call of a model whose weights were changed may say.
SAID = (ValueError, TypeError, IndexError, FloatingPointError)


def _layers() -> list[Any]:
    """Models of several kinds, small enough to be read a thousand times a second."""
    return [
        fl.LSTM(3, 4, 2, bidirectional=True, rng=0),
        fl.GRU(2, 3, reset_after=False, learn_state=True, rng=0),
        fl.TextClassifier(7, 3, 4, num_outputs=2, rng=0),
        fl.models.SequenceAutoencoder(3, 4, code_size=2, rng=0),
        fl.models.SequenceRegressor(3, 4, horizon=2, distribution="quantiles", rng=0),
        Sequential(
            {
                "mask": MaskZero(),
                "words": fl.Embedding(7, 3, rng=0),
                "rnn": Recurrence(fl.GRU(3, 2, rng=0), "last"),
                "head": fl.Linear(2, 2, rng=0),
                "act": Activation("softmax"),
            }
        ),
        fl.nn.Chain(
            [
                fl.nn.Conv1d(2, 4, 2, padding=(1, 0), context=1, rng=0),
                fl.nn.Magnitude(),
                fl.LSTM(2, 3, rng=0),
                fl.nn.Mean(),
            ],
            frame=3,
        ),
    ]


@cache
def _sound(ending: str) -> list[bytes]:
    """Sound files of a kind, once a process."""
    import tempfile

    models: list[Any] = _layers()
    if ending not in (".safetensors", ".pt"):
        models = [
            fl.GRU(2, 3, bidirectional=True, rng=0),
            [Conv1D(2, 3, 2), Scale(3), Recurrence(fl.LSTM(3, 2, rng=0), "last"), fl.Linear(2, 1)],
            [MaskZero(), fl.Embedding(7, 2, rng=0), fl.RNN(2, 3, rng=0), Activation("relu")],
        ]
    found = []
    with tempfile.TemporaryDirectory() as folder:
        for model in models:
            path = Path(folder) / f"model{ending}"
            fl.save(model, path)
            found.append(path.read_bytes())
    return found


def _use(model: Any) -> None:
    """Call what was read, and what is in it."""
    inside = model.values() if isinstance(model, dict) else [model]
    for layer in inside:
        for x in (np.zeros((2, 3, 3), "f4"), np.zeros((2, 3, 2), "f4"), np.ones((2, 3), "i4")):
            with contextlib.suppress(*SAID), np.errstate(all="ignore"):
                layer(x)


def _read(folder: Path, name: str, data: bytes, kinds: Any = None) -> None:
    path = folder / name
    path.write_bytes(data)
    model = read(lambda: fl.load(path, kinds=kinds), path)
    if model is not None:
        _use(model)


def _described(rng: Rng, data: bytes) -> bytes:
    """Another description of the layers, signed as ours."""
    header, body = _split(data)
    ours = json.loads(header["__metadata__"]["fastlstm"])
    ours["note"] = structure.changed(rng, ours["note"])
    tensors = {}
    for name, entry in header.items():
        if name != "__metadata__":
            start, end = entry["data_offsets"]
            tensors[name] = np.frombuffer(body[start:end], "f4").reshape(entry["shape"])
    with contextlib.suppress(Exception):  # a note that cannot be signed is damage too
        ours["crc32"] = checkpoint._checksum(tensors, ours["note"])
    header["__metadata__"]["fastlstm"] = json.dumps(ours)
    text = json.dumps(header).encode()
    return len(text).to_bytes(8, "little") + text + body


def own(rng: Rng, folder: Path) -> None:
    """A file of `fastlstm.save`: its bytes, its header, or its description."""
    data = pick(rng, _sound(".safetensors"))
    how: Callable[[Rng, bytes], bytes] = pick(rng, (_described, _described, _damaged_weights))
    _read(folder, "model.safetensors", how(rng, data))


def _plain(data: bytes) -> bytes:
    """The same tensors without our description: a state_dict."""
    header, body = _split(data)
    del header["__metadata__"]
    text = json.dumps(header).encode()
    return len(text).to_bytes(8, "little") + text + body


def state_dict(rng: Rng, folder: Path) -> None:
    """A state_dict in safetensors: its bytes, or names, dtypes and shapes of its header."""
    data = _plain(pick(rng, _sound(".safetensors")))
    if chance(rng, 2):
        data = mutate.mutated(rng, data)
    else:
        header, body = _split(data)
        header = structure.changed(rng, header)
        with contextlib.suppress(ValueError, UnicodeError):
            text = json.dumps(header).encode()
            data = len(text).to_bytes(8, "little") + text + body
    kinds = {"": pick(rng, ("gru", "rnn_tanh", "lstm"))} if chance(rng, 5) else None
    _read(folder, "state.safetensors", data, kinds)


def _rtneural() -> dict[str, Any]:
    draw = np.random.default_rng(0)
    shapes: dict[str, tuple[tuple[int, ...], ...]] = {
        "conv1d": ((2, 2, 3), (3,)), "lstm": ((3, 8), (2, 8), (8,)),
        "gru": ((2, 6), (2, 6), (2, 6)), "batchnorm": ((2,), (2,)), "dense": ((2, 1), (1,)),
    }  # fmt: skip
    sizes = {"conv1d": 3, "dense": 1}
    layers = [
        {
            "type": kind,
            "activation": "tanh" if kind == "dense" else "",
            "shape": [None, None, sizes.get(kind, 2)],
            "weights": [draw.uniform(0.1, 1, shape).round(2).tolist() for shape in own],
        }
        for kind, own in shapes.items()
    ]
    layers[0] |= {"kernel_size": [2], "dilation": [1]}
    return {"in_shape": [None, None, 2], "layers": layers}


def rtneural(rng: Rng, folder: Path) -> None:
    """RTNeural's JSON: a value of it, or bytes."""
    document: Any = _rtneural()
    if not chance(rng, 3):
        document = structure.changed(rng, document)
    data = json.dumps(document).encode()
    if chance(rng, 2):
        data = mutate.mutated(rng, data)
    _read(folder, "model.json", data)


def keras(rng: Rng, folder: Path) -> None:
    """A ``.keras`` file: its configuration or its weights inside a sound archive, or its bytes."""
    data = pick(rng, _sound(".keras"))
    if chance(rng, 4):
        _read(folder, "model.keras", mutate.mutated(rng, data))
        return
    with zipfile.ZipFile(io.BytesIO(data)) as archive:
        members = {name: archive.read(name) for name in archive.namelist()}
    if chance(rng, 2):
        config = structure.changed(rng, json.loads(members["config.json"]))
        members["config.json"] = json.dumps(config).encode()
    else:
        members["model.weights.h5"] = mutate.mutated(rng, members["model.weights.h5"])
    file = io.BytesIO()
    method = pick(rng, (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED))
    with zipfile.ZipFile(file, "w", method) as archive:
        for name, member in members.items():
            archive.writestr(name, member)
    _read(folder, "model.keras", file.getvalue())


def hdf5(rng: Rng, folder: Path) -> None:
    """A model or weights of Keras in HDF5."""
    ending = pick(rng, (".h5", ".weights.h5"))
    _read(folder, f"model{ending}", mutate.mutated(rng, pick(rng, _sound(ending))))
