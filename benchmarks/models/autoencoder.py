"""An autoencoder of windows of sensor readings: what it cannot give back is an anomaly.

P. Malhotra et al.: LSTM-based Encoder-Decoder for Multi-sensor Anomaly Detection, 2016, in the
sizes of its engine data. Trained, the decoder is given the true readings; else those it made.
"""

from __future__ import annotations

from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from benchmarks.models.task import Inputs, Task


class Autoencoder(nn.Module):
    """Windows [T,N,sensors] to themselves, decoded from the last reading to the first."""

    def __init__(self, sensors: int, hidden: int) -> None:
        super().__init__()
        self.encoder = nn.LSTM(sensors, hidden)
        self.decoder = nn.LSTM(sensors, hidden)
        self.out = nn.Linear(hidden, sensors)

    def forward(self, windows: Tensor) -> Tensor:
        _, state = self.encoder(windows)
        made = [self.out(state[0])]
        if self.training:
            y, _ = self.decoder(windows.flip(0)[:-1], state)
            return torch.cat([*made, self.out(y)]).flip(0)
        for _ in range(len(windows) - 1):
            y, state = self.decoder(made[-1], state)
            made.append(self.out(y))
        return torch.cat(made[::-1])


def make(rows: int, length: int, sensors: int, hidden: int) -> tuple[nn.Module, Inputs]:
    return Autoencoder(sensors, hidden), (torch.randn(length, rows, sensors),)


def errors(model: Any, windows: Tensor) -> dict[str, Tensor]:
    return {"errors": (model(windows) - windows).abs()}


def train(model: Any, windows: Tensor) -> dict[str, Tensor]:
    return {"loss": F.mse_loss(model(windows), windows)}


SIZES = {"rows": 64, "length": 30, "sensors": 12, "hidden": 55}
SMALL = {"rows": 2, "length": 4, "sensors": 3, "hidden": 5}
TASKS = (
    Task("{rows} windows of {length}, reading by reading", make, errors, SIZES, SMALL),
    Task("{rows} windows of {length}", make, train, SIZES, SMALL, trains=True),
)
