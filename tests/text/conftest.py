"""A small IMDB in every form that `load_imdb` reads, and a world without network."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from small_imdb import BAD, GOOD, lists, write_archive, write_csv

from fastlstm.text import imdb


@pytest.fixture(autouse=True)
def offline(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """Keep the tests away from the network and from the user's own folders."""
    monkeypatch.setenv("FASTLSTM_CACHE", str(tmp_path / "cache"))
    monkeypatch.delenv("FASTLSTM_DATA", raising=False)
    monkeypatch.setenv("no_proxy", "127.0.0.1")
    monkeypatch.setattr(imdb, "OFFICIAL_URL", "http://127.0.0.1:9/aclImdb_v1.tar.gz")


@pytest.fixture
def reviews() -> dict[str, bytes]:
    """Path within the archive -> content; eight reviews a split."""
    files = {}
    for split in ("train", "test"):
        for label, texts in (("pos", GOOD), ("neg", BAD)):
            for number, text in enumerate(texts):
                files[f"aclImdb/{split}/{label}/{number}_7.txt"] = text.encode()
    # What the archive holds beside, none of which is a labelled review.
    files["aclImdb/README"] = b"read me"
    files["aclImdb/train/unsup/0_0.txt"] = b"unlabelledword " * 100
    files["aclImdb/train/urls_pos.txt"] = b"http"
    files["aclImdb/train/pos/._0_7.txt"] = b"\xff\xfe shadow"
    return files


@pytest.fixture
def folder(tmp_path: Path, reviews: dict[str, bytes]) -> Path:
    for name, content in reviews.items():
        path = tmp_path / "extracted" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content)
    return tmp_path / "extracted" / "aclImdb"


@pytest.fixture
def archive(tmp_path: Path, reviews: dict[str, bytes]) -> Path:
    # Not in the folder's order, to see that the order of files does not matter.
    return write_archive(tmp_path / "aclImdb_v1.tar.gz", dict(reversed(reviews.items())))


@pytest.fixture
def kaggle(tmp_path: Path) -> Path:
    rows = []
    for good, bad in zip(GOOD, BAD, strict=True):
        rows += [(good, "positive"), (bad, "negative")]
    return write_csv(tmp_path / "IMDB Dataset.csv", rows)


@pytest.fixture
def keras_arrays() -> dict[str, np.ndarray]:
    return {
        "x_train": lists([5, 1, 2], [1, 3], [2, 2, 4, 1]),
        "y_train": np.array([1, 0, 1]),
        "x_test": lists([7, 1], [2]),
        "y_test": np.array([0, 1]),
    }
