"""A model of text, character by character.

A. Karpathy: The Unreasonable Effectiveness of Recurrent Neural Networks, 2015, in the sizes that
its char-rnn has by default.
"""

from __future__ import annotations

from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from benchmarks.models.task import Inputs, Task

KINDS = 65  # of characters


class Characters(nn.Module):
    """Characters [T,N] and the state to scores [T,N,K] of the next ones, and the next state."""

    def __init__(self, hidden: int, layers: int) -> None:
        super().__init__()
        self.characters = nn.Embedding(KINDS, hidden)
        self.rnn = nn.LSTM(hidden, hidden, num_layers=layers)
        self.out = nn.Linear(hidden, KINDS)

    def forward(self, text: Tensor, h: Tensor, c: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        y, (h, c) = self.rnn(self.characters(text), (h, c))
        return self.out(y), h, c


def make(rows: int, length: int, hidden: int, layers: int) -> tuple[nn.Module, Inputs]:
    text = torch.randint(KINDS, (length + 1, rows))
    return Characters(hidden, layers), (text, *torch.zeros(2, layers, rows, hidden))


def train(model: Any, text: Tensor, h: Tensor, c: Tensor) -> dict[str, Tensor]:
    scores, *_ = model(text[:-1], h, c)
    return {"loss": F.cross_entropy(scores.flatten(0, 1), text[1:].flatten())}


def with_noise(length: int, hidden: int, layers: int) -> tuple[nn.Module, Inputs]:
    """Return `make`'s for one row, and of Gumbel's distribution what the best is drawn with."""
    model, inputs = make(1, 0, hidden, layers)
    noise = -torch.rand(length, 1, 1, KINDS).clamp(min=1e-6).log().neg().log()
    return model, (*inputs, noise)


def sample(model: Any, text: Tensor, h: Tensor, c: Tensor, noise: Tensor) -> dict[str, Tensor]:
    drawn, scores = [text], text
    for each in noise:
        scores, h, c = model(drawn[-1], h, c)
        drawn.append((scores + each).argmax(2))
    return {"text": torch.cat(drawn), "scores": scores}


DEFAULTS = {"hidden": 128, "layers": 2}
TASKS = (
    Task(
        "{length} characters, one by one", with_noise, sample,
        {"length": 100, **DEFAULTS}, {"length": 5, "hidden": 6, "layers": 2},
    ),
    Task(
        "{rows} texts of {length}", make, train,
        {"rows": 50, "length": 50, **DEFAULTS},
        {"rows": 2, "length": 4, "hidden": 6, "layers": 2}, trains=True,
    ),
)  # fmt: skip
