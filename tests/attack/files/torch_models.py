"""Damaged files of torch; apart from the others, as torch takes long to import."""

from __future__ import annotations

import io
import pickle
import zipfile
from pathlib import Path

import torch

from attack.files import mutate
from attack.files.models import _read, _sound
from attack.fuzz.draw import Rng, chance, pick


def torch_file(rng: Rng, folder: Path) -> None:
    """A ``.pt`` file: its bytes, its pickle inside a sound archive, or a pickle alone."""
    data = pick(rng, _sound(".pt"))
    how = int(rng.integers(4))
    if how == 0:
        data = mutate.mutated(rng, data)
    elif how == 1:
        data = mutate.mutated(rng, pickle.dumps({"weight": [1.0, 2.0], "print": print}, 2))
    else:
        data = _with_members(rng, data)
    assert torch.__version__
    _read(folder, "model.pt", data)


def _with_members(rng: Rng, data: bytes) -> bytes:
    """The same archive with one member damaged, packed or missing."""
    with zipfile.ZipFile(io.BytesIO(data)) as archive:
        members = {name: archive.read(name) for name in archive.namelist()}
    name = pick(rng, sorted(members))
    if chance(rng, 2):
        name = next(name for name in members if name.endswith("data.pkl"))
    members[name] = mutate.mutated(rng, members[name])
    if chance(rng, 10):
        del members[name]
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w", pick(rng, (0, 0, zipfile.ZIP_DEFLATED))) as archive:
        for name, member in members.items():
            archive.writestr(name, member)
    return file.getvalue()
