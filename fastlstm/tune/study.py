"""A study: draws trials, has them made in one process or several, and keeps the best run."""

from __future__ import annotations

import time
import uuid
from collections.abc import Callable, Iterator
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any, NamedTuple

from fastlstm.counts import count_of
from fastlstm.files.opening import is_handed_over
from fastlstm.printable import say
from fastlstm.runtime import get_num_threads, num_threads
from fastlstm.train.folder_lock import FolderInUseError
from fastlstm.train.interrupt import Interrupted
from fastlstm.tune.best import TRIAL, keep_best
from fastlstm.tune.folder import TuneFolder
from fastlstm.tune.picture import draw_study
from fastlstm.tune.plan import STUDY, Plan
from fastlstm.tune.pool import Pool
from fastlstm.tune.report import command_of, line_of, table
from fastlstm.tune.results import Tuned, best_of, trials_of
from fastlstm.tune.shared import CONTENTS, WAY, Shared
from fastlstm.tune.storage import ask, opened, optuna, trial_of, trials_in
from fastlstm.tune.trial import WHY, work

LEAVING = 20.0  # seconds that a process of a study that was killed may take to save its trial


class Effort(NamedTuple):
    """How much is done, and how: what does not change a trial.

    Attributes
    ----------
    trials : in all, those of earlier commands included.
    jobs : trials at a time, which share the threads.
    timeout : seconds after which no further trial begins; None for no limit.
    """

    trials: int = 20
    jobs: int = 1
    timeout: float | None = None


def run(
    plan: Plan, folder: TuneFolder, effort: Effort, *, resume: bool = False, bars: bool = False
) -> Tuned:
    """Begin a study, or go on with the one of the folder; test and keep the best run.

    An earlier study in the folder is replaced, unless `resume` is set: then `plan` must be its
    plan.

    Raises Interrupted after Ctrl-C or SIGTERM, with all trials in work saved; ImportError without
    Optuna; ValueError if the data are not those of the study or can be read once only, the run to
    begin with is one of the folder's, or all trials failed; OSError if Optuna's storage is gone,
    damaged or of another study, or files of a trial are; DataChangedError if the data change while
    it is at work; errors of reading them, and of writing.
    """
    optuna()
    folder.check_apart(plan.subject.earlier(plan.config))
    _check_lasting(plan)
    with folder.locked():
        name = _known(folder).study if resume else f"{STUDY}-{uuid.uuid4().hex}"
        plan = replace(plan, study=name)
        shared = plan.subject.shared()
        start = time.monotonic()
        identity, source, parts = shared.begin(plan.config, bars)
        identity = {**identity, CONTENTS: shared.contents}
        if resume:
            _check_data(folder, identity, source)
            folder.write(plan, identity, effort.trials)
        else:
            folder.begin(plan, identity, effort.trials)
        say(f"data: {source}; {parts}", flush=True)
        with opened(folder.database, plan) as study:
            _search(study, plan, folder, effort, shared, start, bars)
            trials = trials_of(study, plan)
        _drop_models(folder, trials, plan.by)
        found = best_of(trials, plan.by)
        if found is None:
            raise ValueError(_no_result(folder, trials))
        say(f"\n{table(trials, plan)}")
        if not draw_study(folder.picture, trials, plan, _title(trials, data_name(plan))):
            say("no picture: it needs matplotlib, pip install 'fastlstm[plot]'")
        metrics = keep_best(folder, plan, found, shared)
        say(f"\nas a command: {command_of(plan, found)}")
        return Tuned(folder.path, plan.by, trials, metrics)


def read(folder: TuneFolder) -> tuple[Plan, Tuned]:
    """Return what a study has found so far; nothing is changed.

    Raises FileNotFoundError if the folder holds none or a part is gone, ValueError or OSError if it
    is damaged or of another study, ImportError without Optuna.
    """
    optuna()
    if not folder.holds_run:
        raise FileNotFoundError(f"{folder.path} holds no study: there is no {folder.mark.name}")
    plan = _known(folder)
    if trials_in(folder.database, plan.study) is None:
        return plan, Tuned(folder.path, plan.by, [])
    with opened(folder.database, plan) as study:
        trials = trials_of(study, plan)
    found, metrics = best_of(trials, plan.by), dict[str, Any]()
    if found is not None and folder.best.finished:
        kept = folder.best.read_metrics()
        metrics = kept if kept.get(TRIAL) == found.number else {}  # an earlier best one
    return plan, Tuned(folder.path, plan.by, trials, metrics)


def _known(folder: TuneFolder) -> Plan:
    """Return the plan of the study of a folder; errors as of `run` if its storage lacks trials."""
    plan, _, _ = folder.read()
    known = trials_in(folder.database, plan.study) or 0
    if known < folder.begun:
        has = f"has {count_of(known, 'trial')}" if folder.database.exists() else "is gone"
        raise FileNotFoundError(
            f"{folder.database} {has}, but {folder.path} at least {folder.begun}: {WAY}"
        )
    return plan


