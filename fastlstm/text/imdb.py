"""The IMDB reviews (Maas et al., 2011), from any of their usual files."""

from __future__ import annotations

import os
import warnings
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from fastlstm.files.cache import cache_folder
from fastlstm.nn.check import check_flag
from fastlstm.notices import FastlstmWarning
from fastlstm.text.cache import CacheWarning, cached
from fastlstm.text.corpus import Corpus, Texts, build_corpus, encode_with
from fastlstm.text.download import UnreachableError, download
from fastlstm.text.encoded import Encoded
from fastlstm.text.keras_npz import read_keras
from fastlstm.text.reviews import read_texts, read_unlabelled
from fastlstm.text.sources import ARCHIVE_NAME, CLASSES, UNLABELLED, Source, find_source, look_in
from fastlstm.text.tokenizer import CHAR, WORD, check_analyzer
from fastlstm.text.vocabulary import Vocabulary, check_size

OFFICIAL_URL = f"https://ai.stanford.edu/~amaas/data/sentiment/{ARCHIVE_NAME}"
OFFICIAL_SHA256 = "c40f74a18d3b61f90feba1e17730e0d38e8b97c05fde7008942e91923d1658fe"
NO_LABEL = -1
OFFICIAL_ROWS = 25_000  # of the training and of the test part each


class IncompleteDataWarning(FastlstmWarning):
    """The reviews loaded are not the full data, so results do not compare."""


@dataclass(frozen=True)
class ImdbData:
    """The reviews, encoded.

    Attributes
    ----------
    train, test : the encoded reviews; label 1 is positive, 0 negative.
    vocab : the words that the ids stand for.
    source : what was loaded, in words.
    complete : whether these are all 25,000 + 25,000 reviews, uncut.
    notice : what to tell the user if they are not; else empty.
    corpus : the reviews with all their words, and the marks between them if the source has texts.
    """

    train: Encoded
    test: Encoded
    vocab: Vocabulary
    source: str
    complete: bool
    notice: str
    corpus: Corpus | None = None


def load_imdb(
    source: str | os.PathLike[str] | None = None,
    *,
    vocab_size: int = 20_000,
    analyzer: str = WORD,
    cache: bool = True,
    progress: bool = False,
) -> ImdbData:
    """Load the IMDB reviews as word ids.

    Parameters
    ----------
    source : the official archive ``aclImdb_v1.tar.gz``; its extracted folder ``aclImdb`` or the
        folder around it; the Kaggle CSV with the columns ``review,sentiment``, of which the first
        half of the rows is for training and the rest for testing (not the official split);
        Keras's ``imdb.npz``; a folder with one of these under its usual name; or "sample", the
        bundled 2,000 + 1,500 reviews cut to 200 words. None takes the environment variable
        ``FASTLSTM_DATA``, else what is in the cache folder, else downloads the archive there,
        else (without a network) takes the sample and warns.
    vocab_size : the most entries of the vocabulary, padding and unknown included.
    analyzer : how the reviews are cut, see `tokenize`; those of Keras are cut into words already.
    cache : whether to keep the encoded reviews in the cache folder (about 60 MB a source).
    progress : whether to show bars on the standard error stream.

    Raises
    ------
    FileNotFoundError
        If a given path is not there, or holds no reviews.
    ValueError
        If a source is damaged, half a download, not UTF-8, not as described, or has a single
        class; or if `vocab_size` is below 3, there is no such analyzer, or characters are wanted
        of reviews that are cut into words already.
    DownloadError, ChecksumError
        If the download breaks off, or is not the official archive.

    Warns
    -----
    IncompleteDataWarning
        If the data is not complete and the sample was not asked for.
    """
    check_size(vocab_size)
    check_analyzer(analyzer)
    cache, progress = check_flag("cache", cache), check_flag("progress", progress)
    found, reason = _locate(source, progress)
    if found.kind == "keras" and analyzer == CHAR:
        raise ValueError(f"analyzer is 'char', but {found.path} has words, not texts to be cut")
    corpus = _corpus(found, analyzer, cache, progress)
    complete = found.kind != "sample" and len(corpus.train) == len(corpus.test) == OFFICIAL_ROWS
    notice = "" if complete else _notice(found, corpus, reason)
    if notice and (reason or found.kind != "sample"):
        warnings.warn(notice, IncompleteDataWarning, stacklevel=2)
    return ImdbData(
        train=corpus.known(corpus.train, vocab_size),
        test=corpus.known(corpus.test, vocab_size),
        vocab=Vocabulary(corpus.words[:vocab_size], analyzer),
        source=_describe(found, corpus, complete),
        complete=complete,
        notice=notice,
        corpus=corpus,
    )


