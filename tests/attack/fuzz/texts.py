"""Texts of any characters, cut into words by every analyzer: never an error, the same however
accents are written, and in linear time."""

from __future__ import annotations

import unicodedata
from pathlib import Path

import numpy as np

from attack.fuzz.draw import Rng, chance, pick
from fastlstm.linear import BagOfNgrams, TokenRows
from fastlstm.text.marks import tokens_with_marks
from fastlstm.text.tokenizer import CHOICES, WORD_1, choose_analyzer, tokenize

ANALYZERS = CHOICES[1:]
PIECES = (
    "a", "B", "z9", "it's", "don\u2019t", "\u00b4", "_", "<br />", "<br", " ", "\n", "\r\n", "\0",
    "\x1c", "\x85", "\u2028", ".", ",", "!", "3.5", "1,000", "#", "*", "0\ufe0f\u20e3", "\u20e3",
    "\u0130", "i\u0307", "\u0131", "\u03a3", "\u03c2", "\u00df", "\u1e9e", "\u00e9", "e\u0301",
    "\u0301", "\u0327", "\u0345", "\u0f71\u0f72", "\u1100\u1161\u11a8", "\uac01", "\u212b",
    "\u2126", "\u0958", "\u0939\u093f\u0928\u094d\u0926\u0940", "\u094d", "\u05d0\u05b8",
    "\u0627\u064e", "\u200d", "\u200c", "\u200b", "\ufeff", "\xad", "\u5f88\u597d", "\u3002",
    "\uff01", "\uff21", "\u3042\u3099", "\u30ab\u3099", "\u0e01\u0e34\u0e19",
    "\u1019\u103c\u1014\u103a", "\U00020000", "\u2764", "\u2764\ufe0f", "\U0001f44d\U0001f3fd",
    "\U0001f468\u200d\U0001f469\u200d\U0001f467",
    "\U0001f1e9\U0001f1ea", "\U0001f1e9", "\U0001f3f4\U000e0067\U000e0062\U000e007f", "\u00a9",
    "\ud800", "\udfff", "\ufffe", "\U0010ffff", "\U000e0001", "\u202e", "\u2019", "'", "''",
)  # fmt: skip
LENGTH = 200_000  # of a long text: quadratic time would take minutes


def _text(rng: Rng) -> str:
    """A text of such pieces, or of any characters at all."""
    count = int(rng.integers(0, 30))
    if chance(rng, 4):
        top = pick(rng, (0x80, 0x3000, 0x20000, 0x110000))
        return "".join(map(chr, rng.integers(0, top, count).tolist()))
    return "".join(pick(rng, PIECES) for _ in range(count))


def _check(text: str) -> None:
    for analyzer in ANALYZERS:
        found = tokenize(text, analyzer)
        marked = tokens_with_marks(text, analyzer)
        assert all(found), "an empty word"
        assert all(marked), "an empty token"
        if analyzer == WORD_1:  # which knows of no marks
            continue
        for form in ("NFC", "NFD"):
            other = unicodedata.normalize(form, text)
            told = f"{analyzer}, {form}: {ascii(text)}"
            assert tokenize(other, analyzer) == found, told
            assert tokens_with_marks(other, analyzer) == marked, told


def short(rng: Rng) -> None:
    """A short text: each analyzer reads it alike in normal forms C and D."""
    text = _text(rng)
    _check(text)
    assert choose_analyzer([text]) in ANALYZERS


def long(rng: Rng) -> None:
    """A piece or two a hundred thousand times."""
    unit = "".join(pick(rng, PIECES) for _ in range(int(rng.integers(1, 3))))
    text = pick(rng, ("", "a", "\u5f88")) + unit * (LENGTH // len(unit))
    for analyzer in ANALYZERS:
        tokenize(text, analyzer)
        tokens_with_marks(text, analyzer)


def grams(rng: Rng) -> None:
    """A linear classifier of such texts: finite logits, whose shares sum to them."""
    rows = TokenRows.from_texts([_text(rng) for _ in range(int(rng.integers(1, 6)))])
    classes = pick(rng, (2, 3))
    model = BagOfNgrams.fit(rows, rng.integers(0, classes, len(rows)), classes)
    logits = model.logits(rows)
    assert np.isfinite(logits).all(), "a logit is not finite"
    tokens = [rows.tokens[i] for i in rows.ids[: rows.offsets[1]].tolist()]
    shares = model.contributions(tokens)
    intercept = model.intercept[0] if classes == 2 else model.intercept
    np.testing.assert_allclose(shares.sum(0) + intercept, logits[0], atol=1e-6)


def case(rng: Rng, folder: Path) -> None:
    """Cut a text."""
    if chance(rng, 100):
        long(rng)
    elif chance(rng, 4):
        grams(rng)
    else:
        short(rng)
