"""What a fit begins with: a reader that has learned from X, and first word vectors."""

from __future__ import annotations

from typing import Any

from fastlstm.sklearn.earlier import Earlier
from fastlstm.sklearn.readers import NumberReader, Numbers, Reader, TextReader, Texts
from fastlstm.sklearn.training import EMBEDDING_DIM
from fastlstm.sklearn.weights import Floats
from fastlstm.train.classifier.vectors import FirstVectors, check_dim


def learned_reader(
    estimator: Any, found: Texts | Numbers, weights: Floats | None, earlier: Earlier | None
) -> Reader:
    """Return a reader that has learned from the sequences of `fit`, or from earlier ones."""
    before = None if earlier is None else earlier.reader
    if not isinstance(found, list):
        return before or NumberReader(found, estimator.standardize, estimator.dtype, weights)
    if not isinstance(before, TextReader):
        return TextReader(found, estimator.analyzer, estimator.vocab_size, weights)
    known = before.vocabulary.words
    most = len(known) if estimator.freeze_vectors else estimator.vocab_size
    return TextReader(found, estimator.analyzer, most, weights, known, before.rule)


def first_vectors(estimator: Any, reader: Reader) -> FirstVectors | None:
    """Return the pretrained vectors of the reader's vocabulary, which may grow; None for none.

    Raises ValueError if they are of no use.
    """
    if estimator.vectors is None:
        if estimator.freeze_vectors:
            raise ValueError("freeze_vectors is True without vectors: random ones say nothing")
        return None
    if not isinstance(reader, TextReader):
        raise ValueError("vectors are of words, but X holds numbers")
    if estimator.parts == "linear":
        raise ValueError("vectors are for a net to begin with, but parts is 'linear'")
    room = estimator.vocab_size if estimator.freeze_vectors else 0
    first = reader.pretrained(estimator.vectors, room)
    check_dim(estimator.embedding_dim, EMBEDDING_DIM, first.size)
    return first
