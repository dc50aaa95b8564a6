"""`fastlstm predict` and `evaluate` of files that are larger than the memory they may take."""

from __future__ import annotations

import json
import tracemalloc
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from topics import TOPICS, rows, write_csv

from fastlstm.cli import evaluate, main, predict
from fastlstm.text import pieces
from fastlstm.train.classifier.dealing import Dealer, Said

pytestmark = pytest.mark.usefixtures("no_picture", "no_debug")

MEGABYTES = 3  # of the file; what is held of it at a time is far less
MOST = 1_000_000  # bytes


@pytest.fixture
def large(tmp_path: Path) -> Path:
    text = "a text of some words " * 50
    lines = [f'{n},"{text}{n}",{TOPICS[n % 3]}\n' for n in range(300)]
    with open(tmp_path / "large.csv", "w") as file:
        file.write("id,text,label\n")
        for _ in range((MEGABYTES << 20) // sum(map(len, lines)) + 1):
            file.writelines(lines)
    return tmp_path / "large.csv"


@pytest.fixture
def only_reading(monkeypatch: pytest.MonkeyPatch) -> None:
    """Small pieces, and no kernels: what they take depends on a piece alone."""
    monkeypatch.setattr(pieces, "LETTERS", 1 << 15)

    def said(dealer: Dealer, texts: list[str]) -> Said:
        assert sum(map(len, texts)) < 1 << 16
        known = np.ones(len(texts))
        return Said(known, known, 0 * known, np.log(np.full((len(texts), 3), 1 / 3)))

    monkeypatch.setattr(Dealer, "classify", said)


@pytest.fixture
def peak() -> Iterator[Any]:
    """Return the most bytes that were in use since the test began."""
    tracemalloc.start()
    before = tracemalloc.get_traced_memory()[0]
    yield lambda: tracemalloc.get_traced_memory()[1] - before
    tracemalloc.stop()


@pytest.mark.usefixtures("only_reading")
def test_the_memory_does_not_grow_with_the_file(
    three: Path, large: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], peak: Any
) -> None:
    out = tmp_path / "out.csv"
    assert main(["predict", str(three), "--file", str(large), "--out", str(out)]) == 0
    assert main(["evaluate", str(three), str(large), "--json"]) == 0
    assert peak() < MOST < large.stat().st_size / 3
    count = large.read_text().count("\n")
    assert json.loads(capsys.readouterr().out)["texts"] == count - 1
    with open(out) as file:
        assert sum(1 for _ in file) == count


@pytest.fixture
def small_pieces(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(evaluate, "CHUNK", 7)
    monkeypatch.setattr(predict, "CHUNK", 7)
    monkeypatch.setattr(pieces, "LETTERS", 400)


def test_scores_are_the_same_in_pieces(
    three: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], request: Any
) -> None:
    data = write_csv(tmp_path / "a.csv", rows(90, seed=7))
    found = []
    for _ in range(2):
        capsys.readouterr()
        assert main(["evaluate", str(three), str(data), "--json"]) == 0
        assert main(["evaluate", str(three), str(data)]) == 0
        found.append(capsys.readouterr().out)
        request.getfixturevalue("small_pieces")
    assert found[0] == found[1]


@pytest.mark.usefixtures("small_pieces")
def test_what_is_wrong_far_into_a_file(three: Path, tmp_path: Path, fails: Any) -> None:
    texts, labels = rows(60)
    data, out = tmp_path / "a.csv", tmp_path / "out.csv"
    write_csv(data, (texts, [*labels[:30], "art", *labels[31:50], "art", "", *labels[52:]]))
    told = fails("evaluate", three, data)
    assert f"{data} line 53 has no label: it is" in told
    write_csv(data, (texts, [*labels[:30], "art", *labels[31:50], "art", *labels[51:]]))
    told = fails("evaluate", three, data)
    assert "labels that training did not have: 'art' (2); the classes are" in told
    data.write_text(write_csv(data, (texts, labels)).read_text() + "one field\n")
    for line in (["evaluate", three, data], ["predict", three, "--file", data, "--out", out]):
        assert f"{data} line 62 has 1 field, expected 2" in fails(*line)
    assert {path.name for path in tmp_path.iterdir()} == {"a.csv"}
