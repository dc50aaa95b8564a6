"""Training in several processes: what messages cost, and how long a step waits for them.

    mpiexec -n 2 python -m benchmarks.bench_scale --net imdb [--steps 40]
    torchrun --nproc-per-node 2 -m benchmarks.bench_scale
    mpiexec -n 2 python -m benchmarks.bench_scale --net none    # messages alone: a second
    python -m benchmarks.bench_scale --net language             # one process, to compare with

Prints a line of JSON: the seconds of messages of some sizes, and for training with gradients that
travel during the backward pass ("early") and without ("late") the median seconds of a step by the
clock and by the processor, those of waiting after the backward pass, and bytes. Texts are made up.
The model that the figures go into, and its table, is `benchmarks.scale`.
"""

from __future__ import annotations

import argparse
import json
import time
from collections.abc import Callable, Sequence
from functools import partial
from statistics import median
from typing import Any
from unittest.mock import patch

import numpy as np

import fastlstm as fl
from benchmarks.rounds import positive
from fastlstm import distributed
from fastlstm.distributed import Processes
from fastlstm.models import LanguageModel, TextClassifier
from fastlstm.runtime import get_num_threads
from fastlstm.text import Encoded, batches
from fastlstm.train import Adam, Average, Trainer, parallel
from fastlstm.train.listener import Listener
from fastlstm.train.sending import Sending
from fastlstm.train.tasks.language import LanguageModelling
from fastlstm.train.tasks.task import shuffled

SIZES = (8, 1 << 12, 1 << 16, 1 << 20, 1 << 23)
NETS = ("imdb", "language", "none")


class Counted(Sending):
    """Tells how long a step waits, and what it sends when."""

    waits: list[float] = []
    bytes_: list[tuple[int, int]] = []

    def end(self) -> Any:
        self.ended, self.before = time.perf_counter(), len(self._sent)
        return super().end()

    def learn(self, dense: Any) -> None:
        Counted.waits.append(time.perf_counter() - self.ended)
        early = sum(sent.own.nbytes for sent in self._sent[: self.before])
        dense_bytes = sum(p.data.nbytes for p in self._parameters if p.rows is None)
        rows = sum(p.rows.value.nbytes for p in self._parameters if p.rows is not None)
        Counted.bytes_.append((early, dense_bytes + rows - early))
        super().learn(dense)


class Clock(Listener):
    """Keeps the times of all steps."""

    def __init__(self) -> None:
        self.wall: list[float] = []
        self.processor: list[float] = []

    def on_step(self, history: Any) -> None:
        self.wall.append(time.perf_counter())
        self.processor.append(time.process_time())


def messages(processes: Processes, rounds: int) -> dict[str, float]:
    """Return the least seconds of adding up vectors of some sizes, and of telling 8 bytes.

    Of many, one after another without a pause: on a busy machine some of them meet a time when all
    processes have a core.
    """

    def least(call: Callable[[], object], count: int) -> float:
        times = []
        for _ in range(count):
            start = time.perf_counter()
            call()
            times.append(time.perf_counter() - start)
        return min(times)

    found = {"gather": least(lambda: processes.gather(np.zeros(1)), rounds)}
    for size in SIZES:
        vector, count = np.ones(size // 4, np.float32), max(5, rounds * 4096 // max(size, 4096))
        found[str(size)] = least(partial(processes.sum, vector), count)
    return found


def trained(net: str, steps: int, rows: int) -> dict[str, Any]:
    """Train some steps; return medians without the first ones."""
    rng, clock = np.random.default_rng(0), Clock()
    made: Any
    if net == "imdb":
        lengths = np.clip(rng.lognormal(5.1, 0.6, steps * rows), 20, 400).astype(np.int64)
        words = np.minimum(rng.zipf(1.2, lengths.sum()), 19_999)
        texts = Encoded.from_lengths(words, lengths, rng.integers(0, 2, len(lengths)))
        made = TextClassifier(20_000, 128, 128, 1, True, "mean+max", 0.3, rng=0)
        source, task = shuffled(batches, texts, rows, 0), fl.bce_with_logits
    else:
        made = LanguageModel(10_000, 650, 650, 2, 0.5, tied=True, rng=0)
        task = LanguageModelling(rows, 35)
        source = task.source(made, rng.integers(1, 10_000, rows * 35 * steps + rows))
    Counted.waits, Counted.bytes_ = [], []
    trainer = Trainer(
        made, Adam(made, 1e-3), task, epochs=1, clip=1.0, average=Average(made, 0.99),
        listeners=[clock],
    )  # fmt: skip
    trainer.fit(source.batches, steps)
    found: dict[str, Any] = {
        "step": median(np.diff(clock.wall[2:]).tolist() or [0.0]),
        "processor": median(np.diff(clock.processor[2:]).tolist() or [0.0]),
        "least": min(np.diff(clock.wall[2:]).tolist() or [0.0]),
    }
    if Counted.waits:
        found |= {"waits": median(Counted.waits[2:]), "least_wait": min(Counted.waits[2:])}
        found["bytes_early"], found["bytes_late"] = map(int, np.median(Counted.bytes_[2:], axis=0))
    return found


def main(argv: Sequence[str] | None = None) -> int:
    """Measure, in all processes that were started together."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.bench_scale")
    parser.add_argument("--net", choices=NETS, default="imdb")
    parser.add_argument("--rows", type=positive, default=64, help="of a batch")
    parser.add_argument("--steps", type=positive, default=40)
    parser.add_argument("--rounds", type=positive, default=2000, help="of a small message")
    options = parser.parse_args(argv)
    with distributed.start() as processes, patch.object(parallel, "Sending", Counted):
        found: dict[str, Any] = {"processes": processes.size, "threads": get_num_threads()}
        found["net"] = options.net
        several, trains = processes.size > 1, options.net != "none"
        if several:
            found["messages"] = messages(processes, options.rounds)
        if several and trains:
            found["early"] = trained(options.net, options.steps, options.rows)
        with patch.object(type(processes), "apart", lambda self: None):
            found["late"] = trained(options.net, options.steps, options.rows) if trains else None
        if processes.first:
            print(json.dumps(found))
    return 0


if __name__ == "__main__":
    main()
