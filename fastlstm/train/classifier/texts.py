"""A user's own labelled texts as the data of a run."""

from __future__ import annotations

import json
import zlib
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
from tqdm import tqdm

from fastlstm.linear import TokenRows
from fastlstm.text import Encoded, Vocabulary
from fastlstm.text.corpus import Corpus, Texts, build_corpus, encode_with
from fastlstm.text.imdb import NO_LABEL
from fastlstm.text.labelled import LabelledTexts, read_labelled
from fastlstm.text.labels import class_name, in_order
from fastlstm.text.marks import normalize_with_marks
from fastlstm.text.plain_texts import read_plain
from fastlstm.text.split import stratified_split
from fastlstm.text.token_list import by_frequency
from fastlstm.text.tokenizer import choose_analyzer, normalize_text, tokenize
from fastlstm.train.classifier.dataset import UNLABELLED, Dataset, Whole, fingerprint
from fastlstm.train.classifier.fine_tune import EarlierRun
from fastlstm.train.classifier.start import Start
from fastlstm.train.classifier.text_config import TextConfig
from fastlstm.train.classifier.vectors import VectorStart
from fastlstm.train.seeds import SPLIT, generator

SHOWN = 8  # classes or texts that a message lists
MOST_COUNTED = 100_000  # different names that are no classes are counted


def load(config: TextConfig, bars: bool = False) -> Dataset:
    """Read, divide and encode the texts that the options name.

    Errors as of `read_labelled`; also ValueError if no file is named, there is only one class, a
    class is too small to be divided, or a test text has a class that training has not.
    """
    if config.data is None:
        raise ValueError("data is None, expected a file or a folder")
    found = read_labelled(config.data, config.reading)
    labels = in_order(found.labels)
    if len(labels) < 2:
        raise ValueError(
            f"{config.data} has one class only, {labels[0]!r}; expected texts of two or more"
        )
    everything = _numbered(found, labels, config.data)
    _check_sizes(found.labels, config)
    train, test = _test_part(everything, labels, config)
    more = _without_label(config)
    contents = tuple(_contents(part, labels) for part in (train, test, more) if part is not None)
    config = replace(config, analyzer=choose_analyzer(train.texts, config.analyzer))
    data = _encode(train, test, more, labels, config, bars)
    options: dict[str, Any] = {
        **config.sized(len(data["train"]), len(data["train"].tokens)),
        "analyzer": config.analyzer,
        **dict(zip(("text_column", "label_column"), found.columns or (), strict=False)),
    }
    return Dataset(
        **data, labels=tuple(labels), options=options, source=_describe(found, more, config),
        contents=contents,
    )  # fmt: skip


class ClassNumbers:
    """The numbers of classes by name; numbers may be spelled in any way.

    Parameters
    ----------
    labels : names of the classes, by number.
    source : what errors call the texts.
    """

    def __init__(self, labels: Sequence[str], source: str) -> None:
        self._labels, self._source = labels, source
        # Earlier versions wrote classes such as "1.0" and "True".
        self._number: dict[str | None, int] = {class_name(name): n for n, name in enumerate(labels)}
        self._number.update((name, n) for n, name in enumerate(labels))
        self._strange: Counter[str] = Counter()

    def of(self, names: Iterable[str]) -> list[int]:
        """Return the numbers of known classes; names that are none are counted instead."""
        found = []
        for name in names:
            if name in self._number:
                found.append(self._number[name])
            elif name in self._strange or len(self._strange) < MOST_COUNTED:
                self._strange[name] += 1
        return found

    @property
    def all_known(self) -> bool:
        return not self._strange

    def check(self) -> None:
        """Raise ValueError if a name was no class: tells which, and what the classes are."""
        if self._strange:
            raise ValueError(
                f"{self._source} has labels that training did not have: {_counted(self._strange)}; "
                f"the classes are {_listed(self._labels)}"
            )


def numbers_of(names: Sequence[str], labels: Sequence[str], source: str) -> list[int]:
    """Return the numbers of classes by name, see `ClassNumbers`; ValueError if one is none."""
    numbers = ClassNumbers(labels, source)
    found = numbers.of(names)
    numbers.check()
    return found


def _numbered(found: LabelledTexts, labels: Sequence[str], source: str) -> Texts:
    return Texts(found.texts, numbers_of(found.labels, labels, source))


def _check_sizes(labels: Sequence[str], config: TextConfig) -> None:
    """Raise ValueError unless each class has a text for every part."""
    parts = ["training"]
    parts += ["validation"] if config.validation else []
    parts += ["testing"] if config.test is None and config.test_split else []
    small = Counter({k: n for k, n in Counter(labels).items() if n < len(parts)})
    if small:
        raise ValueError(
            f"{config.data} has classes of too few texts: {_counted(small)}; expected at least "
            f"{len(parts)} of each, for {' and '.join(parts)}: add some, remove the class, or "
            "hold nothing back (test=FILE or test_split=0, validation=0)"
        )


def _test_part(everything: Texts, labels: Sequence[str], config: TextConfig) -> tuple[Texts, Texts]:
    """Return the texts to train on and those to test on, which may be none."""
    if config.test is not None:
        reading = config.reading
        return everything, _numbered(read_labelled(config.test, reading), labels, config.test)
    if not config.test_split:
        return everything, Texts([], [])
    rng = generator(config.seed, SPLIT, 1)  # step 0 draws the validation part
    kept, held_back = stratified_split(everything.labels, config.test_split, rng)
    return _select(everything, kept), _select(everything, held_back)


