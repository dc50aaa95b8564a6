"""`fastlstm compare` and the summary of a run: the parts of a joined run beside each other."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

import pytest
from topics import read, train

from fastlstm.cli import compare, main
from fastlstm.train.classifier import results, run_curves
from fastlstm.train.classifier.loaded_run import read_record
from fastlstm.train.classifier.report import summary
from fastlstm.train.classifier.run_curves import draw_runs

pytestmark = pytest.mark.usefixtures("no_picture", "no_debug")

TEXTS = ("test", "validation")


@pytest.fixture(scope="module")
def runs(topics_csv: Path, three: Path, tmp_path_factory: pytest.TempPathFactory) -> list[Path]:
    """A joined run, a linear one, and that of a net."""
    folder = tmp_path_factory.mktemp("parts")
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("fastlstm.train.classifier.classify.draw_curves", lambda *_: False)
        for parts in ("joined", "linear"):
            train(topics_csv, folder / parts, parts=parts)
    return [folder / "joined", folder / "linear", three]


def lines_of(capsys: pytest.CaptureFixture[str], *paths: Path) -> list[list[str]]:
    capsys.readouterr()
    assert main(["compare", *map(str, paths)]) == 0
    return [line.split() for line in capsys.readouterr().out.splitlines()]


def percent(metrics: dict[str, Any], *names: str) -> list[str]:
    return [f"{metrics[name]:.2%}" for name in names]


def test_the_parts_are_below_the_joined_accuracy(
    runs: list[Path], capsys: pytest.CaptureFixture[str]
) -> None:
    lines, metrics = lines_of(capsys, *runs), [read(run / "metrics.json") for run in runs]
    for texts in TEXTS:
        whole = [f"{run[f'{texts}_accuracy']:.2%}" for run in metrics]
        at = lines.index([texts, "accuracy", *whole])
        net, linear = percent(metrics[0], *(f"{p}_{texts}_accuracy" for p in ("net", "linear")))
        assert lines[at + 1] == ["net", "alone", net, "-", "-"]
        assert lines[at + 2] == ["linear", "alone", linear, "-", "-"]
    assert ["net", "share", f"{metrics[0]['net_share']:.2f}", "0.00", "-"] in lines


def test_an_earlier_joined_run_has_dashes(
    runs: list[Path], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    earlier = Path(shutil.copytree(runs[0], tmp_path / "earlier"))
    metrics = read(earlier / "metrics.json")
    (net,) = percent(metrics, "net_test_accuracy")
    for part in ("net", "linear"):
        del metrics[f"{part}_test_accuracy"]
    (earlier / "metrics.json").write_text(json.dumps(metrics))
    lines = lines_of(capsys, runs[0], earlier)
    assert ["net", "alone", net, "-"] in lines


def test_an_unfinished_joined_run_has_its_net(runs: list[Path], tmp_path: Path) -> None:
    path = Path(shutil.copytree(runs[0], tmp_path / "unfinished"))
    net = read(path / "metrics.json")["net_validation_accuracy"]
    (path / "metrics.json").unlink()
    shown = compare.results(read_record(path))
    assert shown["net_validation_accuracy"] == shown["validation_accuracy"] == net
    assert shown["linear_validation_accuracy"] is None


def test_the_picture_has_the_parts(
    runs: list[Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    pytest.importorskip("matplotlib")
    copy = Path(shutil.copytree(runs[0], tmp_path / "joined"))
    changed = {"validation_accuracy": 0.75, "linear_validation_accuracy": 0.5}
    (copy / "metrics.json").write_text(json.dumps(read(copy / "metrics.json") | changed))
    runs = [copy, *runs[1:]]
    figures: list[Any] = []
    monkeypatch.setattr(run_curves, "to_png", lambda figure: figures.append(figure) or b"")
    draw_runs([read_record(run) for run in runs], ["joined", "linear", "net"])
    (legend,) = figures[0].legends
    assert [text.get_text() for text in legend.get_texts()] == ["joined", "linear", "net"]
    assert "diamond" in legend.get_title().get_text()
    joined, linear = (read(run / "metrics.json") for run in runs[:2])
    accuracy = figures[0].axes[1]
    diamonds = [line for line in accuracy.lines if line.get_marker() == "D"]
    assert [list(line.get_ydata()) for line in diamonds] == [[joined["validation_accuracy"]]]
    dotted = [line.get_ydata()[0] for line in accuracy.lines
              if line.get_linestyle() == ":" and len(line.get_ydata())]  # fmt: skip
    assert dotted == [joined["linear_validation_accuracy"], linear["validation_accuracy"]]
    draw_runs([read_record(runs[2])], ["net"])
    assert "diamond" not in figures[1].legends[0].get_title().get_text()


def test_the_summary_has_the_parts(runs: list[Path]) -> None:
    metrics = read(runs[0] / "metrics.json")
    for texts in TEXTS:
        net, linear = percent(metrics, *(f"{p}_{texts}_accuracy" for p in ("net", "linear")))
        lines = summary(metrics, "texts").splitlines()
        assert f"net alone      {net}" in lines
        assert f"linear alone   {linear}" in lines
        metrics["test_accuracy"] = None  # as of a run without texts to test on
        for part in ("net", "linear"):
            metrics.pop(f"{part}_test_accuracy", None)
    assert f"validation     {percent(metrics, 'validation_accuracy')[0]}" in lines
    assert "alone" not in summary(read(runs[1] / "metrics.json"), "texts")


def test_the_parts_are_measured_in_one_pass(
    topics_csv: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    calls = []
    evaluate = results.evaluate
    monkeypatch.setattr(results, "evaluate", lambda *a, **b: calls.append(1) or evaluate(*a, **b))
    train(topics_csv, tmp_path / "run", parts="joined")
    assert calls == [1]
