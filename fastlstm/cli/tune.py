"""``fastlstm tune``: good options of a text classifier or a forecast, searched with Optuna."""

from __future__ import annotations

import argparse
import io
import sys
from collections.abc import Mapping
from contextlib import redirect_stdout
from dataclasses import Field, fields
from pathlib import Path
from typing import Any

from fastlstm.cli.errors import UsageError, wrong_use
from fastlstm.cli.flags import flag
from fastlstm.cli.forecast import add_series_options, check_series
from fastlstm.cli.options import add_json_option, add_quiet_option, print_json
from fastlstm.cli.parser import Parser
from fastlstm.cli.train import add_text_options, check_texts
from fastlstm.cli.training import (
    absolute,
    add_output_options,
    begun,
    refuse,
    resumed,
    take_output,
    writing,
)
from fastlstm.printable import say
from fastlstm.train.classifier.text_config import TextConfig
from fastlstm.tune.folder import TuneFolder
from fastlstm.tune.function import check_by, check_effort, check_same
from fastlstm.tune.measures import MEASURES
from fastlstm.tune.plan import PRUNERS, Plan, idle_in_all, make_space
from fastlstm.tune.results import Tuned
from fastlstm.tune.space import parse_search
from fastlstm.tune.subject import SERIES, SUBJECTS, TEXTS, Subject, subject_for

SUMMARY = "search good options of a text classifier or a forecast"
EXAMPLES = """
fastlstm tune reviews.csv
fastlstm tune reviews.csv --search lr=1e-4:1e-2:log hidden=64,128,256 --trials 50 --jobs 2
fastlstm tune reviews.csv --epochs 5 --timeout 600 --out runs/reviews-tune
fastlstm tune power.csv --time hour --target load --horizon 24
fastlstm tune --show runs/reviews-tune
"""
ABOUT = f"""\
DATA and the options of data, model and training are those of `fastlstm train` or, with --time and
--target, of `fastlstm forecast`; they hold for all
trials. What --search names is drawn for each trial: a range (lr=0.001:0.1, of whole numbers where
the option is one), a range by factors (lr=1e-4:1e-2:log), steps (dropout=0:0.6:0.1) or values
(cell=lstm,gru); hidden, layers, embedding and batch are short for hidden_size and so on. Without
it, all of this is searched that is not given as an option, of texts and of forecasts:
  {" ".join(TEXTS.default[:3])}
  {" ".join(TEXTS.default[3:])}
  {" ".join(SERIES.default)}
The first trial has the options as `fastlstm train` or `fastlstm forecast` would have them, as far
as the search holds them. A trial trains on the training texts and is judged by the validation
texts, or trains on the steps before those that it is judged by; the pruner compares it after each
epoch with the others and ends it where it falls behind. No trial sees the test part: the best run
is tested on it, once, at the end. It is in the folder best of --out, for `fastlstm predict` and
fastlstm.load, or for `fastlstm forecast --from`.
The folder also gets tune.png (with "fastlstm[plot]") and study.db, Optuna's own storage, which
optuna-dashboard shows.
With --jobs trials run in processes of their own, each with its share of --threads. The same command
again goes on with a study, also with more --trials; --resume DIR is short for it. Ctrl-C saves the
trials in work; Ctrl-C twice ends at once, and loses at most an epoch of each.
"""


def add_options(parser: Parser) -> None:
    add_text_options(parser)
    series = parser.add_argument_group("forecasts, beside some of the options above")
    add_series_options(series, series)
    own = parser.add_argument_group("search")
    own.add_argument("--search", metavar="NAME=VALUES", nargs="+", action="extend",
                     help="what is searched, in the forms below")  # fmt: skip
    own.add_argument(
        "--trials", type=int, metavar="N",
        help="trials in all, those of earlier commands included (default 20)",
    )  # fmt: skip
    own.add_argument("--jobs", type=int, metavar="N", default=1,
                     help="trials at a time, which share the threads (default 1)")  # fmt: skip
    own.add_argument("--timeout", type=float, metavar="SECONDS",
                     help="begin no further trial after this time")  # fmt: skip
    own.add_argument(
        "--by", choices=sorted(MEASURES),
        help="what is to be best of what is held back: accuracy (the default) or loss of texts, "
        "mae (the default) or loss of forecasts",
    )  # fmt: skip
    own.add_argument(
        "--pruner", choices=PRUNERS,
        help="what ends a trial early: its epochs below the median of the others, successive "
        "halving, or nothing (default median)",
    )  # fmt: skip
    output = add_output_options(parser, "runs/<name of DATA>-tune", extends=False)
    output.add_argument("--show", metavar="DIR", nargs="?", const="",
                        help="show the study in DIR (or in --out) and do no more")  # fmt: skip
    add_quiet_option(output)
    add_json_option(output, "the trials and the metrics of the best run")


