"""The command ``train_imdb``: options, and what is done with them."""

from __future__ import annotations

import argparse
import math
import sys
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import fields
from pathlib import Path
from typing import Any

from fastlstm.cli.errors import UsageError, as_option
from fastlstm.cli.folder import resumed
from fastlstm.cli.options import add_option
from fastlstm.cli.parser import Parser
from fastlstm.printable import say
from fastlstm.train.classifier.config import Config
from fastlstm.train.classifier.extend import to_be_extended
from fastlstm.train.classifier.imdb import run
from fastlstm.train.classifier.loaded_run import load_options
from fastlstm.train.classifier.run_folder import RunFolder
from fastlstm.train.classifier.text_config import TextConfig
from fastlstm.train.comparison.compare import (
    BASELINE_TITLE,
    NETS,
    OWN_OPTIONS,
    compare,
)
from fastlstm.train.comparison.folder import SECONDS, ComparisonFolder, Plan
from fastlstm.train.comparison.report import table


def build_parser() -> Parser:
    """Return the parser; options that are not given do not appear in its result."""
    parser = Parser(
        prog="train_imdb",
        description="Train a recurrent net on IMDB reviews (positive or negative?) and test it.",
        epilog="Ctrl-C or SIGTERM saves the run; --resume goes on to the same result as an "
        "unbroken run. FASTLSTM_DEBUG=1 shows tracebacks.",
        argument_default=argparse.SUPPRESS,
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
    folder = parser.add_argument_group("output")
    folder.add_argument(
        "--out",
        metavar="DIR",
        help="output folder (default runs/imdb-<time> or runs/compare-<time>)",
    )
    folder.add_argument(
        "--resume", metavar="DIR", nargs="?", const="",
        help="go on with the unfinished run or comparison in DIR (or in --out), with its options; "
        "with more --epochs also with a finished run",
    )  # fmt: skip
    folder.add_argument("--overwrite", action="store_true", help="replace what is in --out")
    folder.add_argument("--no-progress", action="store_true", help="show no progress bar")
    return parser


def run_command(arguments: Sequence[str] | None) -> int:
    """Do what the arguments say; return the exit status."""
    given = vars(build_parser().parse_args(arguments))
    folder, resume = _folder(given)
    overwrite = given.pop("overwrite", False)
    bars = not given.pop("no_progress", False) and sys.stderr.isatty()
    budget = given.pop("budget", None)
    try:
        config = Config(**given)
    except (TypeError, ValueError) as error:
        raise UsageError(as_option(error)) from error
    if isinstance(folder, ComparisonFolder):
        plan = _plan(config, given, budget)
        if resume:
            return _resume_comparison(folder, given, budget, bars)
        return _compare(plan, folder, False, bars, overwrite)
    if budget is not None:
        raise UsageError("--budget is for comparisons: it needs --compare")
    if resume:
        return _resume(folder, given, bars)
    return _run(config, folder, False, bars, overwrite)


def _folder(given: dict[str, Any]) -> tuple[RunFolder | ComparisonFolder, bool]:
    """Take --compare, --out and --resume out of the options: the folder, whether to resume."""
    out, resume, several = given.pop("out", None), given.pop("resume", None), "compare" in given
    kind = ComparisonFolder if given.pop("compare", False) else RunFolder
    if resume is None:
        name = "compare" if several else "imdb"
        return kind(out or Path("runs") / time.strftime(f"{name}-%Y%m%d-%H%M%S")), False
    if given.get("overwrite"):
        raise UsageError("--overwrite and --resume exclude each other")
    if not (resume or out):
        raise UsageError("--resume needs the folder of the run: --resume DIR, or with --out DIR")
    if resume and out and Path(resume) != Path(out):
        raise UsageError(f"--resume {resume} and --out {out} are different folders")
    if ComparisonFolder(resume or out).holds_run:
        kind = ComparisonFolder
    return kind(resume or out), True


@contextmanager
def _told_how_to_go_on(folder: RunFolder | ComparisonFolder) -> Iterator[None]:
    """Add the command that resumes to what Ctrl-C says, if there is something to resume."""
    try:
        yield
    except KeyboardInterrupt as interrupt:
        if folder.holds_run and not folder.finished:
            how = f"to go on: train_imdb --resume {folder.path}"
            interrupt.args = (f"{str(interrupt) or 'interrupted'}\n{how}",)
        raise


def _run(
    config: Config, folder: RunFolder, resume: bool, bars: bool, overwrite: bool = False
) -> int:
    with folder.locked(), _told_how_to_go_on(folder):
        if not resume:
            ComparisonFolder(folder.path).check_no_comparison()
            folder.check_free(overwrite)
        run(config, folder, resume=resume, bars=bars)
    say(f"\nfiles are in {folder.path}")
    return 0


def _resume(folder: RunFolder, given: dict[str, Any], bars: bool) -> int:
    if not folder.holds_run:
        raise FileNotFoundError(f"{folder.path} holds no run to resume: there is no config.json")
    saved = load_options(folder)
    if isinstance(saved, TextConfig):
        raise ValueError(
            f"{folder.path} is a run of fastlstm train: go on with "
            f"fastlstm train --resume {folder.path}"
        )
    config = resumed(saved, given, folder)
    if folder.finished and not to_be_extended(config, folder):
        accuracy = folder.read_metrics()["test_accuracy"]
        say(f"the run in {folder.path} is finished: test accuracy {accuracy:.2%}")
        return 0
    return _run(config, folder, True, bars)


def _plan(config: Config, given: dict[str, Any], budget: float | None) -> Plan:
    """Return what the options say of a comparison, if they do not contradict it."""
    for name in OWN_OPTIONS:
        if name in given:
            raise UsageError(
                f"--{name.replace('_', '-')} and --compare exclude each other: a comparison "
                "trains its own four nets, each to the end of its budget"
            )
    if not config.validation:
        raise UsageError("--compare measures on the validation reviews: --validation must not be 0")
    if budget is not None and "epochs" in given:
        raise UsageError("--budget and --epochs exclude each other")
    if budget is not None and not 0 < budget < math.inf:
        raise UsageError(f"--budget is {budget:g}, expected more than 0 and finite")
    return Plan(config, 0.0 if "epochs" in given else budget or SECONDS)


def _compare(
    plan: Plan, folder: ComparisonFolder, resume: bool, bars: bool, overwrite: bool = False
) -> int:
    with folder.locked(), _told_how_to_go_on(folder):
        if not resume:
            folder.check_free(overwrite)
        compare(plan, folder, resume=resume, bars=bars)
    say(f"\nfiles are in {folder.path}")
    return 0


def _resume_comparison(
    folder: ComparisonFolder, given: dict[str, Any], budget: float | None, bars: bool
) -> int:
    if not folder.holds_run:
        raise FileNotFoundError(
            f"{folder.path} holds no comparison to resume: there is no compare.json"
        )
    saved: Plan = folder.read()["plan"]
    config = resumed(saved.config, given, folder)
    if (budget or saved.seconds) != saved.seconds or ("epochs" in given and saved.seconds):
        has = f"{saved.seconds:g} s" if saved.seconds else f"{saved.config.epochs} epochs"
        raise UsageError(f"the comparison in {folder.path} has a budget of {has}, and keeps it")
    if folder.finished:
        say(f"the comparison in {folder.path} is finished:\n\n{table(folder.read()['models'])}")
        return 0
    return _compare(Plan(config, saved.seconds), folder, True, bars)
