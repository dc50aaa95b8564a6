"""Fine-tuning: a run begins with the weights and the words of an earlier one, and other texts."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import fields
from typing import Any

from fastlstm.counts import count_of
from fastlstm.files.opening import sha256_of
from fastlstm.models import SequenceClassifier, TextClassifier
from fastlstm.text import UNK, Encoded
from fastlstm.text.vocabulary import SPECIAL
from fastlstm.train.classifier.config import Config
from fastlstm.train.classifier.loaded_run import check_is_run, load_options, load_run
from fastlstm.train.classifier.run_folder import RunFolder
from fastlstm.train.classifier.start import Start

# Options that the weights and words of the earlier run are made for.
ARCHITECTURE = (
    "embedding_dim", "cell", "hidden_size", "num_layers", "bidirectional", "pooling", "bigrams",
    "dtype", "analyzer",
)  # fmt: skip
# Options that are not taken from it: they go with the texts, or with this machine.
OWN = (
    "data", "batch_size", "epochs", "patience", "validation", "seed", "threads", "pretrain",
    "pretrain_epochs", "pretrain_window", "unlabelled", "teachers", "vectors", "freeze_vectors",
    "marks", "from_run",
)  # fmt: skip
HEAD = ("head.", "bigrams.")  # parameters with an axis of the classes


def fine_tuning_options(from_run: str, **given: Any) -> dict[str, Any]:
    """Return the options of a run that begins with an earlier one.

    They are the `given` ones, else those of the earlier run, apart from `OWN`.

    Raises ValueError if one is given that its weights do not fit, which names it; errors as of
    `load_run` if there is no run in the folder, or a damaged one.
    """
    folder = RunFolder(from_run)
    check_is_run(folder)
    earlier = load_options(folder)
    for name in ARCHITECTURE:
        there = getattr(earlier, name)
        if given.get(name, there) != there:
            raise ValueError(
                f"{name} is {given[name]}, but the run in {folder.path} has {there}, which its "
                "weights are made for: leave it out"
            )
    kept = {i.name: getattr(earlier, i.name) for i in fields(Config) if i.name not in OWN}
    return {**kept, **given, "from_run": from_run}


def carry_over(
    model: TextClassifier | SequenceClassifier, earlier: TextClassifier | SequenceClassifier,
    head: bool = True,
) -> None:  # fmt: skip
    """Copy the weights of an earlier model into one of the same options.

    Its vocabulary may have grown at the end: the vectors of new words stay as they are. Without
    `head` so do the weights that belong to the classes. ValueError, before anything is copied, if
    other shapes differ.
    """
    own, theirs = model.state_dict(), earlier.state_dict()
    for name, value in theirs.items():
        if not head and name.startswith(HEAD):
            continue
        place = own[name][: len(value)] if name == "embedding.weight" else own.get(name)
        if place is None or place.shape != value.shape:
            raise ValueError(f"the earlier model does not fit: its {name} has shape {value.shape}")
        place[...] = value
    model.load_state_dict(own)


class EarlierRun(Start):
    """The run that the options name, for texts with `words` and `labels`.

    Attributes
    ----------
    words : its vocabulary, then the most frequent new words, up to ``vocab_size``; none if the word
        vectors are frozen.
    """

    def __init__(self, config: Config, words: Sequence[str], labels: Sequence[str]) -> None:
        assert config.from_run is not None
        self._run = run = load_run(config.from_run)
        self._net = run.model
        theirs = run.vocab.words
        if config.vocab_size < len(theirs):
            raise ValueError(
                f"vocab_size is {config.vocab_size}, but the run in {run.folder.path} has "
                f"{count_of(len(theirs), 'word')}, padding and unknown included, which are kept"
            )
        if run.vocab.analyzer != config.analyzer:
            raise ValueError(
                f"analyzer is {config.analyzer!r}, but the run in {run.folder.path} has "
                f"{run.vocab.analyzer!r}, which its words are cut by"
            )
        new = [word for word in words[len(SPECIAL) :] if word not in run.vocab]
        if config.freeze_vectors:
            new = []
        self.words = [*theirs, *new][: config.vocab_size]
        self._same = list(labels) == run.labels
        model = sha256_of(run.folder.model)
        self.options: dict[str, Any] = {}
        self.identity = {"the earlier run": model}
        self.metrics = {"from_run": str(run.folder.path), "from_model": model}

    def put_into(self, model: TextClassifier) -> None:
        carry_over(model, self._net, head=self._same)

    def told(self, train: Encoded) -> str:
        theirs = len(self._run.vocab)
        unknown = float((train.tokens == UNK).mean()) if len(train.tokens) else 0.0
        head = "the same classes: its head stays"
        if not self._same:
            head = f"other classes than its {len(self._run.labels)}: they get a new head"
        return (
            f"begins with the run in {self._run.folder.path}; {head}\n"
            f"its {theirs:,} words and {len(self.words) - theirs:,} new ones; {unknown:.1%} of the "
            "running words are unknown"
        )
