"""HorizonDecoder: shapes, gradients against differences, own outputs fed back, training, errors."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from fastlstm.models import HorizonDecoder
from fastlstm.train import Adam, CheckpointError, Regression, Trainer
from fastlstm.train.model_file import load_model, save_model

N, T, SIZE, S, F, C = 5, 6, 4, 3, 2, 2
LENGTHS = np.array([6, 1, 3, 6, 2])
KINDS = {"point": (), "quantiles": (3,), "gaussian": (2,), "negative_binomial": (2,)}
rng = np.random.default_rng(0)
X, FUTURE = rng.standard_normal((N, T, SIZE)), rng.standard_normal((N, S, F))
TARGETS = rng.poisson(3, (N, S, C)).astype(float)
fed_back = pytest.mark.parametrize("feedback", [False, True])


def decoder(feedback: bool = False, kind: str = "point", **options: Any) -> HorizonDecoder:
    given = {"num_targets": C, "future_size": F, "dtype": "float64", "rng": 1, **options}
    return HorizonDecoder(SIZE, S, 5, feedback=feedback, distribution=kind, **given)


@fed_back
@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("cell", ["lstm", "gru", "rnn"])
def test_shapes_ahead(feedback: bool, kind: str, dtype: str, cell: str) -> None:
    model = decoder(feedback, kind, dtype=dtype, cell=cell, num_layers=2)
    x, future = X.astype(dtype), FUTURE.astype(dtype)
    outputs, tape = model.forward(x, LENGTHS, future, TARGETS)
    said = model(x, LENGTHS, future)
    assert outputs.shape == said.shape == (N, S, C, *KINDS[kind])
    assert outputs.dtype == said.dtype == dtype
    np.testing.assert_allclose(said[:, 0], outputs[:, 0], atol=1e-6)
    if not feedback:
        np.testing.assert_array_equal(said, outputs)
    assert model.point(said).shape == (N, S, C)
    dx, dfuture = model.backward(tape, model.loss(outputs, TARGETS)[1])
    assert dx.shape == X.shape
    assert dx.dtype == dtype
    assert dfuture is not None
    assert dfuture.shape == FUTURE.shape
    assert not dx[np.arange(T) >= LENGTHS[:, None]].any()


@fed_back
@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("cell", ["lstm", "gru"])
def test_gradients_ahead_against_differences(feedback: bool, kind: str, cell: str) -> None:
    model = decoder(feedback, kind, num_layers=2, cell=cell)
    x, future = X.copy(), FUTURE.copy()

    def loss() -> float:
        return model.loss(model.forward(x, LENGTHS, future, TARGETS)[0], TARGETS)[0]

    outputs, tape = model.forward(x, LENGTHS, future, TARGETS)
    dx, dfuture = model.backward(tape, model.loss(outputs, TARGETS)[1])
    parts = [("x", x, dx), ("future", future, dfuture)]
    parts += [(name, p.data, p.grad) for name, p in model.named_parameters()]
    for name, array, d in parts:
        along, kept, found = rng.standard_normal(array.shape), array.copy(), []
        for step in (1e-6, -1e-6):
            array[...] = kept + step * along
            found.append(loss())
        array[...] = kept
        rise = (found[0] - found[1]) / 2e-6
        assert rise == pytest.approx(float(np.sum(d * along)), rel=1e-5, abs=1e-8), name


@pytest.mark.parametrize("kind", KINDS)
def test_what_was_said_is_what_comes_next(kind: str) -> None:
    """Told its own forecasts as if they were true, the model says them again."""
    model = decoder(True, kind)
    said = model(X, LENGTHS, FUTURE)
    outputs, _ = model.forward(X, LENGTHS, FUTURE, model.point(said))
    np.testing.assert_allclose(outputs, said, atol=1e-12)


@fed_back
def test_a_row_ahead_does_not_depend_on_its_neighbours(feedback: bool) -> None:
    model, x = decoder(feedback), X.copy()
    x[np.arange(T) >= LENGTHS[:, None]] = np.nan
    said = model(x, LENGTHS, FUTURE)
    for n, length in enumerate(LENGTHS):
        np.testing.assert_array_equal(model(x[[n], :length], None, FUTURE[[n]])[0], said[n])


def series(count: int = 260, seed: int = 0) -> Any:
    """Of the next three steps a part is known beforehand, a part goes on from the last."""
    own = np.random.default_rng(seed)
    known = own.choice([-1.0, 1.0], count + 20)
    y = np.zeros(count + 20)
    for t in range(1, len(y)):
        y[t] = 0.9 * y[t - 1] + known[t]
    at = np.arange(count)[:, None]
    x, future = y[at + np.arange(12)], known[at + np.arange(12, 15)]
    targets = y[at + np.arange(12, 15)]
    return [a[..., None].astype("float32") / 3 for a in (x, targets)], future[..., None]


@fed_back
def test_trained_by_the_one_task_of_regressions(feedback: bool) -> None:
    (x, targets), future = series()
    future = future.astype("float32")
    model = HorizonDecoder(1, 3, 12, future_size=1, feedback=feedback, rng=0)
    trainer = Trainer(model, Adam(model, 0.02), model.loss, epochs=12, clip=1.0)
    assert isinstance(trainer.task, Regression)
    rows = [(x[n], targets[n], None, future[n]) for n in (slice(200), slice(220, 260))]
    history = trainer.fit(*trainer.task.source(model, *rows))
    best = history.epochs[history.best - 1]
    blind = np.abs(targets[220:] - x[220:, -1:]).mean()
    assert best.validation_mae is not None
    assert best.validation_mae < 0.4 * blind
    said = model(x[220:], None, future[220:])
    assert best.validation_mae == pytest.approx(np.abs(said - targets[220:]).mean(), rel=1e-4)


def test_a_decoder_without_a_future_goes_on_by_itself() -> None:
    model = HorizonDecoder(2, 4, 5, rng=0)
    said = model(X[..., :2].astype("float32"))
    assert said.shape == (N, 4, 1)
    assert (np.diff(said, axis=1) != 0).all()
    assert not np.isnan(model(X[..., :2].astype("float32"), np.zeros(N, int))).any()


def test_dropout_ahead() -> None:
    model = decoder(dropout=0.5)
    one, _ = model.forward(X, LENGTHS, FUTURE, rng=3)
    np.testing.assert_array_equal(one, model.forward(X, LENGTHS, FUTURE, rng=3)[0])
    assert (one != model(X, LENGTHS, FUTURE)).any()


@fed_back
def test_a_horizon_decoder_comes_back_from_its_file(feedback: bool, tmp_path: Path) -> None:
    model = decoder(feedback, "quantiles", quantiles=[0.2, 0.8])
    save_model(tmp_path / "model.safetensors", model)
    again = load_model(tmp_path / "model.safetensors", HorizonDecoder)
    assert again.options == model.options
    np.testing.assert_array_equal(again(X, LENGTHS, FUTURE), model(X, LENGTHS, FUTURE))


@pytest.mark.parametrize(
    ("wrong", "message"),
    [
        ({"input_size": 10**9}, "input_size is 1000000000, but its tensors are of 4"),
        ({"hidden_size": 10**9}, "hidden_size is 1000000000, but its tensors are of 5"),
        ({"num_layers": 10**9}, "num_layers is 1000000000, but its tensors are of 1"),
        ({"num_targets": 10**9}, "numbers said is 1000000000, but its tensors are of 2"),
        ({"future_size": 10**9}, "numbers read is 1000000001, but its tensors are of 3"),
        ({"feedback": True}, "numbers read is 5, but its tensors are of 3"),
        ({"distribution": "gaussian"}, "numbers said is 4, but its tensors are of 2"),
    ],
)
def test_hostile_files_of_decoders(wrong: Any, message: str, tmp_path: Path) -> None:
    model = decoder()
    model.options.update(wrong)
    save_model(tmp_path / "model.safetensors", model)
    with pytest.raises(CheckpointError, match=re.escape(message)):
        load_model(tmp_path / "model.safetensors")


@pytest.mark.parametrize("side", ["encoder", "decoder"])
@pytest.mark.parametrize("part", ["ih", "hh"])
def test_a_thin_matrix_of_a_decoder_stands_for_no_large_one(
    side: str, part: str, tmp_path: Path
) -> None:
    model, thin = decoder(), f"{side}.weight_{part}_l0"
    weights = {k: v[:1] if k == thin else v for k, v in model.state_dict().items()}
    save_model(tmp_path / "model.safetensors", model, weights)
    message = f"rows of {thin} is 20, but its tensors are of 1"
    with pytest.raises(CheckpointError, match=re.escape(message)):
        load_model(tmp_path / "model.safetensors")


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"horizon": 0}, "horizon is 0, expected at least 1"),
        ({"future_size": -1}, "future_size is -1, expected at least 0"),
        ({"feedback": True, "num_targets": 2}, "input_size is 1, expected the 2 targets at least"),
        ({"distribution": "normal"}, "distribution is 'normal', expected one of point"),
        ({"cell": "tcn"}, "cell is 'tcn', expected one of lstm, gru, rnn"),
        ({"dropout": -1}, "dropout is -1, expected 0 to 1"),
    ],
)
def test_wrong_options_of_a_decoder(options: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=re.escape(message)):
        HorizonDecoder(1, **{"horizon": 2, **options})


def test_wrong_calls_of_a_decoder() -> None:
    model = decoder(True)
    for arguments, message in (
        ((X, LENGTHS), "future is None, but future_size is 2"),
        ((X, LENGTHS, FUTURE[:, :2]), "future has shape (5, 2, 2), expected (5, 3, 2)"),
        ((X[..., :3], LENGTHS, FUTURE), "x has shape (5, 6, 3), expected (any, any, 4)"),
        ((X, LENGTHS - 1, FUTURE), "lengths[1] is 0, expected a step for feedback"),
        ((X, LENGTHS + 1, FUTURE), "lengths[0] is 7, expected 0 to 6"),
    ):
        with pytest.raises(ValueError, match=re.escape(message)):
            model(*arguments)
    for targets, message in (
        (None, "targets is None, expected those that feedback reads"),
        (TARGETS[:, :2], "targets has shape (5, 2, 2), expected (5, 3, 2)"),
        (np.where(TARGETS < 3, np.nan, TARGETS), "is nan, which is missing"),
    ):
        with pytest.raises(ValueError, match=re.escape(message)):
            model.forward(X, LENGTHS, FUTURE, targets)
    _, tape = model.forward(X, LENGTHS, FUTURE, TARGETS)
    with pytest.raises(
        ValueError, match=re.escape("doutputs has shape (5, 3), expected (5, 3, 2)")
    ):
        model.backward(tape, np.zeros((N, S)))
    with pytest.raises(ValueError, match="future is given, but future_size is 0"):
        HorizonDecoder(SIZE, S, 5, dtype="float64")(X, None, FUTURE)


def test_a_decoder_draws_by_its_likelihood() -> None:
    model = HorizonDecoder(2, 3, 4, distribution="negative_binomial", num_targets=2, rng=0)
    outputs = model(np.zeros((5, 4, 2), "float32"))
    drawn = model.sample(outputs, 2000, rng=0)
    assert drawn.shape == (2000, *model.point(outputs).shape)
    np.testing.assert_allclose(drawn.mean(axis=0), model.point(outputs), rtol=0.25)
    assert (drawn == np.floor(drawn)).all()
