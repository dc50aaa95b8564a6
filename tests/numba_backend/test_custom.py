"""Layers from functions of one unit: as right and as complete as those that are built in."""

from __future__ import annotations

import copy
import json
import os
import pickle
import subprocess
import sys
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from bound import Kernel
from cases import F32, F64, Case
from checks import check_reference
from contracts import (
    check_chunks,
    check_lengths_of_others,
    check_recompute,
    check_reset,
    check_row_independence,
    check_stream,
    check_threads,
    check_tokens,
)

import fastlstm as fl
from fastlstm.custom import CustomLayer, custom_cell, gradcheck, sigmoid, tanh
from fastlstm.examples.adding_task import report
from fastlstm.kernels import Call

Number = Any


def lstm(i: Number, f: Number, g: Number, o: Number, c: Number) -> Any:
    i, f, g, o = sigmoid(i), sigmoid(f), tanh(g), sigmoid(o)
    c = f * c + i * g
    return o * tanh(c), c, i, f, g, o


def lstm_backward(
    dc: Number, dh: Number, c_next: Number, i: Number, f: Number, g: Number, o: Number, c: Number
) -> Any:
    t = tanh(c_next)
    dc = dc + dh * o * (1 - t**2)
    di, df, dg = dc * g * i * (1 - i), dc * c * f * (1 - f), dc * i * (1 - g**2)
    return di, df, dg, dh * t * o * (1 - o), dc * f


def test_a_cell_holds_the_lists_whose_addresses_are_kept(monkeypatch: pytest.MonkeyPatch) -> None:
    """Threads that meet it first at the same time must not make some of them twice."""
    from fastlstm.kernels.numba import backward_pass, forward_pass
    from fastlstm.kernels.numba.cells import MATHS

    seen: list[Any] = []
    for module in (forward_pass, backward_pass):
        monkeypatch.setattr(module, "places", lambda names, tables: seen.extend(tables) or {})
    for maths in MATHS.values():
        cell = replace(maths)
        held = vars(cell)["tables"]  # made with the cell
        for module in (forward_pass, backward_pass):
            module._unit_places(cell)
        assert list(map(id, seen)) == list(map(id, held))
        seen.clear()


def leaky(z: Number, h: Number, rate: Number) -> Any:
    a = tanh(z)
    return h + rate * (a - h), a


def leaky_backward(dh: Number, a: Number, h: Number, rate: Number) -> Any:
    return dh * rate * (1 - a * a), dh * (1 - rate), dh * (a - h)


def gru(r: Number, z: Number, n_x: Number, n_h: Number, h: Number) -> Any:
    r, z = sigmoid(r), sigmoid(z)
    n = tanh(n_x + r * n_h)
    return (1 - z) * n + z * h, r, z, n, n_h


def gru_backward(dh: Number, r: Number, z: Number, n: Number, q: Number, h: Number) -> Any:
    dn = dh * (1 - z) * (1 - n * n)
    return dn * q * r * (1 - r), dh * (h - n) * z * (1 - z), dn, dn * r, dh * z


GATES = ("i", "f", "g", "o")
LSTM: Any
GRU: Any
Leaky: Any


@pytest.fixture(scope="module", autouse=True)
def _cells(numba_backend: Any) -> None:
    """Made here and not above: this file is collected without Numba, too."""
    global LSTM, GRU, Leaky
    LSTM = custom_cell(
        "LSTM", gates=GATES, states=("h", "c"), keeps=GATES, forward=lstm, backward=lstm_backward
    )
    keeps = ("r", "z", "n", "q")
    GRU = custom_cell(
        "GRU", gates=("r", "z", "n"), split=("n",), keeps=keeps, forward=gru, backward=gru_backward
    )
    Leaky = custom_cell(
        "Leaky",
        gates=("z",),
        params=("rate",),
        keeps=("a",),
        forward=leaky,
        backward=leaky_backward,
    )


def peephole() -> type[CustomLayer]:
    from fastlstm.examples.peephole_lstm import PeepholeLSTM

    return PeepholeLSTM


def minimal() -> type[CustomLayer]:
    from fastlstm.examples.minimal_gated_unit import MinimalGatedUnit

    return MinimalGatedUnit