def _without_label(config: TextConfig) -> Texts | None:
    """Return the texts without a label to pretrain on, None if there are to be none.

    Raises ValueError if a file of them is named twice, or is that of the labelled ones; errors as
    of `read_plain`.
    """
    if not (config.pretrain and config.unlabelled):
        return None
    labelled = (("data", config.data), ("test", config.test))
    seen = {Path(path).resolve(): name for name, path in labelled if path is not None}
    texts: list[str] = []
    for path in config.unlabelled:
        place = Path(path).expanduser().resolve()
        if place in seen:
            raise ValueError(
                f"unlabelled is {path}, which is {seen[place]} too: expected other texts"
            )
        seen[place] = "unlabelled"
        texts += read_plain(path, config.reading)
    return Texts(texts, [NO_LABEL] * len(texts))


def _contents(part: Texts, labels: Sequence[str]) -> int:
    """Return a number that changes with any text or label."""
    crc = zlib.crc32(json.dumps([*labels, *map(int, part.labels)]).encode())
    for text in part.texts:
        crc = zlib.crc32(f"{text}\0".encode("utf-8", "surrogatepass"), crc)
    return crc


def _normalized(texts: Texts, analyzer: str, marks: bool) -> Texts:
    """Return texts to be cut once, into words and perhaps the marks between them."""
    if marks:
        raw = (text.encode("utf-8", "replace") for text in texts.texts)
        return Texts([normalize_with_marks(one, analyzer) for one in raw], texts.labels)
    return Texts([normalize_text(text, analyzer) for text in texts.texts], texts.labels)


def _select(texts: Texts, rows: Iterable[np.int64]) -> Texts:
    index = [int(n) for n in rows]
    return Texts([texts.texts[n] for n in index], [texts.labels[n] for n in index])


def _encode(
    train: Texts, test: Texts, more: Texts | None, labels: Sequence[str], config: TextConfig,
    bars: bool,
) -> dict[str, Any]:  # fmt: skip
    """Return the parts of a `Dataset` that come from words."""
    marks = config.parts != "net" and config.marks  # for the linear part
    train, test = (_normalized(part, config.analyzer, marks) for part in (train, test))
    total = len(train.texts) + len(test.texts)
    with tqdm(total=total, desc="encoding", unit=" texts", disable=not bars, leave=False) as bar:
        corpus = build_corpus(train, test, bar.update, config.analyzer)
    known_first = corpus.words[: config.vocab_size]
    if len(known_first) <= 2:
        raise ValueError(f"{config.data} has no words: its texts hold no letter and no digit")
    start = _start(config, corpus.words, labels)
    parts, further, words = (corpus.train, corpus.test), None, known_first
    if start is not None:
        words = start.words
    elif more is not None:
        further = encode_with(
            corpus.words, _normalized(more, config.analyzer, marks), config.analyzer
        )
        words = [*corpus.words, *_by_frequency(further)][: config.vocab_size]
    if words == known_first:
        known = [corpus.known(part, config.vocab_size) for part in parts]
    else:
        known = [corpus.in_words_of(part, words) for part in parts]
    vocab = Vocabulary(words, config.analyzer)
    cut = [part.truncate(config.max_length, keep=config.truncate) for part in known]
    kept, held_back = cut[0], None
    rows = np.arange(len(kept)), np.arange(0)
    if config.validation:
        rows = stratified_split(kept.labels, config.validation, generator(config.seed, SPLIT))
        kept, held_back = (cut[0].select(part) for part in rows)
    identity, whole = {"the texts": fingerprint([*labels, *vocab.words], known)}, None
    if config.parts != "net":
        both = TokenRows.from_encoded(Encoded.concatenate(parts), corpus.tokens)
        tokens = both.as_they_come()  # as earlier versions number them, whose runs are resumed
        whole = Whole(tokens, *rows, np.arange(len(train.texts), total))
        identity |= whole.identity
    unlabelled = None
    if further is not None:
        unlabelled = further.in_words_of(further.train, words)
        identity |= {UNLABELLED: fingerprint([], [unlabelled])}
        if whole is not None:
            added = TokenRows.from_encoded(further.train, further.tokens)
            rows_of = np.arange(len(whole.rows), len(whole.rows) + len(unlabelled))
            both = TokenRows.concatenate([whole.rows, added])
            whole = replace(whole, rows=both, unlabelled=rows_of)
    return {
        "train": kept,
        "validation": held_back,
        "test": cut[1] if len(cut[1]) else None,
        "vocab": vocab,
        "identity": identity,
        "start": start,
        "whole": whole,
        "unlabelled": unlabelled,
    }


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


def _describe(found: LabelledTexts, more: Texts | None, config: TextConfig) -> str:
    text = f"{Path(config.data or '').name}, {len(found.texts):,} texts"
    if more is not None:
        text += f", {len(more.texts):,} without a label"
    return f"{text}, tested on {Path(config.test).name}" if config.test is not None else text


def _counted(counts: Counter[str]) -> str:
    shown = [f"{name!r} ({count:,})" for name, count in counts.most_common(SHOWN)]
    return ", ".join(shown) + (", ..." if len(counts) > SHOWN else "")


def _listed(names: Sequence[str]) -> str:
    shown = ", ".join(map(repr, names[:SHOWN]))
    return f"{shown}, ... ({len(names)} in all)" if len(names) > SHOWN else shown
