"""`train_imdb --compare`: its runs, files, table, budgets, interruption and errors."""

from __future__ import annotations

import io
import itertools
import json
import signal
import sys
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from tiny_imdb import SMALL, arguments, read, read_lines, timeless, train

from fastlstm.train import Listener
from fastlstm.train.classifier import classify
from fastlstm.train.comparison import compare as module
from fastlstm.train.comparison.report import Clock, draw_comparison, table, verdict
from fastlstm.train.history import History
from fastlstm.train.metrics import Running
from fastlstm.train_imdb import main

pytestmark = pytest.mark.usefixtures("own_cache", "threads")

NETS = ["rnn", "gru", "lstm", "bilstm"]
NAMES = ["nb-svm", *NETS]
RUN_FILES = {
    "config.json", "metrics.json", "metrics.jsonl", "vocab.json", "model.safetensors",
    "trained_texts.safetensors",
}  # fmt: skip


@pytest.fixture(autouse=True)
def no_pictures(monkeypatch: pytest.MonkeyPatch) -> None:
    """Leave out the pictures, which take longer than these trainings."""
    monkeypatch.setattr(classify, "draw_curves", lambda *_: False)
    monkeypatch.setattr(module, "draw_comparison", lambda *_: None)


@pytest.fixture
def libraries() -> None:
    """Skip where the libraries of a comparison are not there."""
    pytest.importorskip("sklearn")
    pytest.importorskip("matplotlib")


def words(data: Path, out: Path, **options: Any) -> list[str]:
    """The command line of a small comparison, of two epochs unless told otherwise."""
    return ["--compare", *arguments(data, out, **options)]


def weights(out: Path) -> dict[str, bytes]:
    return {name: (out / name / "model.safetensors").read_bytes() for name in NETS}


