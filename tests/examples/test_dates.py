"""The dates example: what it writes, and that it learns to read it."""

from __future__ import annotations

import json
import signal
from datetime import date
from typing import Any

import numpy as np
import pytest

from fastlstm.examples import dates


def test_numbers_in_words() -> None:
    assert [dates.number(n) for n in (0, 13, 20, 47, 99)] == [
        "zero", "thirteen", "twenty", "forty-seven", "ninety-nine",
    ]  # fmt: skip
    assert [dates.ordinal(n) for n in (1, 12, 20, 22, 30, 31)] == [
        "first", "twelfth", "twentieth", "twenty-second", "thirtieth", "thirty-first",
    ]  # fmt: skip
    assert [dates.year_in_words(y) for y in (1900, 1907, 1990, 2000, 2009, 2010, 2049)] == [
        "nineteen hundred", "nineteen oh seven", "nineteen ninety", "two thousand",
        "two thousand and nine", "twenty ten", "twenty forty-nine",
    ]  # fmt: skip


def test_ways_to_write_a_date() -> None:
    rng = np.random.default_rng(0)
    found = {dates.written(date(1990, 5, 3), rng) for _ in range(500)}
    assert {
        "the third of may nineteen ninety", "May 3rd, 1990", "thursday 3 may 1990", "3.5.1990",
        "The Third Of May 1990", "1990 may 3", "3rd May 1990", "Thursday, May 3, 1990",
        "may the third, nineteen ninety",
    } <= found  # fmt: skip
    endings = {
        dates.written(date(2000, 1, d), rng) for d in (1, 2, 11, 12, 13, 23) for _ in range(99)
    }
    for day in ("1st", "2nd", "11th", "12th", "13th", "23rd"):
        assert f"january {day}, 2000" in endings


def test_days_of_the_test_are_not_trained_on(monkeypatch: pytest.MonkeyPatch) -> None:
    drawn: list[Any] = []
    draw = dates.draw

    def noting(days: Any, count: int, rng: Any) -> Any:
        drawn.append(draw(days, count, rng))
        return drawn[-1]

    class Stop(BaseException):
        pass

    def stop(*arguments: Any, **options: Any) -> None:
        raise Stop

    monkeypatch.setattr(dates, "draw", noting)
    monkeypatch.setattr(dates, "learn", stop)
    with pytest.raises(Stop):
        dates.main([])
    train = {"".join(target) for _, target in drawn[0]}
    test = {"".join(target) for pairs in drawn[1:] for _, target in pairs}
    assert (len(drawn[0]), len(test)) == (20000, 1000)
    assert not train & test


def run(arguments: list[str], capsys: pytest.CaptureFixture[str]) -> tuple[str, dict[str, Any]]:
    assert dates.main(arguments) == 0
    output = capsys.readouterr().out
    figures: dict[str, Any] = json.loads(output.splitlines()[-1])
    return output, figures


def test_a_short_run_and_its_figures(capsys: pytest.CaptureFixture[str]) -> None:
    arguments = [
        "--pairs",
        "200",
        "--epochs",
        "2",
        "--hidden-size",
        "16",
        "--date",
        "May 3rd, 1990",
    ]
    output, figures = run(arguments, capsys)
    assert "May 3rd, 1990" in output
    assert figures["train_dates"] == 200
    assert figures["test_dates"] == 1000
    assert 0 <= figures["exact"] < 0.5
    again = run(arguments, capsys)[0].splitlines()
    assert [line for line in again if line.startswith("  ")] == [
        line for line in output.splitlines() if line.startswith("  ")
    ]
    assert run([*arguments, "--no-attention"], capsys)[1]["attention"] is False


@pytest.mark.slow(seconds=70)
def test_it_reads_99_of_100_dates(capsys: pytest.CaptureFixture[str]) -> None:
    output, figures = run(["--date", "the third of may nineteen ninety"], capsys)
    assert figures["exact"] >= 0.99
    assert "1990-05-03" in output


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--pairs", "0"], "train is empty, expected at least one pair"),
        (["--pairs", "9", "--hidden-size", "7"], "hidden_size is 7, expected an even number"),
        (["--pairs", "9", "--epochs", "0"], "epochs is 0, expected at least 1"),
    ],
)
def test_errors_are_told_in_a_line(
    arguments: list[str], message: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert dates.main(arguments) == 1
    assert capsys.readouterr().err == f"dates: error: {message}\n"


def test_usage(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as error:
        dates.main(["--epochs", "many"])
    assert error.value.code == 2
    with pytest.raises(SystemExit) as error:
        dates.main(["--help"])
    assert error.value.code == 0
    assert "--no-attention" in capsys.readouterr().out


def test_out_of_memory_and_sigterm_are_told_in_a_line(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(*_: object, **__: object) -> None:
        raise MemoryError("Unable to allocate 9 GiB")

    def ended(*_: object, **__: object) -> None:
        signal.raise_signal(signal.SIGTERM)

    monkeypatch.setattr(dates, "learn", full)
    assert dates.main(["--pairs", "9"]) == 1
    told = capsys.readouterr().err
    assert told.startswith("dates: error: out of memory (Unable to allocate 9 GiB)")
    assert told.count("\n") == 1
    monkeypatch.setattr(dates, "learn", ended)
    assert dates.main(["--pairs", "9"]) == 143
    assert capsys.readouterr().err == "\nterminated\n"
