"""Training of the regressor: its loss, its net, and what an earlier `fit` has learned."""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial
from typing import Any

from fastlstm.models import SequenceRegressor
from fastlstm.models.distributions import of_name
from fastlstm.nn.regression_losses import huber_loss, l1_loss, mse_loss
from fastlstm.sklearn.data import Data
from fastlstm.sklearn.earlier import TOLD, check_architecture
from fastlstm.sklearn.readers import NumberReader
from fastlstm.sklearn.scale import TargetScale
from fastlstm.sklearn.training import MODEL_OPTIONS, held_back, train_net
from fastlstm.sklearn.weights import Floats
from fastlstm.train.history import History
from fastlstm.train.seeds import WEIGHTS, generator
from fastlstm.train.tasks.regression import Regression

QUANTILES = (0.1, 0.5, 0.9)


@dataclass
class EarlierRegression:
    """The result of an earlier fit, to go on from."""

    model: SequenceRegressor
    reader: NumberReader
    scale: TargetScale
    size = 0  # of a word vector: there are no words

    def check(self, estimator: Any, targets: Floats) -> None:
        """Raise ValueError if the parameters or the targets do not fit the weights."""
        check_architecture(estimator, self.model)
        there = () if self.scale.flat else (len(self.scale.mean),)
        if targets.shape[1:] != there:
            had = ", ".join(["N", *map(str, there)])
            raise ValueError(f"y has shape {targets.shape}, but {TOLD}, which had ({had})")

    def put_into(self, model: SequenceRegressor) -> None:
        """Make the weights a new model's first ones; ValueError if it forecasts something else."""
        for name in ("distribution", "quantiles"):
            asked, there = model.options[name], self.model.options[name]
            if asked != there:
                raise ValueError(
                    f"{name} of the loss would be {asked!r}, but {TOLD}, which has {there!r}"
                )
        model.load_state_dict(self.model.state_dict())


def train_regressor(
    estimator: Any, reader: NumberReader, scale: TargetScale, data: Data, seed: int,
    first: EarlierRegression | None,
) -> tuple[SequenceRegressor, History]:  # fmt: skip
    """Return the trained model of a regressor and its history; `data` has scaled targets."""
    make = partial(_build, estimator, reader.size, len(scale.mean), seed)
    task = _task(estimator)
    return train_net(estimator, make, task, held_back(estimator, data, seed), seed, first)


def _build(estimator: Any, input_size: int, num_targets: int, seed: int) -> SequenceRegressor:
    """Return the untrained model of an estimator."""
    options = {name: getattr(estimator, name) for name in MODEL_OPTIONS}
    if estimator.loss == "quantile":
        options |= {"distribution": "quantiles", "quantiles": _quantiles(estimator)}
    rng = generator(seed, WEIGHTS)
    model = SequenceRegressor(input_size, num_targets=num_targets, rng=rng, **options)
    model.set_precision(estimator.precision)
    return model


def _task(estimator: Any) -> Regression:
    loss = estimator.loss
    if loss == "quantile":
        kind = of_name("quantiles", _quantiles(estimator))
        return Regression(kind.loss, kind.point)
    if loss == "huber":
        return Regression(partial(huber_loss, delta=estimator.delta))
    return Regression(mse_loss if loss == "squared_error" else l1_loss)


def _quantiles(estimator: Any) -> Any:
    return QUANTILES if estimator.quantiles is None else estimator.quantiles
