"""A user's own texts as ids of words, cut to length and divided: what a run learns from."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from functools import partial
from typing import Any

import numpy as np
from tqdm import tqdm

from fastlstm.linear import TokenRows
from fastlstm.text import Encoded, Vocabulary
from fastlstm.text.corpus import Corpus, Texts, build_corpus, encode_with
from fastlstm.text.encoded import Ints
from fastlstm.text.marks import normalize_with_marks
from fastlstm.text.split import stratified_split
from fastlstm.text.token_list import by_frequency
from fastlstm.text.tokenizer import normalize_text, tokenize
from fastlstm.train.classifier.dataset import UNLABELLED, Whole, fingerprint
from fastlstm.train.classifier.fine_tune import EarlierRun
from fastlstm.train.classifier.start import Start
from fastlstm.train.classifier.text_config import TextConfig
from fastlstm.train.classifier.vectors import VectorStart
from fastlstm.train.seeds import SPLIT, generator


def encode(
    train: Texts, test: Texts, unlabelled: Texts | None, labels: Sequence[str], config: TextConfig,
    bars: bool,
) -> dict[str, Any]:  # fmt: skip
    """Return the fields of a `Dataset` that come from words.

    The vocabulary is that of what the run begins with, or else has the words of the training texts
    and then of those without a label. ValueError if the training texts have no word.
    """
    corpus = _corpus(train, test, config, bars)
    start = _start(config, corpus.words, labels)
    further = None
    if start is None and unlabelled is not None:
        further = encode_with(corpus.words, _normalized(unlabelled, config), config.analyzer)
    words = _vocabulary(corpus, further, config.vocab_size) if start is None else start.words
    known = [_in_words_of(corpus, part, words) for part in (corpus.train, corpus.test)]
    cut = [part.truncate(config.max_length, keep=config.truncate) for part in known]
    rows = _rows(cut[0], config)
    vocab = Vocabulary(words, config.analyzer)
    identity: dict[str, Any] = {"the texts": fingerprint([*labels, *vocab.words], known)}
    whole = None
    if config.parts != "net":
        whole = _whole(corpus, rows)
        identity |= whole.identity
    known_further = None
    if further is not None:
        known_further = further.in_words_of(further.train, words)
        identity |= {UNLABELLED: fingerprint([], [known_further])}
        whole = None if whole is None else _with_unlabelled(whole, further)
    kept, held_back = (cut[0].select(part) for part in rows)
    return {
        "train": kept,
        "validation": held_back if config.validation else None,
        "test": cut[1] if len(cut[1]) else None,
        "vocab": vocab,
        "identity": identity,
        "start": start,
        "whole": whole,
        "unlabelled": known_further,
    }


def _corpus(train: Texts, test: Texts, config: TextConfig, bars: bool) -> Corpus:
    train, test = (_normalized(part, config) for part in (train, test))
    total = len(train.texts) + len(test.texts)
    with tqdm(total=total, desc="encoding", unit=" texts", disable=not bars, leave=False) as bar:
        corpus = build_corpus(train, test, bar.update, config.analyzer)
    if len(corpus.words[: config.vocab_size]) <= 2:
        raise ValueError(f"{config.data} has no words: its texts hold no letter and no digit")
    return corpus


def _normalized(texts: Texts, config: TextConfig) -> Texts:
    """Return texts to be cut once: into words and, for a linear part, the marks between them."""
    if config.parts != "net" and config.marks:
        raw = (text.encode("utf-8", "replace") for text in texts.texts)
        return Texts([normalize_with_marks(one, config.analyzer) for one in raw], texts.labels)
    return Texts([normalize_text(text, config.analyzer) for text in texts.texts], texts.labels)


def _vocabulary(corpus: Corpus, further: Corpus | None, size: int) -> list[str]:
    """Return the first words of the training texts and then of further ones."""
    more = [] if further is None else _by_frequency(further)
    return [*corpus.words, *more][:size]


def _in_words_of(corpus: Corpus, part: Encoded, words: list[str]) -> Encoded:
    if words == corpus.words[: len(words)]:  # the ids stay
        return corpus.known(part, len(words))
    return corpus.in_words_of(part, words)


def _rows(train: Encoded, config: TextConfig) -> tuple[Ints, Ints]:
    """Return the numbers of the texts to keep and to hold back. The seed draws them."""
    if not config.validation:
        return np.arange(len(train)), np.arange(0)
    return stratified_split(train.labels, config.validation, generator(config.seed, SPLIT))


def _whole(corpus: Corpus, rows: tuple[Ints, Ints]) -> Whole:
    """Return the labelled texts for a linear part."""
    both = TokenRows.from_encoded(Encoded.concatenate([corpus.train, corpus.test]), corpus.tokens)
    tokens = both.as_they_come()  # as earlier versions number them, whose runs are resumed
    return Whole(tokens, *rows, np.arange(len(corpus.train), len(tokens)))


def _with_unlabelled(whole: Whole, further: Corpus) -> Whole:
    added = TokenRows.from_encoded(further.train, further.tokens)
    rows = TokenRows.concatenate([whole.rows, added])
    return replace(whole, rows=rows, unlabelled=np.arange(len(whole.rows), len(rows)))


def _by_frequency(further: Corpus) -> list[str]:
    """Return the words that only further texts have, the most frequent first."""
    counts = np.bincount(further.train.tokens, minlength=len(further.tokens)).tolist()
    first = len(further.words)
    return by_frequency(dict(zip(further.others, counts[first:], strict=False)))


def _start(config: TextConfig, words: list[str], labels: Sequence[str]) -> Start | None:
    """Return what the run begins with, if not at random; `words` are all of the texts."""
    if config.from_run is not None:
        return EarlierRun(config, words, labels)
    if config.vectors is not None:
        cut = partial(tokenize, analyzer=config.analyzer)
        return VectorStart(config, words[: config.vocab_size], cut)
    return None
