"""What a study has found: its trials as plain values, and the best one."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from fastlstm.tune.folder import TuneFolder
from fastlstm.tune.measures import MEASURES, smallness
from fastlstm.tune.plan import Plan
from fastlstm.tune.trial import ANEW, WHY

STATES = {"COMPLETE": "complete", "PRUNED": "pruned", "FAIL": "failed", "RUNNING": "unfinished"}


@dataclass(frozen=True)
class Trial:
    """A trial of a study.

    Attributes
    ----------
    number : from 0.
    state : complete, pruned, failed or unfinished.
    options : what was drawn, by name.
    accuracy, loss : of the validation texts; of a trial that was pruned only the one that is
        searched by, after its last epoch. None where there is none yet.
    mae, loss : likewise of the part of a series that was held back.
    epochs, seconds : trained.
    why : it failed.
    anew : why it was begun anew, if it was.
    """

    number: int
    state: str
    options: dict[str, Any]
    accuracy: float | None = None
    loss: float | None = None
    epochs: int = 0
    seconds: float = 0.0
    why: str = ""
    mae: float | None = None
    anew: str = ""

    def rank(self, by: str) -> tuple[float, ...]:
        """The smaller the better; of equal values the other measures count, then the number."""
        names = [by, *(name for name in MEASURES if name != by)]
        return (*(smallness(name, getattr(self, name)) for name in names), self.number)


@dataclass(frozen=True)
class Tuned:
    """What `fastlstm.tune.tune` returns.

    Attributes
    ----------
    folder : of the study.
    by : "accuracy" or "loss"; of series "mae" or "loss".
    trials : all that were begun, by number.
    metrics : of the best run, tested once; empty while the study is not finished.
    """

    folder: Path
    by: str
    trials: list[Trial]
    metrics: dict[str, Any] = field(default_factory=dict)

    @property
    def best(self) -> Trial:
        """The best trial that is complete; ValueError if there is none."""
        found = best_of(self.trials, self.by)
        if found is None:
            raise ValueError(f"{self.folder} has no complete trial yet")
        return found

    def load(self) -> Any:
        """Return the best run, as `fastlstm.load` of its folder does."""
        return TuneFolder(self.folder).subject.load(self.folder / "best")

    def to_json(self) -> dict[str, Any]:
        """Return a plain dict."""
        found = best_of(self.trials, self.by)
        return {
            "best": None if found is None else found.number,
            "by": self.by,
            "options": {} if found is None else found.options,
            "trials": [vars(trial) for trial in self.trials],
            "metrics": self.metrics,
        }


def trials_of(study: Any, plan: Plan) -> list[Trial]:
    """Return the trials of Optuna's study that were begun."""
    frozen = study.get_trials(deepcopy=False)
    return [_plain(trial, plan) for trial in frozen if trial.state.name in STATES]


def best_of(trials: Sequence[Trial], by: str) -> Trial | None:
    """Return the best complete trial, if there is one."""
    complete = [trial for trial in trials if trial.state == "complete"]
    return min(complete, key=lambda trial: trial.rank(by), default=None)


def _plain(frozen: Any, plan: Plan) -> Trial:
    about = frozen.user_attrs
    state = STATES[frozen.state.name]
    found = {name: about.get(f"validation_{name}") for name in plan.subject.measures}
    if state != "complete" and frozen.intermediate_values:
        found[plan.by] = frozen.intermediate_values[max(frozen.intermediate_values)]
    return Trial(
        number=frozen.number,
        state=state,
        options=plan.values(frozen.params),
        epochs=about.get("epochs", len(frozen.intermediate_values)),
        seconds=about.get("train_seconds", 0.0),
        why=about.get(WHY, ""),
        anew=about.get(ANEW, ""),
        **found,
    )
