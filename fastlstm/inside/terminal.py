"""A text as a classifier reads it, for a terminal of 80 columns."""

from __future__ import annotations

import os
from collections.abc import Sequence
from typing import Any, TextIO

import numpy as np
from numpy.typing import NDArray

from fastlstm.counts import count_of
from fastlstm.inside.collect import Inspection
from fastlstm.nn.check import check_flag
from fastlstm.printable import columns, cut, pad, printable

WIDTH, WORD, BAR, CHANGE_BAR = 80, 18, 10, 7
SIGNED = ("g", "n", "h")  # of these the mean size is told, of the others the mean
# ANSI colours by probability: very low, low, undecided, high, very high. Red and blue are told
# apart with any colour vision, and are readable on black and on white.
COLOURS = ("1;31", "31", "39", "94", "1;94")


def wants_colour(stream: TextIO) -> bool:
    """Whether a stream is a terminal, and the user has not set NO_COLOR (no-color.org)."""
    return stream.isatty() and not os.environ.get("NO_COLOR")


def format_text(inspection: Inspection, *, colour: bool = False) -> str:
    """Return the text, coloured by what the model thinks after each word, above a table of it."""
    colour = check_flag("colour", colour)
    label, probability = inspection.prediction
    said = f"{cut(printable(label), WIDTH - 30)}, probability {probability:.3f}"
    lines = [f"prediction: {said}", _title(inspection), "", *_paragraph(inspection, colour)]
    lines += ["", _header(inspection), *_rows(inspection, colour)]
    if not inspection.known.all():
        lines += ["", "* not a word of the vocabulary: to the model all of these are the same"]
    return "\n".join(lines)


def format_shares(
    words: Sequence[str], added: NDArray[np.float64], label: str, probability: float
) -> str:
    """Return a line for each word of a text, with what it adds to the logit of its class."""
    said = cut(printable(label), WIDTH - 30)
    lines = [f"prediction: {said}, probability {probability:.3f}", ""]
    most, digits = max(float(np.abs(added).max()), 1e-30), max(3, len(str(len(words))))
    for number, (word, share) in enumerate(zip(words, added.tolist(), strict=True), 1):
        bar = ("+" if share > 0 else "-") * round(abs(share) / most * BAR)
        name = pad(cut(printable(word), WORD - 1), WORD)
        lines.append(f"{number:>{digits}} {name} {share:+7.2f} {bar}".rstrip())
    return "\n".join(lines)


def summarize(inspection: Inspection) -> dict[str, np.ndarray[Any, Any]]:
    """Return a number for each word, by name: the mean of each gate, or of its size if signed."""
    means = {}
    for name, value in (inspection.gates or {"h": inspection.values["h"]}).items():
        if name in SIGNED:
            name, value = f"|{name}|", np.abs(value)
        means[name] = value.mean(axis=1)
    return means


def _title(inspection: Inspection) -> str:
    units = inspection.before.shape[1]
    return f"{inspection.extent}; {inspection.place}; means over {count_of(units, 'unit')}"


def _paragraph(inspection: Inspection, colour: bool) -> list[str]:
    """Return the words in lines of at most WIDTH columns."""
    lines, used, p = [""], 0, inspection.followed
    for word, known, probability in zip(inspection.words, inspection.known, p, strict=True):
        word = cut(printable(word), WIDTH - 1) + ("" if known else "*")
        if used and used + 1 + columns(word) > WIDTH:
            lines.append("")
            used = 0
        lines[-1] += (" " if used else "") + _coloured(word, probability, colour)
        used += (1 if used else 0) + columns(word)
    return lines


def _header(inspection: Inspection) -> str:
    label = printable(inspection.labels[inspection.shown_class])
    means = "".join(f"{name:>6}" for name in summarize(inspection))
    moved, (digits, word) = f"moved {inspection.state}", _widths(inspection)
    linear = "" if inspection.shares is None else f" {'linear':>7}"
    return f"{'':>{digits}} {pad('word', word)} {pad(label, 5 + BAR)}{means} {moved:>8}{linear}"


def _widths(inspection: Inspection) -> tuple[int, int]:
    """Return the columns of a word's number and of the word."""
    digits = max(3, len(str(len(inspection.words))))
    return digits, WORD + 3 - digits


def _rows(inspection: Inspection, colour: bool) -> list[str]:
    P, followed = inspection.probabilities, inspection.followed_by_net
    moved = inspection.norms["moved"]
    means = list(summarize(inspection).values())
    most = max(float(moved.max()), 1e-30)
    two, rows, (digits, wide) = len(inspection.labels) == 2, list[str](), _widths(inspection)
    for w, word in enumerate(inspection.words):
        p = float(followed[w])
        name = pad(cut(printable(word), wide - 1) + ("" if inspection.known[w] else "*"), wide)
        # Of two classes one probability says all; of more, which one is ahead.
        extra = "#" * round(p * BAR) if two else printable(inspection.labels[int(P[w].argmax())])
        numbers = "".join(f"{mean[w]:6.2f}" for mean in means)
        last = "#" * round(float(moved[w]) / most * CHANGE_BAR)
        if inspection.shares is not None:
            last = f"{inspection.shares.linear[w, inspection.shown_class]:+7.2f}"
        told = _coloured(f"{p:4.2f} {pad(extra, BAR)}", p, colour)
        rows.append(f"{w + 1:>{digits}} {name} {told}{numbers} {moved[w]:8.2f} {last}".rstrip())
    return rows


def _coloured(text: str, probability: float, colour: bool) -> str:
    if not colour:
        return text
    code = COLOURS[min(int(probability * len(COLOURS)), len(COLOURS) - 1)]
    return f"\x1b[{code}m{text}\x1b[0m"
