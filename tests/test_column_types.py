"""Tables of any library: what is no number is told, whatever NumPy would make of it."""

from __future__ import annotations

from datetime import datetime, timedelta
from decimal import Decimal
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

from fastlstm.column_types import as_floats, has_zone, refuse_times, types_of
from fastlstm.forecast.measures import coverage, mae, naive_error
from fastlstm.forecast.series import read_series
from fastlstm.forecast.stamps import as_stamps

STEPS = 60
NUMBERS = np.sin(np.arange(float(STEPS)))
DAYS = np.datetime64("2024-01-01", "us") + np.arange(STEPS) * np.timedelta64(1, "D")


class Frame:
    """What polars has of a table: NumPy gets the numbers of which its times are made."""

    dtypes = ("Float64", "Datetime(time_unit='us', time_zone=None)")
    columns = ("load", "time")
    shape = (STEPS, 2)

    def __array__(self, dtype: Any = None, copy: Any = None) -> np.ndarray:
        return np.stack([NUMBERS, DAYS.astype(np.float64)], axis=1)


class Table:
    """What Arrow has of a table, of which NumPy makes no array beside times."""

    schema = SimpleNamespace(types=["double", "timestamp[us]"])
    column_names = ("load", "time")
    columns = (NUMBERS, DAYS)
    shape = (STEPS, 2)

    def __array__(self, dtype: Any = None, copy: Any = None) -> np.ndarray:
        return np.stack(self.columns, axis=1)


class Zoned:
    """What polars and Arrow have of a column of times with a zone: NumPy gets them in UTC."""

    def __init__(self, **kind: Any) -> None:
        self.__dict__.update(kind)

    def __array__(self, dtype: Any = None, copy: Any = None) -> np.ndarray:
        return DAYS


TABLES = [Frame(), Table()]
TOLD = r"times in the column 'time' of the type (Datetime\(.*\)|timestamp\[us\]), expected numbers"


@pytest.mark.parametrize("table", TABLES, ids=["frame", "table"])
def test_times_beside_numbers_are_no_targets(table: Any) -> None:
    with pytest.raises(TypeError, match=f"y has {TOLD}: the times of a series are its stamps"):
        read_series("y", table)
    with pytest.raises(TypeError, match=f"X has {TOLD}"):
        read_series("y", NUMBERS, table)


@pytest.mark.parametrize("table", TABLES, ids=["frame", "table"])
def test_times_are_told_by_the_estimators(table: Any) -> None:
    pytest.importorskip("sklearn", minversion="1.6")
    from fastlstm.sklearn import LSTMRegressor

    model = LSTMRegressor(epochs=1, hidden_size=2)
    with pytest.raises(TypeError, match=f"X has {TOLD}: leave them out"):
        model.fit(table, NUMBERS)
    with pytest.raises(TypeError, match=rf"X\[0\] has {TOLD}"):
        model.fit([table], [1.0])
    with pytest.raises(TypeError, match=f"y has {TOLD}"):
        model.fit(np.ones((STEPS, 2)), table)
    with pytest.raises(TypeError, match="sample_weight has times of the type datetime64"):
        model.fit(np.ones((STEPS, 2)), NUMBERS, sample_weight=DAYS)


@pytest.mark.parametrize(
    "kind", [{"dtype": SimpleNamespace(time_zone="UTC")}, {"type": SimpleNamespace(tz="UTC")}]
)
def test_stamps_with_a_zone_are_refused(kind: dict[str, Any]) -> None:
    assert has_zone(Zoned(**kind))
    with pytest.raises(ValueError, match="stamps has times with a zone: bring them to one"):
        as_stamps("stamps", Zoned(**kind))
    none = {name: SimpleNamespace(tz=None, time_zone=None) for name in kind}
    assert (as_stamps("stamps", Zoned(**none)) == DAYS).all()


def test_times_have_no_errors() -> None:
    values = np.arange(3.0)
    with pytest.raises(TypeError, match="actual has times of the type datetime64"):
        mae(DAYS[:3], values)
    with pytest.raises(TypeError, match="forecast has times of the type timedelta64"):
        mae(values, DAYS[:3] - DAYS[0])
    with pytest.raises(TypeError, match="high has times"):
        coverage(values, values, DAYS[:3])
    with pytest.raises(TypeError, match="y has times"):
        naive_error(DAYS)
    assert mae([Decimal(1), None, 5], [2.0, 3.0, 2.0]) == 2.0


def test_a_list_of_columns_is_of_several_series() -> None:
    pytest.importorskip("sklearn", minversion="1.6")
    from fastlstm.sklearn.given_series import read_all

    class Column:
        """What Arrow has of a column, without a shape."""

        def __init__(self, values: Any) -> None:
            self.values = values

        def __array__(self, dtype: Any = None, copy: Any = None) -> np.ndarray:
            return np.asarray(self.values)

    first, second = read_all([Column(NUMBERS), Column(2 * NUMBERS)], None, None)
    assert np.array_equal(first.y, NUMBERS[:, None])
    assert np.array_equal(second.y, 2 * NUMBERS[:, None])


@pytest.mark.parametrize("library", ["pandas", "polars", "pyarrow"])
def test_libraries_tell_what_the_look_alikes_do(library: str) -> None:
    made = pytest.importorskip(library)
    make = made.table if library == "pyarrow" else made.DataFrame
    times = [datetime(2024, 1, 1) + timedelta(days=n) for n in range(3)]
    for others in (times, [timedelta(days=n) for n in range(3)]):
        table = make({"load": [1.0, 2.0, 3.0], "dtype": [1, 2, 3], "schema": others})
        assert len(types_of(table)) == 3
        with pytest.raises(TypeError, match="y has times in the column 'schema' of the type"):
            refuse_times("y", table)
    missing = make({"a": [1.5, 2.0], "b": [1, None], "c": [True, False]})
    refuse_times("y", missing)
    assert np.array_equal(as_floats("y", missing), [[1.5, 1, 1], [2, np.nan, 0]], equal_nan=True)


