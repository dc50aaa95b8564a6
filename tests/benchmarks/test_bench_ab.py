"""The comparison in separate processes, from the command line to its three files."""

from __future__ import annotations

import json
import subprocess
import sys
from dataclasses import asdict
from pathlib import Path
from typing import Any

import pytest

from benchmarks import ab, machine, report, worker
from benchmarks.shapes import Case

TINY = Case("ragged", 3, 6, 5, 4)


def _result(threads: tuple[int, ...] = (1,)) -> dict[str, Any]:
    """A result as `ab` collects it, of two rounds."""
    entries = [
        {
            "name": str(case),
            "case": asdict(case),
            "threads": n,
            "flops": flops,
            "max_difference": {"outputs": 2e-7, "gradients": None},
            "sides": {
                side: {
                    "rounds": [
                        {"samples_ms": [ms, ms * factor, ms / factor], "peak_memory_mb": 7.5}
                        for factor in (2, 3)
                    ]
                }
                for side, ms in (("fastlstm", 2.0), ("torch", 5.0 * (row + 1)))
            },
        }
        for n in threads
        for row, (case, flops) in enumerate(((TINY, 40_000_000), (Case("dropout", 3), None)))
    ]
    result = {
        "time": "2026-01-02T03:04:05+00:00",
        "rounds": 2,
        "machine": {
            "cpu": "Some CPU",
            "cores": 2,
            "load": 0.1,
            "python": "3.11.1",
            "commit": "abc",
        },
        "versions": {side: {"version": "1.2", "isa": "avx2"} for side in ("fastlstm", "torch")},
        "peak_gflops": {str(n): {"float32": {"numpy": 80.0, "torch": 100.0}} for n in threads},
        "cases": entries,
    }
    for entry in entries:
        report.summarise(entry, result["peak_gflops"])
    return result


def test_summary_of_a_case() -> None:
    entry = _result()["cases"][0]
    assert entry["ratio"] == 2.5
    assert entry["ratio_quartiles"] == [2.5, 2.5]
    assert entry["sides"]["fastlstm"]["median_ms"] == 2.0
    assert entry["sides"]["fastlstm"]["gflops"] == 20.0
    assert entry["sides"]["torch"]["of_peak"] == 0.08


def test_table() -> None:
    text = report.markdown(_result(threads=(1, 2)))
    rows = [line for line in text.splitlines() if line.startswith("|")]
    assert len(rows) == 2 + 4
    assert "| **2.50** (2.50 to 2.50) | 20 / 8 | 20% / 8% | 8 / 8 | 2e-07 |" in rows[2]
    assert rows[3].split("|")[6].strip() == "", "an op has no GFLOP/s"
    assert "100 on 1 thread in float32, 100 on 2 threads in float32 GFLOP/s" in text


def test_splice_replaces_what_is_between_the_markers(tmp_path: Path) -> None:
    path = tmp_path / "README.md"
    path.write_text("a\n<!-- benchmarks:ab -->\nold\n<!-- benchmarks:ab end -->\nb\n")
    for text in ("new\n", "newer"):
        report.splice(path, "ab", text)
        assert path.read_text() == (
            f"a\n<!-- benchmarks:ab -->\n{text.strip()}\n<!-- benchmarks:ab end -->\nb\n"
        )
    assert list(tmp_path.iterdir()) == [path]


@pytest.mark.parametrize(
    "content",
    [
        "no markers",
        "<!-- benchmarks:ab -->",
        "<!-- benchmarks:ab end --><!-- benchmarks:ab -->",
        "<!-- benchmarks:ab --><!-- benchmarks:ab --><!-- benchmarks:ab end -->",
    ],
)
def test_splice_without_markers_leaves_the_file(tmp_path: Path, content: str) -> None:
    path = tmp_path / "README.md"
    path.write_text(content)
    with pytest.raises(ValueError, match="README.md has"):
        report.splice(path, "ab", "table")
    assert path.read_text() == content


def test_summary_has_the_least_and_the_largest_ratio_of_a_kind() -> None:
    result = _result(threads=(1, 2))
    more = {"name": "", "threads": 2, "ratio": 12.34, "case": asdict(Case("ragged", 9, 6, 5, 4))}
    gru = {
        "name": "",
        "threads": 2,
        "ratio": 3,
        "case": asdict(Case("step", 1, 0, 5, 4, cell="GRU")),
    }
    result["cases"] += [more, gru]
    assert report.summary(result).splitlines() == [
        "| how many times faster than torch | 1 thread | 2 threads |",
        "| --- | ---: | ---: |",
        "| training on rows of unequal length, 2 shapes | 2.50 | 2.50 to 12.3 |",
        "| dropout | 5.00 | 5.00 |",
        "| one step, the state carried, GRU |  | 3.00 |",
    ]


