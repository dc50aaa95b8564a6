"""A segmenter that tells who speaks when: band-pass filters of learned edges, bidirectional LSTMs.

M. Ravanelli, Y. Bengio: Speaker Recognition from Raw Waveform with SincNet, 2018; H. Bredin et al.:
pyannote.audio: neural building blocks for speaker diarization, 2020.
"""

from __future__ import annotations

import math
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from benchmarks.models.task import Inputs, Task

RATE, KINDS, NARROWEST = 16_000, 7, 50.0  # Hz; sets of up to two of three speakers; Hz


def mel(hertz: float) -> float:
    return 2595 * math.log10(1 + hertz / 700)


class BandPass(nn.Module):
    """Magnitudes behind filters of two numbers each; [N,1,samples] to [N,count,samples / 10]."""

    times: Tensor
    window: Tensor

    def __init__(self, count: int, length: int = 251) -> None:
        super().__init__()
        mels = torch.linspace(mel(30), mel(RATE / 2 - 2 * NARROWEST), count + 1)
        edges = 700 * (10 ** (mels / 2595) - 1)
        self.low = nn.Parameter(edges[:-1, None])
        self.wide = nn.Parameter(edges.diff()[:, None])
        self.register_buffer("times", 2 * math.pi / RATE * torch.arange(1, length // 2 + 1))
        self.register_buffer("window", torch.hamming_window(length, periodic=False))

    def forward(self, sound: Tensor) -> Tensor:
        low = NARROWEST + self.low.abs()
        high = (low + NARROWEST + self.wide.abs()).clamp(max=RATE / 2)
        half = (torch.sin(high * self.times) - torch.sin(low * self.times)) / self.times
        filters = torch.cat([half.flip(1), high - low, half], 1) / (high - low) * self.window
        return F.conv1d(sound, filters.unsqueeze(1), stride=10).abs()


def pooled(channels: int) -> list[nn.Module]:
    norm = nn.InstanceNorm1d(channels, affine=True)
    return [nn.MaxPool1d(3), norm, nn.LeakyReLU()]


class Segmenter(nn.Module):
    """Sound [N,1,samples] to logarithms of probabilities [N,T,K], T about samples / 270."""

    def __init__(self, filters: int, channels: int, hidden: int, layers: int) -> None:
        super().__init__()
        self.front = nn.Sequential(
            nn.InstanceNorm1d(1, affine=True),
            BandPass(filters), *pooled(filters),
            nn.Conv1d(filters, channels, 5), *pooled(channels),
            nn.Conv1d(channels, channels, 5), *pooled(channels),
        )  # fmt: skip
        self.rnn = nn.LSTM(
            channels, hidden, num_layers=layers, batch_first=True, bidirectional=True
        )
        self.head = nn.Sequential(
            nn.Linear(2 * hidden, hidden), nn.LeakyReLU(),
            nn.Linear(hidden, hidden), nn.LeakyReLU(),
            nn.Linear(hidden, KINDS), nn.LogSoftmax(2),
        )  # fmt: skip

    def forward(self, sound: Tensor) -> Tensor:
        y, _ = self.rnn(self.front(sound).transpose(1, 2))
        return self.head(y)  # type: ignore[no-any-return]


def make(rows: int, samples: int, **sizes: int) -> tuple[nn.Module, Inputs]:
    return Segmenter(**sizes), (torch.randn(rows, 1, samples),)


def segment(model: Any, sound: Tensor) -> dict[str, Tensor]:
    return {"log probabilities": model(sound)}


TASKS = (
    Task(
        "{rows} pieces of 5 s, 16 kHz", make, segment,
        {"rows": 4, "samples": 5 * RATE, "filters": 80, "channels": 60, "hidden": 128, "layers": 4},
        {"rows": 2, "samples": 2_000, "filters": 4, "channels": 3, "hidden": 5, "layers": 2},
    ),
)  # fmt: skip
