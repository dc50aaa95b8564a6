"""`load_unlabelled`: numbered as the labelled reviews are, kept in the cache, errors."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from small_imdb import write_archive

from fastlstm.text import imdb, load_imdb, load_unlabelled

pytestmark = pytest.mark.filterwarnings("ignore::fastlstm.text.imdb.IncompleteDataWarning")


@pytest.fixture
def reviews(reviews: dict[str, bytes]) -> dict[str, bytes]:
    """With three unlabelled ones, the shadow of one, and one that has no words."""
    del reviews["aclImdb/train/unsup/0_0.txt"]
    texts = {"1_0.txt": b"Great, unheard fun", "10_0.txt": b"-", "0_0.txt": b"boring film"}
    for name, text in texts.items():
        reviews[f"aclImdb/train/unsup/{name}"] = text
    reviews["aclImdb/train/unsup/._0_0.txt"] = b"\xff"
    return reviews


def words(source: Path, **options: Any) -> list[str]:
    vocab = load_imdb(source).vocab
    found = load_unlabelled(source, **options)
    assert (found.labels == -1).all()
    return [vocab.decode(found.row(n)) for n in range(len(found))]


EXPECTED = ["boring film", "", "great <unk> fun"]  # "0_0.txt", "10_0.txt", "1_0.txt"


@pytest.mark.parametrize("form", ["folder", "archive"])
@pytest.mark.parametrize("cache", [True, False])
def test_numbered_as_the_labelled_ones(
    request: pytest.FixtureRequest, form: str, cache: bool
) -> None:
    source = request.getfixturevalue(form)
    labelled = load_imdb(source, cache=False)
    assert words(source, cache=cache) == EXPECTED
    after = load_imdb(source)
    for one, two in ((labelled.train, after.train), (labelled.test, after.test)):
        assert np.array_equal(one.tokens, two.tokens)
        assert np.array_equal(one.labels, two.labels)
    assert load_unlabelled(source, vocab_size=4, cache=cache).tokens.max() == 2  # "great"


def test_the_second_start_reads_no_text(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert words(folder) == EXPECTED

    def forbidden(source: Any) -> Any:
        raise AssertionError("read again")

    monkeypatch.setattr(imdb, "read_unlabelled", forbidden)
    monkeypatch.setattr(imdb, "read_texts", forbidden)
    assert words(folder) == EXPECTED
    monkeypatch.undo()
    (folder / "train" / "unsup" / "2_0.txt").write_text("fun")
    assert words(folder) == [*EXPECTED, "fun"]
    (folder / "train" / "pos" / "9_9.txt").write_text("unheard words")  # another vocabulary
    assert words(folder) == ["boring film", "", "great unheard fun", "fun"]


def test_a_source_without_them(
    kaggle: Path, folder: Path, archive: Path, reviews: dict[str, bytes], tmp_path: Path
) -> None:
    with pytest.raises(ValueError, match="has no unlabelled reviews; only the official archive"):
        load_unlabelled(kaggle)
    with pytest.raises(ValueError, match="has no unlabelled reviews"):
        load_unlabelled("sample")
    labelled = {name: text for name, text in reviews.items() if "unsup" not in name}
    write_archive(archive, labelled)
    with pytest.raises(FileNotFoundError, match="holds no reviews in train/unsup"):
        load_unlabelled(archive)
    for path in (folder / "train" / "unsup").iterdir():
        path.unlink()
    (folder / "train" / "unsup").rmdir()
    with pytest.raises(FileNotFoundError, match="unsup does not exist: .* is incomplete"):
        load_unlabelled(folder)
    with pytest.raises(ValueError, match="vocab_size is 2"):
        load_unlabelled(folder, vocab_size=2)
