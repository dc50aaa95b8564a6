"""The benchmark of lower precision: the sides agree, what is left out, limits, the tables."""

from __future__ import annotations

import json
import platform
import shutil
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from benchmarks import bench_precision, check, machine
from benchmarks.shapes import Case, load
from benchmarks.sides import Results, why_not

INT8 = Case("infer", 3, 6, 5, 12, precision="int8")
SMALL = [
    INT8,
    Case("infer", 3, 6, 5, 12, precision="bfloat16"),
    Case("step", 2, 0, 5, 12, precision="int8"),
    Case("train", 3, 6, 5, 12, precision="bfloat16"),
    Case("train", 3, 6, 5, 12, cell="GRU", precision="bfloat16"),
    Case("ragged", 3, 24, 5, 12, precision="bfloat16"),
]


@pytest.mark.usefixtures("any_backend", "threads")
@pytest.mark.parametrize("case", SMALL, ids=str)
def test_torch_agrees(case: Case) -> None:
    pytest.importorskip("torch")
    found = check.check(case, 1)
    assert 0 < found.outputs < 0.05, "in float32 on one side, or a wrong layer"
    assert (found.gradients is None) == (case.mode in ("infer", "step"))


@pytest.mark.usefixtures("any_backend", "threads")
@pytest.mark.parametrize("case", [c for c in SMALL if c.precision == "int8"], ids=str)
def test_onnxruntime_agrees(case: Case) -> None:
    pytest.importorskip("onnxruntime")
    pytest.importorskip("onnx")
    assert 0 < check.check(case, 1, against="onnxruntime").outputs < 0.05


