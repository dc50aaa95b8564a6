"""Sixteen threads on the same models: ``python -m attack.stress SECONDS SEED``.

Each call is one whose result is known from a single thread; every bit must be the same. SECONDS
are of processor time, so that a busy machine makes no less of it.
"""

from __future__ import annotations

import copy
import json
import sys
import threading
import time
from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np
from bound import Kernel

import fastlstm as fl
from fastlstm.kernels import native
from fastlstm.kernels.crf import CrfScores
from fastlstm.kernels.native import _native
from fastlstm.linear import BagOfNgrams, TokenRows
from fastlstm.train import optim

THREADS = 16
KINDS: tuple[tuple[Any, dict[str, Any]], ...] = (
    (fl.LSTM, {}), (fl.GRU, {}), (fl.RNN, {}), (fl.LSTM, {"proj_size": 3, "recompute": 2}),
)  # fmt: skip


class Task(NamedTuple):
    """A call, and what it gave in a single thread."""

    name: str
    call: Callable[[], Any]
    expected: Any


def bits(value: Any) -> Any:
    """Arrays in nested tuples as bytes, to be compared with ==."""
    if isinstance(value, (tuple, list)):
        return tuple(bits(part) for part in value)
    return value.tobytes() if isinstance(value, np.ndarray) else value


def trained(layer: Any, x: Any, lengths: Any) -> Any:
    """Results and gradients of a training call, in a copy that has gradients of its own."""
    own = copy.deepcopy(layer)
    y, _, tape = own.forward(x, lengths=lengths, rng=np.random.default_rng(0))
    dx, _ = own.backward(tape, np.ones_like(y))
    return y, dx, [p.grad for p in own.parameters()]


def streamed(layer: Any, x: Any) -> Any:
    """The steps of a stream of its own."""
    stream = layer.stream(len(x[0]))
    return [stream(step).copy() for step in x]


def stepped(data: Any, grad: Any) -> Any:
    """Some steps of Adam on a parameter of its own."""
    parameter = fl.Parameter(data.copy())
    parameter.grad[...] = grad
    adam = optim.Adam([parameter])
    for _ in range(3):
        adam.step()
    return parameter.data


def pooled(y: Any, lengths: Any) -> Any:
    """Mean and maximum over the real steps, and the gradient."""
    kernel, dy = Kernel("lstm"), np.zeros_like(y)
    mean, best, step = kernel.pool(y, lengths, mean=True, max=True, n_threads=3)
    kernel.pool_backward(dy, lengths, mean, best, step, n_threads=3)
    return mean, best, step, dy


def predicted(z: Any, targets: Any) -> Any:
    """Loss and gradient of a softmax over a vocabulary."""
    d = z.copy()
    made = Kernel("lstm").softmax_cross_entropy(d, targets, scale=1.0, dbias=True, n_threads=3)
    return np.array(made[0]), d, made[1]


def labelled(x: Any, labels: Any, lengths: Any) -> Any:
    """Losses, gradients and likeliest labels of a conditional random field."""
    kernel = Kernel("lstm").backend
    scores = CrfScores(x[0, 0], x[0, :1].T * x[0, :1], x[1, 1])
    losses, dx, dscores = kernel.crf(x, labels, lengths, scores, n_threads=3)
    assert dscores is not None
    return losses, dx, *dscores, *kernel.viterbi(x, lengths, scores, n_threads=3)


def tasks(rng: np.random.Generator) -> list[Task]:
    """All calls, on shared models and inputs, with their results."""
    calls: list[tuple[str, Callable[[], Any]]] = []
    lengths = rng.integers(0, 8, 9)
    x = rng.standard_normal((7, 9, 5)).astype("f4")
    for cls, options in KINDS:
        layer = cls(5, 17, 2, rng=rng, **options)
        two_ways = cls(5, 33, rng=rng, bidirectional=True, **options)
        calls += [
            (f"{cls.__name__} called", lambda m=two_ways: m(x, lengths=lengths)),
            (f"{cls.__name__} trained", lambda m=two_ways: trained(m, x, lengths)),
            (f"{cls.__name__} streamed", lambda m=layer: streamed(m, x)),
        ]
    cell, wide = fl.LSTMCell(5, 64, rng=rng), rng.standard_normal((90, 5)).astype("f4")
    y = rng.standard_normal((7, 9, 33)).astype("f4")
    calls += [("LSTMCell", lambda: cell(wide)), ("pooling", lambda: pooled(y, lengths))]
    calls += shared_out(rng) + linear_parts(rng)
    return [Task(name, call, bits(call())) for name, call in calls]


