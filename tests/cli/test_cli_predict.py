"""`fastlstm predict`: JSON lines in order, whatever comes in."""

from __future__ import annotations

import io
import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from topics import TOPICS, rows

from fastlstm.cli import main, predict
from fastlstm.train.classifier.loaded_run import load_run

pytestmark = pytest.mark.usefixtures("no_debug")


@pytest.fixture
def lines(capsys: pytest.CaptureFixture[str]) -> Any:
    """Run predict and return its lines."""

    def run(*line: object) -> list[dict[str, Any]]:
        capsys.readouterr()
        assert main(["predict", *map(str, line)]) == 0
        out, err = capsys.readouterr()
        assert err == ""
        return [json.loads(text) for text in out.splitlines()]

    return run


def standard_input(monkeypatch: pytest.MonkeyPatch, data: bytes) -> None:
    monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BufferedReader(io.BytesIO(data))))


def test_texts_on_the_command_line(three: Path, lines: Any) -> None:
    first, second = lines(three, "word1 sport2 unheard", "sport1\nSPORT2")
    assert first.keys() == {"text", "label", "probability", "known_words"}
    assert (first["text"], first["known_words"]) == ("word1 sport2 unheard", 2)
    assert (second["text"], second["known_words"]) == ("sport1\nSPORT2", 2)
    assert first["label"] in TOPICS
    assert 1 / 3 < first["probability"] < 1


def test_texts_may_follow_options(three: Path, lines: Any) -> None:
    told = lines(three, "--precision", "int8", "what a goal", "a new law")
    assert [line["text"] for line in told] == ["what a goal", "a new law"]


@pytest.mark.parametrize("run", ["two", "three"])
def test_probabilities_are_those_of_the_model(
    run: str, lines: Any, request: pytest.FixtureRequest
) -> None:
    folder = request.getfixturevalue(run)
    trained, texts = load_run(folder), rows(7, seed=3)[0]
    found = lines(folder, *texts, "--probabilities")
    for text, line in zip(texts, found, strict=True):
        tokens = trained.vocab.encode(text)[None]
        logits = trained.model(tokens).astype(float).ravel()
        if len(logits) == 1:
            logits = np.array([0.0, logits[0]])
        expected = np.exp(logits) / np.exp(logits).sum()
        assert list(line["probabilities"]) == trained.labels
        np.testing.assert_allclose(list(line["probabilities"].values()), expected, rtol=1e-5)
        assert line["label"] == trained.labels[int(expected.argmax())]
        assert line["probability"] == line["probabilities"][line["label"]]


def test_only_unknown_words_and_no_words_at_all(three: Path, lines: Any) -> None:
    unknown, nothing, stops = lines(three, "never heard of", "", "... !")
    assert [line["known_words"] for line in (unknown, nothing, stops)] == [0, 0, 0]
    assert {line["label"] for line in (unknown, nothing, stops)} <= set(TOPICS)
    assert nothing["probability"] == stops["probability"]


def test_words_past_the_cut_are_not_known(three: Path, lines: Any) -> None:
    (line,) = lines(three, "sport1 " * 100)
    assert line["known_words"] == 30  # max_length of the run


def test_a_file_in_pieces_equals_texts_at_once(
    three: Path, tmp_path: Path, lines: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    texts = [*rows(20, seed=2)[0], "", "sport1 " * 40]
    path = tmp_path / "texts.txt"
    path.write_text("\n".join(texts) + "\n", encoding="utf-8")
    expected = lines(three, *texts)
    monkeypatch.setattr(predict, "CHUNK", 3)
    assert lines(three, "--file", path) == expected
    standard_input(monkeypatch, path.read_bytes())
    assert lines(three) == expected
    standard_input(monkeypatch, path.read_bytes())
    assert lines(three, "--file", "-") == expected


def test_the_memory_is_that_of_a_piece(
    three: Path, tmp_path: Path, lines: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    sizes = []
    classified = predict.classified
    monkeypatch.setattr(predict, "CHUNK", 4)
    monkeypatch.setattr(
        predict, "classified", lambda dealer, texts, *_: sizes.append(len(texts)) or
        classified(dealer, texts)
    )  # fmt: skip
    path = tmp_path / "texts.txt"
    path.write_text("sport1\n" * 10)
    assert len(lines(three, "--file", path)) == 10
    assert sizes == [4, 4, 2]


@pytest.mark.parametrize(
    ("encoding", "given"), [("utf-16", []), ("cp1252", ["--encoding", "cp1252"])]
)
def test_encodings_of_the_input(
    encoding: str, given: list[str], three: Path, tmp_path: Path, lines: Any,
    monkeypatch: pytest.MonkeyPatch,
) -> None:  # fmt: skip
    path = tmp_path / "texts.txt"
    path.write_bytes("caf\u00e9\r\nsport1".encode(encoding))
    assert [line["text"] for line in lines(three, "--file", path, *given)] == [
        "caf\u00e9",
        "sport1",
    ]
    standard_input(monkeypatch, path.read_bytes())
    assert len(lines(three, *given)) == 2


def test_an_undecodable_file(three: Path, tmp_path: Path, fails: Any, monkeypatch: Any) -> None:
    path = tmp_path / "texts.txt"
    path.write_bytes(b"fine\nna\xefve\n")
    told = fails("predict", three, "--file", path)
    assert f"{path} is not utf-8 text: byte 0xef at position 7; give its encoding" in told
    standard_input(monkeypatch, path.read_bytes())
    assert "the standard input is not utf-8 text: byte 0xef at position 7" in fails(
        "predict", three
    )


def test_nothing_to_classify(three: Path, tmp_path: Path, lines: Any) -> None:
    (tmp_path / "empty.txt").write_bytes(b"")
    assert lines(three, "--file", tmp_path / "empty.txt") == []


def test_wrong_use(three: Path, misused: Any) -> None:
    assert "TEXT and --file exclude each other" in misused("predict", three, "a", "--file", "b")
    assert "--encoding is 'x'" in misused("predict", three, "a", "--encoding", "x")


def test_missing_file(three: Path, tmp_path: Path, fails: Any) -> None:
    assert "No such file" in fails("predict", three, "--file", tmp_path / "gone.txt")


def command(*line: object) -> list[str]:
    return [sys.executable, "-m", "fastlstm", *map(str, line)]


@pytest.mark.skipif(os.name != "posix", reason="pipes break otherwise there")
def test_a_broken_pipe_is_no_traceback(three: Path, tmp_path: Path) -> None:
    path = tmp_path / "texts.txt"
    path.write_text("sport1 word2\n" * 5000)
    process = subprocess.Popen(
        command("predict", three, "--file", path), stdout=subprocess.PIPE, stderr=subprocess.PIPE
    )
    assert process.stdout is not None
    assert process.stderr is not None
    assert json.loads(process.stdout.readline())["text"] == "sport1 word2"
    process.stdout.close()
    told = process.stderr.read()
    process.stderr.close()
    assert process.wait(timeout=600) == 1
    assert told == b""


def test_output_that_takes_ascii_only(three: Path) -> None:
    environment = {**os.environ, "PYTHONIOENCODING": "ascii"}
    done = subprocess.run(
        command("predict", three, "caf\u00e9 \U0001f600"), capture_output=True, env=environment,
        check=True,
    )  # fmt: skip
    assert json.loads(done.stdout.decode("ascii"))["text"] == "caf\u00e9 \U0001f600"