@pytest.fixture(scope="module")
def base(reviews: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of a comparison over two epochs."""
    pytest.importorskip("sklearn")
    pytest.importorskip("matplotlib")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("FASTLSTM_CACHE", str(tmp_path_factory.mktemp("cache")))
        patch.setattr(classify, "draw_curves", lambda *_: False)
        out = tmp_path_factory.mktemp("base") / "comparison"
        assert main(words(reviews, out)) == 0
    return out


def test_a_run_of_each_and_what_compares_them(base: Path) -> None:
    assert {path.name for path in base.iterdir()} == {*NAMES, "compare.json", "compare.png"}
    assert (base / "compare.png").read_bytes().startswith(b"\x89PNG")
    found = read(base / "compare.json")
    assert found["finished"] is True
    assert found["seconds"] == 0.0
    assert [model["name"] for model in found["models"]] == NAMES
    for model in found["models"]:
        metrics = read(base / model["name"] / "metrics.json")
        for name in ("test_accuracy", "validation_accuracy", "train_seconds", "parameters"):
            assert model[name] == metrics[name]
    for model in found["models"][1:]:
        out = base / model["name"]
        assert {path.name for path in out.iterdir()} == RUN_FILES
        lines = read_lines(out / "metrics.jsonl")
        assert [a for _, a in model["curve"]] == [line["validation_accuracy"] for line in lines]
        seconds = [sum(line["seconds"] for line in lines[: n + 1]) for n in range(len(lines))]
        assert [s for s, _ in model["curve"]] == pytest.approx(seconds)
        assert model["passes"] == 2.0


def test_nets_are_what_they_are_called(base: Path) -> None:
    kinds = {
        "rnn": ("rnn", 1, False),
        "gru": ("gru", 1, False),
        "lstm": ("lstm", 1, False),
        "bilstm": ("lstm", 2, True),
    }
    own = ("cell", "num_layers", "bidirectional")
    shared = []
    for name, kind in kinds.items():
        config = read(base / name / "config.json")
        assert tuple(config.pop(option) for option in own) == kind
        assert config["dropout"] == 0.3
        assert {k: config[k] for k in SMALL} == SMALL
        shared.append(config)
    assert all(config == shared[0] for config in shared)


@pytest.mark.parametrize("name", ["gru", "bilstm"])
def test_by_epochs_each_run_is_the_one_that_train_imdb_makes(
    name: str, base: Path, reviews: Path, tmp_path: Path
) -> None:
    config = read(base / name / "config.json")
    own = {k: config[k] for k in ("cell", "num_layers", "bidirectional")}
    metrics = train(reviews, tmp_path / "run", **own)
    assert (tmp_path / "run" / "model.safetensors").read_bytes() == weights(base)[name]
    found = timeless(read(base / name / "metrics.json"))
    assert {k: found[k] for k in timeless(metrics)} == timeless(metrics)


def test_the_bag_of_words_sees_the_same_reviews_uncut(base: Path) -> None:
    found, net = (read(base / name / "metrics.json") for name in ("nb-svm", "lstm"))
    config = read(base / "nb-svm" / "config.json")
    assert config["max_length"] == 0
    # every word is a feature, beyond the vocabulary of the nets
    assert found["parameters"] > 60 > SMALL["vocab_size"]
    assert found["test_accuracy"] > 0.7
    assert found["data"] == net["data"]


@pytest.mark.usefixtures("libraries")
def test_a_budget_of_seconds_is_the_same_for_each(
    reviews: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:  # fmt: skip
    monkeypatch.setattr(module, "MEASUREMENTS", 3)
    ticks = itertools.count()  # a reading of the clock comes 4 ms after the last
    clock = SimpleNamespace(perf_counter=lambda: 0.004 * next(ticks))
    monkeypatch.setattr("fastlstm.train.trainer.time", clock)
    out = tmp_path / "comparison"
    assert main(["--budget", "0.3", *words(reviews, out, epochs=None)]) == 0
    found = read(out / "compare.json")
    assert found["seconds"] == 0.3
    for model in found["models"][1:]:
        assert model["train_seconds"] == pytest.approx(0.3, abs=0.005)
        assert len(model["curve"]) == 3
        for n, (seconds, _) in enumerate(model["curve"]):
            assert seconds > 0.1 * (n + 1) - 1e-9
        assert read(out / model["name"] / "metrics.json")["budget_seconds"] == 0.3
    printed = capsys.readouterr().out
    assert "0.3 s of training for each net" in printed
    assert table(found["models"]) in printed
    assert verdict(found["models"]) in printed
    assert "NOT the full data" in printed.splitlines()[0]
    assert printed.count("do not compare") == 1


class PressCtrlC(Listener):
    """In place of the lines and the bar: Ctrl-C in the middle of the GRU."""

    def __init__(self, title: str, seconds: float, bar: bool) -> None:
        self._title = title

    def on_step(self, history: History) -> None:
        if self._title == "GRU" and history.step == 6:
            signal.raise_signal(signal.SIGINT)


@pytest.mark.usefixtures("libraries")
def test_ctrl_c_keeps_what_is_finished_and_resume_makes_the_rest(
    base: Path, reviews: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:  # fmt: skip
    out = tmp_path / "broken"
    with monkeypatch.context() as patch:
        patch.setattr(module, "Clock", PressCtrlC)
        assert main(words(reviews, out)) == 130
    assert f"train_imdb --resume {out}" in capsys.readouterr().err
    found = read(out / "compare.json")
    assert not found["finished"]
    assert [model["name"] for model in found["models"]] == ["nb-svm", "rnn"]
    assert (out / "gru" / "checkpoint.safetensors").exists()
    kept = {p: p.stat().st_mtime_ns for name in ("nb-svm", "rnn") for p in (out / name).iterdir()}
    assert main(words(reviews, out)) == 1
    assert "holds an unfinished comparison; --resume it" in capsys.readouterr().err
    assert main(["--resume", str(out), "--threads", "1", "--no-progress"]) == 0  # no --compare
    assert {path: path.stat().st_mtime_ns for path in kept} == kept
    assert weights(out) == weights(base)
    ours, theirs = (read(path / "compare.json")["models"] for path in (out, base))
    assert [m["test_accuracy"] for m in ours] == [m["test_accuracy"] for m in theirs]


def test_a_finished_comparison_is_left_alone(
    base: Path, reviews: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    before = {p: p.stat().st_mtime_ns for p in base.rglob("*")}
    assert main(["--compare", "--resume", str(base)]) == 0
    printed = capsys.readouterr().out
    assert "is finished" in printed
    assert table(read(base / "compare.json")["models"]) in printed
    assert main(words(reviews, base)) == 1
    assert "holds a finished comparison" in capsys.readouterr().err
    assert main(arguments(reviews, base)) == 1  # one model
    assert "holds a comparison" in capsys.readouterr().err
    assert {p: p.stat().st_mtime_ns for p in base.rglob("*")} == before


@pytest.mark.usefixtures("libraries")
def test_overwrite_trains_everything_again(reviews: Path, tmp_path: Path) -> None:
    out = tmp_path / "comparison"
    small = {"epochs": 1, "hidden_size": 2}
    assert main(words(reviews, out, **small)) == 0
    before = weights(out)
    assert main([*words(reviews, out, seed=5, **small), "--overwrite"]) == 0
    assert all(weights(out)[name] != before[name] for name in NETS)
    assert read(out / "compare.json")["config"]["seed"] == 5


def test_other_options_or_data_are_refused_at_resuming(
    base: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out = tmp_path / "unfinished"
    out.mkdir()
    found = read(base / "compare.json")
    (out / "compare.json").write_text(json.dumps({**found, "finished": False}))
    for options, message in (
        (["--hidden-size", "7"], "--hidden-size is 7, but the comparison in"),
        (["--budget", "60"], "has a budget of 2 epochs, and keeps it"),
        (["--epochs", "3"], "--epochs is 3, but the comparison in"),
    ):
        with pytest.raises(SystemExit) as caught:
            main(["--resume", str(out), *options])
        assert caught.value.code == 2
        assert message in capsys.readouterr().err
    assert main(["--resume", str(out), "--data", "sample"]) == 1
    assert "compares on other reviews than the bundled sample" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (["--cell", "gru"], "--cell and --compare exclude each other"),
        (["--num-layers", "2"], "--num-layers and --compare exclude each other"),
        (["--no-bidirectional"], "--bidirectional and --compare exclude each other"),
        (["--patience", "3"], "--patience and --compare exclude each other"),
        (["--validation", "0"], "--validation must not be 0"),
        (["--budget", "60", "--epochs", "3"], "--budget and --epochs exclude each other"),
        (["--budget", "0"], "--budget is 0, expected more than 0"),
        (["--budget", "inf"], "--budget is inf, expected more than 0 and finite"),
        (["--budget", "nan"], "--budget is nan"),
        (["--lr", "0"], "--lr is 0.0, expected more than 0"),
        (["--vectors", "v.txt"], "--vectors and --compare exclude each other"),
    ],
)
def test_options_that_contradict_a_comparison(
    options: list[str], message: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out = tmp_path / "comparison"
    with pytest.raises(SystemExit) as caught:
        main(["--compare", "--data", "sample", "--out", str(out), *options])
    assert caught.value.code == 2
    assert message in capsys.readouterr().err
    assert not out.exists()


def test_a_budget_is_for_comparisons(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        main(["--budget", "60"])
    assert "needs --compare" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("missing", "message"),
    [
        (["sklearn"], "needs scikit-learn: pip install 'fastlstm[sklearn]'"),
        (["matplotlib"], "needs matplotlib: pip install 'fastlstm[plot]'"),
        (["sklearn", "matplotlib"], "scikit-learn and matplotlib: pip install 'fastlstm[sklearn,"),
    ],
)
def test_missing_libraries_are_told_before_anything_is_trained(
    missing: list[str], message: str, reviews: Path, tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str],
) -> None:  # fmt: skip
    there = {name for name in module.EXTRAS if name not in missing}
    monkeypatch.setattr(module, "find_spec", lambda name: name if name in there else None)
    out = tmp_path / "comparison"
    assert main(words(reviews, out)) == 1
    told = capsys.readouterr().err.strip().splitlines()
    assert len(told) == 1
    assert message in told[0]
    assert not out.exists()


@pytest.mark.usefixtures("libraries")
def test_a_net_that_diverges_is_named(
    reviews: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out = tmp_path / "comparison"
    assert main(words(reviews, out, lr=1e300, dtype="float64", clip=0)) == 1
    told = capsys.readouterr().err  # tanh of anything is at most 1: the plain RNN goes on
    assert "error: GRU: " in told
    assert "after 0 epochs" in told
    assert (out / "rnn" / "metrics.json").exists()


@pytest.mark.parametrize("text", ["{", "[]", '{"finished": true}'])
def test_a_damaged_file(text: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "compare.json").write_text(text)
    assert main(["--resume", str(tmp_path)]) == 1
    assert "compare.json is damaged or of another version" in capsys.readouterr().err


def test_folders_of_the_other_kind(
    reviews: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["--compare", "--resume", str(tmp_path)]) == 1
    assert "holds no comparison to resume" in capsys.readouterr().err
    (tmp_path / "config.json").write_text("{}")
    assert main(words(reviews, tmp_path)) == 1
    assert "holds a run of one model" in capsys.readouterr().err


def result(name: str, accuracy: float, **more: Any) -> dict[str, Any]:
    return {
        "name": name,
        "title": module.TITLES[name],
        "test_accuracy": accuracy,
        "validation_accuracy": accuracy + 0.01,
        "train_seconds": 61.25,
        "passes": 2.5,
        "parameters": 1234567,
        "words_per_second": 654321.0,
        "best_epoch": 2,
        "curve": [[10.0, 0.5], [61.25, accuracy + 0.01]],
        **more,
    }


def results() -> list[dict[str, Any]]:
    bag = result("nb-svm", 0.905, curve=[[8.0, 0.92]], best_epoch=1)
    return [bag, *(result(name, 0.85 + 0.02 * n) for n, name in enumerate(NETS))]


def test_table_has_the_most_accurate_first() -> None:
    lines = table(results()).splitlines()
    assert len({len(line) for line in lines}) == 1
    order = ["BiLSTM, 2 layers", "bag of words (NB-SVM)", "LSTM", "GRU", "plain RNN"]
    assert [line.split("  ")[0] for line in lines[2:]] == order
    assert lines[4].split() == "LSTM 89.00% 90.00% 61.2 2.50 1,234,567 654,321".split()


@pytest.mark.parametrize(
    ("accuracy", "expected"),
    [
        (0.9, "BiLSTM, 2 layers, the best net by validation, is 1.00 points above the bag"),
        (0.95, "BiLSTM, 2 layers, the best net by validation, is 4.00 points below the bag"),
        (0.91, "BiLSTM, 2 layers and the bag of words classify equally many"),
    ],
)
def test_it_says_plainly_where_the_bag_of_words_wins(accuracy: float, expected: str) -> None:
    bag, *nets = results()
    assert verdict([{**bag, "test_accuracy": accuracy}, *nets]).startswith(expected)
    lucky = {**nets[0], "test_accuracy": 0.99}  # the test part does not choose the best net
    assert verdict([{**bag, "test_accuracy": accuracy}, lucky, *nets[1:]]).startswith(expected)


@pytest.mark.usefixtures("libraries")
@pytest.mark.parametrize("count", [1, 2, 5])
def test_the_picture_is_drawn_of_any_number_of_models(count: int, tmp_path: Path) -> None:
    draw_comparison(tmp_path / "a.png", results()[:count], "the data")
    assert (tmp_path / "a.png").read_bytes().endswith(b"IEND\xaeB`\x82")


@pytest.mark.usefixtures("libraries")
def test_the_picture_shows_each_measurement_and_an_accuracy_of_one(tmp_path: Path) -> None:
    from unittest.mock import patch

    from matplotlib.axes import Axes

    perfect = result("gru", 0.99, curve=[[1.0, 0.9], [2.0, 1.0]])
    with patch.object(Axes, "plot", autospec=True, side_effect=Axes.plot) as plot:
        draw_comparison(tmp_path / "a.png", [results()[0], perfect], "the data")
    drawn = [(call.args[1], call.args[2]) for call in plot.call_args_list]
    assert ([1.0, 2.0], pytest.approx([0.1, 0.002])) in drawn
    assert ([8.0], pytest.approx([0.08])) in drawn


@pytest.mark.parametrize("seconds", [0.0, 10.0])
def test_the_bar_goes_over_the_budget(seconds: float, monkeypatch: pytest.MonkeyPatch) -> None:
    shown = io.StringIO()
    monkeypatch.setattr(sys, "stderr", shown)
    clock, history = Clock("GRU", seconds, bar=True), History(step=2)
    history.running.seconds = 5.0
    clock.on_start(history, steps_per_epoch=4, epochs=2)
    assert clock._bar is not None
    assert (clock._bar.n, clock._bar.total) == ((5.0, 10.0) if seconds else (2, 8))
    history.step, history.running = 9, Running(correct=1, examples=2, seconds=11.0)
    clock.on_step(history)
    assert clock._bar.n == clock._bar.total  # not beyond
    clock.on_stop()
    assert clock._bar is None
