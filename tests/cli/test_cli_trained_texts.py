"""`evaluate` on texts that the run was trained on says so."""

from __future__ import annotations

import csv
import json
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from topics import rows, train, write_csv

from fastlstm.cli import main
from fastlstm.text import Encoded
from fastlstm.train import CheckpointError
from fastlstm.train.classifier.loaded_run import load_run
from fastlstm.train.classifier.trained_texts import (
    TextHashes,
    hashes_of,
    read_hashes,
    write_hashes,
)

pytestmark = pytest.mark.usefixtures("no_picture", "no_debug", "threads")


@pytest.fixture
def known(capsys: pytest.CaptureFixture[str]) -> Any:
    """Run evaluate; return how many texts it says were trained on, and the warning."""

    def run(*line: object) -> tuple[int, str]:
        capsys.readouterr()
        assert main(["evaluate", *map(str, line), "--json"]) == 0
        out, err = capsys.readouterr()
        return json.loads(out)["trained_on"], err

    return run


def test_all_some_and_none_of_the_texts(three: Path, topics_csv: Path, tmp_path: Path, known: Any):
    number, told = known(three, topics_csv)
    assert number == 81  # of 90, 9 were held back to test on
    assert "the run learned from 81 of these 90 texts" in told
    texts, labels = rows(40, seed=7)
    assert known(three, write_csv(tmp_path / "new.csv", (texts, labels))) == (0, "")
    with open(topics_csv, newline="", encoding="utf-8") as file:
        old = list(csv.DictReader(file))
    mixed = texts + [row["text"] for row in old], labels + [row["label"] for row in old]
    number, told = known(three, write_csv(tmp_path / "mixed.csv", mixed))
    assert number == 81
    assert "81 of these 130 texts" in told


def test_the_test_part_of_the_run_was_not_trained_on(tmp_path: Path, known: Any) -> None:
    data = write_csv(tmp_path / "a.csv", rows(60))
    test = write_csv(tmp_path / "test.csv", rows(30, seed=9))
    train(data, tmp_path / "run", test=test)
    assert known(tmp_path / "run", test) == (0, "")
    assert known(tmp_path / "run", data)[0] == 60


def test_a_table_without_json_has_the_warning_too(
    three: Path, topics_csv: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["evaluate", str(three), str(topics_csv)]) == 0
    out, err = capsys.readouterr()
    assert "do not tell how good it is on new ones" in err
    assert "warning" not in out


def test_a_run_of_a_version_that_kept_no_list(three: Path, tmp_path: Path, topics_csv: Path, known):
    old = shutil.copytree(three, tmp_path / "old")
    (old / "trained_texts.safetensors").unlink()
    assert known(old, topics_csv) == (0, "")


def test_a_damaged_list_is_told(three: Path, tmp_path: Path, topics_csv: Path, fails: Any) -> None:
    run = shutil.copytree(three, tmp_path / "run")
    path = run / "trained_texts.safetensors"
    path.write_bytes(path.read_bytes()[:-5])
    assert f"{path} is damaged" in fails("evaluate", run, topics_csv)


def encoded(texts: list[list[int]]) -> Encoded:
    flat = np.array([token for text in texts for token in text], np.int32)
    return Encoded.from_lengths(flat, [len(text) for text in texts], [0] * len(texts))


def dataset(train: Encoded, validation: Encoded | None = None) -> Any:
    return type("Data", (), {"train": train, "validation": validation})


def test_order_and_place_of_words_count() -> None:
    data = dataset(encoded([[2, 3, 4], []]), encoded([[5, 6]]))
    hashes = hashes_of(data)
    assert hashes.count(encoded([[2, 3, 4], [5, 6], []])) == 3
    assert hashes.count(encoded([[4, 3, 2], [2, 3], [3, 4], [5], [6, 5], [2, 3, 4, 5]])) == 0
    assert hashes.count(encoded([])) == 0
    assert hashes_of(dataset(encoded([[5, 6], [], [2, 3, 4], [2, 3, 4]]))) == hashes


def test_of_very_many_texts_a_part_is_kept_that_tells_the_share(tmp_path: Path) -> None:
    many = encoded([[n, n + 1] for n in range(4000)])
    hashes = hashes_of(dataset(many), most=1000)
    assert len(hashes.values) == 1000
    assert hashes.count(many) == 4000
    others = encoded([[n, n + 2] for n in range(4000)])
    assert hashes.count(others) == 0
    half = Encoded.concatenate([many.select(np.arange(0, 4000, 2)), others])
    assert 1800 < hashes.count(half) < 2200
    write_hashes(tmp_path / "kept", hashes)
    assert read_hashes(tmp_path / "kept") == hashes
    assert read_hashes(tmp_path / "none") is None


@pytest.mark.parametrize("limit", [0, -1, 1 << 65, True, None, "1", 1.5])
def test_a_limit_that_cannot_be_is_told(tmp_path: Path, limit: Any) -> None:
    path = tmp_path / "kept"
    write_hashes(path, TextHashes(np.arange(3, dtype=np.uint64), limit))
    with pytest.raises(CheckpointError, match="its limit is"):
        read_hashes(path)


def test_from_python(three: Path) -> None:
    run = load_run(three)
    texts, _ = rows(90)
    assert run.trained_on(run.encode(texts)) == 81
