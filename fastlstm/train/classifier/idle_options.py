"""Options that do nothing beside others: whoever gives one is told, before a run begins."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any, NamedTuple

from fastlstm.text.row_kinds import kind_by_name
from fastlstm.train.classifier.text_config import READING, TextConfig

# What a net is and how it is trained. A linear part reads texts whole, and all of their words.
OF_NETS = frozenset((
    "vocab_size", "max_length", "truncate", "embedding_dim", "embedding_std", "cell", "hidden_size",
    "num_layers", "bidirectional", "pooling", "dropout", "embedding_dropout", "word_dropout",
    "optimizer", "lr", "momentum", "weight_decay", "schedule", "warmup", "clip", "average",
    "batch_size", "epochs", "patience", "dtype", "precision", "bigrams", "pretrain_epochs",
    "pretrain_window", "unlabelled", "teachers",
))  # fmt: skip


class Rule(NamedTuple):
    """When some options do nothing, and why."""

    names: Collection[str]
    are_idle: Callable[[Any], bool]  # of the options of a run, or an estimator
    why: str


NO_NET = Rule(OF_NETS, lambda run: run.parts == "linear", "a linear part alone has no net")
NO_CUT = Rule(("truncate",), lambda run: not run.max_length, "no text is cut without a limit")
NO_PRETRAINING = Rule(
    ("pretrain_epochs", "pretrain_window", "unlabelled", "teachers"), lambda run: not run.pretrain,
    "there is no pretraining without pretrain=True",
)  # fmt: skip
RULES = (
    NO_NET,
    Rule(("marks",), lambda run: run.parts == "net", "only a linear part reads them"),
    Rule(("teachers",), lambda run: run.pretrain and not run.unlabelled,
         "they are for texts without a label, of which there are none"),
    NO_PRETRAINING,
    Rule(("momentum",), lambda run: run.optimizer != "sgd", "only the optimizer sgd has one"),
    Rule(("embedding_std",), lambda run: run.vectors is not None,
         "words without a vector are spread as those of the file"),
    NO_CUT,
    Rule(("text_column", "label_column"), lambda run: _kinds(run) <= {"folder", "lines"},
         "the texts are in no file with columns"),
    Rule(("delimiter", "header", "quotes"), lambda run: _kinds(run).isdisjoint(("table", None)),
         "the texts are in no table"),
    Rule(("encoding",), lambda run: _kinds(run) == {"parquet"}, "a Parquet file has its own"),
    Rule(("format",), lambda run: run.format not in _kinds(run),
         "it is for files whose name does not tell their kind"),
)  # fmt: skip


class Idle(NamedTuple):
    """Options that were given and do nothing."""

    names: list[str]
    why: str

    @property
    def told(self) -> str:
        """What is idle and why, in words."""
        verb = "does" if len(self.names) == 1 else "do"
        return f"{', '.join(self.names)} {verb} nothing here: {self.why}"

    @property
    def refused(self) -> str:
        """The same, and what to do."""
        return f"{self.told}; leave {'it' if len(self.names) == 1 else 'them'} out"


def idle_options(
    run: object, given: Mapping[str, Any], rules: Iterable[Rule] = RULES
) -> Iterator[Idle]:
    """Yield which of the options `given` do nothing in a run.

    A number 0 or a False says that there is none of something, which is so.
    """
    for rule in rules:
        names = [name for name in given if name in rule.names and _asks(name, given[name])]
        if names and rule.are_idle(run):
            yield Idle(names, rule.why)


def _asks(name: str, value: object) -> bool:
    if name in READING or not isinstance(value, (bool, int, float)):
        return value is not None
    return bool(value)


def _kinds(run: TextConfig) -> set[str | None]:
    """Return the kinds of the files of a run; None for one that its first line will tell."""
    paths = [Path(path) for path in (run.data, run.test) if path is not None]
    paths += [path for path in map(Path, run.unlabelled) if kind_by_name(path)]
    other = run.format or (None if run.delimiter is None else "table")
    return {"folder" if path.is_dir() else kind_by_name(path) or other for path in paths}
