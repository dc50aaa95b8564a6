"""Damaged folders of runs, checkpoints and files of weights."""

from __future__ import annotations

import contextlib
import io
import json
import shutil
import struct
from collections.abc import Callable
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np

from attack.files import mutate, structure
from attack.files.outcome import read
from attack.fuzz.draw import Rng, chance, pick
from attack.small_run import command, write_texts
from fastlstm.cli import main
from fastlstm.train import checkpoint
from fastlstm.train.classifier.loaded_run import load_run, read_record
from fastlstm.train.model_file import load_model

# How safetensors calls the dtypes that are written.
DTYPES = {
    f"{kind}{8 * size}": f"{code}{size}"
    for kind, code in (("F", "f"), ("I", "i"), ("U", "u"))
    for size in (1, 2, 4, 8)
    if (kind, size) != ("F", 1)
} | {"BOOL": "?"}
JSON_FILES = ("config.json", "metrics.json", "vocab.json", "metrics.jsonl")


@cache
def _sound(folder: Path) -> Path:
    """A folder of a whole run of a small model, once a process."""
    place = folder / "sound"
    data = write_texts(folder / "texts.csv")
    with contextlib.redirect_stdout(io.StringIO()):
        assert main(command(data, place)) == 0, "the run to be damaged failed"
    return place


def _files(folder: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in sorted(folder.iterdir()) if path.is_file()}


def _damaged_json(rng: Rng, data: bytes) -> bytes:
    if chance(rng, 3):
        return mutate.mutated(rng, data)
    lines = data.decode().splitlines()
    try:
        value: Any = json.loads(data)
    except ValueError:  # lines of it
        at = int(rng.integers(len(lines)))
        lines[at] = json.dumps(structure.changed(rng, json.loads(lines[at])))
        return "\n".join(lines).encode()
    return json.dumps(structure.changed(rng, value)).encode()


def _restored(folder: Path) -> Path:
    """A fresh copy of the sound run, to be damaged."""
    place = folder / "run"
    shutil.rmtree(place, ignore_errors=True)
    shutil.copytree(_sound(folder), place)
    return place


def _use(run: Any) -> None:
    """Use a run that could be read, as predicting does."""
    encoded = run.encode(["music1 word3 word4", "sport2 sport3", ""])
    p = run.log_probabilities(encoded)
    assert p.shape == (3, len(run.labels)), f"probabilities of shape {p.shape}"


def run_folders(rng: Rng, folder: Path) -> None:
    """One file of a run damaged or gone; then what is there is read and used."""
    place = _restored(folder)
    name = pick(rng, sorted(_files(place)))
    data = (place / name).read_bytes()
    if chance(rng, 20):
        (place / name).unlink()
    elif name in JSON_FILES:
        (place / name).write_bytes(_damaged_json(rng, data))
    elif name.endswith(".safetensors"):
        (place / name).write_bytes(_damaged_weights(rng, data))
    else:
        (place / name).write_bytes(mutate.mutated(rng, data))
    run = read(lambda: load_run(place), place)
    if run is not None:
        read(lambda: _use(run), place)
    read(lambda: read_record(place), place)


def _split(data: bytes) -> tuple[dict[str, Any], bytes]:
    size = struct.unpack("<Q", data[:8])[0]
    header: dict[str, Any] = json.loads(data[8 : 8 + size])
    return header, data[8 + size :]


def _joined(header: Any, body: bytes) -> bytes:
    text = json.dumps(header).encode()
    return struct.pack("<Q", len(text)) + text + body


def _damaged_weights(rng: Rng, data: bytes) -> bytes:
    """Bytes, the header's claims, or the note with a checksum that is right again."""
    how = int(rng.integers(4))
    if how == 0:
        return mutate.mutated(rng, data)
    header, body = _split(data)
    if how == 1:
        claim = pick(rng, (2**63 - 1, 2**40, 0, len(data), 100_000_001))
        return struct.pack("<Q", claim) + data[8:]
    if how == 2:
        return _joined(structure.changed(rng, header), body)
    return _with_note(rng, header, body)


def _with_note(rng: Rng, header: dict[str, Any], body: bytes) -> bytes:
    """Another note, signed as ours: what a person with an editor and patience can make."""
    ours = json.loads(header["__metadata__"]["fastlstm"])
    ours["note"] = structure.changed(rng, ours["note"])
    tensors = {}
    for name, entry in header.items():
        if name != "__metadata__":
            start, end = entry["data_offsets"]
            tensor = np.frombuffer(body[start:end], DTYPES[entry["dtype"]])
            tensors[name] = tensor.reshape(entry["shape"])
    with contextlib.suppress(Exception):  # a note that cannot be signed is damage too
        ours["crc32"] = checkpoint._checksum(tensors, ours["note"])
    header["__metadata__"]["fastlstm"] = json.dumps(ours)
    return _joined(header, body)


@cache
def _state(folder: Path) -> bytes:
    """A checkpoint of a run that was broken off, once a process."""
    place = folder / "broken"
    data = write_texts(folder / "texts.csv")
    from attack.small_run import broken_off

    broken_off(data, place)
    return (place / "checkpoint.safetensors").read_bytes()


def checkpoints(rng: Rng, folder: Path) -> None:
    """A damaged training state: read alone, and now and then by going on with the run."""
    data = _damaged_weights(rng, _state(folder))
    path = folder / "checkpoint.safetensors"
    path.write_bytes(data)
    read(lambda: checkpoint.load(path, "training state"), path)
    if chance(rng, 10):
        _resume(folder, data)


def _resume(folder: Path, data: bytes) -> None:
    place = folder / "again"
    shutil.rmtree(place, ignore_errors=True)
    shutil.copytree(folder / "broken", place)
    (place / "checkpoint.safetensors").write_bytes(data)
    errors = io.StringIO()
    with contextlib.redirect_stdout(io.StringIO()), contextlib.redirect_stderr(errors):
        status = main(["train", "--resume", str(place), "--no-progress"])
    told = errors.getvalue().strip()
    assert status in (0, 1), f"exit status {status}: {told}"
    assert status == 0 or "checkpoint.safetensors" in told, f"no file named: {told}"
    assert "FASTLSTM_DEBUG" not in told, f"an error that nobody foresaw: {told}"


def weights(rng: Rng, folder: Path) -> None:
    """A damaged file of weights: read as a model, and as a checkpoint of another kind."""
    data = (_sound(folder) / "model.safetensors").read_bytes()
    path = folder / "model.safetensors"
    path.write_bytes(_damaged_weights(rng, data))
    readers: tuple[Callable[[], Any], ...] = (
        lambda: load_model(path),
        lambda: checkpoint.load(path, pick(rng, ("model", "training state"))),
    )
    read(pick(rng, readers), path)
