"""The IMDB reviews as the data of a run."""

from __future__ import annotations

import warnings
from dataclasses import replace
from typing import Any

import numpy as np

from fastlstm.linear import TokenRows
from fastlstm.text import (
    Encoded,
    ImdbData,
    IncompleteDataWarning,
    Vocabulary,
    load_imdb,
)
from fastlstm.text.corpus import Corpus
from fastlstm.text.encoded import Ints
from fastlstm.text.imdb import unlabelled_corpus
from fastlstm.text.tokenizer import AUTO, WORD
from fastlstm.train.classifier.config import Config
from fastlstm.train.classifier.dataset import LABELS, Dataset, Whole, fingerprint
from fastlstm.train.classifier.fine_tune import EarlierRun
from fastlstm.train.classifier.start import Start
from fastlstm.train.classifier.vectors import VectorStart
from fastlstm.train.seeds import SPLIT, generator


def reviews(config: Config, bars: bool = False) -> Dataset:
    """Load the reviews; for pretraining also those without a label."""
    analyzer = WORD if config.analyzer == AUTO else config.analyzer
    how: dict[str, Any] = {
        "vocab_size": config.vocab_size, "analyzer": analyzer, "progress": bars
    }  # fmt: skip
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", IncompleteDataWarning)  # the run tells it
        found = load_imdb(config.data, **how)
    start = _start(replace(config, analyzer=analyzer), found)
    if start is not None and start.words != found.vocab.words:
        found = _in_words_of(start, found)
    data = replace(dataset(found, config), start=start)
    if not (config.pretrain and config.unlabelled):
        return data
    try:
        corpus = unlabelled_corpus(config.data, analyzer=analyzer, progress=bars)
    except (ValueError, FileNotFoundError) as error:
        raise type(error)(f"{error}: unlabelled=False pretrains on the labelled ones") from error
    unlabelled = corpus.known(corpus.train, config.vocab_size)
    identity = {**data.identity, "the unlabelled reviews": fingerprint([], [unlabelled])}
    whole = data.whole
    if whole is not None:
        rows = [whole.rows, whole_rows(corpus, bool(data.options["marks"]))]
        numbers = len(whole.rows) + np.arange(len(unlabelled))
        whole = replace(whole, rows=TokenRows.concatenate(rows), unlabelled=numbers)
    return replace(data, unlabelled=unlabelled, identity=identity, whole=whole)


def _start(config: Config, found: ImdbData) -> Start | None:
    """Return what the run begins with, if not at random."""
    if config.from_run is not None:
        assert found.corpus is not None
        return EarlierRun(config, found.corpus.words, LABELS)
    return None if config.vectors is None else VectorStart(config, found.vocab.words)


def _in_words_of(start: Start, found: ImdbData) -> ImdbData:
    """Return the reviews with the words that the run begins with."""
    corpus = found.corpus
    assert corpus is not None
    train, test = (corpus.in_words_of(part, start.words) for part in (corpus.train, corpus.test))
    vocab = Vocabulary(start.words, found.vocab.analyzer)
    return replace(found, train=train, test=test, vocab=vocab)


def dataset(data: ImdbData, config: Config) -> Dataset:
    """Return the reviews cut to length, with a validation part drawn by the seed."""
    vocab, known = data.vocab, (data.train, data.test)
    train, test = (part.truncate(config.max_length, keep=config.truncate) for part in known)
    rows = split(len(train), config)
    identity = {"the reviews": fingerprint(vocab.words, known)}
    whole, marks = None, False
    if config.parts != "net":
        assert data.corpus is not None
        marks = config.marks and bool(data.corpus.marks)
        tokens = whole_rows(data.corpus, marks)
        whole = Whole(tokens, *rows, np.arange(len(train), len(tokens)))
        identity |= whole.identity
    kept, held_back = (train.select(part) for part in rows)
    return Dataset(
        kept, held_back if config.validation else None, test, vocab, data.source,
        identity=identity, noun="reviews",
        options={
            **config.sized(len(kept), len(kept.tokens)), "analyzer": vocab.analyzer, "marks": marks
        },
        complete=data.complete, notice=data.notice, whole=whole,
    )  # fmt: skip


def whole_rows(corpus: Corpus, marks: bool) -> TokenRows:
    """Return all reviews of a corpus, training and then test, with the marks or without."""
    parts, tokens = [corpus.train, corpus.test], corpus.tokens
    if not marks:
        tokens = corpus.words
        parts = [corpus.known(part, len(tokens)) for part in parts]
    return TokenRows.from_encoded(Encoded.concatenate(parts), tokens)


def split(count: int, config: Config) -> tuple[Ints, Ints]:
    """Return the numbers of the reviews to keep and to hold back. The seed draws them."""
    if not config.validation:
        return np.arange(count), np.arange(0)
    held_back = round(config.validation * count)
    if not 0 < held_back < count:
        raise ValueError(
            f"validation is {config.validation}, which holds back {held_back} of {count} "
            "training reviews; expected at least one on either side"
        )
    order = generator(config.seed, SPLIT).permutation(count)
    return order[held_back:], order[:held_back]
