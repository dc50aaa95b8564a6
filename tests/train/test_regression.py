"""Training of regressions: the best epoch, the errors that are shown, resuming, batches, errors."""

from __future__ import annotations

import re
from functools import partial
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pytest

import fastlstm as fl
from fastlstm.models import SequenceRegressor
from fastlstm.train import SGD, Adam, Regression, Trainer, evaluate
from fastlstm.train.curves import draw_curves
from fastlstm.train.history import Epoch
from fastlstm.train.progress import Progress
from fastlstm.train.row_batches import Rows, row_batches


class Many(fl.Module):
    """Seven numbers of the last step, [N, outputs]; one is [N]."""

    def __init__(self, outputs: int = 7) -> None:
        rng = np.random.default_rng(0)
        self.outputs = outputs
        self.lstm = fl.LSTM(2, 4, batch_first=True, rng=rng)
        self.head = fl.Linear(4, outputs, rng=rng)

    def __call__(self, x: Any) -> Any:
        return self._shaped(self.head(self.lstm(x)[0][:, -1]))

    def forward(self, x: Any, rng: Any) -> Any:
        y, _, tape = self.lstm.forward(x)
        out, head = self.head.forward(y[:, -1])
        return self._shaped(out), (y.shape, tape, head)

    def backward(self, tape: Any, dout: Any) -> None:
        shape, layer, head = tape
        dy = np.zeros(shape, dout.dtype)
        dy[:, -1] = self.head.backward(head, dout.reshape(len(dout), -1))
        self.lstm.backward(layer, dy)

    def _shaped(self, out: Any) -> Any:
        return out[:, 0] if self.outputs == 1 else out


rng = np.random.default_rng(0)
X = rng.standard_normal((50, 6, 2)).astype("float32")
Y = np.cumsum(X[:, -1, :1] + np.zeros((1, 7), "float32"), axis=1)
TRAIN, HELD_BACK = (X[:40], Y[:40]), (X[40:], Y[40:])


def fitted(loss: Any, outputs: int = 7, epochs: int = 4, **options: Any) -> Trainer:
    model = Many(outputs)
    trainer = Trainer(model, Adam(model, 0.05), loss, epochs=epochs, **options)
    source = Regression(batch_size=16).source(model, TRAIN, HELD_BACK)
    if outputs == 1:
        first = [(x, y[:, 0]) for x, y in (TRAIN, HELD_BACK)]
        source = Regression(batch_size=16).source(model, *first)
    trainer.fit(*source)
    return trainer


@pytest.mark.parametrize("outputs", [1, 7])
@pytest.mark.parametrize("loss", [fl.mse_loss, fl.l1_loss, partial(fl.huber_loss, delta=0.5)])
def test_a_loss_of_regressions_is_enough(loss: Any, outputs: int) -> None:
    trainer = fitted(loss, outputs)
    epochs = trainer.history.epochs
    losses = [epoch.validation_loss or 0.0 for epoch in epochs]
    assert trainer.history.best == int(np.argmin(losses)) + 1
    assert epochs[-1].train_loss < epochs[0].train_loss
    x, y = HELD_BACK
    off = trainer.model(x).astype(float) - (y if outputs == 7 else y[:, 0])
    kept = epochs[trainer.history.best - 1]
    assert kept.validation_mae == pytest.approx(np.abs(off).mean(), rel=1e-6)
    assert kept.validation_rmse == pytest.approx(np.sqrt((off**2).mean()), rel=1e-6)
    assert kept.validation_loss == pytest.approx(
        loss(trainer.model(x), y if outputs == 7 else y[:, 0])[0]
    )
    assert kept.train_accuracy is kept.validation_accuracy is None


def test_the_least_loss_is_kept_and_patience_counts_from_it() -> None:
    model = Many(1)
    trainer = Trainer(model, SGD(model, 30.0), fl.l1_loss, epochs=30, patience=3)
    first = [(x, y[:, 0]) for x, y in (TRAIN, HELD_BACK)]
    history = trainer.fit(*Regression().source(model, *first))
    losses = [epoch.validation_loss or 0.0 for epoch in history.epochs]
    assert history.best == int(np.argmin(losses)) + 1
    assert len(losses) == min(30, history.best + 3)
    assert len(losses) < 30


