"""Pipes and folders where a file is expected: an error at once, or read if the shell made them."""

from __future__ import annotations

import os
import subprocess
import sys
import threading
from pathlib import Path
from typing import Any

import pytest
from topics import rows, train, write_csv

pytestmark = [
    pytest.mark.usefixtures("no_picture", "no_debug"),
    pytest.mark.skipif(os.name != "posix", reason="there are no such pipes"),
]


def replace_by_pipe(path: Path) -> None:
    """Put a pipe in a file's place. Whoever opens it and waits is let go, and finds it empty."""
    path.unlink(missing_ok=True)
    os.mkfifo(path)
    threading.Thread(target=lambda: open(path, "wb").close(), daemon=True).start()


@pytest.mark.parametrize("name", ["config.json", "vocab.json", "model.safetensors"])
def test_in_a_run(name: str, topics_csv: Path, tmp_path: Path, fails: Any) -> None:
    train(topics_csv, tmp_path / "run")
    replace_by_pipe(tmp_path / "run" / name)
    for command in ("predict", "evaluate", "info"):
        line = [command, tmp_path / "run", *([topics_csv] if command == "evaluate" else [])]
        assert f"{name} is a pipe (FIFO), expected a file" in fails(*line)


def test_as_the_texts(three: Path, tmp_path: Path, fails: Any) -> None:
    replace_by_pipe(tmp_path / "a.csv")
    assert "a.csv is a pipe (FIFO)" in fails("train", tmp_path / "a.csv", "--out", tmp_path / "r")
    assert "a.csv is a pipe (FIFO)" in fails("evaluate", three, tmp_path / "a.csv")
    assert "a.csv is a pipe (FIFO)" in fails("predict", three, "--file", tmp_path / "a.csv")
    assert f"{tmp_path} is a folder" in fails("predict", three, "--file", tmp_path)


@pytest.mark.parametrize("closed", ["<&-", ">&-", "2>&-", "<&- >&- 2>&-"])
def test_closed_streams_are_no_error(closed: str, three: Path, tmp_path: Path) -> None:
    program = "import sys; from fastlstm.cli import main; sys.exit(main())"
    command = [sys.executable, "-c", program, "predict", three, "a text", "--out"]
    for n, redirected in enumerate(("", closed)):
        shell = ["sh", "-c", f'exec "$@" {redirected}', "sh"]
        done = subprocess.run([*shell, *command, tmp_path / f"{n}.csv"], capture_output=True)
        assert (done.returncode, b"Traceback" in done.stderr) == (0, False), done.stderr
    assert (tmp_path / "0.csv").read_bytes() == (tmp_path / "1.csv").read_bytes()


def test_of_the_shell(tmp_path: Path) -> None:
    data = write_csv(tmp_path / "a.csv", rows(60)).read_bytes()
    reading, writing = os.pipe()
    os.write(writing, data)  # far less than a pipe holds
    os.close(writing)
    try:
        metrics = train(Path(f"/dev/fd/{reading}"), tmp_path / "run", delimiter=",")
    finally:
        os.close(reading)
    assert metrics["train_texts"] + metrics["test_texts"] + metrics["validation_texts"] == 60


def test_as_what_is_written(three: Path, tmp_path: Path, fails: Any) -> None:
    """It is told before the work, and a pipe stays one."""
    os.mkfifo(tmp_path / "a.csv")
    data = write_csv(tmp_path / "texts.csv", rows(6))
    line = ["predict", three, "--file", data, "--overwrite", "--out", tmp_path / "a.csv"]
    assert "a.csv is a pipe (FIFO), expected a file" in fails(*line)
    assert (tmp_path / "a.csv").is_fifo()
