"""Tables of pandas: what their columns and their index say is believed, or refused."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

pytest.importorskip("sklearn")
pandas = pytest.importorskip("pandas")

from waves import wave  # noqa: E402

from fastlstm.sklearn import LSTMForecaster  # noqa: E402

STEPS = 200
DAYS = pandas.date_range("2024-01-01", periods=STEPS + 6, freq="D")


def linear(**params: Any) -> LSTMForecaster:
    """Return a forecaster without a net."""
    return LSTMForecaster(horizon=6, epochs=0, season=12, random_state=0, **params)


@pytest.fixture(scope="module")
def known() -> Any:
    """Return two features of all days, one of them large."""
    rng = np.random.default_rng(0)
    return pandas.DataFrame(
        {"price": rng.normal(size=len(DAYS)), "heat": 100 * rng.normal(size=len(DAYS))}, index=DAYS
    )


@pytest.fixture(scope="module")
def two(known: Any) -> LSTMForecaster:
    """A forecaster of two targets with two features."""
    return linear().fit(targets(known), known[:STEPS])


def targets(known: Any) -> Any:
    y = wave()[:STEPS] + 2 * known.price.to_numpy()[:STEPS]
    return pandas.DataFrame({"load": y, "loss": y * y}, index=DAYS[:STEPS])


@pytest.mark.parametrize(
    ("call", "name"),
    [
        (lambda found, y, X: found.predict(X=X[["heat", "price"]][STEPS:]), "X"),
        (lambda found, y, X: found.predict(X=X[["heat", "price"]], y=y), "X"),
        (lambda found, y, X: found.predict(X=X, y=y[["loss", "load"]]), "y"),
        (lambda found, y, X: found.backtest(y, X=X[["heat", "price"]][:STEPS]), "X"),
        (lambda found, y, X: found.backtest(y[["loss", "load"]], X=X[:STEPS]), "y"),
        (
            lambda found, y, X: found.score(
                y[:6].set_axis(DAYS[STEPS:]), X[["heat", "price"]][STEPS:]
            ),
            "X",
        ),
        (
            lambda found, y, X: linear().fit([y, y], [X[:STEPS], X[["heat", "price"]][:STEPS]]),
            r"X\[1\]",
        ),
        (lambda found, y, X: linear().fit([y, y[["loss", "load"]]]), r"y\[1\]"),
    ],
)
def test_columns_in_another_order_than_in_fit_are_named(
    two: LSTMForecaster, known: Any, call: Callable[..., Any], name: str
) -> None:
    told = f"column 0 of {name} is '(heat|loss)', which was column 1 in fit"
    with pytest.raises(ValueError, match=told):
        call(two, targets(known), known)


def test_a_kept_forecaster_knows_its_columns(
    two: LSTMForecaster, known: Any, tmp_path: Path
) -> None:
    two.save(tmp_path / "two.safetensors")
    kept = LSTMForecaster.load(tmp_path / "two.safetensors")
    assert np.array_equal(kept.predict(X=known), two.predict(X=known[STEPS:]))
    with pytest.raises(ValueError, match="column 0 of X is 'heat'"):
        kept.predict(X=known[["heat", "price"]])


def test_columns_may_have_other_names_than_in_fit(two: LSTMForecaster, known: Any) -> None:
    other = known.rename(columns={"price": "price expected"})
    pandas.testing.assert_frame_equal(two.predict(X=other), two.predict(X=known))
