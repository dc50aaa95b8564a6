"""Times as people write them."""

from __future__ import annotations

import re
from datetime import datetime, timedelta, timezone
from decimal import Decimal

EXPECTED = "such as 2024-05-31, 2024-05-31 18:00, 2024-05 or 2024"

UNIX = {"unix": 0, "unix-ms": 3, "unix-us": 6, "unix-ns": 9}  # digits of a part of a second
_WITH_YEAR = re.compile("%[yYGcx]")  # %c and %x are whole dates
_YEAR = re.compile(r"(\d{4})(?:-(\d{2}))?")
_SLASHES = re.compile(r"\d{4}/\d{1,2}/\d{1,2}")
_NUMBER = re.compile(r"[-+]?\d+(?:\.\d*)?(?:[eE][-+]?\d+)?")
_DAY = re.compile(r"\d{8}")  # as of ISO 8601 without dashes
_EITHER_FIRST = re.compile(
    r"\d{1,2}([./-])\d{1,2}\1\d{2}(\d{2})?([ T]\d{1,2}:\d{2}(:\d{2})?( ?[AaPp][Mm])?)?\b"
)
_MONTH = re.compile(r"(19|20)\d{2}(0[1-9]|1[0-2])")  # as 202405
_EPOCH = datetime(1970, 1, 1)
_SOME = datetime(2024, 5, 31, 18, tzinfo=timezone.utc)


def read_time(text: str, form: str | None = None) -> datetime:
    """Return a time, with its zone if it has one.

    It is written as in ISO 8601, a year, a year and a month, or with slashes for dashes, year
    first; or as `form` says: one of `UNIX`, which is in UTC, or as of ``datetime.strptime``. Raises
    ValueError for anything else.
    """
    text = text.strip()
    if form in UNIX:
        return _since_1970(text, UNIX[form])
    if form is not None:
        return datetime.strptime(text, form)
    found = _YEAR.fullmatch(text)
    if found:
        return datetime(int(found[1]), int(found[2] or 1), 1)
    if _DAY.fullmatch(text):
        text = f"{text[:4]}-{text[4:6]}-{text[6:]}"  # which Python 3.10 asks for
    elif _NUMBER.fullmatch(text):
        raise ValueError("it is a number")  # of which some are read as a day and a time
    if _SLASHES.match(text):
        text = re.sub(r"(\d{4})/(\d{1,2})/(\d{1,2})", _dashes, text)
    if text.endswith(("Z", "z")):
        text = text[:-1] + "+00:00"
    return datetime.fromisoformat(text)


def check_form(form: str) -> None:
    """Raise ValueError for a form of times that is none, or that leaves open which time it is."""
    if form in UNIX:
        return
    told = f"time_format is {form!r:.60}, expected {', '.join(UNIX)} or such as %d/%m/%Y %H:%M"
    has_year = _WITH_YEAR.search(form.replace("%%", ""))
    dated = form if has_year else f"%Y {form}"  # newer Pythons warn of a day without a year
    try:
        datetime.strptime(_SOME.strftime(dated), dated)
    except (ValueError, re.error) as error:
        raise ValueError(f"{told}: {error}") from error
    if not has_year:
        raise ValueError(f"{told}: it has no year, %Y or %y")
    if "%I" in form and "%p" not in form:
        raise ValueError(f"{told}: %I, an hour of twelve, needs %p; %H is one of 24")


def hint_of(text: str) -> str:
    """Return what may be said of a text that is no time without a form, for a message."""
    day = _EITHER_FIRST.match(text)
    if day:
        mark, year, clock, seconds, half = day.groups()
        rest = f"{mark}%Y" if year else f"{mark}%y"
        if clock:
            rest += f"{clock[0]}{'%I' if half else '%H'}:%M{':%S' if seconds else ''}"
        if half:
            rest += f"{half[:-2]}%p"
        return (
            f"; --time-format '%d{mark}%m{rest}' if the day comes first, '%m{mark}%d{rest}' if the "
            "month does"
        )
    if _MONTH.fullmatch(text):
        return "; --time-format %Y%m if it is a year and a month"
    if _NUMBER.fullmatch(text):
        return (
            f"; --time-format {', '.join(UNIX)} if it counts seconds, or parts of them, since 1970"
        )
    return "; --time-format says how others are written"


def microseconds(time: datetime) -> int:
    """Return the microseconds of a time since 1970, in UTC if it has a zone."""
    offset = time.utcoffset() or timedelta(0)
    return (time.replace(tzinfo=None) - offset - _EPOCH) // timedelta(microseconds=1)


def _since_1970(text: str, digits: int) -> datetime:
    """Return the time of a number of seconds, or of parts of them, since 1970."""
    if not _NUMBER.fullmatch(text):
        raise ValueError("it is no number")
    try:
        count = Decimal(text).scaleb(6 - digits).to_integral_value()
        return (_EPOCH + timedelta(microseconds=int(count))).replace(tzinfo=timezone.utc)
    except ArithmeticError as error:
        raise ValueError("it is beyond the year 9999") from error


def _dashes(found: re.Match[str]) -> str:
    return f"{found[1]}-{int(found[2]):02}-{int(found[3]):02}"
