"""``fastlstm train``: a text classifier from labelled texts."""

from __future__ import annotations

import argparse
import io
import sys
from contextlib import redirect_stdout
from dataclasses import fields
from pathlib import Path
from typing import Any

from fastlstm.cli.errors import UsageError
from fastlstm.cli.options import add_json_option, add_option, add_quiet_option, print_json
from fastlstm.cli.parser import Parser
from fastlstm.cli.processes import add_distributed_option, joined
from fastlstm.cli.training import absolute, add_output_options, take_output, train
from fastlstm.train.classifier import texts
from fastlstm.train.classifier.config import Config
from fastlstm.train.classifier.text_config import TextConfig

SUMMARY = "train a text classifier"
EXAMPLES = """
fastlstm train reviews.csv
fastlstm train tickets.jsonl --text-column body --label-column team --out runs/tickets
fastlstm train news.csv --no-header --label-column 1 --text-column 2,3
fastlstm train news/train --test news/test --cell gru --epochs 5
fastlstm train reviews.csv --vectors glove.6B.100d.txt --freeze-vectors
fastlstm train new_tickets.jsonl --from runs/tickets
fastlstm train reviews.csv --pretrain --unlabelled more.txt --unlabelled others.csv
fastlstm train --resume runs/tickets
"""
ABOUT = """\
DATA is a table (.csv, .tsv), JSON (.jsonl, .json), Parquet, lines that begin with their label, or a
folder with a folder of .txt files for each class; files may be packed (.csv.gz). Two classes or
many; labels are words or numbers, equal numbers are one class. A part of each class is held back
to test on, unless --test names other texts, and another to choose the best epoch by. A linear part
is trained first, in seconds, then the net; the texts that chose the epoch also say how much each of
the two counts. The folder
--out gets the model, the words, the options, metrics.json, a line for each epoch in metrics.jsonl
and, with "fastlstm[plot]", curves.png; until the run is finished also a checkpoint.
Ctrl-C or SIGTERM saves the run; --resume goes on to the same result as an unbroken run, and with
more --epochs also with a finished run: from the weights it kept, with a new optimizer.
"""


def add_options(parser: Parser) -> None:
    add_text_options(parser)
    output = add_output_options(parser, "runs/<name of DATA>-<time>")
    add_distributed_option(parser)
    add_quiet_option(output)
    add_json_option(output, "the metrics")


def add_text_options(parser: Parser) -> None:
    """Add DATA, and the options that say how texts are read and a classifier is trained."""
    inherited = {item.name for item in fields(Config)} - {"unlabelled"}
    own = parser.add_argument_group("data")
    own.add_argument("data", metavar="DATA", nargs="?", default=argparse.SUPPRESS,
                     help="the labelled texts; see below")  # fmt: skip
    model = parser.add_argument_group("model and training")
    for item in fields(TextConfig):
        if item.name != "data":
            add_option(model if item.name in inherited else own, item)


def check_texts(given: dict[str, Any]) -> None:
    """Make paths whole in the options given; UsageError if those of the texts do not fit."""
    for name in ("data", "test"):
        if name in given:
            given[name] = absolute(given[name])
    if "unlabelled" in given:
        given["unlabelled"] = tuple(map(absolute, given["unlabelled"]))
    if "data" not in given and given["resume"] is None:
        raise UsageError("DATA is missing: the labelled texts to train on (or --resume a run)")
    if "test" in given and given.get("test_split"):
        raise UsageError("--test and --test-split exclude each other")


def run(options: argparse.Namespace) -> int:
    """Train as the options say, or go on with a run."""
    given = {k: v for k, v in vars(options).items() if k not in ("command", "parser", "run")}
    with joined(given.pop("distributed"), given):
        return _run(given)


def _run(given: dict[str, Any]) -> int:
    as_json, quiet = given.pop("json"), given.pop("quiet")
    check_texts(given)
    output = take_output(given, Path(given.get("data", "texts")).stem)
    output = output._replace(bars=output.bars and not quiet)
    with redirect_stdout(io.StringIO() if quiet else sys.stderr if as_json else sys.stdout):
        metrics = train(output, TextConfig, given, texts.load)
    if as_json:
        print_json(metrics)
    return 0
