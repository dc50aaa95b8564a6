"""The real classifier, trained here and in torch: same weights, same batches, same losses."""

from __future__ import annotations

from functools import cache
from typing import Any

import numpy as np
import pytest

from fastlstm.models import TextClassifier
from fastlstm.nn import bce_with_logits
from fastlstm.text import Batch, Encoded, batches, count_batches
from fastlstm.train import SGD, Trainer

torch = pytest.importorskip("torch")

STEPS = 200
VOCAB, BATCH, LR = 30, 8, 0.5
CASES = [
    {"pooling": "last"},
    {"pooling": "mean", "bidirectional": True},
    {"pooling": "max"},
    {"pooling": "mean+max", "bidirectional": True, "num_layers": 2},
]


class TorchClassifier(torch.nn.Module):  # type: ignore[misc, name-defined]
    """The same model out of torch's layers, with torch's PackedSequence for ragged batches."""

    def __init__(self, model: TextClassifier, options: dict[str, Any]) -> None:
        super().__init__()
        lstm = model.lstm
        self.pooling = options["pooling"].split("+")
        self.directions = 2 if lstm.bidirectional else 1
        self.embedding = torch.nn.Embedding(VOCAB, lstm.input_size, padding_idx=0)
        self.lstm = torch.nn.LSTM(
            lstm.input_size, lstm.hidden_size, lstm.num_layers, bidirectional=lstm.bidirectional
        )
        self.head = torch.nn.Linear(model.head.in_features, 1)
        self.double()
        state = {name: torch.tensor(value) for name, value in model.state_dict().items()}
        self.load_state_dict(state)

    def forward(self, batch: Batch) -> Any:
        lengths = torch.tensor(batch.lengths)
        x = self.embedding(torch.tensor(batch.tokens.astype(np.int64)))
        packed = torch.nn.utils.rnn.pack_padded_sequence(
            x, lengths, batch_first=True, enforce_sorted=False
        )
        y, (h_n, _) = self.lstm(packed)
        y, _ = torch.nn.utils.rnn.pad_packed_sequence(y, batch_first=True)
        real = torch.arange(y.shape[1])[None, :, None] < lengths[:, None, None]
        pooled = {
            "last": torch.cat(list(h_n[-self.directions :]), dim=1),
            "mean": y.sum(dim=1) / lengths[:, None],
            "max": y.masked_fill(~real, -torch.inf).max(dim=1).values,
        }
        return self.head(torch.cat([pooled[name] for name in self.pooling], dim=1))[:, 0]


def texts() -> Encoded:
    rng = np.random.default_rng(0)
    lengths = rng.integers(1, 14, 60)
    labels = rng.integers(0, 2, 60)
    # words of the upper half are likelier in texts of class 1, so that there is something to learn
    tokens = rng.integers(2, VOCAB, lengths.sum())
    upper = np.repeat(labels, lengths) & (rng.random(tokens.size) < 0.6)
    return Encoded.from_lengths(np.where(upper, VOCAB // 2 + tokens // 2, tokens), lengths, labels)


def losses_here(model: TextClassifier, encoded: Encoded, optimizer: SGD) -> list[float]:
    losses: list[float] = []

    def loss(logits: np.ndarray, labels: np.ndarray) -> tuple[float, np.ndarray]:
        value, gradient = bce_with_logits(logits, labels)
        losses.append(value)
        return value, gradient

    steps = count_batches(encoded, BATCH)
    trainer = Trainer(model, optimizer, loss, epochs=STEPS // steps)
    trainer.fit(
        lambda epoch, start: batches(encoded, BATCH, seed=1, epoch=epoch, start=start), steps
    )
    return losses


@cache  # the same for every backend
def trained_there(case: int) -> tuple[list[float], dict[str, np.ndarray]]:
    """The losses of each step in torch, and the weights after the last."""
    model, encoded = TorchClassifier(start(case), CASES[case]), texts()
    optimizer = torch.optim.SGD(model.parameters(), lr=LR)
    losses = []
    for epoch in range(STEPS // count_batches(encoded, BATCH)):
        for batch in batches(encoded, BATCH, seed=1, epoch=epoch):
            optimizer.zero_grad()
            labels = torch.tensor(batch.labels, dtype=torch.float64)
            loss = torch.nn.functional.binary_cross_entropy_with_logits(model(batch), labels)
            loss.backward()
            optimizer.step()
            losses.append(loss.item())
    return losses, {name: value.numpy() for name, value in model.state_dict().items()}


def start(case: int) -> TextClassifier:
    rng = np.random.default_rng(2)
    options = {"dtype": "float64", "embedding_std": 1.0, **CASES[case]}
    return TextClassifier(VOCAB, 6, 9, rng=rng, **options)


@pytest.mark.usefixtures("torch_on_one_thread", "backend_isa")
@pytest.mark.parametrize("case", range(len(CASES)), ids=lambda case: CASES[case]["pooling"])
def test_loss_curves_of_200_sgd_steps_agree(case: int) -> None:
    model = start(case)
    here = losses_here(model, texts(), SGD(model, lr=LR))
    there, weights = trained_there(case)
    assert len(here) == STEPS
    np.testing.assert_allclose(here, there, rtol=0, atol=1e-9)
    assert np.mean(here[-8:]) < 0.8 * np.mean(here[:8])  # a flat curve would prove little
    for name, value in model.state_dict().items():
        np.testing.assert_allclose(value, weights[name], rtol=0, atol=1e-8)
