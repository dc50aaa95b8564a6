"""Sums over batches."""

from __future__ import annotations

import numpy as np
import pytest

from fastlstm.train import Running, count_correct


def test_means_weigh_batches_by_size() -> None:
    running = Running()
    running.add(loss=1.0, correct=1, examples=1, words=10)
    running.add(loss=0.5, correct=2, examples=3, words=20)
    running.seconds = 2.0
    assert running.loss == pytest.approx(2.5 / 4)
    assert running.accuracy == 0.75
    assert running.words_per_second == 15.0


def test_nothing_seen_yet() -> None:
    assert (Running().loss, Running().accuracy, Running().words_per_second) == (0.0, 0.0, 0.0)


def test_count_correct() -> None:
    assert count_correct(np.array([2.0, -1.0, 0.0, 3.0]), np.array([1, 0, 0, 0])) == 3
    logits = np.array([[0.1, 0.2, 0.0], [3.0, 1.0, 2.0]])
    assert count_correct(logits, np.array([1, 2])) == 1
