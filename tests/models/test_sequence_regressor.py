"""SequenceRegressor: shapes, gradients against differences, valid outputs, training, errors."""

from __future__ import annotations

import re
from functools import partial
from typing import Any

import numpy as np
import pytest

import fastlstm as fl
from fastlstm.models import SequenceClassifier, SequenceRegressor
from fastlstm.train import Adam, Regression, Trainer

N, T, F = 6, 7, 3
LENGTHS = np.array([7, 0, 3, 1, 7, 5])
KINDS = {"point": (), "quantiles": (3,), "gaussian": (2,), "negative_binomial": (2,)}
kinds = pytest.mark.parametrize("kind", KINDS)


def inputs(dtype: str = "float64") -> Any:
    return np.random.default_rng(0).standard_normal((N, T, F)).astype(dtype)


def regressor(kind: str = "point", **options: Any) -> SequenceRegressor:
    options = {"hidden_size": 6, "dtype": "float64", **options}
    return SequenceRegressor(F, distribution=kind, rng=np.random.default_rng(1), **options)


def test_a_point_is_what_a_classifier_says() -> None:
    ours = regressor(num_targets=3, pooling="mean+max", bidirectional=True)
    other = SequenceClassifier(
        F, 6, pooling="mean+max", bidirectional=True, num_outputs=3, dtype="float64"
    )
    other.load_state_dict(ours.state_dict())
    np.testing.assert_array_equal(ours(inputs(), LENGTHS), other(inputs(), LENGTHS))


@kinds
@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize(
    ("options", "shape"),
    [
        ({}, ()),
        ({"num_targets": 2}, (2,)),
        ({"horizon": 4}, (4, 1)),
        ({"horizon": 4, "num_targets": 2, "cell": "gru"}, (4, 2)),
    ],
)
def test_shapes_of_forecasts(kind: str, dtype: str, options: Any, shape: Any) -> None:
    model = regressor(kind, dtype=dtype, **options)
    x = inputs(dtype)
    outputs, tape = model.forward(x, LENGTHS)
    assert outputs.shape == (N, *shape, *KINDS[kind])
    assert outputs.dtype == dtype
    np.testing.assert_array_equal(outputs, model(x, LENGTHS))
    assert model.point(outputs).shape == (N, *shape)
    loss, d = model.loss(outputs, np.ones((N, *shape)))
    assert loss > -20
    assert d.dtype == dtype
    dx = model.backward(tape, d)
    assert dx.shape == x.shape
    assert dx.dtype == dtype


@kinds
def test_gradients_of_a_regressor_against_differences(kind: str) -> None:
    model = regressor(kind, num_targets=2, horizon=3, num_layers=2)
    x, targets = inputs(), np.random.default_rng(2).poisson(3, (N, 3, 2))
    outputs, tape = model.forward(x, LENGTHS)
    dx = model.backward(tape, model.loss(outputs, targets)[1])
    along = np.random.default_rng(3).standard_normal(x.shape)
    high, low = (model.loss(model(x + s * along, LENGTHS), targets)[0] for s in (1e-6, -1e-6))
    # the last digit of a loss of 2 is 2e-10 of this quotient
    assert (high - low) / 2e-6 == pytest.approx(float(np.sum(dx * along)), rel=1e-6, abs=1e-9)
    for name, parameter in model.named_parameters():
        step = np.random.default_rng(4).standard_normal(parameter.data.shape) * 1e-6
        grad = float(np.sum(parameter.grad * step))
        kept, found = parameter.data.copy(), []
        for sign in (1, -1):
            parameter.data[...] = kept + sign * step
            found.append(model.loss(model(x, LENGTHS), targets)[0])
        parameter.data[...] = kept
        assert (found[0] - found[1]) / 2 == pytest.approx(grad, rel=1e-5, abs=1e-14), name


@kinds
@pytest.mark.parametrize("bias", [-1e4, -90.0, 0.0, 1e4])
def test_forecasts_are_valid_whatever_the_head_says(kind: str, bias: float) -> None:
    model = regressor(kind, dtype="float32", horizon=2)
    model.head.bias.data[...] = bias  # type: ignore[union-attr]
    outputs, tape = model.forward(inputs("float32"))
    if kind == "quantiles":
        assert (np.diff(outputs, axis=-1) >= 0).all()
    elif kind == "gaussian":
        assert (outputs[..., 1] > 0).all()
    elif kind == "negative_binomial":
        assert (outputs > 0).all()
    loss, d = model.loss(outputs, np.full((N, 2, 1), 3))
    assert np.isfinite(loss)
    assert np.isfinite(model.backward(tape, d)).all()


@kinds
def test_the_loss_of_a_regressor_is_enough_to_train_it(kind: str) -> None:
    rng = np.random.default_rng(5)
    x = rng.standard_normal((60, 5, 1)).astype("float32")
    targets = np.stack([np.round(np.abs(x[:, -1] * 3)), np.round(np.abs(x[:, -1]))], axis=1)
    model = SequenceRegressor(1, 8, horizon=2, distribution=kind, rng=0)
    trainer = Trainer(model, Adam(model, 0.03), model.loss, epochs=6)
    assert isinstance(trainer.task, Regression)
    history = trainer.fit(*trainer.task.source(model, (x, targets), (x, targets)))
    losses = [epoch.validation_loss or 0.0 for epoch in history.epochs]
    assert losses[-1] < losses[0]
    assert history.best == int(np.argmin(losses)) + 1
    kept = history.epochs[history.best - 1].validation_mae
    assert kept == pytest.approx(np.abs(model.point(model(x)) - targets).mean(), rel=1e-5)