@pytest.mark.parametrize("precision", ["bfloat16", "int8"])
def test_a_wrong_output_is_found(precision: str) -> None:
    case = Case("infer", 3, 6, 5, 12, precision=precision)
    right = Results({"y": np.linspace(-1, 1, 12)}, {})
    check.compare(Results({"y": right.outputs["y"] + 0.05}, {}), right, case)
    with pytest.raises(check.Mismatch, match=f"{precision}: y differs"):
        check.compare(Results({"y": right.outputs["y"] + 0.15}, {}), right, case)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"mode": "train", "precision": "int8"}, "in which train cannot be run"),
        ({"mode": "infer", "precision": "int8", "dtype": "float64"}, "expected float32"),
        ({"mode": "cell", "precision": "bfloat16"}, "expected float32 of float32 and cell"),
        ({"mode": "infer", "precision": "int4"}, "precision is 'int4'"),
    ],
)
def test_a_wrong_case_is_named(options: dict[str, str], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        Case(B=1, T=2, I=3, H=4, **options)


def test_what_onnxruntime_lacks() -> None:
    pytest.importorskip("onnxruntime")
    pytest.importorskip("onnx")
    assert "no bfloat16" in why_not("onnxruntime", SMALL[1])
    gru = Case("infer", 1, 2, 3, 4, cell="GRU", precision="int8")
    assert "only LSTM" in why_not("onnxruntime", gru)


def test_every_precision_and_mode_is_measured() -> None:
    cases = [case for case, groups in load() if "precision" in groups]
    assert {(case.mode, case.precision) for case in cases} >= {
        ("infer", "bfloat16"), ("infer", "int8"), ("train", "bfloat16"), ("ragged", "bfloat16"),
        ("step", "int8"),
    }  # fmt: skip


@pytest.mark.skipif(platform.machine() not in ("x86_64", "AMD64"), reason="limit.c knows no other")
def test_limits_of_this_processor() -> None:
    if not shutil.which("cc"):
        pytest.skip("there is no C compiler")
    found = machine.limits()
    assert min(found.values(), default=0) >= 0
    flags = Path("/proc/cpuinfo").read_text(encoding="ascii").split()
    assert ("float32" in found) == ("fma" in flags)
    assert ("bfloat16" in found) == ("avx512_bf16" in flags)
    assert ("int8" in found) == ("avx512_vnni" in flags or "avx_vnni" in flags)
    if "int8" in found:
        assert found["int8"] > found["float32"]


def test_no_limits_without_a_compiler(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("CC", "/no/such/compiler -x")
    assert machine.limits() == {}
    assert "no limits: " in capsys.readouterr().err


def test_the_best_instruction_is_the_limit() -> None:
    found = {"float32": 100.0, "bfloat16": 50.0, "bfloat16 tiles": 1000.0}
    assert [machine.best_limit(found, p) for p in ("float32", "bfloat16", "int8")] == [100, 1000, 0]


MS = {  # of a case: 1 ms of ours in its precision
    "fastlstm": 1.0,
    "our float32": 2.0,
    "torch bfloat16": 3.0,
    "torch int8": 4.0,
    "ONNX Runtime int8": 5.0,
}


@pytest.fixture
def asked(monkeypatch: pytest.MonkeyPatch) -> list[dict[str, Any]]:
    """No processes: what would be asked of them. All that is asked takes as long as `MS` says."""
    pytest.importorskip("onnxruntime")
    pytest.importorskip("onnx")
    pytest.importorskip("torch")
    found: list[dict[str, Any]] = []
    sides = {of: name for name, of in bench_precision.OTHERS.items()}

    def ask(task: str, environment: dict[str, str], **arguments: Any) -> Any:
        assert environment["OMP_NUM_THREADS"] == str(arguments["threads"])
        found.append({"task": task, **arguments})
        if task == "check":
            return [{"flops": 2_000_000} for _ in arguments["cases"]]
        side, precision = arguments["side"], arguments["case"]["precision"]
        ms = MS[
            "fastlstm" if side == "fastlstm" != precision != "float32" else sides[side, precision]
        ]
        return {"samples_ms": [ms, ms, 9 * ms], "versions": {"version": "1.2"}}

    monkeypatch.setattr(bench_precision, "ask", ask)
    monkeypatch.setattr(bench_precision.machine, "limits", lambda: {"float32": 2.0, "int8": 4.0})
    cases = [INT8, SMALL[3]]
    monkeypatch.setattr(bench_precision, "select", lambda groups, only: cases)
    return found


def test_all_sides_take_turns_and_end_in_files(asked: list[Any], tmp_path: Path) -> None:
    readme = tmp_path / "README.md"
    readme.write_text(
        "<!-- benchmarks:precision summary -->\n<!-- benchmarks:precision summary end -->\n"
    )
    options = ["--threads", "1", "--rounds", "2", "--out", str(tmp_path), "--readme", str(readme)]
    assert bench_precision.main(options) == 0
    assert [a["against"] for a in asked if a["task"] == "check"] == ["torch", "onnxruntime"]
    timed = [(a["side"], a["case"]["precision"]) for a in asked if a["task"] == "time"]
    of_int8 = [("fastlstm", "int8"), ("fastlstm", "float32"), ("torch", "bfloat16")]
    of_int8 += [("torch", "int8"), ("onnxruntime", "int8")]
    assert timed[:5] == of_int8
    assert timed[8:13] == of_int8[::-1]
    lines = (tmp_path / "precision.md").read_text().splitlines()
    assert lines[2] == (
        f"| {INT8} | 1 | 1 (25%) | 2 (25%) | **2.00** | **3.00** | **4.00** | **5.00** |"
    )
    assert lines[3] == f"| {SMALL[3]} | 1 | 1 | 2 (25%) | **2.00** | **3.00** |  |  |"
    filled = readme.read_text()
    assert "| inference in int8, than torch int8 | 4.00 |" in filled
    assert "| training in bfloat16, than our float32 | 2.00 |" in filled
    assert "float32 2, int8 4" in filled
    assert json.loads((tmp_path / "precision.json").read_text())["cases"][0]["case"] == asdict(INT8)


@pytest.mark.usefixtures("asked")
def test_nothing_is_timed_if_a_case_differs(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    def ask(task: str, *_: Any, **arguments: Any) -> Any:
        assert task == "check"
        return [{"mismatch": "y differs from torch's"} for _ in arguments["cases"]]

    monkeypatch.setattr(bench_precision, "ask", ask)
    assert bench_precision.main(["--threads", "1", "--out", str(tmp_path / "out")]) == 1
    assert "not timed, as the sides differ: y differs" in capsys.readouterr().err
    assert not (tmp_path / "out").exists()
