"""The benchmark of whole models: all sides agree, what differs is not timed, tables."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterator
from dataclasses import replace
from importlib import import_module
from pathlib import Path
from typing import Any

import numpy as np
import pytest

torch = pytest.importorskip("torch")

from benchmarks import bench_models, model_sides, models, worker  # noqa: E402
from benchmarks.models.task import Task  # noqa: E402

TASKS = {name: replace(task, sizes=task.small) for name, task in models.tasks().items()}
INFERS = [name for name, task in TASKS.items() if not task.trains]
EXPORTED = "forecaster, inference"  # of two shapes
COMPILED = "character model, training"

pytestmark = pytest.mark.usefixtures("any_backend", "threads")


@pytest.fixture(autouse=True)
def small_tasks(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Small sizes, and a compiler that makes no machine code."""
    for module in (models, model_sides, bench_models):
        monkeypatch.setattr(module, "tasks", lambda: TASKS)
    monkeypatch.setattr(model_sides, "BACKEND", "eager")
    yield
    model_sides.build.cache_clear()


@pytest.fixture
def results(tmp_path: Path) -> Callable[[str, str], Any]:
    """Return what runs the first step of a side of a task and reads what it saved."""

    def run(side: str, name: str) -> Any:
        path = str(tmp_path / "found.npz")
        answer = worker.TASKS["model_first"](side, name, 1, path)
        assert "why_not" not in answer, answer["why_not"]
        assert answer["versions"]["version"]
        return model_sides.saved(path)

    return run


def _agree(results: Callable[[str, str], Any], side: str, name: str) -> dict[str, float]:
    both = {each: results(each, name) for each in ("torch", side)}
    return bench_models.compare(both, side, name)


@pytest.mark.parametrize("name", TASKS)
def test_fastlstm_agrees_in_a_model(name: str, results: Callable[[str, str], Any]) -> None:
    found = _agree(results, "fastlstm", name)
    assert ("gradients" in found) == TASKS[name].trains
    swapped = [
        type(m).__module__
        for m in model_sides.build("fastlstm", name, 1).model.modules()
        if isinstance(m, (torch.nn.RNNBase, torch.nn.RNNCellBase))
    ]
    assert swapped
    assert all(module.startswith("fastlstm") for module in swapped)


@pytest.mark.parametrize(
    "name", [n if n == EXPORTED else pytest.param(n, marks=pytest.mark.slow) for n in INFERS]
)
def test_onnxruntime_agrees_in_a_model(name: str, results: Callable[[str, str], Any]) -> None:
    pytest.importorskip("onnxruntime")
    pytest.importorskip("onnx")
    assert _agree(results, "onnxruntime", name)["outputs"] < 1e-5


@pytest.mark.filterwarnings("ignore:The .grad attribute of a Tensor")  # the compiler's own
@pytest.mark.parametrize("side", ["torch-compiled", "fastlstm-compiled"])
@pytest.mark.parametrize(
    "name", [n if n == COMPILED else pytest.param(n, marks=pytest.mark.slow) for n in TASKS]
)
def test_compiled_models_agree(name: str, side: str, results: Callable[[str, str], Any]) -> None:
    torch.compiler.reset()
    _agree(results, side, name)


@pytest.mark.parametrize(
    "name", ["tagger, training", "speech decoder, training", "recurrent policy, training"]
)
def test_the_recurrent_part_is_the_modules_own(name: str) -> None:
    """Run alone it leaves the gradients that the whole step leaves in the recurrent modules."""
    model, step, part = model_sides.build("torch", name, 1)
    step()
    recurrent = (torch.nn.RNNBase, torch.nn.RNNCellBase)
    modules = {n: m for n, m in model.named_modules() if isinstance(m, recurrent)}
    expected = {
        (name, key): parameter.grad.clone()
        for name, module in modules.items()
        for key, parameter in module.named_parameters()
    }
    model.zero_grad()
    assert part is not None
    for _ in range(2):  # nothing adds up
        part()
        for (name, key), gradient in expected.items():
            found = modules[name].get_parameter(key).grad
            torch.testing.assert_close(found, gradient, rtol=1e-4, atol=1e-6)


