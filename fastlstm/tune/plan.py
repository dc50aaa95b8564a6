"""What a study of classifiers depends on: the options of all trials, and what is searched."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import Field, dataclass, fields, replace
from typing import Any

from fastlstm.train.classifier.config import Config
from fastlstm.train.classifier.fine_tune import ARCHITECTURE
from fastlstm.train.classifier.idle_options import Idle, idle_options
from fastlstm.train.classifier.text_config import READING, TextConfig
from fastlstm.tune.space import Choices, Space, parse_search

# Options that are no matter of the net: which texts, how they are read and divided, what all
# trials begin with.
FIXED = (
    "data", "test", "test_split", *READING, "validation", "seed", "threads", "vectors",
    "freeze_vectors", "from_run", "unlabelled", "teachers",
)  # fmt: skip
OPTIONS: dict[str, Field[Any]] = {
    item.name: item for item in fields(TextConfig) if item.name not in FIXED
}
DEFAULT = (
    "lr=0.002:0.03:log", "hidden_size=32,64,128,256", "embedding_dim=64,128,256",
    "num_layers=1:2", "dropout=0:0.6:0.1", "embedding_dropout=0:0.7:0.1",
    "word_dropout=0:0.5:0.1",
)  # fmt: skip
MEASURES = ("accuracy", "loss")
PRUNERS = ("median", "halving", "none")


@dataclass(frozen=True)
class Plan:
    """A study.

    Attributes
    ----------
    config : options of all trials, apart from those that are searched.
    space : those.
    by : what is to be best of the validation texts, one of `MEASURES`.
    pruner : what ends trials early, one of `PRUNERS`.
    """

    config: TextConfig
    space: Space
    by: str = "accuracy"
    pruner: str = "median"

    @property
    def first(self) -> dict[str, Any]:
        """The values of the first trial: what is searched as it is without a search."""
        known = {name: getattr(self.config, name) for name in self.space}
        return {name: value for name, value in known.items() if self.space[name].holds(value)}

    def config_of(self, drawn: Mapping[str, Any], threads: int) -> TextConfig:
        """Return the options of a trial; errors as of `TextConfig` if they do not go together."""
        return replace(self.config, **self.values(drawn), threads=threads)

    def values(self, drawn: Mapping[str, Any]) -> dict[str, Any]:
        """Return what was drawn as options have it."""
        return {name: self.space[name].value(value) for name, value in drawn.items()}

    def to_json(self) -> dict[str, Any]:
        """Return a plain dict."""
        search = {name: values.words for name, values in self.space.items()}
        about = {"by": self.by, "pruner": self.pruner}
        return {"config": self.config.to_json(), "search": search, **about}

    @classmethod
    def from_json(cls, value: Mapping[str, Any]) -> Plan:
        """Invert `to_json`; ValueError, TypeError or KeyError if it is none."""
        space = parse_search((f"{k}={v}" for k, v in value["search"].items()), OPTIONS)
        config = TextConfig.from_json(value["config"])
        assert isinstance(config, TextConfig)
        plan = cls(config, space, value["by"], value["pruner"])
        if plan.by not in MEASURES or plan.pruner not in PRUNERS:
            raise ValueError(f"by is {plan.by!r}, pruner {plan.pruner!r}")
        return plan


def make_space(words: list[str] | None, config: Config, given: Mapping[str, Any]) -> Space:
    """Return what is searched: what the words say, or the default without what is `given`.

    Raises ValueError, which begins with an option, if an option is both given and searched, has a
    value that it cannot have, or does nothing in the run.
    """
    space = parse_search(DEFAULT if words is None else words, OPTIONS)
    fixed = set(given) | _of_the_start(config)
    if words is None:
        space = {name: values for name, values in space.items() if name not in fixed}
    for name, values in space.items():
        if name in given:
            raise ValueError(f"{name} and search {name}={values.words} exclude each other")
        if name in fixed:
            raise ValueError(
                f"search {name}={values.words}: it is that of the vectors or the run to begin with"
            )
        for value in values.ends:
            replace(config, **{name: value})
    searched = {name: max(values.ends, key=bool) for name, values in space.items()}
    idle = list(idle_in_all(config, space, searched))
    if words is None:
        names = {name for found in idle for name in found.names}
        space = {name: values for name, values in space.items() if name not in names}
        if not space:
            why = idle[0].why if idle else "all that is searched by default is given"
            raise ValueError(f"search is empty: {why}")
    elif idle:
        raise ValueError(f"search is for {idle[0].told}")
    return space


def _of_the_start(config: Config) -> set[str]:
    """Return options that go with what all trials begin with."""
    if config.from_run is not None:
        return set(ARCHITECTURE)
    return set() if config.vectors is None else {"embedding_dim"}


def idle_in_all(config: Config, space: Space, asked: Mapping[str, Any]) -> Iterator[Idle]:
    """Yield which of the options `asked` do nothing in any trial, whatever is drawn for it."""
    runs = [config]
    for name, values in space.items():
        if isinstance(values, Choices):
            runs += [replace(config, **{name: value}) for value in values.values]
    told = [list(idle_options(run, asked)) for run in runs]
    for idle in told[0]:
        names = [n for n in idle.names if all(any(n in i.names for i in found) for found in told)]
        if names:
            yield Idle(names, idle.why)
