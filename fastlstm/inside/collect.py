"""What a text classifier made of a text, word by word."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from fastlstm.counts import count_of
from fastlstm.inside.shares import Shares
from fastlstm.models import TextClassifier
from fastlstm.nn.check import check_size
from fastlstm.nn.module import Array
from fastlstm.text import UNK, Vocabulary

Float64 = NDArray[np.float64]

WORDS = 60  # shown of a longer text, unless another number is asked for
STEPS = 1 << 16  # steps of the beginnings that are classified in one call
# The two parts of a cell's new state, from its values and the state before: kept and added.
PARTS: dict[str, Callable[..., Any]] = {
    "lstm": lambda v, s: (v["f"] * s, v["i"] * v["g"]),
    "gru": lambda v, s: (v["z"] * s, (1 - v["z"]) * v["n"]),
    "rnn": lambda v, s: (None, None),
}


@dataclass(frozen=True)
class Inspection:
    """A text as a classifier reads it; W words, C classes, H units of the layer looked at.

    Attributes
    ----------
    words : those looked at, W of the text's `total`.
    total : how many words the text has.
    known : bool [W], whether training had the word; all others are one and the same to the model.
    labels : names of the C classes.
    logits : [W] or [W,C], what the model says of the text up to and including each word; to the
        bit what it says of that beginning by itself.
    cell, layer, direction : what was looked at: "lstm", "gru" or "rnn"; counted from 0.
    values : by name [W,H], the gates and states of that layer: see `nn.recurrent.trace.Trace`.
    state : "c" or "h", the state that carries what was read.
    before : [W,H], that state before each word.
    kept, added : [W,H], the two parts of that state after the word: what is left of `before`
        (LSTM: f * c, GRU: z * h) and what the word brought (i * g, (1 - z) * n). None for a
        plain RNN, which makes its state anew at each step.
    whole : [C], probabilities of the whole text, where only a part of it was looked at, or where a
        linear part has its say.
    shares : what a linear part joined to the classifier makes of the words, and both together; None
        if there is none. All else is the net's alone.
    """

    words: list[str]
    total: int
    known: NDArray[np.bool_]
    labels: list[str]
    logits: Array
    cell: str
    layer: int
    direction: int
    values: dict[str, Array]
    state: str
    before: Array
    kept: Array | None
    added: Array | None
    whole: Float64 | None = None
    shares: Shares | None = None

    @property
    def probabilities(self) -> Float64:
        """Of each class after each word, [W,C]."""
        return probabilities(self.logits)

    @property
    def said(self) -> Float64:
        """The same by all parts: by the net alone, or joined to a linear part."""
        return self.probabilities if self.shares is None else probabilities(self.shares.logits)

    @property
    def prediction(self) -> tuple[str, float]:
        """The class of the text, and its probability."""
        p = self.said[-1] if self.whole is None else self.whole
        best = int(p.argmax())
        return self.labels[best], float(p[best])

    @property
    def parts(self) -> str:
        """How much the net and a linear part say, in words; empty where there is the net alone."""
        if self.shares is None:
            return ""
        return f"net {self.shares.net_share:.2f}, linear {1 - self.shares.net_share:.2f}"

    @property
    def place(self) -> str:
        """What was looked at, in words."""
        way = "backward" if self.direction else "forward"
        return f"{self.cell.upper()} layer {self.layer}, reading {way}"

    @property
    def extent(self) -> str:
        """How many words there are, and how many of them are shown."""
        W = len(self.words)
        count = count_of(self.total, "word")
        return count if W == self.total else f"{count}, the first {W:,} shown"

    @property
    def change(self) -> Array:
        """How far each word moved each unit's state, [W,H]."""
        moved: Array = np.abs(self.values[self.state] - self.before)
        return moved

    @property
    def norms(self) -> dict[str, Array]:
        """[W] each: how far a word "moved" the state; what it "added" and "lost", if known."""
        parts = {"moved": self.change}
        if self.added is not None and self.kept is not None:
            parts |= {"added": self.added, "lost": self.before - self.kept}
        return {name: np.linalg.norm(part, axis=1) for name, part in parts.items()}

    @property
    def followed(self) -> Float64:
        """The probability of `shown_class` after each word by all parts, [W]."""
        return self.said[:, self.shown_class]

    @property
    def followed_by_net(self) -> Float64:
        """The same by the net alone."""
        return self.probabilities[:, self.shown_class]

    @property
    def shown_class(self) -> int:
        """The class whose probability is followed: of two the second, else the last one said."""
        return 1 if len(self.labels) == 2 else int(self.said[-1].argmax())

    @property
    def gates(self) -> dict[str, Array]:
        """The values that are no states."""
        return {name: v for name, v in self.values.items() if name not in ("h", "c")}