def test_the_recurrent_part_of_inference_has_all_calls() -> None:
    name = "transducer, inference"
    _, step, part = model_sides.build("torch", name, 1)
    labels = step()["labels"]
    made: Any = part and part()
    assert len(made) == 3 * (1 + len(labels))  # y, h and c of each call
    torch.testing.assert_close(made[-1], step()["c"])


def test_every_file_has_its_source_and_tasks() -> None:
    folder = Path(models.__file__).parent
    files = {path.stem for path in folder.glob("*.py")} - {"__init__", "task"}
    assert set(models.MODELS.values()) == files
    assert len(files) == 10
    for file in files:
        module = import_module(f"benchmarks.models.{file}")
        assert re.search(r", (19|20)\d\d\b", module.__doc__ or ""), file
        assert all(isinstance(task, Task) for task in module.TASKS)
        for task in module.TASKS:
            assert "{" not in task.described()
            assert task.sizes.keys() == task.small.keys()


class Here:
    """In the place of a process of its own: this one, and no clock."""

    asked: list[tuple[str, str, str]] = []
    wrong: tuple[str, str] = ("", "")  # side and array
    ms = {
        "torch": 6.0, "fastlstm": 3.0, "torch-compiled": 5.0, "fastlstm-compiled": 2.0,
        "onnxruntime": 4.0,
    }  # fmt: skip

    def __init__(self, environment: dict[str, str]) -> None:
        assert environment["OMP_NUM_THREADS"] == "1"

    def __enter__(self) -> Here:
        return self

    def __exit__(self, *_: object) -> None: ...

    def ask(self, task: str, side: str, name: str, threads: int, **more: Any) -> Any:
        self.asked.append((task, side, name))
        if task == "model_time":
            ms = self.ms[side]
            return {"ms": ms, "part_ms": ms - 2} if side in model_sides.EAGER else {"ms": ms}
        if side == "onnxruntime" and name.startswith("speaker"):
            return {"why_not": "NoExporter: of this one"}
        arrays = {"y": np.ones(3)}
        if name.endswith("training"):
            arrays[f"{model_sides.GRADIENT}w"] = np.ones(3)
        if side == self.wrong[0]:
            arrays[self.wrong[1]][0] += 0.01
        np.savez(more["path"], **arrays)
        return {"seconds": 1.25, "versions": {"version": "1.2"}}


@pytest.fixture
def here(monkeypatch: pytest.MonkeyPatch) -> type[Here]:
    pytest.importorskip("onnxruntime")
    pytest.importorskip("onnx")
    monkeypatch.setattr(bench_models, "Kept", Here)
    monkeypatch.setattr(Here, "asked", [])
    return Here


def test_sides_of_models_take_turns_and_end_in_files(here: type[Here], tmp_path: Path) -> None:
    readme = tmp_path / "README.md"
    readme.write_text(
        "<!-- benchmarks:models summary -->\n<!-- benchmarks:models summary end -->\n"
    )
    options = ["--only", "speech", "--threads", "1", "--rounds", "2", "--out", str(tmp_path)]
    assert bench_models.main([*options, "--readme", str(readme)]) == 0
    infers, trains = "speech decoder, inference", "speech decoder, training"
    sides = list(model_sides.SIDES)
    of = [side for task, side, name in here.asked if (task, name) == ("model_time", infers)]
    assert of == sides + sides[::-1]
    of = [side for task, side, name in here.asked if (task, name) == ("model_first", trains)]
    assert of == sides[:-1]
    lines = (tmp_path / "models.md").read_text().splitlines()
    assert lines[2] == (
        f"| {infers} | 3 frames, one text of 5 | 1 | 6 | 3 | **2.00** (2.00 to 2.00) | 4 / 1 "
        "| **4.00** (4.00 to 4.00) | 5 (1.2 s) | 2 (1.2 s) | 4 |"
    )
    assert lines[3].endswith("| 5 (1.2 s) | 2 (1.2 s) |  |")
    assert all(line.count("|") == lines[0].count("|") for line in lines[:4])
    filled = readme.read_text()
    assert "| training, recurrent part than torch, 1 model | 4.00 |" in filled
    assert "| inference, both compiled, 1 model | 2.50 |" in filled
    assert "| inference, than ONNX Runtime, 1 model | 1.33 |" in filled
    case = json.loads((tmp_path / "models.json").read_text())["cases"][1]
    assert case["max_difference"]["fastlstm"] == {"outputs": 0, "gradients": 0}


