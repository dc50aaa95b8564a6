"""Reading reviews from archive, folder and CSV, and what can be wrong with these."""

from __future__ import annotations

import gzip
import tarfile

import pytest
from small_imdb import BAD, GOOD, write_archive, write_csv

from fastlstm.text import tokenize
from fastlstm.text.reviews import read_texts
from fastlstm.text.sources import find_source


def read(path):
    return read_texts(find_source(path))


def words(texts) -> list[list[str]]:
    return [text.split() for text in texts.texts]


def test_folder(folder):
    for split in read(folder):
        assert words(split) == [tokenize(text) for text in (*BAD, *GOOD)]
        assert split.labels == [0] * 4 + [1] * 4


def test_archive_and_folder_are_alike(folder, archive):
    assert read(folder) == read(archive)


@pytest.mark.parametrize("form", [tarfile.GNU_FORMAT, tarfile.PAX_FORMAT, tarfile.USTAR_FORMAT])
def test_archives_of_every_format(folder, tmp_path, reviews, form):
    files = {f"./{name}": content for name, content in reviews.items()}
    if form != tarfile.USTAR_FORMAT:  # an extended header, to be passed over
        files["./aclImdb/" + "long/" * 40 + "name é.txt"] = b"other"
    assert read(write_archive(tmp_path / "new.tgz", files, format=form)) == read(folder)


def test_archive_cut_anywhere(archive):
    whole = archive.read_bytes()
    for size in range(0, len(whole), 7):
        archive.write_bytes(whole[:size])
        with pytest.raises(ValueError, match=r"aclImdb_v1.tar.gz is damaged or half a download"):
            read(archive)


def test_archive_cut_before_it_was_packed(tmp_path, archive):
    whole = gzip.decompress(archive.read_bytes())
    ends = whole.rstrip(b"\0")
    path = tmp_path / "cut.tar.gz"
    for size in range(0, len(ends), 256):
        path.write_bytes(gzip.compress(whole[:size], 1))
        with pytest.raises(ValueError, match=r"cut.tar.gz is damaged"):
            read(path)


def test_archive_with_a_flipped_byte(archive):
    whole, good, refused = archive.read_bytes(), read(archive), 0
    for place in range(len(whole)):
        damaged = bytearray(whole)
        damaged[place] ^= 0x10
        archive.write_bytes(damaged)
        try:
            assert read(archive) == good  # the file name in the header, say
        except ValueError as error:
            assert "aclImdb_v1.tar.gz is" in str(error)  # noqa: PT017
            refused += 1
    assert refused > 0.9 * len(whole)


@pytest.mark.parametrize(
    "content",
    [b"<html>not found</html>", gzip.compress(b"text " * 500, mtime=0)],
    ids=["html", "gzip"],
)
def test_archive_that_is_none(tmp_path, content):
    (tmp_path / "page.tar.gz").write_bytes(content)
    with pytest.raises(ValueError, match=r"page.tar.gz is damaged"):
        read(tmp_path / "page.tar.gz")


def test_archive_with_a_size_that_is_no_number(tmp_path, archive):
    whole = bytearray(gzip.decompress(archive.read_bytes()))
    for size, told in (
        (b"not a number", "invalid header"),
        (b"-0000000512\0", "'aclImdb/[^']*' has -330 bytes"),
    ):
        whole[124:136] = size
        archive.write_bytes(gzip.compress(whole))
        with pytest.raises(ValueError, match=r"is damaged or half a download: bad checksum"):
            read(archive)
        whole[148:156] = b" " * 8
        whole[148:156] = b"%06o\0 " % sum(whole[:512])
        archive.write_bytes(gzip.compress(whole))
        with pytest.raises(ValueError, match=f"is damaged or half a download: {told}"):
            read(archive)


def test_archive_with_large_files(archive, reviews):
    expected = read(archive)
    reviews["aclImdb/train/labeledBow.feat"] = bytes(3_000_000)
    write_archive(archive, reviews)
    assert read(archive) == expected
    reviews["aclImdb/train/pos/9_9.txt"] = b"great " * 200_000
    write_archive(archive, reviews)
    with pytest.raises(ValueError, match=r"9_9\.txt' has 1,200,000 bytes, which no review has"):
        read(archive)


def test_folder_without_a_part(folder):
    for path in (folder / "test" / "neg").iterdir():
        path.unlink()
    (folder / "test" / "neg").rmdir()
    with pytest.raises(FileNotFoundError, match=r"test.neg does not exist: .* is incomplete"):
        read(folder)


@pytest.mark.parametrize("kind", ["folder", "archive"])
def test_a_review_that_is_not_utf8_is_named(tmp_path, folder, reviews, kind):
    name = "aclImdb/test/pos/2_7.txt"
    (folder.parent / name).write_bytes(b"caf\xe9")
    broken = write_archive(tmp_path / "broken.tar.gz", {**reviews, name: b"caf\xe9"})
    with pytest.raises(ValueError, match=r"test/pos/2_7.txt in .* is not UTF-8"):
        read(folder if kind == "folder" else broken)


def test_csv_halves(kaggle):
    train, test = read(kaggle)
    assert words(train) == [tokenize(t) for t in (GOOD[0], BAD[0], GOOD[1], BAD[1])]
    assert words(test) == [tokenize(t) for t in (GOOD[2], BAD[2], GOOD[3], BAD[3])]
    assert train.labels == test.labels == [1, 0, 1, 0]


def test_csv_quotes_lines_and_byte_order_mark(tmp_path):
    rows = [('He said "no",\nthen left', "negative"), ("fine", "positive")]
    path = write_csv(tmp_path / "a.csv", rows)
    path.write_bytes(b"\xef\xbb\xbf" + path.read_bytes())
    train, test = read(path)
    assert words(train) == [["he", "said", "no", "then", "left"]]
    assert (train.labels, test.labels) == ([0], [1])


@pytest.mark.parametrize(
    ("columns", "rows", "message"),
    [
        (("text", "label"), [("a", "positive")], r"columns \['text', 'label'\], lacks \['review'"),
        (("review", "label"), [("a", "positive")], r"lacks \['sentiment'\]"),
        (("review", "sentiment"), [("a", "1")], "line 2 has sentiment '1', expected positive"),
        (("review", "sentiment"), [("a", "negative"), ("b",)], "line 3 has sentiment None"),
        (("review", "sentiment"), [("a" * 200_000, "negative")], "is not CSV: field larger"),
    ],
)
def test_csv_of_another_kind(tmp_path, columns, rows, message):
    with pytest.raises(ValueError, match=message):
        read(write_csv(tmp_path / "a.csv", rows, columns))


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"", "is empty, expected the columns"),
        (b"review,sentiment\ncaf\xe9,positive\n", "is not UTF-8"),
    ],
)
def test_csv_that_is_none(tmp_path, content, message):
    (tmp_path / "a.csv").write_bytes(content)
    with pytest.raises(ValueError, match=message):
        read(tmp_path / "a.csv")
