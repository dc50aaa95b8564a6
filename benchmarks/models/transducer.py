"""The prediction network of a transducer, which is asked anew after every label.

A. Graves: Sequence Transduction with Recurrent Neural Networks, 2012, in the sizes of its TIMIT
experiments. The transcription network's output is given: its scores are added to those from here.
"""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn

from benchmarks.models.task import Inputs, Task

BLANK, MOST = 0, 2  # at most so many labels for a frame


class Prediction(nn.Module):
    """The last label [N] and the state to scores [N,K] of the next label, and the next state."""

    def __init__(self, kinds: int, hidden: int) -> None:
        super().__init__()
        self.labels = nn.Embedding(kinds, kinds)
        self.rnn = nn.LSTM(kinds, hidden)
        self.out = nn.Linear(hidden, kinds)

    def forward(self, label: Tensor, h: Tensor, c: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        y, (h, c) = self.rnn(self.labels(label).unsqueeze(0), (h, c))
        return self.out(y.squeeze(0)), h, c


def make(frames: int, kinds: int, hidden: int) -> tuple[nn.Module, Inputs]:
    heard = 2 * torch.randn(frames, 1, kinds)
    heard[..., BLANK] += 4  # best in about half of the frames
    return Prediction(kinds, hidden), (heard, *torch.zeros(2, 1, 1, hidden))


def decode(model: Any, heard: Tensor, h: Tensor, c: Tensor) -> dict[str, Tensor]:
    """Take the best label again and again; after the blank the next frame."""
    expected, h, c = model(torch.full((1,), BLANK), h, c)
    labels = []
    for frame in heard:
        for _ in range(MOST):
            label = (frame + expected).argmax(1)
            if int(label) == BLANK:
                break
            labels.append(label)
            expected, h, c = model(label, h, c)
    return {"labels": torch.cat(labels), "expected": expected, "h": h, "c": c}


TASKS = (
    Task(
        "{frames} frames decoded, label by label", make, decode,
        {"frames": 100, "kinds": 40, "hidden": 128}, {"frames": 8, "kinds": 6, "hidden": 5},
    ),
)  # fmt: skip
