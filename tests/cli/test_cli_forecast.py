"""``fastlstm forecast``: the run folder, going on, and every fault of a table with its line."""

from __future__ import annotations

import csv
import json
import tracemalloc
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from each_step import press_ctrl_c

from fastlstm.cli import main
from fastlstm.forecast.cells import Columns
from fastlstm.forecast.reading import read_tables
from fastlstm.text.rows import Reading

HOURS = np.datetime64("2024-01-01T00") + np.arange(150).astype("timedelta64[h]")
QUICK = ["--horizon", "6", "--epochs", "1", "--hidden-size", "4", "--threads", "1"]


def lines(count: int = 150, ahead: int = 0) -> list[list[str]]:
    """Return the rows of a table with a season of 12 hours, and of some hours after it."""
    rng = np.random.default_rng(0)
    price = rng.normal(size=count + ahead)
    y = 10 + 3 * np.sin(np.arange(count + ahead) * np.pi / 6) + price
    hours = HOURS[0] + np.arange(count + ahead).astype("timedelta64[h]")
    times = [str(hour).replace("T", " ") + ":00" for hour in hours]
    rows = [[times[n], f"{y[n]:.3f}", f"{price[n]:.3f}"] for n in range(count + ahead)]
    for row in rows[count:]:
        row[1] = ""
    return rows


def write(path: Path, rows: list[list[str]]) -> Path:
    """Write a table with its header."""
    with open(path, "w", newline="", encoding="utf-8") as file:
        csv.writer(file).writerows([["hour", "load", "price"], *rows])
    return path


def forecast(*line: object) -> int:
    return main(["forecast", *map(str, line)])


