"""A path that begins with ~, as shells leave it in ``--out=~/x`` and files of settings have it."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

import fastlstm as fl
from fastlstm.cli.parser import Parser
from fastlstm.cli.predict import SUMMARY, add_options
from fastlstm.files.cache import cache_folder
from fastlstm.files.naming import named_path
from fastlstm.text.labelled import read_labelled
from fastlstm.train.output_folder import OutputFolder

HOME = "USERPROFILE" if os.name == "nt" else "HOME"


@pytest.fixture(autouse=True)
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv(HOME, str(tmp_path / "home"))
    (tmp_path / "home").mkdir()
    monkeypatch.chdir(tmp_path)
    return tmp_path / "home"


def test_what_is_written_is_in_the_home_folder(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("FASTLSTM_CACHE", "~/cache")
    assert cache_folder() == home / "cache"
    assert OutputFolder("~/run").path == home / "run"
    fl.save(fl.Linear(2, 2), "~/a.safetensors")
    assert fl.load("~/a.safetensors").in_features == 2
    assert [path.name for path in home.iterdir()] == ["a.safetensors"]


@pytest.mark.parametrize("version", ["raises", "answers"])
def test_without_a_home_the_cache_is_named(version: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """As of a user of a container whom nobody wrote down; platformdirs has done either."""
    import platformdirs

    def unknown(*names: object, **options: object) -> Path:
        if version == "raises":
            raise RuntimeError("no home")
        return Path("~/.cache/fastlstm")

    monkeypatch.delenv("FASTLSTM_CACHE", raising=False)
    monkeypatch.setattr(platformdirs, "user_cache_path", unknown)
    with pytest.raises(OSError, match="set FASTLSTM_CACHE to a folder"):
        cache_folder()


def test_files_of_a_command(home: Path) -> None:
    parser = Parser(description=SUMMARY)
    add_options(parser)
    found = parser.parse_args(["run", "--file=~/a.csv", "--out=~/b.csv"])
    assert (found.file, found.out) == (home / "a.csv", home / "b.csv")


def test_a_name_that_begins_so_is_a_name(tmp_path: Path) -> None:
    """As those of files that another program has open."""
    (tmp_path / "~$texts.csv").write_text("text,label\na,b\n", encoding="utf-8")
    assert named_path("~$texts.csv") == Path("~$texts.csv")
    assert len(read_labelled("~$texts.csv").texts) == 1
