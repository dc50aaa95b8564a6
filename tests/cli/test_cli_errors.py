"""What `fastlstm train` says and returns when something is wrong; nothing is left half-written."""

from __future__ import annotations

import errno
import importlib
import os
import subprocess
import sys
from dataclasses import fields
from pathlib import Path
from typing import Any

import pytest
from topics import read, rows, train, weights, words, write_csv, write_folder

import fastlstm
from fastlstm.cli import main
from fastlstm.cli.command import COMMANDS, build_parser
from fastlstm.cli.flags import flag
from fastlstm.cli.parser import PATHS, Parser
from fastlstm.files.naming import named_path
from fastlstm.train.classifier.text_config import TextConfig

pytestmark = pytest.mark.usefixtures("no_picture", "no_debug", "threads")

NAMES = [command.__name__.rpartition(".")[2] for command in COMMANDS]


@pytest.mark.parametrize(
    ("line", "message"),
    [
        ([], "required: COMMAND"),
        (["nonsense"], "invalid choice: 'nonsense'"),
        (["train"], "DATA is missing"),
        (["train", "--test-split", "0.5"], "DATA is missing"),
        (["train", "a.csv", "--test", "b.csv", "--test-split", "0.2"], "exclude each other"),
        (["train", "a.csv", "--test-split", "1"], "--test-split is 1.0, expected at least 0"),
        (["train", "a.csv", "--encoding", "utf-9"], "--encoding is 'utf-9', expected the name"),
        (["train", "a.csv", "--encoding", "base64"], "--encoding is 'base64'"),
        (["train", "a.csv", "--delimiter", ",,"], "--delimiter is ',,', expected one character"),
        (["train", "a.csv", "--text-column", "a", "--label-column", "a"], "--text-column is 'a'"),
        (["train", "a.csv", "--epochs", "-1"], "--epochs is -1"),
        (["train", "a.csv", "--hidden-size", "0"], "--hidden-size is 0"),
        (["train", "a.csv", "--cell", "elman"], "invalid choice: 'elman'"),
        (["train", "a.csv", "--patience", "2", "--validation", "0"], "needs a validation"),
        (["train", "a.csv", "--resume"], "--resume needs the folder"),
        (["train", "a.csv", "--out", ""], "--out: '' is no path, expected a file or folder"),
        (["train", "a.csv", "--out="], "--out: '' is no path"),
        (["train", "--resume", ""], "--resume: '' is no path"),
        (["train", ""], "DATA: '' is no path"),
        (["predict", "", "text"], "RUN: '' is no path"),
        (["compare", "run", ""], "RUN: '' is no path"),
        (["tune", "--show", ""], "--show: '' is no path"),
        (["forecast", "--from", "", "a.csv"], "--from: '' is no path"),
        (["train", "--resume", "a", "--out", "b"], "are different folders"),
        (["train", "--resume", "a", "--overwrite"], "--overwrite and --resume exclude"),
        (["train", "a.csv", "b.csv"], "unrecognized arguments: b.csv"),
        (["train", "a.csv", "--hidden", "3"], "unrecognized arguments: --hidden"),
        (["predict"], "required: RUN"),
        (["evaluate", "run"], "required: DATA"),
        (["compare", "run"], "two or more runs"),
        (["compare", "a", "b", "--plot", "c.svg"], "--plot is c.svg, expected a name that ends"),
    ],
)
def test_wrong_use(
    line: list[str], message: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, misused: Any
) -> None:
    monkeypatch.chdir(tmp_path)
    assert message in misused(*line)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.skipif(not os.path.exists("/dev/full"), reason="needs a full device")
