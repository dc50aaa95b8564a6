"""``fastlstm forecast --series``: several series in one table, one model of all."""

from __future__ import annotations

import csv
import json
import shlex
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from test_cli_forecast import QUICK, forecast

from fastlstm.comma_list import join_names, split_names

HEADER = ["shop", "day", "sold", "price"]
COLUMNS = ["--series", "shop", "--time", "day", "--target", "sold"]
NAMES = ("north", "süd", "7")
FIRST = np.datetime64("2024-01-01")


def shop(
    name: str, seed: int, count: int, *, factor: float = 1.0, ahead: int = 0
) -> list[list[str]]:
    """Return the rows of a shop with a week's season, and of days after its last sale."""
    rng = np.random.default_rng(seed)
    steps = np.arange(count + ahead)
    price = rng.normal(size=len(steps))
    sold = factor * (20 + 5 * np.sin(steps * 2 * np.pi / 7) + price)
    days = FIRST + steps.astype("timedelta64[D]")
    return [
        [name, str(days[n]), f"{sold[n]:.4f}" if n < count else "", f"{price[n]:.4f}"]
        for n in steps.tolist()
    ]


def shops() -> list[list[list[str]]]:
    """Return the rows of three shops of several lengths."""
    return [shop(name, n, 150 + 20 * n, factor=10.0**n, ahead=6) for n, name in enumerate(NAMES)]


def write(path: Path, rows: list[list[str]], header: list[str] | None = None) -> Path:
    with open(path, "w", newline="", encoding="utf-8") as file:
        csv.writer(file).writerows([header or HEADER, *rows])
    return path


def flat(parts: list[list[list[str]]]) -> list[list[str]]:
    return [row for part in parts for row in part]


def read(path: Path) -> list[dict[str, str]]:
    return list(csv.DictReader(path.read_text(encoding="utf-8").splitlines()))


