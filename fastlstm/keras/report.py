"""How many calls of layers were taken by the kernels, and why others were not."""

from __future__ import annotations

from collections import Counter
from threading import Lock
from typing import NamedTuple

from fastlstm.counts import count_of

_lock = Lock()  # layers are called from several threads
_taken: Counter[str] = Counter()
_refused: Counter[tuple[str, str]] = Counter()


class Report(NamedTuple):
    """Calls of recurrent layers while the hook was on.

    Attributes
    ----------
    taken : class of the layer -> calls that the kernels answered.
    refused : class of the layer and reason -> calls that Keras's own path answered.
    """

    taken: dict[str, int]
    refused: dict[tuple[str, str], int]

    def __repr__(self) -> str:
        taken, refused = sum(self.taken.values()), sum(self.refused.values())
        lines = [f"fastlstm.keras: {count_of(taken, 'call')} taken, {refused} refused"]
        lines += [f"  taken    {n} of {kind}" for kind, n in self.taken.items()]
        lines += [f"  refused  {n} of {kind}: {why}" for (kind, why), n in self.refused.items()]
        return "\n".join(lines)


def report() -> Report:
    """Return what became of the calls of recurrent layers so far; print it.

    Calls are counted in all threads, from the first `enable` or the last `clear_report` on. A
    `Bidirectional` counts as its two layers. What torch.compile compiles is not counted.

    Returns
    -------
    report : a `Report`; later calls do not change it.
    """
    with _lock:
        return Report(dict(_taken), dict(_refused))


def clear_report() -> None:
    """Count from zero again."""
    with _lock:
        _taken.clear()
        _refused.clear()


def count(kind: str, why_not: str) -> None:
    """Count a call of a class of layers, refused for a reason or, if that is empty, taken."""
    with _lock:
        if why_not:
            _refused[kind, why_not] += 1
        else:
            _taken[kind] += 1
