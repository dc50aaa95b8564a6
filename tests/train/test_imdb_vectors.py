"""`train_imdb --vectors`: pretrained word vectors."""

from __future__ import annotations

import os
from pathlib import Path

import numpy as np
import pytest
from tiny_imdb import WORDS, read, train

from fastlstm.train.classifier.loaded_run import load_run
from fastlstm.train_imdb import main

pytestmark = pytest.mark.usefixtures("own_cache", "no_picture", "threads")


@pytest.mark.parametrize("freeze", [False, True])
def test_train_imdb_begins_with_vectors(
    freeze: bool, reviews: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    table = np.random.default_rng(0).standard_normal((len(WORDS), 4)).astype(np.float32)
    with open("v.bin", "wb") as file:
        file.write(b"60 4\n")
        for word, vector in zip(WORDS, table, strict=True):
            file.write(word.encode() + b" " + vector.tobytes())
    options = {"vectors": "v.bin", "freeze_vectors": freeze, "embedding_dim": None}
    train(reviews, tmp_path / "run", **options)
    run, metrics = load_run(tmp_path / "run"), read(tmp_path / "run" / "metrics.json")
    assert run.config.embedding_dim == 4
    assert run.config.vectors == os.path.abspath("v.bin")  # holds in any folder
    assert metrics["vectors_found"] == len(run.vocab) - 2
    kept = run.model.embedding.weight.data[2:]
    theirs = table[[WORDS.index(word) for word in run.vocab.words[2:]]]
    assert np.array_equal(kept, theirs) == freeze
    if not freeze:
        assert abs(kept - theirs).max() < 0.5
    monkeypatch.chdir("/")
    assert main(["--resume", str(tmp_path / "run"), "--epochs", "3", "--no-progress"]) == 0
