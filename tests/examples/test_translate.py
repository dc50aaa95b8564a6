"""The translation example: generated sentences, files, folders, a kept model, errors."""

from __future__ import annotations

import importlib.util
import json
import os
import signal
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from fastlstm.examples import toy_french, translate
from fastlstm.train import Listener

SMALL = ["--embedding-dim", "8", "--hidden-size", "16", "--epochs", "1", "--min-count", "1"]
Capture = pytest.CaptureFixture[str]


def run(arguments: list[str], capsys: Capture) -> tuple[str, dict[str, Any]]:
    assert translate.main(arguments) == 0
    output = capsys.readouterr().out
    figures: dict[str, Any] = json.loads(output.splitlines()[-1])
    return output, figures


def test_the_grammar() -> None:
    pairs = toy_french.draw(4000, np.random.default_rng(0))
    found = {" ".join(english): " ".join(french) for english, french in pairs}
    assert all(e[-1] == f[-1] == "." for e, f in pairs)
    words = {word for french in found.values() for word in french.split()}
    assert {"bateaux", "belle"} & words == {"bateaux"}
    nouns = {"house": "maison", "car": "voiture", "chair": "chaise"}
    for english, french in found.items():
        for noun in nouns:
            if f"green {noun} " in english:
                assert f"{nouns[noun]} verte" in french
        if english.startswith("these "):
            assert french.startswith("ces ")
    assert toy_french.draw(5, np.random.default_rng(1)) == toy_french.draw(
        5, np.random.default_rng(1)
    )


@pytest.mark.slow(seconds=35)
def test_it_learns_the_grammar(capsys: Capture) -> None:
    output, figures = run(["--sentence", "My small green houses!"], capsys)
    assert figures["exact"] >= 0.98
    assert "greedy" in output
    assert figures["translations"][0].startswith("mes petites maisons vertes")


def test_a_short_run_and_its_figures(capsys: Capture) -> None:
    output, figures = run([*SMALL, "--limit", "200", "--sentence", "the cat sees a car ."], capsys)
    assert "200 pairs to train on, 600 to test on" in output
    for name in ("source", "reference", "greedy", "beam"):
        assert f"\n{name:10} " in output
    assert figures["test_pairs"] == 600
    assert len(figures["translations"]) == 1
    if importlib.util.find_spec("sacrebleu"):
        assert 0 <= figures["bleu_beam"] < 50
        assert "tok:none" in figures["signature"]
    else:
        assert "pip install 'fastlstm[translate]'" in output


def test_without_sacrebleu_there_is_no_bleu(
    monkeypatch: pytest.MonkeyPatch, capsys: Capture
) -> None:
    monkeypatch.setitem(__import__("sys").modules, "sacrebleu.metrics.bleu", None)
    output, figures = run([*SMALL, "--limit", "50"], capsys)
    assert "no BLEU: BLEU needs sacrebleu: pip install 'fastlstm[translate]'" in output
    assert "bleu_beam" not in figures
    assert "exact" in figures


def test_a_file_a_kept_model_and_sentences(tmp_path: Path, capsys: Capture) -> None:
    pairs = toy_french.draw(300, np.random.default_rng(0))
    lines = [f"{' '.join(english)}\t{' '.join(french)}\tby us" for english, french in pairs]
    data, kept = tmp_path / "fra.txt", str(tmp_path / "run")
    data.write_text("\n".join(lines), encoding="utf-8")
    arguments = [*SMALL, "--data", str(data), "--max-words", "8", "--out", kept]
    output, figures = run(arguments, capsys)
    short = len([pair for pair in pairs if max(map(len, pair)) <= 8])
    assert figures["test_pairs"] < short / 5
    second, again = run(arguments, capsys)
    assert again["exact"] == figures["exact"]
    assert "epoch 1" in output
    assert "epoch 1" not in second
    output, only = run(["--out", kept, "--sentence", "The CAT sees a car."], capsys)
    assert "reference" not in output
    assert "exact" not in only
    assert isinstance(only["translations"][0], str)


def test_a_folder(tmp_path: Path, capsys: Capture) -> None:
    for part, count in (("train", 80), ("val", 10), ("test_2016_flickr", 12)):
        pairs = toy_french.draw(count, np.random.default_rng(count))
        for side, language in enumerate(("en", "fr")):
            text = "\n".join(" ".join(pair[side]) for pair in pairs)
            (tmp_path / f"{part}.lc.norm.tok.{language}").write_text(text, encoding="utf-8")
    arguments = [*SMALL, "--data", str(tmp_path), "--source", "en", "--target", "fr"]
    output, figures = run(arguments, capsys)
    assert "80 pairs to train on, 12 to test on" in output
    assert figures["test_pairs"] == 12
    assert run([*arguments, "--no-attention", "--num-layers", "2"], capsys)[1]["test_pairs"] == 12


class Interrupt(Listener):
    def on_step(self, history: Any) -> None:
        os.kill(os.getpid(), signal.SIGINT)


def test_ctrl_c_loses_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: Capture
) -> None:
    arguments = [*SMALL, "--limit", "200", "--out", str(tmp_path)]
    with monkeypatch.context() as patch:
        patch.setattr(translate, "Progress", lambda bar: Interrupt())
        assert translate.main(arguments) == 130
        assert "run it again to go on" in capsys.readouterr().err
        assert translate.main(arguments[:-2]) == 130
        assert capsys.readouterr().err.startswith("\ntraining was interrupted after 0 epochs")
    assert (tmp_path / "checkpoint.safetensors").exists()
    run(arguments, capsys)
    assert (tmp_path / "model.safetensors").exists()


def test_errors(tmp_path: Path, capsys: Capture) -> None:
    empty = tmp_path / "empty.txt"
    empty.write_text("", encoding="utf-8")
    for arguments, message in (
        (["--data", str(tmp_path / "none.txt")], "none.txt"),
        (["--data", str(empty)], "has no pairs"),
        (["--data", str(tmp_path)], "expected one file train*.de"),
        (["--epochs", "0"], "epochs is 0, expected at least 1"),
        (["--batch-size", "0"], "batch_size is 0, expected at least 1"),
        (["--batch-size", "-1"], "batch_size is -1, expected at least 1"),
    ):
        assert translate.main(arguments) == 1
        assert message in capsys.readouterr().err
    for arguments, message in (
        (["--epochs", "many"], "invalid int value: 'many'"),
        (["--limit", "-3"], "--limit is -3, expected at least 0"),
        (["--max-words", "-3"], "--max-words is -3, expected at least 0"),
    ):
        with pytest.raises(SystemExit) as error:
            translate.main(arguments)
        assert error.value.code == 2
        assert message in capsys.readouterr().err


def test_a_model_of_other_options_is_not_taken(tmp_path: Path, capsys: Capture) -> None:
    run([*SMALL, "--limit", "50", "--out", str(tmp_path)], capsys)
    arguments = [*SMALL, "--hidden-size", "12", "--limit", "50", "--out", str(tmp_path)]
    assert translate.main(arguments) == 1
    assert "is a model of other options" in capsys.readouterr().err
