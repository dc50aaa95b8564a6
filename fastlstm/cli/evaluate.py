"""``fastlstm evaluate``: how good a run is on labelled texts."""

from __future__ import annotations

import argparse
import sys
from functools import partial

import numpy as np

from fastlstm.cli.errors import UsageError
from fastlstm.cli.options import (
    add_json_option,
    add_plot_option,
    add_progress_option,
    add_quiet_option,
    add_reading_options,
    check_plot,
    print_json,
    text_bar,
)
from fastlstm.cli.parser import Parser
from fastlstm.cli.precision import add_precision_option, set_precision
from fastlstm.cli.processes import add_distributed_option, joined
from fastlstm.cli.reading import reading_as
from fastlstm.files.writing import write_file
from fastlstm.printable import say
from fastlstm.text.labelled import LabelledStream, stream_labelled
from fastlstm.text.pieces import in_pieces
from fastlstm.train.classifier.class_numbers import ClassNumbers
from fastlstm.train.classifier.dealing import Dealer, deal, first_alone
from fastlstm.train.classifier.loaded_run import LoadedRun, load_run
from fastlstm.train.classifier.text_config import TextConfig
from fastlstm.train.classifier.trained_texts import estimate
from fastlstm.train.scoring.plot import draw_scores
from fastlstm.train.scoring.scores import BINS, Scores, Tally
from fastlstm.train.scoring.text import score_text

SUMMARY = "measure a trained run on labelled texts"
EXAMPLES = """
fastlstm evaluate runs/reviews test.csv
fastlstm evaluate runs/reviews test.jsonl --json
fastlstm evaluate runs/reviews test.csv --plot scores.png
mpiexec -n 4 fastlstm evaluate runs/reviews large.csv.gz
"""
ABOUT = """\
DATA is read as train reads it: by default the same columns, delimiter, header and quotes as the
run's own texts. Calibration asks whether the probability of the predicted class, its confidence, is
the chance to be right: the expected calibration error (Guo et al. 2017) cuts the confidences into
bins of equal width and is the mean of |accuracy - mean confidence| of the bins, weighted by texts.
A warning says how many of the texts the run was trained on, or chose its best epoch by.
A file of any size is read as it is scored, in memory that does not grow, and under mpiexec or
torchrun the processes share it; the scores are the same to the last digit.
"""

KNOWN = (
    "warning: the run learned from {known:,} of these {total:,} texts, so that the scores do not "
    "tell how good it is on new ones; those of its own test part are in metrics.json"
)

CHUNK = 4096  # texts that are read and classified at a time, which limits the memory
IMDB_FOLDERS = {"neg": "negative", "pos": "positive"}  # folder of the official archive: label


def add_options(parser: Parser) -> None:
    parser.add_argument("path", metavar="RUN", help="folder of the run")
    parser.add_argument("data", metavar="DATA", help="the labelled texts: a file or a folder")
    add_reading_options(parser)
    parser.add_argument("--bins", type=int, metavar="N", default=BINS,
                        help=f"bins of the calibration table (default {BINS})")  # fmt: skip
    add_precision_option(parser)
    add_json_option(parser, "the scores")
    add_progress_option(parser)
    add_quiet_option(parser, "the results and errors")
    add_distributed_option(parser)
    add_plot_option(parser, "the confusion matrix and the reliability of the probabilities")


def run(options: argparse.Namespace) -> int:
    """Print the scores."""
    with joined(options.distributed, {"precision": options.precision}) as processes:
        if options.bins < 1:
            raise UsageError(f"--bins is {options.bins}, expected at least 1")
        first_alone(processes, partial(check_plot, options.plot))
        trained = load_run(options.path)
        set_precision(trained, options.precision)
        work = partial(_evaluate, options, trained)
        deal(trained, processes, work, trained.read_hashes())
    return 0


def _evaluate(options: argparse.Namespace, trained: LoadedRun, dealer: Dealer) -> None:
    found = stream_labelled(options.data, reading_as(trained, options))
    scores, known = measured(found, dealer, options)
    if known:
        total = sum(scores.support)
        say(f"{KNOWN.format(known=known, total=total)}\n", file=sys.stderr)
    if options.json:
        about = {"run": str(trained.folder.path), "data": options.data, "trained_on": known}
        print_json({**about, "precision": trained.precision, **scores.to_json(trained.labels)})
    else:
        say(f"run        {trained.folder.path}\ndata       {options.data}")
        say(f"precision  {trained.precision}\n")
        say(score_text(scores, trained.labels, " (all of them with --json)"))
    if options.plot is not None:
        write_file(options.plot, draw_scores(scores, trained.labels))
        if not options.quiet:
            say(f"the picture is in {options.plot}", file=sys.stderr)


def measured(
    found: LabelledStream, dealer: Dealer, options: argparse.Namespace
) -> tuple[Scores, int]:
    """Return the scores of labelled texts, and how many of them the run has learned from.

    Raises ValueError, once all are read, if the run does not know a label.
    """
    trained = dealer.trained
    numbers = ClassNumbers(trained.labels, options.data)
    tally, told = Tally(len(trained.labels), options.bins), np.zeros(3, np.int64)
    with text_bar(None, not (options.no_progress or options.quiet)) as bar:
        for piece in in_pieces(found.pairs, lambda pair: len(pair[0]), CHUNK):
            labels = numbers.of(_class_of(trained, label) for _, label in piece)
            if numbers.all_known:  # else the rest is read for the message
                said = dealer.classify([text for text, _ in piece])
                tally.add(said.log_probabilities, np.array(labels, np.int64))
                told += [len(piece), int(said.comparable.sum()), int(said.learned.sum())]
            bar.update(len(piece))
    numbers.check()
    return tally.scores(), estimate(*told.tolist())


def _class_of(trained: LoadedRun, label: str) -> str:
    """Return the class that a label stands for: of IMDB also the name of its folder."""
    return label if isinstance(trained.config, TextConfig) else IMDB_FOLDERS.get(label, label)
