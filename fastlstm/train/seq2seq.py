"""Trains a `Seq2Seq` on pairs of token sequences, translates with it, saves and loads it."""

from __future__ import annotations

import json
import zlib
from collections.abc import Mapping, Sequence
from contextlib import nullcontext
from functools import partial
from inspect import signature
from pathlib import Path
from typing import Any, NamedTuple

from fastlstm.models import Seq2Seq
from fastlstm.models.beam import Hypothesis
from fastlstm.nn import cross_entropy
from fastlstm.text.batches import batches
from fastlstm.text.encoded import Encoded
from fastlstm.text.pairs import (
    Pair,
    Pairs,
    Tokens,
    decode_tokens,
    encode_pairs,
    encode_tokens,
    pair_batches,
    token_vocabulary,
)
from fastlstm.text.vocabulary import UNK, Vocabulary
from fastlstm.train import checkpoint
from fastlstm.train.average import Average
from fastlstm.train.history import History
from fastlstm.train.model_file import load_model_and_note, save_model
from fastlstm.train.optim import Adam
from fastlstm.train.output_folder import OutputFolder
from fastlstm.train.schedule import linear
from fastlstm.train.seeds import WEIGHTS, generator
from fastlstm.train.tasks.task import shuffled
from fastlstm.train.trainer import Trainer

MODEL, STATE = "model.safetensors", "checkpoint.safetensors"  # files of a folder


class Translator(NamedTuple):
    """A `Seq2Seq` and the vocabularies of its two sides, as of `token_vocabulary`."""

    model: Seq2Seq
    source: Vocabulary
    target: Vocabulary

    @classmethod
    def build(
        cls, source: Vocabulary, target: Vocabulary, options: Mapping[str, Any], seed: int = 0
    ) -> Translator:
        """Return an untrained translator.

        `options` are those of `Seq2Seq` without the sizes of the vocabularies, the marks and
        `rng`; `seed` is that of the first weights.
        """
        rng = generator(seed, WEIGHTS)
        return cls(Seq2Seq(len(source), len(target), **options, rng=rng), source, target)

    def __call__(
        self, texts: Sequence[Tokens], batch_size: int = 64, **search: Any
    ) -> list[list[str]]:
        """Return the best target of each source, all lists of tokens; `batch_size` texts at a time.

        `search` are options of `Seq2Seq.beam_search`; by default `forbidden` is the unknown word.
        """
        search = {"forbidden": (UNK,), **search}
        found = search_all(self.model, encode_tokens(texts, self.source), batch_size, **search)
        return [decode_tokens(best[0].tokens.tolist(), self.target) for best in found]

    def save(self, path: str | Path, **about: Any) -> None:
        """Write model, vocabularies and what JSON can hold into one file; see `save_model`."""
        save_model(path, self.model, source=self.source.words, target=self.target.words, **about)

    @classmethod
    def load(cls, path: str | Path) -> Translator:
        """Read such a file; errors as of `train.model_file.load_model`."""
        return cls.load_and_note(path)[0]

    @classmethod
    def load_and_note(cls, path: str | Path) -> tuple[Translator, dict[str, Any]]:
        """Read the same, and what else the file tells."""
        model, note = load_model_and_note(path, Seq2Seq)
        with checkpoint.building(path):
            source, target = Vocabulary(note["source"]), Vocabulary(note["target"])
            sizes = [model.options[f"{side}_vocab_size"] for side in ("source", "target")]
            if [len(source), len(target)] != sizes:
                raise ValueError(f"it has {len(source)} and {len(target)} words for {sizes}")
        return cls(model, source, target), note


class TranslatorFolder(OutputFolder):
    """Where `learn` keeps the state of the training, and then the model."""

    FILES = (MODEL, STATE)

    def __init__(self, path: str | Path) -> None:
        super().__init__(path)
        self.model, self.checkpoint = self.path / MODEL, self.path / STATE


