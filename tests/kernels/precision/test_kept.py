"""What forward keeps for backward in bfloat16: its definition, how large it is, and that gradients
go back through it as far as they do in float32."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from bound import Kernel
from cases import F32, Array, Case, each_cell, make
from checks import Results, run, run_forward

from fastlstm.kernels import CELLS, Rows
from fastlstm.kernels.call import Weights
from fastlstm.kernels.reference.precision import (
    FINER,
    keep,
    keep_sigmoid,
    keep_states,
    to_bfloat16,
)

pytestmark = pytest.mark.pairs

GATED = ["lstm", "peephole_lstm", "gru", "gru_reset_before"]
FOUND = {"lstm": "o", "gru": "n", "gru_reset_before": "n"}  # not kept, but found again from h
FINELY = {"gru": "z", "gru_reset_before": "z"}  # for that, kept with more bits
# Numbers of 16 bits for each unit and step, for so many of 32.
KEPT = {"lstm": 4 / 10, "gru": 3 / 8, "gru_reset_before": 3 / 8}
HALF = 1 / 2


# The definition.


def test_a_sigmoid_keeps_its_distance_to_the_nearer_end() -> None:
    step = 2.0**-10  # of bfloat16 from 1/8 to 1/4; of distances to 1 there likewise
    given = [0.0, 1.0, 0.125 + 0.4 * step, 0.875 - 0.4 * step, 0.5, 1 - 2.0**-20, np.nan]
    expected = [0.0, 1.0, 0.125, 0.875, 0.5, 1 - 2.0**-20, np.nan]
    np.testing.assert_array_equal(keep_sigmoid(np.array(given, F32)), np.array(expected, F32))
    s = np.random.default_rng(0).random(10_000).astype(F32)
    error = np.abs(keep_sigmoid(s).astype("f8") - s)
    assert (error <= np.minimum(s, 1 - s) * 2.0**-8).all()


def test_only_gates_that_are_sigmoids_are_kept_so() -> None:
    a = np.full((1, 1), 0.999, F32)
    near, plain = keep_sigmoid(a), to_bfloat16(a)
    assert near != plain
    for cell in CELLS.values():
        kept = keep(cell, (a,) * (len(cell.gates) + 1))
        for name, value in zip((*cell.gates, "more"), kept, strict=True):
            np.testing.assert_array_equal(value, near if name in cell.sigmoids else plain)


def test_of_the_states_h_is_not_rounded() -> None:
    a = np.full((1, 1), 0.999, F32)
    h, c = keep_states((a, a))
    assert h is a
    np.testing.assert_array_equal(c, to_bfloat16(a))


# What the backends keep.


@each_cell
def test_what_is_inside_is_what_was_kept(bfloat16_kernel: Kernel) -> None:
    cell = bfloat16_kernel.cell
    p = make(Case(9, 5, 6, 19, ragged=True, reset=True, dtype=F32), cell)
    _, saved = run_forward(bfloat16_kernel, p, save=True)
    inside = bfloat16_kernel.backend.inside(saved)
    assert set(inside) == set(cell.inside)
    for name in inside.keys() - {FOUND.get(cell.name)}:
        values = inside[name]
        more = FINER * (name == FINELY.get(cell.name))
        rounded = keep_sigmoid(values, more) if name in cell.sigmoids else to_bfloat16(values)
        np.testing.assert_array_equal(values, rounded, err_msg=name)
    reference = Kernel(cell, "reference")
    expected = reference.backend.inside(run_forward(reference, p, save=True)[1])
    for name, values in inside.items():
        np.testing.assert_allclose(values, expected[name], atol=0.03, err_msg=name)


@pytest.mark.parametrize("cell", GATED)
def test_what_is_no_number_is_kept_so(bfloat16_kernel: Kernel) -> None:
    p = make(Case(1, 2, 3, 19, dtype=F32), bfloat16_kernel.cell)
    p.x[0, 0] = np.nan
    _, saved = run_forward(bfloat16_kernel, p, save=True)
    for name, values in bfloat16_kernel.backend.inside(saved).items():
        assert np.isnan(values[0]).all(), name
        assert np.isfinite(values[1]).all(), name


def step_of_one(kernel: Kernel, bias: dict[str, float], state: float, T: int = 3) -> Results:
    """Gradients of a net of one unit that is all bias: gates by name, any state to start from."""
    cell, w = kernel.cell, np.zeros((len(kernel.cell.gates), 1), F32)
    b = np.array([bias.get(name, 0.0) for name in cell.gates], F32)
    params = tuple(np.zeros(1, F32) for _ in cell.params)
    p = make(Case(T, 1, 1, 1, dtype=F32), cell)
    p = replace(p, weights=Weights(w, w, b, None, None, params), mask=None)
    p = replace(p, state=tuple(np.full_like(s, state) for s in p.state), x=np.ones_like(p.x))
    p = replace(p, dy=np.ones_like(p.dy), dstate=tuple(np.ones_like(s) for s in p.state))
    return run(kernel, p)


def assert_like_float32(kernel: Kernel, bias: dict[str, float], state: float) -> None:
    actual = step_of_one(kernel, bias, state)
    expected = step_of_one(Kernel(kernel.cell, "reference"), bias, state)
    for name, value in actual.items():
        np.testing.assert_allclose(value, expected[name], rtol=0.02, atol=2e-3, err_msg=name)


@pytest.mark.parametrize("cell", GATED)
@pytest.mark.parametrize("state", [0.0, 1e-35, 1e-25, 0.4])
@pytest.mark.parametrize("o", [-3.0, 2.0, 40.0])
def test_cells_of_zero_hide_no_gate(bfloat16_kernel: Kernel, state: float, o: float) -> None:
    """Of h = o tanh(c) nothing tells what o was where c is 0."""
    assert_like_float32(bfloat16_kernel, {"i": 0.3, "f": 0.7, "o": o, "r": o}, state)


@pytest.mark.parametrize("cell", GATED)
@pytest.mark.parametrize("state", [0.0, 0.9, -7.0])
@pytest.mark.parametrize("gate", [-40.0, -2.0, 3.0, 17.0, 40.0])
def test_gates_at_their_ends(bfloat16_kernel: Kernel, state: float, gate: float) -> None:
    assert_like_float32(bfloat16_kernel, {"z": gate, "f": gate, "n": 0.8, "g": 0.8}, state)


@each_cell
def test_half_of_it_is_kept(cell: str, native: Any) -> None:
    """The compiled kernels keep numbers of 16 bits; the reference rounds, and keeps as many."""
    for proj in (0, 64) if CELLS[cell].projects else (0,):
        sizes: tuple[Any, ...] = (Rows(400, 64, np.arange(64) + 337), 128, 256, proj)
        full = Kernel(cell, "native").memory(*sizes)
        half = Kernel(cell, "native", "bfloat16").memory(*sizes)
        assert half.kept <= (KEPT.get(cell, HALF) + 0.03) * full.kept
        again = Kernel(cell, "native", "bfloat16").memory(*sizes, recompute=20)
        assert again.kept + again.backward < 0.75 * (half.kept + half.backward)


@each_cell
def test_memory_of_bfloat16_is_planned(bfloat16_kernel: Kernel) -> None:
    p = make(Case(5, 4, 6, 7, dtype=F32), bfloat16_kernel.cell)
    assert min(bfloat16_kernel.memory(p.rows, 6, 7)) > 0


@each_cell
def test_memory_is_as_planned(cell: str, native: Any) -> None:
    """Freed blocks are kept for the next call, where they can be counted."""
    kernel = Kernel(cell, "native", "bfloat16")
    p = make(Case(100, 64, 128, 256, ragged=True, proj=160, reset=True, dtype=F32), kernel.cell)
    for recompute in (0, 10):
        proj = 0 if p.weights.w_hr is None else 160
        use = kernel.memory(p.rows, 128, 256, proj_size=proj, recompute=recompute)
        native.trim()
        run(kernel, p, recompute=recompute)
        most = max(use.forward, use.kept + use.backward)
        assert most / 2 <= native.cached_bytes() <= most + use.forward


@pytest.mark.parametrize("n_threads", [1, 2])
@pytest.mark.parametrize("sizes", [(300, 40, 5, 4), (400, 64, 3, 40)], ids=str)
@pytest.mark.parametrize("cell", ["gru", "gru_reset_before", "lstm"])
def test_what_passes_stays_until_its_sums_are_made(
    cell: str, sizes: tuple[int, ...], isa: str, n_threads: int
) -> None:
    """More packed rows than wait for their sums, as segments of 10 steps never have."""
    kernel = Kernel(cell, "native", "bfloat16")
    p = make(Case(*sizes, ragged=True, reset=True, mask=True, dtype=F32), kernel.cell)
    whole = run(kernel, p, n_threads=n_threads)
    for name, value in run(kernel, p, recompute=10).items():
        np.testing.assert_array_equal(whole[name], value, err_msg=name)


# Gradients of a state that hardly changes for 200 steps.


def remember(kernel: Kernel, T: int, gate: float) -> tuple[Array, float]:
    """The gradient of the initial state, and the gate that holds it from step to step."""
    H, x = 3, np.zeros((T, 2, 1), F32)
    cell, gates = kernel.cell, len(kernel.cell.gates)
    bias = np.full((gates, H), -20.0, F32)
    bias[cell.gates.index("f" if "f" in cell.gates else "z")] = gate
    weights = Weights(
        np.zeros((gates * H, 1), F32),
        np.zeros((gates * H, H), F32),
        bias.ravel(),
        None,
        params=tuple(np.zeros(H, F32) for _ in cell.params),
    )
    state = tuple(np.full((2, H), 0.5, F32) for _ in cell.states)
    y = np.empty((T, 2, H), F32)
    _, saved = kernel.forward(x, state, weights, Rows(T, 2), y, save=True)
    dstate = tuple(np.ones((2, H), F32) for _ in cell.states)
    dstate_0, _ = kernel.backward(saved, None, dstate, weights.map(np.zeros_like))
    return dstate_0[-1], 1 / (1 + np.exp(-gate))


@pytest.mark.parametrize("gate", [3.0, 5.0, 6.2, 9.0])
@pytest.mark.parametrize("cell", GATED)
def test_a_long_memory_has_the_gradient_of_float32(bfloat16_kernel: Kernel, gate: float) -> None:
    """A gate of 0.998, kept as plain bfloat16, would make it 1 or 0.46 of it for 0.67."""
    actual, held = remember(bfloat16_kernel, 200, gate)
    # Each gate is off by 2^-9 of its distance to 1, and all 200 alike.
    allowed = 200 * (1 - held) * 2.0**-9 * 1.1 + 1e-3
    np.testing.assert_allclose(actual, held**200, rtol=allowed)
