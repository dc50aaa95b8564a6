"""Many small models in one call beside a loop over them, a torch loop and torch.func.vmap.

    python -m benchmarks.bench_many [--models 1000] [--threads 2] [--rounds 5] [--out FILE]

A call is the training pass of LSTMs of equal shape, each with weights and a batch of its own:
outputs, and gradients of inputs and weights. Sides are compared first, and nothing is timed if they
differ. Each timing is made in a process of its own, and sides take turns. The vmap side is an LSTM
written with torch's operations, as `torch.func.vmap` has no rule for torch.nn.LSTM's own. Prints a
row for each shape: milliseconds (median), and how many times faster one call is.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks import machine, report
from benchmarks.rounds import in_turn, parser, positive
from benchmarks.timing import measure, quartiles

SHAPES = ((1, 16), (8, 16), (1, 32), (8, 32))  # N, H; the input size is H
T = 50
SIDES = ("one call", "loop", "torch loop", "torch vmap")
Arrays = dict[str, Any]


def main(argv: Sequence[str] | None = None) -> int:
    """Compare all shapes, or be one side of one."""
    options = _parse(argv)
    if options.side:
        call = CALLS[options.side](options.models, *options.shape, options.threads)
        print(json.dumps(measure(call, options.seconds, warm_up=2, least=3).samples))
        return 0
    results = []
    for shape in SHAPES:
        _check(min(options.models, 20), *shape)
        results.append(_compare(shape, options))
        print(row(results[-1]), flush=True)
    if options.out:
        described = {"machine": machine.describe(), "threads": options.threads}
        options.out.parent.mkdir(parents=True, exist_ok=True)
        report.write_text(options.out, json.dumps({**described, "results": results}, indent=1))
    return 0


def row(result: dict[str, Any]) -> str:
    """Return a result as a row of a table: milliseconds, and the ratio to one call."""
    N, H = result["N,H"]
    times = [result[side][1] for side in SIDES]
    cells = [f"{times[0]:.1f}", *(f"{t:.1f} ({t / times[0]:.1f}x)" for t in times[1:])]
    return f"| N={N}, H={H} | " + " | ".join(cells) + " |"


def _parse(argv: Sequence[str] | None) -> argparse.Namespace:
    made = parser("bench_many", __doc__)
    made.add_argument("--models", type=positive, default=1000)
    made.add_argument("--threads", type=positive, default=machine.cores())
    made.add_argument("--out", type=Path, help="file for the results")
    made.add_argument("--side", choices=SIDES, help=argparse.SUPPRESS)
    made.add_argument("--shape", type=int, nargs=2, help=argparse.SUPPRESS)
    return made.parse_args(argv)


def _compare(shape: Sequence[int], options: argparse.Namespace) -> dict[str, Any]:
    """Time all sides in turn; return quartiles in milliseconds."""
    samples: dict[str, list[float]] = {side: [] for side in SIDES}
    for number in range(options.rounds):
        for side in in_turn(number, SIDES):
            command = [sys.executable, "-m", "benchmarks.bench_many", "--side", side]
            command += ["--shape", *map(str, shape), "--models", str(options.models)]
            command += ["--threads", str(options.threads), "--seconds", str(options.seconds)]
            done = subprocess.run(
                command, stdout=subprocess.PIPE, text=True, check=True, cwd=machine.ROOT,
                env=machine.environment(options.threads),
            )  # fmt: skip
            samples[side] += json.loads(done.stdout)
    found = {side: [round(1e3 * q, 3) for q in quartiles(samples[side])] for side in SIDES}
    return {"N,H": list(shape), "models": options.models, **found}


def _draw(models: int, N: int, H: int) -> Arrays:
    rng = np.random.default_rng(0)
    x, dy = rng.standard_normal((2, models, T, N, H), np.float32)
    return {"x": x, "dy": dy}


def _layers(models: int, H: int) -> list[Any]:
    import fastlstm as fl

    rng = np.random.default_rng(1)
    return [fl.LSTM(H, H, rng=rng) for _ in range(models)]


def _one_call(models: int, N: int, H: int, threads: int) -> Callable[[], Arrays]:
    import fastlstm as fl

    fl.set_num_threads(threads)
    stacked: Any = fl.LSTM(H, H, models=models, rng=np.random.default_rng(1))
    arrays = _draw(models, N, H)

    def call() -> Arrays:
        stacked.zero_grad()
        y, _, tape = stacked.forward(arrays["x"])
        dx, _ = stacked.backward(tape, arrays["dy"])
        return {"y": y, "dx": dx, **{name: p.grad for name, p in stacked.named_parameters()}}

    return call


def _loop(models: int, N: int, H: int, threads: int) -> Callable[[], Arrays]:
    import fastlstm as fl

    fl.set_num_threads(threads)
    layers, arrays = _layers(models, H), _draw(models, N, H)

    def call() -> Arrays:
        found = []
        for layer, x, dy in zip(layers, arrays["x"], arrays["dy"], strict=True):
            layer.zero_grad()
            y, _, tape = layer.forward(x)
            found.append((y, layer.backward(tape, dy)[0]))
        return {"found": found}

    return call


def _torch_loop(models: int, N: int, H: int, threads: int) -> Callable[[], Arrays]:
    import torch

    torch.set_num_threads(threads)
    torch.set_flush_denormal(True)
    arrays = {name: torch.from_numpy(a) for name, a in _draw(models, N, H).items()}
    modules = []
    for layer in _layers(models, H):
        modules.append(torch.nn.LSTM(H, H))
        state = {name: torch.from_numpy(a) for name, a in layer.state_dict().items()}
        modules[-1].load_state_dict(state)
    inputs = [x.clone().requires_grad_() for x in arrays["x"]]

    def call() -> Arrays:
        found = []
        for module, x, dy in zip(modules, inputs, arrays["dy"], strict=True):
            module.zero_grad()
            x.grad = None
            y, _ = module(x)
            y.backward(dy)
            found.append(y.detach())
        return {"y": found}

    return call


def _torch_vmap(models: int, N: int, H: int, threads: int) -> Callable[[], Arrays]:
    import torch

    torch.set_num_threads(threads)
    torch.set_flush_denormal(True)
    arrays = {name: torch.from_numpy(a) for name, a in _draw(models, N, H).items()}
    states = [layer.state_dict() for layer in _layers(models, H)]
    stacked = {n: torch.from_numpy(np.stack([s[n] for s in states])) for n in states[0]}

    def loss(weights: Any, x: Any, dy: Any) -> Any:
        gates_x = x @ weights["weight_ih_l0"].T + weights["bias_ih_l0"] + weights["bias_hh_l0"]
        h = c = torch.zeros(N, H)
        steps = []
        for z in gates_x:
            i, f, g, o = (z + h @ weights["weight_hh_l0"].T).chunk(4, -1)
            c = torch.sigmoid(f) * c + torch.sigmoid(i) * torch.tanh(g)
            h = torch.sigmoid(o) * torch.tanh(c)
            steps.append(h)
        y = torch.stack(steps)
        return (y * dy).sum(), y

    train = torch.func.vmap(torch.func.grad(loss, argnums=(0, 1), has_aux=True))

    def call() -> Arrays:
        (dweights, dx), y = train(stacked, arrays["x"], arrays["dy"])
        return {"y": y, "dx": dx, **dweights}

    return call


CALLS = dict(zip(SIDES, (_one_call, _loop, _torch_loop, _torch_vmap), strict=True))


def _check(models: int, N: int, H: int) -> None:
    """Raise RuntimeError if outputs or gradients differ by more than rounding explains."""
    ours, theirs = (CALLS[side](models, N, H, 1)() for side in ("one call", "torch vmap"))
    looped = _loop(models, N, H, 1)()["found"]
    if not all((ours["y"][m] == y).all() for m, (y, _) in enumerate(looped)):
        raise RuntimeError(f"y of N={N}, H={H} is not that of the loop: not timed")
    theirs["torch loop"] = np.stack([y.numpy() for y in _torch_loop(models, N, H, 1)()["y"]])
    for name, value in theirs.items():
        expected = ours["y" if name == "torch loop" else name]
        error = float(np.abs(np.asarray(value) - expected).max() / np.abs(expected).max())
        if not error < (1e-5 if name in ("y", "torch loop") else 1e-4):
            raise RuntimeError(f"{name} of N={N}, H={H} differs by {error:.1e}: not timed")


if __name__ == "__main__":
    sys.exit(main())
