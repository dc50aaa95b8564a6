"""A stream in pieces that bound the memory."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from typing import TypeVar

Item = TypeVar("Item")

LETTERS = 1 << 22  # of a piece: texts of 4 MB, and what is made of them


def in_pieces(
    items: Iterable[Item], letters: Callable[[Item], int], most: int
) -> Iterator[list[Item]]:
    """Yield lists of items in order: `most` of them, or fewer that have LETTERS together.

    An item with more letters ends its piece; none is divided.
    """
    piece: list[Item] = []
    size = 0
    for item in items:
        piece.append(item)
        size += letters(item)
        if len(piece) == most or size >= LETTERS:
            yield piece
            piece, size = [], 0
    if piece:
        yield piece