def learn(
    train: Sequence[Pair], validation: Sequence[Pair], options: Mapping[str, Any], *,
    min_count: int = 1, seed: int = 0, folder: str | Path | None = None, precision: str = "float32",
    identity: Mapping[str, object] | None = None, **training: Any,
) -> Translator:  # fmt: skip
    """Return a translator that learned from pairs of lists of tokens.

    Parameters
    ----------
    train, validation : pairs; no validation if empty.
    options : see `Translator.build`.
    min_count : tokens rarer than this in `train` are unknown.
    seed : of all randomness.
    folder : holds the training state, from which training goes on, and in the end the model. If
        the model is there, it is returned and nothing is trained.
    precision : of the products, "float32" or "bfloat16". A model of `folder` has it too, however
        it was trained.
    identity : what a state to go on from, or a model that is there, must agree in, besides
        `options`, `seed` and the pairs.
    training : options of `fit`.

    Raises
    ------
    ValueError
        If there are no pairs, or an option does not fit: int8 has no training.
    CheckpointError, FolderInUseError, OSError, TrainingInterrupted, FloatingPointError
        As `fit`; also if the folder holds a model of other options or is in use, or holds what
        another kind of command made.
    """
    if not train:
        raise ValueError("train is empty, expected at least one pair")
    kept = TranslatorFolder(folder) if folder is not None else None
    if kept is not None:
        kept.check_alone()
    pairs = zlib.crc32(json.dumps((train, validation)).encode())
    told = {**options, "pairs": pairs, **(identity or {})}
    about = {**told, "seed": seed}
    if kept is not None and kept.model.exists():
        translator = _kept(kept.model, options, about)
        translator.model.set_precision(precision)
        return translator
    source, target = (token_vocabulary((p[side] for p in train), min_count) for side in (0, 1))
    translator = Translator.build(source, target, options, seed)
    translator.model.set_precision(precision)
    training["identity"] = {**told, **checkpoint.of_precision(precision)}
    if kept is not None:
        training["checkpoint"] = kept.checkpoint
    with kept.locked() if kept is not None else nullcontext():
        fit(
            translator.model,
            encode_pairs(train, source, target),
            encode_pairs(validation, source, target) if validation else None,
            seed=seed,
            **training,
        )
        if kept is not None and kept.writes:
            translator.save(kept.model, run=about)
            kept.checkpoint.unlink()
    return translator


def _kept(path: Path, options: Mapping[str, Any], about: Mapping[str, Any]) -> Translator:
    """Return the model of a file; CheckpointError if it has other options, or is of another run.

    What one run holds back to test, another may have learned from.
    """
    translator, note = Translator.load_and_note(path)
    made = translator.model.options
    asked = {name: about.default for name, about in signature(Seq2Seq).parameters.items()}
    asked |= {k: v for k, v in made.items() if k.endswith("_vocab_size")} | dict(options)
    names = [name for name in made if made[name] != asked[name]]
    if names:
        found, expected = ({name: some[name] for name in names} for some in (made, asked))
        raise checkpoint.CheckpointError(
            f"{path} is a model of other options, {found}, expected {expected}: choose another "
            "folder"
        )
    run = note.get("run")
    if isinstance(run, Mapping):  # files of earlier versions do not tell it
        both = run.keys() | about.keys()
        checkpoint.check_same(path, run, about, both, "; choose another folder")
    return translator


def search_all(
    model: Seq2Seq, sources: Encoded, batch_size: int = 64, **search: Any
) -> list[list[Hypothesis]]:
    """Return what `Seq2Seq.beam_search` finds for each source, in their order."""
    if not len(sources):
        return []
    found: list[list[Hypothesis]] = [[] for _ in range(len(sources))]
    for batch in batches(sources, batch_size):
        results = model.beam_search(batch.tokens, batch.lengths, **search)
        for place, hypotheses in zip(batch.index.tolist(), results, strict=True):
            found[place] = hypotheses
    return found


def fit(
    model: Seq2Seq, train: Pairs, validation: Pairs | None = None, *, batch_size: int = 128,
    lr: float = 1e-3, label_smoothing: float = 0.0, average: float = 0.0, seed: int = 0,
    **options: Any,
) -> History:  # fmt: skip
    """Train by Adam with teacher forcing, and load the weights of the best epoch.

    The loss is the mean over the target tokens of a batch. The best epoch predicts most of the
    validation's tokens right, given the true ones before them. Errors as of `Trainer.fit` and
    `Trainer.load`.

    Parameters
    ----------
    model, train, validation : see `Trainer` for the case without validation.
    label_smoothing : see `cross_entropy`; also in the validation's loss.
    average : decay of the `Average` of the weights that is validated and kept; 0 for none.
    options : of `Trainer`; by default the rate falls to 0 in a straight line and gradients are
        clipped at 1. If the checkpoint is there, training goes on from it.
    """
    trainer = Trainer(
        model,
        Adam(model, lr),
        partial(cross_entropy, label_smoothing=label_smoothing),
        average=Average(model, average) if average else None,
        seed=seed,
        **{"schedule": linear, "clip": 1.0, **options},
    )
    if trainer.checkpoint is not None and trainer.checkpoint.exists():
        trainer.load(trainer.checkpoint)
    return trainer.fit(*shuffled(pair_batches, train, batch_size, seed, validation))
