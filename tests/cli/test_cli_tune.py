"""``fastlstm tune``: trials, the best run, going on, and every refusal by name."""

from __future__ import annotations

import json
import shutil
import sqlite3
import sys
from collections.abc import Callable
from contextlib import closing
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from each_step import after_each_step
from studies import check_begun_anew, shown, stop_in_the_second_trial, tune
from topics import read, rows, write_csv

import fastlstm as fl
from fastlstm.cli import main
from fastlstm.tune.folder import TuneFolder

pytest.importorskip("optuna", reason="needs the extra tune")

pytestmark = pytest.mark.usefixtures("no_picture", "no_debug", "no_pictures_of_studies")
SMALL = ["--parts", "net", "--embedding-dim", "8", "--epochs", "3", "--batch-size", "16",
         "--max-length", "30", "--average", "0.9"]  # fmt: skip
SEARCH = ["--search", "lr=0.002:0.05:log", "hidden=4,8", "dropout=0:0.4:0.2"]
TRIALS = 4


@pytest.fixture
def no_pictures_of_studies(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("fastlstm.tune.study.draw_study", lambda *_: True)
    monkeypatch.setattr("fastlstm.tune.texts.draw_curves", lambda *_: True)


@pytest.fixture(scope="module")
def line(tmp_path_factory: pytest.TempPathFactory) -> list[object]:
    data = write_csv(tmp_path_factory.mktemp("tune") / "topics.csv", rows(120))
    return [data, *SMALL, *SEARCH, "--trials", TRIALS, "--pruner", "none", "--no-progress"]


@pytest.fixture(scope="module")
def done(tmp_path_factory: pytest.TempPathFactory, line: list[object]) -> Path:
    """The folder of a finished study."""
    out = tmp_path_factory.mktemp("studies") / "it's a 100 % good? study#1"
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("fastlstm.tune.texts.draw_curves", lambda *_: True)
        assert tune(*line, "--out", out) == 0
    return out


def test_the_best_trial_is_kept_as_a_run(
    done: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    found = shown(done, capsys)
    assert [trial["state"] for trial in found["trials"]] == ["complete"] * TRIALS
    accuracies = [trial["accuracy"] for trial in found["trials"]]
    best = found["trials"][found["best"]]
    assert best["accuracy"] == max(accuracies)
    assert found["trials"][0]["options"]["lr"] == 0.008  # the usual one
    assert len({trial["options"]["lr"] for trial in found["trials"]}) == TRIALS
    assert all(trial["epochs"] == 3 for trial in found["trials"])

    folder = TuneFolder(done)
    metrics = [folder.trial(n).read_metrics() for n in range(TRIALS)]
    assert {m["test_accuracy"] for m in metrics} == {None}  # no trial reads the test texts
    assert {m["test_texts"] for m in metrics} == {0.0}
    kept = folder.best.read_metrics()
    assert kept["test_accuracy"] is not None
    assert (kept["test_texts"], kept["trial"]) == (12, best["number"])
    assert [folder.trial(n).model.exists() for n in range(TRIALS)] == [
        n == best["number"] for n in range(TRIALS)
    ]

    words = read(folder.best.config)
    assert {name: words[name] for name in best["options"]} == best["options"]
    assert words["threads"] == 0
    run = fl.load(folder.best.path)
    texts = ["music1 music2 word3", "sport1 sport2"]
    assert len(run.predict(texts)) == 2
    # the run that `fastlstm train` makes with these options
    options = [f"--{name.replace('_', '-')}={value}" for name, value in best["options"].items()]
    data = read(folder.json)["config"]["data"]
    assert main(["train", data, *SMALL, *options, "--out", str(tmp_path / "run")]) == 0
    assert read(tmp_path / "run" / "metrics.json")["test_loss"] == kept["test_loss"]
    assert np.array_equal(fl.load(tmp_path / "run").predict_proba(texts), run.predict_proba(texts))


def test_show_prints_a_table_the_best_first(done: Path, capsys: pytest.CaptureFixture[str]) -> None:
    before = (done / "study.db").read_bytes()
    capsys.readouterr()
    assert tune("--show", done) == 0
    told = capsys.readouterr().out.splitlines()
    head = ["trial", "accuracy", "loss", "epochs", "seconds", "lr", "hidden", "dropout", "state"]
    assert told[0].split() == head
    assert told[2].split()[0] == "*"
    assert told[-1].startswith(f"the best run is in {done / 'best'}, test accuracy ")
    assert (done / "study.db").read_bytes() == before
    if "matplotlib" in sys.modules:
        assert (done / "tune.png").read_bytes().startswith(b"\x89PNG")


def test_a_study_that_was_stopped_goes_on_to_the_same_trials(
    done: Path, line: list[object], tmp_path: Path, capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:  # fmt: skip
    out = tmp_path / "broken"
    steps = stop_in_the_second_trial(line, out, monkeypatch, capsys)
    assert not (out / "best").exists()

    assert tune(*line, "--out", out) == 0
    assert shown(out, capsys)["trials"] == shown(done, capsys)["trials"]
    total = len(steps)
    assert tune("--resume", out) == 0  # nothing is left to do
    assert tune(*line, "--out", out) == 0
    assert len(steps) == total
    assert tune("--resume", out, "--trials", TRIALS + 1) == 0
    assert len(shown(out, capsys)["trials"]) == TRIALS + 1


def test_an_unfinished_trial_with_a_damaged_checkpoint_is_begun_anew(
    done: Path, line: list[object], tmp_path: Path, capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:  # fmt: skip
    check_begun_anew(line, done, tmp_path / "broken", _damaged, monkeypatch, capsys)


def test_another_study_is_refused_by_name(
    done: Path, line: list[object], tmp_path: Path, fails: Callable[..., str],
    misused: Callable[..., str],
) -> None:  # fmt: skip
    data, *rest = line
    there = [*rest, "--out", done]
    before = (done / "tune.json").read_bytes()
    other = write_csv(tmp_path / "other.csv", rows(120, seed=1))
    assert "is a study of other texts than other.csv" in fails("tune", other, *there)
    other.with_name("tune.json").write_text("{}")
    damaged = fails("tune", data, *rest, "--out", tmp_path)
    assert f"error: {tmp_path}/tune.json is damaged or of another version" in damaged
    other.with_name("tune.json").unlink()
    searched = [word if word != "hidden=4,8" else "hidden=4,16" for word in there]
    assert "--search is lr=0.002:0.05:log hidden_size=4,16" in misused("tune", data, *searched)
    assert "--search is" in misused("tune", "--resume", done, "--search", "lr=1:2")
    told = misused("tune", data, *there, "--by", "loss")
    assert "--by is loss, but the study" in told
    assert "give another --out, or --overwrite" in told
    assert "--optimizer is sgd, but the study" in misused("tune", data, *there, "--optimizer=sgd")
    assert "--cell is gru, but the study" in misused("tune", "--resume", done, "--cell", "gru")
    assert (done / "tune.json").read_bytes() == before
    assert f"{done} holds a study; give another --out" in fails("train", data, "--out", done)
    shutil.copytree(done / "best", tmp_path / "run")
    line = ["tune", data, *rest, "--out", tmp_path / "run"]
    assert "holds a run of one model; give another --out" in fails(*line)
    assert "holds no study to resume" in fails("tune", "--resume", tmp_path)
    assert "holds no study" in fails("tune", "--show", tmp_path)
    told = misused("tune", "--show", done, "--trials", "5", "--lr=0.1")
    assert "--show only shows: leave --trials, --lr out" in told
    best = done / "best"
    assert f"expected {best}, the best run of the study in it" in fails("predict", done, "text")
    number = read(best / "metrics.json")["trial"]
    dropped = done / "trials" / f"{(number + 1) % TRIALS:04}"
    told = fails("predict", dropped, "text")
    assert f"{dropped} is a trial of a study, which keeps no model but that of the best" in told


def _dropped(path: Path) -> None:
    path.unlink()


def _emptied(path: Path) -> None:
    path.write_bytes(b"")


def _damaged(path: Path) -> None:
    whole = path.read_bytes()
    path.write_bytes(whole[: len(whole) // 2])


def _change(path: Path, command: str) -> None:
    with closing(sqlite3.connect(path)) as file:
        file.execute(command)
        file.commit()


def _without_trials(path: Path) -> None:
    _change(path, "DELETE FROM trials")


def _of_another_program(path: Path) -> None:
    path.unlink()
    _change(path, "CREATE TABLE accounts (name TEXT)")


def _of_another_study(path: Path) -> None:
    _change(path, "UPDATE studies SET study_name = 'fastlstm-another'")


def _without_options(path: Path) -> None:
    _change(path, "DELETE FROM trial_params")


def _no_storage_at_all(path: Path) -> None:
    path.write_text("CREATE TABLE studies (study_id, study_name)")


def _of_another_version(path: Path) -> None:
    _change(path, "UPDATE alembic_version SET version_num = 'v9'")


def _of_students(path: Path) -> None:
    path.unlink()
    _change(path, "CREATE TABLE studies (student TEXT)")


@pytest.mark.parametrize(
    ("spoil", "told"),
    [
        (_dropped, f"is gone, but {{}} at least {TRIALS}: put back"),
        (_emptied, f"has 0 trials, but {{}} at least {TRIALS}: put back"),
        (_without_trials, f"has 0 trials, but {{}} at least {TRIALS}: put back"),
        (_damaged, "cannot be read or written: database disk image is malformed; put back"),
        (_of_another_program, "is of another program than the one in {}: put back"),
        (_of_students, "is of another program than the one in {}: put back"),
        (_no_storage_at_all, "is of another program than the one in {}: put back"),
        (_of_another_study, "is of another study than the one in {}: put back"),
        (_of_another_version, "is of another version of Optuna: The runtime optuna version"),
        (_without_options, "trial 0 is not of this search; put back"),
    ],
)
def test_a_storage_that_is_not_that_of_the_study_is_told(
    spoil: Callable[[Path], None], told: str, done: Path, line: list[object], tmp_path: Path,
    fails: Callable[..., str],
) -> None:  # fmt: skip
    out = Path(shutil.copytree(done, tmp_path / "study"))
    spoil(out / "study.db")
    files = {path: path.read_bytes() for path in out.rglob("*") if path.is_file()}
    for words in (["--resume", out, "--trials", "6"], [*line, "--out", out], ["--show", out]):
        message = fails("tune", *words)
        assert str(out / "study.db") in message
        assert told.format(out) in message
        assert "the one that belongs there, or " in message
        assert "--overwrite" in message or "another --out" in message
    assert {path: path.read_bytes() for path in out.rglob("*") if path.is_file()} == files


@pytest.mark.parametrize(
    "spoil", [_of_another_program, _of_students, _no_storage_at_all, _of_another_study]
)
def test_what_another_program_stores_is_not_overwritten(
    spoil: Callable[[Path], None], done: Path, line: list[object], tmp_path: Path,
    fails: Callable[..., str],
) -> None:  # fmt: skip
    out = Path(shutil.copytree(done, tmp_path / "study"))
    spoil(out / "study.db")
    files = {path: path.read_bytes() for path in out.rglob("*") if path.is_file()}
    told = fails("tune", *line, "--out", out, "--overwrite")
    assert f"{out / 'study.db'} is of another " in told
    assert "put back the one that belongs there, or give another --out" in told
    assert {path: path.read_bytes() for path in out.rglob("*") if path.is_file()} == files


def test_the_run_to_begin_with_is_not_overwritten(
    done: Path, line: list[object], tmp_path: Path, fails: Callable[..., str]
) -> None:
    out = Path(shutil.copytree(done, tmp_path / "study"))
    files = {path: path.read_bytes() for path in out.rglob("*") if path.is_file()}
    again = [line[0], "--search", "lr=0.01,0.02", "--from", out / "best", "--out", out]
    told = fails("tune", *again, "--overwrite")
    assert f"{out} holds the run to begin with, which stays as it is; give another --out" in told
    assert {path: path.read_bytes() for path in out.rglob("*") if path.is_file()} == files


@pytest.mark.parametrize("option", ["data", "test", "unlabelled"])
def test_what_can_be_read_once_is_refused(
    option: str, line: list[object], tmp_path: Path, fails: Callable[..., str]
) -> None:
    pipe = "/dev/stdin"  # which no process of a trial has
    given = line if option != "data" else [pipe, *line[1:]]
    more = {
        "data": [],
        "test": ["--test", pipe],
        "unlabelled": ["--pretrain", "--unlabelled", pipe],
    }
    told = fails("tune", *given, *more[option], "--out", tmp_path / "study", "--jobs", "2")
    assert f"{option} is '/dev/stdin', which can be read once, but each trial reads it" in told
    assert not (tmp_path / "study").exists()


@pytest.mark.parametrize("spoil", [_damaged, _without_trials, _of_another_version])
def test_a_damaged_storage_of_the_study_is_overwritten(
    spoil: Callable[[Path], None], done: Path, line: list[object], tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:  # fmt: skip
    out = Path(shutil.copytree(done, tmp_path / "study"))
    spoil(out / "study.db")
    assert tune(*line, "--out", out, "--overwrite", "--trials", "1") == 0
    first = shown(done, capsys)["trials"][:1]
    assert shown(out, capsys)["trials"] == first


@pytest.mark.parametrize(
    ("name", "spoil", "told"),
    [
        ("metrics.json", _damaged, "is damaged: not JSON"),
        ("metrics.json", _dropped, "is gone"),
        ("metrics.jsonl", _damaged, "is damaged: not JSON"),
        ("config.json", _damaged, "is damaged or of another version: not JSON"),
        ("vocab.json", _damaged, "is damaged: not JSON"),
        ("model.safetensors", _damaged, "is damaged"),
        ("model.safetensors", _dropped, "is gone"),
        ("trained_texts.safetensors", _damaged, "is damaged"),
    ],
)
def test_files_of_the_best_trial_that_are_damaged_or_gone_are_told_with_what_to_do(
    name: str, spoil: Callable[[Path], None], told: str, done: Path, tmp_path: Path,
    fails: Callable[..., str],
) -> None:  # fmt: skip
    out = Path(shutil.copytree(done, tmp_path / "study"))
    number = read(out / "best" / "metrics.json")["trial"]
    shutil.rmtree(out / "best")
    path = TuneFolder(out).trial(number).path / name
    spoil(path)
    message = fails("tune", "--resume", out)
    assert f"{path} {told}" in message
    assert "put back the one that belongs there, or begin anew with --overwrite" in message
    assert "the run is not finished" not in message
    assert not (out / "best").exists()


def test_a_trial_that_was_killed_before_it_told_is_not_failed_by_damaged_metrics(
    done: Path, tmp_path: Path, fails: Callable[..., str], capsys: pytest.CaptureFixture[str]
) -> None:
    out = Path(shutil.copytree(done, tmp_path / "study"))
    with closing(sqlite3.connect(out / "study.db")) as file:
        file.execute("UPDATE trials SET state = 'RUNNING' WHERE number = 1")
        file.commit()
    metrics = TuneFolder(out).trial(1).metrics
    whole = metrics.read_bytes()
    _damaged(metrics)
    told = fails("tune", "--resume", out)
    assert f"{metrics} is damaged: not JSON" in told
    assert "put back the one that belongs there, or begin anew with --overwrite" in told
    assert shown(out, capsys)["trials"][1]["state"] == "unfinished"
    metrics.write_bytes(whole)
    assert tune("--resume", out) == 0
    assert shown(out, capsys)["trials"] == shown(done, capsys)["trials"]


def test_a_study_that_was_killed_before_its_first_trial_goes_on(
    done: Path, line: list[object], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out = tmp_path / "study"
    out.mkdir()
    shutil.copy(done / "tune.json", out)
    (out / "study.db").write_bytes(b"")
    assert shown(out, capsys)["trials"] == []
    assert (out / "study.db").read_bytes() == b""
    assert tune("--resume", out) == 0
    assert shown(out, capsys)["trials"] == shown(done, capsys)["trials"]


def test_the_storage_of_an_earlier_version_is_that_of_its_study(
    done: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out = Path(shutil.copytree(done, tmp_path / "study"))
    plan = read(out / "tune.json")
    assert plan.pop("study").startswith("fastlstm-")
    (out / "tune.json").write_text(json.dumps(plan))
    with closing(sqlite3.connect(out / "study.db")) as file:
        file.execute("UPDATE studies SET study_name = 'fastlstm'")
        file.commit()
    assert tune("--resume", out) == 0
    assert shown(out, capsys)["trials"] == shown(done, capsys)["trials"]


def test_damaged_metrics_of_the_best_run_are_told_and_made_again(
    done: Path, tmp_path: Path, fails: Callable[..., str]
) -> None:
    out = Path(shutil.copytree(done, tmp_path / "study"))
    metrics = out / "best" / "metrics.json"
    had = read(metrics)
    metrics.write_text("{")
    for words in (["--resume", out], ["--show", out]):
        told = fails("tune", *words)
        assert f"{metrics} is damaged: not JSON" in told
        assert "or remove it: without it the run is not finished, and --resume goes on" in told
    metrics.unlink()
    assert tune("--resume", out) == 0
    assert read(metrics)["test_accuracy"] == had["test_accuracy"]


@pytest.mark.parametrize(
    ("more", "told"),
    [
        (["--validation", "0"], "--validation is 0, expected more: a study chooses by"),
        (["--trials", "0"], "--trials is 0, expected a whole number of at least 1"),
        (["--jobs", "0"], "--jobs is 0, expected"),
        (["--timeout", "-1"], "--timeout is -1.0, expected seconds above 0"),
        (["--trails", "3"], "unrecognized arguments: --trails; did you mean --trials"),
        (["--pruner", "all"], "invalid choice: 'all'"),
        (["--lr", "0.1", "--search", "lr=0.1:0.2"], "--lr and search lr=0.1:0.2 exclude"),
        (["--search", "lr=1:2", "reviews.csv"], "DATA stands before --search"),
        (["--search", "lr=2:1"], "--search is lr=2:1, expected LOW:HIGH with LOW below HIGH"),
        (["--momentum", "0.5"], "--momentum does nothing here"),
    ],
)
def test_wrong_use(
    more: list[str], told: str, line: list[object], tmp_path: Path, misused: Callable[..., str]
) -> None:
    out = tmp_path / "none"
    assert told in " ".join(misused("tune", line[0], "--out", out, *more).split())
    assert not out.exists()


def test_trials_that_fail_are_told(
    line: list[object], tmp_path: Path, monkeypatch: pytest.MonkeyPatch,
    fails: Callable[..., str], capsys: pytest.CaptureFixture[str],
) -> None:  # fmt: skip
    def diverge(*_: Any) -> Any:
        raise FloatingPointError("the loss is nan after 0 epochs")

    after_each_step(monkeypatch, diverge)
    told = fails("tune", *line, "--trials", "2", "--out", tmp_path / "bad")
    assert "no trial was completed; 2 failed, the last one: the loss is nan" in told
    assert [trial["why"] for trial in shown(tmp_path / "bad", capsys)["trials"]] == [
        "the loss is nan after 0 epochs"
    ] * 2


def test_without_optuna(
    line: list[object], tmp_path: Path, monkeypatch: pytest.MonkeyPatch, fails: Callable[..., str]
) -> None:
    monkeypatch.setitem(sys.modules, "optuna", None)
    told = fails("tune", *line, "--out", tmp_path / "none")
    assert 'tuning needs Optuna: pip install "fastlstm[tune]"' in told
    assert not (tmp_path / "none").exists()


def test_time_that_is_over_begins_no_trial(
    line: list[object], tmp_path: Path, fails: Callable[..., str]
) -> None:
    told = fails("tune", *line, "--timeout", "1e-9", "--out", tmp_path / "late")
    assert f"{tmp_path / 'late'} has no complete trial: give it more time" in told


@pytest.mark.slow(seconds=6)
def test_two_processes_share_a_study(
    line: list[object], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert tune(*line, "--jobs", "2", "--out", tmp_path / "two") == 0
    found = shown(tmp_path / "two", capsys)
    assert [trial["state"] for trial in found["trials"]] == ["complete"] * TRIALS
    assert TuneFolder(tmp_path / "two").best.read_metrics()["trial"] == found["best"]
