"""The output folder of a forecast: its files and its options."""

from __future__ import annotations

from dataclasses import asdict, dataclass, field, fields
from pathlib import Path
from typing import Any, ClassVar

from fastlstm.files.json_value import read_json
from fastlstm.files.opening import reading
from fastlstm.files.writing import write_json
from fastlstm.forecast.cells import Columns
from fastlstm.forecast.times import check_form
from fastlstm.models.model import LAYERS
from fastlstm.nn.regression_losses import check_quantiles
from fastlstm.text.rows import Reading, check_encoding, read_delimiter
from fastlstm.train.option import LARGEST, TINY, checked, option
from fastlstm.train.output_folder import OutputFolder
from fastlstm.train.record import record, typed

MODEL = "fastlstm"  # what the metrics call the forecaster, beside which others are tested
MOST = 1e300  # of a limit either way: no number that a series may have is beyond it


@dataclass(frozen=True)
class ForecastConfig:
    """Options of a forecast; saved as ``forecast.json``.

    Raises TypeError or ValueError, which names the option, if a value has the wrong type or is
    impossible.
    """

    free_options: ClassVar[tuple[str, ...]] = ("data", "threads")  # may change on resuming

    data: str
    time: str
    target: list[str]
    covariates: list[str] = field(default_factory=list)
    horizon: int = option(24, "steps to forecast", low=1)
    quantiles: list[float] = field(default_factory=lambda: [0.1, 0.5, 0.9])
    context: int | None = option(None, "steps that a forecast reads", low=1, type=int)
    season: int | None = option(None, "steps of a season, 1 for none", low=1, type=int)
    calendar: bool = option(True, "read hour, weekday and day of the year")
    test_split: float = option(0.2, "fraction at the end to test on", low=TINY, below=1)
    cell: str = option("lstm", "kind of the recurrent layers", choices=tuple(LAYERS))
    hidden_size: int = option(64, "units of a recurrent layer", low=1)
    epochs: int | None = option(None, "most passes over the windows", low=0, type=int)
    seed: int = option(0, "of all random numbers", low=0, high=LARGEST)
    threads: int = option(0, "threads of the kernels", low=0, high=1024)
    time_format: str | None = option(None, "how times are written: unix, or as of strptime")
    utc: bool = option(False, "bring times of several zones to UTC")
    fill_gaps: bool = option(False, "take missing steps and values as missing")
    delimiter: str | None = option(None, "of the columns")
    encoding: str | None = option(None, "of the file")
    quotes: bool = option(True, "quotes enclose a field")
    num_layers: int = option(1, "recurrent layers", low=1, high=100, added=True)
    dropout: float = option(0.0, "between recurrent layers and before the head", low=0, below=1,
                            added=True)  # fmt: skip
    lr: float = option(2e-3, "learning rate", low=TINY, added=True)
    batch_size: int = option(64, "windows in a batch", low=1, added=True)
    series: str | None = option(None, "column that tells several series apart", added=True)
    low: float | None = option(None, "least number that a target can be (default: of counts 0)",
                               low=-MOST, type=float, added=True)  # fmt: skip
    high: float | None = option(None, "greatest number that a target can be (default: none)",
                                low=-MOST, type=float, added=True)  # fmt: skip

    def __post_init__(self) -> None:
        for item in fields(self):
            if "type" in item.metadata:
                object.__setattr__(self, item.name, checked(item, getattr(self, item.name)))
        for name in ("data", "time"):
            if not isinstance(getattr(self, name), str):
                raise TypeError(f"{name} is {getattr(self, name)!r:.60}, expected str")
        _check_names("target", self.target)
        _check_names("covariates", self.covariates, least=0)
        check_quantiles(self.quantiles)
        twice = [name for name in self.outputs if self.outputs.count(name) > 1]
        if twice:
            raise ValueError(
                f"target is {self.target} and time {self.time!r}: the forecast would have two "
                f"columns {twice[0]!r}; name one of them otherwise in the table"
            )
        if self.time_format is not None:
            check_form(self.time_format)
        if self.encoding is not None:
            check_encoding(self.encoding)
        if self.delimiter is not None:
            object.__setattr__(self, "delimiter", read_delimiter(self.delimiter))

    def to_json(self) -> dict[str, Any]:
        """Return a plain dict."""
        return asdict(self)

    @classmethod
    def from_json(cls, value: object) -> ForecastConfig:
        """Invert `to_json`; ValueError or TypeError if it is none."""
        return record(cls, value)

    @property
    def columns(self) -> Columns:
        return Columns(
            self.time, tuple(self.target), tuple(self.covariates), self.time_format, self.utc,
            self.fill_gaps, self.series,
        )  # fmt: skip

    @property
    def outputs(self) -> list[str]:
        """Names of the columns of the forecast.

        The series, if several are told apart, the time, each target's median and quantiles.
        """
        levels = ["", *(f"_q{level}" for level in self.quantiles)]
        series = [] if self.series is None else [self.series]
        return [
            *series,
            self.time,
            *(f"{target}{level}" for target in self.target for level in levels),
        ]

    @property
    def how(self) -> Reading:
        return Reading(delimiter=self.delimiter, encoding=self.encoding, quotes=self.quotes)


