"""Pretraining of a classifier of texts, also on texts that nobody labelled."""

from __future__ import annotations

from functools import partial
from typing import Any

from fastlstm.printable import say
from fastlstm.sklearn.data import Data
from fastlstm.sklearn.earlier import TOLD, Earlier
from fastlstm.sklearn.readers import Numbers, Reader, TextReader, Texts, find_texts
from fastlstm.text import Encoded
from fastlstm.train.classifier.config import Config
from fastlstm.train.classifier.pretrain import NEAREST, Pretrained, PretrainOptions, pretrain
from fastlstm.train.seeds import PRETRAINING, generator

OF_NETS = ("cell", "hidden_size", "num_layers", "bidirectional", "embedding_dim", "truncate",
           "dtype", "precision")  # fmt: skip


def check_pretraining(
    estimator: Any, X: Any, found: Texts | Numbers, unlabelled: Any, earlier: Earlier | None
) -> Texts:
    """Return the texts without a label; ValueError if they, or pretraining, are of no use."""
    if unlabelled is not None:
        if not estimator.pretrain:
            raise ValueError("unlabelled is for pretraining, but pretrain is False: set it True")
        if earlier is not None:
            raise ValueError(f"unlabelled is for pretraining, but {TOLD}")
        if unlabelled is X:
            raise ValueError("unlabelled is X itself, expected other texts")
    if not estimator.pretrain:
        return []
    if not isinstance(found, list):
        raise ValueError("pretrain is True, but X holds numbers: it is for texts")
    if estimator.parts == "linear":
        raise ValueError("pretrain is True, but parts is 'linear': there is no net to pretrain")
    if estimator.vectors is not None:
        raise ValueError("pretrain makes word vectors of its own: leave it or vectors out")
    if unlabelled is None:
        return []
    texts = find_texts(unlabelled, "unlabelled")
    if not texts:
        raise ValueError("unlabelled holds no texts, expected a list of them, as X is one")
    return texts


def pretrained(
    estimator: Any, reader: Reader, data: Data, unlabelled: Texts, seed: int
) -> Pretrained:
    """Return the lower layers that have learned to predict the words of all texts."""
    assert isinstance(reader, TextReader)
    parts = [data.encoded]
    if unlabelled:
        parts.append(reader.read(unlabelled).encoded)
    texts, window = Encoded.concatenate(parts), estimator.pretrain_window
    how = NEAREST if window == 1 else {"window": window}
    config = Config(
        max_length=estimator.max_length or 0,
        **{name: getattr(estimator, name) for name in OF_NETS},
    )
    return pretrain(
        config, texts, len(reader.vocabulary), generator(seed, PRETRAINING),
        partial(say, flush=True) if estimator.verbose else None,
        options=PretrainOptions(
            estimator.pretrain_epochs, validation=min(500, len(texts) // 20), **how
        ),
    )  # fmt: skip
