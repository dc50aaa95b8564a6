"""`fastlstm.load` of the folders of runs."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from attack.small_run import command, write_texts

import fastlstm as fl
from fastlstm.cli import main
from fastlstm.text import load_language
from fastlstm.text.pairs import token_vocabulary
from fastlstm.train.language.run import LanguageFolder, LanguageOptions, build_trainer
from fastlstm.train.model_file import save_model
from fastlstm.train.seq2seq import Translator

TEXTS = ["music1 word3 word4", "sport2 sport3", "nothing known"]


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("run")
    assert main(command(write_texts(folder / "texts.csv"), folder / "run")) == 0
    return folder / "run"


@pytest.fixture(scope="module")
def net(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A run without a linear part."""
    folder = tmp_path_factory.mktemp("net")
    line = command(write_texts(folder / "texts.csv"), folder / "run")
    assert main([*line, "--parts", "net"]) == 0
    return folder / "run"


def test_a_run_predicts_as_the_command_does(run: Path, capsys: pytest.CaptureFixture[str]) -> None:
    trained = fl.load(run)
    capsys.readouterr()
    assert main(["predict", str(run), *TEXTS, "--probabilities"]) == 0
    lines = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    assert trained.predict(TEXTS) == [line["label"] for line in lines]
    proba = trained.predict_proba(TEXTS)
    assert proba.shape == (3, len(trained.labels))
    for row, line in zip(proba, lines, strict=True):
        for label, p in zip(trained.labels, row, strict=True):
            assert abs(line["probabilities"][label] - p) < 1e-4
    assert trained.predict([]) == []


def test_a_linear_part_alone_has_no_net_to_give(tmp_path: Path) -> None:
    data, run = write_texts(tmp_path / "texts.csv"), tmp_path / "run"
    line = ["train", str(data), "--parts", "linear", "--no-progress", "--out", str(run)]
    assert main(line) == 0
    with pytest.raises(ValueError, match="has a linear part.*train with --parts net$"):
        fl.save(fl.load(run), tmp_path / "a.onnx")


class Column:
    """Texts as a table has them: its names where it has several columns."""

    def __init__(self, *shape: int) -> None:
        self.shape, self.ndim = shape, len(shape)

    def __len__(self) -> int:
        return self.shape[0]

    def __iter__(self) -> Iterator[str]:
        return iter(TEXTS if self.ndim == 1 else ["text"])


class Arrow(list[int]):
    """Rows that are no strings before they are an array, as those of Arrow."""

    def __array__(self, *ignored: Any, **more: Any) -> Any:
        return np.array(TEXTS, object)


def test_texts_of_any_kind_with_an_order(run: Path) -> None:
    trained = fl.load(run)
    expected = trained.predict(TEXTS)
    for texts in (tuple(TEXTS), (t for t in TEXTS), np.array(TEXTS), Column(3), Arrow()):
        assert trained.predict(texts) == expected
    assert trained.predict(iter(())) == []


WRONG: list[Any] = [
    "one text", b"one text", [1, 2], ["one", None], [b"one"], [["one"]], {"one": 1}, {"one"},
    None, 3, np.array("one"), np.array([["one"]]), Column(3, 1),
]  # fmt: skip


@pytest.mark.parametrize("texts", WRONG, ids=lambda texts: f"{texts!r:.30}")
def test_texts_that_are_none(run: Path, texts: Any) -> None:
    """Of a table or a dict the names would be read, of a string the letters."""
    trained = fl.load(run)
    for read in (trained.predict, trained.encode):
        with pytest.raises(TypeError, match="^texts.* is .*, expected a list of strings"):
            read(texts)


def test_the_model_of_a_run(net: Path) -> None:
    model = fl.load(net / "model.safetensors")
    assert type(model) is fl.TextClassifier
    trained = fl.load(net)
    encoded = trained.encode(TEXTS)
    a, b = (m(np.asarray([encoded.tokens[:2]]), None) for m in (model, trained.model))
    assert (a == b).all()


def test_a_run_is_saved_as_its_model(net: Path, tmp_path: Path) -> None:
    trained, path = fl.load(net), tmp_path / "model.safetensors"
    fl.save(trained, path)
    saved = fl.load(path)
    assert saved.options == trained.model.options
    for name, value in trained.model.state_dict().items():
        assert (saved.state_dict()[name] == value).all()


def test_a_run_is_exported(net: Path, tmp_path: Path) -> None:
    """Its model, from the ids that its words have to logits."""
    pytest.importorskip("onnx")
    ort = pytest.importorskip("onnxruntime")
    trained = fl.load(net)
    fl.save(trained, tmp_path / "run.onnx")
    encoded = trained.encode(TEXTS[:1])
    tokens, lengths = encoded.tokens[None].astype("int64"), np.array([len(encoded.tokens)], "int32")
    session = ort.InferenceSession(str(tmp_path / "run.onnx"), providers=["CPUExecutionProvider"])
    (logits,) = session.run(None, {"tokens": tokens, "lengths": lengths})
    best = int(logits[0].argmax()) if logits.shape[1] > 1 else int(logits[0, 0] > 0)
    assert trained.labels[best] == trained.predict(TEXTS[:1])[0]
    np.testing.assert_allclose(trained.model(tokens, lengths).reshape(1, -1), logits, atol=1e-5)


def test_a_language_model_writes(tmp_path: Path) -> None:
    text = tmp_path / "text.txt"
    text.write_text("the cat sat on the mat\n" * 40)
    data = load_language(text, level="char")
    folder = LanguageFolder(tmp_path / "out")
    folder.path.mkdir()
    data.symbols.save(folder.symbols)
    trainer = build_trainer(LanguageOptions(hidden_size=8, embedding_dim=4), data)
    with pytest.raises(FileNotFoundError, match=r"out has no model\.safetensors yet"):
        fl.load(folder.path)
    save_model(folder.model, trainer.model)
    run = fl.load(folder.path)
    assert type(run.model) is fl.LanguageModel
    assert len(run.write("the ", 12, rng=0)) == 12 + len("the ")
    assert run.write("the ", 12, rng=0) == run.write("the ", 12, rng=0)
    (folder.symbols).write_text(folder.symbols.read_text().replace('"c", ', ""))
    with pytest.raises(ValueError, match=r"symbols\.json has .* tokens"):
        fl.load(folder.path)


def test_a_translator_comes_back(tmp_path: Path) -> None:
    words = token_vocabulary([["a", "b"], ["c"]], 1)
    translator = Translator.build(words, words, {"embedding_dim": 4, "hidden_size": 4})
    fl.save(translator, tmp_path / "model.safetensors")
    for path in (tmp_path, tmp_path / "model.safetensors"):
        again = fl.load(path)
        assert type(again) is Translator
        assert again([["a", "c"]]) == translator([["a", "c"]])


def test_a_folder_without_a_run(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError, match="holds no run"):
        fl.load(tmp_path)
    with pytest.raises(FileNotFoundError):
        fl.load(tmp_path / "none")
