"""``fastlstm inspect``: what a trained run does with a text, word by word."""

from __future__ import annotations

import argparse
import sys
import textwrap
from dataclasses import replace
from typing import Any

import numpy as np

from fastlstm.cli.errors import UsageError, wrong_use
from fastlstm.cli.options import (
    add_json_option,
    add_plot_option,
    check_folder,
    check_not_read,
    check_plot,
    print_json,
    rounded,
    text_bar,
)
from fastlstm.cli.parser import Parser
from fastlstm.cli.reading import typed_lines
from fastlstm.counts import count_of
from fastlstm.files.naming import named_path
from fastlstm.inside.collect import WORDS, Inspection, inspect_text
from fastlstm.inside.page import check_bokeh, write_page
from fastlstm.inside.picture import draw_text
from fastlstm.inside.shares import Shares, linear_shares
from fastlstm.inside.terminal import (
    WIDTH,
    format_shares,
    format_text,
    summarize,
    wants_colour,
)
from fastlstm.models.joined import Join
from fastlstm.printable import printable, say
from fastlstm.text.lines import read_lines
from fastlstm.text.rows import check_encoding
from fastlstm.train.classifier.loaded_run import LoadedRun, ReadTexts, load_run

DIRECTIONS = ("forward", "backward")

SUMMARY = "look inside a run while it reads a text"
EXAMPLES = """
fastlstm inspect runs/reviews "A dull start, but what an ending!"
fastlstm inspect runs/reviews --file review.txt --words 100 --plot review.png
fastlstm inspect runs/reviews "Not bad at all" --html review.html
"""
ABOUT = """\
Prints a line for each word: the prediction for the text up to it, the means of the layer's gates,
and how far the word moved its cell; all that by the net. Of a run with a linear part also what the
word adds to the logit there. --plot draws the gates of all units; --html writes a page to
hover over and to pick units in, for which no network is needed. Both begin with the prediction
after each word and, of a run with a linear part, with what either part adds to it with each word.
"""


def add_options(parser: Parser) -> None:
    parser.add_argument("path", metavar="RUN", help="folder of the run")
    parser.add_argument("text", metavar="TEXT", nargs="*",
                        help="the text; by default what the standard input holds")  # fmt: skip
    parser.add_argument("--file", metavar="FILE", type=named_path, help="read the text from FILE")
    parser.add_argument(
        "--encoding", metavar="S",
        help="of FILE or the standard input; by default UTF-8, or what a byte order mark says",
    )  # fmt: skip
    parser.add_argument(
        "--words", metavar="N", type=int, default=WORDS,
        help=f"the most words to look at, from the beginning (default {WORDS}; 0 = all)",
    )  # fmt: skip
    parser.add_argument(
        "--layer", metavar="N", type=int,
        help="which recurrent layer, 0 the first (default: the top one)",
    )  # fmt: skip
    parser.add_argument(
        "--direction", choices=DIRECTIONS, default=DIRECTIONS[0],
        help="of a bidirectional run, which of the two (default forward)",
    )  # fmt: skip
    add_plot_option(parser, "the gates over the words")
    parser.add_argument("--html", metavar="FILE.html", type=named_path,
                        help='write an interactive page (needs "fastlstm[html]")')  # fmt: skip
    add_json_option(parser, "what is in the table")


def run(options: argparse.Namespace) -> int:
    """Print the table, and write the files that are asked for."""
    _check(options)
    trained = load_run(options.path)
    if trained.parts.net is None:
        return _run_linear(options, trained)
    _check_place(options, trained)
    text = _text(options)
    with text_bar(None, show=True, unit="words") as bar:
        inspection = inspect_text(
            trained.model,
            trained.vocab,
            text,
            trained.labels,
            layer=options.layer,
            direction=DIRECTIONS.index(options.direction),
            words=options.words,
            advance=bar.update,
        )
    read = trained.encode([text])
    whole = np.exp(trained.log_probabilities(read)[0])
    inspection = replace(inspection, whole=whole, shares=both_shares(trained, read, inspection))
    written = []
    if options.plot is not None:
        draw_text(options.plot, inspection)
        written.append(options.plot)
    if options.html is not None:
        write_page(options.html, inspection)
        written.append(options.html)
    if options.json:
        print_json({**as_json(inspection), **shares(trained.parts.join)})
        return 0
    print(format_text(inspection, colour=wants_colour(sys.stdout)))
    for note in [*notes(inspection), *joined_notes(inspection, trained.parts.join)]:
        say(f"\n{textwrap.fill(note, WIDTH)}")
    if written:
        say("\nwrote " + " and ".join(map(str, written)))
    return 0


