"""A reader of lines of text: convolutions, two bidirectional LSTMs, and the loss of connectionist
temporal classification.

B. Shi, X. Bai, C. Yao: An End-to-End Trainable Neural Network for Image-based Sequence Recognition
and Its Application to Scene Text Recognition, 2015, table 1.
"""

from __future__ import annotations

from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from benchmarks.models.task import Inputs, Task

KINDS, WORD = 37, 6  # a blank, digits and letters; letters of a word


def block(before: int, after: int, kernel: int = 3, normed: bool = False) -> list[nn.Module]:
    """Return a convolution that keeps the size (of kernel 2: makes it less by one), and ReLU."""
    layer = nn.Conv2d(before, after, kernel, padding=kernel - 2, bias=not normed)
    nn.init.kaiming_normal_(layer.weight)  # as else hardly anything of the image arrives
    return [layer, *[nn.BatchNorm2d(after)] * normed, nn.ReLU()]


class Reader(nn.Module):
    """Images [N,1,32,W] to logarithms of probabilities [T,N,K], T = W // 4 + 1."""

    def __init__(self, channels: int, hidden: int) -> None:
        super().__init__()
        c = channels
        self.columns = nn.Sequential(
            *block(1, c), nn.MaxPool2d(2),
            *block(c, 2 * c), nn.MaxPool2d(2),
            *block(2 * c, 4 * c), *block(4 * c, 4 * c), nn.MaxPool2d(2, (2, 1), (0, 1)),
            *block(4 * c, 8 * c, normed=True), *block(8 * c, 8 * c, normed=True),
            nn.MaxPool2d(2, (2, 1), (0, 1)),
            *block(8 * c, 8 * c, kernel=2),
        )  # fmt: skip
        self.rnn = nn.LSTM(8 * c, hidden, num_layers=2, bidirectional=True)
        self.out = nn.Linear(2 * hidden, KINDS)

    def forward(self, images: Tensor) -> Tensor:
        columns = self.columns(images).squeeze(2)  # [N,C,T]
        y, _ = self.rnn(columns.permute(2, 0, 1))
        return self.out(y).log_softmax(2)  # type: ignore[no-any-return]


def make(rows: int, width: int, channels: int, hidden: int) -> tuple[nn.Module, Inputs]:
    words = torch.randint(1, KINDS, (rows, WORD))
    return Reader(channels, hidden), (torch.randn(rows, 1, 32, width), words)


def read(model: Any, images: Tensor, words: Tensor) -> dict[str, Tensor]:
    return {"log probabilities": model(images)}


def train(model: Any, images: Tensor, words: Tensor) -> dict[str, Tensor]:
    found = model(images)
    T, N, _ = found.shape
    steps, letters = torch.full((N,), T), torch.full((N,), WORD)
    return {"loss": F.ctc_loss(found, words, steps, letters)}


PAPER = {"width": 100, "channels": 64, "hidden": 256}
SMALL = {"rows": 2, "width": 60, "channels": 2, "hidden": 5}
TASKS = (
    Task("{rows} images of {width} x 32", make, read, {"rows": 8, **PAPER}, SMALL),
    Task("{rows} images of {width} x 32", make, train, {"rows": 4, **PAPER}, SMALL, trains=True),
)
