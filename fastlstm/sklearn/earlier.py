"""What an earlier `fit` has learned, for the next one to begin with."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from fastlstm.sklearn.readers import Numbers, Reader, TextReader, Texts
from fastlstm.train.classifier.fine_tune import carry_over
from fastlstm.train.classifier.vectors import check_dim

# Parameters that the weights are made for.
ARCHITECTURE = ("cell", "hidden_size", "num_layers", "bidirectional", "pooling", "dtype")

TOLD = "warm_start goes on with the weights of the last fit"


def check_architecture(estimator: Any, model: Any) -> None:
    """Raise ValueError if the parameters do not fit the weights of an earlier model."""
    for name in ARCHITECTURE:
        asked, there = getattr(estimator, name), model.options[name]
        if asked != there:
            raise ValueError(f"{name} is {asked!r}, but {TOLD}, which has {there!r}")


@dataclass
class Earlier:
    """The result of an earlier fit, and whether the next one has only classes that it knows.

    Then it keeps all of them, and the head.
    """

    model: Any
    reader: Reader
    classes: NDArray[Any]  # sorted
    keeps_head: bool = True

    @property
    def size(self) -> int:
        """Numbers of a word vector; 0 without words."""
        return int(self.model.options.get("embedding_dim", 0))

    def check(self, estimator: Any, found: Texts | Numbers, usual: int) -> None:
        """Raise ValueError if the parameters or the kind of X do not fit the weights."""
        if isinstance(found, list) != isinstance(self.reader, TextReader):
            kinds = ("numbers", "texts") if isinstance(found, list) else ("texts", "numbers")
            raise ValueError(f"{TOLD}, of {kinds[0]}, but X holds {kinds[1]}")
        check_architecture(estimator, self.model)
        if isinstance(self.reader, TextReader):
            if estimator.analyzer != self.reader.analyzer:
                raise ValueError(
                    f"analyzer is {estimator.analyzer!r}, but {TOLD}, which has "
                    f"{self.reader.analyzer!r}"
                )
            check_dim(estimator.embedding_dim, usual, self.size)

    def number(self, y: NDArray[Any]) -> tuple[NDArray[Any], NDArray[np.intp]]:
        """Return the sorted classes of the next fit, and the number of each label's, [N]."""
        classes, labels = np.unique(y, return_inverse=True)
        number = {name: n for n, name in enumerate(self.classes.tolist())}
        self.keeps_head = number.keys() >= set(classes.tolist())
        if not self.keeps_head:
            return classes, labels
        return self.classes, np.array([number[name] for name in classes.tolist()])[labels]

    def put_into(self, model: Any) -> None:
        """Make the weights a new model's first ones."""
        carry_over(model, self.model, head=self.keeps_head)