def test_each_file_gets_what_it_has_markers_for(tmp_path: Path) -> None:
    short, both, none = (tmp_path / name for name in ("short.md", "both.md", "none.md"))
    summary = "<!-- benchmarks:ab summary -->{}<!-- benchmarks:ab summary end -->"
    table = "<!-- benchmarks:ab -->{}<!-- benchmarks:ab end -->"
    short.write_text(summary.format(""))
    both.write_text(summary.format("") + table.format(""))
    none.write_text("a")
    result = _result()
    report.put_result_into([short, both], result)
    shown = summary.format(f"\n{report.summary(result)}\n")
    assert short.read_text() == shown
    assert both.read_text() == shown + table.format(f"\n{report.markdown(result).strip()}\n")
    with pytest.raises(ValueError, match="none.md has not one <!-- benchmarks:ab --> "):
        report.put_result_into([none], result)


def test_picture(tmp_path: Path) -> None:
    pytest.importorskip("matplotlib")
    report.picture(_result(threads=(1, 2)), tmp_path / "ab.png")
    assert (tmp_path / "ab.png").read_bytes().startswith(b"\x89PNG")


def test_nothing_is_timed_if_a_case_differs(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    asked = []

    def ask(task: str, *_: Any, **arguments: Any) -> Any:
        asked.append(task)
        wrong = {"mismatch": "dx differs from torch's"}
        fine = {"outputs": 0.0, "gradients": 0.0, "flops": 1}
        count = len(arguments.get("cases", ()))
        return {"peak": {}, "check": [wrong] + [fine] * (count - 1)}[task]

    monkeypatch.setattr(ab, "ask", ask)
    assert ab.main(["--threads", "1", "--out", str(tmp_path / "out")]) == 1
    assert asked == ["peak", "check"]
    assert "not timed, as the sides differ: dx differs" in capsys.readouterr().err
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize(
    "argv",
    [
        ["--group", "fast"],
        ["--only", "no case"],
        ["--rounds", "0"],
        ["--isa", "mmx"],
        ["--threads", "-1"],
        ["--fast"],
    ],
)
def test_wrong_options_are_errors(argv: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        ab.main(argv)
    assert argv[-1] in capsys.readouterr().err


def test_a_process_that_fails_is_an_error() -> None:
    with pytest.raises(RuntimeError, match="time of .*jax.* failed with exit status 1"):
        worker.ask("time", machine.environment(1), side="jax", case={}, threads=1, seconds=0)


@pytest.mark.usefixtures("any_backend")
def test_the_process_of_fastlstm_does_without_torch() -> None:
    code = (
        "import sys; from benchmarks import worker;"
        f"worker.time_case('fastlstm', {asdict(TINY)}, 1, 0.0);"
        "assert 'torch' not in sys.modules"
    )
    subprocess.run([sys.executable, "-c", code], cwd=machine.ROOT, check=True)


def test_peak_gflops(monkeypatch: pytest.MonkeyPatch) -> None:
    torch = pytest.importorskip("torch")
    monkeypatch.setattr(machine, "PEAK_SIZES", (32, 64))
    before = torch.get_num_threads()
    found = worker.TASKS["peak"](["float32", "float64"], seconds=0.0)
    torch.set_num_threads(before)
    assert found.keys() == {"float32", "float64"}
    for by_library in found.values():
        assert by_library.keys() == {"numpy", "torch"}
        assert min(by_library.values()) > 0


def test_the_better_of_two_peaks_counts(monkeypatch: pytest.MonkeyPatch) -> None:
    peaks = iter(
        [{"float32": {"numpy": 5.0, "torch": 9.0}}, {"float32": {"numpy": 7.0, "torch": 8.0}}]
    )
    monkeypatch.setattr(ab, "ask", lambda *_, **__: next(peaks))
    result: dict[str, Any] = {"peak_gflops": {}}
    for _ in range(2):
        ab._measure_peak(result, [TINY], 2, ab._parse([]))
    assert result["peak_gflops"] == {"2": {"float32": {"numpy": 7.0, "torch": 9.0}}}


@pytest.mark.usefixtures("any_backend")
def test_one_tiny_round_writes_all_files(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    pytest.importorskip("torch")
    pytest.importorskip("matplotlib")

    def ask(task: str, environment: dict[str, str], **arguments: Any) -> Any:
        if task == "peak":  # two more processes that load torch; test_peak_gflops runs it here
            return {"float32": {"numpy": 50.0}}
        return worker.ask(task, environment, **arguments)

    monkeypatch.setattr(ab, "ask", ask)
    monkeypatch.setattr(ab, "select", lambda groups, only: [TINY])
    readme = tmp_path / "README.md"
    readme.write_text("<!-- benchmarks:ab --><!-- benchmarks:ab end -->")
    options = ["--rounds", "1", "--seconds", "0.01", "--threads", "1", "--readme", str(readme)]
    assert ab.main([*options, "--out", str(tmp_path / "out")]) == 0

    assert sorted(p.name for p in (tmp_path / "out").iterdir()) == ["ab.json", "ab.md", "ab.png"]
    result = json.loads((tmp_path / "out" / "ab.json").read_text())
    (entry,) = result["cases"]
    assert Case(**entry["case"]) == TINY
    assert 0 < entry["max_difference"]["gradients"] < 1e-4
    for side in ("fastlstm", "torch"):
        (samples,) = (r["samples_ms"] for r in entry["sides"][side]["rounds"])
        assert len(samples) >= 5
        assert min(samples) > 0
    assert result["versions"]["torch"]["version"]
    assert (tmp_path / "out" / "ab.md").read_text().strip() in readme.read_text()
