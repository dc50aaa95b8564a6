"""`fastlstm compare` and `fastlstm info`."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

import pytest
from topics import TOPICS, read, rows, train, write_csv

import fastlstm
from fastlstm.cli import main
from fastlstm.runtime import runtime_info

pytestmark = pytest.mark.usefixtures("no_picture", "no_debug")


@pytest.fixture(scope="module")
def gru(tmp_path_factory: pytest.TempPathFactory, topics_csv: Path) -> Path:
    out = tmp_path_factory.mktemp("other") / "gru"
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("fastlstm.train.classifier.classify.draw_curves", lambda *_: False)
        train(topics_csv, out, cell="gru", epochs=3)
    return out


@pytest.fixture
def unfinished(three: Path, tmp_path: Path) -> Path:
    """A run as Ctrl-C after its second epoch leaves it."""
    shutil.copytree(three, tmp_path / "unfinished")
    (tmp_path / "unfinished" / "metrics.json").unlink()
    return tmp_path / "unfinished"


def told(capsys: pytest.CaptureFixture[str], *line: object) -> str:
    capsys.readouterr()
    assert main([str(word) for word in line]) == 0
    return capsys.readouterr().out


def test_differing_options_and_results(
    three: Path, gru: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    lines = [line.split() for line in told(capsys, "compare", three, gru).splitlines()]
    assert ["option", "three", "gru"] in lines
    assert ["cell", "lstm", "gru"] in lines
    assert ["epochs", "2", "3"] in lines
    assert not any(line[:1] == ["hidden_size"] for line in lines)
    accuracies = [f"{read(run / 'metrics.json')['test_accuracy']:.2%}" for run in (three, gru)]
    assert ["test", "accuracy", *accuracies] in lines


def test_json(three: Path, gru: Path, capsys: pytest.CaptureFixture[str]) -> None:
    runs = json.loads(told(capsys, "compare", three, gru, "--json"))["runs"]
    assert list(runs) == [str(three), str(gru)]
    assert runs[str(gru)]["options"] == {"cell": "gru", "epochs": 3}
    metrics = read(gru / "metrics.json")
    assert runs[str(gru)]["results"]["test_loss"] == metrics["test_loss"]
    assert runs[str(gru)]["results"]["finished"] is True


def test_runs_of_the_same_name_are_told_apart(
    three: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    copy = tmp_path / "three"
    shutil.copytree(three, copy)
    printed = told(capsys, "compare", three, copy)
    assert "all options are the same" in printed
    assert str(copy) in printed


def test_an_unfinished_run(
    three: Path, unfinished: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    printed = told(capsys, "compare", three, unfinished)
    assert ["state", "finished", "unfinished"] in [line.split() for line in printed.splitlines()]
    runs = json.loads(told(capsys, "compare", three, unfinished, "--json"))["runs"]
    results = runs[str(unfinished)]["results"]
    metrics = read(three / "metrics.json")
    assert results["test_accuracy"] is None
    assert results["validation_loss"] == metrics["validation_loss"]
    assert (results["best_epoch"], results["epochs"]) == (metrics["best_epoch"], 2)


def test_curves(
    three: Path, gru: Path, unfinished: Path, tmp_path: Path,
    capsys: pytest.CaptureFixture[str], topics_csv: Path,
) -> None:  # fmt: skip
    pytest.importorskip("matplotlib")
    train(topics_csv, tmp_path / "blind", validation=0)
    path = tmp_path / "a.png"
    told(capsys, "compare", three, gru, unfinished, tmp_path / "blind", "--plot", path)
    assert path.read_bytes().startswith(b"\x89PNG")


def test_wrong_use_of_compare(three: Path, misused: Any) -> None:
    for line in ([three], [three, three], [three, f"{three}/"]):
        assert "two or more runs" in misused("compare", *line)


def test_what_is_no_run(three: Path, tmp_path: Path, fails: Any) -> None:
    for line in (["compare", three, tmp_path], ["info", tmp_path], ["predict", tmp_path, "a"]):
        assert f"{tmp_path} holds no run: there is no config.json" in fails(*line)
    for line in (["info", tmp_path / "gone"], ["evaluate", tmp_path / "gone", "a.csv"]):
        assert f"{tmp_path / 'gone'} does not exist" in fails(*line)


def test_info_of_the_runtime(capsys: pytest.CaptureFixture[str]) -> None:
    assert json.loads(told(capsys, "info", "--json")) == runtime_info()
    printed = told(capsys, "info")
    assert f"version     {fastlstm.__version__}" in printed
    assert "threads " in printed


def test_info_of_a_run(three: Path, capsys: pytest.CaptureFixture[str]) -> None:
    metrics = read(three / "metrics.json")
    printed = told(capsys, "info", three)
    for text in (
        "finished, by fastlstm", "topics.csv, 90 texts", f"3: {', '.join(TOPICS)}",
        f"{metrics['parameters']:,}", f"accuracy {metrics['test_accuracy']:.2%}", "LSTM",
        "in both directions",
    ):  # fmt: skip
        assert text in printed
    found = json.loads(told(capsys, "info", three, "--json"))
    assert found["labels"] == list(TOPICS)
    assert found["metrics"] == metrics
    assert found["options"] == read(three / "config.json")
    assert found["parameters"] == metrics["parameters"]


def test_info_of_an_unfinished_run(unfinished: Path, capsys: pytest.CaptureFixture[str]) -> None:
    printed = told(capsys, "info", unfinished)
    assert f"unfinished, after 2 of 2 epochs; --resume {unfinished} goes on" in printed
    assert "3: music, sport, weather" in printed
    (unfinished / "metrics.jsonl").unlink()
    (unfinished / "model.safetensors").unlink()
    assert "after 0 of 2 epochs" in told(capsys, "info", unfinished)
    found = json.loads(told(capsys, "info", unfinished, "--json"))
    assert (found["finished"], found["labels"], found["metrics"]) == (False, None, None)


def test_runs_of_other_data_compare(
    three: Path, two: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    train(write_csv(tmp_path / ("long" * 20 + ".csv"), rows(60)), tmp_path / "run")
    printed = told(capsys, "compare", three, two, tmp_path / "run")
    assert max(map(len, printed.splitlines())) < 160


@pytest.mark.parametrize("damage", ["[", "[]", '{"epochs": 3}'])
def test_damaged_metrics(damage: str, three: Path, unfinished: Path, fails: Any) -> None:
    (unfinished / "metrics.json").write_text(damage)
    assert "metrics.json is damaged" in fails("compare", three, unfinished)
    shutil.copy(three / "metrics.json", unfinished)
    (unfinished / "metrics.jsonl").write_text(damage)
    assert "metrics.jsonl is damaged" in fails("info", unfinished)
