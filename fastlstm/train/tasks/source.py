"""Where batches come from: for ``Trainer.fit(*source)``."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any, NamedTuple

Batches = Callable[[int, int], Iterable[Any]]
Validation = Callable[[], Iterable[Any]] | None


class Source(NamedTuple):
    """The batches of a run; see `Trainer.fit`."""

    batches: Batches
    steps_per_epoch: int
    validation: Validation = None


def shuffled(
    make: Callable[..., Iterable[Any]], train: Any, batch_size: int, seed: int,
    validation: Any = None, validation_batch: int = 0,
) -> Source:  # fmt: skip
    """Return batches of like length in an order that the seed and the epoch fix.

    Parameters
    ----------
    make : cuts data into batches, as `fastlstm.text.batches` does.
    train, validation : rows to learn, and rows to measure on in batches of
    validation_batch : rows; 0: as many as in training.
    """
    return Source(
        lambda epoch, start: make(train, batch_size, seed=seed, epoch=epoch, start=start),
        -(-len(train) // batch_size),
        None if validation is None else lambda: make(validation, validation_batch or batch_size),
    )
