"""What a run begins with in place of random values."""

from __future__ import annotations

from typing import Any

from fastlstm.models import TextClassifier
from fastlstm.text import Encoded


class Start:
    """Base of what a `Dataset` brings along: pretrained vectors or layers, or an earlier run.

    Attributes
    ----------
    words : the vocabulary, where that is not the training texts'.
    options : those of the run that follow from it.
    identity : changes with what it is: a resumed run must have the same.
    metrics : what ``metrics.json`` tells of it.
    """

    words: list[str]
    options: dict[str, Any]
    identity: dict[str, Any]
    metrics: dict[str, Any]

    def put_into(self, model: TextClassifier) -> None:
        """Set the first values of an untrained model."""
        raise NotImplementedError

    def told(self, train: Encoded) -> str:
        """Return what to tell the user of it, and of how it fits the training texts."""
        raise NotImplementedError
