"""The names of classes: labels that are equal numbers are one class."""

from __future__ import annotations

import re
from collections.abc import Iterable
from decimal import Context, Decimal, InvalidOperation
from functools import lru_cache
from math import isfinite

_NUMBER = re.compile(r"[+-]?(?:(?:0|[1-9][0-9]*)(?:\.[0-9]*)?|\.[0-9]+)(?:[eE][+-]?[0-9]{1,6})?")
_MISSING = ("", "nan", "+nan", "-nan", "<na>")  # as data frames write what is not there
_LONGEST = 40  # digits that a whole number is spelled out with


def class_name(label: object) -> str | None:
    """Return the name of a label's class; None if the label is missing: empty, or not finite.

    Equal numbers have one name, as numbers or as text: 1, "1.0", "+1" and "1e0" are "1". They are
    compared exactly, not as floats. With a leading zero it is no number: "01" is not "1". True,
    "true" and "TRUE" are "true". Any other text is its own name, without white space around it.
    Raises ValueError if it is neither text nor number, or has a lone surrogate.
    """
    if label is None or isinstance(label, float) and not isfinite(label):
        return None
    if not isinstance(label, (str, bool, int, float, Decimal)):
        raise ValueError(f"a {type(label).__name__}, expected text or a number")
    return _name(str(label).strip())


def in_order(names: Iterable[str]) -> list[str]:
    """Return the distinct names of classes: by value if all are numbers, else by spelling."""
    found = sorted(set(names))
    if all(map(_NUMBER.fullmatch, found)):
        found.sort(key=Decimal)
    return found


@lru_cache(maxsize=4096)
def _name(text: str) -> str | None:
    try:
        text.encode("utf-8")
    except UnicodeEncodeError:
        raise ValueError(f"{ascii(text)[:50]} with half a character, expected whole ones") from None
    if text.casefold() in _MISSING:
        return None
    if text.casefold() in ("true", "false"):
        return text.casefold()
    return _number(text) if _NUMBER.fullmatch(text) else text


def _number(text: str) -> str:
    """Return the one spelling of a number, exactly."""
    try:
        value = Decimal(text).normalize(Context(prec=max(len(text), 1)))
    except InvalidOperation:  # its exponent is too large for Decimal
        return text
    if not value:
        return "0"
    return f"{value:f}" if abs(value.adjusted()) < _LONGEST else str(value)
