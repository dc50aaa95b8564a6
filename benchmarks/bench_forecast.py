"""An epoch of the forecaster's net beside the same net, loss and updates in torch.

    python -m benchmarks.bench_forecast [--hours 43824] [--steps 0] [--threads 1] [--rounds 5]

The series are five years of hours with their temperature, made up; windows of 168 hours, 64 units,
batches of 64, a day ahead, three quantiles. fastlstm's side is what `fastlstm forecast` does: it
cuts the windows, takes off the linear part, and averages the weights. torch's has its batches ready
in memory, and no average. Losses, gradients and updates of the two are compared first, and nothing
is timed if they differ. Each timing is made in a process of its own, and sides take turns. Prints a
line of JSON: milliseconds of an update and seconds of an epoch (least and median), and the ratio.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from itertools import islice
from pathlib import Path
from statistics import median
from typing import Any

import numpy as np

from benchmarks import machine, report
from benchmarks.rounds import in_turn, parser, positive, say
from fastlstm.examples.forecast import town
from fastlstm.forecast.framing import Framing
from fastlstm.forecast.net import NetOptions, Rest, make_net, task_of
from fastlstm.forecast.ridge import Ridge, Way
from fastlstm.forecast.series import read_series
from fastlstm.forecast.windows import Windows
from fastlstm.runtime import set_num_threads
from fastlstm.train.average import Average
from fastlstm.train.optim import Adam
from fastlstm.train.row_batches import Rows, row_batches
from fastlstm.train.trainer import Trainer

SIDES = ("fastlstm", "torch")
DAY, CONTEXT, QUANTILES = 24, 168, (0.1, 0.5, 0.9)
NET = NetOptions()  # 64 units, batches of 64
CHECKED = 3  # updates that are compared
CLOSE = 1e-4  # of the largest number of an array

Made = tuple[float, float]  # seconds of the updates, mean loss


class Problem:
    """The windows of a series, what a linear part leaves over of them, and the net's first weights.

    Parameters
    ----------
    hours : of the series.
    steps : updates; 0 for all of an epoch.
    """

    def __init__(self, hours: int, steps: int) -> None:
        y, temperature, stamps = town(-(-hours // DAY), 0)
        series = read_series("load", y[:hours], temperature[:hours], stamps[:hours])
        framing = Framing.of([series], DAY, CONTEXT, DAY, True, 0.15)
        frame = framing.frame(series, framing.scale_of(series.y))
        origins = np.arange(framing.first, hours - DAY + 1)
        self.windows = Windows([frame], [origins], CONTEXT, DAY)
        self.rest: Any = Rest(self.windows, Ridge.fit(self.windows, [Way(1e-2)])[0])
        self.epoch = -(-len(self.windows) // NET.batch_size)
        self.steps = min(steps or self.epoch, self.epoch)
        self.net = make_net(self.windows, QUANTILES, NET, 0)
        self.net.head.weight.data[...] = np.random.default_rng(0).normal(0, 0.05, (72, 64))

    def batches(self, epoch: int = 0, start: int = 0) -> Iterator[Rows]:
        """Yield the batches of the updates, as the forecaster makes them."""
        made = row_batches(self.rest, NET.batch_size, seed=0, epoch=epoch, start=start)
        return islice(made, self.steps - start)

    def torch_net(self) -> Any:
        """Return the net in torch, with the same weights; it gives quantiles [N, DAY, 1, Q]."""
        import torch
        from torch import nn
        from torch.nn import functional as F

        class Net(nn.Module):
            def __init__(self, inputs: int) -> None:
                super().__init__()
                self.lstm = nn.LSTM(inputs, NET.hidden_size, batch_first=True)
                self.head = nn.Linear(NET.hidden_size, DAY * len(QUANTILES))

            def forward(self, x: Any) -> Any:
                raw = self.head(self.lstm(x)[0][:, -1]).view(len(x), DAY, 1, len(QUANTILES))
                return torch.cat([raw[..., :1], F.softplus(raw[..., 1:])], -1).cumsum(-1)

        made = Net(self.net.input_size)
        weights = {name: torch.from_numpy(a) for name, a in self.net.state_dict().items()}
        made.load_state_dict(weights)
        return made


def ours(problem: Problem, average: bool = True) -> Made:
    """Make the updates of an epoch with fastlstm's trainer."""
    net = problem.net
    trainer = Trainer(
        net, Adam(net, lr=NET.lr), task_of(net), epochs=1, clip=NET.clip,
        average=Average(net, NET.average) if average else None,
    )  # fmt: skip
    epoch = trainer.fit(problem.batches, problem.steps).epochs[0]
    return epoch.seconds, epoch.train_loss


def theirs(problem: Problem) -> Made:
    """Make the same updates with torch, of batches that are ready."""
    import torch

    net = problem.torch_net()
    optimizer = torch.optim.Adam(net.parameters(), lr=NET.lr)
    ready = [torch_batch(batch) for batch in problem.batches()]
    total, examples, start = 0.0, 0, time.perf_counter()
    for x, target in ready:
        optimizer.zero_grad()
        loss = pinball(net(x), target)
        loss.backward()
        torch.nn.utils.clip_grad_norm_(net.parameters(), NET.clip)
        optimizer.step()
        total, examples = total + float(loss.detach()) * len(x), examples + len(x)
    return time.perf_counter() - start, total / examples


