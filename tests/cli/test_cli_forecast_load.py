"""A run of ``fastlstm forecast`` in Python: the forecaster goes on from the end of its table."""

from __future__ import annotations

import csv
import shutil
from pathlib import Path

import numpy as np
import pytest

pytest.importorskip("sklearn")

from test_cli_forecast import HOURS, QUICK, forecast, lines, write
from test_cli_forecast_panel import COLUMNS, flat, shops
from test_cli_forecast_panel import write as write_panel

import fastlstm as fl
from fastlstm.forecast.folder import ForecastFolder
from fastlstm.forecast.saving import load_forecaster, save_forecaster
from fastlstm.sklearn import LSTMForecaster
from fastlstm.train.checkpoint import CheckpointError


@pytest.fixture(autouse=True, scope="module")
def no_pictures() -> object:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("fastlstm.forecast.picture.draw_run", lambda *_: None)
        yield


@pytest.fixture(scope="module")
def done(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of a finished forecast with a covariate, of times with a zone."""
    folder = tmp_path_factory.mktemp("forecast")
    rows = [[f"{row[0]}+02:00", *row[1:]] for row in lines(ahead=6)]
    data = write(folder / "load.csv", rows)
    line = [data, "--time", "hour", "--target", "load", "--covariates", "price", *QUICK]
    assert forecast(*line, "--out", folder / "run") == 0
    return folder / "run"


def written(run: Path, *names: str) -> np.ndarray:
    """Return columns of the future that a run has written, [rows, columns]."""
    rows = list(csv.DictReader((run / "forecast.csv").read_text(encoding="utf-8").splitlines()))
    return np.array([[float(row[name]) for name in names] for row in rows])


def test_it_forecasts_what_the_run_wrote(done: Path) -> None:
    price = np.array([float(row[2]) for row in lines(ahead=6)])[:, None]
    levels = ["load_q0.1", "load_q0.5", "load_q0.9"]
    for made in (
        fl.load(done),
        LSTMForecaster.load(str(done)),
        fl.load(done / "model.safetensors"),
    ):
        assert isinstance(made, LSTMForecaster)
        assert (made.horizon, made.hidden_size, made.random_state) == (6, 4, 0)
        found = made.predict(X=price[150:], quantiles=made.quantiles)
        np.testing.assert_allclose(found, written(done, *levels), rtol=1e-5)
        np.testing.assert_allclose(
            made.predict(X=price[150:]), written(done, "load")[:, 0], rtol=1e-5
        )
    y = np.array([float(row[1]) for row in lines()])
    again = made.predict(y=y, X=price, stamps=HOURS)
    np.testing.assert_array_equal(again, made.predict(X=price[150:]))
    assert made.backtest(y, 120, X=price[:150], stamps=HOURS).mae > 0


def test_times_of_pandas_are_those_of_its_zone(done: Path) -> None:
    pandas = pytest.importorskip("pandas")
    y = np.array([float(row[1]) for row in lines()])
    price = pandas.Series(
        [float(row[2]) for row in lines(ahead=6)],
        index=pandas.date_range("2024-01-01", periods=156, freq="h", tz="+02:00"),
    )
    made = fl.load(done)
    series = pandas.Series(y, index=price.index[:150].tz_convert("Europe/London"))
    found = made.predict(y=series, X=price)
    assert found.index[0] == price.index[150]
    np.testing.assert_array_equal(found, made.predict(X=price.to_numpy()[150:, None]))


def test_of_several_series(tmp_path: Path) -> None:
    data = write_panel(tmp_path / "shops.csv", flat(shops()))
    assert forecast(data, *COLUMNS, *QUICK, "--out", tmp_path / "run") == 0
    found = fl.load(tmp_path / "run").predict()
    assert [len(one) for one in found] == [6, 6, 6]
    expected = written(tmp_path / "run", "sold")[:, 0]
    np.testing.assert_allclose(np.concatenate(found), expected, rtol=1e-5)


def test_a_run_of_an_earlier_version_kept_no_series(done: Path, tmp_path: Path) -> None:
    earlier = ForecastFolder(shutil.copytree(done, tmp_path / "run"))
    save_forecaster(earlier.model, load_forecaster(earlier.model)[0], [])
    for path in (earlier.path, earlier.model):
        with pytest.raises(CheckpointError, match="forecaster without its series.*--from"):
            fl.load(path)
    assert forecast("--from", earlier.path, done.parent / "load.csv") == 0


def test_a_run_that_is_not_finished_is_told(done: Path, tmp_path: Path) -> None:
    begun = Path(shutil.copytree(done, tmp_path / "run"))
    (begun / "metrics.json").unlink()
    for load in (fl.load, LSTMForecaster.load):
        with pytest.raises(FileNotFoundError, match="holds no finished forecast"):
            load(begun)
    with pytest.raises(FileNotFoundError, match="holds no finished forecast"):
        LSTMForecaster.load(tmp_path)
