"""The words of the page, as a text coloured by what the model thinks."""

from __future__ import annotations

from html import escape

import numpy as np

from fastlstm.inside.collect import Inspection
from fastlstm.inside.terminal import summarize
from fastlstm.printable import cut, printable

# Colours of the probabilities 0, 0.5 and 1: told apart with any colour vision, and light, so that
# black letters on them have a contrast of 8 and more.
SCALE = ((253, 184, 99), (247, 247, 247), (116, 173, 220))
LONGEST = 60  # columns of a word


def short_words(inspection: Inspection, longest: int = LONGEST) -> list[str]:
    """Return the words, printable and of at most so many columns."""
    return [cut(printable(word), longest) for word in inspection.words]


def words_paragraph(inspection: Inspection) -> str:
    """Return the words as HTML, each on the colour of what the model thinks after it."""
    marks = ["" if known else "<small> (?)</small>" for known in inspection.known]
    words = [
        f"<bdi title='{escape(told, quote=True)}' style='background:{colour(probability)};"
        f"border-radius:3px;padding:2px 4px'>{escape(word)}{mark}</bdi>"
        for word, mark, probability, told in zip(
            short_words(inspection), marks, inspection.followed, _values(inspection), strict=True
        )
    ]
    ends = ", ".join(colour(at) for at in (0, 0.5, 1))
    label = escape(cut(printable(inspection.labels[inspection.shown_class]), LONGEST))
    return (
        "<p style='margin:4px 0'>The words on the probability of "
        f"<bdi>{label}</bdi> after them: 0 <span style='display:inline-block;width:120px;"
        f"height:12px;background:linear-gradient(to right, {ends})'></span> 1</p>"
        "<p dir='auto' style='margin:4px 0;font-size:16px;line-height:1.8;color:#000;"
        f"overflow-wrap:anywhere;max-height:60vh;overflow-y:auto'>{' '.join(words)}</p>"
    )


def colour(probability: float) -> str:
    """Return the colour of a probability in CSS."""
    channels = (np.interp(probability, (0, 0.5, 1), ends) for ends in zip(*SCALE, strict=True))
    return f"rgb({', '.join(f'{channel:.0f}' for channel in channels)})"


def _values(inspection: Inspection) -> list[str]:
    """Return what is told of each word when the pointer rests on it: a line for each value."""
    P, means, moved = inspection.said, summarize(inspection), inspection.norms["moved"]
    told = []
    for w, known in enumerate(inspection.known):
        best = int(P[w].argmax())
        label = cut(printable(inspection.labels[best]), LONGEST)
        lines = [f"word {w + 1}, {'' if known else 'not '}in the vocabulary"]
        lines.append(f"said after it: {label} ({P[w, best]:.3f})")
        if (shares := inspection.shares) is not None:
            k, net = inspection.shown_class, inspection.followed_by_net
            lines.append(f"by the net alone: {net[w]:.3f}")
            lines.append(f"net adds: {shares.net[w, k]:+.2f}")
            lines.append(f"linear part adds: {shares.linear[w, k]:+.2f}")
        lines += [f"mean {name}: {value[w]:.3f}" for name, value in means.items()]
        told.append("\n".join([*lines, f"{inspection.state} moved by: {moved[w]:.2f}"]))
    return told
