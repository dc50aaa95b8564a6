"""``fastlstm evaluate``: how good a run is on labelled texts."""

from __future__ import annotations

import argparse
import sys
from dataclasses import replace

import numpy as np

from fastlstm.cli.errors import UsageError
from fastlstm.cli.options import (
    add_json_option,
    add_plot_option,
    add_quiet_option,
    add_reading_options,
    check_plot,
    print_json,
    text_bar,
)
from fastlstm.cli.parser import Parser
from fastlstm.cli.precision import add_precision_option, set_precision
from fastlstm.cli.reading import reading_as
from fastlstm.printable import say
from fastlstm.text import Encoded
from fastlstm.text.labelled import LabelledTexts, read_labelled
from fastlstm.train.classifier.loaded_run import LoadedRun, load_run
from fastlstm.train.classifier.text_config import TextConfig
from fastlstm.train.classifier.texts import numbers_of
from fastlstm.train.files import write_file
from fastlstm.train.scoring.plot import draw_scores
from fastlstm.train.scoring.scores import BINS, score
from fastlstm.train.scoring.text import score_text

SUMMARY = "measure a trained run on labelled texts"
EXAMPLES = """
fastlstm evaluate runs/reviews test.csv
fastlstm evaluate runs/reviews test.jsonl --json
fastlstm evaluate runs/reviews test.csv --plot scores.png
"""
ABOUT = """\
DATA is read as train reads it: by default the same columns, delimiter, header and quotes as the
run's own texts. Calibration asks whether the probability of the predicted class, its confidence, is
the chance to be right: the expected calibration error (Guo et al. 2017) cuts the confidences into
bins of equal width and is the mean of |accuracy - mean confidence| of the bins, weighted by texts.
A warning says how many of the texts the run was trained on, or chose its best epoch by.
"""

KNOWN = (
    "warning: the run learned from {known:,} of these {total:,} texts, so that the scores do not "
    "tell how good it is on new ones; those of its own test part are in metrics.json"
)

IMDB_FOLDERS = {"neg": "negative", "pos": "positive"}  # folder of the official archive: label


def add_options(parser: Parser) -> None:
    parser.add_argument("path", metavar="RUN", help="folder of the run")
    parser.add_argument("data", metavar="DATA", help="the labelled texts: a file or a folder")
    add_reading_options(parser)
    parser.add_argument("--bins", type=int, metavar="N", default=BINS,
                        help=f"bins of the calibration table (default {BINS})")  # fmt: skip
    add_precision_option(parser)
    add_json_option(parser, "the scores")
    add_quiet_option(parser)
    add_plot_option(parser, "the confusion matrix and the reliability of the probabilities")


def run(options: argparse.Namespace) -> int:
    """Print the scores."""
    if options.bins < 1:
        raise UsageError(f"--bins is {options.bins}, expected at least 1")
    check_plot(options.plot)
    trained = load_run(options.path)
    set_precision(trained, options.precision)
    found = read_labelled(options.data, reading_as(trained, options))
    encoded = labelled(trained, found, options.data)
    known = trained.trained_on(encoded)
    with text_bar(len(encoded), not options.quiet) as bar:
        said = trained.log_probabilities(encoded, bar.update)
    scores = score(said, encoded.labels, options.bins)
    if known:
        say(f"{KNOWN.format(known=known, total=len(encoded))}\n", file=sys.stderr)
    if options.json:
        about = {"run": str(trained.folder.path), "data": options.data, "trained_on": known}
        print_json({**about, "precision": trained.precision, **scores.to_json(trained.labels)})
    else:
        say(f"run        {trained.folder.path}\ndata       {options.data}")
        say(f"precision  {trained.precision}\n")
        say(score_text(scores, trained.labels, " (all of them with --json)"))
    if options.plot is not None:
        write_file(options.plot, draw_scores(scores, trained.labels))
        say(f"the picture is in {options.plot}", file=sys.stderr)
    return 0


def labelled(trained: LoadedRun, found: LabelledTexts, source: str) -> Encoded:
    """Return labelled texts as the run reads them; ValueError if it does not know a label."""
    names = found.labels
    if not isinstance(trained.config, TextConfig):
        names = [IMDB_FOLDERS.get(name, name) for name in names]
    labels = np.array(numbers_of(names, trained.labels, source), dtype=np.int64)
    return replace(trained.encode(found.texts), labels=labels)
