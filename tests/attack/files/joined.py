"""Damaged models of joined runs and of linear ones: refused, or read and used; never another answer
in silence."""

from __future__ import annotations

import contextlib
import io
import shutil
from collections.abc import Callable
from functools import cache
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from attack.files import structure
from attack.files.outcome import read
from attack.files.runs import _damaged_weights
from attack.fuzz.draw import Rng, chance, pick
from attack.small_run import command, write_texts
from fastlstm.cli import main
from fastlstm.train import checkpoint
from fastlstm.train.classifier.loaded_run import load_run
from fastlstm.train.model_file import KIND, LINEAR

# Options of the runs, and how many topics their texts are about.
VARIANTS: tuple[tuple[dict[str, Any], int], ...] = (
    ({"parts": "joined"}, 3), ({"parts": "joined", "validation": 0.2}, 2),
    ({"parts": "linear"}, 3), ({"parts": "linear"}, 2),
)  # fmt: skip
TEXTS = ("music1 word3 word4", "sport2 sport3!", "", "\u5f88 unknown")
Arrays = dict[str, Any]


class Sound(NamedTuple):
    """A whole run, and what it says of the texts."""

    folder: Path
    data: bytes
    said: Any


@cache
def _sound(folder: Path, variant: int) -> Sound:
    """Once a process."""
    options, topics = VARIANTS[variant]
    place = folder / f"joined-{variant}"
    texts = write_texts(folder / f"texts-{topics}.csv", topics=topics)
    with contextlib.redirect_stdout(io.StringIO()):
        assert main(command(texts, place, **{"epochs": 1, **options})) == 0, "the run failed"
    said = load_run(place).predict_proba(TEXTS)
    return Sound(place, (place / "model.safetensors").read_bytes(), said)


def _other_shape(rng: Rng, array: Any) -> Any:
    how: tuple[Callable[[], Any], ...] = (
        lambda: array[:-1], lambda: array[1:], lambda: array[:0], lambda: array[None],
        lambda: np.concatenate([array, array]), lambda: array.reshape(-1), lambda: array.T,
        lambda: array[..., :-1], lambda: array.reshape(()) if array.size == 1 else array[:1],
    )  # fmt: skip
    return np.ascontiguousarray(pick(rng, how)())


def _other_values(rng: Rng, array: Any) -> Any:
    array = array.copy()
    if not array.size:
        return array
    at = int(rng.integers(array.size))
    if array.dtype.kind == "f":
        top = float(np.finfo(array.dtype).max)
        array.flat[at] = pick(rng, (np.nan, np.inf, -np.inf, -1.0, top, -top, 1e-45, 0.0))
        return array
    how: tuple[Callable[[], Any], ...] = (
        lambda: array[::-1], lambda: rng.permutation(array), lambda: array * 0,
        lambda: np.repeat(array, 2)[: len(array)], lambda: array + array.dtype.type(1),
        lambda: array - array.min(),
    )  # fmt: skip
    return np.ascontiguousarray(pick(rng, how)())


def _other_dtype(rng: Rng, array: Any) -> Any:
    with np.errstate(all="ignore"):
        return array.astype(pick(rng, ("f2", "f4", "f8", "i8", "u8", "i4", "?", "u1")))


def _forged(rng: Rng, folder: Path, path: Path) -> None:
    """A model with other arrays or options of its linear part, signed as ours."""
    tensors, note = checkpoint.load(path, KIND)
    names = sorted(name for name in tensors if name.startswith(LINEAR))
    for _ in range(pick(rng, (1, 1, 2))):
        name = pick(rng, names)
        how = int(rng.integers(7))
        if how == 0:
            tensors.pop(name, None)
        elif how == 1 and name in tensors:
            tensors[pick(rng, (f"{name}2", LINEAR, name.removeprefix(LINEAR)))] = tensors.pop(name)
        elif how == 2:  # of another model
            other, more = checkpoint.load(
                _sound(folder, int(rng.integers(len(VARIANTS)))).folder / "model.safetensors", KIND
            )
            tensors[name] = other[name]
            if chance(rng, 3):
                note[pick(rng, ("linear", "join"))] = more["linear"]
        elif how == 3:
            part = pick(rng, ("linear", "join", "class"))
            with contextlib.suppress(RecursionError):  # of what was nested deeply already
                note[part] = structure.changed(rng, note[part])
        elif name in tensors:
            change = (_other_shape, _other_values, _other_dtype)[how - 4]
            with contextlib.suppress(ValueError, IndexError):  # of an array that is empty by now
                tensors[name] = change(rng, tensors[name])
    with contextlib.suppress(ValueError, TypeError, RecursionError, OverflowError, UnicodeError):
        checkpoint.save(path, tensors, KIND, note)  # not what JSON cannot hold


def case(rng: Rng, folder: Path) -> None:
    """The model of a run damaged, or forged; then it is read and used."""
    sound = _sound(folder, int(rng.integers(len(VARIANTS))))
    place = folder / "run"
    shutil.rmtree(place, ignore_errors=True)
    shutil.copytree(sound.folder, place)
    path, forged = place / "model.safetensors", not chance(rng, 3)
    if forged:
        _forged(rng, folder, path)
    else:
        path.write_bytes(_damaged_weights(rng, sound.data))
    said = read(lambda: load_run(place).predict_proba(TEXTS), place)
    if said is None:
        return
    assert said.shape == sound.said.shape, f"probabilities of shape {said.shape}"
    assert np.isfinite(said).all(), "a probability is not finite"
    np.testing.assert_allclose(said.sum(1), 1, rtol=1e-9)
    if not forged and _of_bytes(path, sound):
        np.testing.assert_array_equal(said, sound.said, "another answer in silence")


def _of_bytes(path: Path, sound: Sound) -> bool:
    """Whether no note was changed and signed again: then the checksum tells all damage."""
    _, note = checkpoint.load(path, KIND)
    _, own = checkpoint.load(sound.folder / "model.safetensors", KIND)
    return note == own
