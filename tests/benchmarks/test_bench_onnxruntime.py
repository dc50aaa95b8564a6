"""ONNX Runtime as the other side: it agrees with fastlstm, and what it cannot run is told."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path
from typing import Any, TypeVar

import pytest

from benchmarks import ab, check, machine, report, sides, worker
from benchmarks.shapes import Case

T = TypeVar("T")

CASES = [
    replace(Case(mode, 3, 6, 5, 4), cell=cell, layers=layers, bidirectional=bidirectional)
    for mode, both in (("infer", (False, True)), ("step", (False,)))
    for cell in ("LSTM", "GRU", "RNN")
    for layers in (1, 2)
    for bidirectional in both
]
REFUSED = {
    "mode train": Case("train", 3, 6, 5, 4),
    "mode ragged": Case("ragged", 3, 6, 5, 4),
    "mode embedding": Case("embedding", 3, 6, 5, V=9),
    "no projection": Case("infer", 3, 6, 5, 4, proj=2),
    "LSTM has no float64": Case("infer", 3, 6, 5, 4, dtype="float64"),
    "RNN has no float64": Case("step", 3, 0, 5, 4, dtype="float64", cell="RNN"),
}


@pytest.fixture
def layer() -> Any:
    """The module under test, where its packages are."""
    pytest.importorskip("onnx")
    pytest.importorskip("onnxruntime")
    from benchmarks import onnxruntime_layer

    return onnxruntime_layer


def _apart(call: Callable[..., T], *arguments: Any, **options: Any) -> T:
    """Call in another thread: the first session flushes denormals in the thread that makes it."""
    with ThreadPoolExecutor(1) as pool:
        return pool.submit(call, *arguments, **options).result()


@pytest.mark.usefixtures("any_backend", "threads", "layer")
@pytest.mark.parametrize("case", CASES, ids=str)
def test_it_agrees_with_fastlstm(case: Case) -> None:
    found = _apart(check.check, case, 1, against="onnxruntime")
    assert found.outputs <= check.OUTPUT[case.rounding]
    assert found.gradients is None


@pytest.mark.usefixtures("any_backend", "threads", "layer")
@pytest.mark.parametrize("mode", ["infer", "step"])
def test_a_wrong_order_of_gates_is_refused(
    monkeypatch: pytest.MonkeyPatch, mode: str, layer: Any
) -> None:
    monkeypatch.setitem(layer.GATES, "LSTM", [0, 1, 2, 3])
    with pytest.raises(check.Mismatch, match="y differs from ONNX Runtime's"):
        _apart(check.check, Case(mode, 3, 6, 5, 4), 1, against="onnxruntime")


@pytest.mark.usefixtures("layer")
@pytest.mark.parametrize("reason", REFUSED)
def test_what_it_cannot_run_is_refused(reason: str) -> None:
    assert reason in sides.why_not("onnxruntime", REFUSED[reason])
    assert not sides.why_not("fastlstm", REFUSED[reason])
    with pytest.raises(ValueError, match=reason):
        sides.build("onnxruntime", REFUSED[reason], 1)


@pytest.mark.usefixtures("layer")
def test_such_cases_are_left_out_and_counted(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(ab, "select", lambda *_: [*CASES, *REFUSED.values()])
    assert ab._parse(["--against", "onnxruntime"]).cases == CASES
    told = f"{len(REFUSED)} of {len(CASES) + len(REFUSED)} cases left out: ONNX Runtime cannot"
    (line,) = capsys.readouterr().err.splitlines()
    assert line.startswith(told)
    assert ab._parse([]).cases == [*CASES, *REFUSED.values()]
    assert not capsys.readouterr().err


@pytest.mark.usefixtures("layer")
@pytest.mark.parametrize(
    ("argv", "message"),
    [
        (["--against", "jax"], "invalid choice: 'jax'"),
        (["--against", "onnxruntime", "--isa", "avx2"], "nothing holds ONNX Runtime to avx2"),
        (["--against", "onnxruntime", "--group", "ops"], "ONNX Runtime has no mode"),
    ],
)
def test_wrong_options_are_errors(
    argv: list[str], message: str, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit):
        ab._parse(argv)
    assert message in capsys.readouterr().err


@pytest.mark.parametrize("package", ["onnx", "onnxruntime"])
def test_a_missing_package_says_what_to_install(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], package: str
) -> None:
    monkeypatch.delitem(sys.modules, "benchmarks.onnxruntime_layer", raising=False)
    monkeypatch.setitem(sys.modules, package, None)
    with pytest.raises(SystemExit):
        ab._parse(["--against", "onnxruntime"])
    assert "pip install onnx onnxruntime" in capsys.readouterr().err


@pytest.mark.usefixtures("layer")
def test_each_comparison_has_a_folder_of_its_own() -> None:
    assert ab._parse([]).out == Path("build/ab")
    assert ab._parse(["--against", "onnxruntime"]).out == Path("build/onnxruntime")
    assert ab._parse(["--out", "elsewhere"]).out == Path("elsewhere")
    assert report.MARKER.keys() == sides.PEERS.keys()


@pytest.mark.usefixtures("any_backend", "layer")
def test_one_tiny_round_writes_all_files(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    pytest.importorskip("matplotlib")

    def ask(task: str, environment: dict[str, str], **arguments: Any) -> Any:
        if task == "peak":
            return {"float32": {"numpy": 50.0}}
        return worker.ask(task, environment, **arguments)

    monkeypatch.setattr(ab, "ask", ask)
    monkeypatch.setattr(ab, "select", lambda *_: [CASES[0], REFUSED["mode train"]])
    readme = tmp_path / "README.md"
    readme.write_text("<!-- benchmarks:onnxruntime --><!-- benchmarks:onnxruntime end -->")
    options = ["--against", "onnxruntime", "--rounds", "1", "--seconds", "0.01", "--threads", "1"]
    assert ab.main([*options, "--out", str(tmp_path), "--readme", str(readme)]) == 0

    result = json.loads((tmp_path / "ab.json").read_text())
    (entry,) = result["cases"]
    assert list(entry["sides"]) == ["fastlstm", "onnxruntime"]
    text = (tmp_path / "ab.md").read_text()
    assert "| fastlstm ms | ONNX Runtime ms |" in text
    version = result["versions"]["onnxruntime"]["version"]
    assert f"; ONNX Runtime {version}, denormals flushed;" in text
    assert "torch" not in text
    assert text.strip() in readme.read_text()


@pytest.mark.usefixtures("any_backend", "layer")
def test_its_process_does_without_torch() -> None:
    code = (
        "import sys; from benchmarks import worker;"
        "case = dict(mode='infer', B=2, T=3, I=4, H=5);"
        "worker.time_case('onnxruntime', case, 1, 0.0);"
        "assert 'torch' not in sys.modules"
    )
    subprocess.run([sys.executable, "-c", code], cwd=machine.ROOT, check=True)
