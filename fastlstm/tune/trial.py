"""A trial: a run of its own, whose epochs are told to Optuna, which may end it early."""

from __future__ import annotations

from typing import Any

from fastlstm.train.checkpoint import CheckpointError
from fastlstm.train.history import Epoch, History
from fastlstm.train.listener import Listener
from fastlstm.tune.folder import TuneFolder
from fastlstm.tune.plan import Plan
from fastlstm.tune.shared import Shared
from fastlstm.tune.storage import optuna, trial_of

# What may be wrong with the options of one trial, and not with those of the next one.
OF_A_TRIAL = (FloatingPointError, MemoryError, ValueError)
KEPT = (
    "validation_accuracy", "validation_mae", "validation_loss", "best_epoch", "epochs",
    "train_seconds",
)  # fmt: skip
WHY, ANEW = "why", "anew"  # of a failure, and of a trial that was begun anew


class Judge(Listener):
    """Reports what was held back after each epoch, and ends the trial if Optuna says so.

    The last epoch ends no trial: the rest is joining, and that counts.

    Attributes
    ----------
    by : the measure.
    unit : factor on what an epoch tells, so that trials compare.
    epochs, seconds : trained.
    """

    def __init__(self, trial: Any, reported: dict[int, float], by: str) -> None:
        self.by, self.unit, self.epochs, self.seconds = by, 1.0, 0, 0.0
        self._trial, self._reported, self._last = trial, reported, 0

    def begin_anew(self) -> None:
        """Forget what was trained; what was reported stays, as the trial will come to it again."""
        self.unit, self.epochs, self.seconds = 1.0, 0, 0.0

    def on_start(self, history: History, steps_per_epoch: int, epochs: int) -> None:
        self._last = epochs
        for epoch in history.epochs:  # of a trial that goes on
            self._judge(epoch)

    def on_epoch(self, epoch: Epoch, is_best: bool) -> None:
        self._judge(epoch)

    def _judge(self, epoch: Epoch) -> None:
        self.epochs, self.seconds = self.epochs + 1, self.seconds + epoch.seconds
        if epoch.epoch not in self._reported:
            value = self.unit * getattr(epoch, f"validation_{self.by}")
            self._trial.report(value, epoch.epoch)
            self._reported[epoch.epoch] = value
            newest = True
        else:
            newest = epoch.epoch == max(self._reported)
        if newest and epoch.epoch < self._last and self._trial.should_prune():
            raise optuna().TrialPruned


def work(
    study: Any, number: int, plan: Plan, folder: TuneFolder, shared: Shared, threads: int,
    bars: bool = False,
) -> None:  # fmt: skip
    """Make a trial that was drawn, or go on with one that was broken off, and tell Optuna.

    Raises TrainingInterrupted after Ctrl-C or SIGTERM, with the trial's state saved; OSError if a
    file cannot be written, or the data are not those of the study. A trial that fails is told as
    one.
    """
    lib = optuna()
    trial, run = trial_of(study, number), folder.trial(number)
    frozen = study.get_trials(deepcopy=False)[number]
    judge = Judge(trial, dict(frozen.intermediate_values), plan.by)
    try:
        config = plan.config_of(frozen.params, threads)
        metrics = _made(shared, config, run, judge, trial, bars)
    except lib.TrialPruned:
        _keep(trial, {"epochs": judge.epochs, "train_seconds": judge.seconds})
        study.tell(trial, state=lib.trial.TrialState.PRUNED)
    except OF_A_TRIAL as error:
        trial.set_user_attr(WHY, _told(error))
        study.tell(trial, state=lib.trial.TrialState.FAIL)
    else:
        _keep(trial, metrics)
        study.tell(trial, metrics[f"validation_{plan.by}"])


def _made(
    shared: Shared, config: Any, run: Any, judge: Judge, trial: Any, bars: bool
) -> dict[str, Any]:
    """Return the metrics of a trial, which is begun anew if what it goes on from is damaged.

    That costs its epochs alone: the same options give the same trial.
    """
    goes_on = run.holds_run and not run.finished
    try:
        return shared.train(config, run, judge, bars)
    except CheckpointError as error:
        if not goes_on:
            raise
        trial.set_user_attr(ANEW, _told(error))
    with run.locked():
        run.clear()
    judge.begin_anew()
    return shared.train(config, run, judge, bars)


def _told(error: Exception) -> str:
    return " ".join(str(error).split()) or "out of memory"


def _keep(trial: Any, metrics: dict[str, Any]) -> None:
    for name in KEPT:
        if metrics.get(name) is not None:
            trial.set_user_attr(name, metrics[name])
