"""A series that the trials of a study share, read once, and its linear part, fitted once."""

from __future__ import annotations

import io
from collections.abc import Sequence
from contextlib import redirect_stdout
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from fastlstm.counts import count_of
from fastlstm.files.writing import write_file
from fastlstm.forecast import run as runs
from fastlstm.forecast.folder import ForecastConfig
from fastlstm.forecast.forecaster import Fitted
from fastlstm.forecast.framing import Framing, held_back
from fastlstm.forecast.judging import judged
from fastlstm.forecast.linear import Linear, best_linear
from fastlstm.forecast.net import measured
from fastlstm.forecast.reading import Table
from fastlstm.forecast.saving import load_forecaster, save_forecaster
from fastlstm.forecast.series import Series
from fastlstm.runtime import num_threads
from fastlstm.tune.shared import Shared, reading_trial
from fastlstm.tune.trial import Judge


class SharedSeries(Shared):
    """Keeps the table, and the linear part of the last options that it depends on."""

    def __init__(self, contents: Any = None) -> None:
        super().__init__(contents)
        self._read: tuple[Table, int] | None = None
        self._linear: tuple[tuple[Any, ...], Linear] | None = None

    def begin(self, config: ForecastConfig, bars: bool = False) -> tuple[dict[str, Any], str, str]:
        table, start = self.table(config)
        steps, held = len(table.series), held_back(start, runs.HELD_BACK, config.horizon)
        parts = (
            f"{count_of(start - held, 'step')} to train on, {held:,} to choose by, "
            f"{steps - start:,} that no trial sees"
        )
        return {}, f"{Path(config.data).name}, {count_of(steps, 'step')}", parts

    def train(
        self, config: ForecastConfig, run: Any, judge: Judge, bars: bool = False
    ) -> dict[str, Any]:
        metrics: dict[str, Any]
        if run.finished:  # it was killed before it could tell
            with reading_trial():
                metrics = run.read_metrics()
            return metrics
        table, start = self.table(config)

        def listeners(begun: Fitted) -> list[Judge]:
            before = getattr(measured(begun.forecaster.net, *begun.held), judge.by)
            judge.unit = judged(begun)[judge.by] / before if before else 1.0
            return [judge]

        def linear(series: Sequence[Series], framing: Framing, held: float, longer: bool) -> Linear:
            key = (config.context, config.season, config.calendar)
            if self._linear is None or self._linear[0] != key:
                self._linear = None  # two are not kept at a time
                self._linear = key, best_linear(series, framing, held, longer)
            return self._linear[1]

        with run.locked(), num_threads(config.threads or None), redirect_stdout(io.StringIO()):
            if not run.holds_run:
                run.begin(config)
            found = runs.trained(
                config, table, start, run.checkpoint, verbose=2 * bars, linear=linear,
                listeners=listeners,
            )  # fmt: skip
            save_forecaster(run.model, found.forecaster, [])
            history = found.forecaster.history
            metrics = {f"validation_{name}": value for name, value in judged(found).items()}
            metrics |= {
                "best_epoch": history.best if history else 0,
                "epochs": len(history.epochs) if history else 0,
                "train_seconds": history.seconds if history else 0.0,
            }
            run.finish(metrics)
        return metrics

    def keep(self, run: Any, kept: Any, threads: int) -> dict[str, Any]:
        with reading_trial():
            config, metrics = run.read_config(), run.read_metrics()
            forecaster, _, _ = load_forecaster(run.model)
        kept.begin(replace(config, threads=threads))
        write_file(kept.model, run.model.read_bytes())
        table, start = self.table(config)
        tested = runs.tested(config, kept, table, start, forecaster)
        return {**tested, **metrics}

    def table(self, config: ForecastConfig) -> tuple[Table, int]:
        """Return the table, and how many steps are before the test.

        Errors as of `run.checked`; ValueError if nothing is known of the steps to choose by;
        DataChangedError if it is another table than before.
        """
        if self._read is None:
            found = runs.checked(config)
            _check_held(config, *found)
            self.read(runs.contents(found[0]), config.data)
            self._read = found
        return self._read


def _check_held(config: ForecastConfig, table: Table, start: int) -> None:
    held = held_back(start, runs.HELD_BACK, config.horizon)
    if np.isnan(table.series.y[start - held : start]).all():
        raise ValueError(
            f"{config.data} has no value in the {count_of(held, 'step')} before the test, expected "
            "some: a study chooses by them; give another test_split="
        )
