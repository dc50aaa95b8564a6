"""How a run cuts texts into words or characters: chosen in training, kept for all that follows."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from topics import read, train, write_csv

from fastlstm.cli import main
from fastlstm.inside import inspect_text
from fastlstm.text import tokenize
from fastlstm.train.classifier.loaded_run import load_run
from fastlstm.train.classifier.text_config import TextConfig
from fastlstm.train.classifier.texts import load

pytestmark = pytest.mark.usefixtures("no_picture", "threads", "no_debug")

LABELS = [str(n % 2) for n in range(40)]
CHINESE = [f"这本书{'很好' if n % 2 else '不好'}看，第{n}章" for n in range(40)], LABELS
HINDI = [f"यह किताब {'अच्छी' if n % 2 else 'बुरी'} है {n}" for n in range(40)], LABELS
ENGLISH = [f"{'good' if n % 2 else 'bad'} text" for n in range(40)], LABELS
FILES = {"train.csv": ENGLISH, "test.csv": CHINESE}
LEARNING = {"lr": 0.05, "dropout": 0, "embedding_dropout": 0, "word_dropout": 0, "epochs": 6}


def as_json(capsys: pytest.CaptureFixture[str], *line: str) -> Any:
    capsys.readouterr()
    assert main([*line, "--json"]) == 0
    return json.loads(capsys.readouterr().out)


@pytest.fixture(scope="module")
def chinese(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of a run on Chinese."""
    folder = tmp_path_factory.mktemp("chinese")
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("fastlstm.train.classifier.classify.draw_curves", lambda *_: False)
        train(write_csv(folder / "a.csv", CHINESE), folder / "run", **LEARNING)
    return folder / "run"


def test_chinese_is_read_in_characters_by_itself(
    chinese: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert read(chinese / "config.json")["analyzer"] == "mixed"
    trained = load_run(chinese)
    assert trained.vocab.analyzer == "mixed"
    assert {"书", "好", "章"} <= set(trained.vocab.words)
    assert read(chinese / "metrics.json")["test_accuracy"] > 0.9
    told = as_json(capsys, "info", str(chinese))
    assert told["analyzer"] == told["options"]["analyzer"] == "mixed"
    assert main(["info", str(chinese)]) == 0
    assert "mixed: characters and words" in capsys.readouterr().out
    # A text without one Chinese letter is read by the rule of the run, not by its own.
    assert trained.encode(["GPT4 很"]).lengths.tolist() == [2]


def test_inspect_shows_the_characters(chinese: Path, capsys: pytest.CaptureFixture[str]) -> None:
    told = as_json(capsys, "inspect", str(chinese), "好书 GPT4!")
    assert [word["word"] for word in told["words"]] == ["好", "书", "gpt4"]
    run = load_run(chinese)
    found = inspect_text(run.model, run.vocab, "好书 GPT4!")
    np.testing.assert_allclose(
        found.probabilities[-1], run.predict_proba(["好书 GPT4!"])[0], rtol=0, atol=1e-6
    )


@pytest.mark.parametrize("analyzer", ["word", "char", "mixed", "word-1"])
def test_the_analyzer_that_is_asked_for(analyzer: str, tmp_path: Path) -> None:
    texts = [f"{'Ab c' if n % 2 else '好 d'} कि" for n in range(40)]
    train(write_csv(tmp_path / "a.csv", (texts, LABELS)), tmp_path / "run", analyzer=analyzer)
    vocab = load_run(tmp_path / "run").vocab
    assert vocab.analyzer == analyzer
    assert set(vocab.words[2:]) == {unit for text in texts for unit in tokenize(text, analyzer)}


def test_the_texts_to_train_on_decide(tmp_path: Path) -> None:
    data, test = (write_csv(tmp_path / name, texts) for name, texts in FILES.items())
    train(data, tmp_path / "run", test=str(test))
    assert load_run(tmp_path / "run").vocab.analyzer == "word"


def test_marks_are_kept_also_where_a_run_goes_on(tmp_path: Path) -> None:
    data = write_csv(tmp_path / "a.csv", HINDI)
    train(data, tmp_path / "run")
    assert {"किताब", "अच्छी", "बुरी"} <= set(load_run(tmp_path / "run").vocab.words)
    before = (tmp_path / "run" / "vocab.json").read_bytes()
    assert main(["train", "--resume", str(tmp_path / "run"), "--epochs", "4", "--quiet"]) == 0
    assert read(tmp_path / "run" / "metrics.json")["epochs"] == 4
    assert (tmp_path / "run" / "vocab.json").read_bytes() == before


def test_a_resumed_run_keeps_its_analyzer(
    chinese: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit):
        main(["train", "--resume", str(chinese), "--analyzer", "word"])
    assert "--analyzer is word, but the run in" in capsys.readouterr().err


def test_fine_tuning_keeps_the_analyzer(
    chinese: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    data = write_csv(tmp_path / "a.csv", ENGLISH)
    line = ["train", str(data), "--from", str(chinese), "--out", str(tmp_path / "run"), "--quiet"]
    assert main([*line, "--epochs", "1"]) == 0
    vocab = load_run(tmp_path / "run").vocab
    assert vocab.analyzer == "mixed"
    assert {"书", "good"} <= set(vocab.words)
    with pytest.raises(SystemExit):
        main([*line, "--overwrite", "--analyzer", "word"])
    assert "--analyzer is word, but the run in" in capsys.readouterr().err
    config = TextConfig(data=str(data), from_run=str(chinese))  # whose texts ask for "word"
    with pytest.raises(ValueError, match="analyzer is 'word', but the run in .* has 'mixed'"):
        load(config)


def test_vectors_of_characters_fill_the_vocabulary(tmp_path: Path) -> None:
    data = write_csv(tmp_path / "a.csv", CHINESE)
    vectors = tmp_path / "vectors.vec"
    vectors.write_text("4 2\n书 1 2\n铁 3 4\n铁路 5 6\nabc 7 8\n", encoding="utf-8")
    train(data, tmp_path / "run", vectors=str(vectors), freeze_vectors=True, embedding_dim=None)
    vocab = load_run(tmp_path / "run").vocab
    assert vocab.analyzer == "mixed"
    assert vocab.words[-2:] == ["铁", "abc"]
    assert "铁路" not in vocab