def test_the_rule_of_the_best_epoch_is_the_tasks() -> None:
    class ByError(Regression):
        def score(self, epoch: Epoch) -> tuple[float, ...]:
            assert epoch.validation_rmse is not None
            return (epoch.validation_rmse,)  # the worst

    trainer = fitted(ByError(fl.mse_loss))
    errors = [epoch.validation_rmse or 0 for epoch in trainer.history.epochs]
    assert trainer.history.best == int(np.argmax(errors)) + 1


def test_a_loss_of_ones_own_with_seven_outputs() -> None:
    def squared(outputs: Any, targets: Any) -> Any:
        return fl.mse_loss(outputs, targets)

    trainer = fitted(squared)
    epoch = trainer.history.epochs[-1]
    assert epoch.train_accuracy is epoch.validation_accuracy is epoch.validation_mae is None
    assert fitted(Regression(squared)).history.epochs[-1].validation_mae is not None


def test_missing_targets_count_nowhere() -> None:
    model = Many()
    x, y = HELD_BACK
    holes = np.where(np.random.default_rng(1).random(y.shape) < 0.4, np.nan, y)
    task = Regression(partial(fl.mse_loss, missing="skip"))
    found = evaluate(model, row_batches(Rows(x, holes), 3), task)
    off = (model(x).astype(float) - holes)[~np.isnan(holes)]
    assert found.examples == found.errors == len(off)
    assert found.loss == pytest.approx((off**2).mean(), rel=1e-6)
    assert found.mae == pytest.approx(np.abs(off).mean(), rel=1e-6)
    with pytest.raises(ValueError, match="is nan, which is missing"):
        evaluate(model, row_batches(Rows(x, holes), 3), fl.mse_loss)


def test_a_point_stands_for_outputs_of_another_shape() -> None:
    outputs = np.zeros((4, 3), np.float32)
    outputs[:, 1] = 2
    rows = Rows(X[:4], np.zeros(4))
    loss = partial(fl.quantile_loss, quantiles=[0.1, 0.5, 0.9])
    without = Regression(loss).outcome(1.0, outputs, rows, None)
    assert without.errors is None
    median = Regression(loss, lambda out: out[..., 1]).outcome(1.0, outputs, rows, None)
    assert median.errors == (4, 8.0, 16.0)


def test_a_resumed_regression_ends_with_the_same_bits(tmp_path: Path) -> None:
    whole = fitted(fl.mse_loss, epochs=4)
    path = tmp_path / "state.safetensors"
    model = Many()
    source = Regression(batch_size=16).source(model, TRAIN, HELD_BACK)
    first = Trainer(model, Adam(model, 0.05), fl.mse_loss, epochs=4, checkpoint=path)

    class Stop(Progress):
        def on_step(self, history: Any) -> None:
            if history.step == 5:
                first.save(path)
                raise KeyboardInterrupt

    first.listeners = (Stop(),)
    with pytest.raises(KeyboardInterrupt):
        first.fit(*source)
    model = Many()
    second = Trainer(model, Adam(model, 0.05), fl.mse_loss, epochs=4)
    second.load(path)
    assert second.history.running.errors > 0
    second.fit(*source)
    assert second.history.best == whole.history.best
    for name, array in whole.model.state_dict().items():
        np.testing.assert_array_equal(array, second.model.state_dict()[name])
    for one, two in zip(whole.history.epochs, second.history.epochs, strict=True):
        assert (one.train_mae, one.validation_rmse) == (two.train_mae, two.validation_rmse)
    other = Trainer(model, Adam(model, 0.05), Regression(batch_size=8), epochs=4)
    with pytest.raises(ValueError, match="batch_size differ"):
        other.load(path)


