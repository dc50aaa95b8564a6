"""Ctrl-C in the middle of a training, sent by a listener."""

from __future__ import annotations

import signal
from collections.abc import Callable
from typing import Any

from fastlstm.train import Listener
from fastlstm.train.history import Epoch, History


class PressCtrlC(Listener):
    """Sends SIGINT after step `at`, or when epoch `after_epoch` has been closed."""

    def __init__(self, at: int = -1, after_epoch: int = -1) -> None:
        self.at, self.after_epoch = at, after_epoch

    def on_step(self, history: History) -> None:
        if history.step == self.at:
            signal.raise_signal(signal.SIGINT)

    def on_epoch(self, epoch: Epoch, is_best: bool) -> None:
        if epoch.epoch == self.after_epoch:
            signal.raise_signal(signal.SIGINT)


def pressing(at: int = -1, after_epoch: int = -1) -> Callable[..., PressCtrlC]:
    """Return what stands in the place of a class that reports: its arguments do not matter."""

    def made(*_: Any, **__: Any) -> PressCtrlC:
        return PressCtrlC(at, after_epoch)

    return made
