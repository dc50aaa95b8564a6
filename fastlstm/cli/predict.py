"""``fastlstm predict``: the class of each text, as JSON lines or beside the rows of a table."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Iterator
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

from fastlstm.cli.errors import UsageError
from fastlstm.cli.options import (
    add_progress_option,
    add_quiet_option,
    add_reading_options,
    print_json,
    rounded,
    text_bar,
)
from fastlstm.cli.parser import Parser
from fastlstm.cli.precision import add_precision_option, set_precision
from fastlstm.cli.processes import add_distributed_option, joined
from fastlstm.cli.reading import STANDARD_INPUT, asked_reading, reading_as, typed_lines
from fastlstm.cli.results import check_results, results_file
from fastlstm.files.naming import named_path
from fastlstm.printable import say
from fastlstm.text.pieces import in_pieces
from fastlstm.text.plain_texts import lines_as_rows
from fastlstm.text.row_kinds import kind_by_name, read_rows
from fastlstm.text.rows import FileRows, Reading, Row
from fastlstm.text.which_columns import find_text, text_of
from fastlstm.train.classifier.dealing import Dealer, deal, first_alone
from fastlstm.train.classifier.loaded_run import LoadedRun, load_run
from fastlstm.train.classifier.predict import Float64

CHUNK = 4096  # texts that are read and classified at a time, which limits the memory

SUMMARY = "classify texts with a trained run"
EXAMPLES = """
fastlstm predict runs/reviews "What a film!" "Never again."
fastlstm predict runs/reviews --file unseen.csv --out results.csv
fastlstm predict runs/reviews --file unseen.txt > labels.jsonl
cat unseen.txt | fastlstm predict runs/reviews --probabilities
mpiexec -n 4 fastlstm predict runs/reviews --file large.csv.gz --out results.csv
"""
ABOUT = """\
Writes a line of JSON for each text, in their order: the text, its label, the probability of that
label, and known_words: how many words of the text, as the model reads it, training had. Where that
is 0 the label says nothing about the text.
FILE is read as train reads it where its name tells its kind (.csv, .tsv, .jsonl, .json, .parquet,
perhaps packed): by default the columns, header and so on are those of the run's own texts. Of any
other file each line is a text, unless --format or --delimiter says what it is. With --out the rows
are written with all their columns, and the results in columns beside them. Two pipes are read: the
standard input, and what the shell makes of <(command); a named pipe is not, as it may never end.
A file of any size is classified as it is read, in memory that does not grow; --out appears when it
is whole. Under mpiexec or torchrun the processes share the texts, of the standard input too: the
first one reads and writes, in the same order.
"""


def add_options(parser: Parser) -> None:
    parser.add_argument("path", metavar="RUN", help="folder of the run")
    parser.add_argument("texts", metavar="TEXT", nargs="*",
                        help="the texts; by default the lines of the standard input")  # fmt: skip
    parser.add_argument(
        "--file", metavar="FILE", type=named_path,
        help="classify the rows or lines of FILE; - is the standard input",
    )  # fmt: skip
    add_reading_options(parser, labels=False)
    parser.add_argument("--probabilities", action="store_true",
                        help="write the probabilities of all classes")  # fmt: skip
    parser.add_argument(
        "--out", metavar="FILE", type=named_path,
        help="write the rows with the results beside them to FILE (.csv, .tsv or .jsonl)",
    )  # fmt: skip
    parser.add_argument("--overwrite", action="store_true", help="replace what is in --out")
    add_precision_option(parser)
    add_progress_option(parser)
    add_quiet_option(parser, "the results and errors")
    add_distributed_option(parser)


def run(options: argparse.Namespace) -> int:
    """Write the class of each text."""
    with joined(options.distributed, {"precision": options.precision}) as processes:
        if options.texts and options.file is not None:
            raise UsageError("TEXT and --file exclude each other")
        if options.out is not None:
            first_alone(processes, partial(check_results, options.out, options.overwrite))
        asked = asked_reading(options)
        trained = load_run(options.path)
        set_precision(trained, options.precision)
        deal(trained, processes, partial(_predict, options, asked))
    return 0


def _predict(options: argparse.Namespace, asked: Reading, dealer: Dealer) -> None:
    how = _reading(dealer.trained, options, asked)
    rows, at_a_time = _rows(options, how)
    results = _results(dealer, rows, how, options, at_a_time)
    if options.out is None:
        for _, _, line in results:
            print_json(line)
        return
    labels = dealer.trained.labels
    like = _line(labels, np.zeros(len(labels)), 0, options.probabilities)
    with results_file(options.out, rows, like) as write:
        for number, values, line in results:
            del line["text"]  # it is in its column
            write(number, values, line)
    if not options.quiet:
        say(f"the rows with their labels are in {options.out}", file=sys.stderr)


def _reading(trained: LoadedRun, options: argparse.Namespace, asked: Reading) -> Reading:
    """Return how to read: as the run did, but in a file of unknown kind each line is a text."""
    how = reading_as(trained, options)
    if options.file is not None and kind_by_name(options.file):
        return how
    return replace(how, format=asked.format, delimiter=asked.delimiter)


def _rows(options: argparse.Namespace, how: Reading) -> tuple[FileRows, int]:
    """Return the rows that hold the texts, and how many to classify at a time."""
    if options.texts:
        return lines_as_rows(Path("TEXT"), iter(options.texts)), CHUNK
    if options.file is not None and str(options.file) != "-":
        return read_rows(options.file, how, lines_as_rows), CHUNK
    name = Path(STANDARD_INPUT)
    lines = typed_lines(how.encoding, "type a text on each line; Ctrl-D ends")
    if sys.stdin.isatty():
        return lines_as_rows(name, lines), 1
    return read_rows(name, how, lines_as_rows, lines), CHUNK


def _results(
    dealer: Dealer, rows: FileRows, how: Reading, options: argparse.Namespace, at_a_time: int
) -> Iterator[tuple[int, list[object], dict[str, Any]]]:
    """Yield the number and the values of each row, and the results for its text."""
    places = find_text(rows, how.text_column)
    # lines on the terminal show the progress themselves
    wanted = not (options.no_progress or options.quiet)
    show = wanted and (options.out is not None or not sys.stdout.isatty())
    with text_bar(None, show) as bar:
        for piece in in_pieces(rows.rows, _letters, at_a_time):
            texts = [text_of(rows, number, values, places) for number, values in piece]
            found = classified(dealer, texts, options.probabilities)
            for (number, values), line in zip(piece, found, strict=True):
                yield number, values, line
            sys.stdout.flush()
            bar.update(len(piece))


def _letters(row: Row) -> int:
    return sum(len(value) for value in row[1] if isinstance(value, str))


def classified(
    dealer: Dealer, texts: list[str], all_classes: bool = False
) -> Iterator[dict[str, Any]]:
    """Yield the results for each text; see ABOUT."""
    said, labels = dealer.classify(texts), dealer.trained.labels
    probabilities = np.exp(said.log_probabilities)
    for text, row, words in zip(texts, probabilities, said.known.tolist(), strict=True):
        yield {"text": text, **_line(labels, row, words, all_classes)}


def _line(labels: list[str], row: Float64, words: float, all_classes: bool) -> dict[str, Any]:
    """Return the results for a text whose classes have the probabilities [C] of a row."""
    best = int(row.argmax())
    line: dict[str, Any] = {
        "label": labels[best],
        "probability": rounded(row[best]),
        "known_words": int(words),
    }
    if all_classes:
        pairs = zip(labels, row, strict=True)
        line["probabilities"] = {label: rounded(p) for label, p in pairs}
    return line