CELLS: list[Callable[[], type[CustomLayer]]] = [peephole, minimal, lambda: LSTM, lambda: Leaky]
each_cell = pytest.mark.parametrize("cell", CELLS, ids=["peephole", "minimal", "lstm", "leaky"])
compiles_much = pytest.mark.slow


def train(layer: Any, x: Any, **options: Any) -> dict[str, Any]:
    """Forward and backward; everything that comes out by name."""
    layer.zero_grad()
    rng = np.random.default_rng(5)
    y, state, tape = layer.forward(x, **options)
    dx, dstate = layer.backward(tape, rng.standard_normal(y.shape).astype(y.dtype))
    states = [state] if isinstance(state, np.ndarray) else state
    dstates = [dstate] if isinstance(dstate, np.ndarray) else dstate
    results = {"y": y, "dx": dx, **{name: p.grad for name, p in layer.named_parameters()}}
    results.update((f"state {i}", s) for i, s in enumerate(states))
    results.update((f"dstate {i}", s) for i, s in enumerate(dstates))
    return results


@compiles_much
@pytest.mark.parametrize(("custom", "own"), [(lambda: LSTM, fl.LSTM), (lambda: GRU, fl.GRU)])
def test_equals_the_layer_that_is_built_in(custom: Any, own: Any) -> None:
    options = {"num_layers": 2, "bidirectional": True, "dtype": "float64", "batch_first": True}
    layer, expected = custom()(5, 9, **options), own(5, 9, **options)
    layer.load_state_dict(expected.state_dict())
    x = np.random.default_rng(0).standard_normal((4, 6, 5))
    a, b = (train(m, x, lengths=[6, 0, 3, 5]) for m in (layer, expected))
    assert a.keys() == b.keys()
    for name, value in a.items():
        np.testing.assert_allclose(value, b[name], rtol=1e-10, atol=1e-12, err_msg=name)


@compiles_much
@each_cell
@pytest.mark.parametrize(
    "options",
    [
        {},
        {"num_layers": 2, "bidirectional": True, "batch_first": True},
        {"bias": False, "learn_state": True, "recompute": 2},
    ],
    ids=["plain", "stacked", "learned-recompute"],
)
def test_gradients(cell: Any, options: dict[str, Any]) -> None:
    layer = cell()(3, 5, dtype="float64", rng=np.random.default_rng(0), **options)
    report = gradcheck(layer)
    names = [e.name for e in report.errors]
    assert "x" in names
    assert {name for name, _ in layer.named_parameters()} <= set(names)
    assert report.worst < 1e-9


CASE = Case(7, 6, 5, 19, ragged=True, dtype=F32)
LARGE = Case(20, 40, 64, 64, ragged=True, dtype=F32)


@compiles_much
@pytest.mark.parametrize("cell", [minimal, lambda: LSTM, lambda: GRU], ids=["mgu", "lstm", "gru"])
def test_contracts(cell: Any) -> None:
    """The bit for bit promises of `Backend` hold for cells without parameters of their own
    as the tests of kernels draw them.
    """
    kernel = Kernel(cell()._cell, "numba")
    check_row_independence(kernel, CASE)
    check_lengths_of_others(kernel, CASE)
    check_chunks(kernel, CASE, [2, 3])
    check_stream(kernel, CASE)
    check_tokens(kernel, CASE)
    check_recompute(kernel, CASE)
    check_reset(kernel, CASE)
    check_threads(kernel, LARGE)


@compiles_much
@each_cell
@pytest.mark.parametrize("dtype", [F32, F64], ids=str)
def test_threads_resets_and_recompute_with_parameters(cell: Any, dtype: Any) -> None:
    rng = np.random.default_rng(0)
    layer = cell()(24, 80, dtype=dtype, rng=rng)
    x = rng.standard_normal((30, 24, 24)).astype(dtype)
    options = {"lengths": rng.integers(0, 31, 24), "reset": rng.random((30, 24)) < 0.1}
    before = fl.get_num_threads()
    results = []
    try:
        for threads, K in ((1, 0), (2, 0), (3, 7)):
            fl.set_num_threads(threads)
            layer.recompute = K
            found = train(layer, x, **options)
            results.append({name: value.copy() for name, value in found.items()})
    finally:
        fl.set_num_threads(before)
    for other in results[1:]:
        for name, value in other.items():
            np.testing.assert_array_equal(value, results[0][name], err_msg=name)
    assert all(value.dtype == dtype for value in results[0].values())


