"""Packed files are read as what is in them."""

from __future__ import annotations

import bz2
import gzip
import io
import lzma
import os
import zipfile
from collections.abc import Callable
from pathlib import Path

import pytest

from fastlstm.text import packed
from fastlstm.text.lines import read_lines
from fastlstm.text.packed import bare_name

TEXT = "caf\u00e9\r\ntwo\n" * 30_000


def zipped(data: bytes, *names: str) -> bytes:
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w", zipfile.ZIP_DEFLATED) as archive:
        for name in names or ("a.csv",):
            archive.writestr(name, data)
    return file.getvalue()


PACKERS: dict[str, Callable[[bytes], bytes]] = {
    ".gz": gzip.compress, ".bz2": bz2.compress, ".xz": lzma.compress, ".zip": zipped,
}  # fmt: skip


@pytest.mark.parametrize("ending", PACKERS)
def test_lines_of_a_packed_file(ending: str, tmp_path: Path) -> None:
    expected = ["caf\u00e9\n", "two\n"] * 30_000
    for name in ("a.csv" + ending, "a.csv"):  # the content tells, not the name
        path = tmp_path / name
        path.write_bytes(PACKERS[ending](TEXT.encode()))
        assert list(read_lines(path)) == expected
    (tmp_path / "b").write_bytes(PACKERS[ending](TEXT.encode("utf-16")))
    assert list(read_lines(tmp_path / "b")) == expected
    (tmp_path / "c").write_bytes(PACKERS[ending](b""))
    assert list(read_lines(tmp_path / "c")) == []


@pytest.mark.parametrize("ending", PACKERS)
def test_half_a_packed_file(ending: str, tmp_path: Path) -> None:
    path = tmp_path / "a.csv"
    data = PACKERS[ending](os.urandom(50_000).hex().encode())
    path.write_bytes(data[: len(data) // 2])
    with pytest.raises(ValueError, match=r"a\.csv is damaged or half a download"):
        list(read_lines(path))


@pytest.mark.parametrize("ending", PACKERS)
def test_what_unpacks_to_no_end(
    ending: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(packed, "FREE_BYTES", 1 << 20)
    path = tmp_path / "a.csv"
    path.write_bytes(PACKERS[ending](b"a" * (1 << 21)))
    with pytest.raises(ValueError, match="unpacks to more than 200 times its size"):
        list(read_lines(path))


def test_archives_of_several_files(tmp_path: Path) -> None:
    path = tmp_path / "a.zip"
    path.write_bytes(zipped(b"x\n", "a.csv", "b.csv"))
    with pytest.raises(ValueError, match=r"holds 2 files \(a\.csv, b\.csv\), expected one"):
        list(read_lines(path))
    path.write_bytes(zipped(b"x\n", "folder/", "folder/a.csv", "__MACOSX/folder/._a.csv"))
    assert list(read_lines(path)) == ["x\n"]
    path.write_bytes(zipped(b"x\n", "[Content_Types].xml", "b.xml"))
    with pytest.raises(ValueError, match="office document: save it as CSV"):
        list(read_lines(path))


def test_what_is_not_unpacked(tmp_path: Path) -> None:
    path = tmp_path / "a.csv.zst"
    path.write_bytes(b"\x28\xb5\x2f\xfdmore")
    with pytest.raises(ValueError, match="packed by zstd: unpack it first"):
        list(read_lines(path))
    path.write_text("BZh9 is how a text may begin\n")
    assert list(read_lines(path)) == ["BZh9 is how a text may begin\n"]


def test_names_without_the_ending_of_a_packed_file() -> None:
    names = ["A.CSV.gz", "a.jsonl.xz", "a.csv", "a.zip"]
    assert [bare_name(Path(name)) for name in names] == ["a.csv", "a.jsonl", "a.csv", "a"]