def load_unlabelled(
    source: str | os.PathLike[str] | None = None,
    *,
    vocab_size: int = 20_000,
    analyzer: str = WORD,
    cache: bool = True,
    progress: bool = False,
) -> Encoded:
    """Load the 50,000 reviews without labels, for pretraining; each label is -1.

    The words have the ids that `load_imdb` gives them, and the arguments are those of `load_imdb`.

    Raises
    ------
    FileNotFoundError, ValueError, DownloadError, ChecksumError
        As `load_imdb`; also if the source has no such reviews. Only the official archive and its
        extracted folder have.
    """
    check_size(vocab_size)
    corpus = unlabelled_corpus(source, analyzer=analyzer, cache=cache, progress=progress)
    return corpus.known(corpus.train, vocab_size)


def unlabelled_corpus(
    source: str | os.PathLike[str] | None = None,
    *,
    analyzer: str = WORD,
    cache: bool = True,
    progress: bool = False,
) -> Corpus:
    """Load the same reviews with all their words, and the marks between them.

    They are the training part; `words` are those of the labelled ones. Errors as `load_unlabelled`.
    """
    check_analyzer(analyzer)
    cache, progress = check_flag("cache", cache), check_flag("progress", progress)
    found, _ = _locate(source, progress)

    def build() -> Corpus:
        texts = read_unlabelled(found, analyzer, marks=True)
        words = _corpus(found, analyzer, cache, progress).words
        return encode_with(words, Texts(texts, [NO_LABEL] * len(texts)), analyzer)

    if not cache or found.kind == "sample":
        return build()
    name = f"unlabelled {found.kind}:{found.path.resolve()}"
    identity = f"{found.identity()}/{found.identity(UNLABELLED)}"
    return _cached(name, identity, build, analyzer)


def _corpus(found: Source, analyzer: str, cache: bool, progress: bool) -> Corpus:
    """Return the labelled reviews, with `cache` from the cache folder."""
    if not cache or found.kind == "sample":
        return _read(found, analyzer, progress)
    name = f"{found.kind}:{found.path.resolve()}"

    def build() -> Corpus:
        return _read(found, analyzer, progress)

    return _cached(name, found.identity(), build, analyzer)


def _cached(name: str, identity: str, build: Callable[[], Corpus], analyzer: str) -> Corpus:
    """Return a collection as `cached` does; where there is no cache folder, with a warning."""
    try:
        folder = cache_folder()
    except OSError as error:
        warnings.warn(f"cannot keep the encoded texts: {error}", CacheWarning, stacklevel=3)
        return build()
    return cached(folder, name, identity, build, analyzer)


def _locate(source: str | os.PathLike[str] | None, progress: bool) -> tuple[Source, str]:
    """Return the source to read, and if nothing but the sample was found, why."""
    source = source if source is not None else os.environ.get("FASTLSTM_DATA") or None
    if source is not None:
        return find_source(source), ""
    folder = cache_folder()
    archive = folder / ARCHIVE_NAME
    try:
        kept = look_in(folder)
        if kept is not None:
            return kept, ""
        download(OFFICIAL_URL, archive, sha256=OFFICIAL_SHA256, progress=progress)
    except UnreachableError as error:
        return find_source("sample"), f"No IMDB data was found, and {error}. "
    except OSError as error:
        if error.errno is None:  # it says all
            raise
        raise OSError(
            f"no download can be kept in {folder} ({error.strerror}): set FASTLSTM_CACHE to a "
            "folder that can be written to, or name the data by source=PATH"
        ) from error
    return find_source(archive), ""


def _read(source: Source, analyzer: str, progress: bool) -> Corpus:
    if source.kind == "keras":
        corpus = read_keras(source.path)
    else:
        train, test = read_texts(source, analyzer, marks=True)
        from tqdm import tqdm

        total = len(train.texts) + len(test.texts)
        with tqdm(total=total, desc="encoding", unit=" reviews", disable=not progress) as bar:
            corpus = build_corpus(train, test, bar.update, analyzer)
    for split, encoded in (("training", corpus.train), ("test", corpus.test)):
        counts = np.bincount(encoded.labels, minlength=len(CLASSES)).tolist()
        if 0 in counts:
            raise ValueError(
                f"{source.path} has {counts} {split} reviews by class, "
                f"expected some of each of {', '.join(CLASSES)}"
            )
    return corpus


def _describe(source: Source, corpus: Corpus, complete: bool) -> str:
    name = source.path.resolve().name
    kinds = {
        "archive": f"official archive {name}",
        "folder": f"extracted official archive {name}",
        "csv": f"Kaggle CSV {name} (first half train, second half test: not the official split)",
        "keras": f"Keras {name}",
        "sample": "bundled sample (each review cut to 200 words)",
    }
    rows = f"{len(corpus.train):,} + {len(corpus.test):,} reviews"
    return f"{kinds[source.kind]}, {rows}" + ("" if complete else ", NOT the full data")


def _notice(source: Source, corpus: Corpus, reason: str) -> str:
    rows = f"{len(corpus.train):,} + {len(corpus.test):,} of {OFFICIAL_ROWS:,} + {OFFICIAL_ROWS:,}"
    wanted = "that file" if reason else OFFICIAL_URL  # a reason names the address
    return (
        f"{reason}NOT the full data, {rows} reviews: results do not compare. For all, fetch "
        f"{wanted} and name it: source=PATH or FASTLSTM_DATA=PATH"
    )
