"""Pairs of a source and a target sequence, for models that read one and write the other.

Each is a list of tokens. Encoded, a target stands between the marks ``<s>`` and ``</s>``.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from functools import cache
from re import Pattern

import numpy as np
from numpy.typing import NDArray

from fastlstm.counts import count_of
from fastlstm.nn.check import check_flag
from fastlstm.text.batches import collate, plan_batches, rest
from fastlstm.text.characters import mixed
from fastlstm.text.encoded import Encoded, Ints, runs
from fastlstm.text.token_list import by_frequency
from fastlstm.text.vocabulary import SPECIAL, UNK, Vocabulary
from fastlstm.text.word_classes import JOINERS, marks_and_letters
from fastlstm.text.words import compose, lower, picture

BOS, EOS = 2, 3
MARKS = (*SPECIAL, "<s>", "</s>")

Tokens = Sequence[str]
Pair = tuple[Tokens, Tokens]


def words_and_marks(text: str) -> list[str]:
    """Return the lower-case words and the punctuation marks of a text, as of normal form C.

    Of scripts that write no spaces each character is a word; an emoji is one, too.

    >>> words_and_marks("J'ai faim !")
    ["j'", 'ai', 'faim', '!']
    """
    found = _token().findall(lower(compose(text)).replace("\u2019", "'"))
    return mixed(" ".join(found)).split()


@cache
def _token() -> Pattern[str]:
    """Return what finds a word, perhaps with hyphens and an apostrophe at its end; or a mark."""
    inner = rf"[\w{marks_and_letters()}]"
    word = rf"\w{inner}*(?:[{JOINERS}]+{inner}+)*"  # "l'", "don'", "t-shirt"
    return re.compile(rf"{word}(?:-{word})*'?|{picture()}|[^\w\s]")


def token_vocabulary(texts: Iterable[Tokens], min_count: int = 1) -> Vocabulary:
    """Return the marks, and by frequency the tokens seen at least `min_count` (1 or more) times."""
    if min_count < 1:
        raise ValueError(f"min_count is {min_count}, expected at least 1")
    counts = Counter(token for text in texts for token in text)
    kept = {w: count for w, count in counts.items() if count >= min_count and w not in MARKS}
    return Vocabulary([*MARKS, *by_frequency(kept)])


def encode_tokens(texts: Iterable[Tokens], vocab: Vocabulary, marks: bool = False) -> Encoded:
    """Return lists of tokens as ids, with `marks` between ``<s>`` and ``</s>``.

    Unknown tokens, and those that look like a mark, become ``<unk>``.
    """
    marks, rows = check_flag("marks", marks), []
    for text in texts:
        ids = [i if i >= len(MARKS) else UNK for i in map(vocab.id, text)]
        rows.append([BOS, *ids, EOS] if marks else ids)
    return Encoded.from_rows(rows, [0] * len(rows))


def decode_tokens(ids: Iterable[int], vocab: Vocabulary) -> list[str]:
    """Return the tokens of ids."""
    return [vocab.words[i] for i in ids]


@dataclass(frozen=True, eq=False)
class Pairs:
    """Encoded sources, and as many targets with their marks."""

    source: Encoded
    target: Encoded

    def __post_init__(self) -> None:
        if len(self.source) != len(self.target):
            raise ValueError(
                f"target has {count_of(len(self.target), 'row')}, expected {len(self.source)} as "
                "source has"
            )
        if len(self.target) and self.target.lengths.min() < 2:
            raise ValueError("target has a row without both marks, expected <s> ... </s>")

    def __len__(self) -> int:
        return len(self.source)


def encode_pairs(pairs: Sequence[Pair], source: Vocabulary, target: Vocabulary) -> Pairs:
    """Return pairs of lists of tokens as ids."""
    return Pairs(
        encode_tokens((pair[0] for pair in pairs), source),
        encode_tokens((pair[1] for pair in pairs), target, marks=True),
    )


@dataclass(frozen=True, eq=False, slots=True)
class PairBatch:
    """N pairs: S and T are the lengths of the longest source and target, M is all target tokens.

    Attributes
    ----------
    source : int32 [N,S], each row padded with 0 on the right.
    source_lengths : int64 [N].
    target : int32 [N,T], each row's ``<s>`` and its words; what follows them is to be ignored.
    target_lengths : int64 [N].
    labels : int64 [M], what follows each real target token, row after row.
    index : int64 [N], each row's number in the `Pairs` it came from.
    """

    source: NDArray[np.int32]
    source_lengths: Ints
    target: NDArray[np.int32]
    target_lengths: Ints
    labels: Ints
    index: Ints

    @property
    def inputs(self) -> tuple[NDArray[np.int32], Ints, NDArray[np.int32], Ints]:
        """The arguments of a `Seq2Seq`."""
        return self.source, self.source_lengths, self.target, self.target_lengths

    @property
    def lengths(self) -> Ints:
        """The number of real tokens of each row, of both sides."""
        return self.source_lengths + self.target_lengths

    def select(self, rows: NDArray[np.integer]) -> PairBatch:
        """Return some of the rows, int [n], as long as before."""
        counts = self.target_lengths
        places = runs((np.cumsum(counts) - counts)[rows], counts[rows])
        return PairBatch(
            self.source[rows], self.source_lengths[rows], self.target[rows], counts[rows],
            self.labels[places], self.index[rows],
        )  # fmt: skip

    @property
    def words(self) -> int:
        """The number of real tokens, of both sides."""
        return int(self.source_lengths.sum() + self.target_lengths.sum())


def pair_batches(
    pairs: Pairs,
    batch_size: int,
    *,
    seed: int | None = None,
    epoch: int = 0,
    bucket: int = 50,
    start: int = 0,
) -> Iterator[PairBatch]:
    """Yield every pair once, in batches of similar source length, then target length.

    Arguments and errors are those of `text.batches`.
    """
    targets = pairs.target.lengths
    by_source_then_target = pairs.source.lengths * (targets.max(initial=0) + 1) + targets
    plan = plan_batches(by_source_then_target, batch_size, seed=seed, epoch=epoch, bucket=bucket)
    return (collate_pairs(pairs, index) for index in rest(plan, start))


def collate_pairs(pairs: Pairs, index: Ints) -> PairBatch:
    """Return the pairs of the given numbers, int [N], as one batch."""
    source, target = collate(pairs.source, index), collate(pairs.target, index)
    lengths = target.lengths - 1
    inputs, labels = target.tokens[:, :-1], target.tokens[:, 1:]
    real = np.arange(inputs.shape[1]) < lengths[:, None]
    following = labels[real].astype(np.int64)
    return PairBatch(source.tokens, source.lengths, inputs, lengths, following, source.index)
