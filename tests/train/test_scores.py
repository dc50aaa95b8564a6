"""Accuracy, F1, confusion matrix and calibration."""

from __future__ import annotations

import numpy as np
import pytest

from fastlstm.printable import columns
from fastlstm.train.scoring.scores import Bin, Calibration, calibrate, score
from fastlstm.train.scoring.text import score_text

TRUE = np.array([0, 0, 0, 1, 1, 2])
SAID = np.array([0, 0, 1, 1, 0, 0])


def certain(classes: np.ndarray, confidence: float = 0.9, count: int = 3) -> np.ndarray:
    """Log-probabilities of so many classes with `confidence` in the one said."""
    rest = (1 - confidence) / (count - 1)
    p = np.full((len(classes), count), rest)
    p[np.arange(len(classes)), classes] = confidence
    return np.log(p)


def test_by_hand() -> None:
    found = score(certain(SAID), TRUE)
    assert found.accuracy == 0.5
    assert found.confusion == ((2, 1, 0), (1, 1, 0), (1, 0, 0))
    assert found.support == (3, 2, 1)
    assert found.precision == (2 / 4, 1 / 2, None)
    assert found.recall == (2 / 3, 1 / 2, 0.0)
    assert found.f1 == (4 / 7, 1 / 2, 0.0)
    assert found.macro_f1 == pytest.approx((4 / 7 + 1 / 2 + 0) / 3)
    assert found.loss == pytest.approx(-(3 * np.log(0.9) + 3 * np.log(0.05)) / 6)


def test_a_class_that_does_not_occur_is_left_out_of_the_mean() -> None:
    found = score(certain(np.array([0, 1, 1]), count=4), np.array([0, 1, 0]))
    assert found.f1[2:] == (None, None)
    assert found.macro_f1 == pytest.approx((2 / 3 + 2 / 3) / 2)


@pytest.mark.parametrize("classes", [2, 5])
def test_against_scikit_learn(classes: int) -> None:
    metrics = pytest.importorskip("sklearn.metrics")
    rng = np.random.default_rng(classes)
    p = rng.dirichlet(np.ones(classes), 200)
    truth = np.where(rng.random(200) < 0.5, p.argmax(axis=1), rng.integers(0, classes, 200))
    found, said = score(np.log(p), truth), p.argmax(axis=1)
    assert found.accuracy == pytest.approx(metrics.accuracy_score(truth, said))
    assert found.loss == pytest.approx(metrics.log_loss(truth, p))
    assert found.macro_f1 == pytest.approx(metrics.f1_score(truth, said, average="macro"))
    assert found.confusion == tuple(map(tuple, metrics.confusion_matrix(truth, said).tolist()))
    table = metrics.precision_recall_fscore_support(truth, said)
    own = (found.precision, found.recall, found.f1, found.support)
    for expected, values in zip(table, own, strict=True):
        np.testing.assert_allclose(values, expected)


def test_calibration_by_hand() -> None:
    confidence = np.array([0.55, 0.6, 0.75, 0.8, 0.95])
    right = np.array([True, False, True, True, False])
    found = calibrate(confidence, right, bins=5)
    # bins (0.4, 0.6], (0.6, 0.8], (0.8, 1]
    assert [b.count for b in found.bins] == [0, 0, 2, 2, 1]
    expected = 2 / 5 * abs(0.5 - 0.575) + 2 / 5 * abs(1 - 0.775) + 1 / 5 * abs(0 - 0.95)
    assert found.error == pytest.approx(expected)
    assert found.bins[0] == Bin(0.0, pytest.approx(0.2), 0, None, None)
    assert found.bins[2].confidence == pytest.approx(0.575)
    assert found.bins[2].accuracy == 0.5


def test_a_confidence_on_an_edge_is_in_the_lower_bin() -> None:
    edges = np.linspace(0, 1, 16)
    found = calibrate(edges[1:], np.ones(15, bool))
    assert [b.count for b in found.bins] == [1] * 15


def test_certain_and_right_is_calibrated() -> None:
    assert calibrate(np.ones(4), np.ones(4, bool)).error == 0
    assert calibrate(np.ones(4), np.zeros(4, bool)).error == 1
    with pytest.raises(ValueError, match="bins is 0"):
        calibrate(np.ones(4), np.ones(4, bool), 0)


def test_probabilities_that_say_what_happens_are_calibrated() -> None:
    rng = np.random.default_rng(0)
    confidence = rng.uniform(0.5, 1, 100_000)
    right = rng.random(100_000) < confidence
    assert calibrate(confidence, right).error < 0.01
    assert calibrate(confidence, right[::-1]).error > 0.05


def test_as_json_and_as_text() -> None:
    found = score(certain(SAID), TRUE, bins=10)
    value = found.to_json(["a", "b", "c"])
    assert value["classes"]["b"] == {"precision": 0.5, "recall": 0.5, "f1": 0.5, "texts": 2}
    assert value["confusion"] == [[2, 1, 0], [1, 1, 0], [1, 0, 0]]
    assert isinstance(found.calibration, Calibration)
    assert [b["count"] for b in value["calibration_bins"]].count(6) == 1
    lines = [line.split() for line in score_text(found, ["a", "b", "c"]).splitlines()]
    assert ["accuracy", "50.00%", "of", "6", "texts"] in lines
    assert ["c", "-", "0.0000", "0.0000", "1"] in lines
    assert ["a", "2", "1", "0"] in lines
    assert ["0.800", "to", "0.900", "6", "0.9000", "0.5000"] in lines


def test_long_and_wide_names_keep_the_columns() -> None:
    """A CJK letter takes two columns, and a name of 300 letters does not wreck the table."""
    text = score_text(score(certain(SAID), TRUE), ["\u6620\u753b", "x" * 300, "c"])
    assert "x" * 38 + ".." in text
    assert "x" * 39 not in text
    rows = [line for line in text.splitlines() if line.startswith(("\u6620", "xx"))]
    ends = {columns(row) for row in rows[:2]}
    assert len(rows) == 4
    assert len(ends) == 1
