"""Numbers with the noun that they count."""

from __future__ import annotations


def count_of(count: int, noun: str, plural: str = "") -> str:
    """Return ``1 step``, ``2 steps`` and so on; ``plural`` where an ``s`` does not make it."""
    return f"{count:,} {noun if count == 1 else plural or f'{noun}s'}"