def test_progress_of_a_regression_shows_errors(capsys: pytest.CaptureFixture[str]) -> None:
    trainer = fitted(fl.mse_loss, listeners=[Progress(bar=False)])
    line = capsys.readouterr().out.splitlines()[-1]
    epoch = trainer.history.epochs[-1]
    assert f"MAE {epoch.train_mae:.4g}, RMSE {epoch.train_rmse:.4g}; validation loss" in line
    assert f"MAE {epoch.validation_mae:.4g}, RMSE {epoch.validation_rmse:.4g}" in line
    assert "accuracy" not in line


def test_curves_of_a_regression(tmp_path: Path) -> None:
    pytest.importorskip("matplotlib")
    assert draw_curves(tmp_path / "a.png", fitted(fl.mse_loss).history, "title")
    assert (tmp_path / "a.png").read_bytes().startswith(b"\x89PNG")


@pytest.mark.parametrize("loss", [fl.cross_entropy, fl.bce_with_logits])
def test_numbers_for_a_loss_of_classes(loss: Any) -> None:
    with pytest.raises(ValueError, match=r"labels has shape \(16, 7\) and dtype float32.*mse_loss"):
        fitted(loss)


def test_batches_of_rows() -> None:
    rows = Rows(X, Y, np.arange(50) % 6 + 1)
    whole = list(row_batches(rows, 16, seed=1, epoch=2))
    assert [len(batch) for batch in whole] == [16, 16, 16, 2]
    later = list(row_batches(rows, 16, seed=1, epoch=2, start=2))
    for one, other in zip(whole[2:], later, strict=True):
        np.testing.assert_array_equal(one.x, other.x)
    order = np.concatenate([batch.labels for batch in whole])
    assert not np.array_equal(order, Y)
    np.testing.assert_array_equal(np.sort(order, axis=0), np.sort(Y, axis=0))
    assert sum(batch.words for batch in whole) == rows.words == (np.arange(50) % 6 + 1).sum()
    assert len(whole[0].inputs) == 2
    assert Rows(X, Y).words == 300


@pytest.mark.parametrize(
    ("train", "error", "message"),
    [
        (X, TypeError, "train is a ndarray, expected (x, targets) or (x, targets, lengths)"),
        ((X,), TypeError, "train is a tuple, expected (x, targets)"),
        ((X, Y[:3]), ValueError, "train: targets has shape (3, 7), expected 50 rows, as x has"),
        ((X, Y, [1]), ValueError, "train: lengths has shape (1,), expected 50 rows, as x has"),
        ((X[:0], Y[:0]), ValueError, "train: x has shape (0, 6, 2), expected rows"),
    ],
)
def test_wrong_rows(train: Any, error: type[Exception], message: str) -> None:
    with pytest.raises(error, match=re.escape(message)):
        Regression().source(None, train)


class _Weighted(NamedTuple):
    """A batch whose rows count as their weights say."""

    inputs: tuple[Any, ...]
    labels: Any
    weights: Any
    words: int = 1


@pytest.mark.parametrize("num_targets", [1, 3])
def test_rows_of_a_regression_count_as_they_weigh(num_targets: int) -> None:
    rng = np.random.default_rng(0)
    x, weights = rng.standard_normal((4, 5, 2)), np.array([2.0, 0.0, 1.0, 1.0])
    labels = rng.standard_normal((4, 3) if num_targets == 3 else 4)
    model = SequenceRegressor(2, 3, num_targets=num_targets, dtype="float64", rng=0)
    task, copies = Regression(fl.mse_loss), [0, 0, 2, 3]
    found, plain = _Weighted((x,), labels, weights), _Weighted((x[copies],), labels[copies], None)
    loss = task.measure(model, plain, None).loss
    assert task.measure(model, found, None).loss == pytest.approx(loss)
    gradients = []
    for batch in (found, plain):
        model.zero_grad()
        assert task.step(model, batch, None, rng).loss == pytest.approx(loss)
        gradients.append(model.head.weight.grad.copy())
    np.testing.assert_allclose(*gradients)
