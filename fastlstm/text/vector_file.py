"""Files of word vectors: word2vec (text or binary), GloVe and fastText (``.vec``).

What the words of a file are is told by its content:

- ``400000 300`` in the first line: word2vec, so many vectors of so many numbers; then lines of a
  word and its numbers (also fastText's), or, binary, words each with a space and float32 numbers;
- else GloVe: lines of a word and its numbers, as many as in the first line. A word may hold spaces.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from fastlstm.counts import count_of
from fastlstm.text.lines import Source

MOST_NUMBERS = 1 << 14  # of a vector
LONGEST_WORD = 1 << 12  # bytes
LONGEST_LINE = 1 << 22
_CHUNK = 1 << 20
_SHOWN = 40
_HEADER = re.compile(rb"(?:\xef\xbb\xbf)?[ \t]*([0-9]{1,15})[ \t]+([0-9]{1,15})[ \t]*\r?\n")
_DIGITS = frozenset(b"0123456789+-.eE \t\r\n")
_FASTTEXT_MODEL = b"\xba\x16\x4f\x2f"

# Where a vector stands, its word (None if that is not UTF-8), and its numbers as they are written.
Record = tuple[str | None, Any]


class LookAhead:
    """The bytes of a source, of which the next ones can be looked at."""

    def __init__(self, source: Source) -> None:
        self._source, self._next = source, b""

    def look(self, size: int) -> bytes:
        """Return the next `size` bytes, or all that are left, and keep them."""
        while len(self._next) < size and (more := self._source.read1(_CHUNK)):
            self._next += more
        return self._next[:size]

    def skip(self, size: int) -> None:
        self._next = self._next[size:]

    def read(self) -> bytes:
        """Return some of the bytes to come; none at the end."""
        if self._next:
            given, self._next = self._next, b""
            return given
        return self._source.read1(_CHUNK)


class VectorFile:
    """A file of vectors.

    Attributes
    ----------
    size : numbers of a vector.
    count : vectors, where the file says so.
    at : the line, or in a binary file the vector, that was read last, from 1.
    """

    def __init__(self, path: Path, source: LookAhead) -> None:
        self._path, self._source = path, source
        start = source.look(_CHUNK)
        if not start.strip():
            raise ValueError(f"{path} is empty, expected word vectors")
        if start.startswith(_FASTTEXT_MODEL):
            raise ValueError(f"{path} is a model of fastText (.bin), expected its vectors (.vec)")
        self.at, self.count, self._unit = 0, None, "line"
        header = _HEADER.match(start)
        if header:
            self.count, self.size = int(header[1]), int(header[2])
            source.skip(header.end())
            self.at = 1
            if not self.count or not 0 < self.size <= MOST_NUMBERS:
                raise self._error(
                    f"says {count_of(self.count, 'vector')} of {count_of(self.size, 'number')}, "
                    f"expected at least one of 1 to {MOST_NUMBERS:,}"
                )
            if self._looks_binary(start[header.end() :]):
                self.at, self._unit = 0, "vector"
        else:
            self.size = self._size_of(start)

    def records(self) -> Iterator[Record]:
        """Yield the words and the bytes of their numbers."""
        words = undecodable = 0
        for raw, numbers in self._binary() if self._unit == "vector" else self._text():
            words += 1
            try:
                yield raw.decode(), numbers
            except UnicodeDecodeError:
                undecodable += 1
        if self.count is not None and words != self.count:
            raise ValueError(
                f"{self._path} has {count_of(words, 'vector')}, but its first line says "
                f"{self.count:,}: it is damaged or half a download"
            )
        if undecodable * 20 > words:
            raise ValueError(
                f"{self._path} is not UTF-8: {undecodable:,} of its {count_of(words, 'word')} are "
                "not; convert it first"
            )

    def parse(self, word: str, numbers: Any) -> NDArray[np.float32]:
        """Return the vector that was read last."""
        if self._unit == "vector":
            vector = np.frombuffer(numbers, "<f4").astype(np.float32)
        else:
            vector = self._parse_text(numbers.split(), word)
        if not np.isfinite(vector).all():
            bad = int(np.argmin(np.isfinite(vector)))
            raise self._error(
                f"({word[:_SHOWN]!r}): its number {bad + 1} is {vector[bad]}, expected a finite one"
            )
        return vector

    def _parse_text(self, fields: list[bytes], word: str) -> NDArray[np.float32]:
        if len(fields) != self.size:
            raise self._misfit(repr(word[:_SHOWN]), len(fields))
        try:
            with np.errstate(over="ignore"):
                return np.array([float(field) for field in fields], np.float64).astype(np.float32)
        except ValueError:
            wrong = next(field for field in fields if not _is_number(field))
            raise self._error(f"has {_shown(wrong)} where a number is expected") from None

    def _text(self) -> Iterator[tuple[bytes, bytes]]:
        size = self.size
        for line in self._lines():
            line = line.rstrip(b" \t\r")
            word, _, numbers = line.partition(b" ")
            if numbers.count(b" ") != size - 1 or b"\t" in line:
                if not line:
                    continue
                word, numbers = self._divide(line)
            yield word, numbers

    def _divide(self, line: bytes) -> tuple[bytes, bytes]:
        """Return the word and the numbers of a line with tabs, or more spaces than numbers."""
        fields = line.rsplit(None, self.size)
        if len(fields) == self.size and line[:1] in (b" ", b"\t"):
            fields.insert(0, b"")
        if len(fields) <= self.size:
            found = len(fields) - 1
        else:
            more = [_is_number(field) for field in reversed(fields[0].split()[1:])]
            found = self.size + (more.index(False) if False in more else len(more))
        if found != self.size:
            raise self._misfit(_shown(fields[0]), found)
        return fields[0], b" ".join(fields[1:])

    def _lines(self) -> Iterator[bytes]:
        rest = b""
        while chunk := self._source.read():
            lines = (rest + chunk).split(b"\n")
            rest = lines.pop()
            for line in lines:
                self.at += 1
                yield line
            if len(rest) > LONGEST_LINE:
                self.at += 1
                raise self._error(f"has no end within {LONGEST_LINE:,} bytes: no word vectors")
        if rest:
            self.at += 1
            yield rest

    def _binary(self) -> Iterator[tuple[bytes, bytes]]:
        ahead, place, length = b"", 0, 4 * self.size
        assert self.count is not None
        while self.at < self.count:
            self.at += 1
            while (end := ahead.find(b" ", place, place + LONGEST_WORD)) < 0:
                if len(ahead) - place > LONGEST_WORD:
                    raise self._error(f"has no space within {LONGEST_WORD:,} bytes after its word")
                ahead, place = self._more(ahead[place:]), 0
            while len(ahead) - end - 1 < length:
                ahead, end, place = self._more(ahead[place:]), end - place, 0
            yield ahead[place:end].lstrip(b"\n"), ahead[end + 1 : end + 1 + length]
            place = end + 1 + length
        if ahead[place:].strip() or self._source.look(64).strip():
            raise ValueError(
                f"{self._path} goes on after the {count_of(self.count, 'vector')} that its first "
                "line says"
            )

    def _more(self, ahead: bytes) -> bytes:
        chunk = self._source.read()
        if not chunk:
            raise self._error(
                f"is not whole: the file ends, but its first line says {self.count:,} vectors of "
                f"{count_of(self.size, 'number')}"
            )
        return ahead + chunk

    def _looks_binary(self, start: bytes) -> bool:
        """Whether what follows the first word, which is as long as a vector, is hardly digits."""
        sample = start[start.find(b" ") + 1 :][: min(4 * self.size, 256)]
        return 2 * sum(byte in _DIGITS for byte in sample) < len(sample)

    def _size_of(self, start: bytes) -> int:
        """Return how many numbers the first line ends with."""
        line = start.partition(b"\n")[0]
        fields = line.removeprefix(b"\xef\xbb\xbf").split()
        are_numbers = [_is_number(field) for field in reversed(fields[1:])]
        size = are_numbers.index(False) if False in are_numbers else len(are_numbers)
        self.at = 1
        if not 0 < size <= MOST_NUMBERS:
            raise self._error(
                f"is {_shown(line)}, expected a word and its numbers, or how many vectors of how "
                "many numbers: word vectors of word2vec, GloVe or fastText (.vec)"
            )
        self.at = 0
        return size

    def _misfit(self, word: str, found: int) -> ValueError:
        return self._error(
            f"({word}) has {count_of(found, 'number')}, expected {self.size:,}, as the first line "
            "says" + ("" if self.count is not None else " by its own")
        )

    def _error(self, what: str) -> ValueError:
        return ValueError(f"{self._path} {self._unit} {self.at:,} {what}")


def _is_number(field: bytes) -> bool:
    try:
        float(field)
    except ValueError:
        return False
    return True


def _shown(raw: bytes) -> str:
    return repr(raw[:_SHOWN].decode("utf-8", "replace")) + ("..." if len(raw) > _SHOWN else "")
