"""The confusion matrix: its counts, its recalls, its picture."""

from __future__ import annotations

import builtins
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from fastlstm.train.scoring.confusion import confusion_matrix, draw_confusion, recalls

LABELS, PREDICTED = [0, 0, 1, 2, 2, 2], [0, 1, 1, 0, 2, 2]


def test_counts_true_classes_down_and_predicted_ones_across() -> None:
    counts = confusion_matrix(LABELS, PREDICTED, 4)
    assert counts.tolist() == [[1, 1, 0, 0], [0, 1, 0, 0], [1, 0, 2, 0], [0, 0, 0, 0]]
    np.testing.assert_array_equal(recalls(counts), [1 / 2, 1, 2 / 3, np.nan])


def test_is_scikit_learns() -> None:
    metrics = pytest.importorskip("sklearn.metrics")
    rng = np.random.default_rng(0)
    labels, predicted = rng.integers(0, 5, (2, 200))
    counts = confusion_matrix(labels, predicted, 5)
    np.testing.assert_array_equal(counts, metrics.confusion_matrix(labels, predicted))
    expected = metrics.balanced_accuracy_score(labels, predicted)
    assert recalls(counts).mean() == pytest.approx(expected, rel=1e-12)


def test_draws_each_share_where_it_belongs(tmp_path: Path) -> None:
    pytest.importorskip("matplotlib")
    path = tmp_path / "confusion.png"
    draw_confusion(path, confusion_matrix(LABELS, PREDICTED, 3), ["a", "b", "c"], "a title")
    first = path.read_bytes()
    assert first.startswith(b"\x89PNG")
    draw_confusion(path, confusion_matrix(PREDICTED, LABELS, 3), ["a", "b", "c"], "a title")
    assert path.read_bytes() != first
    assert [file.name for file in tmp_path.iterdir()] == ["confusion.png"]


def test_without_matplotlib_the_extra_is_named(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    real = builtins.__import__

    def without(name: str, *args: Any) -> Any:
        if name.startswith("matplotlib"):
            raise ImportError(name)
        return real(name, *args)

    monkeypatch.setattr(builtins, "__import__", without)
    with pytest.raises(ImportError, match=r"pip install 'fastlstm\[plot\]'"):
        draw_confusion(tmp_path / "x.png", confusion_matrix(LABELS, PREDICTED, 3), "abc", "")