def test_objects_are_numbers_or_missing() -> None:
    given = np.array([[1, None, Decimal("2.5")], [True, np.float32(0.5), 7]], object)
    found = as_floats("y", given)
    assert found.dtype == np.float64
    assert np.array_equal(found, [[1, np.nan, 2.5], [1, 0.5, 7]], equal_nan=True)
    assert as_floats("y", np.ones(2, np.float32)).dtype == np.float32
    assert as_floats("y", np.array(["1.5", "2"]), written=True).tolist() == [1.5, 2]


@pytest.mark.parametrize(
    ("value", "error"),
    [
        ("1", ValueError),
        (b"1", ValueError),
        (10**400, ValueError),
        (1j, TypeError),
        (np.complex64(1), TypeError),
        (datetime(2024, 1, 1), TypeError),
        (np.timedelta64(5, "ns"), TypeError),
        (np.array([1.0]), TypeError),
        ({}, TypeError),
    ],
)
def test_what_is_no_number_is_told_with_its_place(value: Any, error: Any) -> None:
    given = np.empty((2, 2), object)
    given[:] = 0.0
    given[1, 0] = value
    with pytest.raises(error, match=r"y\[1, 0\] is .*, expected a number: "):
        as_floats("y", given)


@pytest.mark.parametrize("kind", ["datetime64[s]", "timedelta64[s]", "complex128"])
def test_arrays_of_other_kinds_are_told(kind: str) -> None:
    with pytest.raises(TypeError, match="y has dtype .* and shape \\(2,\\), expected numbers"):
        as_floats("y", np.zeros(2, kind))


def test_nullable_numbers_of_pandas_are_read_in_lists() -> None:
    pytest.importorskip("sklearn", minversion="1.6")
    pandas = pytest.importorskip("pandas")
    from fastlstm.sklearn import LSTMRegressor

    given = [{"a": [1.5, 2.5], "b": [1, 3]}, {"a": [0.0, 4.0], "b": [2, 2]}]
    nullable = [pandas.DataFrame(one).astype({"a": "Float64", "b": "Int64"}) for one in given]
    model = LSTMRegressor(epochs=1, hidden_size=2).fit(nullable, [1.0, 2.0])
    assert model.reader_.mean.tolist() == [2.0, 2.0]
    nullable[1].loc[0, "b"] = pandas.NA
    with pytest.raises(ValueError, match="Input X contains NaN"):
        model.predict(nullable)


def test_decimals_are_targets_and_text_is_told() -> None:
    pytest.importorskip("sklearn", minversion="1.6")
    from fastlstm.sklearn import LSTMRegressor

    model = LSTMRegressor(epochs=1, hidden_size=2)
    X = np.arange(6.0).reshape(3, 2)
    fitted = model.fit(X, [Decimal("0.5"), Decimal(1), Decimal("1.5")])
    assert fitted.target_scale_.mean.tolist() == [1.0]
    with pytest.raises(ValueError, match="Input y contains NaN"):
        model.fit(X, np.array([1, None, 2], object))
    with pytest.raises(ValueError, match=r"X\[1, 1\] is 'late', expected a number"):
        model.fit(np.array([[1, 2], [3, "late"], [5, 6]], object), [1, 2, 3])
    with pytest.raises(ValueError, match=r"sample_weight\[0\] is 'a', expected a number"):
        model.fit(X, [1, 2, 3], sample_weight=["a", "b", "c"])


def test_what_is_no_number_is_told_with_its_column() -> None:
    pandas = pytest.importorskip("pandas")
    table = pandas.DataFrame({"a": [1.0, 2.0], "b": [3, "late"]})
    told = r"\[1, 1\] in the column 'b' is 'late', expected a number"
    for read in (as_floats, read_series):
        with pytest.raises(ValueError, match=f"y{told}"):
            read("y", table)
    with pytest.raises(TypeError, match=r"y has times in the column 'b' of the type period\[D\]"):
        refuse_times("y", table.assign(b=pandas.period_range("2024", periods=2, freq="D")))


def test_each_column_of_arrow_is_read_as_it_is() -> None:
    pytest.importorskip("sklearn", minversion="1.6")
    pandas, pa = pytest.importorskip("pandas"), pytest.importorskip("pyarrow")
    from fastlstm.sklearn import LSTMRegressor

    def table(**columns: Any) -> Any:
        return pa.table(columns).to_pandas(types_mapper=pandas.ArrowDtype)

    halves, prices = [0.5, 1.5], pa.array([2, 4]).cast(pa.decimal128(30, 2))
    read = table(halves=halves, prices=prices)
    assert as_floats("y", read).tolist() == [[0.5, 2], [1.5, 4]]
    model = LSTMRegressor(epochs=1, hidden_size=2).fit(read, read)
    assert model.feature_names_in_.tolist() == ["halves", "prices"]
    assert model.reader_.mean.tolist() == [2.0]
    for column in (["x", "y"], pa.array(["x", "y"]).dictionary_encode()):
        with pytest.raises(ValueError, match=r"X\[0, 1\] in the column 'kind' is 'x', expected"):
            model.fit(table(halves=halves, kind=column), [1, 2])
    with pytest.raises(TypeError, match=r"X\[0, 1\] in the column 'kind' is array\(\[1\]\), exp"):
        model.fit(table(halves=halves, kind=[[1], [2]]), [1, 2])
    with pytest.raises(ValueError, match="feature names should match"):
        model.predict(table(prices=prices, halves=halves))