def run(options: argparse.Namespace) -> int:
    """Search as the options say, go on with a study, or show one."""
    given = {k: v for k, v in vars(options).items() if k not in ("command", "parser", "run")}
    as_json, quiet, show = (given.pop(name) for name in ("json", "quiet", "show"))
    if show is not None:
        _check_alone(options.parser, given)
    else:
        subject = subject_for(given)
        with wrong_use():
            parse_search(given["search"] or subject.default, _searched(given, subject))
        _check_data(given, subject)
    if given["out"] is None and given["resume"] is None and "data" in given:
        given["out"] = f"runs/{Path(given['data']).stem}-tune"
    with redirect_stdout(io.StringIO() if quiet else sys.stderr if as_json else sys.stdout):
        found = _run(given, quiet) if show is None else _show(show, given)
    if as_json:
        print_json(found.to_json())
    return 0


def _check_data(given: dict[str, Any], subject: Subject) -> None:
    """Make paths whole in the options of a new study; UsageError if some are missing or idle."""
    if given["resume"] is not None:  # what the study is of its folder says
        if "data" in given:
            given["data"] = absolute(given["data"])
        return
    _check_names(given, subject)
    if subject is TEXTS:
        check_texts(given)
    else:
        check_series(given)
        given["data"] = absolute(given["data"])


def _check_names(given: Mapping[str, Any], subject: Subject) -> None:
    """Raise UsageError for an option that what the study is of does not have."""
    others = [one for one in SUBJECTS.values() if one is not subject]
    own = {item.name for item in fields(subject.kind)}
    for other in others:
        for name in (item.name for item in fields(other.kind)):
            if name in given and name not in own:
                way = "; --time and --target make it one" if other is SERIES else ""
                raise UsageError(
                    f"{flag(name)} is an option of {other.told}, and the study is of "
                    f"{subject.told}{way}"
                )


def _searched(given: Mapping[str, Any], subject: Subject) -> Mapping[str, Field[Any]]:
    """Return what may be searched, as far as it is known before a study is read."""
    if given["resume"] is None:
        return subject.options
    return {name: item for one in SUBJECTS.values() for name, item in one.options.items()}


def _check_alone(parser: Parser, given: dict[str, Any]) -> None:
    """Raise UsageError if there are options that showing a study leaves undone."""
    more = [
        flag(name)
        for name, value in given.items()
        if name not in ("data", "out", "no_progress") and value != parser.get_default(name)
    ]
    if more:
        raise UsageError(f"--show only shows: leave {', '.join(more)} out")


def _show(show: str, given: dict[str, Any]) -> Tuned:
    """Show a study."""
    from fastlstm.tune import study
    from fastlstm.tune.report import table

    path = show or given["out"]
    if not path:
        raise UsageError("--show needs the folder: --show DIR, or with --out DIR")
    plan, found = study.read(TuneFolder(path))
    say(table(found.trials, plan))
    if found.metrics:
        tested = plan.subject.tested(found.metrics)
        say(f"\nthe best run is in {TuneFolder(path).best.path}{tested}")
    return found


def _run(given: dict[str, Any], quiet: bool) -> Tuned:
    from fastlstm.tune import study

    names = ("search", "trials", "jobs", "timeout", "by", "pruner")
    asked = {name: given.pop(name) for name in names}
    explicit = given["resume"] is not None
    output = take_output(given, "tune", TuneFolder)
    folder = output.folder
    assert isinstance(folder, TuneFolder)
    for name in ("vectors", "from_run"):
        if name in given:
            given[name] = absolute(given[name])
    goes_on = folder.holds_run and not output.overwrite
    if explicit:
        plan = _resumed(folder, given, asked)
    else:
        plan = _plan(given, asked)
        if goes_on:
            saved, _, _ = folder.read()
            with wrong_use():
                check_same(plan, saved, folder)
    trials = asked["trials"]
    if trials is None:
        trials = folder.read()[2] if goes_on else study.Effort().trials
    with wrong_use():
        effort = check_effort(study.Effort(trials, asked["jobs"], asked["timeout"]))
    output = output._replace(resume=goes_on)
    with writing(output, "fastlstm tune"):
        return study.run(plan, folder, effort, resume=goes_on, bars=output.bars and not quiet)


def _plan(given: dict[str, Any], asked: dict[str, Any]) -> Plan:
    """Return the plan of a new study; UsageError if the options do not fit each other."""
    subject = subject_for(given)
    with wrong_use():
        config: Any = subject.config(given) if subject is SERIES else begun(TextConfig, given)
        subject.check(config)
        by = check_by(subject, asked["by"])
        space = make_space(asked["search"], config, given)
    refuse(idle_in_all(config, space, given))
    return Plan(config, space, by, asked["pruner"] or PRUNERS[0])


def _resumed(folder: TuneFolder, given: dict[str, Any], asked: dict[str, Any]) -> Plan:
    """Return the plan of a study to resume; UsageError if a given option differs from it."""
    saved, _, _ = folder.read()
    _check_names(given, saved.subject)
    config = resumed(saved.config, given, folder)
    refuse(idle_in_all(config, saved.space, given))
    with wrong_use():
        words, options = asked["search"], saved.subject.options
        space = parse_search(words, options) if words else saved.space
        by, pruner = asked["by"] or saved.by, asked["pruner"] or saved.pruner
        plan = Plan(config, space, by, pruner)
        check_same(plan, saved, folder)
    return plan
