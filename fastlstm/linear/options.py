"""What n-grams a classifier is made of, and how it is fitted."""

from __future__ import annotations

from dataclasses import dataclass

Range = tuple[int, int]
AUTO = "auto"
CHARS = (2, 5)
MOST_TOKENS = 2_000_000  # of all texts, up to which characters are looked at by default
FEW_TEXTS = 3_000  # below which n-grams of a single text count
MAX_FEATURES = 4_000_000
MAX_WEIGHTS = 64_000_000  # features times classes


@dataclass(frozen=True)
class NgramOptions:
    """Options of a `BagOfNgrams`.

    Attributes
    ----------
    words : least and most tokens of an n-gram.
    chars : likewise of the characters of a word; None for none; "auto" for 2 to 5 unless the texts
        have more than 2,000,000 tokens in all: characters help with words that training has met
        seldom, of which large sets have few, and take most of the time there.
    C : what the errors cost, against the squares of the weights.
    max_features : the n-grams kept at most, those in most texts; also no more than 64,000,000
        divided by the number of classes.
    seed : of the order in which the solver looks at texts.
    tolerance : at which the solver ends: the objective is then about a fifth of that part of it, or
        less, above its minimum.

    Raises
    ------
    ValueError
        If one is out of range.
    """

    words: Range = (1, 3)
    chars: Range | str | None = AUTO
    C: float = 10.0
    max_features: int = MAX_FEATURES
    seed: int = 0
    tolerance: float = 5e-3

    def __post_init__(self) -> None:
        check_range("words", self.words)
        if isinstance(self.chars, str):
            if self.chars != AUTO:
                raise ValueError(f"chars is {self.chars!r}, expected two numbers, None or 'auto'")
        elif self.chars is not None:
            check_range("chars", self.chars)
        if not 0 < self.C <= 1e9:
            raise ValueError(f"C is {self.C}, expected more than 0 and at most 1e9")
        if self.max_features < 1:
            raise ValueError(f"max_features is {self.max_features}, expected 1 or more")
        if not 0 < self.tolerance < 1:
            raise ValueError(f"tolerance is {self.tolerance}, expected between 0 and 1")

    def chars_of(self, tokens: int) -> Range | None:
        """Return the lengths of runs of characters for texts of that many tokens in all."""
        if not isinstance(self.chars, str):
            return self.chars
        return CHARS if tokens <= MOST_TOKENS else None

    def features_of(self, classes: int) -> int:
        """Return how many features there may be for so many `classes`, each of a weight."""
        return max(min(self.max_features, MAX_WEIGHTS // (1 if classes == 2 else classes)), 1)


MOST_LONG = 16  # tokens or characters of an n-gram


def check_range(name: str, value: object) -> None:
    """Raise ValueError unless a value is the least and the most length of an n-gram."""
    pair = value if isinstance(value, tuple) else ()
    if (
        len(pair) != 2
        or not all(type(n) is int for n in pair)
        or not 1 <= pair[0] <= pair[1] <= MOST_LONG
    ):
        raise ValueError(f"{name} is {value!r}, expected two rising numbers from 1 to {MOST_LONG}")
