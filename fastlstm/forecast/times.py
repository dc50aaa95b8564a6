"""Times as people write them."""

from __future__ import annotations

import re
from datetime import datetime, timedelta

EXPECTED = "such as 2024-05-31, 2024-05-31 18:00, 2024-05 or 2024"

_YEAR = re.compile(r"(\d{4})(?:-(\d{2}))?")
_SLASHES = re.compile(r"\d{4}/\d{1,2}/\d{1,2}")
_UNIX = datetime(1970, 1, 1)


def read_time(text: str, form: str | None = None) -> datetime:
    """Return a time, with its zone if it has one.

    It is written as in ISO 8601, a year, a year and a month, or with slashes for dashes, year
    first; or as `form` says, as of ``datetime.strptime``. Raises ValueError for anything else.
    """
    text = text.strip()
    if form is not None:
        return datetime.strptime(text, form)
    found = _YEAR.fullmatch(text)
    if found:
        return datetime(int(found[1]), int(found[2] or 1), 1)
    if _SLASHES.match(text):
        text = re.sub(r"(\d{4})/(\d{1,2})/(\d{1,2})", _dashes, text)
    if text.endswith(("Z", "z")):
        text = text[:-1] + "+00:00"
    return datetime.fromisoformat(text)


def microseconds(time: datetime) -> int:
    """Return the microseconds of a time since 1970, in UTC if it has a zone."""
    offset = time.utcoffset() or timedelta(0)
    return (time.replace(tzinfo=None) - offset - _UNIX) // timedelta(microseconds=1)


def _dashes(found: re.Match[str]) -> str:
    return f"{found[1]}-{int(found[2]):02}-{int(found[3]):02}"
