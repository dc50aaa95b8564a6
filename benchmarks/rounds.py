"""What benchmarks share that time cases in rounds, in which their sides take turns."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from typing import TypeVar

T = TypeVar("T")


def parser(name: str, about: str | None) -> argparse.ArgumentParser:
    """Return a parser of the options that all of them have; `about` is the module's docstring."""
    made = argparse.ArgumentParser(
        prog=f"python -m benchmarks.{name}", description=(about or "").partition("\n")[0]
    )
    made.add_argument("--only", default="", help="only cases whose name holds this text")
    made.add_argument("--rounds", type=positive, default=5)
    made.add_argument("--seconds", type=float, default=1.0, help="of a timing")
    return made


def positive(text: str) -> int:
    """Read a number of an option.

    Raises
    ------
    argparse.ArgumentTypeError
        If it is less than 1.
    """
    value = int(text)
    if value < 1:
        raise argparse.ArgumentTypeError(f"{text} is not positive")
    return value


def in_turn(number: int, sides: Sequence[T]) -> Sequence[T]:
    """Return the sides in the order of a round: the other way round in every second."""
    return sides[::-1] if number % 2 else sides


def say(text: str) -> None:
    """Tell how far the run is."""
    print(text, file=sys.stderr, flush=True)
