"""Made-up texts about a few topics, each with words of its own, and the options of small runs."""

from __future__ import annotations

import csv
import json
from pathlib import Path
from typing import Any

import numpy as np

from fastlstm.cli import main

TOPICS = ("music", "sport", "weather")
ROWS = tuple[list[str], list[str]]

# Small and quick: some milliseconds an epoch.
SMALL: dict[str, Any] = {
    "parts": "net",  # runs with a linear part have tests of their own
    "embedding_dim": 8, "hidden_size": 8, "epochs": 2, "batch_size": 16, "average": 0.9,
    "max_length": 30,
}  # fmt: skip


def rows(count: int, classes: tuple[str, ...] = TOPICS, seed: int = 0) -> ROWS:
    """Texts of 5 to 15 words, a third of them of their topic, and the topics."""
    rng = np.random.default_rng(seed)
    labels = [classes[n % len(classes)] for n in range(count)]
    texts = []
    for label in labels:
        words = [f"word{rng.integers(50)}" for _ in range(rng.integers(5, 16))]
        words += [f"{label}{rng.integers(6)}" for _ in range(len(words) // 2)]
        texts.append(" ".join(rng.permutation(words)))
    return texts, labels


def write_csv(
    path: Path, data: ROWS, columns: tuple[str, str] = ("text", "label"), delimiter: str = ","
) -> Path:
    with open(path, "w", newline="", encoding="utf-8") as file:
        writer = csv.writer(file, delimiter=delimiter)
        writer.writerow(columns)
        writer.writerows(zip(*data, strict=True))
    return path


def write_folder(path: Path, data: ROWS) -> Path:
    for number, (text, label) in enumerate(zip(*data, strict=True)):
        (path / label).mkdir(parents=True, exist_ok=True)
        (path / label / f"{number:04}.txt").write_text(text, encoding="utf-8")
    return path


def write_json_lines(path: Path, data: ROWS) -> Path:
    lines = [json.dumps({"text": t, "label": x}) for t, x in zip(*data, strict=True)]
    path.write_text("\n".join(lines), encoding="utf-8")
    return path


def words(data: Path, out: Path, **options: Any) -> list[str]:
    """The command line of a small run; None leaves an option out."""
    line = ["train", str(data), "--out", str(out)]
    small = SMALL if options.get("parts") != "linear" else {}  # which has no net
    for name, value in {**small, **options}.items():
        flag = "--" + name.replace("_", "-")
        if isinstance(value, bool):
            line.append(flag if value else "--no-" + flag[2:])
        elif value is not None:
            line += [flag, str(value)]
    return line


def train(data: Path, out: Path, **options: Any) -> dict[str, Any]:
    """Run the command to its end and return metrics.json."""
    assert main(words(data, out, **options)) == 0
    return read(out / "metrics.json")


def read(path: Path) -> Any:
    return json.loads(path.read_text(encoding="utf-8"))


def timeless(metrics: dict[str, Any]) -> dict[str, Any]:
    """Metrics without what differs from run to run: times, and the options in a model's file."""
    return {k: v for k, v in metrics.items() if "second" not in k and k != "model_crc32"}


def weights(out: Path) -> bytes:
    return (out / "model.safetensors").read_bytes()
