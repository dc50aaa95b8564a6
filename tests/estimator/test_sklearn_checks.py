"""LSTMClassifier passes scikit-learn's own checks of an estimator; none is expected to fail."""

from __future__ import annotations

from typing import Any

import pytest

pytest.importorskip("sklearn", minversion="1.6")

from estimator_data import SMALL
from sklearn.utils.estimator_checks import parametrize_with_checks

from fastlstm.sklearn import LSTMClassifier

QUICK = LSTMClassifier(**{**SMALL, "random_state": None}, batch_size=16, epochs=20)


@pytest.mark.filterwarnings("ignore::sklearn.exceptions.SkipTestWarning")
@parametrize_with_checks([QUICK, LSTMClassifier()])
def test_scikit_learns_own_checks(estimator: Any, check: Any) -> None:
    check(estimator)
