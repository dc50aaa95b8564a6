"""Fixtures of the training tests."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from tiny_imdb import write_reviews


@pytest.fixture(scope="session")
def reviews(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with a few reviews in the official layout."""
    return write_reviews(tmp_path_factory.mktemp("reviews") / "aclImdb")


@pytest.fixture
def own_cache(tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch) -> None:
    """Keep the user's cache folder and data out of the test."""
    monkeypatch.setenv("FASTLSTM_CACHE", str(tmp_path_factory.getbasetemp() / "cache"))
    monkeypatch.delenv("FASTLSTM_DATA", raising=False)
    monkeypatch.delenv("FASTLSTM_DEBUG", raising=False)


@pytest.fixture
def torch_on_one_thread() -> Iterator[None]:
    """Torch's worker threads spin after every small call and slow down whatever runs next."""
    torch = pytest.importorskip("torch")
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


@pytest.fixture
def no_picture(monkeypatch: pytest.MonkeyPatch) -> None:
    """Leave out ``curves.png``, which takes longer than training in these tests."""
    monkeypatch.setattr("fastlstm.train.classifier.classify.draw_curves", lambda *_: False)