def _run_linear(options: argparse.Namespace, trained: LoadedRun) -> int:
    """Print what each word adds in a run without a net."""
    for name in ("layer", "plot", "html"):
        if getattr(options, name) is not None:
            raise UsageError(f"--{name} shows a net, which this run has not")
    if options.direction != DIRECTIONS[0]:
        raise UsageError("--direction is that of a net, which this run has not")
    read = trained.encode([_text(options)])
    tokens = whole_tokens(read)
    if not tokens:
        raise ValueError("the text has no words: expected some letters or digits")
    p = np.exp(trained.log_probabilities(read)[0])
    best = int(p.argmax())
    shown = tokens[: options.words or None]
    linear, join = trained.parts.linear, trained.parts.join
    assert linear is not None
    assert join is not None
    added = join.linear * linear_shares(linear, tokens, shown)
    if options.json:
        words = [
            {"word": word, "linear": _rounded(dict(zip(trained.labels, row, strict=True)))}
            for word, row in zip(shown, added, strict=True)
        ]
        about = {"label": trained.labels[best], "probability": rounded(p[best])}
        print_json({**about, "total_words": len(tokens), "words": words, "net_share": 0.0})
    else:
        say(format_shares(shown, added[:, best], trained.labels[best], float(p[best])))
    return 0


def both_shares(trained: LoadedRun, read: ReadTexts, inspection: Inspection) -> Shares | None:
    """Return the shares of a net and a linear part; None without a linear part."""
    linear, join = trained.parts.linear, trained.parts.join
    if linear is None or join is None:
        return None
    return Shares.of(linear, join, whole_tokens(read), inspection.words, inspection.logits)


def whole_tokens(read: ReadTexts) -> list[str]:
    """Return the words of a text, and its marks if the linear part reads these."""
    assert read.whole is not None
    return [read.whole.tokens[n] for n in read.whole.ids]


def _check(options: argparse.Namespace) -> None:
    """Check the options before anything is computed."""
    if options.text and options.file is not None:
        raise UsageError("TEXT and --file exclude each other")
    if options.words < 0:
        raise UsageError(f"--words is {options.words}, expected 0 (all) or more")
    if options.encoding is not None:
        with wrong_use():
            check_encoding(options.encoding)
    check_plot(options.plot)
    if options.html is not None:
        check_folder(options.html)
        if options.file is not None:
            check_not_read("html", options.html, options.file)
        check_bokeh()


def _check_place(options: argparse.Namespace, trained: LoadedRun) -> None:
    """Raise UsageError if the run has no such layer or direction."""
    layers = trained.model.recurrent.num_layers
    if options.layer is not None and options.layer not in range(layers):
        raise UsageError(f"--layer is {options.layer}, expected 0 to {layers - 1} for this run")
    if options.direction == "backward" and not trained.model.recurrent.bidirectional:
        raise UsageError("--direction is backward, but this run reads its texts forward only")


def _text(options: argparse.Namespace) -> str:
    if options.text:
        return " ".join(options.text)
    if options.file is not None:
        return "".join(read_lines(options.file, options.encoding))
    return "".join(typed_lines(options.encoding, "type a text; Ctrl-D ends it"))


def notes(inspection: Inspection) -> list[str]:
    """Return what the user should know about the table."""
    found, W = [], len(inspection.words)
    if W < inspection.total:
        found.append(
            f"these are the first {W} of {count_of(inspection.total, 'word')} (--words shows "
            "more); the prediction is that for the whole text, as predict reads it"
        )
    if not inspection.known.any():
        found.append(
            "no word of these was in the training texts: the prediction says nothing about them"
        )
    return found


def joined_notes(inspection: Inspection, join: Join | None) -> list[str]:
    """Return what the user should know about a run with a linear part."""
    if join is None:
        return []
    label = inspection.labels[inspection.shown_class]
    return [
        f"linear: what the word, with the marks after it, adds to the logit of {printable(label)} "
        "by the linear part; all else in the table is the net's alone. The prediction is of both: "
        f"net {join.net_share:.2f}, linear {1 - join.net_share:.2f}"
    ]


def shares(join: Join | None) -> dict[str, Any]:
    """Return for JSON which part of the prediction is the net's, if it is not alone."""
    return {} if join is None else {"net_share": rounded(join.net_share)}


def as_json(inspection: Inspection) -> dict[str, Any]:
    """Return the table as numbers, and the prediction for the whole text."""
    P, means = inspection.probabilities, summarize(inspection)
    moved, (label, probability) = np.linalg.norm(inspection.change, axis=1), inspection.prediction
    words = [
        {
            "word": word,
            "known": bool(inspection.known[w]),
            "label": inspection.labels[int(P[w].argmax())],
            "probabilities": _rounded(dict(zip(inspection.labels, P[w], strict=True))),
            "mean_gates": _rounded({name: value[w] for name, value in means.items()}),
            f"moved_{inspection.state}": rounded(moved[w]),
            **_shares(inspection, w),
        }
        for w, word in enumerate(inspection.words)
    ]
    return {
        "label": label,
        "probability": rounded(probability),
        "cell": inspection.cell,
        "layer": inspection.layer,
        "direction": DIRECTIONS[inspection.direction],
        "total_words": inspection.total,
        "words": words,
    }


def _shares(inspection: Inspection, w: int) -> dict[str, Any]:
    shares = inspection.shares
    if shares is None:
        return {}
    found = {"joined": inspection.said, "net": shares.net, "linear": shares.linear}
    return {
        name: _rounded(dict(zip(inspection.labels, value[w], strict=True)))
        for name, value in found.items()
    }


def _rounded(values: dict[str, Any]) -> dict[str, float]:
    return {name: rounded(value) for name, value in values.items()}
