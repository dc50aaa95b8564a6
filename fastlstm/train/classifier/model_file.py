"""The model that the options of a run describe."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from fastlstm.models import TextClassifier
from fastlstm.train.checkpoint import CheckpointError
from fastlstm.train.classifier.config import Config
from fastlstm.train.model_file import load_model_and_note
from fastlstm.train.seeds import WEIGHTS, generator


def build_model(config: Config, vocab_size: int, num_outputs: int = 1) -> TextClassifier:
    """Return the untrained model of a run."""
    rng = generator(config.seed, WEIGHTS)
    return TextClassifier(**_model_options(config, vocab_size, num_outputs), rng=rng)


def check_fits(config: Config, path: Path) -> None:
    """Raise CheckpointError if a model file is not of these options: before any model is built."""
    _, note = load_model_and_note(path, TextClassifier)
    options = _model_options(config, 0, 0)
    saved: Mapping[str, Any] = note["model"]
    compared = options.keys() & saved.keys() - {"vocab_size", "num_outputs"}
    different = sorted(name for name in compared if options[name] != saved[name])
    if different:
        raise CheckpointError(f"{path} is of another run: {', '.join(different)} differ")


def _model_options(config: Config, vocab_size: int, num_outputs: int) -> dict[str, Any]:
    names = (
        "embedding_dim", "cell", "hidden_size", "num_layers", "bidirectional", "pooling",
        "dropout", "embedding_dropout", "embedding_std", "bigrams", "dtype",
    )  # fmt: skip
    sizes = {"vocab_size": vocab_size, "num_outputs": num_outputs}
    return {**sizes, **{name: getattr(config, name) for name in names}}
