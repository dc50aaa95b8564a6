"""The definition of each cell: by hand, against torch, and a spec row that lacks a part."""

from __future__ import annotations

from collections.abc import Callable
from math import exp, tanh
from typing import Any

import numpy as np
import pytest
from bound import Kernel
from cases import F64, NUMBA, TOLERANCE, Case, Problem, each_cell, make
from checks import Results, assert_close, run, run_forward

from fastlstm import kernels
from fastlstm.kernels import Weights
from fastlstm.kernels.reference.cells import STEPS


def s(z: float) -> float:
    return 1 / (1 + exp(-z))


def lstm(x: Any, h: Any, z_h: Any, c: float, **_: Any) -> list[float]:
    i, f, g, o = s(x[0] + z_h[0]), s(x[1] + z_h[1]), tanh(x[2] + z_h[2]), s(x[3] + z_h[3])
    c = f * c + i * g
    return [o * tanh(c), c]


def peephole_lstm(x: Any, h: Any, z_h: Any, c: float, p: Any, **_: Any) -> list[float]:
    i, f = s(x[0] + z_h[0] + p[0][0] * c), s(x[1] + z_h[1] + p[1][0] * c)
    c = f * c + i * tanh(x[2] + z_h[2])
    return [s(x[3] + z_h[3] + p[2][0] * c) * tanh(c), c]


def gru(x: Any, h: float, z_h: Any, **_: Any) -> list[float]:
    r, z = s(x[0] + z_h[0]), s(x[1] + z_h[1])
    return [(1 - z) * tanh(x[2] + r * z_h[2]) + z * h]


def gru_reset_before(x: Any, h: float, z_h: Any, w: float, b: float, **_: Any) -> list[float]:
    r, z = s(x[0] + z_h[0]), s(x[1] + z_h[1])
    return [(1 - z) * tanh(x[2] + w * (r * h) + b) + z * h]


def rnn_tanh(x: Any, h: Any, z_h: Any, **_: Any) -> list[float]:
    return [tanh(x[0] + z_h[0])]


def rnn_relu(x: Any, h: Any, z_h: Any, **_: Any) -> list[float]:
    return [max(x[0] + z_h[0], 0.0)]


# One step of one unit, from the products to the states.
BY_HAND: dict[str, Callable[..., list[float]]] = {
    "lstm": lstm,
    "peephole_lstm": peephole_lstm,
    "gru": gru,
    "gru_reset_before": gru_reset_before,
    "rnn_tanh": rnn_tanh,
    "rnn_relu": rnn_relu,
}


@each_cell
@pytest.mark.parametrize("seed", range(3))
def test_one_unit_by_hand(kernel: Kernel, seed: int) -> None:
    p = make(Case(1, 1, 1, 1, seed=seed), kernel.cell)
    w, (h, *c) = p.weights, [float(a[0, 0]) for a in p.state]
    assert w.b_ih is not None
    assert w.b_hh is not None
    expected = BY_HAND[kernel.cell.name](
        w.w_ih[:, 0] * p.x[0, 0, 0] + w.b_ih,
        h,
        w.w_hh[:, 0] * h + w.b_hh,
        c=c[0] if c else 0.0,
        w=w.w_hh[-1, 0],
        b=w.b_hh[-1],
        p=w.params,
    )
    out, _ = run_forward(kernel, p)
    assert [out[f"{name}_n"][0, 0] for name in kernel.cell.states] == pytest.approx(
        expected, rel=1e-13
    )
    assert out["y"][0, 0, 0] == out["h_n"][0, 0]


def test_a_projection_by_hand(kernel: Kernel) -> None:
    """It is a matrix behind the output, which the next step gets: two units seen by one number."""
    p = make(Case(1, 1, 1, 2, proj=1), kernel.cell)
    assert p.weights.w_hr is not None
    out, _ = run_forward(kernel, p)
    w = Weights(p.weights.w_ih, np.repeat(p.weights.w_hh, 2, axis=1) / 2, *p.weights[2:4])
    p.weights, w_hr, p.state = w, p.weights.w_hr, (np.repeat(p.state[0], 2, axis=1), p.state[1])
    plain, _ = run_forward(kernel, p)
    np.testing.assert_allclose(out["y"], plain["y"] @ w_hr.T, rtol=1e-13)
    np.testing.assert_allclose(out["c_n"], plain["c_n"], rtol=1e-13)


# What torch.nn has: (class, options). gru_reset_before is not there.
TORCH: dict[str, tuple[str, dict[str, Any]]] = {
    "lstm": ("LSTM", {}),
    "gru": ("GRU", {}),
    "rnn_tanh": ("RNN", {}),
    "rnn_relu": ("RNN", {"nonlinearity": "relu"}),
}