@compiles_much
@each_cell
def test_a_stream_gives_the_steps_of_a_run(cell: Any) -> None:
    rng = np.random.default_rng(0)
    layer = cell()(4, 9, num_layers=2, rng=rng)
    x = rng.standard_normal((5, 3, 4)).astype("float32")
    y, _ = layer(x)
    stream = layer.stream(3)
    np.testing.assert_array_equal(np.stack([stream(step).copy() for step in x]), y)


@compiles_much
@each_cell
def test_saves_and_copies(cell: Any, tmp_path: Any) -> None:
    kind = cell()
    layer = kind(3, 4, rng=np.random.default_rng(0))
    x = np.random.default_rng(1).standard_normal((3, 2, 3)).astype("float32")
    y, _ = layer(x)
    other = kind(3, 4, rng=np.random.default_rng(7))
    other.load_state_dict(layer.state_dict())
    twins = [copy.deepcopy(layer), other]
    if kind.__module__.startswith("fastlstm."):  # at the place its name says
        twins.append(pickle.loads(pickle.dumps(layer)))
    for twin in twins:
        np.testing.assert_array_equal(twin(x)[0], y)


def test_the_memory_plan_holds_the_parameters_of_the_cell() -> None:
    layer = peephole()(8, 16)
    plan = layer.memory_plan(20, 4)
    assert plan.peak > plan.kept >= 20 * 4 * 16 * 4 * 5


def test_projection_is_refused() -> None:
    with pytest.raises(TypeError, match="proj_size"):
        Leaky(3, 4, proj_size=2)


def test_its_reference_is_the_built_in_cell() -> None:
    """The custom GRU passes for the built-in one where a kernel is compared with the reference."""

    class Passing(Kernel):
        def forward(self, *arguments: Any, **options: Any) -> Any:
            return self.backend.forward(GRU._cell, Call(*arguments, **options))

    check_reference(Passing("gru", "numba"), CASE)


GOOD: dict[str, Any] = {
    "gates": ("z",),
    "params": ("rate",),
    "keeps": ("a",),
    "forward": leaky,
    "backward": leaky_backward,
}


def no_rate(z: Number, h: Number) -> Any:
    return tanh(z) + h, z


def unknown(z: Number, h: Number, rate: Number, speed: Number) -> Any:
    return tanh(z) + h * rate * speed, z


