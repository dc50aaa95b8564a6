"""The model of a run: built from its options, written to and read from ``model.safetensors``."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from fastlstm.models import TextClassifier
from fastlstm.train import checkpoint
from fastlstm.train.classifier.config import Config
from fastlstm.train.seeds import WEIGHTS, generator
from fastlstm.train.sizes import check_sizes
from fastlstm.train.trainer import Trainer


def build_model(config: Config, vocab_size: int, num_outputs: int = 1) -> TextClassifier:
    """Return the untrained model of a run."""
    rng = generator(config.seed, WEIGHTS)
    return TextClassifier(**_model_options(config, vocab_size, num_outputs), rng=rng)


def save_model(
    path: Path, trainer: Trainer, config: Config, vocab_size: int, labels: Sequence[str] = ()
) -> None:
    """Write the best epoch's weights, how to build the model around them, and its classes."""
    options = _model_options(config, vocab_size, trainer.model.num_outputs)
    note: dict[str, object] = {"model": options, "epoch": trainer.history.best}
    if labels:
        note["labels"] = list(labels)
    checkpoint.save(path, trainer.best_weights, "model", note)


def load_model(path: str | Path) -> TextClassifier:
    """Return the trained model of a ``model.safetensors``.

    Raises
    ------
    FileNotFoundError, CheckpointError
        As `train.checkpoint.load`; also CheckpointError if this version cannot build the model.
    """
    return load_model_and_note(path)[0]


def load_model_and_note(path: str | Path) -> tuple[TextClassifier, dict[str, Any]]:
    """As `load_model`, with what `save_model` noted beside the weights."""
    tensors, note = checkpoint.load(path, "model")
    with checkpoint.building(path):
        _check_sizes(note["model"], tensors)
        model = TextClassifier(**note["model"])
        model.load_state_dict(tensors)
    return model, note


def check_fits(config: Config, path: Path) -> None:
    """Raise CheckpointError if a model file is not of these options: before any model is built."""
    _, note = load_model_and_note(path)
    options = _model_options(config, 0, 0)
    saved: Mapping[str, Any] = note["model"]
    compared = options.keys() & saved.keys() - {"vocab_size", "num_outputs"}
    different = sorted(name for name in compared if options[name] != saved[name])
    if different:
        raise checkpoint.CheckpointError(f"{path} is of another run: {', '.join(different)} differ")


def _check_sizes(options: Mapping[str, Any], tensors: checkpoint.Tensors) -> None:
    """Raise ValueError if the options are not those of the tensors: nothing is built of such."""
    layer = f"{options.get('cell', 'lstm')}.weight_hh_l{{}}"
    places = {
        "vocab_size": ("embedding.weight", 0), "embedding_dim": ("embedding.weight", 1),
        "hidden_size": (layer.format(0), 1), "num_outputs": ("head.weight", 0),
        "bigrams": ("bigrams.weight", 0),
    }  # fmt: skip
    check_sizes(options, tensors, places, layer)


def _model_options(config: Config, vocab_size: int, num_outputs: int) -> dict[str, Any]:
    names = (
        "embedding_dim", "cell", "hidden_size", "num_layers", "bidirectional", "pooling",
        "dropout", "embedding_dropout", "embedding_std", "bigrams", "dtype",
    )  # fmt: skip
    options = {"vocab_size": vocab_size, **{name: getattr(config, name) for name in names}}
    # one output is the default, and files of versions that knew no other do not name it
    return options if num_outputs == 1 else {**options, "num_outputs": num_outputs}
