"""Memory that must stay flat: random shapes, models made and dropped, steps of a stream.

Each figure is made in a process of its own: ``python -m attack.memory shapes 30000 1``.
"""

from __future__ import annotations

import json
import resource
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from statistics import median
from typing import Any

import numpy as np

import fastlstm as fl
from attack import watch
from attack.plan import Plan
from attack.report import Figure
from fastlstm.kernels import native

SAMPLES = 40  # of the memory in use, spread over the whole
WARM = 20  # of them are not looked at: pools and caches fill
GROWTH = 0.02
SLACK = 1 << 18  # bytes that a small figure may grow by
MADE: tuple[tuple[Any, dict[str, Any]], ...] = (
    (fl.LSTM, {"num_layers": 2, "bidirectional": True}),
    (fl.LSTM, {"proj_size": 1, "recompute": 3}),
    (fl.GRU, {"dtype": "float64"}),
    (fl.RNN, {}),
)
LARGEST = (40, 24, 20, 40)  # T, N, I, H
WHAT = {
    "shapes": "random shapes through layers, forward and backward",
    "models": "models made and dropped",
    "steps": "steps of a stream",
}
Work = Callable[[np.random.Generator, int], None]


def in_use() -> int:
    """Bytes of this process in memory."""
    pages = int(Path("/proc/self/statm").read_text().split()[1])
    return pages * resource.getpagesize()


def shapes(rng: np.random.Generator, count: int) -> None:
    """Calls of layers of all kinds and sizes with batches of all sizes, the largest first."""
    for k in range(count):
        cls, options = MADE[k if k < len(MADE) else int(rng.integers(len(MADE)))]
        sizes = LARGEST if k < len(MADE) else rng.integers(1, LARGEST)
        T, N, I, H = (int(n) for n in sizes)
        layer = cls(I, H + 1, rng=rng, **options)
        lengths = rng.integers(0, T + 1, N) if T % 2 else None
        x = np.ones((T, N, I), layer.dtype)
        y, _, tape = layer.forward(x, lengths=lengths)
        if T % 5:  # tapes are dropped without backward too
            layer.backward(tape, np.ones_like(y))


def models(rng: np.random.Generator, count: int) -> None:
    """Classifiers of all sizes, each used once."""
    for _ in range(count):
        cell = ("lstm", "gru", "rnn")[int(rng.integers(3))]
        size, hidden = int(rng.integers(3, 60)), int(rng.integers(1, 40))
        model = fl.TextClassifier(size, embedding_dim=8, hidden_size=hidden, cell=cell, rng=rng)
        model(rng.integers(0, size, (3, 5)), np.array([5, 2, 3]))
        layer = fl.LSTM(3, hidden)
        layer.stream(2)(np.ones((2, 3), "float32"))


def steps(rng: np.random.Generator, count: int) -> None:
    """Steps of one stream, its state read, put back and reset now and then."""
    stream = fl.LSTM(8, 32, 2).stream(4)
    x = rng.standard_normal((64, 4, 8)).astype("float32")
    for k in range(count):
        stream(x[k % 64])
        if k % 1000 == 0:
            stream.state = stream.state
            stream.reset([k // 1000 % 4])


def flat(work: Work, count: int, seed: int) -> tuple[list[int], list[int]]:
    """Do all the work in pieces; the memory in use and kept back after each."""
    rng, used, kept = np.random.default_rng(seed), [], []
    piece = -(-count // SAMPLES)
    for _ in range(SAMPLES):
        work(rng, piece)
        used.append(in_use())
        kept.append(native.cached_bytes())
    return used, kept


def ends(samples: list[int]) -> tuple[float, float]:
    """What there is after the warm-up, and at the end."""
    warm = samples[WARM:]
    third = max(1, len(warm) // 3)
    return float(median(warm[:third])), float(median(warm[-third:]))


def part(plan: Plan) -> Iterator[Figure]:
    """Each kind of work in a process of its own."""
    for kind in plan.chosen(tuple(WHAT)):
        count = plan.counts[kind]
        figure, before = Figure("memory", f"{kind}: {WHAT[kind]}", count), time.monotonic()
        again = f"PYTHONPATH=tests {sys.executable} -m attack.memory {kind} {count} {plan.seed}"
        command = [sys.executable, "-m", "attack.memory", kind, str(count), str(plan.seed)]
        with tempfile.TemporaryDirectory() as folder:
            done = subprocess.run(
                command, cwd=folder, env=watch.environment(), capture_output=True, text=True
            )
        figure.seconds = time.monotonic() - before
        if done.returncode:
            figure.fail(f"exit status {done.returncode}: {done.stderr[-1000:]}", again)
        else:
            _judge(figure, json.loads(done.stdout), again)
        yield figure


def _judge(figure: Figure, found: dict[str, list[int]], again: str) -> None:
    figure.reached = figure.goal
    for name, samples in found.items():
        early, late = ends(samples)
        if late - early > max(GROWTH * early, SLACK):
            told = ", ".join(f"{n / 2**20:.1f}" for n in samples[WARM:])
            figure.fail(f"memory {name} grew: MB {told}", again)


def main(arguments: list[str]) -> int:
    kind, count, seed = arguments[0], int(arguments[1]), int(arguments[2])
    work: Work = {"shapes": shapes, "models": models, "steps": steps}[kind]
    used, kept = flat(work, count, seed)
    print(json.dumps({"in use": used, "kept back": kept}))
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
