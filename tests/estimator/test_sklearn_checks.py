"""LSTMClassifier passes scikit-learn's own checks of an estimator; none is expected to fail."""

from __future__ import annotations

from functools import partial
from typing import Any

import pytest

pytest.importorskip("sklearn", minversion="1.6")

from estimator_data import SMALL
from sklearn.utils.estimator_checks import estimator_checks_generator

from fastlstm.sklearn import LSTMClassifier

ESTIMATORS = {
    "quick": LSTMClassifier(**{**SMALL, "random_state": None}, batch_size=16, epochs=20),
    "default": LSTMClassifier(),
}
# Not `parametrize_with_checks`: pytest warns of the generator that early versions hand it.
CHECKS = [
    pytest.param(*pair, id=f"{name}-{number}-{getattr(pair[1], 'func', pair[1]).__name__}")
    for name, estimator in ESTIMATORS.items()
    for number, pair in enumerate(estimator_checks_generator(estimator))
]


def test_there_are_checks() -> None:
    assert len(CHECKS) > 80
    assert all(isinstance(check.values[1], partial) for check in CHECKS)


@pytest.mark.parametrize(("estimator", "check"), CHECKS)
def test_scikit_learns_own_checks(estimator: Any, check: Any) -> None:
    check(estimator)
