"""The name of the class that a label stands for: equal numbers are one class."""

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
    """Return the name of a label's class; None if it is missing: nothing, or not a number (NaN).

    Equal numbers have one name, however they are spelled and whether a file says number or text:
    1, "1.0", "+1" and "1e0" are "1". Numbers are compared exactly, so whole numbers that no float
    can tell apart are two classes. A leading zero makes a code and no number: "01" is not "1".
    True, "true" and "TRUE" are "true". Any other text is its own name, without white space around.

    Raises
    ------
    ValueError
        If it is neither text nor number, or is half a character (a lone surrogate).
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
    except InvalidOperation:  # an exponent that no library of numbers holds
        return text
    if not value:
        return "0"
    return f"{value:f}" if abs(value.adjusted()) < _LONGEST else str(value)