def test_missing_targets_of_a_regressor() -> None:
    model = regressor(horizon=2)
    targets = np.ones((N, 2, 1))
    targets[1] = np.nan
    outputs = model(inputs())
    with pytest.raises(ValueError, match=r"targets\[1, 0, 0\] is nan"):
        model.loss(outputs, targets)
    loss, d = partial(model.loss, missing="skip")(outputs, targets)
    assert np.isfinite(loss)
    assert not d[1].any()


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"num_targets": 0}, "num_targets is 0, expected at least 1"),
        ({"horizon": -1}, "horizon is -1, expected at least 0"),
        ({"distribution": "normal"}, "distribution is 'normal', expected one of point, quantiles"),
        ({"distribution": "quantiles", "quantiles": [0.5, 0.1]}, "expected each above the one"),
        ({"pooling": "first"}, "pooling is 'first', expected one of"),
    ],
)
def test_wrong_options_of_a_regressor(options: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=re.escape(message)):
        SequenceRegressor(F, **options)


def test_a_gradient_of_another_shape() -> None:
    model = regressor("gaussian", horizon=2)
    _, tape = model.forward(inputs())
    with pytest.raises(
        ValueError, match=r"doutputs has shape \(6, 2, 1\), expected \(6, 2, 1, 2\)"
    ):
        model.backward(tape, np.ones((N, 2, 1)))


@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_draws_have_the_moments_of_their_distribution(dtype: str) -> None:
    mean, more = np.array([0.3, 8.0, 500.0], dtype), np.array([1.5, 0.2, 1e-6], dtype)
    outputs = np.stack([mean, more], axis=-1)
    for kind, variance in (("gaussian", more), ("negative_binomial", mean + more * mean**2)):
        model = SequenceRegressor(1, 2, num_targets=3, distribution=kind, dtype=dtype, rng=0)
        drawn = model.sample(outputs, 40_000, rng=1)
        assert drawn.shape == (40_000, 3)
        assert drawn.dtype == np.float64
        np.testing.assert_allclose(drawn.mean(axis=0), mean, atol=0.02 + 5e-3 * mean.max())
        np.testing.assert_allclose(drawn.var(axis=0), variance, rtol=0.06)
        np.testing.assert_array_equal(drawn, model.sample(outputs, 40_000, rng=1))


def test_draws_of_counts_are_counts_with_their_chances() -> None:
    model = SequenceRegressor(1, 2, distribution="negative_binomial", dtype="float64", rng=0)
    mean, dispersion = 1.7, 0.6
    drawn = model.sample(np.array([[mean, dispersion]]), 200_000, rng=3)[:, 0]
    assert (drawn >= 0).all()
    assert (drawn == np.floor(drawn)).all()
    for count in range(8):
        loss = fl.negative_binomial_nll_loss(np.array([mean]), [count], np.array([dispersion]))[0]
        assert (drawn == count).mean() == pytest.approx(np.exp(-loss), abs=4e-3)
    bands = np.quantile(model.sample(model(np.zeros((4, 5, 1))), 500, rng=0), [0.01, 0.9], axis=0)
    assert bands.shape == (2, 4)
    assert (bands >= 0).all()
    huge = model.sample(np.array([[1e30, 1e-6], [1e-6, 1e30]]), 50, rng=0)
    assert np.isfinite(huge).all()


@pytest.mark.parametrize("kind", ["gaussian", "negative_binomial"])
@pytest.mark.parametrize("outputs", [np.ones(()), np.ones((2, 3))])
def test_draws_of_outputs_that_are_none(kind: str, outputs: Any) -> None:
    with pytest.raises(ValueError, match=r"outputs has shape .*, expected \(\.\.\., 2\)"):
        SequenceRegressor(1, 2, distribution=kind, rng=0).sample(outputs, 5)


@pytest.mark.parametrize("kind", ["point", "quantiles"])
def test_what_has_no_distribution_draws_nothing(kind: str) -> None:
    model = SequenceRegressor(1, 2, distribution=kind, rng=0)
    outputs = model(np.zeros((1, 3, 1), "float32"))
    with pytest.raises(ValueError, match="distribution='gaussian' or 'negative_binomial' does"):
        model.sample(outputs, 5)
    with pytest.raises(ValueError, match="count is 0, expected at least 1"):
        model.sample(outputs, 0)


@pytest.mark.parametrize("kind", ["gaussian", "negative_binomial"])
def test_a_row_of_nan_draws_nan_and_leaves_the_others_alone(kind: str) -> None:
    model = SequenceRegressor(1, 2, distribution=kind, rng=0)
    x = np.zeros((3, 4, 1), "float32")
    x[1, 2] = np.nan
    drawn = model.sample(model(x), 20, rng=0)
    assert np.isnan(drawn[:, 1]).all()
    assert np.isfinite(drawn[:, [0, 2]]).all()


@pytest.mark.parametrize(
    ("kind", "outputs", "told"),
    [
        ("gaussian", [[-3.0, 1.0], [2.0, -1.0]], "outputs[1, 1] is -1.0"),
        ("negative_binomial", [[1.0, 0.0]], "outputs[0, 1] is 0.0"),
        ("negative_binomial", [[-1.0, 1.0]], "outputs[0, 0] is -1.0"),
    ],
)
def test_draws_of_numbers_that_no_call_returns(kind: str, outputs: Any, told: str) -> None:
    model = SequenceRegressor(1, 2, distribution=kind, rng=0)
    with pytest.raises(ValueError, match=re.escape(f"{told}, expected more than 0")):
        model.sample(np.array(outputs), 5)
