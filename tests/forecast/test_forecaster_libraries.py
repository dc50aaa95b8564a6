"""Series of other libraries than pandas: as the same numbers and times, or refused by name."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

pytest.importorskip("sklearn")

from waves import wave

from fastlstm.column_types import refuse_times, types_of
from fastlstm.sklearn import LSTMForecaster

STEPS = 200
Y = wave()[:STEPS]
X = np.random.default_rng(0).normal(size=(STEPS + 6, 1))
HOURS = np.datetime64("2024-01-01", "us") + np.arange(STEPS + 6) * np.timedelta64(1, "h")


def fitted(y: Any = Y, X: Any = None, **given: Any) -> LSTMForecaster:
    """Return a forecaster without a net."""
    return LSTMForecaster(horizon=6, epochs=0, season=12, random_state=0).fit(y, X, **given)


class Table:
    """A table of a library that tells the types of its columns as narwhals does."""

    columns = ("load", "loss")

    def __init__(self, *types: str) -> None:
        self._types = types

    @property
    def schema(self) -> dict[str, str]:
        return dict(zip(self.columns, self._types, strict=True))

    def __array__(self, dtype: Any = None, copy: bool | None = None) -> Any:
        return np.stack([Y, 2 * Y], axis=1)


def test_types_of_columns_are_found_in_a_schema_that_is_a_mapping() -> None:
    assert types_of(Table("Float64", "Int64")) == ["Float64", "Int64"]
    assert fitted(Table("Float64", "Float64")).predict().shape == (6, 2)
    with pytest.raises(TypeError, match="y has times in the column 'loss' of the type Datetime"):
        refuse_times("y", Table("Float64", "Datetime"))


@pytest.mark.parametrize("name", ["y", "X"])
def test_what_is_no_array_is_refused_by_its_type(name: str) -> None:
    class LazyFrame:
        """Of which NumPy makes an array without dimensions."""

    with pytest.raises(TypeError, match=f"{name} is a LazyFrame, of which NumPy makes no array"):
        fitted(**{"y": Y, name: LazyFrame()})


def test_columns_of_polars() -> None:
    polars = pytest.importorskip("polars")
    expected = fitted(Y, X[:STEPS], stamps=HOURS[:STEPS]).predict(X=X[STEPS:])
    known = polars.DataFrame({"price": X[:, 0]})
    found = fitted(polars.Series("load", Y), known[:STEPS], stamps=polars.Series(HOURS[:STEPS]))
    assert np.array_equal(found.predict(X=known[STEPS:]), expected)
    both = polars.Series("load", [{"a": value, "b": 2 * value} for value in Y.tolist()])
    assert fitted(both).series_[0].names == ["target 0", "target 1"]


def test_arrays_of_xarray_have_their_times() -> None:
    xarray = pytest.importorskip("xarray")
    expected = fitted(Y, X[:STEPS], stamps=HOURS[:STEPS])
    y = xarray.DataArray(Y, dims="time", coords={"time": HOURS[:STEPS]})
    known = xarray.DataArray(X, dims=("time", "feature"), coords={"time": HOURS})
    found = fitted(y, known)
    assert found.forecaster_.framing.calendar == expected.forecaster_.framing.calendar
    assert np.array_equal(found.predict(X=known), expected.predict(X=X[STEPS:]))
