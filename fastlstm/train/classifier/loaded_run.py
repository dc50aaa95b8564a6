"""Reads a run: the model with its words and classes, or the plain files."""

from __future__ import annotations

import os
import secrets
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

from fastlstm._version import __version__
from fastlstm.counts import count_of
from fastlstm.linear import TokenRows
from fastlstm.models import TextClassifier
from fastlstm.runtime import num_threads, worker_threads
from fastlstm.text import Encoded, Vocabulary
from fastlstm.text.given import listed
from fastlstm.text.marks import is_mark
from fastlstm.train.checkpoint import CheckpointError
from fastlstm.train.classifier.config import Config
from fastlstm.train.classifier.dataset import LABELS
from fastlstm.train.classifier.one_run import check_one_run
from fastlstm.train.classifier.parts import Parts, load_parts
from fastlstm.train.classifier.predict import Float64, log_probabilities
from fastlstm.train.classifier.run_folder import RunFolder
from fastlstm.train.classifier.text_config import load_config, whole_tokens
from fastlstm.train.classifier.trained_texts import TextHashes, read_hashes
from fastlstm.train.history import Epoch


@dataclass(frozen=True, eq=False)
class ReadTexts(Encoded):
    """Texts as a run reads them: the word ids of its net, and for its linear part all `whole`."""

    whole: TokenRows | None = None


STUDY = "tune.json"  # marks the folder of `fastlstm tune`

_OWN = secrets.token_hex(8)  # of this process, together with its number: a forked child has both


@dataclass(frozen=True)
class LoadedRun:
    """What `load_run` found in a folder.

    It can be pickled, as `predict` of it can, and sent to other processes and machines, which need
    not see the folder: each array of weights goes once, out of band where the protocol has buffers.
    There it uses the threads of a worker, see `runtime.worker_threads`.
    """

    parts: Parts  # what classifies; the net has the weights of the best epoch
    vocab: Vocabulary
    labels: list[str]  # names of the classes, by number; two for a model with one output
    config: Config
    folder: RunFolder
    sender: tuple[str, int] | None = field(default=None, repr=False, compare=False)

    def __getstate__(self) -> dict[str, Any]:
        return {**vars(self), "sender": (_OWN, os.getpid())}

    def __setstate__(self, state: dict[str, Any]) -> None:
        vars(self).update(state)

    @property
    def model(self) -> TextClassifier:
        """The net; ValueError if there is none."""
        if self.parts.net is None:
            raise ValueError(f"{self.folder.path} has no net, only a linear part")
        return self.parts.net

    @property
    def precision(self) -> str:
        """In which the net makes its products."""
        net = self.parts.net
        return self.config.precision if net is None else net.recurrent.precision

    def encode(self, texts: Iterable[str]) -> ReadTexts:
        """Return texts as the run was trained on them: word ids, cut to length, and the whole."""
        texts, whole = listed(texts), None
        if self.parts.linear is None:
            encoded = self.vocab.encode_texts(texts, [0] * len(texts))
        else:  # which reads more than the net, of texts that are cut once
            whole = TokenRows.from_lists(map(whole_tokens(self.config, self.vocab.analyzer), texts))
            encoded = self._words_of(whole)
        encoded = encoded.truncate(self.config.max_length, keep=self.config.truncate)
        return ReadTexts(encoded.tokens, encoded.offsets, encoded.labels, whole)

    def _words_of(self, whole: TokenRows) -> Encoded:
        """Return the word ids of texts, without the marks between the words."""
        analyzer, marks = self.vocab.analyzer, self.config.marks
        is_word = np.array([not (marks and is_mark(t, analyzer)) for t in whole.tokens], bool)
        ids = np.array([self.vocab.id(token) for token in whole.tokens], np.int32)
        encoded = Encoded(whole.ids, whole.offsets, np.zeros(len(whole), np.int64))
        encoded = encoded.keep(is_word[whole.ids])
        return replace(encoded, tokens=ids[encoded.tokens])

    def trained_on(self, encoded: Encoded) -> int:
        """Return how many of the texts the run trained on or chose its best epoch by.

        Texts that the model reads alike count as one. For a run of over a million texts the number
        is an estimate; for one of a version that kept no list it is 0.
        """
        hashes = self.read_hashes()
        return hashes.count(encoded) if hashes is not None else 0

    def read_hashes(self) -> TextHashes | None:
        """Return the hashes of those texts; None for a run of a version that kept none."""
        path = self.folder.trained_texts
        check = partial(check_one_run, path, config=self.config, vocab=self.vocab)
        return read_hashes(path, check)

    def predict(self, texts: Iterable[str]) -> list[str]:
        """Return the label of each text; see `predict_proba`."""
        return [self.labels[best] for best in self.predict_proba(texts).argmax(axis=1).tolist()]

    def predict_proba(self, texts: Iterable[str]) -> Float64:
        """Return the probability of each class, in the order of `labels`, float64 [N, C].

        The texts may be a list, a column of a table or an iterator. Raises TypeError if `texts` is
        none of these, or one of them is no string.
        """
        texts = listed(texts)
        if not texts:
            return np.zeros((0, len(self.labels)))
        proba: Float64 = np.exp(self.log_probabilities(self.encode(texts)))
        return proba

    def log_probabilities(
        self, encoded: Encoded, advance: Callable[[int], object] = lambda done: None
    ) -> Float64:
        """Return the logarithm of each class's probability, float64 [N, C], of texts of `encode`.

        `advance` is called with the number of further texts that are done.
        """
        whole = encoded.whole if isinstance(encoded, ReadTexts) else None
        sent = self.sender not in (None, (_OWN, os.getpid()))
        with num_threads(worker_threads() if sent else None):
            return log_probabilities(self.parts.logits(encoded, whole, advance))


