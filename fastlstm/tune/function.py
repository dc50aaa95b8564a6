"""A search for good options as a function."""

from __future__ import annotations

import io
from collections.abc import Iterable, Mapping, Sequence
from contextlib import nullcontext, redirect_stdout
from dataclasses import fields
from difflib import get_close_matches
from pathlib import Path
from typing import Any

from fastlstm.files.naming import absolute_path, named_path
from fastlstm.nn.check import check_flag, check_number
from fastlstm.tune.folder import TuneFolder
from fastlstm.tune.plan import PRUNERS, Plan, idle_in_all, make_space
from fastlstm.tune.results import Tuned
from fastlstm.tune.space import as_words
from fastlstm.tune.study import Effort, run
from fastlstm.tune.subject import Subject, subject_for


def tune(
    data: str | Path,
    out: str | Path,
    *,
    search: Iterable[str] | Mapping[str, str | Sequence[Any]] | None = None,
    trials: int = 20,
    jobs: int = 1,
    timeout: float | None = None,
    by: str | None = None,
    pruner: str = "median",
    overwrite: bool = False,
    verbose: bool = False,
    **options: Any,
) -> Tuned:
    """Search good options with Optuna: ``fastlstm tune`` as a function.

    They are those of a classifier of texts or, with ``time=`` and ``target=``, of a forecast.
    Trials are chosen by what is held back for that alone; the test part is read once, by the best
    run at the end. The same call again goes on with the study in `out`.

    Parameters
    ----------
    data : the labelled texts, as of ``fastlstm train``, or the table, as of ``fastlstm forecast``.
    out : folder of the study; the best run is in ``best``, which `Tuned.load` reads.
    search : words such as ``"lr=1e-4:1e-2:log hidden=64,128"``, or a dict of them by option, whose
        values may be lists: ``{"lr": "1e-4:1e-2:log", "hidden_size": [64, 128]}``. By default
        learning rate, sizes, layers and dropouts; of forecasts also the batch size.
    trials : how many in all.
    jobs : how many at a time, in processes that share the threads.
    timeout : seconds after which no further trial begins.
    by : "accuracy" or "loss" of the validation texts; "mae" or "loss" of forecasts of the steps
        before the test. None: the first of these.
    pruner : what ends trials early by their epochs: "median" (below the median of the others),
        "halving" (successive halving) or "none".
    overwrite : replace another study in `out`.
    verbose : print a line for each trial, and a table.
    **options : those of ``fastlstm train`` or ``fastlstm forecast``, such as ``epochs=5``, for all
        trials.

    Raises
    ------
    ImportError
        Without Optuna (extra ``tune``).
    TypeError, ValueError
        If an option or a part of the search is wrong, which is named; if there is no validation
        part, `out` holds a study of other data, options or another search, or no trial was
        completed. Errors of the data as of ``fastlstm train`` and ``fastlstm forecast``.
    OSError
        If a file cannot be read or written, or `data` changes while the study is at work.
    KeyboardInterrupt
        After Ctrl-C, with the trials in work saved.
    """
    if not isinstance(out, (str, Path)):
        raise TypeError(f"out is {out!r:.60}, expected the path of a folder")
    overwrite, verbose = check_flag("overwrite", overwrite), check_flag("verbose", verbose)
    effort = check_effort(Effort(trials, jobs, timeout))
    words = None if search is None else as_words(search)
    plan = make_plan({"data": data, **options}, words, by, pruner)
    folder = TuneFolder(out)
    with folder.locked(), nullcontext() if verbose else redirect_stdout(io.StringIO()):
        goes_on = folder.holds_run and not overwrite
        if goes_on:
            check_same(plan, folder.read()[0], folder)
        else:
            folder.check_free(overwrite)
        return run(plan, folder, effort, resume=goes_on)


def make_plan(
    options: Mapping[str, Any], words: list[str] | None, by: str | None, pruner: str
) -> Plan:
    """Return the plan that options and the words of a search ask for; errors as of `tune`."""
    subject = subject_for(options)
    known = [item.name for item in fields(subject.kind)]
    for name in options:
        if name not in known:
            near = get_close_matches(name, known, n=1)
            hint = f"; did you mean {near[0]}?" if near else ""
            raise TypeError(f"{name} is no option of {subject.told}{hint}")
    for name in subject.needed:
        if name not in options:
            raise TypeError(f"{name} is missing, expected it for {subject.told}")
    by = check_by(subject, by)
    if pruner not in PRUNERS:
        raise ValueError(f"pruner is {pruner!r}, expected one of {', '.join(PRUNERS)}")
    given = {k: _absolute(v) if k in subject.paths else v for k, v in options.items()}
    config = subject.config(given)
    subject.check(config)
    space = make_space(words, config, given)
    for idle in idle_in_all(config, space, given):
        raise ValueError(idle.refused)
    return Plan(config, space, by, pruner)


def check_by(subject: Subject, by: str | None) -> str:
    """Return the measure to choose by, the usual one for None; ValueError if there is none such."""
    if by is None:
        return subject.measures[0]
    if by not in subject.measures:
        raise ValueError(
            f"by is {by!r}, expected one of {', '.join(subject.measures)}, which {subject.told} has"
        )
    return by


def _absolute(path: Any) -> Any:
    """Return a path, or several, that hold in any folder, from which the study may go on."""
    if isinstance(path, (list, tuple)):
        return [_absolute(one) for one in path]
    return str(absolute_path(named_path(path))) if isinstance(path, (str, Path)) else path


def check_effort(effort: Effort) -> Effort:
    """Return it; TypeError or ValueError if a number is none, or impossible."""
    for name, value in (("trials", effort.trials), ("jobs", effort.jobs)):
        if type(value) is not int or value < 1:
            raise ValueError(f"{name} is {value!r:.60}, expected a whole number of at least 1")
    if effort.timeout is not None and not check_number("timeout", effort.timeout) > 0:
        raise ValueError(f"timeout is {effort.timeout!r}, expected seconds above 0")
    return effort


def check_same(plan: Plan, saved: Plan, folder: TuneFolder) -> None:
    """Raise ValueError if the study of a folder is not that of the plan: tells what differs."""
    if plan.subject is not saved.subject:
        raise ValueError(
            f"{folder.path} holds a study of {saved.subject.told}, not of {plan.subject.told}: "
            "give another folder=, or overwrite=True"
        )
    new, old = plan.to_json(), saved.to_json()
    free = saved.config.free_options
    pairs = [(name, new["config"][name], old["config"][name]) for name in new["config"]]
    pairs = [pair for pair in pairs if pair[0] not in free]
    pairs += [(name, new[name], old[name]) for name in ("by", "pruner")]
    pairs += [("search", _listed(new["search"]), _listed(old["search"]))]
    for name, value, there in pairs:
        if value != there:
            raise ValueError(
                f"{name} is {value}, but the study in {folder.path} has {there}: give another "
                "folder=, or overwrite=True"
            )


def _listed(search: Mapping[str, str]) -> str:
    return " ".join(f"{name}={words}" for name, words in search.items())