@pytest.mark.parametrize("line", [["--help"], ["--version"], *([n, "--help"] for n in NAMES)])
def test_help_that_cannot_be_written_is_a_failure(
    line: list[str], capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    with open("/dev/full", "w") as full, monkeypatch.context() as patch:
        patch.setattr(sys, "stdout", full)
        with pytest.raises(SystemExit) as end:
            main(line)
    assert end.value.code == 1
    program = " ".join(["fastlstm", *line[:-1]])
    assert capsys.readouterr().err == f"{program}: error: No space left on device\n"


def test_every_argument_that_is_a_path_may_not_be_empty() -> None:
    for command in COMMANDS:
        parser = Parser()
        command.add_options(parser)
        for action in parser._actions:
            known = str(action.metavar).partition(".")[0]
            if known in ("DATA", "DIR", "FILE", "RUN") or action.type is named_path:
                assert action.dest in PATHS, action


@pytest.mark.parametrize(
    ("line", "nearest"),
    [
        (["train", "a.csv", "--epoch", "3"], "--epochs"),
        (["train", "a.csv", "--hiden-size=3"], "--hidden-size"),
        (["predict", "run", "--probabilites"], "--probabilities"),
        (["inspect", "run", "--layers", "1"], "--layer"),
        (["predict", "run", "--prob"], "--probabilities"),
    ],
)
def test_an_unknown_option_is_answered_by_the_usage_of_its_command_and_the_nearest(
    line: list[str], nearest: str, misused: Any
) -> None:
    told = misused(*line)
    assert told.startswith(f"usage: fastlstm {line[0]} ")
    assert told.endswith(f"did you mean {nearest}?\n")
    assert "did you mean" not in misused(line[0], "run", "--zzzzzz")
    assert "did you mean" not in misused("evaluate", "run", "a.csv", "--treads", "2")


@pytest.mark.parametrize(
    "line",
    [
        ["nonsense"],
        ["train"],
        ["train", "a.csv", "--epochs", "many"],
        ["train", "a.csv", "--epochs", "-1"],
        ["train", "a.csv", "--cell", "elman"],
        ["train", "--resume", "a", "--overwrite"],
        ["evaluate", "run", "a.csv", "--bins"],
        ["compare", "run"],
    ],
)
def test_a_wrong_value_is_told_in_one_line(line: list[str], misused: Any) -> None:
    told = misused(*line)
    assert told.count("\n") == 1
    assert told.startswith("fastlstm")
    assert "usage" not in told
    assert " --help tells more)" in told


def test_a_column_that_is_not_there(tmp_path: Path, topics_csv: Path, fails: Any) -> None:
    told = fails(*words(topics_csv, tmp_path / "run", text_column="body"))
    assert f"{topics_csv} has no column 'body'; its columns are 'text', 'label'" in told
    prose = write_csv(tmp_path / "a.csv", rows(9), ("prose", "kind"))
    told = fails(*words(prose, tmp_path / "run"))
    assert "name it with --text-column: its columns are 'prose', 'kind'" in told
    assert not (tmp_path / "run").exists()


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"", "a.csv is empty"),
        (b"text,label\n", "a.csv is empty: it has no texts"),
        (b"text,label\na,x\nb,x\nc,x\n", "one class only, 'x'; expected texts of two or more"),
        (b"text,label\na,x\nb,y\n\xff,y\n", "a.csv is not utf-8 text: byte 0xff at position 19; "
         "give its encoding (--encoding)"),
        (b"text,label\n" + b"a,x\nb,y\n" * 5 + b"c,z\n", "classes of too few texts: 'z' (1); "
         "expected at least 3 of each, for training and validation and testing"),
        (b"text,label\n" + b"?,x\n!,y\n" * 5, "has no words"),
    ],
)  # fmt: skip
def test_data_that_cannot_be_used(content: bytes, message: str, tmp_path: Path, fails: Any) -> None:
    (tmp_path / "a.csv").write_bytes(content)
    assert message in fails(*words(tmp_path / "a.csv", tmp_path / "run"))
    assert not (tmp_path / "run").exists()


def test_a_single_text_of_a_class_is_fine_where_nothing_is_held_back(tmp_path: Path) -> None:
    texts, labels = rows(21)
    data = write_csv(tmp_path / "a.csv", ([*texts, "alone"], [*labels, "rare"]))
    metrics = train(data, tmp_path / "run", validation=0, test_split=0)
    assert metrics["train_texts"] == 22
    assert "rare" in metrics["labels"]


