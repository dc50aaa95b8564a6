"""What a study depends on: the options of all trials, and what is searched."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from typing import Any

from fastlstm.train.classifier.idle_options import Idle
from fastlstm.tune.measures import MEASURES
from fastlstm.tune.space import Choices, Space, parse_search
from fastlstm.tune.subject import AnyConfig, Subject, subject_at, subject_of

PRUNERS = ("median", "halving", "none")
STUDY = "fastlstm"  # the name of each study of earlier versions


@dataclass(frozen=True)
class Plan:
    """A study.

    Attributes
    ----------
    config : options of all trials, apart from those that are searched.
    space : those.
    by : what is to be best of what is held back, one of the subject's measures.
    pruner : what ends trials early, one of `PRUNERS`.
    study : its name in Optuna's storage, by which that of another one is known.
    """

    config: AnyConfig
    space: Space
    by: str = "accuracy"
    pruner: str = "median"
    study: str = STUDY

    @property
    def subject(self) -> Subject:
        """What the study is of."""
        return subject_of(self.config)

    @property
    def rises(self) -> bool:
        """Whether more is better."""
        return MEASURES[self.by].rises

    @property
    def first(self) -> dict[str, Any]:
        """The values of the first trial: what is searched as it is without a search."""
        known = {name: getattr(self.config, name) for name in self.space}
        return {name: value for name, value in known.items() if self.space[name].holds(value)}

    def config_of(self, drawn: Mapping[str, Any], threads: int) -> Any:
        """Return the options of a trial; errors as of their class if they do not go together."""
        return replace(self.config, **self.values(drawn), threads=threads)

    def values(self, drawn: Mapping[str, Any]) -> dict[str, Any]:
        """Return what was drawn as options have it."""
        return {name: self.space[name].value(value) for name, value in drawn.items()}

    def to_json(self) -> dict[str, Any]:
        """Return a plain dict."""
        search = {name: values.words for name, values in self.space.items()}
        about = {"of": self.subject.name, "by": self.by, "pruner": self.pruner, "study": self.study}
        return {"config": self.config.to_json(), "search": search, **about}

    @classmethod
    def from_json(cls, value: Mapping[str, Any]) -> Plan:
        """Invert `to_json`; ValueError, TypeError or KeyError if it is none."""
        subject = subject_at(value)
        space = parse_search((f"{k}={v}" for k, v in value["search"].items()), subject.options)
        config, study = subject.config_from_json(value["config"]), value.get("study", STUDY)
        plan = cls(config, space, value["by"], value["pruner"], study)
        if plan.by not in subject.measures or plan.pruner not in PRUNERS:
            raise ValueError(f"by is {plan.by!r}, pruner {plan.pruner!r}")
        if not isinstance(study, str):
            raise TypeError(f"study is {study!r:.60}, expected str")
        return plan


def make_space(words: list[str] | None, config: AnyConfig, given: Mapping[str, Any]) -> Space:
    """Return what is searched: what the words say, or the default without what is `given`.

    Raises ValueError, which begins with an option, if an option is both given and searched, has a
    value that it cannot have, or does nothing in the run.
    """
    subject = subject_of(config)
    space = parse_search(subject.default if words is None else words, subject.options)
    fixed = set(given) | subject.of_the_start(config)
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
            _with(config, name, value)
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


def idle_in_all(config: AnyConfig, space: Space, asked: Mapping[str, Any]) -> Iterator[Idle]:
    """Yield which of the options `asked` do nothing in any trial, whatever is drawn for it."""
    runs = [config]
    for name, values in space.items():
        if isinstance(values, Choices):
            runs += [_with(config, name, value) for value in values.values]
    subject = subject_of(config)
    told = [list(subject.idle(run, asked)) for run in runs]
    for idle in told[0]:
        names = [n for n in idle.names if all(any(n in i.names for i in found) for found in told)]
        if names:
            yield Idle(names, idle.why)


def _with(config: AnyConfig, name: str, value: Any) -> AnyConfig:
    """Return options with another value of one; errors as of their class."""
    changed: Any = {name: value}
    return replace(config, **changed)
