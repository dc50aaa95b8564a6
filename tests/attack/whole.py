"""What must be true of a run's folder, whatever happened to the process that wrote it."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from fastlstm.train import checkpoint

KINDS = {"model.safetensors": "model", "checkpoint.safetensors": "training state"}


def check_files(folder: Path) -> None:
    """Assert that each file is whole: what was written earlier is never half of something."""
    for path in sorted(folder.glob("*")) if folder.exists() else ():
        if path.name.startswith(".") or path.is_dir():
            continue
        try:
            _read(path)
        except Exception as error:
            raise AssertionError(f"{path.name} is not whole: {error}") from error


def _read(path: Path) -> None:
    if path.name in KINDS:
        checkpoint.load(path, KINDS[path.name])
    elif path.suffix == ".json":
        json.loads(path.read_text(encoding="utf-8"))
    elif path.suffix == ".jsonl":
        for line in path.read_text(encoding="utf-8").splitlines():
            json.loads(line)


def result(folder: Path) -> dict[str, Any]:
    """What a finished run leaves, times aside: the same for runs that must be equal."""
    found: dict[str, Any] = {
        name: (folder / name).read_bytes() for name in ("model.safetensors", "vocab.json")
    }
    metrics = json.loads((folder / "metrics.json").read_text(encoding="utf-8"))
    found["metrics.json"] = {k: v for k, v in metrics.items() if "second" not in k}
    history = folder / "metrics.jsonl"  # which a linear part alone has not
    lines = history.read_text(encoding="utf-8").splitlines() if history.exists() else []
    epochs = [json.loads(line) for line in lines]
    found["metrics.jsonl"] = [
        {k: v for k, v in epoch.items() if "second" not in k} for epoch in epochs
    ]
    return found


def check_equal(folder: Path, expected: dict[str, Any]) -> None:
    """Assert that a run ended with the same bits as the unbroken one, and left no scraps."""
    actual = result(folder)
    for name, value in expected.items():
        assert actual[name] == value, f"{name} differs from that of the unbroken run"
    scraps = [path.name for path in folder.iterdir() if path.name.endswith(".tmp")]
    assert not scraps, f"temporary files stayed: {scraps}"
