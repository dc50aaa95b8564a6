"""The command ``train_imdb``, and its comparisons."""

from __future__ import annotations

import argparse
import math
from collections.abc import Sequence
from dataclasses import fields, replace
from typing import Any

from fastlstm.cli.errors import UsageError, wrong_use
from fastlstm.cli.flags import as_flags, begins_with_flag, flag
from fastlstm.cli.options import add_option
from fastlstm.cli.parser import Parser
from fastlstm.cli.processes import add_distributed_option, joined
from fastlstm.cli.training import (
    Output,
    add_output_options,
    check_all_used,
    resumed,
    take_output,
    train,
    writing,
)
from fastlstm.counts import count_of
from fastlstm.distributed.processes import Processes
from fastlstm.printable import say
from fastlstm.train.classifier import imdb
from fastlstm.train.classifier.config import Config
from fastlstm.train.classifier.dataset import Dataset
from fastlstm.train.classifier.run_folder import RunFolder
from fastlstm.train.comparison.compare import (
    BASELINE_TITLE,
    NETS,
    OWN_OPTIONS,
    MissingExtra,
    compare,
)
from fastlstm.train.comparison.folder import SECONDS, ComparisonFolder, Plan
from fastlstm.train.comparison.report import table


def build_parser() -> Parser:
    """Return the parser; options of the run that are not given do not appear in its result."""
    parser = Parser(
        prog="train_imdb",
        description="Train a recurrent net on IMDB reviews (positive or negative?) and test it.",
        epilog="Ctrl-C or SIGTERM saves the run; --resume goes on to the same result as an "
        "unbroken run. FASTLSTM_DEBUG=1 shows tracebacks.",
        formatter_class=argparse.HelpFormatter,
    )
    for item in fields(Config):
        add_option(parser, item)
    several = parser.add_argument_group("comparison")
    several.add_argument(
        "--compare", action="store_true",
        help=f"train {', '.join(net.title for net in NETS)} on equal budgets and a "
        f"{BASELINE_TITLE}; a run of each, compare.json and compare.png",
    )  # fmt: skip
    several.add_argument(
        "--budget", type=float, metavar="SECONDS",
        help=f"training time of each net in a comparison (default {SECONDS:g}); with --epochs "
        "each trains for so many epochs instead",
    )  # fmt: skip
    add_output_options(parser, "runs/imdb-<time> or runs/compare-<time>")
    add_distributed_option(parser)
    return parser


def run(arguments: Sequence[str] | None) -> int:
    """Train a run or a comparison as the arguments say, or go on with one."""
    given = vars(build_parser().parse_args(arguments))
    with joined(given.pop("distributed"), given) as processes:
        _run(given, processes)
    return 0


def _run(given: dict[str, Any], processes: Processes) -> None:
    several, budget = given.pop("compare"), given.pop("budget")
    kept = given["resume"] or given["out"]
    if given["resume"] is not None and kept:
        several |= ComparisonFolder(kept).holds_run
    name, kind = ("compare", ComparisonFolder) if several else ("imdb", RunFolder)
    output = take_output(given, name, kind)
    if several and processes.size > 1:
        raise UsageError("--compare measures times, and runs in one process")
    if several:
        _compare(output, given, budget)
    elif budget is not None:
        raise UsageError("--budget is for comparisons: it needs --compare")
    else:
        train(output, Config, given, _load)


def _load(config: Config, bars: bool) -> Dataset:
    """Return the reviews, with a notice that names flags."""
    data = imdb.reviews(config, bars)
    return replace(data, notice=as_flags(data.notice))


def _compare(output: Output, given: dict[str, Any], budget: float | None) -> None:
    """Compare the nets, unless that is finished."""
    folder, plan = output.folder, _plan(given, budget)
    assert isinstance(folder, ComparisonFolder)
    if output.resume:
        plan = _resumed(folder, given, budget)
        if folder.finished:
            say(f"the comparison in {folder.path} is finished:\n\n{table(folder.read()['models'])}")
            return
    with writing(output, "train_imdb"):
        try:
            compare(_load, plan, folder, resume=output.resume, bars=output.bars)
        except MissingExtra as error:
            raise MissingExtra(begins_with_flag(str(error))) from error


def _plan(given: dict[str, Any], budget: float | None) -> Plan:
    """Return the plan that the options ask for; UsageError if they do not fit a comparison."""
    for name in OWN_OPTIONS:
        if name in given:
            raise UsageError(
                f"{flag(name)} and --compare exclude each other: a comparison "
                "trains its own four nets, each to the end of its budget"
            )
    if given.setdefault("parts", "net") != "net":
        raise UsageError("--parts and --compare exclude each other: a comparison is of nets")
    with wrong_use():
        config = Config(**given)
    check_all_used(config, given)
    if not config.validation:
        raise UsageError("--compare measures on the validation reviews: --validation must not be 0")
    if budget is not None and "epochs" in given:
        raise UsageError("--budget and --epochs exclude each other")
    if budget is not None and not 0 < budget < math.inf:
        raise UsageError(f"--budget is {budget:g}, expected more than 0 and finite")
    return Plan(config, 0.0 if "epochs" in given else budget or SECONDS)


def _resumed(folder: ComparisonFolder, given: dict[str, Any], budget: float | None) -> Plan:
    """Return the plan of a comparison to resume; UsageError if the options differ from it."""
    saved: Plan = folder.read()["plan"]
    config = resumed(saved.config, given, folder)
    if (budget or saved.seconds) != saved.seconds or ("epochs" in given and saved.seconds):
        epochs = count_of(saved.config.epochs, "epoch")
        has = f"{saved.seconds:g} s" if saved.seconds else epochs
        raise UsageError(f"the comparison in {folder.path} has a budget of {has}, and keeps it")
    return Plan(config, saved.seconds)
