"""58 sentences to learn and 20 to test: ``python -m fastlstm.examples.toy``.

The data of a well-known tutorial, "i am not at all happy" and the like: is it a good thing or a
bad one? Words are one-hot, the last state of an LSTM of 64 units goes into a logistic head, and all
58 sentences are one batch. With the right gradients that is learned in a fraction of a second.
"""

from __future__ import annotations

import argparse
import json
import time
from collections.abc import Sequence
from importlib.resources import files
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

import fastlstm as fl
from fastlstm.cli.errors import exit_status
from fastlstm.cli.parser import ProgramParser
from fastlstm.examples.options import add_precision, add_threads, check_least, threaded
from fastlstm.nn.module import Array
from fastlstm.train.optim import Adam

GOOD = ("bad", "good")  # by label


class Sentences(NamedTuple):
    """N sentences: 1 for a good thing, 0 for a bad one."""

    texts: list[str]
    labels: NDArray[np.int64]


def read() -> tuple[Sentences, Sentences]:
    """Return the sentences to learn and those to test."""
    table = files("fastlstm") / "examples" / "data" / "toy.tsv"
    rows = [line.split("\t") for line in table.read_text(encoding="utf-8").splitlines()]
    parts = []
    for part in ("train", "test"):
        chosen = [(text, int(label)) for name, label, text in rows if name == part]
        texts, labels = zip(*chosen, strict=True)
        parts.append(Sentences(list(texts), np.array(labels)))
    return parts[0], parts[1]


def one_hot(texts: list[str], words: list[str]) -> tuple[Array, NDArray[np.int64]]:
    """Return x [T,N,V], 1 where step t of row n is word v, and each row's length."""
    rows = [text.split() for text in texts]
    lengths = np.array([len(row) for row in rows])
    x = np.zeros((lengths.max(), len(rows), len(words)), np.float32)
    for n, row in enumerate(rows):
        for t, word in enumerate(row):
            x[t, n, words.index(word)] = 1
    return x, lengths


class Net(fl.Module):
    """An LSTM and a logistic head on its last state."""

    def __init__(self, words: list[str], hidden_size: int, rng: np.random.Generator) -> None:
        self.words = words
        self.lstm = fl.LSTM(len(words), hidden_size, rng=rng)
        self.head = fl.Linear(hidden_size, 1, rng=rng)

    def step(self, x: Array, lengths: NDArray[np.int64], labels: NDArray[np.int64]) -> float:
        """Add the gradients of a batch; return its loss."""
        _, (h, _), layer_tape = self.lstm.forward(x, lengths=lengths)
        logits, head_tape = self.head.forward(h[0])
        loss, dlogits = fl.bce_with_logits(logits[:, 0], labels)
        dh = self.head.backward(head_tape, dlogits[:, None])
        self.lstm.backward(layer_tape, None, (dh[None], None))
        return loss

    def predict(self, texts: list[str]) -> Array:
        """Return the probability of a good thing, [N]."""
        x, lengths = one_hot(texts, self.words)
        _, (h, _) = self.lstm(x, lengths=lengths)
        p: Array = 0.5 + 0.5 * np.tanh(0.5 * self.head(h[0])[:, 0])  # the logistic function
        return p


def train(
    sentences: Sentences,
    seed: int,
    updates: int,
    lr: float,
    hidden_size: int,
    precision: str = "float32",
) -> tuple[Net, float]:
    """Return a trained net and the loss of its last update."""
    words = sorted({word for text in sentences.texts for word in text.split()})
    net = Net(words, hidden_size, np.random.default_rng(seed))
    net.set_precision(precision)
    x, lengths = one_hot(sentences.texts, words)
    optimizer, loss = Adam(net, lr), np.inf
    for _ in range(updates):
        net.zero_grad()
        loss = net.step(x, lengths, sentences.labels)
        optimizer.step()
    return net, loss


def read_options(arguments: Sequence[str] | None) -> argparse.Namespace:
    """Read the command line."""
    parser = ProgramParser(
        prog="python -m fastlstm.examples.toy", description="Learn 58 sentences, test 20 others."
    )
    add = parser.add_argument
    add("--seed", type=int, default=0, help="of the first run (default: 0)")
    add("--seeds", type=int, default=1, help="how many runs, each with the next seed (default: 1)")
    add("--updates", type=int, default=200, help="of the weights (default: 200)")
    add("--lr", type=float, default=0.01, help="learning rate (default: 0.01)")
    add("--hidden-size", type=int, default=64, help="units of the LSTM (default: 64)")
    add_precision(parser)
    add_threads(parser, default=1)
    options = parser.parse_args(arguments)
    check_least(parser, options, seed=0, seeds=1, updates=1, hidden_size=1, lr=0)
    return options


def report(seed: int, tested: Sentences, p: Array, loss: float, seconds: float) -> int:
    """Print how a run went, with each sentence that it has wrong; return how many are right."""
    wrong = np.flatnonzero((p > 0.5) != tested.labels)
    right = len(p) - len(wrong)
    print(f"seed {seed}: {right} of {len(p)} right, loss {loss:.5f}, {seconds:.2f} s")
    for n in wrong:
        label = tested.labels[n]
        print(f"  {tested.texts[n]!r} is {GOOD[label]}; {p[n]:.0%} sure that it is good")
    return right


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the example; return the exit status."""
    options = read_options(arguments)
    return exit_status("toy", lambda: threaded(run, options))


def run(options: argparse.Namespace) -> None:
    """Train a net for each seed and test it; the last line printed is JSON."""
    learned, tested = read()
    right, seconds = [], []
    for seed in range(options.seed, options.seed + options.seeds):
        start = time.perf_counter()
        net, loss = train(
            learned, seed, options.updates, options.lr, options.hidden_size, options.precision
        )
        net.set_precision(options.test_precision or options.precision)
        p = net.predict(tested.texts)
        seconds.append(time.perf_counter() - start)
        right.append(report(seed, tested, p, loss, seconds[-1]))
    total = len(tested.texts)
    figures = {"seeds": options.seeds, "solved": right.count(total)}
    figures |= {"accuracy": sum(right) / (len(right) * total)}
    figures |= {"seconds": round(max(seconds), 3)}  # of the slowest run
    print(json.dumps(figures))


if __name__ == "__main__":
    raise SystemExit(main())
