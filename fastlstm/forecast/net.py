"""The net of a forecast: what the linear part leaves over, with quantiles."""

from __future__ import annotations

import math
import zlib
from collections.abc import Sequence
from functools import partial
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from fastlstm.forecast.ridge import Ridge, chunks
from fastlstm.forecast.ways import CHANCE
from fastlstm.forecast.windows import Window, Windows
from fastlstm.models.sequence_regressor import SequenceRegressor
from fastlstm.nn.regression_losses import quantile_loss
from fastlstm.train.average import Average
from fastlstm.train.evaluate import evaluate
from fastlstm.train.history import History
from fastlstm.train.listener import Listener
from fastlstm.train.metrics import Running
from fastlstm.train.optim import Adam
from fastlstm.train.progress import OfSeries
from fastlstm.train.row_batches import Rows, row_batches
from fastlstm.train.schedule import get as get_schedule
from fastlstm.train.seeds import WEIGHTS, generator
from fastlstm.train.tasks.regression import Regression
from fastlstm.train.tasks.task import shuffled
from fastlstm.train.trainer import Trainer

Floats = NDArray[np.float64]

# How much less than the loss it begins with a net must reach, or it is left as it began; more,
# where few horizons are held back, as those say little.
GAIN = 0.005
# Where the number of epochs is not given, about so many updates are made, in so many epochs.
STEPS, FEWEST, MOST = 3000, 4, 100
BATCH = 512  # windows of a batch without a backward pass


class NetOptions(NamedTuple):
    """How a net is made and trained."""

    cell: str = "lstm"
    hidden_size: int = 64
    num_layers: int = 1
    dropout: float = 0.0
    lr: float = 2e-3
    weight_decay: float = 0.0
    batch_size: int = 64
    epochs: int | None = None
    patience: int = 5
    average: float = 0.98
    clip: float = 1.0
    verbose: int = 0


class Rest:
    """The windows as batches for a net: its input, and what `ridge` leaves over of the targets."""

    def __init__(self, windows: Windows, ridge: Ridge) -> None:
        self.windows, self.ridge = windows, ridge

    def __len__(self) -> int:
        return len(self.windows)

    def __getitem__(self, index: Any) -> Rows:
        window = self.windows[index]
        return Rows(net_input(window), window.target - self.ridge(window))


def net_input(window: Window) -> NDArray[np.float32]:
    """Return what the net reads of windows, [N, L, K + P + C + F].

    Beside the past of a step stands what is known of the step H later, so that the last H steps
    tell all that is known of the horizon.
    """
    L = window.past.shape[1]
    parts = [window.past, window.usual[:, -L:], window.known[:, -L:], window.X]
    return np.concatenate(parts, axis=2, dtype=np.float32, casting="same_kind")


def make_net(windows: Windows, quantiles: Sequence[float], options: NetOptions, seed: int) -> Any:
    """Return an untrained net for windows, whose head gives 0."""
    window = windows[:1]
    K = window.past.shape[2]
    net = SequenceRegressor(
        net_input(window).shape[2], options.hidden_size, options.num_layers, cell=options.cell,
        dropout=options.dropout, num_targets=K, horizon=windows.horizon,
        distribution="quantiles", quantiles=quantiles, rng=generator(seed, WEIGHTS),
    )  # fmt: skip
    net.head.weight.data[...] = 0
    return net


def begin_with(net: Any, left: Floats) -> None:
    """Let the net begin with the quantiles [H, K, Q] of what is left over, whatever it reads.

    It keeps them apart by a little at least, the median where it is: that of a constant series.
    """
    apart = np.diff(left, axis=-1)
    steps = np.maximum(apart, 1e-3)
    below = list(net.distribution.quantiles).index(0.5)
    lowest = left[..., :1] - (steps - apart)[..., :below].sum(axis=-1, keepdims=True)
    raw = np.concatenate([lowest, np.log(np.expm1(steps))], axis=-1)
    net.head.bias.data[...] = raw.reshape(-1)


def is_taught(net: Any) -> bool:
    """Whether a net has learned more than what it began with."""
    return bool(net.head.weight.data.any())


def left_over(windows: Windows, ridge: Ridge, quantiles: Sequence[float]) -> Floats:
    """Return the quantiles [H, K, Q] of what the ridge leaves over of at most 8,192 windows.

    They are 0 where no window has a value.
    """
    chosen = np.unique(np.linspace(0, len(windows) - 1, 8192).astype(np.intp))
    rest = Rest(windows, ridge)
    parts = [rest[chosen[rows]].labels for rows in chunks(len(chosen))]
    left = np.concatenate(parts)
    known = np.where(np.isnan(left).all(axis=0), 0.0, left)
    return np.moveaxis(np.nanquantile(known, quantiles, axis=0), 0, -1)


def train_net(
    net: Any, train: Windows, held_back: Windows, ridge: Ridge, options: NetOptions, seed: int,
    checkpoint: Path | None = None, listeners: Sequence[Listener] = (),
) -> History:  # fmt: skip
    """Train a net and return the history; it keeps the weights of the best epoch.

    If even those are hardly better on what is held back than what the net began with, it keeps
    that: there is nothing that it could learn, and noise is not to be learned.

    With a `checkpoint` that an interrupted run left, it goes on from there.
    """
    steps = math.ceil(len(train) / options.batch_size)
    epochs = options.epochs or min(MOST, max(FEWEST, math.ceil(STEPS / steps)))
    trainer = Trainer(
        net,
        Adam(net, lr=options.lr, weight_decay=options.weight_decay),
        task_of(net, options.batch_size, seed),
        epochs=epochs,
        schedule=get_schedule("linear"),
        clip=options.clip,
        average=Average(net, options.average) if options.average else None,
        patience=options.patience,
        seed=seed,
        checkpoint=checkpoint,
        identity={
            "windows": [len(train), len(held_back)],
            "weights": zlib.crc32(ridge.shared.tobytes()),
        },
        listeners=[*([OfSeries(options.verbose > 1)] if options.verbose else []), *listeners],
    )
    source = shuffled(
        row_batches, Rest(train, ridge), options.batch_size, seed, Rest(held_back, ridge), BATCH
    )
    begun, least = net.state_dict(), measured(net, held_back, ridge).loss
    if checkpoint is not None and checkpoint.exists():
        trainer.load(checkpoint)
    history = trainer.fit(*source)
    gain = max(GAIN, CHANCE * held_back.horizon / max(1, len(held_back)))
    if measured(net, held_back, ridge).loss > (1 - gain) * least:
        net.load_state_dict(begun)
    return history


def task_of(net: Any, batch_size: int = 64, seed: int = 0) -> Regression:
    """Return what a net learns: quantiles of what is left over, where something was measured."""
    loss = partial(quantile_loss, quantiles=net.distribution.quantiles, missing="skip")
    return Regression(loss, net.point, batch_size=batch_size, seed=seed)


def measured(net: Any, windows: Windows, ridge: Ridge) -> Running:
    """Return the loss and the errors of a net on windows, on their scale."""
    rest: Any = Rest(windows, ridge)  # which is read as `Rows` are
    return evaluate(net, row_batches(rest, BATCH), task_of(net))
