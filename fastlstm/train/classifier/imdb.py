"""The IMDB reviews as the data of a run."""

from __future__ import annotations

import warnings
from dataclasses import replace
from typing import Any

from fastlstm.text import Encoded, ImdbData, IncompleteDataWarning, load_imdb, load_unlabelled
from fastlstm.train.classifier.config import Config
from fastlstm.train.classifier.dataset import Dataset, fingerprint
from fastlstm.train.seeds import SPLIT, generator


def reviews(config: Config, bars: bool = False) -> Dataset:
    """Load the reviews; for pretraining also those without a label."""
    how: dict[str, Any] = {"vocab_size": config.vocab_size, "progress": bars}
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", IncompleteDataWarning)  # the run tells it
        data = dataset(load_imdb(config.data, **how), config)
    if not config.pretrain:
        return data
    unlabelled = load_unlabelled(config.data, **how)
    identity = {**data.identity, "the unlabelled reviews": fingerprint([], [unlabelled])}
    return replace(data, unlabelled=unlabelled, identity=identity)


def dataset(data: ImdbData, config: Config) -> Dataset:
    """Return the reviews cut to length, with a validation part drawn by the seed."""
    train, test = (
        part.truncate(config.max_length, keep=config.truncate) for part in (data.train, data.test)
    )
    train, validation = split(train, config)
    return Dataset(
        train, validation, test, data.vocab, data.source,
        identity={"the reviews": fingerprint(data.vocab.words, (data.train, data.test))},
        noun="reviews", options=config.sized(len(train)), complete=data.complete,
        notice=data.notice,
    )  # fmt: skip


def split(train: Encoded, config: Config) -> tuple[Encoded, Encoded | None]:
    """Return the rest of the reviews, and the validation part or None. The seed draws it."""
    if not config.validation:
        return train, None
    held_back = round(config.validation * len(train))
    if not 0 < held_back < len(train):
        raise ValueError(
            f"validation is {config.validation}, which holds back {held_back} of {len(train)} "
            "training reviews; expected at least one on either side"
        )
    order = generator(config.seed, SPLIT).permutation(len(train))
    return train.select(order[held_back:]), train.select(order[:held_back])
