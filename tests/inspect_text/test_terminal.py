"""The table: 80 columns, colours only where they are wanted, nothing that is not there."""

from __future__ import annotations

import io
import re
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from inspect_models import LABELS, classifier

from fastlstm.inside import format_text, inspect_text
from fastlstm.inside.terminal import summarize, wants_colour
from fastlstm.text import Vocabulary

TEXT = "Not a good film, but it's a very dull, murky ending."
LONG = f"{'incomprehensibilities' * 5} 映画 {TEXT} " * 6


@pytest.mark.parametrize("cell", ["lstm", "gru", "rnn"])
@pytest.mark.parametrize("classes", [2, 3])
@pytest.mark.parametrize("colour", [False, True])
def test_it_fits_in_80_columns(cell: str, classes: int, colour: bool, vocab: Vocabulary) -> None:
    model = classifier(cell=cell, num_outputs=classes, bidirectional=True)
    labels = ["a class whose name is really long", *LABELS[classes][1:]]
    lines = format_text(inspect_text(model, vocab, LONG, labels), colour=colour)
    plain = re.sub(r"\x1b\[[0-9;]*m", "", lines)
    assert (plain != lines) == colour
    for line in plain.splitlines():
        wide = sum(c in "映画" for c in line)
        assert len(line) + wide <= 80, line


def test_the_numbers_are_those_collected(vocab: Vocabulary) -> None:
    found = inspect_text(classifier(), vocab, TEXT, LABELS[2])
    lines = format_text(found).splitlines()
    header = next(n for n, line in enumerate(lines) if line.split()[:1] == ["word"])
    assert lines[header].split() == ["word", "positive", "i", "f", "|g|", "o", "moved", "c"]
    for w, word in enumerate(found.words):
        number, name, p, *rest = lines[header + 1 + w].split()
        assert int(number) == w + 1
        assert name == word + ("" if found.known[w] else "*")
        assert float(p) == pytest.approx(found.probabilities[w, 1], abs=0.0051)
        numbers = [float(n) for n in rest if not n.startswith("#")]
        means = [
            found.values["i"][w].mean(),
            found.values["f"][w].mean(),
            np.abs(found.values["g"][w]).mean(),
            found.values["o"][w].mean(),
            np.linalg.norm(found.change[w]),
        ]
        assert numbers == pytest.approx(means, abs=0.0051)
    assert "murky*" in lines[2] or "murky*" in lines[3]
    assert lines[-1].startswith("* not a word of the vocabulary")
    known = format_text(inspect_text(classifier(), vocab, "good film"))
    assert "*" not in known


def test_the_prediction_is_stated(vocab: Vocabulary) -> None:
    """That for the whole text, where only its beginning was looked at."""
    found = inspect_text(classifier(num_outputs=3), vocab, TEXT, LABELS[3], words=4)
    p = found.probabilities[-1]
    first = format_text(found).splitlines()[0]
    assert first == f"prediction: {LABELS[3][p.argmax()]}, probability {p.max():.3f}"
    found = replace(found, whole=np.array([0.125, 0.625, 0.25]))
    assert format_text(found).splitlines()[0] == "prediction: fair, probability 0.625"


def test_thousands_of_words_fit_too(vocab: Vocabulary) -> None:
    found = inspect_text(classifier(), vocab, "good film " * 600, words=0)
    lines = format_text(found).splitlines()
    assert len([line for line in lines if line.split()[1:2] in (["good"], ["film"])]) >= 1200
    assert max(map(len, lines)) <= 80


def test_colour_follows_the_probability(vocab: Vocabulary) -> None:
    model = classifier()
    model.head.weight.data[...] = 0
    for bias, code in ((-9.0, "1;31"), (0.0, "39"), (9.0, "1;94")):
        model.head.bias.data[...] = bias  # type: ignore[union-attr]
        text = format_text(inspect_text(model, vocab, "good film"), colour=True)
        assert set(re.findall(r"\x1b\[([0-9;]+)m", text)) == {code, "0"}


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


def test_colour_is_for_terminals(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("NO_COLOR", raising=False)
    assert wants_colour(Terminal())
    assert not wants_colour(io.StringIO())
    monkeypatch.setenv("NO_COLOR", "1")
    assert not wants_colour(Terminal())


@pytest.mark.parametrize(
    ("cell", "names"),
    [("lstm", "i f |g| o"), ("gru", "r z |n|"), ("rnn", "|h|")],
)
def test_each_cell_shows_what_it_has(cell: str, names: str, vocab: Vocabulary) -> None:
    found: Any = summarize(inspect_text(classifier(cell=cell), vocab, TEXT))
    assert list(found) == names.split()
