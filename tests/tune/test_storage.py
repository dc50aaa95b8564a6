"""What is drawn is written whole, and a trial is told once."""

from __future__ import annotations

import sqlite3
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from fastlstm.train.classifier.run_folder import RunFolder
from fastlstm.train.classifier.text_config import TextConfig
from fastlstm.tune.plan import Plan, make_space
from fastlstm.tune.report import command_of
from fastlstm.tune.results import Trial, trials_of
from fastlstm.tune.storage import ask, opened, trial_of
from fastlstm.tune.study import _died

optuna = pytest.importorskip("optuna", reason="needs the extra tune")

CONFIG = TextConfig("films.csv", seed=3)
PLAN = Plan(CONFIG, make_space(["lr=1e-3:0.1:log", "hidden=16,32", "layers=1:3"], CONFIG, {}))


class Killed(BaseException):
    pass


def drawn(path: Path, count: int) -> list[Trial]:
    with opened(path, PLAN) as study:
        for number in range(len(study.trials), count):
            assert ask(study, PLAN) == number
        return trials_of(study, PLAN)


def test_a_study_that_was_killed_while_it_drew_draws_the_same(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    whole = drawn(tmp_path / "whole.db", 3)
    assert whole[0].options["lr"] == CONFIG.lr
    assert whole[0].options["num_layers"] == CONFIG.num_layers
    assert len({trial.options["lr"] for trial in whole}) == 3

    broken = tmp_path / "broken.db"
    drawn(broken, 1)
    sample = optuna.samplers.TPESampler.sample_independent

    def killed(sampler: Any, study: Any, trial: Any, name: str, values: Any) -> Any:
        if name == "num_layers":  # the last option
            raise Killed
        return sample(sampler, study, trial, name, values)

    with monkeypatch.context() as patch:
        patch.setattr(optuna.samplers.TPESampler, "sample_independent", killed)
        with pytest.raises(Killed):
            drawn(broken, 2)
    assert len(drawn(broken, 0)) == 1
    assert drawn(broken, 3) == whole


def test_no_options_are_drawn_twice_while_there_are_others(tmp_path: Path) -> None:
    plan = Plan(CONFIG, make_space(["hidden=16,32", "layers=1:3"], CONFIG, {}))
    with opened(tmp_path / "study.db", plan) as study:
        for _ in range(7):
            study.tell(trial_of(study, ask(study, plan)), 0.5)
        found = [tuple(trial.options.values()) for trial in trials_of(study, plan)]
    assert len(set(found[:6])) == 6
    assert found[6] in found[:6]


def test_a_trial_whose_process_died_after_it_told_is_complete(tmp_path: Path) -> None:
    done: list[int] = []
    with opened(tmp_path / "study.db", PLAN) as study:
        for _ in range(2):
            ask(study, PLAN)
        study.tell(trial_of(study, 0), 0.75)
        for number in range(2):
            _died(study, done.append, number, "killed")
        assert [trial.state for trial in trials_of(study, PLAN)] == ["complete", "failed"]
        assert trials_of(study, PLAN)[1].why == "killed"
    assert done == [0, 1]


def test_a_study_that_cannot_be_written_can_be_read(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path, connect = tmp_path / "study.db", sqlite3.connect
    expected = drawn(path, 2)
    monkeypatch.setattr(
        sqlite3, "connect", lambda path, timeout: connect(f"file:{path}?mode=ro", uri=True)
    )
    assert drawn(path, 0) == expected
    with pytest.raises(OSError, match="study.db cannot be read or written: attempt to write"):
        drawn(path, 3)


def test_the_command_of_a_trial_names_what_an_earlier_run_has_otherwise(tmp_path: Path) -> None:
    earlier = TextConfig("old.csv", lr=0.02, hidden_size=16, dropout=0.1, analyzer="word")
    RunFolder(tmp_path / "run").begin(earlier.to_json())
    run = str(tmp_path / "run")
    config = TextConfig("films.csv", hidden_size=16, dropout=0.1, analyzer="word", from_run=run)
    config = replace(config, momentum=0.5)  # which Adam does not have, and refuses
    plan = Plan(config, make_space(["lr=0.008,0.02"], config, {"from_run": run}))
    for lr, told in ((0.008, " --lr 0.008"), (0.02, "")):
        command = command_of(plan, Trial(0, "complete", {"lr": lr}))
        assert command == f"fastlstm train films.csv{told} --from {run}"
