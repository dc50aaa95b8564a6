"""The options of a language model's training, its folder, its model and its trainer."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from itertools import zip_longest
from pathlib import Path
from typing import Any

import numpy as np

from fastlstm.kernels.call import PRECISIONS
from fastlstm.models import LanguageModel
from fastlstm.models.cutoffs import DIV_VALUE, choose_cutoffs
from fastlstm.models.model import LAYERS
from fastlstm.nn.check import check_choice
from fastlstm.text import LanguageData
from fastlstm.text.symbols import LEVELS, Symbols
from fastlstm.train.average import Average
from fastlstm.train.checkpoint import CheckpointError, of_precision
from fastlstm.train.listener import Listener
from fastlstm.train.optim import OPTIMIZERS, optimizer
from fastlstm.train.output_folder import OutputFolder
from fastlstm.train.schedule import SCHEDULES, get, halving
from fastlstm.train.seeds import WEIGHTS, generator
from fastlstm.train.tasks.language import LanguageModelling
from fastlstm.train.trainer import GO_ON, Trainer

SOFTMAX = ("full", "adaptive")
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
    variational: bool = _option(False, "let dropout have one mask for all steps of a window")
    embedding_dropout: float = _option(0.0, "drop whole token vectors")
    weight_drop: float = _option(0.0, "drop recurrent weights")
    softmax: str = _option("full", "over all tokens, or in clusters by frequency", choices=SOFTMAX)
    cutoffs: str = _option("", "first tokens of the clusters, as 2000,6000; by default chosen")
    div_value: float = _option(0.0, "shrinks a cluster's vectors; 0 = 4, but 1 if tied")
    init_range: float = _option(0.0, "first values are uniform up to it; 0 = by layer")
    steps: int = _option(64, "tokens that gradients go back")
    batch_size: int = _option(16, "places of the text side by side")
    epochs: int = _option(12, "epochs to train")
    optimizer: str = _option("adam", "how the weights are updated", choices=OPTIMIZERS)
    lr: float = _option(5e-3, "learning rate")
    weight_decay: float = _option(0.0, "of the optimizer")
    average: float = _option(0.0, "decay of the weights' moving average, as 0.999; 0 = none")
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


TIED = LanguageOptions(
    level="word", embedding_dim=200, hidden_size=200, tied=True, softmax="adaptive", dropout=0.2,
    steps=35, batch_size=20, epochs=26, optimizer="sgd", lr=20.0, clip=0.25, average=0.999,
    precision="bfloat16",
)  # fmt: skip
PRESETS = {
    "char": LanguageOptions(),
    # Zaremba, Sutskever & Vinyals 2014, "Recurrent neural network regularization", without
    # dropout: published perplexity 114.5 on the test part of Penn Treebank.
    "zaremba-small": LanguageOptions(
        level="word", embedding_dim=200, hidden_size=200, init_range=0.1, steps=20, batch_size=20,
        epochs=13, optimizer="sgd", lr=1.0, schedule="halving", clip=5.0, sum_steps=True,
    ),
    # The same layers, with the table of the word vectors as the softmax's (Press & Wolf 2017,
    # Inan et al. 2017), which is adaptive, dropout, and averaged weights (as Merity et al. 2018).
    "tied-small": TIED,
    # The sizes and the dropout of Zaremba et al.'s medium network.
    "tied-medium": replace(TIED, embedding_dim=650, hidden_size=650, dropout=0.5, epochs=24),
}  # fmt: skip


class LanguageFolder(OutputFolder):
    """The files of a language model: its tokens, its weights, the state of its training."""

    FILES = ("model.safetensors", "checkpoint.safetensors", "symbols.json")
    NAMES = frozenset(("level", "tokens"))

    def __init__(self, path: str | Path) -> None:
        super().__init__(path)
        self.model, self.checkpoint, self.symbols = (self.path / name for name in self.FILES)

    def check_free(self, overwrite: bool = False) -> None:
        """Raise FileExistsError if there is a model or a run, or other files of these names."""
        if not self.writes:
            return
        self.check_alone()
        self.check_own()
        if self.symbols.exists():
            raise FileExistsError(
                f"folder={self.path} holds a model: resume= it, or name another folder"
            )

    def begin(self, symbols: Symbols) -> None:
        """Mark the folder as that of a model of these tokens."""
        if self.writes:
            symbols.save(self.symbols)

    def go_on(self, trainer: Trainer, symbols: Symbols) -> None:
        """Load where a run stands; one that was killed before its first checkpoint begins anew.

        Raises FileNotFoundError if the folder holds no run; CheckpointError if it holds another.
        """
        if not self.holds_run:
            raise FileNotFoundError(
                f"{self.path} holds no run to resume: there is no {self.mark.name}"
            )
        if self.checkpoint.exists() or self.model.exists():
            trainer.load(self.checkpoint)
            return
        begun = Symbols.load(self.symbols)
        if (begun.level, begun.tokens) != (symbols.level, symbols.tokens):
            raise CheckpointError(
                f"{self.symbols} is of another run: {_difference(begun, symbols)}; {GO_ON}"
            )


def _difference(begun: Symbols, symbols: Symbols) -> str:
    """Return what is not alike: the level, or the first token that is another one or missing."""
    if begun.level != symbols.level:
        return f"its level is {begun.level!r}, here it is {symbols.level!r}"
    pairs = enumerate(zip_longest(begun.tokens, symbols.tokens))
    number, (there, here) = next(pair for pair in pairs if pair[1][0] != pair[1][1])
    return f"its token {number} is {there!r:.40}, here it is {here!r:.40}"


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
        "variational", "embedding_dropout", "weight_drop",
    )  # fmt: skip
    model = LanguageModel(
        len(data.symbols),
        **{name: getattr(options, name) for name in names},
        **_softmax(options, data),
        init_range=options.init_range or None,
        rng=generator(seed, WEIGHTS),
    )
    model.set_precision(options.precision)
    halves = options.schedule == "halving"
    later = {"weight_decay": options.weight_decay, "average_decay": options.average}
    return Trainer(
        model,
        optimizer(options.optimizer, model, options.lr, options.weight_decay),
        LanguageModelling(options.batch_size, options.steps, options.sum_steps),
        epochs=options.epochs,
        schedule=halving(options.epochs, CONSTANT_EPOCHS) if halves else get(options.schedule),
        clip=options.clip,
        average=Average(model, options.average) if options.average else None,
        seed=seed,
        checkpoint=state,
        identity={
            "the text": data.source,
            "the tokens": data.checksum,
            "schedule": options.schedule,
            **of_precision(options.precision),
            **{name: value for name, value in later.items() if value},  # others: as earlier ones
            **(identity or {}),
        },
        listeners=listeners,
    )


def _softmax(options: LanguageOptions, data: LanguageData) -> dict[str, Any]:
    """Return the options of the model's softmax."""
    if check_choice("softmax", options.softmax, SOFTMAX) == "full":
        for name in ("cutoffs", "div_value"):
            if getattr(options, name):
                raise ValueError(f"{name} is {getattr(options, name)!r} with a full softmax")
        return {}
    counts = np.bincount(data.train, minlength=len(data.symbols))
    usual = 1.0 if options.tied else DIV_VALUE
    chosen = choose_cutoffs(counts, options.div_value or usual)  # also checks the order
    try:
        given = [int(part) for part in options.cutoffs.split(",") if options.cutoffs]
    except ValueError:
        raise ValueError(
            f"cutoffs is {options.cutoffs!r:.60}, expected numbers with commas between them"
        ) from None
    return {"cutoffs": given or chosen, "div_value": options.div_value or None}
