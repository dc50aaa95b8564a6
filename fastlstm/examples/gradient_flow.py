"""Gradients that vanish and explode: plain RNN, GRU and LSTM side by side, as a figure.

A loss of the last output is sent back through time; what arrives at each step before is drawn.
The recurrent weights are orthogonal matrices times a scale, so that scale is their spectral
radius; inputs are small, so that the cells stay near where they are steepest.
"""

from __future__ import annotations

import argparse
import json
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

import fastlstm as fl
from fastlstm.cli.errors import exit_status
from fastlstm.cli.parser import ProgramParser
from fastlstm.examples.options import add_plot, add_threads, check_least, threaded
from fastlstm.inside.flow import Norms, draw_gradient_flow, gradient_flow
from fastlstm.nn.recurrent import Recurrent
from fastlstm.plotting import new_figure

SCALES = (0.5, 1.0, 2.0)
INPUT = 8


def layers(scale: float, hidden_size: int, seed: int) -> dict[str, Recurrent]:
    """Return a layer of each kind whose recurrent weights have the spectral radius `scale`."""

    def make(kind: Callable[..., Recurrent], **options: Any) -> Recurrent:
        rng = np.random.default_rng(seed)
        layer = kind(INPUT, hidden_size, init="orthogonal", dtype="float64", rng=rng, **options)
        for name, view in layer.gates().items():
            if name.startswith("weight_hh"):
                view *= scale
        return layer

    return {
        "RNN": make(fl.RNN),
        "GRU": make(fl.GRU),
        "LSTM, forget bias 0": make(fl.LSTM, forget_bias=0.0),
        "LSTM, forget bias 1": make(fl.LSTM, forget_bias=1.0),
    }


def measure(options: argparse.Namespace) -> dict[str, dict[str, Norms]]:
    """Return the norms [T+1] of each kind at each scale, means over the rows."""
    x = np.random.default_rng(options.seed + 1).standard_normal((options.steps, 8, INPUT))
    panels: dict[str, dict[str, Norms]] = {}
    for scale in SCALES:
        curves: dict[str, Norms] = {}
        for name, layer in layers(scale, options.hidden_size, options.seed).items():
            curves[name] = gradient_flow(layer, options.input_scale * x).mean(axis=1)
        panels[f"spectral radius {scale}"] = curves
    return panels


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the example; return the exit status."""
    parser = ProgramParser(
        prog="python -m fastlstm.examples.gradient_flow",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    add_plot(parser, "the curves")
    parser.add_argument("--steps", type=int, default=60, help="length of the sequences")
    parser.add_argument("--hidden-size", type=int, default=64, help="units of each layer")
    parser.add_argument("--input-scale", type=float, default=0.1, help="size of the inputs")
    parser.add_argument("--seed", type=int, default=0, help="of weights and inputs")
    add_threads(parser, default=1)
    options = parser.parse_args(arguments)
    check_least(parser, options, steps=1, hidden_size=1, seed=0)
    return exit_status("gradient_flow", lambda: threaded(run, options))


def run(options: argparse.Namespace) -> None:
    """Measure, draw if asked to; the last line printed is JSON."""
    if options.plot:
        new_figure(1, 1)  # without matplotlib this says so, before the work
    panels = measure(options)
    if options.plot:
        draw_gradient_flow(options.plot, panels)
    k = options.steps // 2
    print(f"norm of the gradient {k} steps back from a loss of gradient 1")
    for title, curves in panels.items():
        print(f"  {title}")
        for name, norms in curves.items():
            print(f"    {name:<22} {norms[k]:.2e}")
    result = {
        title: {n: float(v[k]) for n, v in curves.items()} for title, curves in panels.items()
    }
    print(json.dumps({"steps_back": k, "figure": str(options.plot or ""), "norms": result}))


if __name__ == "__main__":
    raise SystemExit(main())
