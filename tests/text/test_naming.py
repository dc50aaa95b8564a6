"""A path that begins with ~, as shells leave it in ``--out=~/x`` and files of settings have it."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import fastlstm as fl
from fastlstm.cli import main
from fastlstm.cli.parser import Parser
from fastlstm.cli.predict import SUMMARY, add_options
from fastlstm.files.cache import cache_folder
from fastlstm.files.json_value import read_json
from fastlstm.files.naming import absolute_path, named_path
from fastlstm.files.writing import write_json
from fastlstm.text import Symbols, Vocabulary, load_imdb, load_language
from fastlstm.text.download import download
from fastlstm.text.labelled import read_labelled
from fastlstm.text.pair_files import read_folder, read_pairs
from fastlstm.train import load_state, save_state
from fastlstm.train.model_file import load_model
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


class Own:
    """A path object of somebody's own."""

    def __init__(self, path: Any) -> None:
        self._path = path

    def __fspath__(self) -> Any:
        return self._path


def load_onnx(path: Any) -> Any:
    pytest.importorskip("onnx")
    import fastlstm.onnx

    return fastlstm.onnx.load(path)


TAKE_PATHS: dict[str, Callable[[Any], Any]] = {
    "fl.load": fl.load,
    "fl.save": lambda path: fl.save(fl.Linear(2, 2), path),
    "fl.onnx.load": load_onnx,
    "save_state": lambda path: save_state(path, fl.State([np.zeros((1, 2), "float32")])),
    "load_state": load_state,
    "load_model": load_model,
    "Vocabulary.save": lambda path: Vocabulary(["<pad>", "<unk>"]).save(path),
    "Vocabulary.load": Vocabulary.load,
    "OutputFolder": OutputFolder,
    "download": lambda path: download("http://localhost", path, sha256=""),
    "load_imdb": load_imdb,
    "load_language": load_language,
    "read_labelled": read_labelled,
    "read_pairs": read_pairs,
    "read_folder": lambda path: read_folder(path, "de", "en"),
}


@pytest.mark.parametrize("name", TAKE_PATHS)
def test_what_no_file_can_be_called(name: str, home: Path) -> None:
    argument = {"fl.onnx.load": "source", "load_imdb": "source", "download": "target"}
    argument["read_folder"] = "folder"
    told = argument.get(name, "path")
    take = TAKE_PATHS[name]
    for wrong in ("", Own("")):
        with pytest.raises(ValueError, match=f"{told} is '', expected the name of a file"):
            take(wrong)
    with pytest.raises(ValueError, match=rf"{told} is 'a\\x00b', expected a name .*a zero byte"):
        take("a\0b")
    if os.name == "posix":  # on Windows names may have any half of a pair
        with pytest.raises(ValueError, match=rf"{told} is 'a\\ud800', expected a name"):
            take("a\ud800")
    with pytest.raises(TypeError, match=rf"{told} is a int, expected a str or a Path"):
        take(3)
    with pytest.raises(TypeError, match=rf"{told} is a bytes, expected a str or a Path"):
        take(Own(b"a"))
    assert sorted(path.name for path in Path().iterdir()) == ["home"]


def test_states_and_words_are_in_the_home_folder(home: Path) -> None:
    save_state("~/state", fl.State([np.zeros((1, 2), "float32")]))
    Vocabulary(["<pad>", "<unk>"]).save(Own("~/words"))
    assert len(load_state(Own("~/state"))) == 1
    assert len(Vocabulary.load("~/words")) == 2
    assert sorted(path.name for path in home.iterdir()) == ["state", "words"]


def test_a_folder_that_is_called_as_the_home_folder(home: Path) -> None:
    """As a shell makes one of "~/x" in quotes; ./~ is its name."""
    Path("~").mkdir()
    fl.save(fl.Linear(2, 2), "./~/a.safetensors")
    assert fl.load("./~/a.safetensors").in_features == 2
    assert [path.name for path in Path("~").iterdir()] == ["a.safetensors"]
    assert list(home.iterdir()) == []


def test_names_that_are_no_text(tmp_path: Path) -> None:
    """As Linux has them: bytes that are not UTF-8."""
    write_json(tmp_path / "a.json", {"data": "d\udcff.csv \u00e4"})
    assert read_json(tmp_path / "a.json") == {"data": "d\udcff.csv \u00e4"}
    symbols = Symbols.from_text("a\udcffb\n", "char")
    symbols.save(tmp_path / "symbols.json")
    assert Symbols.load(tmp_path / "symbols.json").tokens == symbols.tokens


@pytest.mark.skipif(os.name != "posix", reason="Windows keeps the folder of a process")
def test_a_relative_path_where_the_folder_is_gone(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "gone").mkdir()
    monkeypatch.chdir(tmp_path / "gone")
    (tmp_path / "gone").rmdir()
    assert absolute_path(tmp_path / "a") == tmp_path / "a"
    told = "is 'a.csv', in the folder of this process, which is gone: name an absolute path"
    with pytest.raises(FileNotFoundError, match=told):
        absolute_path(Path("a.csv"))
    for command in ("train", "tune"):
        assert main([command, "a.csv", "--out", str(tmp_path / "run")]) == 1
        assert told in capsys.readouterr().err
    pytest.importorskip("onnx")
    fl.save(fl.LSTM(2, 2), tmp_path / "a.onnx")
    assert fl.load(tmp_path / "a.onnx").inputs[0].name == "x"
