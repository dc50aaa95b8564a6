"""The benchmark beside busy processes: who is started and ended, what is counted, the tables."""

from __future__ import annotations

import json
import os
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict
from pathlib import Path
from typing import Any

import pytest

from benchmarks import bench_neighbour, neighbour, timing, worker
from benchmarks.shapes import Case
from benchmarks.sides import SIDES

TINY = Case("infer", 2, 3, 4, 5)


def test_neighbours_are_processes_of_other_sessions_and_end(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    started = []

    class Popen(neighbour.subprocess.Popen):  # type: ignore[type-arg]
        def __init__(self, *args: Any, **options: Any) -> None:
            super().__init__(*args, **options)
            started.append(self)

    monkeypatch.setattr(neighbour.subprocess, "Popen", Popen)
    with neighbour.neighbours(2):
        assert [process.poll() for process in started] == [None, None]
        sessions = {os.getsid(process.pid) for process in started}
        assert len(sessions | {os.getsid(0)}) == 3
    assert all(process.returncode for process in started)


def test_no_neighbours() -> None:
    with neighbour.neighbours(0):
        pass


def test_a_neighbour_that_does_not_compute_is_an_error(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(neighbour.machine, "environment", lambda _: {"PYTHONHOME": "/nowhere"})
    with (
        pytest.raises(RuntimeError, match="a neighbour says '', expected 'computing'"),
        neighbour.neighbours(1),
    ):
        pass


def test_a_neighbour_ends_with_its_parent(capsys: pytest.CaptureFixture[str]) -> None:
    neighbour.compute(parent=os.getpid())  # which is not the parent
    assert capsys.readouterr().out == "computing\n"


@pytest.mark.usefixtures("any_backend", "threads")
@pytest.mark.parametrize("name", [str(TINY), "toy"])
def test_every_call_counts(monkeypatch: pytest.MonkeyPatch, name: str) -> None:
    """The mean, not the median: one call of ten that waits is part of it."""

    def measure(call: Any, seconds: float, **_: int) -> timing.Timing:
        assert seconds == 7
        call()
        return timing.Timing([0.001] * 9 + [0.011], 1)

    monkeypatch.setattr(neighbour, "measure", measure)
    monkeypatch.setitem(neighbour.EXAMPLES, "toy", ("--updates", "1"))
    case = None if name == "toy" else asdict(TINY)
    found = worker.TASKS["neighbour_time"]("fastlstm", name, case, threads=1, seconds=7)
    assert found["ms"] == 2.0
    assert found["versions"]["version"]


def test_cores_of_others(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """Of 10 s in which the machine was busy for 23 s of processor time, 4 of them ours."""
    ticks, now, own = os.sysconf("SC_CLK_TCK"), iter((100.0, 110.0)), iter((1.0, 2.0, 3.0, 4.0))
    stat = tmp_path / "stat"
    monkeypatch.setattr(neighbour.Others, "_stat", stat)
    monkeypatch.setattr(neighbour.time, "perf_counter", lambda: next(now))

    class Used:
        def __init__(self, _: int) -> None:
            self.ru_utime, self.ru_stime = next(own), 0.0

    monkeypatch.setattr(neighbour.resource, "getrusage", Used)
    fields = [1, 2, 3, 99, 98, 4, 5, 6, 0, 0]
    stat.write_text(f"cpu  {' '.join(str(n * ticks) for n in fields)}\ncpu0 1 1 1\n")
    others = neighbour.Others()
    fields = [11, 4, 5, 500, 500, 5, 7, 12, 0, 0]  # 23 more, idle and waiting aside
    stat.write_text(f"cpu  {' '.join(str(n * ticks) for n in fields)}\ncpu0 1 1 1\n")
    assert others.cores() == pytest.approx((23 - 4) / 10)


def _parsed(*options: str) -> Any:
    return bench_neighbour._parse(options)


def test_each_side_has_the_cases_that_it_can_run() -> None:
    pytest.importorskip("onnxruntime")
    pytest.importorskip("onnx")
    names = {side: set() for side in SIDES}  # type: dict[str, set[str]]
    for entry in _parsed().cases:
        names[entry["side"]].add(entry["name"])
    assert names["fastlstm"] - names["torch"] == {"toy", "names"}
    assert {name.split()[0] for name in names["torch"]} == {"infer", "train", "step"}
    assert {name.split()[0] for name in names["onnxruntime"]} == {"infer", "step"}


@pytest.mark.parametrize(
    "options",
    [("--neighbour", "0"), ("--threads", "-1"), ("--only", "no case"), ("--sides", "jax")],
)
def test_wrong_options_are_errors(
    options: tuple[str, ...], capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit):
        _parsed("--sides", "fastlstm", *options)
    assert options[-1] in capsys.readouterr().err


@pytest.fixture
def quiet(monkeypatch: pytest.MonkeyPatch) -> list[Any]:
    """No processes: what would be asked, with 1 ms a thread and 3 ms more beside neighbours."""
    asked: list[Any] = []
    beside = [0]

    @contextmanager
    def neighbours(count: int) -> Iterator[None]:
        beside[0] = count
        yield

    def ask(task: str, environment: dict[str, str], **arguments: Any) -> dict[str, Any]:
        assert task == "neighbour_time"
        assert environment["OMP_NUM_THREADS"] == str(arguments["threads"])
        asked.append((arguments["name"], arguments["side"], arguments["threads"], beside[0]))
        ms = arguments["threads"] + 3 * beside[0]
        return {"ms": ms, "versions": {"version": "1.2", "isa": "avx2"}}

    class Others:
        loads = [0.0]

        def cores(self) -> float:
            return self.loads.pop(0) if len(self.loads) > 1 else self.loads[0]

    monkeypatch.setattr(bench_neighbour, "neighbours", neighbours)
    monkeypatch.setattr(bench_neighbour, "ask", ask)
    monkeypatch.setattr(bench_neighbour, "Others", Others)
    return asked


def test_all_settings_take_turns_and_end_in_files(
    quiet: list[Any], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    readme = tmp_path / "README.md"
    readme.write_text(
        "<!-- benchmarks:neighbour summary -->\n<!-- benchmarks:neighbour summary end -->\n"
        "<!-- benchmarks:neighbour -->\n<!-- benchmarks:neighbour end -->\n"
    )
    options = ["--sides", "fastlstm", "--only", "toy", "--rounds", "2", "--threads", "2"]
    options += ["--neighbour", "1", "--out", str(tmp_path / "out"), "--readme", str(readme)]
    assert bench_neighbour.main(options) == 0
    order = [(1, 0), (2, 0), (1, 1), (2, 1)]
    assert [asked[2:] for asked in quiet] == order + order[::-1]
    found = json.loads((tmp_path / "out" / "neighbour.json").read_text())
    assert found["cases"][0]["ms"] == [[1, 1], [2, 2], [4, 4], [5, 5]]
    row = "| toy | fastlstm | 1 | 2 | 4 | 5 | **5.00** |"
    assert row in (tmp_path / "out" / "neighbour.md").read_text().splitlines()
    assert row in capsys.readouterr().out
    filled = readme.read_text().splitlines()
    assert row in filled
    title = "time on 2 threads beside 1 busy process, to that on one thread alone"
    assert f"| {title} | factor |" in filled
    assert "| fastlstm | 5.00 to 5.00 |" in filled


def test_a_disturbed_timing_is_made_again(
    quiet: list[Any], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """Until it is quiet, three times at most; the quietest counts."""
    loads = [0.5, 0.05, 0.9, 0.3, 0.7, 0.0]
    monkeypatch.setattr(bench_neighbour.Others, "loads", loads, raising=False)
    options = ["--sides", "fastlstm", "--only", "toy", "--rounds", "1"]
    bench_neighbour.main([*options, "--out", str(tmp_path)])
    found = json.loads((tmp_path / "neighbour.json").read_text())
    assert found["cases"][0]["others"] == [0.05, 0.3, 0.0, 0.0]
    assert len(quiet) == 2 + 3 + 1 + 1


def test_the_summary_has_a_line_for_each_side() -> None:
    cases = [
        {"name": "a", "side": side, "ms": [[1, 2], [1, 2], [1, 2], [last, 2 * last]], "others": [0]}
        for side, last in (("fastlstm", 0.9), ("fastlstm", 1.0), ("torch", 300.0))
    ]
    lines = bench_neighbour.summary({"threads": 2, "neighbours": 3, "cases": cases}).splitlines()
    assert "beside 3 busy processes" in lines[0]
    assert lines[2:] == ["| fastlstm | 0.90 to 1.00 |", "| torch | 300.00 to 300.00 |"]
