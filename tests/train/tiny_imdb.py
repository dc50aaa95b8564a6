"""A few made-up reviews in the folder layout of the official archive, and a tiny model for them."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np

from fastlstm.train_imdb import main

REVIEWS = 40  # of each class, for training; half as many for testing
UNLABELLED = 50
WORDS = [f"word{i}" for i in range(60)]

SMALL: dict[str, Any] = {
    "parts": "net",  # runs with a linear part have tests of their own
    "vocab_size": 50,
    "max_length": 16,
    "embedding_dim": 5,
    "hidden_size": 6,
    "epochs": 2,
    "batch_size": 16,
    "lr": 0.02,
    "validation": 0.25,
    "average": 0.9,
}


def write_reviews(folder: Path) -> Path:
    """Write the reviews; positive ones prefer the words of even number.

    The unlabelled ones are of either kind in turn.
    """
    rng = np.random.default_rng(0)
    for place, count in (("train", REVIEWS), ("test", REVIEWS // 2)):
        for label, name in enumerate(("neg", "pos")):
            (folder / place / name).mkdir(parents=True)
            for number in range(count):
                path = folder / place / name / f"{number}_{label}.txt"
                path.write_text(_review(rng, label), encoding="utf-8")
    (folder / "train" / "unsup").mkdir()
    for number in range(UNLABELLED):
        path = folder / "train" / "unsup" / f"{number}_0.txt"
        path.write_text(_review(rng, number % 2), encoding="utf-8")
    return folder


def _review(rng: np.random.Generator, label: int) -> str:
    chosen = rng.integers(0, 30, rng.integers(3, 25)) * 2 + (rng.random() < 0.2)
    return " ".join(WORDS[i + (1 - label if i % 2 == 0 else 0)] for i in chosen)


def arguments(data: Path, out: Path, **options: Any) -> list[str]:
    """The command line of a small run; None leaves an option out."""
    words = ["--data", str(data), "--out", str(out), "--no-progress"]
    small = SMALL if options.get("parts") != "linear" else {"validation": SMALL["validation"]}
    for name, value in {**small, **options}.items():
        flag = "--" + name.replace("_", "-")
        if isinstance(value, bool):
            words.append(flag if value else "--no-" + flag[2:])
        elif value is not None:
            words += [flag, str(value)]
    return words


def train(data: Path, out: Path, **options: Any) -> dict[str, Any]:
    """Run the command to its end and return metrics.json."""
    assert main(arguments(data, out, **options)) == 0
    return read(out / "metrics.json")


def read(path: Path) -> Any:
    return json.loads(path.read_text(encoding="utf-8"))


def read_lines(path: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()]


def timeless(metrics: dict[str, Any]) -> dict[str, Any]:
    """Metrics without what differs from run to run: times, and the options in a model's file."""
    return {k: v for k, v in metrics.items() if "second" not in k and k != "model_crc32"}