@pytest.fixture(scope="module")
def done(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of a finished forecast with a covariate."""
    folder = tmp_path_factory.mktemp("forecast")
    data = write(folder / "load.csv", lines(ahead=6))
    line = [data, "--time", "hour", "--target", "load", "--covariates", "price", *QUICK]
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("fastlstm.forecast.picture.draw_run", lambda *_: None)
        assert forecast(*line, "--out", folder / "run") == 0
    return folder / "run"


def test_a_run_tells_measures_and_writes_the_future(done: Path) -> None:
    metrics = json.loads((done / "metrics.json").read_text())
    models = metrics["models"]
    assert list(models)[:3] == ["fastlstm", "seasonal naive", "last value"]
    assert models["seasonal naive"]["mae"] < models["last value"]["mae"]
    assert models["fastlstm"]["mae"] < models["seasonal naive"]["mae"]
    assert models["seasonal naive"]["coverage"] is None
    assert metrics["season"] == 12
    assert (metrics["train_steps"], metrics["test_steps"], metrics["origins"]) == (120, 30, 25)
    rows = list(csv.DictReader((done / "forecast.csv").read_text().splitlines()))
    assert [row["hour"] for row in rows] == [f"2024-01-07 {n:02}:00:00" for n in range(6, 12)]
    assert all(float(row["load_q0.1"]) <= float(row["load"]) for row in rows)
    assert not (done / "checkpoint.safetensors").exists()


def test_gradient_boosting_stands_beside_or_is_told_of(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("fastlstm.forecast.picture.draw_run", lambda *_: None)
    monkeypatch.setitem(__import__("sys").modules, "sklearn.ensemble", None)
    data = write(tmp_path / "load.csv", lines())
    assert (
        forecast(data, "--time", "hour", "--target", "load", *QUICK, "--out", tmp_path / "r") == 0
    )
    out = capsys.readouterr().out
    assert "seasonal naive" in out
    assert "gradient boosting is left out: it needs scikit-learn" in out
    assert "the linear part forecasts alone" in out
    assert json.loads((tmp_path / "r" / "metrics.json").read_text())["net"] is False


def test_gradient_boosting_forecasts_step_by_step() -> None:
    pytest.importorskip("sklearn")
    from fastlstm.forecast.boosting import boosted
    from fastlstm.forecast.framing import Framing
    from fastlstm.forecast.series import read_series

    y = 10 + 3 * np.sin(np.arange(300) * np.pi / 6)
    series = read_series("y", y)
    framing = Framing.of([series], 6, 12, 12, True, 0.2)
    origins = np.array([250, 280])
    found = boosted(framing, [series], [250], [origins], 6, 0)
    assert found is not None
    assert found.shape == (2, 6, 1)
    assert np.abs(found[..., 0] - y[origins[:, None] + np.arange(6)]).mean() < 0.2
    changed = y.copy()
    changed[250:] = 99
    again = boosted(framing, [read_series("y", changed)], [250], [origins[:1]], 6, 0)
    assert np.array_equal(again, found[:1])  # nothing after the start is read


def test_another_table_goes_on_with_the_model(
    done: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    data = write(tmp_path / "newer.csv", lines(140, ahead=9))
    assert forecast("--from", done, data, "--out", tmp_path / "next.csv") == 0
    rows = list(csv.reader((tmp_path / "next.csv").read_text().splitlines()))
    assert rows[0] == ["hour", "load", "load_q0.1", "load_q0.5", "load_q0.9"]
    assert len(rows) == 7
    assert rows[1][0] == "2024-01-06 20:00:00"
    capsys.readouterr()
    assert forecast("--from", done, data, "--horizon", "9", "--quantiles", "0.2,0.8") == 0
    printed = capsys.readouterr().out.splitlines()
    assert printed[0] == "hour,load,load_q0.2,load_q0.8"
    assert len(printed) == 10
    assert [float(v) for v in printed[1].split(",")[1:2]] == [float(rows[1][1])]


def test_a_run_of_the_median_alone_tells_no_bands(
    tmp_path: Path, fails: Callable[..., str]
) -> None:
    data = write(tmp_path / "load.csv", lines())
    line = [data, "--time", "hour", "--target", "load", *QUICK[:2], "--epochs", "0"]
    assert forecast(*line, "--quantiles", "0.5", "--out", tmp_path / "run") == 0
    assert forecast("--from", tmp_path / "run", data) == 0
    told = fails("forecast", "--from", tmp_path / "run", data, "--quantiles", "0.1,0.9")
    assert "quantiles is [0.1, 0.9], but fit learned the median alone" in told


def test_a_horizon_that_never_ends_is_refused(
    done: Path, tmp_path: Path, fails: Callable[..., str]
) -> None:
    data = write(tmp_path / "newer.csv", lines())
    told = fails("forecast", "--from", done, data, "--horizon", 10**9 - 1)
    assert "horizon is 999,999,999, expected at most 60,000: 10,000 times the 6 steps" in told
    days = [
        [str(HOURS[0].astype("M8[D]") + np.timedelta64(365 * n, "D")), *row[1:]]
        for n, row in enumerate(lines())
    ]
    data = write(tmp_path / "years.csv", days)
    line = ["--time", "hour", "--target", "load", *QUICK[:2], "--epochs", "0"]
    assert forecast(data, *line, "--out", tmp_path / "run") == 0
    told = fails("forecast", "--from", tmp_path / "run", data, "--horizon", 20_000)
    assert "20,000 steps of 365 days" in told
    assert "go beyond the year 9999: forecast fewer" in told


def test_a_table_of_other_steps_is_refused(
    done: Path, tmp_path: Path, fails: Callable[..., str]
) -> None:
    days = [
        [str(HOURS[0].astype("M8[D]") + np.timedelta64(n, "D")), *row[1:]]
        for n, row in enumerate(lines(ahead=6))
    ]
    data = write(tmp_path / "days.csv", days)
    told = fails("forecast", "--from", done, data)
    assert "days.csv has steps of 1 day, expected 1:00:00 as in fit" in told


def test_a_run_that_was_stopped_goes_on_to_the_same_bits(
    done: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("fastlstm.forecast.picture.draw_run", lambda *_: None)
    data = write(tmp_path / "load.csv", lines())
    line = [data, "--time", "hour", "--target", "load", *QUICK, "--epochs", "3"]
    assert forecast(*line, "--out", tmp_path / "whole") == 0

    with monkeypatch.context() as patch:
        press_ctrl_c(patch, epochs=0, more=2)
        assert forecast(*line, "--out", tmp_path / "halves") == 130
    assert forecast("--resume", tmp_path / "halves") == 0
    assert forecast("--resume", tmp_path / "halves") == 0  # it is finished
    whole, halves = (
        (tmp_path / name / "forecast.csv").read_bytes() for name in ("whole", "halves")
    )
    assert whole == halves


def _without(rows: list[list[str]], *numbers: int) -> list[list[str]]:
    return [row for n, row in enumerate(rows) if n not in numbers]


def _with(rows: list[list[str]], line: int, column: int, text: str) -> list[list[str]]:
    rows[line - 2][column] = text
    return rows


@pytest.mark.parametrize(
    ("change", "told"),
    [
        (lambda r: _with(r, 7, 0, ""), "line 7: 'hour' is empty, expected a time"),
        (lambda r: _with(r, 7, 0, "noon"), "line 7: 'hour' is 'noon', expected a time such as"),
        (lambda r: _with(r, 2, 0, "1712010112345"),
         "line 2: 'hour' is '1712010112345', expected a time such as 2024-05-31, 2024-05-31 18:00, "
         "2024-05 or 2024; --time-format unix, unix-ms, unix-us, unix-ns if it counts seconds"),
        (lambda r: _with(r, 2, 0, "01/02/2024 00:00"),
         "'%d/%m/%Y %H:%M' if the day comes first, '%m/%d/%Y %H:%M' if the month does"),
        (lambda r: _without(r, 5, 6), "line 7: there is a gap from 2024-01-01 04:00:00 to 2024"),
        (lambda r: _with(r, 7, 0, "2024-01-01 05:00Z"),
         "line 7 has a time of the zone +00:00, but line 2 has a time without a zone"),
        (lambda r: [[f"{r_[0]}+0{1 + (n > 9)}:00", *r_[1:]] for n, r_ in enumerate(r)],
         "line 12 has a time of the zone +02:00, but line 2 has a time of the zone +01:00"),
        (lambda r: [*r[:9], r[8], *r[9:]], "line 11: the time 2024-01-01 08:00:00 comes twice"),
        (lambda r: [r[1], r[0], *r[2:]],
         "line 3: the time 2024-01-01 00:00:00 comes after 2024-01-01 01:00:00"),
        (lambda r: _with(r, 9, 1, "12,5"), "line 9: 'load' is '12,5', expected a number; write"),
        (lambda r: _with(r, 9, 1, "high"), "line 9: 'load' is 'high', expected a number"),
        (lambda r: _with(r, 9, 1, "1e999"), "line 9: 'load' is 1e999, expected a finite number"),
        (lambda r: _with(_with(r, 9, 1, "NA"), 12, 1, ""),
         "line 9: 'load' has no value (2 are missing in all); --fill-gaps"),
        (lambda r: _with(r, 9, 0, "2024-01-01 06:30"),
         "line 9: 2024-01-01 06:30:00 is too soon after 2024-01-01 06:00:00"),
        (lambda r: r[:29], "load.csv has 29 steps, and 6 for the test: expected at"),
        (lambda r: [[row[0], "3", row[2]] for row in r],
         "load.csv: 'load' is 3 in every row: there is nothing to forecast"),
        (lambda r: [[row[0], "", row[2]] for row in r], "load.csv has no value of its target"),
        (lambda r: [[row[0], row[1] if n >= 120 else "3", row[2]] for n, row in enumerate(r)],
         "load.csv: 'load' is 3 in every row before the test, which takes the last 0.2 of the"),
        (lambda r: _with(r, 9, 1, "1e200"), "load.csv: 'load' has 1e+200 for the largest number"),
        (lambda r: [], "load.csv has no rows below its header"),
        (lambda r: [*r[:5], [*r[5], "9"], *r[6:]],
         "line 7 has 4 fields, expected 3"),
    ],
)  # fmt: skip
def test_faults_of_a_table_are_told_with_their_line(
    change: Callable[[list[list[str]]], list[list[str]]], told: str,
    tmp_path: Path, fails: Callable[..., str],
) -> None:  # fmt: skip
    data = write(tmp_path / "load.csv", change(lines()))
    out = tmp_path / "run"
    message = fails("forecast", data, "--time", "hour", "--target", "load", *QUICK, "--out", out)
    assert told in message
    assert not out.exists()


@pytest.mark.parametrize(
    ("options", "told"),
    [
        (["--target", "power"], "has no column 'power'; it has 'hour', 'load', 'price'"),
        (["--covariates", "load"], "the column 'load' is named for two things"),
        (["--covariates", "price"],
         "has 0 rows after the last value of its target, expected 6: a forecast needs the"),
        (["--time-format", "%d.%m.%Y"], "line 2: 'hour' is '2024-01-01 00:00', expected a time"),
        (["--time-format", "unix"], "expected a time in the form unix: it is no number"),
    ],
)  # fmt: skip
def test_columns_that_do_not_fit_are_named(
    options: list[str], told: str, tmp_path: Path, fails: Callable[..., str]
) -> None:
    data = write(tmp_path / "load.csv", lines())
    line = [data, "--time", "hour", "--target", "load", *QUICK, *options]
    assert told in fails("forecast", *line, "--out", tmp_path / "run")


def test_times_that_count_seconds_are_read_if_said(tmp_path: Path, done: Path) -> None:
    rows = lines(ahead=6)
    for row in rows:
        row[0] = str(int(np.datetime64(row[0].replace(" ", "T"), "ms").astype(np.int64)))
    data = write(tmp_path / "load.csv", rows)
    line = [data, "--time", "hour", "--target", "load", "--covariates", "price", *QUICK]
    assert forecast(*line, "--time-format", "unix-ms", "--out", tmp_path / "run") == 0
    found = (tmp_path / "run/forecast.csv").read_text()
    assert found == (done / "forecast.csv").read_text()


@pytest.mark.parametrize(
    ("zone", "options", "first", "read"),
    [
        ("+02:00", [], "2024-01-07 06:00:00+02:00", "2024-01-01 00:00:00"),
        ("-03:30", [], "2024-01-07 06:00:00-03:30", "2024-01-01 00:00:00"),
        ("Z", [], "2024-01-07 06:00:00+00:00", "2024-01-01 00:00:00"),
        ("+02:00", ["--utc"], "2024-01-07 04:00:00+00:00", "2023-12-31 22:00:00"),
        ("", ["--utc"], "2024-01-07 06:00:00", "2024-01-01 00:00:00"),
    ],
)
def test_the_future_is_in_the_zone_of_the_table(
    zone: str, options: list[str], first: str, read: str, tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:  # fmt: skip
    data = write(tmp_path / "load.csv", [[row[0] + zone, *row[1:]] for row in lines()])
    line = [data, "--time", "hour", "--target", "load", *QUICK[:2], "--epochs", "0", *options]
    assert forecast(*line, "--out", tmp_path / "run") == 0
    assert f"150 steps of 1:00:00 from {read}" in capsys.readouterr().out
    assert (tmp_path / "run/forecast.csv").read_text().split("\n")[1].startswith(f"{first},")


def test_steps_of_parts_of_a_second_have_their_own_times(tmp_path: Path) -> None:
    rows = lines()
    for n, row in enumerate(rows):
        row[0] = f"2024-05-31T18:00:{n // 10:02}.{n % 10}00"  # Python 3.10 reads three digits
    data = write(tmp_path / "load.csv", rows)
    line = [data, "--time", "hour", "--target", "load", *QUICK[:2], "--epochs", "0"]
    assert forecast(*line, "--out", tmp_path / "run") == 0
    with open(tmp_path / "run/forecast.csv", newline="") as file:
        times = [row[0] for row in csv.reader(file)][1:]
    assert times == [f"2024-05-31 18:00:15.{n}00" for n in range(6)]


def test_a_high_level_hides_no_digit_of_the_future(tmp_path: Path) -> None:
    rows, levels = lines(), (0, 10**9)
    found = []
    for level in levels:
        high = [[row[0], f"{float(row[1]) + level:.3f}", row[2]] for row in rows]
        data = write(tmp_path / f"{level}.csv", high)
        line = [data, "--time", "hour", "--target", "load", *QUICK[:2], "--epochs", "0"]
        assert forecast(*line, "--out", tmp_path / str(level)) == 0
        table = np.genfromtxt(tmp_path / str(level) / "forecast.csv", delimiter=",", skip_header=1)
        found.append(table[:, 1:] - level)
    assert np.abs(found[1] - found[0]).max() < 1e-3


def test_gaps_are_filled_if_asked_for(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr("fastlstm.forecast.picture.draw_run", lambda *_: None)
    rows = _without(lines(), 5, 6, 70)
    for line, marker in enumerate(("NA", "#N/A", "<NA>", "NaN"), start=20):
        rows = _with(rows, line, 1, marker)
    data = write(tmp_path / "load.csv", rows)
    line = [data, "--time", "hour", "--target", "load", *QUICK, "--fill-gaps"]
    assert forecast(*line, "--out", tmp_path / "run") == 0
    assert "150 steps of 1:00:00" in capsys.readouterr().out


def test_a_month_on_another_day_is_no_gap_to_fill(
    tmp_path: Path, fails: Callable[..., str]
) -> None:
    months = [f"{2001 + n // 12}-{n % 12 + 1:02}-15" for n in range(120) if n != 40]
    months[60] = "2006-02-19"
    data = write(tmp_path / "load.csv", [[time, str(n % 12), "0"] for n, time in enumerate(months)])
    line = ["forecast", data, "--time", "hour", "--target", "load", "--fill-gaps"]
    assert "2006-02-19 00:00:00 is between two steps of a month" in fails(*line)
    del months[:41]
    data = write(tmp_path / "late.csv", [[time, str(n % 12), "0"] for n, time in enumerate(months)])
    line[1] = data
    assert "line 21: 2006-02-19 00:00:00 is not on day 15 of its month" in fails(*line)


def test_days_with_daylight_saving_are_read_on_their_own_clocks(
    tmp_path: Path, fails: Callable[..., str]
) -> None:
    days = np.arange("2024-01-01", "2024-05-30", dtype="datetime64[D]")
    rows = [
        [f"{day}T00:00:00+0{1 + (str(day) > '2024-03-31')}:00", row[1], row[2]]
        for day, row in zip(days, lines(), strict=True)
    ]
    line = ["--time", "hour", "--target", "load", *QUICK]
    data, out = write(tmp_path / "days.csv", rows), tmp_path / "run"
    assert forecast(data, *line, "--out", out) == 0
    assert (out / "forecast.csv").read_text().splitlines()[1].startswith("2024-05-30,")
    assert "leave --utc out if these are the days of a clock" in fails(
        "forecast", data, *line, "--utc", "--out", tmp_path / "utc"
    )
    gap = write(tmp_path / "gap.csv", _without(rows, 60, 100))
    assert forecast(gap, *line, "--fill-gaps", "--out", out, "--overwrite") == 0
    odd = write(tmp_path / "odd.csv", _with(rows, 120, 0, "2024-04-28T01:00:00+02:00"))
    assert "of the zone +02:00, but line 2 has a time of the zone +01:00; --utc" in fails(
        "forecast", odd, *line, "--out", tmp_path / "odd"
    )


def test_a_large_table_is_read_in_little_memory(tmp_path: Path) -> None:
    rows, start = 20_000, np.datetime64("2010-01-01T00:00")
    data = tmp_path / "load.csv"
    with open(data, "w", encoding="utf-8") as file:
        file.write("hour,load\n")
        file.writelines(
            f"{start + np.timedelta64(n, 'm')}+01:00,{n % 977}.5\n" for n in range(rows)
        )
    tracemalloc.start()
    try:
        [table] = read_tables(data, Reading(), Columns("hour", ("load",)))
        most = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert len(table.series) == rows
    assert most < 150 * rows, most / rows


def test_no_two_columns_of_a_forecast_have_one_name(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    rows = [[row[0], row[1], row[1]] for row in lines()]
    data = tmp_path / "load.csv"
    with open(data, "w", newline="", encoding="utf-8") as file:
        csv.writer(file).writerows([["hour", "load", "load_q0.1"], *rows])
    out = tmp_path / "run"
    line = ["forecast", data, "--time", "hour", *QUICK, "--out", out, "--target"]
    with pytest.raises(SystemExit):
        main([*map(str, line), "load,load_q0.1"])
    assert "the forecast would have two columns 'load_q0.1'" in capsys.readouterr().err
    assert forecast(*line[1:], "load", "--quantiles", "0.1,0.1000001") == 0
    header = (out / "forecast.csv").read_text().splitlines()[0]
    assert header == "hour,load,load_q0.1,load_q0.1000001"


@pytest.mark.parametrize(
    ("line", "told"),
    [
        ([], "DATA is missing"),
        (["d.csv"], "--time is missing"),
        (["d.csv", "--time", "t"], "--target is missing"),
        (["--from", "run"], "DATA is missing"),
        (["d.csv", "--from", "run", "--target", "y"], "--target and --from exclude each other"),
        (["d.csv", "--from", "run", "--out", "x.txt"], "expected a name that ends in .csv"),
        (
            ["d.csv", "--time", "t", "--target", "y", "--time-format", "%H:%M"],
            "--time-format is '%H:%M', expected unix, unix-ms, unix-us, unix-ns or such as",
        ),
        (["d.csv", "--horizon", "0"], "expected a whole number from 1 on"),
        (["d.csv", "--seed", "1" * 5000], "111, expected a whole number from 0 on, of at most 9 d"),
        (["d.csv", "--quantiles", "0.9,0.1"], "expected each above the one before"),
        (["d.csv", "--test-split", "2"], "expected a number between 0 and 1"),
    ],
)
def test_wrong_use_of_forecast_is_told(
    line: list[str], told: str, misused: Callable[..., str]
) -> None:
    assert told in misused("forecast", *line)


def test_limits_hold_in_the_files_of_a_run(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], misused: Callable[..., str]
) -> None:
    data = write(tmp_path / "load.csv", lines())
    line = [data, "--time", "hour", "--target", "load", *QUICK]
    assert forecast(*line, "--low", "19", "--high", "1e3", "--out", tmp_path / "run") == 1
    assert "low is 19, but target 0 has" in capsys.readouterr().err
    assert not (tmp_path / "run").exists()
    low = min(float(row[1]) for row in lines())
    assert forecast(*line, "--low", low, "--quantiles", "1e-9,0.5", "--out", tmp_path / "run") == 0
    rows = (tmp_path / "run/forecast.csv").read_text().splitlines()[1:]
    assert min(float(row.split(",")[2]) for row in rows) == pytest.approx(low, rel=1e-6)
    told = misused("forecast", *line, "--high", "inf", "--out", tmp_path / "other")
    assert "--high is inf, expected at least -1e+300 and finite" in told


def test_folders_of_a_forecast_are_guarded(
    done: Path, tmp_path: Path, fails: Callable[..., str], misused: Callable[..., str]
) -> None:
    data = write(tmp_path / "load.csv", lines())
    line = [data, "--time", "hour", "--target", "load", *QUICK]
    assert "a finished forecast" in fails("forecast", *line, "--out", done)
    assert "holds no forecast to resume" in fails("forecast", "--resume", tmp_path / "no")
    assert "keeps its options" in misused("forecast", "--resume", done, "--horizon", "9")
    assert "no finished forecast" in fails("forecast", "--from", tmp_path / "no", data)
    short = write(tmp_path / "short.csv", lines(10, ahead=6))
    assert "expected at least" in fails("forecast", "--from", done, short)
    (tmp_path / "next.csv").write_text("mine")
    told = fails("forecast", "--from", done, data, "--out", tmp_path / "next.csv")
    assert "is there already" in told
    (tmp_path / "link.csv").hardlink_to(data)
    line = ["forecast", "--from", done, data, "--overwrite", "--out"]
    for out in (data, tmp_path / "link.csv"):
        before = data.read_bytes()
        assert "which is read, too; expected another file" in misused(*line, out)
        assert data.read_bytes() == before


def test_a_damaged_model_is_named(done: Path, tmp_path: Path, fails: Callable[..., str]) -> None:
    import shutil

    copy = tmp_path / "run"
    shutil.copytree(done, copy)
    model = copy / "model.safetensors"
    model.write_bytes(model.read_bytes()[:-7])
    data = write(tmp_path / "load.csv", lines(ahead=6))
    assert "model.safetensors is damaged" in fails("forecast", "--from", copy, data)
    (copy / "forecast.json").write_text('{"horizon": "x"}')
    assert "forecast.json is damaged" in fails("forecast", "--from", copy, data)
