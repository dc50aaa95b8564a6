"""The examples have options of the same names, and of the same meaning."""

from __future__ import annotations

import argparse
import json
import os
import pkgutil
import sys
from importlib import import_module
from pathlib import Path
from typing import Any

import pytest

from fastlstm import examples, get_num_threads
from fastlstm.cli.command import build_parser
from fastlstm.examples import gradient_flow, options, toy

CELLS = ("minimal_gated_unit", "peephole_lstm")  # compiled when they are imported
HELPERS = ("adding_task", "mentions", "options", "surnames", "toy_french", "voice_model")
PROGRAMS = [
    name for _, name, _ in pkgutil.iter_modules(examples.__path__) if name not in (*CELLS, *HELPERS)
]
# Words that are not to be used for what --out, --plot and the options of `train` are for.
OTHER_WORDS = {"--run", "--hidden", "--layers", "--embedding", "--figure", "--output", "--jobs"}


def options_of(name: str, monkeypatch: pytest.MonkeyPatch) -> dict[str, argparse.Action]:
    """The options of an example by name."""
    found: dict[str, argparse.Action] = {}

    def keep(parser: argparse.ArgumentParser, *_: Any, **__: Any) -> None:
        found.update({s: action for action in parser._actions for s in action.option_strings})
        raise SystemExit(0)

    monkeypatch.setattr(argparse.ArgumentParser, "parse_args", keep)
    with pytest.raises(SystemExit):
        import_module(f"fastlstm.examples.{name}").main([])
    return found


@pytest.mark.parametrize("name", PROGRAMS)
def test_names_are_those_of_the_command(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    (commands,) = (a for a in build_parser()._actions if isinstance(a.choices, dict))
    own = {s: a for c in ("train", "inspect") for a in commands.choices[c]._actions
           for s in a.option_strings}  # fmt: skip
    found = options_of(name, monkeypatch)
    assert "--threads" in found
    assert "--seed" in found
    assert not OTHER_WORDS & set(found)
    assert {"--out", "--plot", "--hidden-size", "--threads"} <= set(own)
    for option in {"--plot", "--hidden-size", "--epochs", "--seed", "--lr"} & set(found):
        assert found[option].nargs is None
        assert found[option].dest == own[option].dest
    if "--plot" in found:
        assert found["--plot"].metavar == own["--plot"].metavar


@pytest.mark.parametrize("name", PROGRAMS)
def test_a_seed_below_0_is_named(name: str, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as end:
        import_module(f"fastlstm.examples.{name}").main(["--seed", "-1"])
    assert end.value.code == 2
    assert "--seed is -1, expected at least 0" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("name", "line"),
    [
        ("language_model", ["--out", ""]),
        ("language_model", ["--data="]),
        ("names", ["--data", ""]),
        ("translate", ["--data", ""]),
        ("anomaly", ["--plot", ""]),
        ("voice", ["", "sound.wav"]),
        ("voice", ["model.onnx", "--threshold", "0.5", ""]),
    ],
)
def test_an_empty_path_is_refused(
    name: str, line: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit) as end:
        import_module(f"fastlstm.examples.{name}").main(line)
    assert end.value.code == 2
    assert "'' is no path, expected a file or folder" in capsys.readouterr().err


@pytest.mark.skipif(not os.path.exists("/dev/full"), reason="needs a full device")
@pytest.mark.parametrize("name", PROGRAMS)
def test_help_that_cannot_be_written_is_a_failure(
    name: str, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    main = import_module(f"fastlstm.examples.{name}").main
    with open("/dev/full", "w") as full, monkeypatch.context() as patch:
        patch.setattr(sys, "stdout", full)
        with pytest.raises(SystemExit) as end:
            main(["--help"])
    assert end.value.code == 1
    told = capsys.readouterr().err.splitlines()
    assert len(told) == 1
    assert told[0].endswith(f"{name}: error: No space left on device")


@pytest.mark.parametrize("given", [[], ["--threads", "2"]])
def test_threads_belong_to_the_example(
    given: list[str], monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """One by default where two bring nothing; afterwards all is as before."""
    before, seen = get_num_threads(), set()
    real = toy.train

    def train(*arguments: Any) -> Any:
        seen.add(get_num_threads())
        return real(*arguments)

    monkeypatch.setattr(toy, "train", train)
    assert toy.main(["--updates", "2", *given]) == 0
    assert seen == {2 if given else 1}
    assert get_num_threads() == before


@pytest.mark.parametrize(("given", "threads"), [([], 1), (["--threads", "2"], 2)])
def test_cells_of_ones_own_have_threads_too(
    given: list[str], threads: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    pytest.importorskip("numba")
    adding_task: Any = import_module("fastlstm.examples.adding_task")
    seen = []
    monkeypatch.setattr(sys, "argv", ["cell", *given])
    monkeypatch.setattr(adding_task, "check_and_train", lambda cell: seen.append(get_num_threads()))
    assert adding_task.report(toy.Net) == 0
    assert seen == [threads]


@pytest.mark.parametrize("name", ["gates", "gradient_flow"])
def test_a_failure_is_told_in_a_line(
    name: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    example = import_module(f"fastlstm.examples.{name}")

    def fail(given: argparse.Namespace) -> None:
        raise ValueError("no such thing")

    monkeypatch.setattr(example, "run", fail)
    assert example.main([]) == 1
    assert capsys.readouterr().err == f"{name}: error: no such thing\n"


def test_toy_tells_what_its_backend_lacks(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    pytest.importorskip("numba")
    monkeypatch.setenv("FASTLSTM_BACKEND", "numba")
    assert toy.main(["--updates", "1", "--precision", "bfloat16"]) == 1
    assert capsys.readouterr().err.startswith("toy: error: precision is 'bfloat16', expected")


@pytest.mark.parametrize("text", ["0", "-1", "two", "1025", "1.5"])
def test_wrong_threads_are_named(text: str, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as end:
        toy.main(["--threads", text])
    assert end.value.code == 2
    assert f"argument --threads: {text}, expected 1 to 1024" in capsys.readouterr().err


def test_gradient_flow_draws_with_plot(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    pytest.importorskip("matplotlib")
    path = tmp_path / "flow.png"
    assert gradient_flow.main(["--steps", "4", "--hidden-size", "3", "--plot", str(path)]) == 0
    assert path.read_bytes().startswith(b"\x89PNG")
    assert json.loads(capsys.readouterr().out.splitlines()[-1])["figure"] == str(path)


@pytest.mark.parametrize("name", ["flow.gif", "nowhere/flow.png", "folder.png"])
def test_wrong_pictures_are_named_before_the_work(
    name: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "folder.png").mkdir()
    monkeypatch.setattr(gradient_flow, "measure", None)
    with pytest.raises(SystemExit) as end:
        gradient_flow.main(["--plot", name])
    assert end.value.code == 2
    assert f"argument --plot: {name}" in capsys.readouterr().err
    parser = argparse.ArgumentParser()
    options.add_plot(parser, "it")
    assert parser.parse_args([]).plot is None


@pytest.mark.parametrize(
    ("given", "told"),
    [
        ("--hidden-size 0", "--hidden-size is 0, expected at least 1"),
        ("--seed -1", "--seed is -1, expected at least 0"),
        ("--lr nan", "--lr is nan, expected at least 0"),
    ],
)
def test_numbers_that_are_too_small_are_named(
    given: str, told: str, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit):
        toy.main(given.split())
    assert told in capsys.readouterr().err