def _search(
    study: Any, plan: Plan, folder: TuneFolder, effort: Effort, shared: Shared, start: float,
    bars: bool,
) -> None:  # fmt: skip
    """Make the trials that are still to be made."""
    states = [trial.state for trial in trials_of(study, plan)]
    left = states.count("unfinished") + max(0, effort.trials - len(states))
    jobs = min(effort.jobs, left)
    if not jobs:
        return
    numbers = _numbers(study, plan, folder, effort, start)
    done = partial(_told, study, plan, folder)
    with num_threads(plan.config.threads or None):
        threads = max(1, get_num_threads() // jobs)
    if jobs == 1:
        for number in numbers:
            work(study, number, plan, folder, shared, threads, bars)
            done(number)
        return
    with Pool(folder.path, jobs, threads, partial(_died, study, done)) as pool:
        try:
            pool.make(numbers, done)
        except Interrupted as interrupt:
            states = [trial.state for trial in trials_of(study, plan)]
            left = states.count("unfinished")
            how = "the state of {} more is saved" if pool.saved else "{} more lose an epoch at most"
            ended = len(states) - left
            told = f"the study was interrupted after {count_of(ended, 'trial')}; "
            interrupt.args = (told + how.format(left),)
            raise


def _numbers(
    study: Any, plan: Plan, folder: TuneFolder, effort: Effort, start: float
) -> Iterator[int]:
    """Yield the trials to make: those that were broken off, then new ones."""
    begun = trials_of(study, plan)
    for trial in begun:
        if trial.state == "unfinished":
            _wait_for(folder.trial(trial.number))
            yield trial.number
    for _ in range(len(begun), effort.trials):
        if effort.timeout is not None and time.monotonic() - start >= effort.timeout:
            say(f"no further trial: {effort.timeout:g} s are over", flush=True)
            return
        yield ask(study, plan)


def _wait_for(run: Any) -> None:
    """Wait until a process that lost its study has left the folder of its trial."""
    end = time.monotonic() + LEAVING
    while run.path.exists():
        try:
            with run.locked():
                return
        except FolderInUseError:
            if time.monotonic() > end:
                raise
            time.sleep(0.2)


def _told(study: Any, plan: Plan, folder: TuneFolder, number: int) -> None:
    """Tell how a trial ended, and keep the model of the best one alone."""
    trials = trials_of(study, plan)
    best = best_of(trials, plan.by)
    trial = trials[number]
    say(line_of(trial, plan.by, trial is best), flush=True)
    _drop_models(folder, trials, plan.by)


def _died(study: Any, done: Callable[[int], None], number: int, how: str) -> None:
    """Tell Optuna of a trial whose process died, perhaps just after it had told the result."""
    if not study.get_trials(deepcopy=False)[number].state.is_finished():
        trial = trial_of(study, number)
        trial.set_user_attr(WHY, how)
        study.tell(trial, state=optuna().trial.TrialState.FAIL)
    done(number)


def _drop_models(folder: TuneFolder, trials: list[Any], by: str) -> None:
    best = best_of(trials, by)
    for trial in trials:
        if trial.state != "unfinished" and trial is not best:
            folder.trial(trial.number).drop_model()


def _check_lasting(plan: Plan) -> None:
    for name in plan.subject.paths:
        value = getattr(plan.config, name)
        for path in value if isinstance(value, (list, tuple)) else [value]:
            if path is not None and is_handed_over(path):
                raise ValueError(
                    f"{name} is {str(path)!r}, which can be read once, but each trial reads it: "
                    "save it in a file first"
                )


def _check_data(folder: TuneFolder, identity: dict[str, Any], source: str) -> None:
    plan, saved, _ = folder.read()
    known = saved if CONTENTS in saved else {**saved, CONTENTS: identity[CONTENTS]}
    if known != identity:
        raise ValueError(
            f"{folder.path} is a study of other {plan.subject.name} than {source}; give another "
            "folder=, or overwrite=True"
        )


def _no_result(folder: TuneFolder, trials: list[Any]) -> str:
    failed = [trial for trial in trials if trial.state == "failed"]
    if not failed:
        return f"{folder.path} has no complete trial: give it more time"
    last = failed[-1]
    return f"no trial was completed; {len(failed)} failed, the last one: {last.why}"


def data_name(plan: Plan) -> str:
    """Return what the data are called in a title."""
    return Path(plan.config.data or "").name


def _title(trials: list[Any], name: str) -> str:
    return f"{count_of(len(trials), 'trial')} on {name}"
