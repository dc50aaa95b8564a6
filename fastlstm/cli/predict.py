"""``fastlstm predict``: the class of each text, as JSON lines."""

from __future__ import annotations

import argparse
import io
import sys
from collections.abc import Iterable, Iterator
from itertools import islice
from pathlib import Path
from typing import Any, cast

import numpy as np

from fastlstm.cli.errors import UsageError
from fastlstm.cli.options import Subparsers, add_quiet_option, new_parser, print_json, text_bar
from fastlstm.printable import say
from fastlstm.text import UNK
from fastlstm.text.lines import lines_of, read_lines
from fastlstm.train.classifier.loaded_run import LoadedRun, load_run
from fastlstm.train.classifier.text_config import check_encoding

# Texts that are read, sorted by length and classified at a time: what bounds the memory.
CHUNK = 4096

EXAMPLES = """
fastlstm predict runs/reviews "What a film!" "Never again."
fastlstm predict runs/reviews --file unseen.txt > labels.jsonl
cat unseen.txt | fastlstm predict runs/reviews --probabilities
"""
ABOUT = """
Writes a line of JSON for each text, in their order: the text, its label, the probability of that
label, and known_words: how many words of the text, as the model reads it, training had. Where that
is 0 the label says nothing about the text.
"""


def add_parser(subparsers: Subparsers) -> None:
    """Add the subcommand."""
    parser = new_parser(subparsers, "predict", "classify texts with a trained run", EXAMPLES, ABOUT)
    parser.add_argument("path", metavar="RUN", help="folder of the run")
    parser.add_argument(
        "texts", metavar="TEXT", nargs="*", default=[],
        help="the texts; by default the lines of the standard input",
    )  # fmt: skip
    parser.add_argument(
        "--file",
        metavar="FILE",
        type=Path,
        default=None,
        help="classify each line of FILE; - is the standard input",
    )
    parser.add_argument(
        "--probabilities", action="store_true", default=False,
        help="write the probabilities of all classes",
    )  # fmt: skip
    parser.add_argument(
        "--encoding", metavar="S", default=None,
        help="of FILE or the standard input; by default UTF-8, or what a byte order mark says",
    )  # fmt: skip
    add_quiet_option(parser)
    parser.set_defaults(run=run)


def run(options: argparse.Namespace) -> int:
    """Write a line for each text."""
    if options.texts and options.file is not None:
        raise UsageError("TEXT and --file exclude each other")
    if options.encoding is not None:
        try:
            check_encoding(options.encoding)
        except ValueError as error:
            raise UsageError(f"--{error}") from error
    trained = load_run(options.path)
    texts, at_a_time = _texts(options)
    # where the lines go to the terminal, these are the progress
    with text_bar(None, not (options.quiet or sys.stdout.isatty())) as bar:
        while chunk := list(islice(texts, at_a_time)):
            for line in classified(trained, chunk, options.probabilities):
                print_json(line)
            sys.stdout.flush()
            bar.update(len(chunk))
    return 0


def _texts(options: argparse.Namespace) -> tuple[Iterator[str], int]:
    """Return the texts, and how many to classify at a time."""
    if options.texts:
        return iter(options.texts), CHUNK
    if options.file is not None and str(options.file) != "-":
        return _stripped(read_lines(options.file, options.encoding)), CHUNK
    stream = cast(io.BufferedReader, sys.stdin.buffer)
    lines = _stripped(lines_of(stream, "the standard input", options.encoding))
    if not sys.stdin.isatty():
        return lines, CHUNK
    say("type a text on each line; Ctrl-D ends", file=sys.stderr)
    return lines, 1


def _stripped(lines: Iterable[str]) -> Iterator[str]:
    return (line.rstrip("\n") for line in lines)


def classified(
    trained: LoadedRun, texts: list[str], all_classes: bool = False
) -> Iterator[dict[str, Any]]:
    """Yield what is written of each text; see ABOUT."""
    encoded = trained.encode(texts)
    probabilities = np.exp(trained.log_probabilities(encoded))
    known = np.concatenate([[0], np.cumsum(encoded.tokens != UNK)])[encoded.offsets]
    for text, row, words in zip(texts, probabilities, np.diff(known), strict=True):
        best = int(row.argmax())
        line: dict[str, Any] = {
            "text": text,
            "label": trained.labels[best],
            "probability": _rounded(row[best]),
            "known_words": int(words),
        }
        if all_classes:
            pairs = zip(trained.labels, row, strict=True)
            line["probabilities"] = {label: _rounded(p) for label, p in pairs}
        yield line


def _rounded(probability: float) -> float:
    """Return six significant digits: as many as float32 weights can tell."""
    return float(f"{probability:.6g}")
