"""Texts that process 0 deals out are classified as one process does it."""

from __future__ import annotations

import sys
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from launched import HERE
from threads import together

from fastlstm.distributed import Processes, ProcessesDiffer
from fastlstm.train.classifier import classify, texts
from fastlstm.train.classifier.dealing import Dealer, FirstFailed, Said, deal, first_alone
from fastlstm.train.classifier.loaded_run import LoadedRun, load_run
from fastlstm.train.classifier.run_folder import RunFolder
from fastlstm.train.classifier.text_config import TextConfig

sys.path.append(str(HERE.parent / "cli"))
from topics import rows, write_csv

PIECES = [
    [*rows(23, seed=3)[0], "", "sport1 " * 200, "half \ud800 a character"],
    ["one text"],  # for three processes
    rows(4, seed=5)[0],
    rows(60)[0][:6],  # of those the run learned from
]


@pytest.fixture(scope="module")
def trained(tmp_path_factory: pytest.TempPathFactory) -> LoadedRun:
    """A run with a net and a linear part."""
    folder = tmp_path_factory.mktemp("run")
    data = write_csv(folder / "topics.csv", rows(60))
    config = TextConfig(str(data), hidden_size=8, embedding_dim=8, epochs=1, max_length=30)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("fastlstm.train.classifier.classify.draw_curves", lambda *_: False)
        classify.run(texts.load, config, RunFolder(folder / "run"))
    return load_run(folder / "run")


def said_by(size: int, trained: LoadedRun) -> list[Said]:
    """Return what so many processes make of the pieces."""
    found: list[Said] = []

    def work(dealer: Dealer) -> None:
        found.extend(map(dealer.classify, PIECES))

    together(size, lambda p: deal(trained, p, work, trained.read_hashes()))
    return found


def test_any_number_of_processes_says_the_same(trained: LoadedRun) -> None:
    expected = said_by(1, trained)
    assert all(len(a.known) == len(piece) for a, piece in zip(expected, PIECES, strict=True))
    assert all(said.comparable.all() for said in expected)
    assert expected[0].learned.sum() == 0 < expected[3].learned.sum()
    assert expected[0].known[:3].all()
    np.testing.assert_array_equal(
        expected[0].log_probabilities, trained.log_probabilities(trained.encode(PIECES[0]))
    )
    for size in (2, 3):
        for a, b in zip(said_by(size, trained), expected, strict=True):
            for name, ours, theirs in zip(Said._fields, a, b, strict=True):
                np.testing.assert_array_equal(ours, theirs, err_msg=name)


def outcomes(size: int, work: Any) -> list[str]:
    """Return the error that each of so many processes ends with."""

    def one(processes: Processes) -> str:
        try:
            work(processes)
        except Exception as error:
            return f"{type(error).__name__}: {error}"
        return ""

    return together(size, one)


def test_the_others_end_where_process_0_fails(trained: LoadedRun) -> None:
    def work(dealer: Dealer) -> None:
        dealer.classify(["one text"])
        raise ValueError("line 7 is damaged")

    failed = f"{FirstFailed.__name__}: process 0 has failed"
    told = outcomes(3, lambda p: deal(trained, p, work))
    assert told == ["ValueError: line 7 is damaged", failed, failed]

    def check() -> None:
        raise OSError("there is no folder")

    told = outcomes(2, lambda p: first_alone(p, check))
    assert told == ["OSError: there is no folder", failed]
    assert together(2, lambda p: first_alone(p, lambda: p.rank + 5)) == [5, None]


def test_processes_with_another_run_do_not_begin(trained: LoadedRun) -> None:
    other = replace(trained, labels=["a", "b", "c"])
    told = outcomes(2, lambda p: deal(other if p.rank else trained, p, lambda dealer: None))
    assert all(one.startswith(ProcessesDiffer.__name__) for one in told)
    assert "the model of the run is" in told[0]
