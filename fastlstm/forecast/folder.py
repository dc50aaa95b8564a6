"""The output folder of a forecast: its files and its options."""

from __future__ import annotations

from dataclasses import asdict, dataclass, fields
from pathlib import Path
from typing import Any

from fastlstm.forecast.reading import Columns
from fastlstm.text.json_value import read_json
from fastlstm.text.rows import Reading
from fastlstm.train.files import reading, write_json
from fastlstm.train.output_folder import OutputFolder
from fastlstm.train.record import record


@dataclass(frozen=True)
class ForecastConfig:
    """Options of a forecast; saved as ``forecast.json``."""

    data: str
    time: str
    target: list[str]
    covariates: list[str]
    horizon: int
    quantiles: list[float]
    context: int | None
    season: int | None
    calendar: bool
    test_split: float
    cell: str
    hidden_size: int
    epochs: int | None
    seed: int
    threads: int
    time_format: str | None
    utc: bool
    fill_gaps: bool
    delimiter: str | None
    encoding: str | None
    quotes: bool

    @property
    def columns(self) -> Columns:
        return Columns(
            self.time, tuple(self.target), tuple(self.covariates), self.time_format, self.utc,
            self.fill_gaps,
        )  # fmt: skip

    @property
    def how(self) -> Reading:
        return Reading(delimiter=self.delimiter, encoding=self.encoding, quotes=self.quotes)


class ForecastFolder(OutputFolder):
    """A folder with ``forecast.json`` holds a forecast; with ``metrics.json`` it is finished."""

    FILES = (
        "metrics.json", "forecast.csv", "forecast.png", "model.safetensors",
        "checkpoint.safetensors", "forecast.json",
    )  # fmt: skip
    NOUN = "forecast"
    NAMES = frozenset(item.name for item in fields(ForecastConfig))

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
        write_json(self.mark, asdict(config))

    def read_config(self) -> ForecastConfig:
        """Return the options; ValueError names the file if it is damaged."""
        with reading(self.mark):
            return record(ForecastConfig, read_json(self.mark))

    def read_metrics(self) -> dict[str, Any]:
        """Return ``metrics.json`` of a finished run; ValueError names the file if it is damaged."""
        with reading(self.metrics):
            found = read_json(self.metrics)
            if not isinstance(found, dict):
                raise ValueError("it is no object")
            return found

    def finish(self, metrics: dict[str, Any]) -> None:
        """Write ``metrics.json``, which ends the run, and remove the checkpoint."""
        if not self.writes:
            return
        write_json(self.metrics, metrics)
        self.checkpoint.unlink(missing_ok=True)
