"""``fastlstm tune`` of forecasts: what trials are judged by, the best run, and every refusal."""

from __future__ import annotations

import json
import shlex
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from studies import check_begun_anew, shown, stop_in_the_second_trial
from studies import tune as run
from test_cli_forecast import lines, write
from topics import read, rows, write_csv

from fastlstm.cli import main
from fastlstm.tune import tune, worker
from fastlstm.tune.folder import TuneFolder
from fastlstm.tune.shared import DataChangedError
from fastlstm.tune.storage import ask, opened
from fastlstm.tune.subject import SERIES, TEXTS

pytest.importorskip("optuna", reason="needs the extra tune")

pytestmark = pytest.mark.usefixtures("no_debug", "no_pictures")
OF_SERIES = ["--time", "hour", "--target", "load", "--horizon", "6", "--epochs", "3",
             "--batch-size", "16"]  # fmt: skip
SEARCH = ["--search", "lr=0.002:0.05:log", "hidden=4,8", "context=8:24:8"]
TRIALS = 3


def leave_out(patch: pytest.MonkeyPatch) -> None:
    """Leave out what takes long and is tested elsewhere: pictures, trees beside the forecast."""
    patch.setattr("fastlstm.tune.study.draw_study", lambda *_: True)
    patch.setattr("fastlstm.forecast.picture.draw_run", lambda *_: None)
    patch.setattr("fastlstm.forecast.run.boosted", lambda *_: None)


@pytest.fixture
def no_pictures(monkeypatch: pytest.MonkeyPatch) -> None:
    leave_out(monkeypatch)


def trials(folder: Path, capsys: pytest.CaptureFixture[str]) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = shown(folder, capsys)["trials"]
    return found


@pytest.fixture(scope="module")
def line(tmp_path_factory: pytest.TempPathFactory) -> list[object]:
    data = write(tmp_path_factory.mktemp("series") / "load.csv", lines(300))
    return [data, *OF_SERIES, *SEARCH, "--trials", TRIALS, "--pruner", "none", "--no-progress"]


@pytest.fixture(scope="module")
def done(tmp_path_factory: pytest.TempPathFactory, line: list[object]) -> Path:
    """The folder of a finished study."""
    out = tmp_path_factory.mktemp("studies") / "study"
    with pytest.MonkeyPatch.context() as patch:
        leave_out(patch)
        assert run(*line, "--out", out) == 0
    return out


