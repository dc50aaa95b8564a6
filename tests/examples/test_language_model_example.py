"""`python -m fastlstm.examples.language_model`: its output, files, resuming, errors."""

from __future__ import annotations

import importlib.util
import json
import re
import signal
import subprocess
import sys
from dataclasses import fields
from pathlib import Path
from typing import Any

import pytest

from fastlstm.examples import language_model
from fastlstm.text import load_language
from fastlstm.train import checkpoint
from fastlstm.train.language.run import PRESETS, LanguageOptions
from fastlstm.train.model_file import load_model

SMALL = ["--epochs", "2", "--hidden-size", "8", "--embedding-dim", "8", "--sample", "40"]


@pytest.fixture
def book(tmp_path: Path) -> Path:
    path = tmp_path / "book.txt"
    path.write_text("it was the best of times, it was the worst of times\n" * 100)
    return path


def figures(output: str) -> dict[str, Any]:
    """The last line."""
    found: dict[str, Any] = json.loads(output.splitlines()[-1])
    return found


def timeless(found: dict[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in found.items() if "seconds" not in name}


def run(capsys: pytest.CaptureFixture[str], *arguments: object) -> str:
    assert language_model.main([*SMALL, *map(str, arguments)]) == 0
    return capsys.readouterr().out


def test_it_runs_by_itself(tmp_path: Path) -> None:
    """As a program, with the bundled text, from any folder."""
    command = [sys.executable, "-m", "fastlstm.examples.language_model", *SMALL]
    command += ["--epochs", "1", "--num-layers", "1", "--lr", "0.03"]
    done = subprocess.run(
        command, cwd=tmp_path, check=True, capture_output=True, text=True, timeout=600
    )
    found = figures(done.stdout)
    assert found["data"].startswith("bundled pages of Shakespeare")
    assert found["test_perplexity"] < 45  # 62 by chance
    assert done.stderr == ""
    assert list(tmp_path.iterdir()) == []


def test_characters(book: Path, capsys: pytest.CaptureFixture[str]) -> None:
    output = run(capsys, "--data", book, "--epochs", 12, "--lr", 0.02, "--prompt", "it was")
    found = figures(output)
    assert found["data"] == "book.txt: 4,680 + 260 + 260 characters, 16 distinct"
    assert found["epochs"] == 12
    assert 1 < found["test_perplexity"] < 14  # 15 by chance
    assert found["options"]["lr"] == 0.02
    text = output[: output.rindex("\n{")].rpartition("tokens/s\n")[2]
    assert text.startswith("\nit was")
    assert len(text.strip("\n")) >= len("it was") + 30
    again = figures(run(capsys, "--data", book, "--epochs", 12, "--lr", 0.02))
    assert timeless(again) == timeless(found)
    other = figures(run(capsys, "--data", book, "--epochs", 12, "--lr", 0.02, "--seed", 1))
    assert other["test_loss"] != found["test_loss"]


def test_words(book: Path, capsys: pytest.CaptureFixture[str]) -> None:
    options = ["--preset", "zaremba-small", "--batch-size", 5, "--prompt", "the worst", "--tied"]
    output = run(capsys, "--data", book, *options)
    assert "book.txt: 1,170 + 65 + 65 words, 10 distinct" in output
    assert "\nthe worst " in output
    assert "<unk>" not in output
    found = figures(output)["options"]
    assert (found["level"], found["optimizer"], found["sum_steps"]) == ("word", "sgd", True)
    assert (found["tied"], found["hidden_size"], found["batch_size"]) == (True, 8, 5)


def test_an_adaptive_softmax_of_words(
    book: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """A preset with all of it, its files, and another text to write."""
    options = ["--preset", "tied-small", "--batch-size", 5, "--lr", 0.02, "--prompt", "the worst"]
    words = ["--data", book, "--out", tmp_path / "run", *options]
    output = run(capsys, *words)
    assert "\nthe worst " in output
    found = figures(output)["options"]
    assert (found["softmax"], found["tied"], found["average"]) == ("adaptive", True, 0.999)
    assert timeless(figures(run(capsys, *words, "--resume"))) == timeless(figures(output))
    assert "cutoffs" in load_model(tmp_path / "run" / "model.safetensors").options
    for option, value, told in (
        ("--weight-drop", 0.5, "weight_drop is not set there, 0.5 here"),
        ("--cutoffs", "3,4", "cutoffs is ["),
    ):
        given = [*SMALL, *map(str, words), "--resume", option, str(value)]
        assert language_model.main(given) == 1
        message = capsys.readouterr().err
        assert "is of another run: model differ (" in message
        assert told in message


def test_help_names_every_training_option(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        language_model.main(["--help"])
    told = capsys.readouterr().out
    for item in fields(LanguageOptions):
        assert f"--{item.name.replace('_', '-')} " in told or f"--{item.name}," in told
    for name in PRESETS:
        assert name in told


def test_files_and_resume(
    book: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    class PressCtrlC(language_model.Perplexity):
        def on_step(self, history: Any) -> None:
            if history.step == 6:
                signal.raise_signal(signal.SIGINT)

    data, out = ["--data", book], tmp_path / "run"
    expected = timeless(figures(run(capsys, *data)))
    with monkeypatch.context() as patch:
        patch.setattr(language_model, "Perplexity", PressCtrlC)
        words = [*SMALL, *map(str, data), "--out", str(out)]
        assert language_model.main(words) == 130
    output = capsys.readouterr().out
    assert "training was interrupted after 1 epoch and 1 window" in output
    assert figures(output)["epochs"] == 1
    assert not figures(output)["finished"]
    assert {p.name for p in out.iterdir()} == {
        "model.safetensors", "checkpoint.safetensors", "symbols.json",
    }  # fmt: skip
    found = figures(run(capsys, *data, "--out", out, "--resume"))
    assert timeless(found) == expected
    again = figures(run(capsys, *data, "--out", out, "--resume"))  # nothing is left to train
    assert timeless(again) == expected
    assert load_model(out / "model.safetensors").recurrent.hidden_size == 8


def test_a_run_does_not_go_on_with_another_text(
    book: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Also one of as many characters, of which the model would take each for another."""
    words = [*SMALL, "--data", str(book), "--out", str(tmp_path / "run")]
    run(capsys, *words)
    text = book.read_text()
    book.write_text(text.translate(str.maketrans("twieas", "saeiwt")))
    assert language_model.main([*words, "--resume"]) == 1
    assert "is of another run: the tokens differ" in capsys.readouterr().err
    book.write_text(text)
    assert figures(run(capsys, *words, "--resume"))["finished"]


def test_a_run_killed_before_its_first_checkpoint_goes_on(
    book: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """From the beginning, of the same tokens alone; without its checkpoint a model stays."""
    data, out = ["--data", book], tmp_path / "run"
    expected = timeless(figures(run(capsys, *data)))
    out.mkdir()
    load_language(book).symbols.save(out / "symbols.json")  # all that there is until then
    given = [*SMALL, *map(str, data), "--out", str(out), "--resume"]
    assert language_model.main([*given, "--level", "word"]) == 1
    assert (
        "symbols.json is of another run: its level is 'char', here it is 'word'; go on"
        in capsys.readouterr().err
    )
    assert timeless(figures(run(capsys, *data, "--out", out, "--resume"))) == expected
    (out / "checkpoint.safetensors").unlink()
    assert language_model.main(given) == 1
    assert "there is no checkpoint at" in capsys.readouterr().err


def test_ctrl_c_leaves_the_averaged_weights(
    book: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    class StopAtStepThree(language_model.Perplexity):
        def on_step(self, history: Any) -> None:
            if history.step == 3:
                signal.raise_signal(signal.SIGINT)

    monkeypatch.setattr(language_model, "Perplexity", StopAtStepThree)
    out = tmp_path / "run"
    words = ["--data", book, "--average", "0.5", "--out", out]
    assert language_model.main([*SMALL, *map(str, words)]) == 130
    found = load_model(out / "model.safetensors").state_dict()
    tensors, _ = checkpoint.load(out / "checkpoint.safetensors", "training state")
    names = {name.partition("/")[2]: value for name, value in tensors.items() if "model/" in name}
    assert names.keys() == found.keys()
    assert any((names[name] != value).any() for name, value in found.items())
    monkeypatch.undo()
    expected = timeless(figures(run(capsys, *words[:-2])))
    assert timeless(figures(run(capsys, *words, "--resume"))) == expected


@pytest.mark.skipif(not importlib.util.find_spec("matplotlib"), reason="needs matplotlib")
def test_a_picture(book: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    run(capsys, "--data", book, "--plot", tmp_path / "loss.png", "--sample", 0)
    assert (tmp_path / "loss.png").stat().st_size > 5000


WRONG: list[tuple[list[str], str]] = [
    (["--data", "gone.txt"], "data 'gone.txt' does not exist"),
    (["--hidden-size", "0"], "error: --hidden-size is 0, expected at least 1"),
    (["--vocab-size", "1"], "error: --vocab-size is 1, expected at least 2, or 0 for all tokens"),
    (["--average", "1"], "error: --average is 1.0, expected a number between 0 and 1"),
    (["--tied", "--hidden-size", "9"], "tied is True with embedding_dim 8 and hidden_size 9"),
    (["--batch-size", "99999"], "ids has 89,826 tokens, expected at least 199998"),
    (["--lr", "-1"], "error: --lr is -1.0, expected at least 0"),
    (["--temperature", "-1"], "error: --temperature is -1.0, expected 0 or more"),
    (["--sample", "-5"], "error: --sample is -5, expected at least 0"),
    (["--resume", "--out", "gone"], "gone holds no run to resume: there is no symbols.json"),
    (["--lr", "1e40", "--optimizer", "sgd", "--clip", "0"], "smaller learning rate"),
]


@pytest.mark.parametrize(("arguments", "message"), WRONG, ids=[m for _, m in WRONG])
def test_what_is_wrong_is_told_in_a_line(
    arguments: list[str], message: str, capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path,
) -> None:  # fmt: skip
    monkeypatch.chdir(tmp_path)
    assert language_model.main([*SMALL, "--num-layers", "1", *arguments]) == 1
    captured = capsys.readouterr()
    assert message in captured.err
    assert re.fullmatch(r"language_model: error: .*\n", captured.err)
    assert "{" not in captured.out


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--level", "line"], "invalid choice: 'line'"),
        (["--preset", "large"], "invalid choice: 'large'"),
        (["--resume"], "--resume needs --out"),
        (["--limit", "-5"], "--limit is -5, expected at least 1"),
        (["--limit", "0"], "--limit is 0, expected at least 1"),
    ],
)
def test_wrong_usage(
    arguments: list[str], message: str, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit) as stop:
        language_model.main(arguments)
    assert stop.value.code == 2
    assert message in capsys.readouterr().err
