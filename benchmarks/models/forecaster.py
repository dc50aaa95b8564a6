"""A forecaster of many series at once: an LSTM gives mean and spread of each next value.

D. Salinas, V. Flunkert, J. Gasthaus: DeepAR: Probabilistic Forecasting with Autoregressive
Recurrent Networks, 2017: three layers of 40 units, a week of hours before and a day ahead.
"""

from __future__ import annotations

from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from benchmarks.models.task import Inputs, Task

CALENDAR, SERIES, EMBEDDING = 4, 370, 20  # numbers known of an hour; series; numbers of a series


class Forecaster(nn.Module):
    """Values before [T,N], calendar [T,N,4], series [N], state to mean, spread [T,N], state."""

    def __init__(self, hidden: int, layers: int) -> None:
        super().__init__()
        self.series = nn.Embedding(SERIES, EMBEDDING)
        self.rnn = nn.LSTM(1 + CALENDAR + EMBEDDING, hidden, num_layers=layers)
        self.mean, self.spread = nn.Linear(hidden, 1), nn.Linear(hidden, 1)

    def forward(
        self, before: Tensor, calendar: Tensor, series: Tensor, h: Tensor, c: Tensor
    ) -> tuple[Tensor, ...]:
        which = self.series(series).expand(len(before), -1, -1)
        y, (h, c) = self.rnn(torch.cat([before.unsqueeze(2), calendar, which], 2), (h, c))
        return self.mean(y).squeeze(2), F.softplus(self.spread(y)).squeeze(2), h, c


def make(
    rows: int, hours: int, ahead: int, samples: int, hidden: int, layers: int
) -> tuple[nn.Module, Inputs]:
    given = (
        torch.randn(hours + ahead + 1, rows),
        torch.randn(hours + ahead, rows, CALENDAR),
        torch.randint(SERIES, (rows,)),
    )
    noise = torch.randn(ahead, rows * samples)
    return Forecaster(hidden, layers), (*given, *torch.zeros(2, layers, rows, hidden), noise)


def train(
    model: Any, values: Tensor, calendar: Tensor, series: Tensor, h: Tensor, c: Tensor, _: Tensor
) -> dict[str, Tensor]:
    mean, spread, *_ = model(values[:-1], calendar, series, h, c)
    return {"loss": (spread.log() + ((values[1:] - mean) / spread) ** 2 / 2).mean()}


def sample(
    model: Any, values: Tensor, calendar: Tensor, series: Tensor, h: Tensor, c: Tensor,
    noise: Tensor,
) -> dict[str, Tensor]:  # fmt: skip
    """Read the hours before, then draw what is ahead hour by hour, many times at once."""
    ahead, rows = noise.shape
    hours, samples = len(calendar) - ahead, rows // len(series)
    mean, spread, h, c = model(values[:hours], calendar[:hours], series, h, c)
    mean, spread, h, c, series, calendar = (
        t.repeat_interleave(samples, axis)
        for t, axis in (
            (mean[-1:], 1), (spread[-1:], 1), (h, 1), (c, 1), (series, 0), (calendar[hours:], 1)
        )
    )  # fmt: skip
    found = []
    for drawn, known in zip(noise, calendar, strict=True):
        found.append(mean + spread * drawn)
        mean, spread, h, c = model(found[-1], known.unsqueeze(0), series, h, c)
    return {"values": torch.cat(found), "mean": mean, "spread": spread}


PAPER = {"hours": 168, "ahead": 24, "hidden": 40, "layers": 3}
SMALL = {"hours": 5, "ahead": 3, "hidden": 4, "layers": 2, "rows": 2, "samples": 3}
TASKS = (
    Task(
        "{ahead} hours ahead, {rows} series x {samples}", make, sample,
        {**PAPER, "rows": 4, "samples": 100}, SMALL,
    ),
    Task(
        "{rows} series of {hours} + {ahead} hours", make, train,
        {**PAPER, "rows": 64, "samples": 1}, SMALL, trains=True,
    ),
)  # fmt: skip
