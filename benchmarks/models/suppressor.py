"""A suppressor of noise: a pair of LSTMs masks the spectrum, another one a learned basis.

N. L. Westhausen, B. T. Meyer: Dual-Signal Transformation LSTM Network for Real-Time Noise
Suppression, 2020. The Fourier transforms are products of matrices, as in models that are exported.
"""

from __future__ import annotations

from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from benchmarks.models.task import Inputs, Task

FRAME, SHIFT = 512, 128  # samples, of 16 kHz
BINS = FRAME // 2 + 1


class Core(nn.Module):
    """Two LSTMs, and a mask [N,size] of their input."""

    def __init__(self, size: int, hidden: int) -> None:
        super().__init__()
        self.rnn = nn.LSTM(size, hidden, num_layers=2)
        self.mask = nn.Linear(hidden, size)

    def forward(self, x: Tensor, h: Tensor, c: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        y, (h, c) = self.rnn(x.unsqueeze(0), (h, c))
        return torch.sigmoid(self.mask(y.squeeze(0))), h, c


class Suppressor(nn.Module):
    """A frame [N,512] and the states of both cores to its clean part and the next states."""

    analysis: Tensor
    synthesis: Tensor

    def __init__(self, basis: int, hidden: int) -> None:
        super().__init__()
        spectra, one = torch.fft.rfft(torch.eye(FRAME)), torch.eye(BINS)
        sounds = torch.fft.irfft(torch.cat([one, 1j * one]))
        self.register_buffer("analysis", torch.cat([spectra.real, spectra.imag], 1))
        self.register_buffer("synthesis", sounds)
        self.spectral, self.learned = Core(BINS, hidden), Core(basis, hidden)
        self.encode = nn.Linear(FRAME, basis, bias=False)
        self.norm = nn.LayerNorm(basis)
        self.decode = nn.Linear(basis, FRAME, bias=False)

    def forward(
        self, frame: Tensor, h: Tensor, c: Tensor, h_learned: Tensor, c_learned: Tensor
    ) -> tuple[Tensor, ...]:
        spectrum = frame @ self.analysis
        real, imaginary = spectrum[:, :BINS], spectrum[:, BINS:]
        mask, h, c = self.spectral((real**2 + imaginary**2 + 1e-8).sqrt(), h, c)
        encoded = self.encode((spectrum * torch.cat([mask, mask], 1)) @ self.synthesis)
        mask, h_learned, c_learned = self.learned(self.norm(encoded), h_learned, c_learned)
        return self.decode(mask * encoded), h, c, h_learned, c_learned


def make(frames: int, basis: int, hidden: int) -> tuple[nn.Module, Inputs]:
    states = torch.zeros(4, 2, 1, hidden).unbind()
    return Suppressor(basis, hidden), (0.1 * torch.randn(1, frames * SHIFT), *states)


def suppress(model: Any, sound: Tensor, *states: Tensor) -> dict[str, Tensor]:
    """Frame by frame: each is 128 samples further, and what comes of it is added up."""
    frame = tail = sound.new_zeros(len(sound), FRAME)
    clean = []
    for new in sound.split(SHIFT, 1):
        frame = torch.cat([frame[:, SHIFT:], new], 1)
        part, *states = model(frame, *states)
        tail = F.pad(tail[:, SHIFT:], (0, SHIFT)) + part
        clean.append(tail[:, :SHIFT])
    return {"clean": torch.cat(clean, 1)}


TASKS = (
    Task(
        "{frames} frames of 8 ms, one by one", make, suppress,
        {"frames": 50, "basis": 256, "hidden": 128}, {"frames": 3, "basis": 6, "hidden": 5},
    ),
)  # fmt: skip
