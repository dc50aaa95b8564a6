"""Small runs of the command line, which take some milliseconds: what is killed and damaged."""

from __future__ import annotations

import contextlib
import csv
import io
import signal
from pathlib import Path
from typing import Any
from unittest.mock import patch

import numpy as np

from fastlstm.train.classifier.idle_options import OF_NETS

TOPICS = ("music", "sport", "weather")
OPTIONS: dict[str, Any] = {
    "embedding_dim": 6, "hidden_size": 6, "epochs": 3, "batch_size": 12, "average": 0.9,
    "max_length": 20, "seed": 3,
}  # fmt: skip


def write_texts(path: Path, count: int = 60, topics: int = len(TOPICS)) -> Path:
    """A table of texts about a few topics, the same each time."""
    rng = np.random.default_rng(0)
    with open(path, "w", newline="", encoding="utf-8") as file:
        writer = csv.writer(file)
        writer.writerow(("text", "label"))
        for number in range(count):
            topic = TOPICS[number % topics]
            words = [f"word{rng.integers(30)}" for _ in range(6)]
            words += [f"{topic}{rng.integers(5)}" for _ in range(3)]
            writer.writerow((" ".join(rng.permutation(words)), topic))
    return path


def command(data: Path, out: Path, **more: Any) -> list[str]:
    """The words of ``fastlstm`` that train a small model."""
    line = ["train", str(data), "--out", str(out), "--no-progress"]
    options = {**OPTIONS, **more}
    if options.get("parts") == "linear":  # without a net, whose options are refused
        options = {name: value for name, value in options.items() if name not in OF_NETS}
    for name, value in options.items():
        line += ["--" + name.replace("_", "-"), str(value)]
    return line


def broken_off(data: Path, out: Path) -> None:
    """Train, and break it off in the middle as Ctrl-C does: a checkpoint stays."""
    from fastlstm.cli import main
    from fastlstm.train.listener import Listener

    class PressCtrlC(Listener):
        def __init__(self, *ignored: Any) -> None:
            pass

        def on_step(self, history: Any) -> None:
            if history.step == 5:
                signal.raise_signal(signal.SIGINT)

    quiet = contextlib.redirect_stdout(io.StringIO()), contextlib.redirect_stderr(io.StringIO())
    with patch("fastlstm.train.classifier.classify.Progress", PressCtrlC), quiet[0], quiet[1]:
        status = main(command(data, out))
    if status != 130:
        raise RuntimeError(f"the run was not broken off: exit status {status}")