def too_few(z: Number, h: Number, rate: Number) -> Any:
    return tanh(z) + h * rate


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"forward": no_rate}, "parameter 'rate' of C: expected one function with it"),
        ({"forward": unknown}, "unknown has an argument 'speed', expected any of z, h, rate"),
        ({"forward": too_few}, "too_few returns 1 number, expected 2: states, then keeps"),
        ({"backward": too_few}, "too_few has an argument 'z', expected any of .*dh"),
        ({"backward": lambda dh: (dh, dh)}, "returns 2 numbers, expected 3: one for each argument"),
        ({"gates": ("z", "y")}, "gate 'y' of C: expected an argument of forward"),
        ({"gates": ("z", "z")}, "'z' is the name of two things"),
        ({"gates": ("z", "rate")}, "'rate' is the name of two things"),
        ({"gates": ()}, "gates is .* expected one at least"),
        ({"states": ("h", "c")}, "state 'c' of C: expected an argument of forward"),
        ({"params": ("the rate",)}, "'the rate': expected a name that an argument can have"),
        ({"split": ("y",)}, "'y' is no gate, expected one of z"),
        ({"late": ("z",)}, "late, mix and mix_backward: expected all three or none"),
        ({"mix_keeps": ("u",)}, "mix_keeps is .* expected \\(\\) without mix"),
    ],
)
def test_errors(change: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        custom_cell("C", **{**GOOD, **change})


def swapped(dh: Number, a: Number, h: Number, rate: Number) -> Any:
    return dh * rate * (1 - a * a), dh * (a - h), dh * (1 - rate)


def forgotten(dh: Number, a: Number, h: Number, rate: Number) -> Any:
    return dh * rate, dh * (1 - rate), dh * (a - h)


def lost(dh: Number, a: Number, h: Number, rate: Number) -> Any:
    return dh * rate * (1 - a * a), 0 * dh, dh * (a - h)


def slightly(dh: Number, a: Number, h: Number, rate: Number) -> Any:
    return dh * rate * (1 - a * a), dh * (1 - rate), dh * (a - h) * 1.0001


@pytest.mark.parametrize(
    ("wrong", "named"),
    [
        pytest.param(swapped, "rate_l0", marks=compiles_much),
        (forgotten, "weight_ih_l0"),
        pytest.param(lost, "h_0", marks=compiles_much),
        (slightly, "rate_l0"),
    ],
)
def test_gradcheck_finds_a_wrong_backward(wrong: Any, named: str) -> None:
    cell = custom_cell("Wrong", **{**GOOD, "backward": wrong})
    layer = cell(3, 4, dtype="float64", rng=np.random.default_rng(0))
    with pytest.raises(ValueError, match="Wrong has . wrong gradient") as error:
        gradcheck(layer)
    (line,) = (line for line in str(error.value).splitlines() if line.startswith(named))
    assert line.endswith("WRONG")
    report = gradcheck(layer, quiet=True)
    assert not report.ok
    assert named in {e.name for e in report.wrong}
    if wrong is slightly:
        assert [e.name for e in report.wrong] == [named]


def test_gradcheck_leaves_the_layer_as_it_was() -> None:
    layer = Leaky(3, 4, dtype="float64", rng=np.random.default_rng(0))
    for p in layer.parameters():
        p.grad[...] = 7
    before = layer.state_dict()
    report = gradcheck(layer)
    for name, value in layer.state_dict().items():
        np.testing.assert_array_equal(value, before[name])
    assert all((p.grad == 7).all() for p in layer.parameters())
    assert len(str(report).splitlines()) == len(report.errors) + 1


@pytest.mark.parametrize("layer", [fl.LSTM, fl.GRU, fl.RNN])
def test_gradcheck_of_layers_that_are_built_in(layer: Any) -> None:
    gradcheck(layer(2, 3, bidirectional=True, dtype="float64", rng=np.random.default_rng(0)))


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"dtype": "float32"}, "layer has dtype float32, expected float64"),
        ({"dtype": "float64", "dropout": 0.5, "num_layers": 2}, "layer has dropout=0.5"),
    ],
)
def test_what_gradcheck_cannot_check(options: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        gradcheck(Leaky(3, 4, **options))


@pytest.mark.parametrize("cell", [peephole, pytest.param(minimal, marks=compiles_much)])
def test_examples_run(
    cell: Any, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Here and not in a process, where a module that is the program would be compiled anew."""
    monkeypatch.setattr(sys, "argv", ["example"])
    assert report(cell()) == 0
    result = json.loads(capsys.readouterr().out.splitlines()[-1])
    assert result["gradient_error"] < 1e-9
    assert result["last_error"] < result["first_error"] / 3


def test_a_stream_holds_its_memory() -> None:
    layer, other = (Leaky(16, 32, rng=np.random.default_rng(seed)) for seed in range(2))
    x = np.random.default_rng(2).standard_normal((5, 2, 16)).astype("float32")
    expected, stream = layer(x)[0], layer.stream(batch_size=2)
    for _ in range(3):
        other(x)  # takes memory that was given back, if any was
    np.testing.assert_array_equal(np.stack([stream(x_t) for x_t in x]), expected)


@pytest.mark.parametrize("name", ["peephole_lstm", "minimal_gated_unit"])
def test_examples_answer_help_without_compiling(name: str, tmp_path: Path) -> None:
    done = subprocess.run(
        [sys.executable, "-m", f"fastlstm.examples.{name}", "--help"],
        capture_output=True,
        text=True,
        env={**os.environ, "FASTLSTM_CACHE": str(tmp_path)},
    )
    assert (done.returncode, done.stderr) == (0, "")
    assert "a cell of one's own" in done.stdout
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("name", ["peephole_lstm", "minimal_gated_unit"])
def test_examples_are_short(name: str) -> None:
    path = Path(fl.__file__).parent / "examples" / f"{name}.py"
    code = [line for line in path.read_text().splitlines() if line.strip()]
    assert len(code) < 40
