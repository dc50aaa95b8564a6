"""JSON values out of a text that comes in pieces, of which only some are held."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from typing import Any

_AFTER_SPACE = re.compile(r"[^ \t\r\n]")
_PART = 12  # letters of an escape or a word such as false that may still be missing
MOST_HELD = 1 << 16  # letters that are done with before they are let go


class JsonText:
    """A reader of one value after another.

    Parameters
    ----------
    pieces : of the text, cut anywhere.
    decoder : decodes the values.
    """

    def __init__(self, pieces: Iterator[str], decoder: json.JSONDecoder) -> None:
        self._pieces, self._decoder = pieces, decoder
        self._text, self._at = "", 0
        self._line, self._column, self._char = 1, 0, 0  # where the text that is held begins

    def start(self) -> str:
        """Return the first line that is not blank, without spaces, or the beginning of it."""
        self.peek()
        line = self._text[self._at :].partition("\n")
        while not line[1] and len(line[0]) < MOST_HELD and self._more():
            line = self._text[self._at :].partition("\n")
        return line[0].strip()

    def rest(self) -> Iterator[str]:
        """Yield the text from the beginning, if nothing was taken yet."""
        yield self._text
        yield from self._pieces

    def peek(self) -> str:
        """Return the next letter that is no space; "" at the end."""
        while not (found := _AFTER_SPACE.search(self._text, self._at)):
            self._at = len(self._text)
            if not self._more():
                return ""
        self._at = found.start()
        return found[0]

    def take(self, letter: str) -> bool:
        """Whether the next letter is this one, which is passed then."""
        if self.peek() != letter:
            return False
        self._at += 1
        return True

    def value(self) -> Any:
        """Return the next value.

        Raises ValueError with its line and column if it is none, RecursionError if it is too deep.
        """
        self.peek()
        while True:
            try:
                value, end = self._decoder.raw_decode(self._text, self._at)
            except json.JSONDecodeError as error:
                cut = error.pos >= len(self._text) - _PART or error.msg.startswith("Unterminated")
                if not cut or not self._more():
                    raise ValueError(self.told(error.msg, error.pos)) from error
                continue
            if end < len(self._text) or not self._more():  # else a number may go on
                self._at = end
                self._let_go()
                return value

    def told(self, what: str, at: int | None = None) -> str:
        """Return a message as the json module words it, with the place in the whole text."""
        at = self._at if at is None else at
        before = self._text.count("\n", 0, at)
        column = at - self._text.rfind("\n", 0, at) if before else self._column + at + 1
        return f"{what}: line {self._line + before} column {column} (char {self._char + at})"

    def _more(self) -> bool:
        """Read on, about as much as there is to go through; return whether there was anything."""
        read, size, wanted = [self._text], 0, len(self._text) - self._at
        for piece in self._pieces:
            read.append(piece)
            size += len(piece)
            if size > wanted:
                break
        self._text = "".join(read)
        return size > 0

    def _let_go(self) -> None:
        if self._at < MOST_HELD or self._at < len(self._text) // 2:
            return
        done = self._text[: self._at]
        lines = done.count("\n")
        self._column = len(done) - done.rfind("\n") - 1 if lines else self._column + len(done)
        self._line += lines
        self._char += len(done)
        self._text, self._at = self._text[self._at :], 0