def _check_names(name: str, columns: object, least: int = 1) -> None:
    """Raise TypeError unless these are names of columns, ValueError if they are too few."""
    if not isinstance(columns, list) or not all(isinstance(one, str) for one in columns):
        raise TypeError(f"{name} is {columns!r:.60}, expected a list of names of columns")
    if len(columns) < least:
        raise ValueError(f"{name} is {columns!r}, expected the name of a column or several")


class ForecastFolder(OutputFolder):
    """A folder with ``forecast.json`` holds a forecast; with ``metrics.json`` it is finished."""

    FILES = (
        "metrics.json", "forecast.csv", "forecast.png", "model.safetensors",
        "checkpoint.safetensors", "forecast.json",
    )  # fmt: skip
    NOUN = "forecast"
    NAMES = frozenset(item.name for item in fields(ForecastConfig) if "added" not in item.metadata)

    def __init__(self, path: str | Path) -> None:
        super().__init__(path)
        files = [self.path / name for name in self.FILES]
        self.metrics, self.forecast, self.picture, self.model, self.checkpoint, _ = files

    @property
    def finished(self) -> bool:
        return self.metrics.exists()

    def begin(self, config: ForecastConfig) -> None:
        """Start a new run: remove the files of an earlier one, write the options."""
        if not self.writes:
            return
        self.clear()
        self.path.mkdir(parents=True, exist_ok=True)
        write_json(self.mark, config.to_json())

    def read_config(self) -> ForecastConfig:
        """Return the options; ValueError names the file if it is damaged."""
        with reading(self.mark):
            return ForecastConfig.from_json(read_json(self.mark))

    def read_metrics(self) -> dict[str, Any]:
        """Return ``metrics.json`` of a finished run; ValueError names the file if it is damaged."""
        with reading(self.metrics, way=self.WITHOUT_METRICS):
            found = read_json(self.metrics)
            if not isinstance(found, dict):
                raise ValueError("it is no object")
            self._check_metrics(found)
            return found

    def _check_metrics(self, metrics: dict[str, Any]) -> None:
        """Raise ValueError unless these are the metrics of a forecast that was tested."""
        models = metrics.get("models")
        own = models.get(MODEL) if isinstance(models, dict) else None
        if not isinstance(own, dict) or "mae" not in own:
            raise ValueError(f"it has no mae of {MODEL} among its models")
        typed(float | None, own["mae"], "mae")

    def finish(self, metrics: dict[str, Any]) -> None:
        """Write ``metrics.json``, which ends the run, and remove the checkpoint."""
        if not self.writes:
            return
        write_json(self.metrics, metrics)
        self.checkpoint.unlink(missing_ok=True)
