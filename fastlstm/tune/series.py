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
        self._read: tuple[list[Table], list[int]] | None = None
        self._linear: tuple[tuple[Any, ...], Linear] | None = None

    def begin(self, config: ForecastConfig, bars: bool = False) -> tuple[dict[str, Any], str, str]:
        tables, starts = self.tables(config)
        steps, start = sum(len(table.series) for table in tables), sum(starts)
        held = sum(_held(config, start) for start in starts)
        parts = (
            f"{count_of(start - held, 'step')} to train on, {held:,} to choose by, "
            f"{steps - start:,} that no trial sees"
        )
        what = count_of(steps, "step")
        if len(tables) > 1:
            what = f"{len(tables):,} series with {what}"
        return {}, f"{Path(config.data).name}, {what}", parts

    def train(
        self, config: ForecastConfig, run: Any, judge: Judge, bars: bool = False
    ) -> dict[str, Any]:
        metrics: dict[str, Any]
        if run.finished:  # it was killed before it could tell
            with reading_trial():
                metrics = run.read_metrics()
            return metrics
        tables, starts = self.tables(config)

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
                config, tables, starts, run.checkpoint, verbose=2 * bars, linear=linear,
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
        tables, starts = self.tables(config)
        runs.save_model(kept.model, config, forecaster, tables)
        tested = runs.tested(config, kept, tables, starts, forecaster)
        return {**tested, **metrics}

    def tables(self, config: ForecastConfig) -> tuple[list[Table], list[int]]:
        """Return the tables, and how many steps of each are before the test.

        Errors as of `run.checked`; ValueError if nothing is known of the steps to choose by;
        DataChangedError if it is another table than before.
        """
        if self._read is None:
            found = runs.checked(config)
            _check_held(config, *found)
            self.read(runs.contents(found[0]), config.data)
            self._read = found
        return self._read


def _held(config: ForecastConfig, start: int) -> int:
    return held_back(start, runs.HELD_BACK, config.horizon)


def _check_held(config: ForecastConfig, tables: Sequence[Table], starts: Sequence[int]) -> None:
    """Raise ValueError if no value of any series is known of the steps to choose by."""
    held = [_held(config, start) for start in starts]
    parts = [
        table.series.y[start - count : start]
        for table, start, count in zip(tables, starts, held, strict=True)
    ]
    if all(np.isnan(part).all() for part in parts):
        raise ValueError(
            f"{config.data} has no value in the {count_of(sum(held), 'step')} before the test, "
            "expected some: a study chooses by them; give another test_split="
        )