def test_what_cannot_be_exported_is_told(here: type[Here], tmp_path: Path) -> None:
    options = ["--only", "speaker", "--threads", "1", "--rounds", "1", "--out", str(tmp_path)]
    assert bench_models.main(options) == 0
    table = (tmp_path / "models.md").read_text()
    assert "| left out |" in table
    assert "ONNX Runtime of speaker segmenter, inference: NoExporter: of this one." in table


@pytest.mark.parametrize(
    ("wrong", "told"),
    [
        (("fastlstm", "y"), "text reader, training, fastlstm: y differs from torch's by 0.01"),
        (("torch-compiled", "gradient of w"), "torch compiled: gradient of w differs from torch's"),
    ],
)
def test_no_model_is_timed_if_a_side_differs(
    here: type[Here], wrong: tuple[str, str], told: str, tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str],
) -> None:  # fmt: skip
    monkeypatch.setattr(Here, "wrong", wrong)
    options = ["--only", "reader, training", "--threads", "1", "--out", str(tmp_path / "out")]
    assert bench_models.main(options) == 1
    assert told in capsys.readouterr().err
    assert not (tmp_path / "out").exists()
    assert not [asked for asked in here.asked if asked[0] == "model_time"]


def test_what_cannot_be_compiled_is_told_and_what_must_run_fails(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    name, path = "tagger, training", str(tmp_path / "found.npz")

    def refuse(*_: Any, **__: Any) -> None:
        raise ValueError("not this one\nand more")

    monkeypatch.setattr(torch, "compile", refuse)
    answer = model_sides.first("torch-compiled", name, 1, path)
    assert answer == {"why_not": "ValueError: not this one"}
    monkeypatch.setattr(torch.nn.LSTM, "forward", refuse)
    with pytest.raises(ValueError, match="not this one"):
        model_sides.first("torch", name, 1, path)


def test_a_step_and_its_part_are_timed() -> None:
    found = worker.TASKS["model_time"]("fastlstm", "anomaly autoencoder, training", 1, 0.001)
    assert found["ms"] > 0
    assert found["part_ms"] > 0
    compiled = "torch-compiled", "anomaly autoencoder, inference", 1, 0.001
    assert worker.TASKS["model_time"](*compiled).keys() == {"ms"}


@pytest.mark.parametrize(
    ("options", "told"),
    [
        (("--rounds", "0"), "0 is not positive"),
        (("--threads", "-1"), "-1 is not positive"),
        (("--only", "nothing"), "no case holds 'nothing': text reader, inference; "),
        (("--against", "jax"), "invalid choice: 'jax'"),
    ],
)
def test_wrong_options_of_models_are_errors(
    options: tuple[str, ...], told: str, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit):
        bench_models.main(options)
    assert told in capsys.readouterr().err


def test_a_process_stays_for_many_tasks() -> None:
    environment = bench_models.machine.environment(1)
    with worker.Kept(environment) as process:
        assert process.ask("peak", dtypes=[], seconds=0) == {}
        assert process.ask("peak", dtypes=[], seconds=0) == {}
    with worker.Kept(environment) as process:
        with pytest.raises(RuntimeError, match="no such task of .* failed with exit status 1"):
            process.ask("no such task")
