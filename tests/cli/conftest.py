"""Fixtures of the command's tests."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
from topics import rows, train, write_csv

from fastlstm.cli import main


@pytest.fixture
def no_picture(monkeypatch: pytest.MonkeyPatch) -> None:
    """Leave out ``curves.png``, which takes longer than training in these tests."""
    monkeypatch.setattr("fastlstm.train.classifier.classify.draw_curves", lambda *_: False)


@pytest.fixture
def no_debug(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("FASTLSTM_DEBUG", raising=False)


@pytest.fixture(scope="session")
def topics_csv(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Texts of three classes."""
    return write_csv(tmp_path_factory.mktemp("texts") / "topics.csv", rows(90))


def trained(data: Path, out: Path) -> Path:
    """Return the folder of a run without its picture."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("fastlstm.train.classifier.classify.draw_curves", lambda *_: False)
        train(data, out)
    return out


@pytest.fixture(scope="session")
def three(tmp_path_factory: pytest.TempPathFactory, topics_csv: Path) -> Path:
    """The folder of a run of three classes; its model is poor."""
    return trained(topics_csv, tmp_path_factory.mktemp("runs") / "three")


@pytest.fixture(scope="session")
def two(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of a run of two classes."""
    folder = tmp_path_factory.mktemp("runs")
    data = write_csv(folder / "two.csv", rows(60, ("good", "bad")))
    return trained(data, folder / "two")


@pytest.fixture
def fails(capsys: pytest.CaptureFixture[str], no_debug: None) -> Callable[..., str]:
    """Run a command that must fail with status 1 and one line on stderr; return the line."""

    def run(*line: object) -> str:
        capsys.readouterr()
        assert main([str(word) for word in line]) == 1
        told = capsys.readouterr().err.strip().splitlines()
        assert len(told) == 1, told
        assert told[0].startswith(f"fastlstm {line[0]}: error: ")
        return told[0]

    return run


@pytest.fixture
def misused(capsys: pytest.CaptureFixture[str], no_debug: None) -> Callable[..., str]:
    """Run a command that is used wrongly and must end with status 2; return what it says."""

    def run(*line: object) -> str:
        capsys.readouterr()
        with pytest.raises(SystemExit) as caught:
            main([str(word) for word in line])
        assert caught.value.code == 2
        return capsys.readouterr().err

    return run