def torch_batch(batch: Rows) -> tuple[Any, Any]:
    """Return inputs and targets of a batch as tensors."""
    import torch

    x, labels = batch.x, np.asarray(batch.labels, np.float32)
    return torch.from_numpy(np.ascontiguousarray(x)), torch.from_numpy(labels)


def pinball(outputs: Any, target: Any) -> Any:
    """Return the mean pinball loss in torch."""
    import torch

    levels = torch.tensor(QUANTILES)
    off = target[..., None] - outputs
    return torch.maximum(levels * off, (levels - 1) * off).mean()


def check(problem: Problem) -> None:
    """Raise RuntimeError if loss, gradients or updates differ by more than rounding explains."""
    batch, net = next(problem.batches()), problem.torch_net()
    outcome = task_of(problem.net).step(problem.net, batch, None, np.random.default_rng(0))
    x, target = torch_batch(batch)
    loss = pinball(net(x), target)
    loss.backward()
    compare("the loss", outcome.loss, float(loss.detach()))
    gradients = {name: p.grad.numpy() for name, p in net.named_parameters()}
    for name, parameter in problem.net.named_parameters():
        compare(f"the gradient of {name}", parameter.grad, gradients[name])
    _, expected = theirs(problem)
    compare(f"the loss of {problem.steps} updates", ours(problem, average=False)[1], expected)


def compare(what: str, found: Any, expected: Any) -> None:
    """Raise RuntimeError unless two numbers or arrays are close."""
    error = float(np.abs(np.asarray(found) - expected).max() / np.abs(expected).max())
    if not error < CLOSE:
        raise RuntimeError(f"{what} differs by {error:.1e}: not timed")


def main(argv: Sequence[str] | None = None) -> int:
    """Compare the sides, or be one of them."""
    options = _parse(argv)
    if options.side:
        print(json.dumps(_time(options)))
        return 0
    check(Problem(options.hours, CHECKED))
    seconds: dict[str, list[float]] = {side: [] for side in SIDES}
    for number in range(options.rounds):
        for side in in_turn(number, SIDES):
            seconds[side].append(_ask(side, options))
            say(f"round {number + 1}: {side} {1e3 * seconds[side][-1]:.1f} ms an update")
    epoch = Problem(options.hours, 1).epoch
    result = {
        "hours": options.hours, "updates_in_an_epoch": epoch, "threads": options.threads,
        "update_ms": {side: _shown(found, 1e3) for side, found in seconds.items()},
        "epoch_seconds": {side: _shown(found, epoch) for side, found in seconds.items()},
        "ratio": {
            "least": round(min(seconds["torch"]) / min(seconds["fastlstm"]), 2),
            "median": round(median(seconds["torch"]) / median(seconds["fastlstm"]), 2),
        },
        "machine": machine.describe(),
    }  # fmt: skip
    print(json.dumps(result))
    if options.out:
        options.out.parent.mkdir(parents=True, exist_ok=True)
        report.write_text(options.out, json.dumps(result, indent=1) + "\n")
    return 0


def _shown(seconds: list[float], factor: float) -> dict[str, float]:
    return {"least": round(factor * min(seconds), 2), "median": round(factor * median(seconds), 2)}


def _time(options: argparse.Namespace) -> float:
    """Return the seconds of an update of one side."""
    set_num_threads(options.threads)
    problem = Problem(options.hours, options.steps)
    if options.side == "fastlstm":
        return ours(problem)[0] / problem.steps
    import torch

    torch.set_num_threads(options.threads)
    torch.set_flush_denormal(True)
    return theirs(problem)[0] / problem.steps


def _ask(side: str, options: argparse.Namespace) -> float:
    """Let a process of its own time a side."""
    command = [sys.executable, "-m", "benchmarks.bench_forecast", "--side", side]
    for name in ("hours", "steps", "threads"):
        command += [f"--{name}", str(getattr(options, name))]
    done = subprocess.run(
        command, stdout=subprocess.PIPE, text=True, check=True, cwd=machine.ROOT,
        env=machine.environment(options.threads),
    )  # fmt: skip
    return float(done.stdout)


def _parse(argv: Sequence[str] | None) -> argparse.Namespace:
    made = parser("bench_forecast", __doc__)
    made.add_argument("--hours", type=positive, default=43_824, help="of the series")
    made.add_argument("--steps", type=int, default=0, help="updates timed; 0: all of an epoch")
    made.add_argument("--threads", type=positive, default=machine.cores())
    made.add_argument("--out", type=Path, help="file for the result")
    made.add_argument("--side", choices=SIDES, help=argparse.SUPPRESS)
    return made.parse_args(argv)


if __name__ == "__main__":
    sys.exit(main())
