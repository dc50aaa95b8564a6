"""LSTMClassifier and LSTMRegressor pass scikit-learn's own checks of an estimator.

One cannot pass where training is in batches and with dropout: that weights are copies, to the last
digits. As scikit-learn's own nets it is expected to fail there, and passes with one batch of all.
"""

from __future__ import annotations

from functools import partial
from typing import Any

import pytest

pytest.importorskip("sklearn", minversion="1.6")

from estimator_data import SMALL
from sklearn.utils.estimator_checks import estimator_checks_generator

from fastlstm.sklearn import LSTMClassifier, LSTMRegressor

OF_NUMBERS: dict[str, Any] = {"hidden_size": 8, "lr": 0.03}
ESTIMATORS = {
    "quick": LSTMClassifier(**{**SMALL, "random_state": None}, batch_size=16, epochs=20),
    "default": LSTMClassifier(),
    "whole": LSTMClassifier(
        **{**SMALL, "random_state": None}, batch_size=1000, epochs=40, dtype="float64"
    ),
    "quick regressor": LSTMRegressor(**OF_NUMBERS, batch_size=16, epochs=20),
    "default regressor": LSTMRegressor(),
    "whole regressor": LSTMRegressor(**OF_NUMBERS, batch_size=1000, epochs=40, dtype="float64"),
}
COPIES = "check_sample_weight_equivalence_on_dense_data"
ONLY = {
    "whole": COPIES, "whole regressor": COPIES, "default regressor": "check_regressors_train",
}  # fmt: skip
MANY_BATCHES = ("quick", "default", "quick regressor")
IN_BATCHES = pytest.mark.xfail(strict=True, reason="copies of a row fall into several batches")
# Not `parametrize_with_checks`: pytest warns of the generator that early versions hand it.
CHECKS = [
    pytest.param(
        estimator,
        check,
        id=f"{name}-{number}-{check.func.__name__}",
        marks=[
            *([IN_BATCHES] if check.func.__name__ == COPIES and name in MANY_BATCHES else []),
            *([pytest.mark.slow] if name == "default regressor" else []),
        ],
    )
    for name, one in ESTIMATORS.items()
    for number, (estimator, check) in enumerate(estimator_checks_generator(one))
    if check.func.__name__ == ONLY.get(name, check.func.__name__)
]


def test_there_are_checks() -> None:
    assert len(CHECKS) > 130
    assert all(isinstance(check.values[1], partial) for check in CHECKS)


@pytest.mark.parametrize(("estimator", "check"), CHECKS)
def test_scikit_learns_own_checks(estimator: Any, check: Any) -> None:
    check(estimator)
