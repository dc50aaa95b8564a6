"""A small task to try a cell on: add the two marked numbers of a sequence."""

from __future__ import annotations

import argparse
import json
import sys

import numpy as np
from numpy.typing import NDArray

from fastlstm.cli.errors import exit_status
from fastlstm.cli.parser import ProgramParser
from fastlstm.custom import CustomLayer, gradcheck
from fastlstm.examples.options import add_threads, threaded
from fastlstm.nn import Linear
from fastlstm.train.optim import Adam

Floats = NDArray[np.float32]


def draw(rng: np.random.Generator, T: int, N: int) -> tuple[Floats, Floats]:
    """Return x [T,N,2], numbers and marks, and the sums of the two numbers marked, [N,1]."""
    x = np.zeros((T, N, 2), np.float32)
    x[..., 0] = rng.random((T, N))
    for half, end in ((0, T // 2), (T // 2, T)):
        x[rng.integers(half, end, N), np.arange(N), 1] = 1
    return x, (x[..., 0] * x[..., 1]).sum(axis=0)[:, None]


def train(cell: type[CustomLayer], updates: int = 300, T: int = 20) -> list[float]:
    """Train a small net; return the mean squared error of each update's batch."""
    rng = np.random.default_rng(0)
    layer, out = cell(2, 32, rng=rng), Linear(32, 1, rng=rng)
    optimizer = Adam([*layer.parameters(), *out.parameters()], lr=0.01)
    errors = []
    for _ in range(updates):
        x, target = draw(rng, T, 64)
        y, _, tape = layer.forward(x)
        guess, out_tape = out.forward(y[-1])
        off = guess - target
        errors.append(float(np.mean(off * off)))
        layer.zero_grad()
        out.zero_grad()
        dy = np.zeros_like(y)
        dy[-1] = out.backward(out_tape, 2 * off / off.size)
        layer.backward(tape, dy)
        optimizer.step()
    return errors


def report(cell: type[CustomLayer]) -> int:
    """Read the options and do the work; return the exit status: the program of each cell."""
    about = sys.modules[cell.__module__].__doc__
    parser = ProgramParser(description=about, formatter_class=argparse.RawDescriptionHelpFormatter)
    add_threads(parser, default=1)
    options = parser.parse_args()
    return exit_status(
        cell.__name__, lambda: threaded(lambda options: check_and_train(cell), options)
    )


def check_and_train(cell: type[CustomLayer]) -> None:
    """Check a cell's gradients, train it and print a line of JSON."""
    rng = np.random.default_rng(0)
    worst = gradcheck(cell(3, 4, num_layers=2, dtype="float64", rng=rng)).worst
    errors = train(cell)
    result = {
        "cell": cell.__name__,
        "gradient_error": worst,
        "first_error": round(float(np.mean(errors[:20])), 4),
        "last_error": round(float(np.mean(errors[-20:])), 4),
    }
    print(json.dumps(result))
