"""Parameters that do nothing beside others, or for such an X."""

from __future__ import annotations

import inspect
import warnings
from collections.abc import Iterable
from typing import Any

from fastlstm.notices import IdleWarning
from fastlstm.train.classifier.idle_options import (
    NO_CUT,
    NO_NET,
    NO_PRETRAINING,
    Rule,
    idle_options,
)

OF_TEXTS = (NO_NET._replace(names={*NO_NET.names, "warm_start"}), NO_PRETRAINING, NO_CUT)
OF_NUMBERS = (
    Rule(("analyzer", "vocab_size", "embedding_dim", "embedding_dropout", "word_dropout",
          "pretrain_epochs", "pretrain_window"),
         lambda estimator: True, "X holds numbers, not words"),
    NO_CUT,
)  # fmt: skip
OF_REGRESSIONS = (
    Rule(("delta",), lambda estimator: estimator.loss != "huber", "only the loss huber has one"),
    Rule(("quantiles",), lambda estimator: estimator.loss != "quantile",
         "only the loss quantile has some"),
    NO_CUT,
)  # fmt: skip


def warn_of_idle(estimator: Any, rules: Iterable[Rule]) -> None:
    """Warn of the parameters that do nothing by the rules, as for an X of texts or of numbers.

    One that has its default was perhaps not given.
    """
    for idle in idle_options(estimator, _given(estimator), rules):
        warnings.warn(idle.told, IdleWarning, stacklevel=3)


def _given(estimator: Any) -> dict[str, Any]:
    """Return the parameters that have another value than by default."""
    usual = inspect.signature(type(estimator)).parameters
    params = estimator.get_params(deep=False).items()
    return {name: value for name, value in params if _differs(value, usual[name].default)}


def _differs(value: Any, usual: Any) -> bool:
    return value is not None if usual is None else value is not usual and value != usual