@pytest.fixture(autouse=True)
def no_pictures(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("fastlstm.forecast.picture.draw_run", lambda *_: None)


@pytest.fixture(scope="module")
def done(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of a finished forecast of three shops with a covariate."""
    folder = tmp_path_factory.mktemp("panel")
    data = write(folder / "shops.csv", flat(shops()))
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("fastlstm.forecast.picture.draw_run", lambda *_: None)
        line = [data, *COLUMNS, "--covariates", "price", *QUICK, "--out", folder / "run"]
        assert forecast(*line) == 0
    return folder / "run"


def test_each_series_is_forecast_from_its_own_end(done: Path) -> None:
    rows = read(done / "forecast.csv")
    assert list(rows[0]) == ["shop", "day", "sold", "sold_q0.1", "sold_q0.5", "sold_q0.9"]
    assert [row["shop"] for row in rows] == [name for name in NAMES for _ in range(6)]
    for n, name in enumerate(NAMES):
        own = [row for row in rows if row["shop"] == name]
        end = FIRST + np.timedelta64(150 + 20 * n, "D")
        assert [row["day"] for row in own] == [str(end + np.timedelta64(h, "D")) for h in range(6)]
        sold = [float(row["sold"]) for row in own]
        assert all(10 < value / 10.0**n < 30 for value in sold)


def test_measures_are_those_of_each_series_and_of_all(done: Path) -> None:
    metrics = json.loads((done / "metrics.json").read_text(encoding="utf-8"))
    own = metrics["series"]
    assert list(own) == list(NAMES)
    lengths = [150, 170, 190]
    tests = [round(0.2 * count) for count in lengths]
    assert (metrics["train_steps"], metrics["test_steps"]) == (
        sum(lengths) - sum(tests),
        sum(tests),
    )
    origins = [count - 5 for count in tests]  # each with six steps after it
    assert metrics["origins"] == sum(origins)
    for name in ("mae", "mase", "smape", "coverage"):
        mean = np.average([own[shop][name] for shop in NAMES], weights=origins)
        assert metrics["models"]["fastlstm"][name] == pytest.approx(mean)
    assert metrics["models"]["fastlstm"]["mase"] < 1
    assert metrics["season"] == 7


def test_rows_may_stand_in_any_order_of_series(done: Path, tmp_path: Path) -> None:
    rows = flat(shops())
    mixed = [*rows[:1], *sorted(rows[1:], key=lambda row: row[1])]
    again = sorted(mixed, key=lambda row: NAMES.index(row[0]))
    assert again == rows
    data = write(tmp_path / "mixed.csv", mixed)
    line = [data, *COLUMNS, "--covariates", "price", *QUICK, "--out", tmp_path / "run"]
    assert forecast(*line) == 0
    for name in ("forecast.csv", "metrics.json"):
        there = read(done / name) if name.endswith("csv") else json.loads((done / name).read_text())
        here = tmp_path / "run" / name
        assert there == (read(here) if name.endswith("csv") else json.loads(here.read_text()))


def test_a_series_depends_on_no_other_one(done: Path, tmp_path: Path) -> None:
    new = [row for part in (shop("new", 9, 120, ahead=6), shops()[1]) for row in part]
    both, alone = write(tmp_path / "both.csv", new), write(tmp_path / "one.csv", shops()[1])
    assert forecast("--from", done, both, "--out", tmp_path / "a.csv") == 0
    assert forecast("--from", done, alone, "--out", tmp_path / "b.csv") == 0
    found = read(tmp_path / "a.csv")
    assert [row["shop"] for row in found] == ["new"] * 6 + ["süd"] * 6
    assert found[6:] == read(tmp_path / "b.csv")
    assert found[6:] == [row for row in read(done / "forecast.csv") if row["shop"] == "süd"]


def test_gradient_boosting_learns_from_all_series() -> None:
    pytest.importorskip("sklearn")
    from fastlstm.forecast.boosting import boosted
    from fastlstm.forecast.framing import Framing
    from fastlstm.forecast.series import read_series

    wave = 10 + 3 * np.sin(np.arange(300) * np.pi / 6)
    series = [read_series("y", wave), read_series("y", 1000 * wave[:200])]
    framing = Framing.of(series, 6, 12, 12, True, 0.2)
    starts, origins = [250, 40], [np.array([250, 280]), np.array([100])]
    found = boosted(framing, series, starts, origins, 6, 0)
    assert found is not None
    assert found.shape == (3, 6, 1)
    steps = np.arange(6)
    assert np.abs(found[2, :, 0] - 1000 * wave[100 + steps]).mean() < 200
    alone = boosted(framing, series[1:], starts[1:], origins[1:], 6, 0)
    assert alone is not None
    assert np.abs(alone[0, :, 0] - 1000 * wave[100 + steps]).mean() > 200  # of 28 steps


def test_a_series_that_never_changes_may_be_among_others(tmp_path: Path) -> None:
    still = [["still", str(FIRST + np.timedelta64(n, "D")), "4.5", "0"] for n in range(90)]
    data = write(tmp_path / "shops.csv", [*still, *shop("north", 0, 90)])
    assert forecast(data, *COLUMNS, *QUICK, "--out", tmp_path / "run") == 0
    rows = read(tmp_path / "run" / "forecast.csv")
    assert [float(row["sold"]) for row in rows[:6]] == pytest.approx([4.5] * 6, abs=0.3)
    metrics = json.loads((tmp_path / "run" / "metrics.json").read_text())
    assert metrics["series"]["still"]["mase"] is None  # of a naive error of 0


Change = Callable[[list[list[str]]], list[list[str]]]


@pytest.mark.parametrize(
    ("change", "told"),
    [
        pytest.param(lambda rows: [*rows[:3], [" ", *rows[3][1:]], *rows[4:]],
                     "line 5: 'shop' is empty, expected which series the row is of", id="no name"),
        pytest.param(lambda rows: rows + shop("late", 5, 20),
                     "the series 'late' has 20 steps, and 6 for the test: expected at least 26",
                     id="short"),
        pytest.param(lambda rows: rows + [rows[-1]],
                     "line 262: the time 2024-05-09 00:00:00 comes twice", id="twice"),
        pytest.param(lambda rows: rows + shop("odd", 5, 200)[::2],
                     "the series 'odd' has steps of 2 days, but the series 'north' of 1 day",
                     id="steps"),
        pytest.param(lambda rows: [[*row[:2], "3" if row[0] == "süd" else "4", ""] for row in rows],
                     "'sold' never changes within a series: there is nothing to forecast",
                     id="constant"),
        pytest.param(lambda rows: rows + [["none", *row[1:2], "", ""] for row in rows[:90]],
                     "the series 'none' has no value of its target at all", id="no value"),
    ],
)  # fmt: skip
def test_faults_of_a_series_are_told_by_its_name(
    tmp_path: Path, fails: Callable[..., str], change: Change, told: str
) -> None:
    rows = [*shop("north", 0, 130), *shop("süd", 1, 130)]
    data = write(tmp_path / "shops.csv", change(rows))
    out = tmp_path / "run"
    assert told in fails("forecast", data, *COLUMNS, *QUICK, "--out", out)
    assert not out.exists()


def test_covariates_of_each_horizon_are_asked_for(
    tmp_path: Path, fails: Callable[..., str]
) -> None:
    rows = [*shop("north", 0, 130, ahead=6), *shop("süd", 1, 130, ahead=3)]
    data = write(tmp_path / "shops.csv", rows)
    told = fails(
        "forecast", data, *COLUMNS, "--covariates", "price", *QUICK, "--out", tmp_path / "r"
    )
    assert "the series 'süd' has 3 rows after the last value of its target, expected 6" in told


def test_a_panel_without_its_column_is_pointed_to_it(
    tmp_path: Path, fails: Callable[..., str], misused: Callable[..., str]
) -> None:
    data = write(tmp_path / "shops.csv", flat(shops()))
    told = fails("forecast", data, *COLUMNS[2:], *QUICK, "--out", tmp_path / "run")
    assert "the time 2024-01-01 00:00:00 comes after 2024-06-04 00:00:00" in told
    assert "--series names the column that tells them apart" in told
    line = ["forecast", data, *COLUMNS[2:], *QUICK, "--out", tmp_path / "run", "--series"]
    assert "has no column 'place'" in fails(*line, "place")
    assert "the column 'price' is named for two things" in fails(
        *line, "price", "--covariates", "price"
    )
    assert "the forecast would have two columns 'sold'" in misused(*line, "sold")


def test_names_with_a_comma_are_quoted(tmp_path: Path, misused: Callable[..., str]) -> None:
    rows = shop("north", 0, 130, ahead=6)
    data = write(tmp_path / "shops.csv", rows, ["shop", "day", "sold, pieces", "price, €"])
    line = [data, "--time", "day", *QUICK, "--out", tmp_path / "run", "--target"]
    assert forecast(*line, '"sold, pieces"', "--covariates", '"price, €"') == 0
    assert list(read(tmp_path / "run" / "forecast.csv")[0])[:2] == ["day", "sold, pieces"]
    for wrong in ("", "a,,b", '"a'):
        assert "one that has a comma stands in double quotes" in misused("forecast", *line, wrong)


@pytest.mark.parametrize("names", [["a"], ["a, b", "c"], ['say "yes"', "ü", "'x'"]])
def test_names_are_joined_as_they_are_split(names: list[str]) -> None:
    assert split_names(join_names(names)) == names


def test_a_resumed_run_keeps_its_column(done: Path, misused: Callable[..., str]) -> None:
    told = misused("forecast", "--resume", done, "--series", "price")
    assert "--series is price, but the run in" in told
    told = misused("forecast", "--from", done, done.parent / "shops.csv", "--series", "shop")
    assert "--series and --from exclude each other" in told


def test_a_study_of_several_series(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    pytest.importorskip("optuna", reason="needs the extra tune")
    from studies import tune

    data = write(tmp_path / "shops.csv", flat(shops()), ["shop", "day", "sold, all", "price"])
    line = [data, *COLUMNS[:4], "--target", '"sold, all"', "--horizon", "6", "--epochs", "1"]
    search = ["--search", "hidden=4,8", "--trials", "2", "--no-progress"]
    assert tune(*line, *search, "--out", tmp_path / "study") == 0
    told = capsys.readouterr().out
    assert "shops.csv, 3 series with 510 steps" in told
    best = tmp_path / "study" / "best"
    assert list(json.loads((best / "metrics.json").read_text())["series"]) == list(NAMES)
    command = shlex.split(told.split("as a command: ")[1].splitlines()[0])
    assert forecast(*command[2:], "--out", tmp_path / "run") == 0
    assert read(tmp_path / "run" / "forecast.csv") == read(best / "forecast.csv")
