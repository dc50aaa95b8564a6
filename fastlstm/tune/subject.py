"""What a study is of: texts to classify, or series to forecast."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import Field, fields
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar

from fastlstm.forecast.folder import MODEL, ForecastConfig, ForecastFolder
from fastlstm.train.classifier.fine_tune import ARCHITECTURE, fine_tuning_options
from fastlstm.train.classifier.idle_options import Idle, idle_options
from fastlstm.train.classifier.run_folder import RunFolder
from fastlstm.train.classifier.text_config import READING, TextConfig
from fastlstm.train.record import typed

if TYPE_CHECKING:
    from fastlstm.tune.shared import Shared

AnyConfig = TextConfig | ForecastConfig

# Options of texts that are no matter of the net: which texts, how they are read and divided, what
# all trials begin with.
FIXED = (
    "data", "test", "test_split", *READING, "validation", "seed", "threads", "vectors",
    "freeze_vectors", "from_run", "unlabelled", "teachers",
)  # fmt: skip
# Options of forecasts: those of the net, and what the linear part reads, too.
OF_NETS = ("cell", "hidden_size", "num_layers", "dropout", "lr", "batch_size")
SEARCHED = ("context", "season", "calendar", "epochs", *OF_NETS)


class TextTrial(RunFolder):
    """The run of a trial: without a picture, and with a model only while it is the best one."""

    draws, WITHOUT_METRICS = False, ""  # the study tells what to do

    def drop_model(self) -> None:
        """Remove all but the options, the epochs and the metrics."""
        for path in (self.checkpoint, self.pretraining, self.model, self.vocab, self.trained_texts):
            path.unlink(missing_ok=True)


class SeriesTrial(ForecastFolder):
    """The forecast of a trial, which is not tested; with a model only while it is the best one."""

    WITHOUT_METRICS = ""  # the study tells what to do

    def _check_metrics(self, metrics: dict[str, Any]) -> None:
        """Raise ValueError unless these are the metrics of a trial, which is not tested."""
        for name in (f"validation_{measure}" for measure in OfSeries.measures):
            if name not in metrics:
                raise ValueError(f"it has no {name}")
            typed(float | None, metrics[name], name)

    def drop_model(self) -> None:
        """Remove all but the options and the metrics."""
        for path in (self.checkpoint, self.model):
            path.unlink(missing_ok=True)


class Subject(ABC):
    """The kind of a study.

    Attributes
    ----------
    name : of what it reads; in ``tune.json``, and in messages.
    told : what a trial is, in words.
    command : that makes the run of a trial.
    kind : class of the options.
    needed : options without a usual value.
    measures : what it may choose by, the usual one first.
    options : fields of the options that may be searched.
    default : words of the usual search.
    paths : options that are files.
    """

    name: ClassVar[str]
    told: ClassVar[str]
    command: ClassVar[str]
    kind: ClassVar[type[TextConfig] | type[ForecastConfig]]
    needed: ClassVar[tuple[str, ...]]
    measures: ClassVar[tuple[str, ...]]
    options: ClassVar[Mapping[str, Field[Any]]]
    default: ClassVar[tuple[str, ...]]
    paths: ClassVar[tuple[str, ...]]
    trial: type[TextTrial] | type[SeriesTrial]
    best: type[RunFolder] | type[ForecastFolder]

    @abstractmethod
    def config(self, given: Mapping[str, Any]) -> Any:
        """Return the options of all trials; errors as of their class, or for an unknown one."""

    @abstractmethod
    def config_from_json(self, value: Any) -> Any:
        """Invert `to_json` of the options; ValueError or TypeError if they are none."""

    @abstractmethod
    def check(self, config: Any) -> None:
        """Raise ValueError if there is nothing to choose by."""

    @abstractmethod
    def of_the_start(self, config: Any) -> set[str]:
        """Return options that go with what all trials begin with."""

    def earlier(self, config: Any) -> str | None:
        """Return the path of the run that all trials begin with, if there is one."""
        return None

    @abstractmethod
    def idle(self, config: Any, asked: Mapping[str, Any]) -> Iterable[Idle]:
        """Return which of the options asked for do nothing in a run."""

    @abstractmethod
    def usual(self, config: Any) -> dict[str, Any]:
        """Return the values of options that a command need not tell."""

    @abstractmethod
    def shared(self, contents: Any = None) -> Shared:
        """Return what trials share; `contents` is what the data must be, if that is known."""

    @abstractmethod
    def load(self, path: Path) -> Any:
        """Return the best run, to predict with."""

    @abstractmethod
    def tested(self, metrics: Mapping[str, Any]) -> str:
        """Return how good the best run was in its test, in words that begin with a comma."""


class OfTexts(Subject):
    """Texts to classify."""

    name = "texts"
    told = "a classifier of texts"
    command = "fastlstm train"
    kind, needed = TextConfig, ("data",)
    measures = ("accuracy", "loss")
    options = {item.name: item for item in fields(TextConfig) if item.name not in FIXED}
    default = (
        "lr=0.002:0.03:log", "hidden_size=32,64,128,256", "embedding_dim=64,128,256",
        "num_layers=1:2", "dropout=0:0.6:0.1", "embedding_dropout=0:0.7:0.1",
        "word_dropout=0:0.5:0.1",
    )  # fmt: skip
    paths = ("data", "test", "vectors", "from_run", "unlabelled")
    trial, best = TextTrial, RunFolder

    def config(self, given: Mapping[str, Any]) -> TextConfig:
        if "unlabelled" in given:
            given = {**given, "unlabelled": tuple(_listed("unlabelled", given["unlabelled"]))}
        return TextConfig(**(fine_tuning_options(**given) if given.get("from_run") else given))

    def config_from_json(self, value: Any) -> TextConfig:
        config = TextConfig.from_json(value)
        assert isinstance(config, TextConfig)
        return config

    def check(self, config: TextConfig) -> None:
        if not config.validation:
            raise ValueError(
                "validation is 0, expected more: a study chooses by the validation texts"
            )

    def of_the_start(self, config: TextConfig) -> set[str]:
        if config.from_run is not None:
            return set(ARCHITECTURE)
        return set() if config.vectors is None else {"embedding_dim"}

    def earlier(self, config: TextConfig) -> str | None:
        return config.from_run

    def idle(self, config: TextConfig, asked: Mapping[str, Any]) -> Iterable[Idle]:
        return idle_options(config, asked)

    def usual(self, config: TextConfig) -> dict[str, Any]:
        usual = {item.name: item.default for item in fields(config)}
        if config.from_run is not None:  # of which options are taken that are not given
            usual |= fine_tuning_options(config.from_run) | {"from_run": None}
        return usual

    def shared(self, contents: Any = None) -> Shared:
        from fastlstm.tune.texts import SharedTexts

        return SharedTexts(contents)

    def load(self, path: Path) -> Any:
        from fastlstm.formats import load

        return load(path)

    def tested(self, metrics: Mapping[str, Any]) -> str:
        accuracy = metrics["test_accuracy"]
        return "" if accuracy is None else f", test accuracy {accuracy:.2%}"


class OfSeries(Subject):
    """Series to forecast."""

    name = "series"
    told = "a forecast"
    command = "fastlstm forecast"
    kind, needed = ForecastConfig, ("data", "time", "target")
    measures = ("mae", "loss")
    options = {item.name: item for item in fields(ForecastConfig) if item.name in SEARCHED}
    default = (
        "lr=0.0005:0.01:log", "hidden_size=16,32,64,128", "num_layers=1:2", "dropout=0:0.4:0.1",
        "batch_size=32,64,128",
    )  # fmt: skip
    paths = ("data",)
    trial, best = SeriesTrial, ForecastFolder

    def config(self, given: Mapping[str, Any]) -> ForecastConfig:
        names = [name for name in ("target", "covariates", "quantiles") if name in given]
        return ForecastConfig(**{**given, **{name: _listed(name, given[name]) for name in names}})

    def config_from_json(self, value: Any) -> ForecastConfig:
        return ForecastConfig.from_json(value)

    def check(self, config: ForecastConfig) -> None:
        """A part is always held back."""

    def of_the_start(self, config: ForecastConfig) -> set[str]:
        return set()

    def idle(self, config: ForecastConfig, asked: Mapping[str, Any]) -> Iterator[Idle]:
        names = [name for name in OF_NETS if name in asked]
        if config.epochs == 0 and names:
            yield Idle(names, "without epochs there is no net")

    def usual(self, config: ForecastConfig) -> dict[str, Any]:
        needed = {"data": None, "time": None, "target": None}
        given = {name: getattr(config, name) for name in needed}
        return ForecastConfig(**given).to_json() | needed

    def shared(self, contents: Any = None) -> Shared:
        from fastlstm.tune.series import SharedSeries

        return SharedSeries(contents)

    def load(self, path: Path) -> Any:
        from fastlstm.sklearn import LSTMForecaster

        return LSTMForecaster.load(path)

    def tested(self, metrics: Mapping[str, Any]) -> str:
        error = metrics["models"][MODEL]["mae"]
        return "" if error is None else f", test MAE {error:.4g}"


def _listed(name: str, value: Any) -> list[Any]:
    """Return an option that is a list; of a word alone the list of it."""
    if isinstance(value, str):
        return [value]
    if not isinstance(value, Iterable):
        raise TypeError(f"{name} is {value!r:.60}, expected a list")
    return list(value)


TEXTS, SERIES = OfTexts(), OfSeries()
SUBJECTS: dict[str, Subject] = {one.name: one for one in (TEXTS, SERIES)}


def subject_of(config: object) -> Subject:
    """Return what a study with these options is of."""
    return SERIES if isinstance(config, ForecastConfig) else TEXTS


def subject_for(given: Mapping[str, Any]) -> Subject:
    """Return what a study is of for which these options are given."""
    return SERIES if "time" in given or "target" in given else TEXTS


def subject_at(value: object) -> Subject:
    """Return what the study is of whose ``tune.json`` holds `value`; in earlier versions texts."""
    return SUBJECTS.get(value.get("of", ""), TEXTS) if isinstance(value, Mapping) else TEXTS
