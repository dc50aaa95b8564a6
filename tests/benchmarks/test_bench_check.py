"""The two sides agree in every mode, and the check that stands before all timing sees when not."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from benchmarks import check, machine, shapes, sides, timing
from benchmarks.shapes import Case
from benchmarks.sides import Results, Side

pytest.importorskip("torch")
pytestmark = pytest.mark.usefixtures("any_backend", "threads")

CASE = Case("train", 3, 4, 5, 6)


def _small_cases() -> list[Case]:
    """One small case for every mode and option in shapes.toml."""
    cases = {
        replace(case, proj=min(case.proj, 4), **{n: min(getattr(case, n), 9) for n in "BTIHV"})
        for case, _ in shapes.load()
    }
    return sorted(cases, key=str)


@pytest.mark.parametrize("case", _small_cases(), ids=str)
def test_sides_agree(case: Case) -> None:
    found = check.check(case, threads=1)
    assert found.outputs <= check.OUTPUT[case.rounding]
    assert (found.gradients is None) == (case.mode in ("infer", "step", "stream", "chain"))


def _swap_gates(side: Side) -> None:
    weight = side.model.weight_ih_l0.data
    weight[0:6], weight[6:12] = weight[6:12].copy(), weight[0:6].copy()


def _break_outputs(change: Callable[[dict[str, Any], dict[str, Any]], object]) -> Any:
    """A fault in what a side computes: `change` gets its outputs and gradients."""

    def fault(side: Side) -> Side:
        def results() -> Results:
            outputs, gradients = side.results()
            change(outputs, gradients)
            return Results(outputs, gradients)

        return side._replace(results=results)

    return fault


FAULTS = {
    "output off in one place": (
        lambda out, _: out["y"].__setitem__((2, 3, 4), out["y"][2, 3, 4] + 1e-4),
        "y differs",
    ),
    "NaN": (lambda out, _: out["c_n"].__setitem__((0, 0, 0), np.nan), "c_n differs"),
    "bias gradient dropped": (lambda _, d: d["d_bias_hh_l0"].fill(0), "d_bias_hh_l0 differs"),
    "gradient scaled by a thousandth": (
        lambda _, d: np.multiply(d["dx"], 1.001, out=d["dx"]),
        "dx differs",
    ),
    "gradient missing": (lambda _, d: d.pop("d_weight_ih_l0"), "fastlstm gives"),
    "one step too few": (lambda out, _: out.update(y=out["y"][:, 1:]), "y has shape"),
}


@pytest.mark.parametrize("fault", FAULTS)
def test_a_wrong_side_is_refused(monkeypatch: pytest.MonkeyPatch, fault: str) -> None:
    change, message = FAULTS[fault]
    _plant(monkeypatch, _break_outputs(change))
    with pytest.raises(check.Mismatch, match=message):
        check.check(CASE, threads=1)


def test_a_wrong_layout_of_weights_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    def fault(side: Side) -> Side:
        load = side.model.load_state_dict

        def load_in_another_order(state: Any) -> None:
            load(state)
            _swap_gates(side)

        side.model.load_state_dict = load_in_another_order
        return side

    _plant(monkeypatch, fault)
    with pytest.raises(check.Mismatch, match="differs"):
        check.check(CASE, threads=1)


def _plant(monkeypatch: pytest.MonkeyPatch, fault: Callable[[Side], Side]) -> None:
    """Put a fault into fastlstm's side."""

    def build(name: str, *arguments: Any) -> Side:
        side = sides.build(name, *arguments)
        return fault(side) if name == "fastlstm" else side

    monkeypatch.setattr(check, "build", build)


def test_reference_is_not_timed_by_accident(monkeypatch: pytest.MonkeyPatch) -> None:
    from benchmarks import fastlstm_layer

    monkeypatch.delenv("FASTLSTM_BACKEND", raising=False)
    monkeypatch.setattr(fastlstm_layer.fl, "runtime_info", lambda: {"backend": "reference"})
    with pytest.raises(RuntimeError, match="reference backend"):
        sides.load("fastlstm", 1)
    monkeypatch.setenv("FASTLSTM_BACKEND", "reference")
    sides.load("fastlstm", 1)


def test_unknown_names_are_errors() -> None:
    with pytest.raises(ValueError, match="side is 'jax'"):
        sides.build("jax", CASE, 1)
    with pytest.raises(ValueError, match="isa is 'mmx'"):
        machine.environment(1, "mmx")


def test_environment_holds_both_sides_to_threads_and_isa() -> None:
    chosen = machine.environment(3, "avx2")
    assert chosen["FASTLSTM_ISA"] == "avx2"
    assert chosen["ATEN_CPU_CAPABILITY"] == "avx2"
    assert chosen["ONEDNN_MAX_CPU_ISA"] == "AVX2"
    assert {chosen[name] for name in machine.THREAD_VARIABLES} == {"3"}


def test_a_busy_machine_is_told(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    for load, told in ((0.0, False), (float(machine.cores()), True)):
        monkeypatch.setattr(machine.os, "getloadavg", lambda load=load: (load, 0.0, 0.0))
        assert machine.describe()["load"] == load
        assert ("something else is running" in capsys.readouterr().err) == told


def test_measure_counts_calls_and_samples() -> None:
    calls: list[int] = []
    found = timing.measure(lambda: calls.append(1), seconds=0.0)
    assert len(found.samples) == timing.MIN_SAMPLES
    assert len(calls) == timing.WARM_UP + found.calls * timing.MIN_SAMPLES
    assert min(found.samples) > 0


def peak_memory_in_a_process(before: str) -> float:
    """Return what it finds of a block of 20 MB that is made and freed after the lines `before`.

    In a process of its own, as a side of the benchmark has: where another library has moved the
    heap's end (`sbrk`), malloc keeps what was freed, takes the block there, and it does not show.
    """
    lines = ["import numpy as np", "from benchmarks import timing"]
    lines += [before, "memory = timing.PeakMemory()", "block = np.ones(20_000_000, np.uint8)"]
    lines += ["del block", "print(memory.growth())"]
    found = subprocess.run(
        [sys.executable, "-c", "\n".join(lines)],
        cwd=machine.ROOT,
        check=True,
        capture_output=True,
        text=True,
    )
    return float(found.stdout)


def test_peak_memory_sees_what_is_freed_again() -> None:
    assert 15e6 < peak_memory_in_a_process("") < 60e6


def test_peak_memory_does_not_count_on_what_garbage_held() -> None:
    """What is freed while it measures would be used again, and not show."""
    garbage = "circle = [np.ones(20_000_000, np.uint8)]; circle.append(circle); del circle"
    assert 15e6 < peak_memory_in_a_process(garbage) < 60e6


def test_quartiles() -> None:
    assert timing.quartiles([5.0]) == (5.0, 5.0, 5.0)
    assert timing.quartiles([4.0, 1.0, 2.0, 3.0, 5.0]) == (2.0, 3.0, 4.0)
