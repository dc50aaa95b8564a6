"""What the trials of a study are judged by."""

from __future__ import annotations

from typing import NamedTuple


class Measure(NamedTuple):
    """A measure of what was held back.

    Attributes
    ----------
    form : of its numbers in a table.
    rises : whether more is better.
    """

    form: str
    rises: bool = False


MEASURES = {
    "accuracy": Measure(".2%", rises=True),
    "mae": Measure(".4g"),
    "loss": Measure(".4f"),
}


def smallness(name: str, value: float | None) -> float:
    """Return a number that is the smaller, the better a measure is; 0 where it is unknown."""
    if value is None:
        return 0.0
    return -value if MEASURES[name].rises else value
