"""Names of classes as their numbers, and errors that list those which are none."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence

from fastlstm.text.labels import class_name

SHOWN = 8  # classes that a message lists
MOST_COUNTED = 100_000  # different names that are no classes are counted


class ClassNumbers:
    """The numbers of classes by name; numbers may be spelled in any way.

    Parameters
    ----------
    labels : names of the classes, by number.
    source : what errors call the texts.
    """

    def __init__(self, labels: Sequence[str], source: str) -> None:
        self._labels, self._source = labels, source
        # Earlier versions wrote classes such as "1.0" and "True".
        self._number: dict[str | None, int] = {class_name(name): n for n, name in enumerate(labels)}
        self._number.update((name, n) for n, name in enumerate(labels))
        self._strange: Counter[str] = Counter()

    def of(self, names: Iterable[str]) -> list[int]:
        """Return the numbers of known classes; names that are none are counted instead."""
        found = []
        for name in names:
            if name in self._number:
                found.append(self._number[name])
            elif name in self._strange or len(self._strange) < MOST_COUNTED:
                self._strange[name] += 1
        return found

    @property
    def all_known(self) -> bool:
        return not self._strange

    def check(self) -> None:
        """Raise ValueError if a name was no class: tells which, and what the classes are."""
        if self._strange:
            raise ValueError(
                f"{self._source} has labels that training did not have: {counted(self._strange)}; "
                f"the classes are {_listed(self._labels)}"
            )


def numbers_of(names: Sequence[str], labels: Sequence[str], source: str) -> list[int]:
    """Return the numbers of classes by name, see `ClassNumbers`; ValueError if one is none."""
    numbers = ClassNumbers(labels, source)
    found = numbers.of(names)
    numbers.check()
    return found


def counted(counts: Counter[str]) -> str:
    """Return the most frequent names with their counts, as a message lists them."""
    shown = [f"{name!r} ({count:,})" for name, count in counts.most_common(SHOWN)]
    return ", ".join(shown) + (", ..." if len(counts) > SHOWN else "")


def _listed(names: Sequence[str]) -> str:
    shown = ", ".join(map(repr, names[:SHOWN]))
    return f"{shown}, ... ({len(names)} in all)" if len(names) > SHOWN else shown
