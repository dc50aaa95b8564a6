"""The LSTM cell written out gate by gate, compared in numbers with the layer (and with torch).

Every step uses the same dictionary of weights; so the gradient of a weight is the sum of what
the steps say, computed here by hand, and the layer's is the same.
"""

from __future__ import annotations

import argparse
import importlib.util
import json
from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

import fastlstm as fl
from fastlstm.cli.errors import exit_status
from fastlstm.cli.parser import ProgramParser
from fastlstm.examples.options import add_threads, check_least, threaded
from fastlstm.nn.recurrent.gates import Gates

Array = NDArray[Any]
GATES = "ifgo"


def sigmoid(z: Array) -> Array:
    return np.asarray(1 / (1 + np.exp(-z)))


def step(w: Gates, x: Array, h: Array, c: Array) -> dict[str, Array]:
    """One step: x [N,I], h and c [N,H] before it; returns the gates, and c and h after it."""
    z = {k: x @ w[f"weight_ih_{k}"].T + h @ w[f"weight_hh_{k}"].T + w[f"bias_{k}"] for k in GATES}
    i = sigmoid(z["i"])  # how much of what is new comes in
    f = sigmoid(z["f"])  # how much of the old cell stays
    g = np.tanh(z["g"])  # what is new
    o = sigmoid(z["o"])  # how much of the cell is shown
    c = f * c + i * g
    return {"i": i, "f": f, "g": g, "o": o, "c": c, "h": o * np.tanh(c)}


def step_backward(
    w: Gates, x: Array, h: Array, c: Array, s: dict[str, Array], dh: Array, dc: Array
) -> tuple[dict[str, Array], Array, Array]:
    """Back through one step `s`: gradients of the weights as this step sees them, of h and c."""
    i, f, g, o, tanh_c = s["i"], s["f"], s["g"], s["o"], np.tanh(s["c"])
    dc = dc + dh * o * (1 - tanh_c**2)
    dz = {
        "i": dc * g * i * (1 - i),
        "f": dc * c * f * (1 - f),
        "g": dc * i * (1 - g**2),
        "o": dh * tanh_c * o * (1 - o),
    }
    d = {f"weight_ih_{k}": dz[k].T @ x for k in GATES}
    d |= {f"weight_hh_{k}": dz[k].T @ h for k in GATES}
    d |= {f"{part}_{k}": dz[k].sum(axis=0) for part in ("bias_ih", "bias_hh") for k in GATES}
    dh_before = sum(dz[k] @ w[f"weight_hh_{k}"] for k in GATES)
    return d, np.asarray(dh_before), dc * f


def unroll(w: Gates, x: Array, dy: Array) -> tuple[dict[str, Array], list[dict[str, Array]]]:
    """All steps with the one dictionary `w`: values [T,N,H] by name, and each step's gradients."""
    zero = np.zeros((x.shape[1], len(w["bias_f"])), x.dtype)
    steps: list[dict[str, Array]] = []
    for x_t in x:
        before = steps[-1] if steps else {"h": zero, "c": zero}
        steps.append(step(w, x_t, before["h"], before["c"]))
    dh, dc, gradients = zero, zero, []
    for t in reversed(range(len(x))):
        before = steps[t - 1] if t else {"h": zero, "c": zero}
        d, dh, dc = step_backward(w, x[t], before["h"], before["c"], steps[t], dh + dy[t], dc)
        gradients.append(d)
    return {name: np.stack([s[name] for s in steps]) for name in steps[0]}, gradients


def largest_difference(pairs: dict[str, tuple[Any, Any]]) -> float:
    """Return the largest absolute difference within the pairs of arrays."""
    return max(float(np.abs(np.asarray(a) - np.asarray(b)).max()) for a, b in pairs.values())


def compare_with_torch(lstm: fl.LSTM, x: Array, dy: Array, y: Array) -> float:
    """Return the largest difference of outputs and of every gate's gradients."""
    import torch

    theirs = torch.nn.LSTM(lstm.input_size, lstm.hidden_size)
    theirs.load_state_dict({k: torch.from_numpy(v) for k, v in lstm.state_dict().items()})
    outputs, _ = theirs(torch.from_numpy(x))
    outputs.backward(torch.from_numpy(dy))
    pairs: dict[str, tuple[Any, Any]] = {"y": (y, outputs.detach())}
    for name, gradient in lstm.gates(grad=True).items():
        part, _, gate = name.rpartition("_")
        blocks = getattr(theirs, part + "_l0").grad.split(lstm.hidden_size)
        pairs[name] = (gradient, blocks[GATES.index(gate)])
    return largest_difference(pairs)


def main(arguments: Sequence[str] | None = None) -> int:
    """Compare; the last line printed is JSON."""
    parser = ProgramParser(prog="python -m fastlstm.examples.gates", description=__doc__)
    parser.add_argument("--steps", type=int, default=20, help="length of the sequences")
    parser.add_argument("--hidden-size", type=int, default=16, help="units of the layer")
    parser.add_argument("--seed", type=int, default=0, help="of weights and inputs")
    add_threads(parser, default=1)
    options = parser.parse_args(arguments)
    check_least(parser, options, steps=1, hidden_size=1, seed=0)
    return exit_status("gates", lambda: threaded(run, options))


def run(options: argparse.Namespace) -> None:
    """Print the weights by gate, the gates of a run and how far the two differ."""
    rng, T, N, I = np.random.default_rng(options.seed), options.steps, 4, 8
    lstm = fl.LSTM(I, options.hidden_size, forget_bias=1.0, rng=rng)
    x = rng.standard_normal((T, N, I)).astype("float32")
    dy = (rng.standard_normal((T, N, options.hidden_size)) / (T * N)).astype("float32")

    w = lstm.gates()  # views: what is written there is written into the layer
    print("\n".join(f"{name:<13} {view.shape}" for name, view in w.items()))
    values, gradients = unroll(w, x, dy)
    trace = lstm.trace(x)
    y, _, tape = lstm.forward(x)
    lstm.backward(tape, dy)
    inside = {name: (trace[0][name], value) for name, value in values.items()}
    shared = {
        name: (total, sum(d[name] for d in gradients))
        for name, total in lstm.gates(grad=True).items()
    }
    rebuilt = fl.LSTM.from_gates(w)
    result = {
        "steps": T,
        "largest_difference": largest_difference(inside),
        "gradient_difference": largest_difference(shared),
        "forget_bias": float(w["bias_f"].mean()),
        "rebuilt_is_equal": bool(np.array_equal(rebuilt(x)[0], y)),
        "torch_difference": None,
    }
    print("\nmean of each gate at the first and at the last step")
    for name in GATES:
        print(f"{name:<13} {trace[0][name][0].mean():+.3f} {trace[0][name][-1].mean():+.3f}")
    if importlib.util.find_spec("torch"):
        result["torch_difference"] = compare_with_torch(lstm, x, dy, y)
    print(json.dumps(result))


if __name__ == "__main__":
    raise SystemExit(main())
