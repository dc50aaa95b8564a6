"""The commands that train, under mpiexec and torchrun."""

from __future__ import annotations

import sys
from pathlib import Path

import numpy as np
import pytest
from launched import HERE, run

from fastlstm.train.model_file import load_model

sys.path.append(str(HERE.parent / "train"))
from tiny_imdb import arguments, read, train, write_reviews

IMDB = ("-m", "fastlstm.train_imdb")


@pytest.fixture(scope="module")
def reviews(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_reviews(tmp_path_factory.mktemp("reviews") / "aclImdb")


@pytest.fixture(scope="module")
def alone(reviews: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The run of one process."""
    out = tmp_path_factory.mktemp("alone") / "run"
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("FASTLSTM_CACHE", str(tmp_path_factory.getbasetemp() / "cache"))
        train(reviews, out)
    return out


@pytest.fixture
def cache(tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    return {"FASTLSTM_CACHE": str(tmp_path_factory.getbasetemp() / "cache")}


def check_same_run(found: Path, expected: Path) -> None:
    """Check that a run came to the end of another one."""
    ours, theirs = read(found / "metrics.json"), read(expected / "metrics.json")
    for name in ("test_loss", "test_accuracy", "validation_loss", "best_epoch", "epochs"):
        assert ours[name] == pytest.approx(theirs[name], rel=1e-4), name
    weights = [
        load_model(folder / "model.safetensors").state_dict() for folder in (found, expected)
    ]
    for name, value in weights[1].items():
        np.testing.assert_allclose(weights[0][name], value, rtol=2e-4, atol=2e-5, err_msg=name)
    assert {path.name for path in found.iterdir()} == {path.name for path in expected.iterdir()}


@pytest.mark.parametrize("kind", ["mpi", "torch"])
def test_train_imdb_in_two_processes(
    kind: str, reviews: Path, alone: Path, cache: dict[str, str], tmp_path: Path
) -> None:
    out = tmp_path / "run"
    told = run(kind, 2, *IMDB, *arguments(reviews, out), **cache)
    check_same_run(out, alone)
    assert read(out / "metrics.json")["processes"] == 2
    assert told.count("files are in") == 1
    assert told.count("epoch 1/2") == 1
    assert "2 processes of 1 thread" in told
