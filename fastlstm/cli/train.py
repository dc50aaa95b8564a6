"""``fastlstm train``: a text classifier from labelled texts."""

from __future__ import annotations

import argparse
import os
import sys
import time
from dataclasses import fields
from pathlib import Path
from typing import Any

from fastlstm.cli.errors import UsageError, as_option
from fastlstm.cli.folder import add_folder_options, resumed, take_folder
from fastlstm.cli.options import Subparsers, add_json_option, add_option, new_parser, print_json
from fastlstm.cli.options import told as print_to
from fastlstm.printable import say
from fastlstm.train.classifier import texts
from fastlstm.train.classifier.config import Config
from fastlstm.train.classifier.extend import to_be_extended
from fastlstm.train.classifier.loaded_run import load_options
from fastlstm.train.classifier.run_folder import RunFolder
from fastlstm.train.classifier.text_config import TextConfig

EXAMPLES = """
fastlstm train reviews.csv
fastlstm train tickets.jsonl --text-column body --label-column team --out runs/tickets
fastlstm train news.csv --no-header --label-column 1 --text-column 2,3
fastlstm train news/train --test news/test --cell gru --epochs 5
fastlstm train --resume runs/tickets
"""
ABOUT = """
DATA is a table (.csv, .tsv), JSON (.jsonl, .json), Parquet, lines that begin with their label, or a
folder with a folder of .txt files for each class; files may be packed (.csv.gz). Two classes or
many; labels are words or numbers, equal numbers are one class. A part of each class is held back
to test on, unless --test names other texts, and another to choose the best epoch by. The folder
--out gets the model, the words, the options, metrics.json, a line for each epoch in metrics.jsonl
and, with "fastlstm[plot]", curves.png; until the run is finished also a checkpoint.
Ctrl-C or SIGTERM saves the run; --resume goes on to the same result as an unbroken run, and with
more --epochs also with a finished run: from the weights it kept, with a new optimizer.
"""


def add_parser(subparsers: Subparsers) -> None:
    """Add the subcommand."""
    parser = new_parser(subparsers, "train", "train a text classifier", EXAMPLES, ABOUT)
    inherited = {item.name for item in fields(Config)}
    own = parser.add_argument_group("data")
    own.add_argument("data", metavar="DATA", nargs="?", help="the labelled texts; see below")
    model = parser.add_argument_group("model and training")
    for item in fields(TextConfig):
        if item.name != "data":
            add_option(model if item.name in inherited else own, item)
    output = parser.add_argument_group("output")
    add_folder_options(output, "runs/<name of DATA>-<time>")
    output.add_argument("--quiet", action="store_true", help="print nothing but errors")
    add_json_option(output, "the metrics")
    output.add_argument("--no-progress", action="store_true", help="show no progress bar")
    parser.set_defaults(run=run)


def run(options: argparse.Namespace) -> int:
    """Train as the options say, or go on with a run."""
    given = dict(vars(options))
    as_json, quiet = given["json"], given.get("quiet", False)
    bars = not (quiet or given.get("no_progress", False)) and sys.stderr.isatty()
    own = {item.name for item in fields(TextConfig)} | {"out", "resume", "overwrite"}
    given = {name: value for name, value in given.items() if name in own}
    for name in ("data", "test"):  # the run can be resumed from any folder
        if name in given:
            given[name] = os.path.abspath(os.path.expanduser(given[name]))
    _check_use(given)
    name = Path(given.get("data", "texts")).stem
    default = Path("runs") / f"{name}-{time.strftime('%Y%m%d-%H%M%S')}"
    folder, resume, overwrite = take_folder(given, default)
    config = _saved(folder, given) if resume else _config(given)
    with print_to(quiet, as_json):
        metrics = _finished(folder, config) if resume else None
        if metrics is None:
            with folder.locked():
                if not resume:
                    folder.check_free(overwrite)
                metrics = _run(config, folder, resume, bars)
            say(f"\nfiles are in {folder.path}")
    if as_json:
        print_json(metrics)
    return 0


def _check_use(given: dict[str, Any]) -> None:
    if "data" not in given and "resume" not in given:
        raise UsageError("DATA is missing: the labelled texts to train on (or --resume a run)")
    if "test" in given and given.get("test_split"):
        raise UsageError("--test and --test-split exclude each other")


def _config(given: dict[str, Any]) -> TextConfig:
    try:
        return TextConfig(**given)
    except (TypeError, ValueError) as error:
        raise UsageError(as_option(error)) from error


def _saved(folder: RunFolder, given: dict[str, Any]) -> TextConfig:
    """Return the options of a run to resume."""
    saved = load_options(folder)
    if not isinstance(saved, TextConfig):
        raise ValueError(
            f"{folder.path} is a run of train_imdb: go on with train_imdb --resume {folder.path}"
        )
    return resumed(saved, given, folder)


def _finished(folder: RunFolder, config: TextConfig) -> dict[str, Any] | None:
    """Return the metrics of a run that has ended, and say so; None for one to go on with."""
    if not folder.finished or to_be_extended(config, folder):
        return None
    metrics = folder.read_metrics()
    accuracy = metrics["test_accuracy"]
    result = "" if accuracy is None else f": test accuracy {accuracy:.2%}"
    say(f"the run in {folder.path} is finished{result}")
    return metrics


def _run(config: TextConfig, folder: RunFolder, resume: bool, bars: bool) -> dict[str, Any]:
    try:
        return texts.run(config, folder, resume=resume, bars=bars)
    except KeyboardInterrupt as interrupt:
        if not folder.holds_run or folder.finished:
            raise
        how = f"to go on: fastlstm train --resume {folder.path}"
        interrupt.args = (f"{interrupt}\n{how}".strip(),)
        raise
