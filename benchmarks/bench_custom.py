"""Cells of one's own against the same cells as a torch loop, taking turns.

    python -m benchmarks.bench_custom [--rounds 5] [--threads 2] [--out build/custom.json]

The cells are those of `fastlstm.examples`. Outputs and gradients of both sides are compared
first, and nothing is timed if they differ. Each timing is made in a process of its own. Prints a
line for each cell and shape: milliseconds (lower quartile, median, upper quartile) of both sides,
and how many times faster fastlstm is.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
from collections.abc import Callable, Sequence
from importlib import import_module
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks import machine, report
from benchmarks.rounds import in_turn
from benchmarks.timing import measure, quartiles

CELLS = {"peephole_lstm": "PeepholeLSTM", "minimal_gated_unit": "MinimalGatedUnit"}
SHAPES = ((64, 200, 128, 128), (16, 50, 64, 64), (1, 200, 128, 128))  # N, T, I, H
MODES = ("inference", "training")
SIDES = ("fastlstm", "torch loop")
Arrays = dict[str, Any]


def main(argv: Sequence[str] | None = None) -> int:
    """Compare all cells, or be one side of one."""
    options = _parse(argv)
    if options.side:
        print(json.dumps(_time(options)))
        return 0
    described = {"machine": machine.describe(), "threads": options.threads}
    results = []
    for cell in CELLS:
        for shape in SHAPES:
            difference = _check(cell, shape)
            for mode in MODES:
                results.append(_compare(cell, shape, mode, options) | {"difference": difference})
                print(json.dumps(results[-1]), flush=True)
                if options.out:
                    _write(options.out, {**described, "results": results})
    return 0


def _write(path: Path, result: dict[str, Any]) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    report.write_text(path, json.dumps(result, indent=1) + "\n")


def _parse(argv: Sequence[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks.bench_custom", description=(__doc__ or "").partition("\n")[0]
    )
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--threads", type=int, default=machine.cores())
    parser.add_argument("--seconds", type=float, default=1.0, help="of a side in a round")
    parser.add_argument("--out", type=Path, help="file for the results")
    parser.add_argument("--side", choices=SIDES, help=argparse.SUPPRESS)
    parser.add_argument("--cell", choices=CELLS, help=argparse.SUPPRESS)
    parser.add_argument("--mode", choices=MODES, help=argparse.SUPPRESS)
    parser.add_argument("--shape", type=int, nargs=4, help=argparse.SUPPRESS)
    return parser.parse_args(argv)


def _compare(
    cell: str, shape: Sequence[int], mode: str, options: argparse.Namespace
) -> dict[str, Any]:
    """Time both sides in turn; return milliseconds and the ratio of the medians."""
    samples: dict[str, list[float]] = {side: [] for side in SIDES}
    for number in range(options.rounds):
        for side in in_turn(number, SIDES):
            command = [sys.executable, "-m", "benchmarks.bench_custom", "--side", side]
            command += ["--cell", cell, "--mode", mode, "--shape", *map(str, shape)]
            command += ["--threads", str(options.threads), "--seconds", str(options.seconds)]
            environment = machine.environment(options.threads)
            done = subprocess.run(
                command, stdout=subprocess.PIPE, text=True, check=True, cwd=machine.ROOT,
                env=environment,
            )  # fmt: skip
            samples[side] += json.loads(done.stdout)
    found = {side: [round(1e3 * q, 3) for q in quartiles(samples[side])] for side in SIDES}
    ratio = found["torch loop"][1] / found["fastlstm"][1]
    return {"cell": cell, "N,T,I,H": list(shape), "mode": mode, **found, "ratio": round(ratio, 2)}


def _draw(shape: Sequence[int]) -> Arrays:
    N, T, I, H = shape
    rng = np.random.default_rng(0)
    return {
        "x": rng.standard_normal((T, N, I), np.float32),
        "dy": rng.standard_normal((T, N, H), np.float32),
    }


def _layer(cell: str, shape: Sequence[int]) -> Any:
    kind = getattr(import_module(f"fastlstm.examples.{cell}"), CELLS[cell])
    return kind(shape[2], shape[3], rng=np.random.default_rng(1))


def _fastlstm(cell: str, shape: Sequence[int], mode: str) -> Callable[[], Arrays]:
    layer, arrays = _layer(cell, shape), _draw(shape)

    def inference() -> Arrays:
        return {"y": layer(arrays["x"])[0]}

    def training() -> Arrays:
        layer.zero_grad()
        y, _, tape = layer.forward(arrays["x"])
        dx, _ = layer.backward(tape, arrays["dy"])
        return {"y": y, "dx": dx, **{name: p.grad for name, p in layer.named_parameters()}}

    return training if mode == "training" else inference


def _torch_loop(cell: str, shape: Sequence[int], mode: str) -> Callable[[], Arrays]:
    import torch

    from benchmarks import torch_loops

    torch.set_flush_denormal(True)
    loop = getattr(torch_loops, cell)
    arrays = {name: torch.from_numpy(a) for name, a in _draw(shape).items()}
    weights = {n: torch.from_numpy(a) for n, a in _layer(cell, shape).state_dict().items()}

    def inference() -> Arrays:
        with torch.no_grad():
            return {"y": loop(arrays["x"], weights)}

    def training() -> Arrays:
        leaves = {"dx": arrays["x"], **weights}
        for leaf in leaves.values():
            leaf.grad = None
            leaf.requires_grad_()
        y = loop(arrays["x"], weights)
        y.backward(arrays["dy"])
        return {"y": y.detach(), **{name: leaf.grad for name, leaf in leaves.items()}}

    return training if mode == "training" else inference


def _check(cell: str, shape: Sequence[int]) -> float:
    """Return the largest difference relative to each array's scale.

    Raises
    ------
    RuntimeError
        If it is not what rounding explains.
    """
    ours, theirs = _fastlstm(cell, shape, "training")(), _torch_loop(cell, shape, "training")()
    worst = 0.0
    for name, value in ours.items():
        expected = theirs[name].numpy()
        error = float(np.abs(value - expected).max() / np.abs(expected).max())
        if not error < (1e-5 if name == "y" else 1e-4):
            raise RuntimeError(f"{name} of {cell} {shape} differs by {error:.1e}: not timed")
        worst = max(worst, error)
    return float(f"{worst:.1e}")


def _time(options: argparse.Namespace) -> list[float]:
    """Return seconds of a call of one side, one number a sample."""
    if options.side == "fastlstm":
        import fastlstm

        fastlstm.set_num_threads(options.threads)
        call = _fastlstm(options.cell, options.shape, options.mode)
    else:
        import torch

        torch.set_num_threads(options.threads)
        call = _torch_loop(options.cell, options.shape, options.mode)
    return measure(call, options.seconds).samples


if __name__ == "__main__":
    sys.exit(main())
