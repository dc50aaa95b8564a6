"""A run broken off anywhere and resumed ends with the very bits of an unbroken one."""

from __future__ import annotations

import errno
import os
import signal
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from ctrl_c import PressCtrlC
from toy import BagOfWords, Problem, texts

from fastlstm.nn import Linear
from fastlstm.train import SGD, Adam, AdamW, CheckpointError, Listener, TrainingInterrupted
from fastlstm.train.history import Epoch, History
from fastlstm.train.trainer import Trainer

EPOCHS = 3
STEPS = Problem().steps


def everything(trainer: Trainer) -> dict[str, Any]:
    """The state of a trainer without its times."""
    history = trainer.history.to_json()
    for epoch in history["epochs"]:
        epoch.update(seconds=0, validation_seconds=0)
    arrays = {
        "model": trainer.model.state_dict(),
        "best": trainer.best_weights,
        "optimizer": trainer.optimizer.state_dict(),
        "average": trainer.average.state_dict() if trainer.average else {},
    }
    flat = {f"{part}/{n}": a.tobytes() for part, s in arrays.items() for n, a in s.items()}
    return {"history": history, **flat}


@pytest.fixture(scope="module")
def unbroken() -> dict[str, Any]:
    problem = Problem()
    return everything(problem.fit(problem.trainer(epochs=EPOCHS)))


@pytest.mark.parametrize("at", [1, 2, STEPS - 1, STEPS, STEPS + 1, 2 * STEPS, EPOCHS * STEPS])
def test_ctrl_c_at_any_step_then_resume(at: int, tmp_path: Path, unbroken: dict[str, Any]) -> None:
    path, problem = tmp_path / "state", Problem()
    broken = problem.trainer(epochs=EPOCHS, checkpoint=path, listeners=[PressCtrlC(at)])
    before = signal.getsignal(signal.SIGINT)
    with pytest.raises(TrainingInterrupted, match=f"state is in {path}"):
        problem.fit(broken)
    assert signal.getsignal(signal.SIGINT) is before
    assert broken.history.step == at
    # what differs from the start must not matter: the state replaces it all
    resumed = problem.trainer(model=BagOfWords(seed=99), epochs=EPOCHS, checkpoint=path)
    resumed.load(path)
    assert everything(problem.fit(resumed)) == unbroken


@pytest.mark.parametrize("epoch", [1, 2, EPOCHS])
def test_resume_between_epochs(epoch: int, tmp_path: Path, unbroken: dict[str, Any]) -> None:
    path, problem = tmp_path / "state", Problem()
    listeners = [PressCtrlC(after_epoch=epoch)]
    broken = problem.trainer(epochs=EPOCHS, checkpoint=path, listeners=listeners)
    with pytest.raises(TrainingInterrupted, match=f"after {epoch} epochs? and 0 batches"):
        problem.fit(broken)
    resumed = problem.trainer(model=BagOfWords(seed=99), epochs=EPOCHS)
    resumed.load(path)
    assert everything(problem.fit(resumed)) == unbroken


def test_a_run_killed_without_warning_goes_on_from_the_last_epoch(
    tmp_path: Path, unbroken: dict[str, Any]
) -> None:
    class Killed(Listener):
        def on_step(self, history: History) -> None:
            if history.step == 2 * STEPS + 3:
                raise SystemError("killed")

    path, problem = tmp_path / "state", Problem()
    broken = problem.trainer(epochs=EPOCHS, checkpoint=path, listeners=[Killed()])
    with pytest.raises(SystemError):
        problem.fit(broken)
    resumed = problem.trainer(epochs=EPOCHS)
    resumed.load(path)
    assert resumed.history.step == 2 * STEPS
    assert everything(problem.fit(resumed)) == unbroken


@pytest.mark.parametrize("options", [{"average": None}, {"optimizer": "momentum"}, {"patience": 1}])
def test_other_settings_resume_exactly_too(options: dict[str, Any], tmp_path: Path) -> None:
    path, problem = tmp_path / "state", Problem()

    def trainer(**more: Any) -> Trainer:
        model = BagOfWords()
        chosen = dict(options)
        if chosen.get("optimizer") == "momentum":
            chosen["optimizer"] = SGD(model, lr=0.1, momentum=0.9)
        return problem.trainer(model=model, epochs=EPOCHS, checkpoint=path, **chosen, **more)

    expected = everything(problem.fit(trainer()))
    with pytest.raises(TrainingInterrupted):
        problem.fit(trainer(listeners=[PressCtrlC(STEPS + 3)]))
    resumed = trainer()
    resumed.load(path)
    assert everything(problem.fit(resumed)) == expected


def test_without_a_checkpoint_fit_can_be_called_again(unbroken: dict[str, Any]) -> None:
    problem = Problem()
    trainer = problem.trainer(epochs=EPOCHS, listeners=[PressCtrlC(STEPS + 2)])
    with pytest.raises(TrainingInterrupted) as caught:
        problem.fit(trainer)
    assert "state is in" not in str(caught.value)
    assert everything(problem.fit(trainer)) == unbroken


