"""What a study searches: for each option a range or a list of values, as words say them."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import Field, dataclass
from difflib import get_close_matches
from typing import Any

# Short names of options that are often searched.
SHORT = {
    "hidden": "hidden_size", "layers": "num_layers", "embedding": "embedding_dim",
    "batch": "batch_size",
}  # fmt: skip
BOOLEANS = {"yes": True, "true": True, "on": True, "no": False, "false": False, "off": False}
FORMS = "NAME=LOW:HIGH, NAME=LOW:HIGH:log, NAME=LOW:HIGH:STEP or NAME=A,B,C"


@dataclass(frozen=True)
class Range:
    """Numbers from `low` to `high`, both included: whole ones if these are.

    Attributes
    ----------
    step : between two values; None for any value, or of whole numbers for each.
    log : whether factors count, not differences.
    """

    low: float
    high: float
    step: float | None = None
    log: bool = False

    @property
    def ends(self) -> list[Any]:
        """Values that are allowed if all are."""
        return [self.low, self.high]

    @property
    def words(self) -> str:
        """As a command line says it."""
        how = ["log"] if self.log else [] if self.step is None else [f"{self.step!r}"]
        return ":".join([f"{self.low!r}", f"{self.high!r}", *how])

    def holds(self, value: Any) -> bool:
        """Whether the value is one of these."""
        if type(value) not in (int, float) or not self.low <= value <= self.high:
            return False
        return self.step is None or _is_whole((value - self.low) / self.step)

    def value(self, drawn: Any) -> Any:
        """Return a number that was drawn as the option takes it: one that can be typed.

        So 0.3, not 0.30000000000000004; without steps four digits.
        """
        if type(self.low) is int:
            return drawn
        digits = 4 if self.step is None else 12
        return min(max(float(f"{drawn:.{digits}g}"), self.low), self.high)

    def distribution(self, distributions: Any) -> Any:
        """Return it as one of ``optuna.distributions``."""
        if type(self.low) is int:
            step = 1 if self.step is None else self.step
            return distributions.IntDistribution(self.low, self.high, log=self.log, step=step)
        return distributions.FloatDistribution(self.low, self.high, log=self.log, step=self.step)


@dataclass(frozen=True)
class Choices:
    """Some values, of which none is nearer to one than to another."""

    values: tuple[Any, ...]

    @property
    def ends(self) -> list[Any]:
        """Values that are allowed if all are."""
        return list(self.values)

    @property
    def words(self) -> str:
        """As a command line says it."""
        named = {True: "yes", False: "no"}
        return ",".join(named[v] if isinstance(v, bool) else str(v) for v in self.values)

    def holds(self, value: Any) -> bool:
        """Whether the value is one of these."""
        return any(type(value) is type(own) and value == own for own in self.values)

    def value(self, drawn: Any) -> Any:
        """Return a value that was drawn."""
        return drawn

    def distribution(self, distributions: Any) -> Any:
        """Return it as one of ``optuna.distributions``."""
        return distributions.CategoricalDistribution(self.values)


Space = dict[str, "Range | Choices"]


def parse_search(words: Iterable[str], options: Mapping[str, Field[Any]]) -> Space:
    """Return the space that words such as ``lr=1e-4:1e-2:log`` say.

    `options` are the fields of the options that may be searched. Raises ValueError, which begins
    with "search", if a word is none of `FORMS`, names no option or one twice, or a value is not of
    the option's type.
    """
    space: Space = {}
    for word in words:
        name, equals, text = word.partition("=")
        if not (name and equals and text):
            more = "" if "=" in word else "; DATA stands before --search"
            raise ValueError(f"search is {word!r}, expected {FORMS}{more}")
        name = full_name(name, options)
        if name in space:
            raise ValueError(f"search has {name} twice, expected each option once")
        space[name] = parse_values(name, text, options[name])
    if not space:
        raise ValueError(f"search is empty, expected {FORMS}")
    return space


def full_name(name: str, options: Iterable[str]) -> str:
    """Return the name of an option that may be short, or have - for _; ValueError if it is none."""
    options = list(options)
    plain = name.strip().lstrip("-").replace("-", "_")
    known = {**{option: option for option in options}, **SHORT}
    found = known.get(plain)
    if found in options:
        return str(found)
    near = get_close_matches(plain, known, n=1, cutoff=0.7)
    hint = f"did you mean {near[0]}?" if near else f"such are {', '.join(options)}"
    raise ValueError(f"search is for {name!r}, which is no option that can be searched; {hint}")


def parse_values(name: str, text: str, option: Field[Any]) -> Range | Choices:
    """Return the values of one option; errors as of `parse_search`."""
    kind = option.metadata["type"]
    if ":" in text and kind in (int, float):
        return _range(name, text, kind)
    values = tuple(_value(name, part.strip(), kind) for part in text.split(","))
    if len(set(values)) < len(values):
        raise ValueError(f"search is {name}={text}, expected each value once")
    if len(values) < 2:
        form = f"{name}={text},..." if kind in (bool, str) else f"{name}={text}:HIGH"
        raise ValueError(
            f"search is {name}={text}, expected two values or more, as {form}; to have one value "
            f"give --{name.replace('_', '-')}"
        )
    return Choices(values)


def as_words(search: Iterable[str] | Mapping[str, str | Sequence[Any]]) -> list[str]:
    """Return a search as words; of a dict the values are words or lists.

    Raises TypeError if it is neither a dict nor a list of words.
    """
    if isinstance(search, Mapping):
        return [f"{name}={_as_text(name, values)}" for name, values in search.items()]
    if isinstance(search, str):
        return search.split()
    words = list(search) if isinstance(search, Iterable) else [search]
    if not all(isinstance(word, str) for word in words):
        raise TypeError(f"search is {search!r:.80}, expected words ({FORMS}) or a dict of them")
    return words


def _as_text(name: str, values: Any) -> str:
    if isinstance(values, str):
        return values
    if isinstance(values, (list, tuple)):
        return Choices(tuple(values)).words
    raise TypeError(
        f"search has {name}: {values!r:.60}, expected words such as '1e-4:1e-2:log', or a list"
    )


def _range(name: str, text: str, kind: type) -> Range:
    parts = [part.strip() for part in text.split(":")]
    if len(parts) > 3:
        raise ValueError(f"search is {name}={text}, expected LOW:HIGH, and :log or :STEP after it")
    low, high = (_value(name, part, kind) for part in parts[:2])
    if not low < high:
        raise ValueError(f"search is {name}={text}, expected LOW:HIGH with LOW below HIGH")
    if len(parts) == 2:
        return Range(low, high)
    if parts[2] == "log":
        if low <= 0:
            raise ValueError(f"search is {name}={text}, expected LOW above 0 for log")
        return Range(low, high, log=True)
    step = _value(name, parts[2], kind, "log or a step")
    if step <= 0:
        raise ValueError(f"search is {name}={text}, expected a step above 0")
    count = (high - low) / step
    if not _is_whole(count):
        last = _shown(low + math.floor(count) * step)
        raise ValueError(
            f"search is {name}={text}, of which steps of {_shown(step)} never reach "
            f"{_shown(high)}: expected a HIGH such as {last}"
        )
    return Range(low, high, step=step)


def _value(name: str, text: str, kind: type, expected: str = "") -> Any:
    if kind is bool and text.lower() in BOOLEANS:
        return BOOLEANS[text.lower()]
    if kind is str and text:
        return text
    try:
        if kind is float and math.isfinite(float(text)):
            return float(text)
        if kind is int:
            return int(text)
    except ValueError:
        pass
    told = {bool: "yes or no", str: "a word", int: "a whole number", float: "a number"}[kind]
    raise ValueError(f"search is {name}={text!r}, expected {expected or told}")


def _is_whole(number: float) -> bool:
    return abs(number - round(number)) < 1e-9 * max(1.0, abs(number))


def _shown(number: float) -> str:
    return f"{number:.6g}"
