"""A trial: a run of its own, whose epochs are told to Optuna, which may end it early."""

from __future__ import annotations

import io
from contextlib import redirect_stdout
from typing import Any

from fastlstm.train.classifier import classify
from fastlstm.train.history import Epoch, History
from fastlstm.train.listener import Listener
from fastlstm.tune.folder import TrialFolder, TuneFolder
from fastlstm.tune.plan import Plan
from fastlstm.tune.storage import optuna, trial_of
from fastlstm.tune.texts import SharedTexts

# What may be wrong with the options of one trial, and not with those of the next one.
OF_A_TRIAL = (FloatingPointError, MemoryError, ValueError)
KEPT = ("validation_accuracy", "validation_loss", "best_epoch", "epochs", "train_seconds")
WHY = "why"


class Judge(Listener):
    """Reports the validation part after each epoch, and ends the trial if Optuna says so.

    The last epoch ends no trial: the rest is joining, and that counts.
    """

    def __init__(self, trial: Any, reported: dict[int, float], by: str) -> None:
        self._trial, self._reported, self._by, self._epochs = trial, reported, by, 0

    def on_start(self, history: History, steps_per_epoch: int, epochs: int) -> None:
        self._epochs = epochs
        for epoch in history.epochs:  # of a trial that goes on
            self._judge(epoch)

    def on_epoch(self, epoch: Epoch, is_best: bool) -> None:
        self._judge(epoch)

    def _judge(self, epoch: Epoch) -> None:
        if epoch.epoch not in self._reported:
            value = getattr(epoch, f"validation_{self._by}")
            self._trial.report(value, epoch.epoch)
            self._reported[epoch.epoch] = value
            newest = True
        else:
            newest = epoch.epoch == max(self._reported)
        if newest and epoch.epoch < self._epochs and self._trial.should_prune():
            raise optuna().TrialPruned


def work(
    study: Any, number: int, plan: Plan, folder: TuneFolder, shared: SharedTexts, threads: int,
    bars: bool = False,
) -> None:  # fmt: skip
    """Make a trial that was drawn, or go on with one that was broken off, and tell Optuna.

    Raises TrainingInterrupted after Ctrl-C or SIGTERM, with the trial's state saved; OSError if a
    file cannot be written. A trial that fails is told as one.
    """
    lib = optuna()
    trial, run = trial_of(study, number), folder.trial(number)
    frozen = study.get_trials(deepcopy=False)[number]
    judge = Judge(trial, dict(frozen.intermediate_values), plan.by)
    try:
        metrics = _train(plan.config_of(frozen.params, threads), run, shared, judge, bars)
    except lib.TrialPruned:
        _keep(trial, _so_far(run))
        study.tell(trial, state=lib.trial.TrialState.PRUNED)
    except OF_A_TRIAL as error:
        trial.set_user_attr(WHY, _told(error))
        study.tell(trial, state=lib.trial.TrialState.FAIL)
    else:
        _keep(trial, metrics)
        study.tell(trial, metrics[f"validation_{plan.by}"])


def _train(
    config: Any, run: TrialFolder, shared: SharedTexts, judge: Judge, bars: bool
) -> dict[str, Any]:
    """Train a run or go on with it, in silence; return its metrics."""
    if run.finished:  # it was killed before it could tell
        return run.read_metrics()
    with redirect_stdout(io.StringIO()):
        return classify.run(
            shared.for_trial, config, run, resume=run.holds_run, bars=bars, listeners=[judge],
            linear_part=shared.linear_part,
        )  # fmt: skip


def _so_far(run: TrialFolder) -> dict[str, Any]:
    """Return metrics of a run that was ended early."""
    epochs = run.read_epochs()
    seconds = sum(epoch.seconds for epoch in epochs)
    return {"epochs": len(epochs), "train_seconds": seconds}


def _told(error: Exception) -> str:
    return " ".join(str(error).split()) or "out of memory"


def _keep(trial: Any, metrics: dict[str, Any]) -> None:
    for name in KEPT:
        if metrics.get(name) is not None:
            trial.set_user_attr(name, metrics[name])