def test_second_ctrl_c_does_not_wait_for_the_checkpoint(tmp_path: Path) -> None:
    class Impatient(Listener):
        def on_step(self, history: History) -> None:
            signal.raise_signal(signal.SIGINT)
            signal.raise_signal(signal.SIGINT)

    trainer = Problem().trainer(checkpoint=tmp_path / "state", listeners=[Impatient()])
    with pytest.raises(KeyboardInterrupt) as caught:
        Problem().fit(trainer)
    assert not isinstance(caught.value, TrainingInterrupted)
    assert not (tmp_path / "state").exists()


@pytest.mark.parametrize("at", [2, STEPS + 1])
def test_a_run_does_not_go_on_with_epochs_of_another_length(at: int, tmp_path: Path) -> None:
    """Its place in the data would be another one."""
    path, problem = tmp_path / "state", Problem()
    with pytest.raises(TrainingInterrupted):
        problem.fit(problem.trainer(epochs=2, checkpoint=path, listeners=[PressCtrlC(at)]))
    other = Problem(texts(50))
    resumed = other.trainer(epochs=2)
    resumed.load(path)
    told = f"steps_per_epoch is {other.steps}, but the run that goes on has {STEPS} batches"
    with pytest.raises(ValueError, match=told):
        other.fit(resumed)
    assert resumed.history.step == at


def test_a_finished_run_has_nothing_left_to_train(tmp_path: Path) -> None:
    path, problem = tmp_path / "state", Problem()
    done = problem.fit(problem.trainer(epochs=2, checkpoint=path))
    again = problem.trainer(model=BagOfWords(seed=99), epochs=2)
    again.load(path)
    assert again.finished
    problem.fit(again)
    assert everything(again) == everything(done)


@pytest.mark.parametrize(
    ("other", "message"),
    [
        (
            {"seed": 4},
            r"seed differ \(seed is 3 there, 4 here\); go on with the options and the data",
        ),
        ({"epochs": 9}, "epochs differ"),
        ({"average": None}, "average differ"),
        ({"identity": {"data": "other"}}, "data, sizes differ"),
    ],
)
def test_a_checkpoint_of_another_run_is_refused(
    other: dict[str, Any], message: str, tmp_path: Path
) -> None:
    path, problem = tmp_path / "state", Problem()
    options = {"epochs": 1, "checkpoint": path, "identity": {"data": "toy", "sizes": (1, 2)}}
    problem.fit(problem.trainer(**options))
    problem.trainer(**options).load(path)
    with pytest.raises(CheckpointError, match=message):
        problem.trainer(**{**options, **other}).load(path)


def test_a_checkpoint_of_another_optimizer_or_model_is_refused(tmp_path: Path) -> None:
    path, problem = tmp_path / "state", Problem()
    problem.fit(problem.trainer(epochs=1, checkpoint=path))
    model = BagOfWords()
    with pytest.raises(CheckpointError, match="optimizer differ"):
        problem.trainer(model=model, optimizer=AdamW(model), epochs=1).load(path)
    model.head = Linear(9, 1, dtype="float64")
    with pytest.raises(CheckpointError, match=r"head\.weight.*\(1, 8\).*expected \(1, 9\)"):
        problem.trainer(model=model, optimizer=Adam(model), average=None, epochs=1).load(
            refit(tmp_path / "plain")
        )


def refit(path: Path) -> Path:
    """A state without average of the ordinary model."""
    problem = Problem()
    problem.fit(problem.trainer(epochs=1, average=None, checkpoint=path))
    return path


def test_full_disk_stops_the_run_with_the_earlier_state_intact(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, unbroken: dict[str, Any]
) -> None:
    class DiskFills(Listener):
        def on_epoch(self, epoch: Epoch, is_best: bool) -> None:
            if epoch.epoch == 2:
                monkeypatch.setattr(os, "fsync", full)

    def full(descriptor: int) -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    path, problem = tmp_path / "state", Problem()
    trainer = problem.trainer(epochs=EPOCHS, checkpoint=path, listeners=[DiskFills()])
    with pytest.raises(OSError, match="cannot write .*No space left"):
        problem.fit(trainer)
    monkeypatch.undo()
    resumed = problem.trainer(epochs=EPOCHS)
    resumed.load(path)
    assert len(resumed.history.epochs) == 2
    assert everything(problem.fit(resumed)) == unbroken


def test_history_survives_json_exactly() -> None:
    import json

    problem = Problem(texts(50))
    history = problem.fit(problem.trainer(epochs=2)).history
    assert History.from_json(json.loads(json.dumps(history.to_json()))) == history
    assert np.isfinite(history.epochs[0].train_loss)