def run_torch(kernel: Kernel, p: Problem) -> Results:
    """Outputs and gradients of torch's module for rows that all have T steps."""
    torch = pytest.importorskip("torch")
    name, options = TORCH[kernel.cell.name]
    G, R = p.weights.w_hh.shape
    H = G // len(kernel.cell.gates)
    if p.weights.w_hr is not None:
        options = {**options, "proj_size": R}
    module = getattr(torch.nn, name)(p.x.shape[2], H, bias=p.weights.b_ih is not None, **options)
    module = module.to(torch.float64)
    names = ("weight_ih_l0", "weight_hh_l0", "bias_ih_l0", "bias_hh_l0", "weight_hr_l0")
    parameters = {n: w for n, w in zip(names, p.weights[:5], strict=True) if w is not None}
    module.load_state_dict({n: torch.tensor(w) for n, w in parameters.items()})
    x = torch.tensor(p.x[::-1].copy() if p.reverse else p.x, requires_grad=True)
    state = [torch.tensor(a[None], requires_grad=True) for a in p.state]
    y, state_n = module(x, tuple(state) if len(state) > 1 else state[0])
    state_n = state_n if len(state) > 1 else (state_n,)
    y = y.flip(0) if p.reverse else y
    outputs = [y, *state_n]
    torch.autograd.backward(
        outputs,
        [torch.tensor(a).reshape(o.shape) for a, o in zip((p.dy, *p.dstate), outputs, strict=True)],
    )
    results = {
        "y": y.detach().numpy(),
        "dx": x.grad.flip(0).numpy() if p.reverse else x.grad.numpy(),
    }
    for k, name in enumerate(kernel.cell.states):
        results[f"{name}_n"] = state_n[k][0].detach().numpy()
        results[f"d{name}0"] = state[k].grad[0].numpy()
    for field, name in zip(Weights._fields[:5], names, strict=True):
        if name in parameters:
            results[f"d{field}"] = getattr(module, name).grad.numpy()
    return results


@pytest.mark.parametrize("cell", TORCH)
@pytest.mark.parametrize(
    "case",
    [
        Case(7, 5, 6, 17),
        Case(4, 3, 9, 8, reverse=True, bias=False, seed=1),
        Case(5, 6, 4, 16, proj=7, seed=2),
        Case(3, 2, 4, 9, proj=8, reverse=True, seed=3),
    ],
    ids=str,
)
def test_against_torch(kernel: Kernel, case: Case) -> None:
    p = make(case, kernel.cell)
    expected, actual = run_torch(kernel, p), run(kernel, p)
    assert actual.keys() == expected.keys()
    for name, value in actual.items():
        assert_close(value, expected[name], TOLERANCE["torch", F64], name)


def test_the_gru_with_its_reset_gate_open_is_the_same_before_and_after(backend_isa: str) -> None:
    """r = 1, forced by its bias: then both variants are one, biases apart."""
    case, results = Case(4, 3, 5, 8, seed=4), []
    for name in ("gru", "gru_reset_before"):
        kernel = Kernel(name, backend_isa.partition("-")[0])
        p = make(case, kernel.cell)
        assert p.weights.b_ih is not None
        p.weights.b_ih[:8] = 60
        results.append(run(kernel, p))
    for name in ("y", "h_n", "dx", "dh0"):
        np.testing.assert_allclose(results[0][name], results[1][name], rtol=0, atol=1e-13)


def test_what_a_new_cell_needs() -> None:
    """A row of the spec without its definition or its tests stops here."""
    assert STEPS.keys() == kernels.CELLS.keys(), "a step and its backward in reference/cells.py"
    assert BY_HAND.keys() == kernels.CELLS.keys(), "one unit by hand"
    assert {name: cell.name for name, cell in kernels.CELLS.items()} == {
        name: name for name in kernels.CELLS
    }


@each_cell
@pytest.mark.parametrize("backend", ["native", NUMBA, "reference"])
def test_each_cell_is_in_each_backend(
    cell: str, backend: str, load_backend: Callable[[str], Any]
) -> None:
    load_backend(backend)
    kernel = Kernel(cell, backend)
    assert kernel.cell is kernels.CELLS[cell]
    check_shapes(kernel)


def check_shapes(kernel: Kernel) -> None:
    """Everything a kernel must have, called once."""
    p = make(Case(3, 4, 5, 6, proj=2, reset=True, ragged=True), kernel.cell)
    results = run(kernel, p, recompute=2)
    assert results["y"].shape == (3, *p.state[0].shape)
    stream = kernel.Stream([p.weights], 4)
    assert [a.shape for a in stream.state] == [(1, *a.shape) for a in p.state]
    assert kernel.memory(p.rows, 5, 6).kept > 0