def shared_out(rng: np.random.Generator) -> list[tuple[str, Callable[[], Any]]]:
    """Calls that are large enough for a team of threads: by rows, by units, in pieces of a step."""
    lengths = rng.integers(0, 5, 48)
    x = rng.standard_normal((4, 48, 64)).astype("f4")
    lstm, gru, units = (
        fl.LSTM(64, 128, rng=rng),
        fl.GRU(64, 128, rng=rng),
        fl.LSTM(64, 448, rng=rng),
    )
    cell = fl.LSTMCell(64, 256, rng=rng)
    table = rng.standard_normal((900, 70)).astype("f4")
    y = rng.standard_normal((40, 48, 64)).astype("f4")
    z, targets = rng.standard_normal((99, 1100)).astype("f4"), rng.integers(0, 1100, 99)
    steps, labels = rng.standard_normal((48, 40, 20)), rng.integers(0, 20, (48, 40))
    return [
        ("large LSTM", lambda: trained(lstm, x, lengths)),
        ("large GRU", lambda: trained(gru, x, lengths)),
        ("wide LSTM", lambda: trained(units, x[:, :8], None)),
        ("large LSTMCell", lambda: [cell(x[0, :4]) for _ in range(20)]),
        ("large Adam", lambda: stepped(table, table)),
        ("large pooling", lambda: pooled(y, lengths)),
        ("large softmax", lambda: predicted(z, targets)),
        ("large field", lambda: labelled(steps, labels, np.full(48, 40))),
    ]


def linear_parts(rng: np.random.Generator) -> list[tuple[str, Callable[[], Any]]]:
    """A linear classifier of texts, whose regressions are solved by several threads."""
    words = [[f"w{word}" for word in row] for row in rng.integers(0, 30, (40, 8)).tolist()]
    texts, labels = TokenRows.from_lists(words), rng.integers(0, 4, 40)
    model = BagOfNgrams.fit(texts, labels, 4)
    return [
        ("linear fitted", lambda: BagOfNgrams.fit(texts, labels, 4).logits(texts)),
        ("linear asked", lambda: [model.logits(texts), model.contributions(words[0])]),
    ]


class Shared:
    """One stream that all threads step, and one tape: each step is a whole one, or refused."""

    def __init__(self) -> None:
        self.lstm = fl.LSTM(5, 40, rng=np.random.default_rng(0))
        self.stream = self.lstm.stream(3)
        self.x = np.zeros((3, 5), "f4")
        self.tape = self.lstm.forward(self.x[None])[2]

    def step(self) -> None:
        try:
            y = self.stream(self.x)
        except (RuntimeError, ValueError) as error:
            if "stream" not in str(error).lower() and "thread" not in str(error).lower():
                raise
            return
        if y.shape != (3, 40) or not np.isfinite(y).all() or np.abs(y).max() > 1:
            raise AssertionError("a shared stream gave what is no output")

    def back(self) -> None:
        """Go back through a tape that others may be taking too, then lay out a new one: so there
        is one pass at a time, and one thread that adds to the gradients."""
        try:
            dx, _ = self.lstm.backward(self.tape, np.ones((1, 3, 40), "f4"))
        except RuntimeError as error:
            if "run forward again" not in str(error):
                raise
            return
        if not np.isfinite(dx).all():
            raise AssertionError("a shared tape gave what is no gradient")
        self.tape = self.lstm.forward(self.x[None])[2]


class Stress:
    """The threads and what they found."""

    def __init__(self, seconds: float, seed: int) -> None:
        self.end, self.seed = time.process_time() + seconds, seed
        self.tasks, self.shared = tasks(np.random.default_rng(seed)), Shared()
        self.calls, self.wrong, self.lock = 0, list[str](), threading.Lock()

    def one(self, number: int) -> None:
        rng, calls = np.random.default_rng([self.seed, number]), 0
        while time.process_time() < self.end and len(self.wrong) < 5:
            calls += 1
            try:
                self._once(rng)
            except Exception as error:
                with self.lock:
                    self.wrong.append(f"{type(error).__name__}: {error}")
        with self.lock:
            self.calls += calls

    def _once(self, rng: np.random.Generator) -> None:
        how = int(rng.integers(20))
        if how == 0:
            native.trim()
            _native.be_patient(bool(rng.integers(2)))  # whether teams wait for all their threads
            native.set_isa(native.isa())  # written while others read it
        elif how == 1:
            self.shared.step()
        elif how == 2:
            self.shared.back()
        else:
            task = self.tasks[int(rng.integers(len(self.tasks)))]
            if bits(task.call()) != task.expected:
                raise AssertionError(f"{task.name} gave other bits than alone")

    def run(self) -> None:
        threads = [threading.Thread(target=self.one, args=(n,)) for n in range(THREADS)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()


def main(arguments: list[str]) -> int:
    fl.set_num_threads(3)
    stress = Stress(float(arguments[0]), int(arguments[1]))
    stress.run()
    print(json.dumps({"calls": stress.calls, "wrong": stress.wrong}))
    return 1 if stress.wrong else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