def test_the_best_trial_is_the_run_of_its_command(
    done: Path, line: list[object], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    found = trials(done, capsys)
    assert [trial["state"] for trial in found] == ["complete"] * TRIALS
    best = min(found, key=lambda trial: float(trial["mae"]))
    assert found[0]["options"]["lr"] == 0.002  # the usual one
    assert all(trial["accuracy"] is None and trial["epochs"] == 3 for trial in found)
    folder = TuneFolder(done)
    kept = folder.best.read_metrics()
    assert kept["trial"] == best["number"]
    assert kept["validation_mae"] == best["mae"]
    assert [folder.trial(n).model.exists() for n in range(TRIALS)] == [
        n == best["number"] for n in range(TRIALS)
    ]
    assert not any(folder.trial(n).forecast.exists() for n in range(TRIALS))

    capsys.readouterr()
    assert run(*line, "--out", done) == 0
    told = capsys.readouterr().out.split("as a command: ")[1].splitlines()[0]
    command = shlex.split(told)
    assert command[:2] == ["fastlstm", "forecast"]
    assert main([*command[1:], "--out", str(tmp_path / "run")]) == 0
    assert read(tmp_path / "run" / "metrics.json")["models"] == kept["models"]
    here, there = (path / "forecast.csv" for path in (tmp_path / "run", folder.best.path))
    assert here.read_bytes() == there.read_bytes()
    assert main(["forecast", "--from", str(folder.best.path), str(line[0])]) == 0
    assert run("--show", done) == 0
    shown = capsys.readouterr().out.splitlines()
    assert f"test MAE {kept['models']['fastlstm']['mae']:.4g}" in shown[-1]


def test_trials_see_nothing_of_the_test(
    done: Path, line: list[object], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    table = lines(300)
    for row in table[240:]:  # the last fifth
        row[1] = f"{999 - float(row[1]):.3f}"
    data = write(tmp_path / "load.csv", table)
    assert run(data, *line[1:], "--out", tmp_path / "other") == 0
    assert trials(tmp_path / "other", capsys) == trials(done, capsys)
    assert read(tmp_path / "other" / "best" / "metrics.json") != read(
        done / "best" / "metrics.json"
    )


@pytest.mark.parametrize("by", ["mae", "loss"])
def test_epochs_are_told_in_the_units_of_the_result(
    by: str, line: list[object], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("fastlstm.forecast.net.GAIN", -1)  # each net is kept, be it good or not
    monkeypatch.setattr("fastlstm.forecast.net.CHANCE", -1)
    monkeypatch.setattr("fastlstm.forecast.calibration.NARROWEST", 1.0)  # and its bands
    monkeypatch.setattr("fastlstm.forecast.calibration.WIDEST", 1.0)
    table = lines(200)
    for row in table:
        row[1] = f"{7 * (float(row[1]) - 10):.3f}"  # no roots and logarithms of these
    data = write(tmp_path / "load.csv", table)
    assert run(data, *line[1:], "--trials", "2", "--by", by, "--out", tmp_path / "study") == 0
    folder = TuneFolder(tmp_path / "study")
    plan, _, _ = folder.read()
    with opened(folder.database, plan) as study:
        told = [trial.intermediate_values for trial in study.trials]
    for number, values in enumerate(told):
        metrics = folder.trial(number).read_metrics()
        assert sorted(values) == [1, 2, 3]
        found = metrics[f"validation_{by}"]
        np.testing.assert_allclose(values[metrics["best_epoch"]], found, rtol=1e-4)


def test_a_study_that_was_stopped_goes_on_to_the_same_trials(
    done: Path, line: list[object], tmp_path: Path, capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:  # fmt: skip
    out = tmp_path / "broken"
    stop_in_the_second_trial(line, out, monkeypatch, capsys)
    assert run("--resume", out) == 0
    assert trials(out, capsys) == trials(done, capsys)


@pytest.mark.parametrize("models", [None, [], {}, {"fastlstm": 3}, {"fastlstm": {"mae": "3"}}])
def test_metrics_of_something_else_in_the_best_run_are_told(
    models: Any, done: Path, tmp_path: Path, fails: Callable[..., str]
) -> None:
    out = Path(shutil.copytree(done, tmp_path / "study"))
    metrics = out / "best" / "metrics.json"
    metrics.write_text(json.dumps({**read(metrics), "models": models}))
    for line in (["tune", "--show", out], ["tune", "--resume", out]):
        told = fails(*line)
        assert f"{metrics} is damaged: " in told
        assert "mae" in told
        assert "put back the one that belongs here, or remove it" in told


def test_metrics_of_another_run_in_a_trial_are_told(
    done: Path, tmp_path: Path, fails: Callable[..., str]
) -> None:
    out = Path(shutil.copytree(done, tmp_path / "study"))
    trial = TuneFolder(out).trial(read(out / "best" / "metrics.json")["trial"])
    shutil.rmtree(out / "best")
    trial.metrics.write_text(json.dumps({"models": {"fastlstm": {"mae": 0.5}}}))
    told = fails("tune", "--resume", out)
    assert f"{trial.metrics} is damaged: it has no validation_mae; put back" in told


def test_an_unfinished_trial_with_a_damaged_checkpoint_is_begun_anew(
    line: list[object], done: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:  # fmt: skip
    def cut(checkpoint: Path) -> None:
        checkpoint.write_bytes(checkpoint.read_bytes()[:-9])

    check_begun_anew(line, done, tmp_path / "broken", cut, monkeypatch, capsys)


def test_a_damaged_model_of_the_best_trial_is_told_with_what_to_do(
    done: Path, tmp_path: Path, fails: Callable[..., str]
) -> None:
    out = Path(shutil.copytree(done, tmp_path / "study"))
    number = read(out / "best" / "metrics.json")["trial"]
    shutil.rmtree(out / "best")
    trial = TuneFolder(out).trial(number)
    whole = trial.metrics.read_bytes()
    trial.metrics.write_bytes(whole[:20])
    told = fails("tune", "--resume", out)
    assert f"{trial.metrics} is damaged: not JSON" in told
    assert "put back the one that belongs there, or begin anew with --overwrite" in told
    assert "the run is not finished" not in told
    trial.metrics.write_bytes(whole)
    trial.model.write_bytes(trial.model.read_bytes()[:-9])
    told = fails("tune", "--resume", out)
    assert f"{trial.model} is damaged" in told
    assert "put back the one that belongs there, or begin anew with --overwrite" in told
    assert not (out / "best").exists()


def _answer(
    folder: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> str:
    """Return what a process for trials answers that is asked for one more."""
    study_folder = TuneFolder(folder)
    plan, _, _ = study_folder.read()
    with opened(study_folder.database, plan) as study:
        number = ask(study, plan)
    monkeypatch.setattr(worker, "Inbox", lambda file: [number])
    capsys.readouterr()
    status = worker.main([str(folder), "1"])
    told = [json.loads(text) for text in capsys.readouterr().out.splitlines()]
    assert status == ("error" in told[-1])
    return str(told[-1])


def test_data_that_changed_are_refused_by_the_study_and_its_processes(
    line: list[object], tmp_path: Path, capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch, fails: Callable[..., str],
) -> None:  # fmt: skip
    data = write(tmp_path / "load.csv", lines(300))
    out = tmp_path / "study"
    assert run(data, *line[1:], "--trials", "1", "--out", out) == 0
    assert "done" in _answer(out, capsys, monkeypatch)
    changed = lines(300)
    changed[299][1] = "1"  # a value that only the test has
    write(data, changed)
    told = _answer(out, capsys, monkeypatch)
    assert f"{data} was changed since the study began, whose trials would not compare" in told
    assert "give another --out" in told
    told = fails("tune", "--resume", out, "--trials", "4")
    assert f"{out} is a study of other series than load.csv" in told
    assert [one["state"] for one in trials(out, capsys)] == ["complete", "complete", "unfinished"]
    write(data, lines(300))
    assert run("--resume", out) == 0
    assert [one["state"] for one in trials(out, capsys)] == ["complete"] * 3


def test_texts_that_changed_are_refused_too(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("fastlstm.tune.texts.draw_curves", lambda *_: True)
    texts, labels = rows(60)
    data, out = write_csv(tmp_path / "topics.csv", (texts, labels)), tmp_path / "study"
    small = ["--parts", "net", "--embedding-dim", "4", "--epochs", "1", "--max-length", "20"]
    search = ["--search", "hidden=4,8", "vocab_size=20,30", "--trials", "1", "--no-progress"]
    assert run(data, *small, *search, "--out", out) == 0
    assert "done" in _answer(out, capsys, monkeypatch)
    write_csv(data, ([*texts[:-1], f"{texts[-1]} more"], labels))
    assert f"{data} was changed since the study began" in _answer(out, capsys, monkeypatch)
    # a process that reads them again, for another vocabulary
    config = TuneFolder(out).read()[0].config
    write_csv(data, (texts, labels))
    shared = TEXTS.shared()
    shared.begin(config)
    write_csv(data, (texts[3:], labels[3:]))
    with pytest.raises(DataChangedError, match="was changed since the study began"):
        shared.begin(TEXTS.config({**config.to_json(), "vocab_size": 25}))


@pytest.mark.parametrize(
    ("more", "told"),
    [
        (["--time", "hour"], "--target is missing"),
        (["--horizon", "6"],
         "--horizon is an option of a forecast, and the study is of a classifier of texts; "
         "--time and --target make it one"),
        ([*OF_SERIES, "--embedding-dim", "8"],
         "--embedding-dim is an option of a classifier of texts, and the study is of a forecast"),
        ([*OF_SERIES, "--by", "accuracy"],
         "--by is 'accuracy', expected one of mae, loss, which a forecast has"),
        (["--by", "mae"], "--by is 'mae', expected one of accuracy, loss, which a classifier"),
        ([*OF_SERIES, "--search", "embedding=4,8"],
         "--search is for 'embedding', which is no option that can be searched"),
        ([*OF_SERIES, "--search", "horizon=4,8"], "--search is for 'horizon', which is no option"),
        ([*OF_SERIES, "--search", "context=0:8"], "--context is 0, expected at least 1"),
        ([*OF_SERIES, "--context", "8", "--search", "context=8:16"], "exclude each other"),
        ([*OF_SERIES, "--lr", "0"], "--lr is 0.0, expected more than 0"),
        ([*OF_SERIES[:-4], "--epochs", "0", "--search", "hidden=4,8"],
         "--search is for hidden_size does nothing here: without epochs there is no net"),
    ],
)  # fmt: skip
def test_wrong_use(
    more: list[str], told: str, line: list[object], tmp_path: Path, misused: Callable[..., str]
) -> None:
    out = tmp_path / "none"
    assert told in " ".join(misused("tune", line[0], "--out", out, *more).split())
    assert not out.exists()


def test_a_study_keeps_to_what_it_is_of(
    done: Path, line: list[object], tmp_path: Path, misused: Callable[..., str],
    fails: Callable[..., str],
) -> None:  # fmt: skip
    texts = write_csv(tmp_path / "topics.csv", rows(60))
    told = misused("tune", texts, "--out", done)
    assert "holds a study of a forecast, not of a classifier of texts" in told
    told = misused("tune", "--resume", done, "--horizon", "9")
    assert "--horizon is 9, but the study" in told
    told = misused("tune", "--resume", done, "--dropout", "0.1")
    assert "--dropout is 0.1, but the study" in told
    told = misused("tune", "--resume", done, "--vocab-size", "9")
    assert "--vocab-size is an option of a classifier of texts" in told
    one = TuneFolder(done).best.path
    assert "holds a forecast; give another --out" in fails("tune", *line, "--out", one)
    forecast = ("forecast", line[0], *OF_SERIES, "--out", done)
    for more in ([], ["--overwrite"]):
        assert f"{done} holds a study; give another --out" in fails(*forecast, *more)
    broken = write(tmp_path / "load.csv", [*lines(300)[:50], *lines(300)[51:]])
    assert "there is a gap" in fails("tune", broken, *line[1:], "--out", tmp_path / "none")
    assert not (tmp_path / "none").exists()


def test_a_linear_part_alone_can_be_searched(
    line: list[object], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    short = [*OF_SERIES[:-4], "--epochs", "0"]
    more = ["--search", "context=8:24:8", "season=1,12", "--trials", "2", "--no-progress"]
    assert run(line[0], *short, *more, "--out", tmp_path / "linear") == 0
    found = trials(tmp_path / "linear", capsys)
    assert [(one["state"], one["epochs"]) for one in found] == [("complete", 0)] * 2


def test_from_python(tmp_path: Path) -> None:
    data = write(tmp_path / "load.csv", lines(200))
    options: dict[str, Any] = {"time": "hour", "target": "load", "horizon": 4, "epochs": 1}
    found = tune(data, tmp_path / "study", search={"hidden_size": [4, 8]}, trials=2, **options)
    assert found.by == "mae"
    best = found.best.mae
    assert best is not None
    assert best == min(one.mae for one in found.trials if one.mae is not None)
    assert found.metrics["models"]["fastlstm"]["mae"] > 0
    assert found.load().horizon == 4
    assert TuneFolder(tmp_path / "study").subject is SERIES
    with pytest.raises(TypeError, match=r"vocab_size is no option of a forecast"):
        tune(data, tmp_path / "study", vocab_size=9, **options)
    with pytest.raises(TypeError, match="target is missing, expected it for a forecast"):
        tune(data, tmp_path / "study", time="hour")
    with pytest.raises(TypeError, match=r"quantiles is 0\.5, expected a list"):
        tune(data, tmp_path / "study", quantiles=0.5, **options)
    for wrong in ([0.9, 0.1], [0.5, 1.5]):
        with pytest.raises(ValueError, match="quantiles"):  # before a trial
            tune(data, tmp_path / "other", quantiles=wrong, **options)
    assert not (tmp_path / "other").exists()


@pytest.mark.parametrize("by", ["mae", "loss"])
def test_what_is_chosen_by_must_be_known(tmp_path: Path, by: str) -> None:
    empty = [[time, "" if 120 < n <= 160 else load, price]
             for n, (time, load, price) in enumerate(lines(200))]  # fmt: skip
    data = write(tmp_path / "load.csv", empty)
    options: dict[str, Any] = {"time": "hour", "target": "load", "horizon": 4, "fill_gaps": True}
    with pytest.raises(ValueError, match=r"no value in the \d+ steps before the test, expected"):
        tune(data, tmp_path / "study", trials=1, by=by, **options)
    assert not (tmp_path / "study" / "tune.json").exists()


@pytest.mark.parametrize(
    ("given", "told"),
    [
        ({"time_format": 5}, "time_format is 5, expected str"),
        ({"utc": "no"}, "utc is 'no', expected bool"),
        ({"fill_gaps": 1}, "fill_gaps is 1, expected bool"),
        ({"quotes": "yes"}, "quotes is 'yes', expected bool"),
        ({"delimiter": ";;"}, "delimiter is ';;', expected one character"),
        ({"delimiter": 5}, "delimiter is 5, expected str"),
        ({"encoding": "none"}, "encoding is 'none', expected the name of one"),
        ({"time": 5}, "time is 5, expected str"),
        ({"target": [3]}, r"target is \[3\], expected a list of names"),
        ({"target": []}, r"target is \[\], expected the name of a column"),
        ({"covariates": 7}, "covariates is 7, expected a list"),
        ({"quantiles": [0.9, 0.1]}, r"quantiles is \[0.9, 0.1\], expected each above"),
        ({"quantiles": ["low"]}, "quantiles has dtype"),
        ({"horizon": 2.5}, "horizon is 2.5, expected int"),
        ({"calendar": "no"}, "calendar is 'no', expected bool"),
        ({"test_split": 2}, "test_split is 2.0, expected"),
        ({"timeout": "5"}, "timeout is '5', expected a number"),
        ({"timeout": 0}, "timeout is 0, expected seconds above 0"),
        ({"trials": "9"}, "trials is '9', expected a whole number"),
        ({"jobs": 0}, "jobs is 0, expected a whole number"),
        ({"by": 5}, "by is 5, expected one of mae, loss"),
        ({"pruner": None}, "pruner is None, expected one of median"),
        ({"overwrite": "no"}, "overwrite is 'no', expected True or False"),
        ({"verbose": 2}, "verbose is 2, expected True or False"),
        ({"search": 5}, "search is 5, expected words"),
        ({"out": 5}, "out is 5, expected the path of a folder"),
        ({"data": 5}, "data is 5, expected str"),
    ],
)
def test_each_argument_is_named(given: dict[str, Any], told: str, tmp_path: Path) -> None:
    right: dict[str, Any] = {"data": write(tmp_path / "load.csv", lines(60)), "out": tmp_path / "s",
                             "time": "hour", "target": "load"}  # fmt: skip
    with pytest.raises((TypeError, ValueError), match=told):
        tune(**{**right, **given})
    assert not (tmp_path / "s").exists()


def test_numbers_of_numpy_are_numbers() -> None:
    config = SERIES.config({"data": "a", "time": "t", "target": "y", "horizon": np.int64(6)})
    assert type(config.to_json()["horizon"]) is int
