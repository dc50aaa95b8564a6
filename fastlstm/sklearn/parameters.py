"""The values that parameters of the estimators can have: each error names the parameter."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from typing import Any

import numpy as np

from fastlstm.models.model import LAYERS
from fastlstm.nn.check import (
    check_choice,
    check_dtype,
    check_flag,
    check_number,
    check_probability,
    check_size,
)
from fastlstm.nn.regression_losses import check_quantiles
from fastlstm.runtime import MAX_THREADS
from fastlstm.train.classifier.config import PARTS
from fastlstm.train.optim import OPTIMIZERS
from fastlstm.train.schedule import SCHEDULES

Check = Callable[[str, Any], object]


def whole(least: int, most: int | None = None) -> Check:
    """Return a check for whole numbers."""
    return lambda name, value: check_size(name, value, least, most)


def number(least: float, below: float = math.inf) -> Check:
    """Return a check for numbers from `least` on that are below a limit, or finite."""
    told = f"at least {least:g} and {'finite' if below == math.inf else f'below {below:g}'}"

    def check(name: str, value: Any) -> None:
        if not least <= check_number(name, value) < below:
            raise ValueError(f"{name} is {value}, expected {told}")

    return check


def finite(name: str, value: Any) -> None:
    """Raise unless it is a finite number."""
    if not math.isfinite(check_number(name, value)):
        raise ValueError(f"{name} is {value}, expected a finite number")


def one_of(*choices: str) -> Check:
    """Return a check for words."""
    return lambda name, value: check_choice(name, value, choices)


def optional(check: Check) -> Check:
    """Return a check that lets None pass, too."""
    return lambda name, value: None if value is None else check(name, value)


def loudness(name: str, value: Any) -> None:
    """Raise unless it is a whole number, or True or False as elsewhere in scikit-learn."""
    if not isinstance(value, (bool, np.bool_)):
        check_size(name, value, 0)


def limit(name: str, value: Any) -> None:
    """Raise unless it is a limit of a norm."""
    if not check_number(name, value) >= 0:
        raise ValueError(f"{name} is {value}, expected a positive number, or 0 for none")


def words(name: str, value: Any) -> None:
    """Raise TypeError unless it is a text, of which the model knows what it means."""
    if not isinstance(value, str):
        raise TypeError(f"{name} is {value!r:.60}, expected a str")


def levels(name: str, value: Any) -> None:
    """Raise unless these are quantiles."""
    check_quantiles(value)


def dtype(name: str, value: Any) -> None:
    """Raise unless it is the name of one of the two dtypes."""
    check_dtype(value)


def seed(name: str, value: Any) -> None:
    """Raise unless it is what scikit-learn takes for a source of random numbers."""
    if value is None or value is np.random or isinstance(value, np.random.RandomState):
        return
    if isinstance(value, bool) or not isinstance(value, (int, np.integer)):
        raise TypeError(f"{name} is {value!r:.60}, expected an int, a RandomState or None")
    check_size(name, value, 0, 2**32 - 1)


LOSSES = ("squared_error", "absolute_error", "huber", "quantile")
OF_NETS: dict[str, Check] = {
    "cell": one_of(*LAYERS), "hidden_size": whole(1), "num_layers": whole(1),
    "dropout": check_probability, "lr": number(0), "weight_decay": number(0), "clip": limit,
    "average": number(0, 1), "batch_size": whole(1), "patience": whole(0), "random_state": seed,
    "n_threads": optional(whole(1, MAX_THREADS)), "verbose": loudness,
}  # fmt: skip
OF_SEQUENCES: dict[str, Check] = {
    **OF_NETS, "bidirectional": check_flag, "pooling": words, "standardize": check_flag,
    "max_length": optional(whole(1)), "truncate": one_of("first", "ends"),
    "optimizer": one_of(*OPTIMIZERS), "schedule": one_of(*SCHEDULES), "epochs": whole(1),
    "validation_fraction": number(0, 1), "warm_start": check_flag, "dtype": dtype,
    "precision": words,
}  # fmt: skip
OF_CLASSIFIERS: dict[str, Check] = {
    **OF_SEQUENCES, "parts": one_of(*PARTS), "vocab_size": whole(3), "embedding_dim": whole(1),
    "pretrain": check_flag, "pretrain_epochs": whole(1), "pretrain_window": whole(1),
    "freeze_vectors": check_flag, "embedding_dropout": optional(check_probability),
    "word_dropout": number(0, 1),
}  # fmt: skip
OF_REGRESSORS: dict[str, Check] = {
    **OF_SEQUENCES, "loss": one_of(*LOSSES), "delta": number(0), "quantiles": optional(levels),
    "standardize_targets": check_flag,
}  # fmt: skip
OF_FORECASTERS: dict[str, Check] = {
    **OF_NETS, "horizon": whole(1), "quantiles": levels, "context": optional(whole(1)),
    "season": optional(whole(1)), "calendar": check_flag, "epochs": optional(whole(0)),
    "validation_fraction": number(math.ulp(0.0), 1), "low": optional(finite),
    "high": optional(finite),
}  # fmt: skip


def check_parameters(estimator: Any, checks: Mapping[str, Check]) -> None:
    """Raise TypeError or ValueError, which names it, for a parameter that has no such value."""
    for name, check in checks.items():
        check(name, getattr(estimator, name))
