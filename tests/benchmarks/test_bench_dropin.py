"""The comparison of drop-in modules: both sides compute the same, and wrong ones are not timed."""

from __future__ import annotations

import itertools
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

torch = pytest.importorskip("torch")

from benchmarks import bench_dropin, dropin, timing, worker  # noqa: E402

pytestmark = [
    pytest.mark.usefixtures("any_backend", "threads"),
    pytest.mark.filterwarnings("ignore:LSTM with projections"),  # torch's, of its own speed
]


def small(case: dropin.Case) -> dropin.Case:
    cell = case.module.endswith("Cell")
    shape = (2, 1, 5, 4) if cell else (3, 24, 5, 70 if "proj_size" in case.options else 4)
    return dropin.Case(**{**vars(case), "shape": shape})


@pytest.fixture
def small_cases(monkeypatch: pytest.MonkeyPatch) -> None:
    """Cases of a few numbers, in this process, as torch takes seconds to load in another."""
    cases = {name: small(case) for name, case in dropin.CASES.items()}
    monkeypatch.setattr(dropin, "CASES", cases)
    monkeypatch.setattr(bench_dropin, "ask", lambda task, _, **args: worker.TASKS[task](**args))


@pytest.mark.usefixtures("small_cases")
@pytest.mark.parametrize("name", dropin.CASES)
def test_the_sides_agree(name: str) -> None:
    difference = dropin.check(name, 1)
    assert difference < 1e-4
    with dropin.call_of("torch.nn", dropin.CASES[name]) as call:
        found = call()
    assert ("dx" in found) == dropin.CASES[name].trains


@pytest.mark.usefixtures("small_cases")
def test_times_and_ratio(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Of a clock of our own: the sides take turns, so the rounds' ratios are 3/1 and 8/2."""
    times = itertools.cycle([0.001, 0.003, 0.008, 0.002])

    def measure(call: Callable[[], object], seconds: float) -> timing.Timing:
        call()
        return timing.Timing([next(times)] * 5, 1)

    monkeypatch.setattr(dropin, "measure", measure)
    options = ["--only", "LSTMCell", "--rounds", "2", "--seconds", "0.01", "--threads", "1"]
    assert bench_dropin.main([*options, "--out", str(tmp_path / "dropin.json")]) == 0
    lines = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    assert [line["case"] for line in lines] == [n for n in dropin.CASES if "LSTMCell" in n]
    for line in lines:
        ours, theirs = line["fastlstm.torch"], line["torch.nn"]
        assert ours == [1.25, 1.5, 1.75]
        assert theirs == [4.25, 5.5, 6.75]
        assert line["ratio"] == 3.5
    assert json.loads((tmp_path / "dropin.json").read_text())["results"] == lines


def test_an_unknown_case_is_named(capsys: pytest.CaptureFixture[str]) -> None:
    assert bench_dropin.main(["--only", "nothing"]) == 2
    assert "no case holds 'nothing': GRU, RNN" in capsys.readouterr().err


@pytest.mark.usefixtures("small_cases")
def test_what_differs_is_not_timed(monkeypatch: pytest.MonkeyPatch) -> None:
    import fastlstm.torch

    plain = fastlstm.torch.GRUCell.forward

    def wrong(self: Any, *given: Any) -> Any:
        return plain(self, *given) * 1.001

    monkeypatch.setattr(fastlstm.torch.GRUCell, "forward", wrong)
    with pytest.raises(RuntimeError, match=r"y of GRUCell differs by 1\.0e-03: not timed"):
        dropin.check("GRUCell", 1)