def load_run(path: str | Path) -> LoadedRun:
    """Read a run of `train_imdb` or `fastlstm train`, finished or not, from its folder.

    The model makes its products in the precision that the run was trained and tested in;
    ``run.model.set_precision`` gives it another one, for the same weights.

    Raises FileNotFoundError if the folder does not exist, or has no run or no model yet; ValueError
    if a file is damaged, of another version, or does not fit the others.
    """
    folder = RunFolder(path)
    check_is_run(folder)
    with _one_run(folder):
        config = load_options(folder)
        if not folder.model.exists():
            raise FileNotFoundError(_no_model(folder))
        if not folder.vocab.exists():
            raise FileNotFoundError(f"{folder.path} is damaged: there is no {folder.vocab.name}")
        parts, note = load_parts(folder.model)
        vocab = Vocabulary.load(folder.vocab)
        if parts.net is not None:
            parts.net.set_precision(config.precision)
            _check_words(folder, vocab, parts.net.embedding.num_embeddings)
        check_one_run(folder.model, note, config, vocab)
        return LoadedRun(parts, vocab, _labels(folder, note, parts.num_outputs), config, folder)


def _check_words(folder: RunFolder, vocab: Vocabulary, expected: int) -> None:
    if len(vocab) != expected:
        raise CheckpointError(
            f"{folder.path} is damaged: {folder.vocab.name} has {count_of(len(vocab), 'word')}, "
            f"{folder.model.name} is for {expected}"
        )


@contextmanager
def _one_run(folder: RunFolder) -> Iterator[None]:
    """Raise ValueError, in place of any other error, if another run takes the folder meanwhile."""
    began, failed = folder.stamp(), None
    try:
        yield
    except (OSError, ValueError) as error:
        failed = error
    if folder.stamp() != began:
        raise ValueError(
            f"{folder.path} was given to another run while it was read: try again"
        ) from failed
    if failed is not None:
        raise failed


def check_is_run(folder: RunFolder) -> None:
    """Raise FileNotFoundError unless the folder holds a run."""
    if not folder.path.exists():
        raise FileNotFoundError(f"{folder.path} does not exist; expected the folder of a run")
    if not folder.holds_run:
        expected = "the out= folder of train_imdb or fastlstm train"
        if (folder.path / STUDY).exists():
            expected = f"{folder.path / 'best'}, the best run of the study in it"
        raise FileNotFoundError(
            f"{folder.path} holds no run: there is no {folder.config.name}; expected {expected}"
        )


def load_options(folder: RunFolder) -> Config:
    """Return the options of a run; an error tells its version and this one."""
    try:
        return load_config(folder.config)
    except ValueError as error:
        raise ValueError(
            f"{error} (this is fastlstm {__version__}, the run is of {_version_of(folder)}; use "
            "that version, or train again)"
        ) from error


def _version_of(folder: RunFolder) -> str:
    try:
        return str(folder.read_metrics()["version"])
    except (OSError, ValueError, KeyError, TypeError):
        return "an unknown one"


def _no_model(folder: RunFolder) -> str:
    if folder.finished and "penalty" in folder.read_metrics():
        return f"{folder.path} is a bag of words of a comparison, of which no model is kept"
    study = folder.path.parents[1] if len(folder.path.parents) > 1 else folder.path
    if (study / STUDY).exists():
        return (
            f"{folder.path} is a trial of a study, which keeps no model but that of the best one: "
            f"see {study / 'best'}"
        )
    if folder.finished:
        return f"{folder.path} is damaged: there is no {folder.model.name}"
    return (
        f"{folder.path} has no model yet: its first epoch is not over; go on with "
        f"resume={folder.path}"
    )


def _labels(folder: RunFolder, note: dict[str, Any], num_outputs: int) -> list[str]:
    labels: list[str] = note.get("labels", list(LABELS))
    expected = max(2, num_outputs)
    are_names = isinstance(labels, list) and all(isinstance(label, str) for label in labels)
    if not are_names or len(labels) != expected:
        raise CheckpointError(
            f"{folder.model} is damaged: its classes are {labels!r:.200}, expected {expected} names"
        )
    return labels


@dataclass(frozen=True)
class RunRecord:
    """The plain files of a run; `metrics` is None while it is not finished."""

    folder: RunFolder
    config: Config
    metrics: dict[str, Any] | None
    epochs: list[Epoch]


def read_record(path: str | Path) -> RunRecord:
    """Read the plain files of a run.

    Raises FileNotFoundError if the folder holds no run; ValueError, which names the file, if one is
    damaged or of another version.
    """
    folder = RunFolder(path)
    check_is_run(folder)
    config = load_options(folder)
    metrics = folder.read_metrics() if folder.finished else None
    return RunRecord(folder, config, metrics, folder.read_epochs())
