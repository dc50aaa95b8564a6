"""Hooks of the trainer, for progress bars, logs and files."""

from __future__ import annotations

from fastlstm.train.history import Epoch, History


class Listener:
    """Base class whose methods do nothing; override those you need."""

    def on_start(self, history: History, steps_per_epoch: int, epochs: int) -> None:
        """Called when `Trainer.fit` begins, also after a resume."""

    def on_step(self, history: History) -> None:
        """Called after every optimizer step."""

    def on_epoch(self, epoch: Epoch, is_best: bool) -> None:
        """Called when an epoch is trained, validated and saved."""

    def on_stop(self) -> None:
        """Called when `Trainer.fit` ends for any reason."""
