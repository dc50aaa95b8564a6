"""Files that version 0.1.0 wrote are still read, and what it broke off can still be resumed.

They are in ``earlier/``, written by that version with the options here: a finished run, a run
broken off in training and one in pretraining, a language model broken off, a translator that is
finished and one that is not.
"""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import numpy as np
import pytest
from ctrl_c import PressCtrlC, pressing
from safetensors.numpy import load_file

from fastlstm.cli import main
from fastlstm.examples import language_model
from fastlstm.nn import cross_entropy
from fastlstm.text.pairs import encode_pairs, pair_batches
from fastlstm.train import TrainingInterrupted, evaluate
from fastlstm.train.classifier.loaded_run import load_run
from fastlstm.train.listener import Listener
from fastlstm.train.model_file import load_model
from fastlstm.train.seq2seq import MODEL, STATE, Translator, learn
from fastlstm.train.tasks.language import evaluate as language_loss

pytestmark = pytest.mark.usefixtures("no_picture", "threads")

EARLIER = Path(__file__).parent / "earlier"
OPTIONS = {
    "--embedding-dim": "4", "--hidden-size": "3", "--epochs": "3", "--batch-size": "4",
    "--average": "0.9", "--max-length": "12", "--vocab-size": "40", "--lr": "0.02",
}  # fmt: skip
BOOK = [
    "--data", "book.txt", "--epochs", "2", "--hidden-size", "5", "--embedding-dim", "4",
    "--dropout", "0.2", "--steps", "8", "--batch-size", "4", "--sample", "0",
]  # fmt: skip
PAIRS = [(list("abcab"[k % 3 : k % 3 + 2]), list("xyzxy"[k % 3 : k % 3 + 3])) for k in range(12)]
SIZES = {"embedding_dim": 4, "hidden_size": 4, "dropout": 0.1}

# What version 0.1.0 said with these models.
TEXTS = ["music0 music1 word3", "sport2"]
LOG_PROBABILITIES = [[-1.08595, -1.2096, -1.01033], [-1.10114, -1.20326, -1.00159]]
LANGUAGE_LOSS, TRANSLATOR_LOSS = 2.4991872, 1.9612875


@pytest.fixture
def earlier(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A copy of the files, as the folder to work in."""
    folder = tmp_path / "earlier"
    shutil.copytree(EARLIER, folder)
    monkeypatch.chdir(folder)
    return folder


def check_same(written: Path, ours: Path, resumed: Path, unbroken: Path) -> None:
    """Resuming the state that was written gives the bits of an unbroken run.

    `ours` is the state of a run broken off here at the same step. On another kind of processor
    than that of the files it differs in the last bits, and so does all that follows.
    """
    states, ends = (
        [load_file(p) for p in (written, ours)],
        [load_file(resumed), load_file(unbroken)],
    )
    assert states[0].keys() == states[1].keys()
    alike = all(np.array_equal(states[0][name], states[1][name]) for name in states[0])
    assert ends[0].keys() == ends[1].keys()
    for name, value in ends[1].items():
        np.testing.assert_allclose(ends[0][name], value, rtol=0, atol=0 if alike else 1e-3)


def test_a_finished_run(earlier: Path, capsys: pytest.CaptureFixture[str]) -> None:
    run = load_run(earlier / "finished")
    found = run.log_probabilities(run.encode(TEXTS))
    np.testing.assert_allclose(found, LOG_PROBABILITIES, rtol=0, atol=1e-4)
    assert run.labels == ["music", "sport", "weather"]
    assert run.vocab.analyzer == run.config.analyzer == "word-1"
    assert run.encode(["word3 की"]).lengths.tolist() == [2]  # as that version cut it
    assert run.encode(["किीक"]).lengths.tolist() == [2]
    for words in (["info", "finished"], ["evaluate", "finished", "topics.csv"]):
        assert main([*words, "--json"]) == 0
        assert json.loads(capsys.readouterr().out)


def words(out: str, *more: str) -> list[str]:
    options = sum(OPTIONS.items(), ("--parts", "net"))  # all that version had
    return ["train", "topics.csv", "--out", out, *options, "--quiet", *more]


@pytest.mark.parametrize(
    ("name", "reporter", "at", "more"),
    [
        ("broken", "classify.Progress", 7, ()),
        ("pretraining", "pretrain.Told", 2, ("--pretrain", "--pretrain-window", "1")),
    ],
)
def test_a_run_broken_off(
    name: str, reporter: str, at: int, more: tuple[str, ...], earlier: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:  # fmt: skip
    state = "pretraining.safetensors" if more else "checkpoint.safetensors"
    shutil.copy(earlier / name / state, "written")
    assert main(["train", "topics.csv", "--resume", name, "--quiet"]) == 0
    assert main(words("unbroken", *more)) == 0
    with monkeypatch.context() as patch:
        patch.setattr(f"fastlstm.train.classifier.{reporter}", pressing(at))
        assert main(words("ours", *more)) == 130
    assert load_run(earlier / name).vocab.analyzer == "word-1"
    ends = [earlier / part / "model.safetensors" for part in (name, "unbroken")]
    check_same(Path("written"), earlier / "ours" / state, *ends)


def test_a_language_model(
    earlier: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    shutil.copy("language/checkpoint.safetensors", "written")
    ids = [1, 2, 3, 4, 5, 6] * 5
    loss = language_loss(load_model("language/model.safetensors"), ids)
    assert loss == pytest.approx(LANGUAGE_LOSS, abs=1e-4)
    assert language_model.main([*BOOK, "--out", "language", "--resume"]) == 0
    assert language_model.main([*BOOK, "--out", "unbroken"]) == 0
    figures = [json.loads(line) for line in capsys.readouterr().out.splitlines() if line[0] == "{"]
    assert figures[0]["epochs"] == 2
    assert figures[0]["test_loss"] == pytest.approx(figures[1]["test_loss"], abs=1e-3)
    with monkeypatch.context() as patch:
        patch.setattr(language_model, "Perplexity", pressing(40))
        assert language_model.main([*BOOK, "--out", "ours"]) == 130
    ends = [Path(part, "model.safetensors") for part in ("language", "unbroken")]
    check_same(Path("written"), Path("ours/checkpoint.safetensors"), *ends)


def test_a_translator(earlier: Path) -> None:
    translator = Translator.load(earlier / "translator" / MODEL)
    batches = pair_batches(encode_pairs(PAIRS, translator.source, translator.target), 4)
    loss = evaluate(translator.model, batches, cross_entropy).loss
    assert loss == pytest.approx(TRANSLATOR_LOSS, abs=1e-4)
    assert (
        learn(PAIRS, PAIRS[:4], SIZES, epochs=2, folder="translator").model.options["dropout"]
        == 0.1
    )


def test_a_translator_broken_off(earlier: Path) -> None:
    def train(folder: str, *listeners: Listener) -> Path:
        learn(PAIRS, PAIRS[:4], SIZES, epochs=2, batch_size=4, folder=folder, average=0.9,
              listeners=listeners)  # fmt: skip
        return Path(folder, MODEL)

    shutil.copy(Path("translator_broken", STATE), "written")
    with pytest.raises(TrainingInterrupted):
        train("ours", PressCtrlC(4))
    check_same(Path("written"), Path("ours", STATE), train("translator_broken"), train("unbroken"))
