from __future__ import annotations

import os
import shutil

import pytest

from fastlstm.text.sources import find_source


def test_each_form_is_recognised(folder, archive, kaggle):
    assert find_source(folder) == find_source(folder.parent) == ("folder", folder)
    assert find_source(str(archive)) == ("archive", archive)
    assert find_source(kaggle) == ("csv", kaggle)
    assert find_source("sample").kind == "sample"


def test_a_folder_holding_a_file_under_its_usual_name(archive, kaggle, tmp_path):
    assert find_source(tmp_path) == ("archive", archive)
    archive.unlink()
    assert find_source(tmp_path) == ("csv", kaggle)
    kaggle.rename(tmp_path / "imdb.npz")
    assert find_source(tmp_path) == ("keras", tmp_path / "imdb.npz")


@pytest.mark.parametrize("name", ["gone", "gone.tar.gz"])
def test_a_path_that_is_not_there(tmp_path, name):
    with pytest.raises(FileNotFoundError, match=rf"{name}' does not exist; expected the official"):
        find_source(tmp_path / name)


def test_a_folder_without_reviews(tmp_path):
    with pytest.raises(FileNotFoundError, match="holds no IMDB reviews; expected"):
        find_source(tmp_path)


@pytest.mark.parametrize(
    ("name", "message"),
    [("a.txt", "is of no known kind"), ("aclImdb_v1.tar.gz.part", "looks like half a download")],
)
def test_a_file_of_another_kind(tmp_path, name, message):
    (tmp_path / name).write_bytes(b"")
    with pytest.raises(ValueError, match=message):
        find_source(tmp_path / name)


def test_identity_follows_a_file(archive):
    source = find_source(archive)
    before = source.identity()
    assert source.identity() == before
    os.utime(archive, ns=(1, 1))
    assert source.identity() != before


def test_identity_follows_every_review_of_a_folder(folder):
    source = find_source(folder)
    seen = {source.identity()}
    review = folder / "test" / "neg" / "0_7.txt"
    os.utime(review, ns=(1, 1))
    seen.add(source.identity())
    review.rename(review.with_name("9_7.txt"))
    seen.add(source.identity())
    shutil.rmtree(folder / "test" / "pos")
    seen.add(source.identity())
    assert len(seen) == 4
