"""`load_language`: a file, a folder of three, the bundled text, and what is wrong with them."""

from __future__ import annotations

import os
import re
from pathlib import Path

import pytest

from fastlstm.text import load_language

SHARED = Path(
    os.environ.get("FASTLSTM_SHARED_DATA") or Path(__file__).parents[2].parent / "shared" / "data"
)


@pytest.fixture
def ptb(tmp_path: Path) -> Path:
    for part, text in (("train", " a b \n c a \n"), ("valid", " b a \n"), ("test", " d a b\n")):
        (tmp_path / f"ptb.{part}.txt").write_text(text)
    (tmp_path / "README").write_text("not a part")
    return tmp_path


def test_a_folder_of_three(ptb: Path) -> None:
    data = load_language(ptb, level="word")
    assert data.symbols.tokens == ["<unk>", "<eos>", "a", "b", "c"]
    assert data.train.tolist() == [2, 3, 1, 4, 2, 1]
    assert data.validation.tolist() == [3, 2, 1]
    assert data.test.tolist() == [0, 2, 3, 1]
    assert data.source == f"{ptb.name}: 6 + 3 + 4 words, 5 distinct"
    assert len(load_language(ptb, level="word", size=3).symbols) == 3


@pytest.mark.parametrize("in_folder", [True, False])
def test_one_file_is_cut_at_ends_of_lines(tmp_path: Path, in_folder: bool) -> None:
    lines = [f"line {i % 9}\n" for i in range(200)]
    path = tmp_path / "book.txt"
    path.write_bytes("".join(lines).replace("\n", "\r\n").encode("utf-8-sig"))
    data = load_language(tmp_path if in_folder else path)
    parts = [data.symbols.decode(ids) for ids in (data.train, data.validation, data.test)]
    assert "".join(parts) == "".join(lines)  # without the mark at its start and \r
    assert [len(part) // 7 for part in parts] == [180, 10, 10]
    assert all(part.endswith("\n") for part in parts)
    assert data.source.startswith("book.txt: 1,260 + 70 + 70 characters, 16 distinct")


def test_one_file_without_lines_is_cut_anywhere(tmp_path: Path) -> None:
    (tmp_path / "book.txt").write_text("abcdefghij" * 10)
    data = load_language(tmp_path / "book.txt")
    assert [len(ids) for ids in (data.train, data.validation, data.test)] == [90, 5, 5]


def test_the_bundled_text() -> None:
    data = load_language()
    assert data.source.startswith("bundled pages of Shakespeare: 89,826 + 5,020 + 4,997 char")
    assert data.symbols.decode(data.train[:14]) == "First Citizen:"
    assert len(load_language(level="word").symbols) > 1000


def test_what_is_not_there(tmp_path: Path, ptb: Path) -> None:
    with pytest.raises(FileNotFoundError, match="data '.*gone' does not exist"):
        load_language(tmp_path / "gone")
    (ptb / "ptb.valid.txt").rename(ptb / "more.train.txt")
    message = re.escape("{'train': ['more.train.txt', 'ptb.train.txt'], 'val': [], 'test': ['ptb")
    with pytest.raises(FileNotFoundError, match=message):
        load_language(ptb)


def test_what_cannot_be_read(tmp_path: Path, ptb: Path) -> None:
    path = tmp_path / "book.txt"
    path.write_bytes("naïve".encode("latin-1"))
    with pytest.raises(ValueError, match=r"book\.txt is not UTF-8 \(byte 2\): convert it first"):
        load_language(path)
    path.write_text("")
    with pytest.raises(ValueError, match=r"book\.txt has 0 tokens in its train part"):
        load_language(path)
    (ptb / "ptb.test.txt").write_text("")
    path.unlink()
    with pytest.raises(ValueError, match="has 0 tokens in its test part, expected at least 2"):
        load_language(ptb, level="word")
    with pytest.raises(ValueError, match="level is 'line', expected one of char, word"):
        load_language(ptb, level="line")


@pytest.mark.skipif(not (SHARED / "ptb").is_dir(), reason="Penn Treebank is not at hand")
def test_penn_treebank_has_its_known_size() -> None:
    data = load_language(SHARED / "ptb", level="word")
    assert data.source == "ptb: 929,589 + 73,760 + 82,430 words, 10,000 distinct"
    assert not (data.validation == len(data.symbols)).any()
