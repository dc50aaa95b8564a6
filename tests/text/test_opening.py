"""Every reader of the package refuses at once what is no file; pipes from the shell are read."""

from __future__ import annotations

import os
import socket
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from fastlstm.examples.surnames import read_names
from fastlstm.files.opening import check_file, open_file, open_input, read_bytes, read_text
from fastlstm.text import Symbols, Vocabulary, load_imdb, load_language
from fastlstm.text.cache import CacheWarning
from fastlstm.text.labelled import read_labelled
from fastlstm.text.lines import read_lines
from fastlstm.text.pair_files import read_folder, read_pairs
from fastlstm.text.rows import Reading
from fastlstm.train import checkpoint
from fastlstm.train.classifier.text_config import load_config
from fastlstm.train.comparison.folder import ComparisonFolder

pytestmark = pytest.mark.skipif(os.name != "posix", reason="there are no such pipes")


def make_pipe(path: Path) -> Path:
    """Make a pipe at a path. Whoever opens it and waits is let go, and finds it empty."""
    path.parent.mkdir(parents=True, exist_ok=True)
    os.mkfifo(path)
    threading.Thread(target=lambda: open(path, "wb").close(), daemon=True).start()
    return path


def write(path: Path, text: str) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text)
    return path


READERS: dict[str, Callable[[Path], Any]] = {
    "a.csv": read_labelled,
    "a.tsv": read_labelled,
    "a.jsonl": read_labelled,
    "a.json": read_labelled,
    "a.data": lambda path: read_labelled(path, Reading(delimiter="|")),
    "classes/good/1.txt": lambda path: read_labelled(path.parents[1]),
    "lines.txt": lambda path: list(read_lines(path)),
    "text.txt": load_language,
    "pairs.txt": read_pairs,
    "vocab.json": Vocabulary.load,
    "symbols.json": Symbols.load,
    "imdb.tar.gz": load_imdb,
    "kaggle.csv": load_imdb,
    "keras.npz": load_imdb,
    "model.safetensors": lambda path: checkpoint.load(path, "model"),
    "config.json": load_config,
    "text_config.json": load_config,
    "comparison/compare.json": lambda path: ComparisonFolder(path.parent).read(),
    "names/Arabic.txt": lambda path: read_names(path.parent, str),
    "bytes": read_bytes,
    "text": read_text,
    "check": check_file,
}


@pytest.mark.parametrize("name", READERS)
def test_a_pipe_is_no_file(name: str, tmp_path: Path) -> None:
    path = make_pipe(tmp_path / name)
    with pytest.raises(OSError, match=rf"{path.name} is a pipe \(FIFO\), expected a file"):
        READERS[name](path)


def test_a_pipe_among_the_reviews(folder: Path) -> None:
    (folder / "train" / "pos" / "0_7.txt").unlink()
    make_pipe(folder / "train" / "pos" / "0_7.txt")
    with pytest.raises(OSError, match=r"0_7\.txt is a pipe"):
        load_imdb(folder)


def test_a_pipe_among_translations(tmp_path: Path) -> None:
    for part in ("train", "val", "test_2016_flickr"):
        for language in ("de", "en"):
            write(tmp_path / f"{part}.{language}", "a b\n")
    (tmp_path / "val.de").unlink()
    make_pipe(tmp_path / "val.de")
    with pytest.raises(OSError, match=r"val\.de is a pipe"):
        read_folder(tmp_path, "de", "en")


@pytest.mark.filterwarnings("ignore::fastlstm.text.imdb.IncompleteDataWarning")
def test_a_pipe_in_the_cache_is_encoded_anew(folder: Path, tmp_path: Path) -> None:
    expected = load_imdb(folder)
    (kept,) = (tmp_path / "cache").glob("*.npz")
    kept.unlink()
    make_pipe(kept)
    with pytest.warns(CacheWarning, match="is a pipe"):
        found = load_imdb(folder)
    np.testing.assert_array_equal(found.train.tokens, expected.train.tokens)
    assert kept.is_file()  # for the next time


def test_what_else_is_no_file(tmp_path: Path) -> None:
    with pytest.raises(OSError, match=f"{tmp_path} is a folder, expected a file"):
        open_file(tmp_path)
    with pytest.raises(OSError, match="/dev/null is a device, expected a file"):
        open_file("/dev/null")
    with pytest.raises(FileNotFoundError, match="gone"):
        open_file(tmp_path / "gone")
    with socket.socket(socket.AF_UNIX) as server:
        before = os.getcwd()
        os.chdir(tmp_path)  # a socket's whole path may be too long
        try:
            server.bind("s")
            with pytest.raises(OSError, match="s is a socket, expected a file"):
                open_file("s")
        finally:
            os.chdir(before)


def test_a_link_to_a_file_is_a_file(tmp_path: Path) -> None:
    write(tmp_path / "a.txt", "one\r\ntwo\rthree")
    (tmp_path / "link").symlink_to("a.txt")
    assert read_text(tmp_path / "link") == "one\ntwo\nthree"


@pytest.mark.parametrize("place", ["/dev/fd/{}", "/proc/self/fd/{}"])
def test_a_pipe_of_the_shell_is_read(place: str) -> None:
    reading, writing = os.pipe()
    try:
        os.write(writing, b"one\ntwo\n")
        os.close(writing)
        with open_input(place.format(reading)) as file:
            assert file.read() == b"one\ntwo\n"
        with pytest.raises(OSError, match="is a pipe"):
            open_file(place.format(reading))
    finally:
        os.close(reading)
