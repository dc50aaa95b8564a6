"""Lines of text files in any encoding, with errors that say where decoding failed."""

from __future__ import annotations

import codecs
import io
from collections.abc import Iterable, Iterator
from pathlib import Path

from fastlstm.text.packed import Unpacked, open_unpacked

# UTF-32 before UTF-16, whose mark begins the one of UTF-32.
_MARKS = (
    (codecs.BOM_UTF8, "utf-8"),
    (codecs.BOM_UTF32_LE, "utf-32-le"),
    (codecs.BOM_UTF32_BE, "utf-32-be"),
    (codecs.BOM_UTF16_LE, "utf-16-le"),
    (codecs.BOM_UTF16_BE, "utf-16-be"),
)
_CHUNK = 1 << 16
_WIDEST = 4  # bytes of a character
Source = io.BufferedReader | Unpacked


def read_lines(path: Path, encoding: str | None = None) -> Iterator[str]:
    """Yield the lines of a file; errors are those of `open_unpacked` and `lines_of`."""
    with open_unpacked(path) as file:
        yield from lines_of(file, str(path), encoding)


def lines_of(source: Source, name: str, encoding: str | None = None) -> Iterator[str]:
    r"""Yield the lines of a stream as they come, each with its end, which becomes ``"\n"``.

    Errors call it `name`. The default encoding is what a byte order mark says, else UTF-8. Raises
    ValueError with the position of bytes that are no text, LookupError for an unknown encoding.
    """
    return cut_lines(_decoded(source, name, encoding))


def read_texts(path: Path, encoding: str | None = None) -> Iterator[str]:
    """Yield the text of a file in pieces that are cut anywhere; all else as of `read_lines`."""
    with open_unpacked(path) as file:
        yield from _decoded(file, str(path), encoding)


def cut_lines(texts: Iterable[str]) -> Iterator[str]:
    """Yield the lines of a text that comes in pieces, each with its end."""
    pieces: list[str] = []
    for text in texts:
        first, *rest = text.split("\n")
        pieces.append(first)
        if rest:
            yield "".join(pieces) + "\n"
            yield from (line + "\n" for line in rest[:-1])
            pieces = [rest[-1]]
    if last := "".join(pieces):
        yield last


def _decoded(source: Source, name: str, encoding: str | None) -> Iterator[str]:
    """Yield the text in pieces, without a byte order mark, and with the same line ends."""
    chunk = source.read1(_CHUNK)
    while len(chunk) < 4 and (more := source.read1(_CHUNK)):
        chunk += more
    guessed = encoding or next((e for mark, e in _MARKS if chunk.startswith(mark)), "utf-8")
    decoder = codecs.getincrementaldecoder(guessed)()
    ends = io.IncrementalNewlineDecoder(None, translate=True)
    position, lines, first = 0, 1, True  # bytes and lines before the chunk
    while True:
        before = position - len(decoder.getstate()[0])  # the decoder may hold half a character
        try:
            text = decoder.decode(chunk, final=not chunk)
        except UnicodeDecodeError as error:
            byte = error.object[error.start]
            where = before + error.start
            raise ValueError(_undecodable(name, guessed, f"byte 0x{byte:02x}", where)) from error
        except UnicodeError as error:  # such as "utf-16", which must begin with a mark
            raise ValueError(_undecodable(name, guessed, str(error), before)) from error
        if "\0" in text:
            start = text[: text.index("\0")]
            where = before + len(start.encode(guessed, "replace"))
            if where < _WIDEST:  # in the first letter: perhaps UTF-16 or UTF-32
                raise ValueError(_undecodable(name, guessed, "a zero character", where))
            raise ValueError(_stray_zero(name, lines + start.count("\n"), where))
        yield ends.decode(text.removeprefix("\ufeff") if first else text, final=not chunk)
        first = first and not text
        lines += text.count("\n")
        if not chunk:
            return
        position += len(chunk)
        chunk = source.read1(_CHUNK)


def _undecodable(name: str, encoding: str, what: str, where: int) -> str:
    return (
        f"{name} is not {encoding} text: {what} at position {where:,}; give its encoding "
        "(encoding=), such as cp1252, latin-1 or utf-16-le, or convert it to UTF-8"
    )


def _stray_zero(name: str, line: int, where: int) -> str:
    return (
        f"{name} line {line:,} holds a zero byte (NUL), at position {where:,}, which no text does: "
        "the file is damaged there; without such bytes (tr -d '\\0') the rest can be read"
    )
