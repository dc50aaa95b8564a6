"""The options of a language model's training, its folder, its model and its trainer."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from fastlstm.kernels.call import PRECISIONS
from fastlstm.models import LanguageModel
from fastlstm.models.model import LAYERS
from fastlstm.text import LanguageData
from fastlstm.text.symbols import LEVELS
from fastlstm.train.listener import Listener
from fastlstm.train.optim import optimizer
from fastlstm.train.output_folder import OutputFolder
from fastlstm.train.schedule import SCHEDULES, get, halving
from fastlstm.train.seeds import WEIGHTS, generator
from fastlstm.train.tasks.language import LanguageModelling
from fastlstm.train.trainer import Trainer, of_precision

CONSTANT_EPOCHS = 4  # of the schedule "halving"


def _option(default: Any, help: str, *, choices: tuple[str, ...] | None = None) -> Any:
    return field(default=default, metadata={"help": help, "choices": choices})


@dataclass(frozen=True)
class LanguageOptions:
    """What training a language model depends on, besides the text and the seed.

    The model, the trainer and the text check the values.
    """

    level: str = _option("char", "what the tokens are", choices=LEVELS)
    vocab_size: int = _option(0, "the most tokens to know; 0 = all")
    embedding_dim: int = _option(128, "size of a token's vector")
    cell: str = _option("lstm", "kind of the recurrent layers", choices=tuple(LAYERS))
    hidden_size: int = _option(128, "units of a recurrent layer")
    num_layers: int = _option(2, "recurrent layers")
    projection: int = _option(0, "size of a layer before the decoder; 0 = none")
    tied: bool = _option(False, "decode with the table of the token vectors")
    dropout: float = _option(0.0, "on all but the recurrent connections")
    init_range: float = _option(0.0, "first values are uniform up to it; 0 = by layer")
    steps: int = _option(64, "tokens that gradients go back")
    batch_size: int = _option(16, "places of the text side by side")
    epochs: int = _option(12, "epochs to train")
    optimizer: str = _option("adam", "how the weights are updated", choices=("adam", "sgd"))
    lr: float = _option(5e-3, "learning rate")
    schedule: str = _option(
        "cosine", f"course of the rate; halving: every epoch after the first {CONSTANT_EPOCHS}",
        choices=(*SCHEDULES, "halving"),
    )  # fmt: skip
    clip: float = _option(1.0, "limit of the global gradient norm; 0 = none")
    precision: str = _option(
        PRECISIONS[0],
        "of the products in training",
        choices=PRECISIONS[:-1],  # int8 has no backward
    )
    sum_steps: bool = _option(
        False, "lr and clip are for the loss summed over the steps, in place of its mean"
    )


PRESETS = {
    "char": LanguageOptions(),
    # Zaremba, Sutskever & Vinyals 2014, "Recurrent neural network regularization", without
    # dropout: published perplexity 114.5 on the test part of Penn Treebank.
    "zaremba-small": LanguageOptions(
        level="word", embedding_dim=200, hidden_size=200, init_range=0.1, steps=20, batch_size=20,
        epochs=13, optimizer="sgd", lr=1.0, schedule="halving", clip=5.0, sum_steps=True,
    ),
}  # fmt: skip


class LanguageFolder(OutputFolder):
    """The files of a language model: its tokens, its weights, the state of its training."""

    FILES = ("model.safetensors", "checkpoint.safetensors", "symbols.json")
    NAMES = frozenset(("level", "tokens"))

    def __init__(self, path: str | Path) -> None:
        super().__init__(path)
        self.model, self.checkpoint, self.symbols = (self.path / name for name in self.FILES)

    def check_free(self, overwrite: bool = False) -> None:
        """Raise FileExistsError if there is a model, or other files of these names."""
        self.check_own()
        if self.symbols.exists():
            raise FileExistsError(
                f"folder={self.path} holds a model: resume= it, or name another folder"
            )


def build_trainer(
    options: LanguageOptions, data: LanguageData, seed: int = 0, *, state: Path | None = None,
    identity: Mapping[str, object] | None = None, listeners: Sequence[Listener] = (),
) -> Trainer:  # fmt: skip
    """Return the trainer of a new model; `state` is its checkpoint.

    Raises
    ------
    ValueError
        If an option does not fit.
    """
    if options.precision == "int8":
        raise ValueError("precision is 'int8', in which a net cannot be trained")
    names = (
        "embedding_dim", "hidden_size", "num_layers", "dropout", "cell", "tied", "projection",
    )  # fmt: skip
    model = LanguageModel(
        len(data.symbols),
        **{name: getattr(options, name) for name in names},
        init_range=options.init_range or None,
        rng=generator(seed, WEIGHTS),
    )
    model.set_precision(options.precision)
    halves = options.schedule == "halving"
    return Trainer(
        model,
        optimizer(options.optimizer, model, options.lr),
        LanguageModelling(options.batch_size, options.steps, options.sum_steps),
        epochs=options.epochs,
        schedule=halving(options.epochs, CONSTANT_EPOCHS) if halves else get(options.schedule),
        clip=options.clip,
        seed=seed,
        checkpoint=state,
        identity={
            "the text": data.source,
            "schedule": options.schedule,
            **of_precision(options.precision),
            **(identity or {}),
        },
        listeners=listeners,
    )
