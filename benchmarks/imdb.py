"""The same text classifier trained on the same batches by either side: what `bench_imdb` runs in
processes of their own."""

from __future__ import annotations

import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

import numpy as np

from benchmarks import check
from benchmarks.problem import Array, Arrays
from benchmarks.shapes import Case
from benchmarks.sides import build, load
from benchmarks.timing import PeakMemory

# Name -> side, and whether torch runs a PackedSequence in place of padding.
IMDB_SIDES = {
    "fastlstm": ("fastlstm", False),
    "torch": ("torch", False),
    "torch packed": ("torch", True),
}
OPTIMIZERS = ("adam", "sgd")
TEST_BATCH = 256


@dataclass(frozen=True)
class Settings:
    """What is trained, and how; the defaults are the reference setting."""

    vocab_size: int = 20_000
    embedding_dim: int = 128
    hidden_size: int = 128
    max_length: int = 200
    batch_size: int = 64
    optimizer: str = "adam"
    lr: float = 1e-3
    clip: float = 1.0
    epochs: int = 1
    steps: int = 0  # of the first epoch, and no test; 0 for whole epochs
    bucket: int = 1  # batches of a pool sorted by length; 1 mixes all lengths
    seed: int = 0


class Model(Protocol):
    """A model with its optimizer."""

    def step(self, words: Any, lengths: Any, labels: Any) -> float:
        """Train on one batch and return its loss."""
        ...

    def positive(self, words: Any, lengths: Any) -> Array:
        """Return bool [B], the texts taken for positive."""
        ...


class FastlstmModel:
    """fastlstm.TextClassifier; its Adam updates the rows of the embedding that a batch touches."""

    def __init__(self, settings: Settings, weights: Arrays, packed: bool) -> None:
        import fastlstm as fl
        from fastlstm.train import SGD, Adam, clip_factor

        s = settings
        self._model = fl.TextClassifier(s.vocab_size, s.embedding_dim, s.hidden_size)
        self._model.load_state_dict(weights)
        optimizers = {"adam": Adam, "sgd": SGD}
        self._optimizer = optimizers[s.optimizer](self._model, lr=s.lr)
        self._loss, self._factor, self._clip = fl.bce_with_logits, clip_factor, s.clip

    def step(self, words: Array, lengths: Array, labels: Array) -> float:
        self._model.zero_grad()
        logits, tape = self._model.forward(words, lengths)
        loss, dlogits = self._loss(logits, labels)
        self._model.backward(tape, dlogits)
        _, factor = self._factor(self._model, self._clip)
        self._optimizer.step(scale=factor)
        return loss

    def positive(self, words: Array, lengths: Array) -> Array:
        return np.asarray(self._model(words, lengths) > 0)


class TorchModel:
    """The same in torch as its users write it: dense Adam."""

    def __init__(self, settings: Settings, weights: Arrays, packed: bool) -> None:
        import torch

        from benchmarks.torch_ops import TextClassifier

        s, self._torch = settings, torch
        self._model = TextClassifier(s.vocab_size, s.embedding_dim, s.hidden_size, packed)
        self._model.load_state_dict({k: torch.from_numpy(v) for k, v in weights.items()})
        optimizers: dict[str, Any] = {"adam": torch.optim.Adam, "sgd": torch.optim.SGD}
        self._optimizer = optimizers[s.optimizer](self._model.parameters(), lr=s.lr)
        self._loss, self._clip = torch.nn.BCEWithLogitsLoss(), s.clip

    def step(self, words: Any, lengths: Any, labels: Any) -> float:
        self._optimizer.zero_grad()
        loss = self._loss(self._model(words, lengths), labels)
        loss.backward()
        self._torch.nn.utils.clip_grad_norm_(self._model.parameters(), self._clip)
        self._optimizer.step()
        return float(loss.item())

    def positive(self, words: Any, lengths: Any) -> Array:
        with self._torch.inference_mode():
            return (self._model(words, lengths) > 0).numpy()  # type: ignore[no-any-return]


def train(side: str, folder: str, settings: dict[str, Any], threads: int) -> dict[str, Any]:
    """Train one side of `IMDB_SIDES` on what `bench_imdb` left in `folder`."""
    s, (library, packed) = Settings(**settings), IMDB_SIDES[side]
    module, weights = load(library, threads), read(folder, "weights")
    models: dict[str, Any] = {"fastlstm": FastlstmModel, "torch": TorchModel}
    memory = PeakMemory()
    model: Model = models[library](s, weights, packed)
    losses: list[float] = []
    step_ms: list[list[float]] = []
    accuracy: list[float] = []
    for epoch in range(s.epochs):
        batches = list(_batches(folder, s, library, epoch))
        step_ms.append([])
        for batch in batches[: s.steps or None]:
            start = time.perf_counter()
            losses.append(model.step(*batch))
            step_ms[-1].append(round(1e3 * (time.perf_counter() - start), 3))
        if s.steps:
            break
        accuracy.append(_accuracy(model, folder, library))
    return {
        "losses": losses,
        "step_ms": step_ms,
        "steps_per_epoch": len(batches),
        "accuracy": accuracy,
        "peak_memory_mb": round(memory.growth() / 1e6, 2),
        "versions": module.versions(),
    }


def check_start(folder: str, settings: dict[str, Any], threads: int) -> dict[str, Any]:
    """Compare both sides' logits and gradients on the first batch; as `worker.check_cases`."""
    s = Settings(**settings)
    words, lengths, labels = next(_batches(folder, s, "fastlstm", 0))
    arrays = {
        "weights": read(folder, "weights"),
        "tokens": words.astype(np.int64),
        "lengths": lengths,
        "labels": labels,
    }
    sizes = (*words.shape, s.embedding_dim, s.hidden_size, s.vocab_size)
    case = Case("text_classifier", *sizes)
    fast, torch = (build(side, case, threads, arrays) for side in ("fastlstm", "torch"))
    try:
        found = check.compare(fast.results(), torch.results(), case)
    except check.Mismatch as reason:
        return {"mismatch": str(reason)}
    return {"outputs": found.outputs, "gradients": found.gradients}


def read(folder: str, name: str) -> Arrays:
    """Return the arrays of a file that `bench_imdb` wrote."""
    with np.load(Path(folder) / f"{name}.npz") as file:
        return {key: file[key] for key in file.files}


def _batches(folder: str, s: Settings, library: str, epoch: int) -> Iterator[tuple[Any, ...]]:
    """Yield words [B,T] padded on the right, lengths and labels [B], as the library wants them."""
    from fastlstm.text import Encoded, batches

    part = Encoded(**read(folder, "train"))
    found = batches(part, s.batch_size, seed=s.seed, epoch=epoch, bucket=s.bucket)
    return (_for(library, batch) for batch in found)


def _for(library: str, batch: Any) -> tuple[Any, ...]:
    labels = batch.labels.astype(np.float32)
    if library == "fastlstm":
        return batch.tokens, batch.lengths, labels
    import torch

    words = torch.from_numpy(batch.tokens.astype(np.int64))
    return words, torch.from_numpy(batch.lengths), torch.from_numpy(labels)


def _accuracy(model: Model, folder: str, library: str) -> float:
    from fastlstm.text import Encoded, batches

    part = Encoded(**read(folder, "test"))
    right = 0
    for batch in batches(part, TEST_BATCH):
        words, lengths, _ = _for(library, batch)
        right += int((model.positive(words, lengths) == (batch.labels > 0)).sum())
    return right / len(part)
