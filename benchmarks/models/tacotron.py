"""A decoder from text to the spectrum of speech: two LSTM cells and attention to a place.

Y. Wang et al.: Tacotron: Towards End-to-End Speech Synthesis, 2017, of which the 256 units are;
J. Shen et al.: Natural TTS Synthesis by Conditioning WaveNet on Mel Spectrogram Predictions, 2018,
of which the rest is, without its dropout.
"""

from __future__ import annotations

from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from benchmarks.models.task import Inputs, Task

MEL = 80  # numbers of a frame


class Decoder(nn.Module):
    """One frame [N,80] to the next.

    memory : [N,S,M], the text as the encoder left it; keys [N,S,A] what attention compares with.
    states : h and c of both cells, context [N,M], weights and the sum of them so far [N,S].
    """

    def __init__(self, hidden: int, memory: int, attention: int) -> None:
        super().__init__()
        self.before = nn.Sequential(
            nn.Linear(MEL, hidden), nn.ReLU(), nn.Linear(hidden, hidden), nn.ReLU()
        )
        self.attending = nn.LSTMCell(hidden + memory, hidden)
        self.query = nn.Linear(hidden, attention, bias=False)
        self.places = nn.Conv1d(2, 32, 31, padding=15, bias=False)
        self.place_keys = nn.Linear(32, attention, bias=False)
        self.energy = nn.Linear(attention, 1, bias=False)
        self.decoding = nn.LSTMCell(hidden + memory, hidden)
        self.frame = nn.Linear(hidden + memory, MEL)
        self.stop = nn.Linear(hidden + memory, 1)

    def forward(
        self, frame: Tensor, memory: Tensor, keys: Tensor, h: Tensor, c: Tensor, h_out: Tensor,
        c_out: Tensor, context: Tensor, weights: Tensor, total: Tensor,
    ) -> tuple[Tensor, ...]:  # fmt: skip
        h, c = self.attending(torch.cat([self.before(frame), context], 1), (h, c))
        places = self.places(torch.stack([weights, total], 1)).transpose(1, 2)
        compared = torch.tanh(self.query(h).unsqueeze(1) + self.place_keys(places) + keys)
        weights = self.energy(compared).squeeze(2).softmax(1)
        context = torch.bmm(weights.unsqueeze(1), memory).squeeze(1)
        h_out, c_out = self.decoding(torch.cat([h, context], 1), (h_out, c_out))
        y = torch.cat([h_out, context], 1)
        states = h, c, h_out, c_out, context, weights, total + weights
        return self.frame(y), self.stop(y).squeeze(1), *states


def make(
    rows: int, frames: int, text: int, hidden: int, memory: int, attention: int
) -> tuple[nn.Module, Inputs]:
    model = Decoder(hidden, memory, attention)
    given = torch.randn(rows, text, memory), torch.randn(rows, text, attention)
    sizes = [hidden] * 4 + [memory] + [text] * 2
    states = [torch.zeros(rows, size) for size in sizes]
    return model, (torch.randn(frames + 1, rows, MEL), *given, *states)


def speak(
    model: Any, frames: Tensor, memory: Tensor, keys: Tensor, *states: Tensor
) -> dict[str, Tensor]:
    """Each frame made is the input of the next."""
    frame, found, stops = frames[0], [], []
    for _ in frames[1:]:
        frame, stop, *states = model(frame, memory, keys, *states)
        found.append(frame)
        stops.append(stop)
    return {"frames": torch.stack(found), "stops": torch.stack(stops)}


def train(
    model: Any, frames: Tensor, memory: Tensor, keys: Tensor, *states: Tensor
) -> dict[str, Tensor]:
    """The input of each frame is the true one before it."""
    found, stops = [], []
    for frame in frames[:-1]:
        made, stop, *states = model(frame, memory, keys, *states)
        found.append(made)
        stops.append(stop)
    last = (torch.arange(1, len(frames)) == len(frames) - 1).float()
    scores = torch.stack(stops)
    error = F.binary_cross_entropy_with_logits(scores, last.unsqueeze(1).expand_as(scores))
    return {"loss": F.mse_loss(torch.stack(found), frames[1:]) + error}


WIDTHS = {"hidden": 256, "memory": 256, "attention": 128}
SMALL = {"rows": 2, "frames": 3, "text": 5, "hidden": 6, "memory": 4, "attention": 3}
TASKS = (
    Task(
        "{frames} frames, one text of {text}", make, speak,
        {"rows": 1, "frames": 50, "text": 60, **WIDTHS}, SMALL,
    ),
    Task(
        "{frames} frames, {rows} texts of {text}", make, train,
        {"rows": 16, "frames": 50, "text": 60, **WIDTHS}, SMALL, trains=True,
    ),
)  # fmt: skip
