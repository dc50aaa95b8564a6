"""The file of an unfinished run: what it needs to go on, and which run it is."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from numpy.typing import NDArray

from fastlstm.train import checkpoint

KIND = "training state"

Arrays = dict[str, NDArray[Any]]


def save(
    path: str | Path, parts: Mapping[str, Mapping[str, NDArray[Any]]],
    identity: Mapping[str, object], history: Mapping[str, object],
) -> None:  # fmt: skip
    """Write the arrays of each part, by name; errors as of `train.checkpoint.save`."""
    tensors = {f"{part}/{n}": array for part, state in parts.items() for n, array in state.items()}
    checkpoint.save(path, tensors, KIND, {"identity": identity, "history": history})


def load(path: str | Path, identity: Mapping[str, object]) -> tuple[dict[str, Arrays], Any]:
    """Return the parts and the history of a state; a part without arrays is missing.

    Errors as of `train.checkpoint.load`; also CheckpointError if the identity is another one.
    """
    tensors, note = checkpoint.load(path, KIND)
    saved = note.get("identity")
    if not isinstance(saved, dict):
        raise checkpoint.CheckpointError(f"{path} is damaged: it does not say of which run it is")
    names = identity.keys() | saved.keys()
    different = sorted(k for k in names if identity.get(k) != saved.get(k))
    if different:
        raise checkpoint.CheckpointError(f"{path} is of another run: {', '.join(different)} differ")
    parts: dict[str, Arrays] = {}
    for name, array in tensors.items():
        part, _, rest = name.partition("/")
        parts.setdefault(part, {})[rest] = array
    return parts, note.get("history")
