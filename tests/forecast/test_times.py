"""Times of tables and of stamps: what is read, and that nothing is guessed."""

from __future__ import annotations

from datetime import datetime, timedelta, timezone
from typing import Any

import numpy as np
import pytest

from fastlstm.forecast.stamps import as_stamps
from fastlstm.forecast.times import UNIX, check_form, hint_of, read_time

NEW_YEAR = datetime(2024, 1, 1, tzinfo=timezone.utc)


@pytest.mark.parametrize(
    ("text", "form", "expected"),
    [
        ("1704067200", "unix", NEW_YEAR),
        ("1.7040672e+09", "unix", NEW_YEAR),
        (" 1704067200.25 ", "unix", NEW_YEAR + timedelta(seconds=0.25)),
        ("1704067200001", "unix-ms", NEW_YEAR + timedelta(milliseconds=1)),
        ("1704067200000001", "unix-us", NEW_YEAR + timedelta(microseconds=1)),
        ("1704067200000001999", "unix-ns", NEW_YEAR + timedelta(microseconds=2)),
        ("-86400", "unix", datetime(1969, 12, 31, tzinfo=timezone.utc)),
        ("01/02/2024", "%d/%m/%Y", datetime(2024, 2, 1)),
        ("01/02/2024", "%m/%d/%Y", datetime(2024, 1, 2)),
        ("20240131", None, datetime(2024, 1, 31)),
        ("2024/1/31 05:00", None, datetime(2024, 1, 31, 5)),
        ("2024-02", None, datetime(2024, 2, 1)),
    ],
)
def test_times_are_read(text: str, form: str | None, expected: datetime) -> None:
    found = read_time(text, form)
    assert found == expected
    assert found.utcoffset() == expected.utcoffset()


@pytest.mark.parametrize(
    ("text", "form", "told"),
    [
        # Python takes it for a quarter to twelve in 1712
        ("1712010112345", None, "a number"), ("1712010112345.5", None, "a number"),
        ("1704067200", None, "a number"), ("2024.5", None, "a number"),
        ("01/02/2024", None, "isoformat"), ("1.2.2024", None, "isoformat"),
        ("nan", "unix", "no number"), ("", "unix", "no number"), ("12_000", "unix", "no number"),
        ("2024-01-01", "unix", "no number"), ("1e30", "unix", "beyond the year 9999"),
        ("1e999999999", "unix", "beyond the year 9999"),
        ("1704067200000", "unix", "beyond the year 9999"),
        ("13/13/2024", "%d/%m/%Y", "does not match"),
    ],
)  # fmt: skip
def test_what_is_no_time_is_refused(text: str, form: str | None, told: str) -> None:
    with pytest.raises(ValueError, match=told):
        read_time(text, form)


@pytest.mark.parametrize(
    ("form", "told"),
    [
        ("%H:%M", "it has no year"), ("%d.%m.", "it has no year"), ("unix-s", "it has no year"),
        ("%Y-%m-%d %I:%M", "%I, an hour of twelve, needs %p"), ("%Q", "'Q' is a bad directive"),
        ("%Y %Y", "redefinition of group name 'Y'"), ("%Y%", "stray %"),
    ],
)  # fmt: skip
def test_forms_that_leave_a_time_open_are_refused(form: str, told: str) -> None:
    with pytest.raises(ValueError, match="expected unix, unix-ms, unix-us, unix-ns or") as caught:
        check_form(form)
    assert told in str(caught.value)


@pytest.mark.parametrize(
    "form",
    [*UNIX, "%d.%m.%y", "%Y-%m-%dT%H:%M:%S%z", "%Y-%m-%d %I:%M %p", "%Y-%j", "%b %Y"],
)
def test_forms_of_one_time(form: str) -> None:
    check_form(form)


def test_hints_name_the_forms_there_may_be() -> None:
    for text, forms in (
        ("01/02/2024", ("%d/%m/%Y", "%m/%d/%Y")), ("1.2.24", ("%d.%m.%y", "%m.%d.%y")),
        ("01/02/2024 05:00", ("%d/%m/%Y %H:%M", "%m/%d/%Y %H:%M")),
        ("1-2-2024T5:00:07", ("%d-%m-%YT%H:%M:%S", "%m-%d-%YT%H:%M:%S")),
        ("01/02/2024 05:00 PM", ("%d/%m/%Y %I:%M %p", "%m/%d/%Y %I:%M %p")),
        ("1.2.24 5:00:07am", ("%d.%m.%y %I:%M:%S%p", "%m.%d.%y %I:%M:%S%p")),
    ):  # fmt: skip
        told = "; --time-format '{}' if the day comes first, '{}' if the month does"
        assert hint_of(text) == told.format(*forms)
        assert {read_time(text, form).month for form in forms} == {1, 2}
    assert "unix, unix-ms, unix-us, unix-ns if it counts seconds" in hint_of("1704067200")
    assert hint_of("202402") == "; --time-format %Y%m if it is a year and a month"
    assert hint_of("noon") == "; --time-format says how others are written"


@pytest.mark.parametrize("text", ["20240101", "1704067200", "now", "today", "01/02/2024"])
def test_stamps_that_numpy_would_guess_are_refused(text: str) -> None:
    with pytest.raises(ValueError, match=f"stamps holds what is no time such as .*{text}"):
        as_stamps("stamps", ["2024-01-01", text])


def test_stamps_as_texts() -> None:
    texts: Any = ["2024-01-01", "2024-01-02T05:00"]
    found = as_stamps("stamps", texts)
    assert (found == np.array(texts, "datetime64[us]")).all()
    assert (as_stamps("stamps", [text.encode() for text in texts]) == found).all()
    assert as_stamps("stamps", ["2023", "2024"]).tolist() == [
        datetime(2023, 1, 1), datetime(2024, 1, 1)
    ]  # fmt: skip
    with pytest.raises(ValueError, match=r"stamps\[1\] is missing"):
        as_stamps("stamps", ["2024", "NaT"])
