"""Lines of files in any encoding, and errors that say where."""

from __future__ import annotations

import codecs
import io
from pathlib import Path

import pytest

from fastlstm.text.lines import lines_of, read_lines

TEXT = "caf\u00e9 \u4f60\u597d\nna\u00efve \U0001f600\n\nlast"


class Dribble:
    """A stream that gives a few bytes at a time, as a pipe may."""

    def __init__(self, data: bytes, size: int) -> None:
        self.stream, self.size = io.BytesIO(data), size

    def read1(self, size: int, /) -> bytes:
        return self.stream.read(min(size, self.size))


def lines(data: bytes, size: int = 1 << 16, encoding: str | None = None) -> list[str]:
    return list(lines_of(Dribble(data, size), "it", encoding))


@pytest.mark.parametrize("size", [1, 2, 3, 5, 1000])
@pytest.mark.parametrize(
    ("mark", "encoding"),
    [
        (b"", "utf-8"),
        (codecs.BOM_UTF8, "utf-8"),
        (codecs.BOM_UTF16_LE, "utf-16-le"),
        (codecs.BOM_UTF16_BE, "utf-16-be"),
        (codecs.BOM_UTF32_LE, "utf-32-le"),
        (codecs.BOM_UTF32_BE, "utf-32-be"),
    ],
)
def test_byte_order_marks_tell_the_encoding(mark: bytes, encoding: str, size: int) -> None:
    assert lines(mark + TEXT.encode(encoding), size) == TEXT.splitlines(keepends=True)


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16", "gb18030", "utf-16-le"])
def test_a_given_encoding(encoding: str) -> None:
    for size in (1, 7):
        assert "".join(lines(TEXT.encode(encoding), size, encoding)) == TEXT


def test_a_mark_is_no_text_where_the_encoding_is_given() -> None:
    assert lines(codecs.BOM_UTF8 + b"a", encoding="utf-8") == ["a"]
    assert lines(codecs.BOM_UTF16_LE + "a".encode("utf-16-le"), 1, "utf-16-le") == ["a"]


@pytest.mark.parametrize("size", [1, 2, 3, 100])
def test_every_line_end_is_the_same(size: int) -> None:
    assert lines(b"a\r\nb\rc\n\r\n\rd\r", size) == ["a\n", "b\n", "c\n", "\n", "\n", "d\n"]


def test_other_separators_of_unicode_end_no_line() -> None:
    text = "a\u2028b\x0bc\x85d\n"
    assert lines(text.encode()) == [text]


@pytest.mark.parametrize("data", [b"", codecs.BOM_UTF8])
def test_nothing(data: bytes) -> None:
    assert lines(data) == []


@pytest.mark.parametrize("size", [1, 4, 1 << 16])
@pytest.mark.parametrize("before", [0, 1, 70_000])
def test_where_the_first_bad_byte_is(before: int, size: int) -> None:
    if before > 1000 and size < 1000:
        return
    with pytest.raises(
        ValueError, match=f"it is not utf-8 text: byte 0xe9 at position {before:,};"
    ):
        lines(b"\n" * before + b"\xe9t\xe9", size)
    with pytest.raises(ValueError, match=f"byte 0xe9 at position {before + 3:,}; .*encoding="):
        lines(codecs.BOM_UTF8 + b"a" * before + b"\xe9t\xe9", size)


def test_half_a_character_at_the_end() -> None:
    with pytest.raises(ValueError, match="byte 0xc3 at position 2;"):
        lines(b"ab\xc3", 1)
    data = "ab".encode("utf-16-le")
    with pytest.raises(ValueError, match="is not utf-16-le text: byte 0x62 at position 4;"):
        lines(codecs.BOM_UTF16_LE + data[:-1], 1)


def test_utf_16_without_a_mark_is_found_out() -> None:
    with pytest.raises(ValueError, match="a zero character at position 1; .*utf-16-le"):
        lines("ab\n".encode("utf-16-le"))


@pytest.mark.parametrize("size", [1, 5, 1 << 16])
def test_a_stray_zero_is_named_as_such(size: int) -> None:
    with pytest.raises(ValueError, match=r"it line 3 holds a zero byte \(NUL\), at position 14"):
        lines(codecs.BOM_UTF8 + "\u00e9a\nb\r\nlong\0er\n".encode(), size)


@pytest.mark.parametrize("size", [1, 100])
@pytest.mark.parametrize("encoding", ["utf-16", "utf-32"])
def test_a_mark_that_the_given_encoding_needs(encoding: str, size: int) -> None:
    with pytest.raises(ValueError, match=f"it is not {encoding} text: .*position 0;") as caught:
        lines(b"text,label\n", size, encoding)
    assert type(caught.value) is ValueError


def test_no_such_encoding() -> None:
    with pytest.raises(LookupError, match="nonsense"):
        lines(b"a", encoding="nonsense")


def test_a_file_is_named(tmp_path: Path) -> None:
    path = tmp_path / "a.txt"
    path.write_bytes(b"one\ntwo")
    assert list(read_lines(path)) == ["one\n", "two"]
    path.write_bytes(b"\xff")
    with pytest.raises(ValueError, match=r"a\.txt is not utf-8 text"):
        list(read_lines(path))
    with pytest.raises(FileNotFoundError, match="gone"):
        list(read_lines(tmp_path / "gone"))
