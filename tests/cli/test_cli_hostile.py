"""Labels, words, texts, file names and errors that try to steer the terminal."""

from __future__ import annotations

import ast
import json
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from topics import rows, train, write_csv

import fastlstm
from fastlstm.cli import main
from fastlstm.printable import printable_lines

# A window's title, a cleared screen by a C1 code, a turned order, a line of its own.
EVIL = "\x1b]0;owned\x07\x9b2J\u202e\u2066x\ny"
PACKAGE = Path(fastlstm.__file__).parent
# Print without `say`: text whose colours are meant, escaped JSON, facts of the machine.
PLAIN = {"printable.py": 1, "cli/inspect.py": 1, "cli/options.py": 1, "runtime.py": 1}


@pytest.fixture(scope="module")
def evil_run(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """A run whose folder, data and two classes have such names."""
    if sys.platform == "win32":
        pytest.skip("files cannot have such names")
    folder = tmp_path_factory.mktemp(f"a{EVIL.replace('/', '')}")
    data = write_csv(folder / f"texts{EVIL}.csv", rows(60, (f"a{EVIL}", f"b{EVIL}")))
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("fastlstm.train.classifier.classify.draw_curves", lambda *_: False)
        train(data, folder / "run")
        train(data, folder / "other")
    return folder / "run"


def told(capsys: pytest.CaptureFixture[str], *line: object, status: int = 0) -> str:
    """Run a command; return all that it told, which must hold nothing that steers."""
    capsys.readouterr()
    try:
        found = main([str(word) for word in line])
    except SystemExit as end:
        found = int(str(end.code))
    out, err = capsys.readouterr()
    assert found == status, err
    assert printable_lines(out + err) == out + err
    return out + err


@pytest.mark.usefixtures("no_picture", "no_debug")
def test_no_command_lets_them_through(
    evil_run: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    run, (data,) = evil_run, evil_run.parent.glob("*.csv")
    shown = "\\x1b]0;owned\\x07\\x9b2J\\u202e\\u2066x"
    small = ["--hidden-size", 4, "--embedding-dim", 4, "--epochs", 1, "--no-progress"]
    for line in (
        ["train", data, "--out", tmp_path / f"out{EVIL}", *small],
        ["evaluate", run, data],
        ["inspect", run, f"word1 {EVIL}"],
        ["info", run],
        ["compare", run, run.parent / "other"],
        ["predict", run, f"word1 {EVIL}"],
        ["predict", run, f"word1 {EVIL}", "--probabilities"],
        ["info", run, "--json"],
    ):
        text = told(capsys, *line)
        as_json = line[0] == "predict" or "--json" in line
        assert (json.dumps(EVIL)[1:-1] if as_json else shown) in text, text


@pytest.mark.usefixtures("no_debug")
def test_no_error_lets_them_through(evil_run: Path, capsys: pytest.CaptureFixture[str]) -> None:
    for status, line in (
        (1, ["info", f"nowhere{EVIL}"]),
        (1, ["train", f"nowhere{EVIL}.csv"]),
        (2, ["inspect", evil_run, "a", "--plot", f"a{EVIL}.gif"]),
        (2, ["info", evil_run, f"--strange{EVIL}"]),
        (2, [f"strange{EVIL}"]),
    ):
        assert "owned" in told(capsys, *line, status=status)


def test_what_prints_goes_through_say() -> None:
    """A new ``print`` in the package would be a new way around."""
    found = {}
    for path in PACKAGE.rglob("*.py"):
        name = path.relative_to(PACKAGE).as_posix()
        calls = [
            node for node in ast.walk(ast.parse(path.read_text(encoding="utf-8")))
            if isinstance(node, ast.Call) and getattr(node.func, "id", "") == "print"
        ]  # fmt: skip
        if calls and not name.startswith(("examples/", "train/language/report.py")):
            found[name] = len(calls)
    assert found == PLAIN
