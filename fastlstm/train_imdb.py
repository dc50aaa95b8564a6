"""Train a sentiment classifier on the IMDB reviews: ``python -m fastlstm.train_imdb``."""

from __future__ import annotations

import argparse
import math
import os
import sys
import time
from collections.abc import Sequence
from dataclasses import fields
from pathlib import Path
from typing import Any

from fastlstm.cli.errors import FAILED, INTERRUPTED, UsageError, as_option, one_line
from fastlstm.cli.folder import resumed
from fastlstm.cli.options import add_option
from fastlstm.cli.parser import Parser
from fastlstm.printable import say
from fastlstm.train.classifier.config import Config
from fastlstm.train.classifier.imdb import run
from fastlstm.train.classifier.run_folder import RunFolder
from fastlstm.train.classifier.text_config import TextConfig, load_config
from fastlstm.train.comparison.compare import (
    BASELINE_TITLE,
    NETS,
    OWN_OPTIONS,
    compare,
)
from fastlstm.train.comparison.folder import SECONDS, ComparisonFolder, Plan
from fastlstm.train.comparison.report import table


def build_parser() -> argparse.ArgumentParser:
    """Return the parser; options that are not given do not appear in its result."""
    parser = Parser(
        prog="train_imdb",
        description="Train a recurrent net on IMDB reviews (positive or negative?) and test it.",
        epilog="Ctrl-C saves the run; --resume goes on to the same result as an unbroken run. "
        "FASTLSTM_DEBUG=1 shows tracebacks.",
        argument_default=argparse.SUPPRESS,
        allow_abbrev=False,
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
        help="go on with the unfinished run or comparison in DIR (or in --out), with its options",
    )  # fmt: skip
    folder.add_argument("--overwrite", action="store_true", help="replace what is in --out")
    folder.add_argument("--no-progress", action="store_true", help="show no progress bar")
    return parser


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command; return its exit status: 0, 1 after a failure, 130 after Ctrl-C.

    Wrong options end it with status 2, as argparse does.
    """
    parser = build_parser()
    given = vars(parser.parse_args(arguments))
    folder, resume = _folder(parser, given)
    overwrite = given.pop("overwrite", False)
    bars = not given.pop("no_progress", False) and sys.stderr.isatty()
    budget = given.pop("budget", None)
    try:
        config = Config(**given)
    except (TypeError, ValueError) as error:
        parser.error(as_option(error))
    if isinstance(folder, ComparisonFolder):
        plan = _plan(parser, config, given, budget)
    elif budget is not None:
        parser.error("--budget is for comparisons: it needs --compare")
    try:
        if isinstance(folder, ComparisonFolder):
            if resume:
                return _resume_comparison(parser, folder, given, budget, bars)
            folder.check_free(overwrite)
            return _compare(plan, folder, False, bars)
        if resume:
            return _resume(folder, given, bars)
        ComparisonFolder(folder.path).check_no_comparison()
        if not overwrite:
            folder.check_free()
        return _run(config, folder, False, bars)
    except KeyboardInterrupt as interrupt:
        say(f"\n{str(interrupt) or 'interrupted'}", file=sys.stderr)
        if folder.holds_run and not folder.finished:
            say(f"to go on: train_imdb --resume {folder.path}", file=sys.stderr)
        return INTERRUPTED
    except UsageError as error:
        parser.error(str(error))
    except Exception as error:
        if os.environ.get("FASTLSTM_DEBUG"):
            raise
        say(f"train_imdb: error: {one_line(error)}", file=sys.stderr)
        return FAILED


def _folder(
    parser: argparse.ArgumentParser, given: dict[str, Any]
) -> tuple[RunFolder | ComparisonFolder, bool]:
    """Take --compare, --out and --resume out of the options: the folder, whether to resume."""
    out, resume, several = given.pop("out", None), given.pop("resume", None), "compare" in given
    kind = ComparisonFolder if given.pop("compare", False) else RunFolder
    if resume is None:
        name = "compare" if several else "imdb"
        return kind(out or Path("runs") / time.strftime(f"{name}-%Y%m%d-%H%M%S")), False
    if given.get("overwrite"):
        parser.error("--overwrite and --resume exclude each other")
    if not (resume or out):
        parser.error("--resume needs the folder of the run: --resume DIR, or with --out DIR")
    if resume and out and Path(resume) != Path(out):
        parser.error(f"--resume {resume} and --out {out} are different folders")
    if ComparisonFolder(resume or out).holds_run:
        kind = ComparisonFolder
    return kind(resume or out), True


def _run(config: Config, folder: RunFolder, resume: bool, bars: bool) -> int:
    run(config, folder, resume=resume, bars=bars)
    say(f"\nfiles are in {folder.path}")
    return 0


def _resume(folder: RunFolder, given: dict[str, Any], bars: bool) -> int:
    if not folder.holds_run:
        raise FileNotFoundError(f"{folder.path} holds no run to resume: there is no config.json")
    saved = load_config(folder.config)
    if isinstance(saved, TextConfig):
        raise ValueError(
            f"{folder.path} is a run of fastlstm train: go on with "
            f"fastlstm train --resume {folder.path}"
        )
    config = resumed(saved, given, folder)
    if folder.finished:
        accuracy = folder.read_metrics()["test_accuracy"]
        say(f"the run in {folder.path} is finished: test accuracy {accuracy:.2%}")
        return 0
    return _run(config, folder, True, bars)


def _plan(
    parser: argparse.ArgumentParser, config: Config, given: dict[str, Any], budget: float | None
) -> Plan:
    """Return what the options say of a comparison, if they do not contradict it."""
    for name in OWN_OPTIONS:
        if name in given:
            parser.error(
                f"--{name.replace('_', '-')} and --compare exclude each other: a comparison "
                "trains its own four nets, each to the end of its budget"
            )
    if not config.validation:
        parser.error("--compare measures on the validation reviews: --validation must not be 0")
    if budget is not None and "epochs" in given:
        parser.error("--budget and --epochs exclude each other")
    if budget is not None and not 0 < budget < math.inf:
        parser.error(f"--budget is {budget:g}, expected more than 0 and finite")
    return Plan(config, 0.0 if "epochs" in given else budget or SECONDS)


def _compare(plan: Plan, folder: ComparisonFolder, resume: bool, bars: bool) -> int:
    compare(plan, folder, resume=resume, bars=bars)
    say(f"\nfiles are in {folder.path}")
    return 0


def _resume_comparison(
    parser: argparse.ArgumentParser, folder: ComparisonFolder, given: dict[str, Any],
    budget: float | None, bars: bool,
) -> int:  # fmt: skip
    if not folder.holds_run:
        raise FileNotFoundError(
            f"{folder.path} holds no comparison to resume: there is no compare.json"
        )
    saved: Plan = folder.read()["plan"]
    config = resumed(saved.config, given, folder)
    if (budget or saved.seconds) != saved.seconds or ("epochs" in given and saved.seconds):
        has = f"{saved.seconds:g} s" if saved.seconds else f"{saved.config.epochs} epochs"
        parser.error(f"the comparison in {folder.path} has a budget of {has}, and keeps it")
    if folder.finished:
        say(f"the comparison in {folder.path} is finished:\n\n{table(folder.read()['models'])}")
        return 0
    return _compare(Plan(config, saved.seconds), folder, True, bars)


if __name__ == "__main__":
    sys.exit(main())