def test_two_texts_of_a_class_are_enough_where_one_part_is_held_back(tmp_path: Path) -> None:
    texts, labels = rows(21)
    data = write_csv(tmp_path / "a.csv", ([*texts, "one", "two"], [*labels, "rare", "rare"]))
    test = write_csv(tmp_path / "test.csv", rows(6))
    assert train(data, tmp_path / "run", test=test)["test_texts"] == 6


def test_a_test_label_unseen_in_training(tmp_path: Path, topics_csv: Path, fails: Any) -> None:
    test = write_folder(tmp_path / "test", rows(4, ("sport", "art")))
    told = fails(*words(topics_csv, tmp_path / "run", test=test))
    assert f"{test} has labels that training did not have: 'art' (2)" in told
    assert not (tmp_path / "run").exists()


def test_missing_data(tmp_path: Path, topics_csv: Path, fails: Any) -> None:
    assert "gone.csv does not exist" in fails("train", tmp_path / "gone.csv")
    told = fails("train", topics_csv, "--test", tmp_path / "gone.csv")
    assert "gone.csv does not exist" in told
    assert list(tmp_path.iterdir()) == []


def test_full_disk(
    tmp_path: Path, topics_csv: Path, fails: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(descriptor: int) -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr(os, "fsync", full)
    told = fails(*words(topics_csv, tmp_path / "run"))
    assert "cannot write" in told
    assert "No space left on device" in told
    assert not (tmp_path / "run").exists()


def test_a_folder_that_cannot_be_made(tmp_path: Path, topics_csv: Path, fails: Any) -> None:
    (tmp_path / "file").write_text("in the way")
    assert "file" in fails(*words(topics_csv, tmp_path / "file" / "run"))


def test_a_run_that_diverges(tmp_path: Path, topics_csv: Path, fails: Any) -> None:
    line = words(topics_csv, tmp_path / "run", lr=1e300, dtype="float64", clip=0)
    assert "try a smaller learning rate" in fails(*line)


def test_weight_decay_without_measure_is_named(
    tmp_path: Path, topics_csv: Path, fails: Any
) -> None:
    decay = {"optimizer": "adamw", "weight_decay": 1e5, "lr": 1.0}
    told = fails(*words(topics_csv, tmp_path / "run", **decay))
    assert "try a smaller learning rate, or less weight decay, which is 100000" in told


def test_a_finished_run_is_not_overwritten_unless_asked(
    tmp_path: Path, topics_csv: Path, fails: Any
) -> None:
    out = tmp_path / "run"
    train(topics_csv, out)
    before = weights(out)
    assert "holds a finished run" in fails(*words(topics_csv, out, seed=5))
    assert "does not exist" in fails(*words(tmp_path / "gone.csv", out), "--overwrite")
    assert weights(out) == before
    assert main([*words(topics_csv, out, seed=5), "--overwrite"]) == 0
    assert weights(out) != before
    assert read(out / "metrics.json")["seed"] == 5


def test_an_unforeseen_error_is_one_line_with_its_type(
    tmp_path: Path, topics_csv: Path, fails: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    def broken(*_: object) -> None:
        raise AttributeError("oops")

    monkeypatch.setattr("fastlstm.train.classifier.classify.build_model", broken)
    line = words(topics_csv, tmp_path / "run")
    assert "AttributeError: oops (FASTLSTM_DEBUG=1 shows where)" in fails(*line)
    monkeypatch.setenv("FASTLSTM_DEBUG", "1")
    with pytest.raises(AttributeError, match="oops"):
        main(line)


def test_ctrl_c_is_no_traceback(
    topics_csv: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    def pressed(*_: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr("fastlstm.cli.predict.load_run", pressed)
    assert main(["predict", "run", "a"]) == 130
    assert capsys.readouterr().err == "\ninterrupted\n"
    monkeypatch.setattr("fastlstm.train.classifier.texts.read_labelled", pressed)
    assert main(["train", str(topics_csv)]) == 130
    assert capsys.readouterr().err == "\ninterrupted\n"


def test_ctrl_c_while_a_class_is_made_is_ctrl_c(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Before version 3.12 Python makes a RuntimeError of what `__set_name__` raises."""

    class Pressed:
        def __set_name__(self, owner: object, name: str) -> None:
            raise KeyboardInterrupt

    def load(*_: object) -> type:
        return type("Options", (), {"hidden_size": Pressed()})

    monkeypatch.setattr("fastlstm.cli.predict.load_run", load)
    assert main(["predict", "run", "a"]) == 130
    assert capsys.readouterr().err == "\ninterrupted\n"


def test_ctrl_c_while_a_dataclass_is_made_has_its_status(tmp_path: Path) -> None:
    module = """
import sys
from fastlstm.cli.errors import exit_status
sys.exit(exit_status("pressed", lambda: exec("raise KeyboardInterrupt")))
"""
    (tmp_path / "pressed.py").write_text(module)
    command = [sys.executable, "-m", "pressed"]
    done = subprocess.run(command, capture_output=True, cwd=tmp_path, check=False)
    assert (done.returncode, done.stderr) == (130, b"\ninterrupted\n")


def test_class_names_that_the_output_cannot_show(tmp_path: Path) -> None:
    data = write_csv(tmp_path / "a.csv", rows(30, ("gut \u2713", "schlecht \U0001f600")))
    environment = {**os.environ, "PYTHONIOENCODING": "ascii", "FASTLSTM_NUM_THREADS": "1"}
    command = [sys.executable, "-m", "fastlstm", *words(data, tmp_path / "run")]
    done = subprocess.run(command, capture_output=True, env=environment, check=True)
    assert rb"gut \u2713 (12)" in done.stdout


def help_of(capsys: pytest.CaptureFixture[str], *line: str) -> str:
    with pytest.raises(SystemExit) as caught:
        main([*line, "--help"])
    assert caught.value.code == 0
    return capsys.readouterr().out


def test_help_lists_the_commands(capsys: pytest.CaptureFixture[str]) -> None:
    printed = help_of(capsys)
    for name in NAMES:
        assert f"\n    {name} " in printed


@pytest.mark.parametrize("name", NAMES)
def test_help_of_each_command_has_an_example_that_parses(
    name: str, capsys: pytest.CaptureFixture[str]
) -> None:
    printed = help_of(capsys, name)
    examples = [
        line.split("fastlstm ")[1].split(" > ")[0].replace('"', "").split()
        for line in printed.partition("examples:")[2].splitlines()
        if line.startswith("  ") and "fastlstm " in line
    ]
    assert len(examples) >= 2
    for example in examples:
        assert build_parser().parse_args(example).command == name


def test_help_of_train_tells_every_option(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("COLUMNS", "300")
    printed = help_of(capsys, "train")
    for item in fields(TextConfig):
        if item.name == "data":
            continue
        _, found, rest = printed.partition(f"\n  {flag(item.name)}")
        assert found, item.name
        if item.default not in (None, ()):
            assert f"(default {item.default})" in rest[:400]


def test_version(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as caught:
        main(["--version"])
    assert caught.value.code == 0
    assert capsys.readouterr().out == f"fastlstm {fastlstm.__version__}\n"


STARTED = """
import sys
import fastlstm.{module}
print(*sorted(name for name in sys.modules if name.startswith("fastlstm.train")))
"""


@pytest.mark.parametrize("module", ["cli", "train_imdb"])
def test_ctrl_c_while_a_command_loads_what_it_needs_is_no_traceback(
    module: str, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """The modules of the entry points load nothing of the trainers: that is inside `main`."""
    code = STARTED.format(module=module)
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.split() == (["fastlstm.train_imdb"] if module == "train_imdb" else [])
    heavy = {"cli": "fastlstm.cli.command", "train_imdb": "fastlstm.cli.imdb"}[module]
    start = importlib.import_module(f"fastlstm.{module}").main

    class Pressed:
        def find_spec(self, name: str, *_: object) -> None:
            if name == heavy:
                raise KeyboardInterrupt

    monkeypatch.delitem(sys.modules, heavy, raising=False)
    monkeypatch.setattr(sys, "meta_path", [Pressed(), *sys.meta_path])
    assert start(["--help"]) == 130
    assert capsys.readouterr().err == "\ninterrupted\n"
