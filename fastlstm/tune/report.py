"""A study in words: a line for each trial, and a table of all."""

from __future__ import annotations

import shlex
from collections.abc import Sequence
from typing import Any

from fastlstm.comma_list import join_names
from fastlstm.train.table import aligned, shown
from fastlstm.tune.measures import MEASURES
from fastlstm.tune.plan import Plan
from fastlstm.tune.results import Trial, best_of
from fastlstm.tune.space import SHORT

NAMES = {name: short for short, name in SHORT.items()}
ORDER = ("complete", "pruned", "unfinished", "failed")


def line_of(trial: Trial, by: str, is_best: bool) -> str:
    """Return a line for a trial that has ended."""
    value = shown(getattr(trial, by), MEASURES[by].form)
    if trial.state == "failed":
        told = f"failed: {trial.why}"
    elif trial.state == "pruned":
        told = f"ended after epoch {trial.epochs}, {by} {value}"
    else:
        told = f"validation {by} {value}{' (best)' if is_best else ''}"
    options = ", ".join(f"{short(k)} {option(v)}" for k, v in trial.options.items())
    anew = f"trial {trial.number} was begun anew: {trial.anew}\n" if trial.anew else ""
    return f"{anew}trial {trial.number}: {told}; {trial.seconds:.1f} s; {options}"


def table(trials: Sequence[Trial], plan: Plan) -> str:
    """Return a table of trials, the best first; that one has a star."""
    best = best_of(trials, plan.by)
    names, measures = list(plan.space), plan.subject.measures
    rows = [["trial", *measures, "epochs", "seconds", *map(short, names), "state"]]
    for trial in sorted(trials, key=lambda t: (ORDER.index(t.state), t.rank(plan.by))):
        rows.append(
            [
                f"{'* ' if trial is best else ''}{trial.number}",
                *(shown(getattr(trial, name), MEASURES[name].form) for name in measures),
                f"{trial.epochs}",
                f"{trial.seconds:.1f}",
                *(option(trial.options.get(name)) for name in names),
                trial.state,
            ]
        )
    failed = [f"trial {t.number} failed: {t.why}" for t in trials if t.state == "failed"]
    return "\n".join([aligned(rows), *failed])


def command_of(plan: Plan, best: Trial) -> str:
    """Return the command that makes a run with the options of a trial.

    Errors as of `fine_tuning_options`, if the trials begin with an earlier run.
    """
    subject, config = plan.subject, plan.config_of(best.options, plan.config.threads)
    own, usual = config.to_json(), subject.usual(config)
    idle = {name for found in subject.idle(config, own) for name in found.names}  # are refused
    words = [*subject.command.split(), str(config.data)]
    for name, value in own.items():
        if name == "data" or name in idle or value == usual[name]:
            continue
        flag = "--" + {"from_run": "from"}.get(name, name).replace("_", "-")
        if isinstance(value, bool):
            words.append(flag if value else f"--no-{flag[2:]}")
        elif isinstance(value, tuple):
            words += [word for one in value for word in (flag, str(one))]
        elif isinstance(value, list):
            words += [flag, join_names(value)]
        else:
            words += [flag, str(value)]
    return shlex.join(words)


def short(name: str) -> str:
    """Return the short name of an option, if it has one."""
    return NAMES.get(name, name)


def option(value: Any) -> str:
    """Return the value of an option as text."""
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, float):
        return f"{value:.4g}"
    return "-" if value is None else str(value)