def probabilities(logits: Array) -> Float64:
    """Return the probabilities [W,C] of logits [W,C], or of [W] of two classes."""
    z = np.asarray(logits, np.float64)
    if z.ndim == 1:
        z = np.stack([np.zeros_like(z), z], axis=1)
    e = np.exp(z - z.max(axis=1, keepdims=True))
    p: Float64 = e / e.sum(axis=1, keepdims=True)
    return p


def inspect_text(
    model: TextClassifier,
    vocab: Vocabulary,
    text: str,
    labels: Sequence[str] | None = None,
    *,
    layer: int | None = None,
    direction: int = 0,
    words: int = WORDS,
    advance: Callable[[int], object] = lambda done: None,
) -> Inspection:
    """Run a classifier on one text, word by word, and collect what happened inside.

    Parameters
    ----------
    model, vocab : that belong together.
    text : raw.
    labels : names of the classes; None numbers them.
    layer : of the recurrent layers, 0 the first; None the top one.
    direction : 0, or 1 for the one that reads from the end.
    words : the most words to look at, from the beginning; 0 for all. Each beginning is classified
        by itself, so that twice as many take four times as long.
    advance : is told how many more words are done.

    Raises
    ------
    ValueError
        If the text has no words, or the labels are not as many as the classes.
    TypeError, IndexError
        If there is no such layer or direction.
    """
    found = vocab.split(text)
    if not found:
        raise ValueError("the text has no words: expected some letters or digits")
    recurrent = model.recurrent
    layer = recurrent.num_layers - 1 if layer is None else layer
    recurrent.gates(layer, direction)  # raises if there is no such layer
    classes = max(2, model.num_outputs)
    names = [str(k) for k in range(classes)] if labels is None else list(labels)
    if len(names) != classes:
        raise ValueError(f"labels has {len(names)} names, expected {classes}")
    shown = found[: check_size("words", words, 0) or None]
    tokens = np.array([vocab.id(word) for word in shown], np.int64)
    k = layer * (1 + recurrent.bidirectional) + direction
    values = dict(recurrent.trace(model.embedding(tokens))[k].values)
    state = "c" if "c" in values else "h"
    after, initial = values[state], getattr(recurrent.make_state(1), state)[k]
    before = np.concatenate([after[1:], initial] if direction else [initial, after[:-1]])
    kept, added = PARTS[model.cell](values, before)
    return Inspection(
        words=shown,
        total=len(found),
        known=tokens != UNK,
        labels=names,
        logits=logits_of_beginnings(model, tokens, advance),
        cell=model.cell,
        layer=layer,
        direction=direction,
        values=values,
        state=state,
        before=before,
        kept=kept,
        added=added,
    )


def logits_of_beginnings(
    model: TextClassifier, tokens: NDArray[np.int64], advance: Callable[[int], object]
) -> Array:
    """Return the logits of the first word, of the first two, and so on: [W] or [W,C].

    Both directions of a bidirectional layer see the beginning alone, so each is run from anew.
    """
    W = len(tokens)
    rows, parts = max(1, STEPS // W), []
    for first in range(0, W, rows):
        lengths = np.arange(first, min(first + rows, W)) + 1
        batch = np.where(np.arange(lengths[-1]) < lengths[:, None], tokens[: lengths[-1]], 0)
        parts.append(model(batch, lengths))
        advance(len(lengths))
    return np.concatenate(parts)
