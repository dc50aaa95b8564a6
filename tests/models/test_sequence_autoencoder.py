"""SequenceAutoencoder: shapes, gradients against differences, lengths, files, what it finds odd."""

from __future__ import annotations

from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import fastlstm as fl
from fastlstm.models import SequenceAutoencoder
from fastlstm.train import Adam, Trainer, checkpoint
from fastlstm.train.checkpoint import CheckpointError
from fastlstm.train.model_file import load_model, save_model

N, T, F = 5, 6, 3
LENGTHS = np.array([6, 0, 3, 1, 6])
cells = pytest.mark.parametrize("cell", ["lstm", "gru", "rnn"])


def inputs(dtype: str = "float64") -> Any:
    return np.random.default_rng(0).standard_normal((N, T, F)).astype(dtype)


def autoencoder(**options: Any) -> SequenceAutoencoder:
    options = {"hidden_size": 6, "code_size": 2, "dtype": "float64", "rng": 1, **options}
    return SequenceAutoencoder(F, **options)


@cells
@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_an_autoencoder_gives_back_as_much_as_it_is_given(cell: str, dtype: str) -> None:
    model = autoencoder(cell=cell, dtype=dtype, num_layers=2)
    x = inputs(dtype)
    outputs, tape = model.forward(x, LENGTHS)
    assert outputs.shape == x.shape
    assert outputs.dtype == dtype
    np.testing.assert_array_equal(outputs, model(x, LENGTHS))
    assert model.encode(x, LENGTHS).shape == (N, 2)
    dx = model.backward(tape, np.ones_like(outputs))
    assert (dx.shape, dx.dtype) == (x.shape, dtype)


@cells
@pytest.mark.parametrize("lengths", [None, LENGTHS])
def test_gradients_of_an_autoencoder_against_differences(cell: str, lengths: Any) -> None:
    model, x = autoencoder(cell=cell, num_layers=2), inputs()
    loss = partial(fl.mse_loss, missing="skip")
    targets = model.targets(x, lengths)
    outputs, tape = model.forward(x, lengths)
    dx = model.backward(tape, loss(outputs, targets)[1])
    along = np.random.default_rng(3).standard_normal(x.shape)
    high, low = (loss(model(x + s * along, lengths), targets)[0] for s in (1e-6, -1e-6))
    assert (high - low) / 2e-6 == pytest.approx(float(np.sum(dx * along)), rel=1e-5, abs=1e-9)
    for name, parameter in model.named_parameters():
        step = np.random.default_rng(4).standard_normal(parameter.data.shape) * 1e-6
        grad = float(np.sum(parameter.grad * step))
        kept, found = parameter.data.copy(), []
        for sign in (1, -1):
            parameter.data[...] = kept + sign * step
            found.append(loss(model(x, lengths), targets)[0])
        parameter.data[...] = kept
        assert (found[0] - found[1]) / 2 == pytest.approx(grad, rel=1e-5, abs=1e-14), name


def test_lengths_may_be_changed_before_the_backward_pass() -> None:
    x, found = inputs(), []
    for change in (False, True):
        model, lengths = autoencoder(), LENGTHS.copy()
        outputs, tape = model.forward(x, lengths)
        lengths[:] = 1 if change else lengths
        found.append(model.backward(tape, np.ones_like(outputs)))
    np.testing.assert_array_equal(*found)


def test_what_lies_past_a_length_does_not_count() -> None:
    model, x = autoencoder(), inputs()
    other = x.copy()
    for row, length in zip(other, LENGTHS, strict=True):
        row[length:] = 99.0
    np.testing.assert_array_equal(model(other, LENGTHS), model(x, LENGTHS))
    np.testing.assert_array_equal(model.errors(other, LENGTHS), model.errors(x, LENGTHS))
    past = np.arange(T) >= LENGTHS[:, None]
    assert not model(x, LENGTHS)[past].any()
    assert not model.errors(x, LENGTHS)[past].any()
    assert np.isnan(model.targets(x, LENGTHS)[past]).all()
    _, tape = model.forward(x, LENGTHS)
    assert not model.backward(tape, np.ones_like(x))[past].any()


def test_errors_are_roots_of_mean_squares() -> None:
    model, x = autoencoder(), inputs()
    expected = np.sqrt(((model(x) - x) ** 2).mean(axis=2))
    np.testing.assert_allclose(model.errors(x), expected)


def test_an_autoencoder_learns_by_the_trainer_and_finds_what_is_odd() -> None:
    rng = np.random.default_rng(0)
    phase = rng.uniform(0, 6, (240, 1)) + np.arange(12) * 0.6
    x = np.sin(phase)[..., None].astype("float32")
    model = SequenceAutoencoder(1, 16, code_size=2, rng=0)
    trainer = Trainer(model, Adam(model, 0.02), fl.mse_loss, epochs=20, clip=1.0)
    history = trainer.fit(*trainer.task.source(model, (x[:200], x[:200]), (x[200:], x[200:])))
    losses = [epoch.validation_loss or 0.0 for epoch in history.epochs]
    assert history.best == int(np.argmin(losses)) + 1
    assert min(losses) < 0.1 * (x**2).mean()
    odd = np.where(np.arange(12) % 2, x[200:, :, 0], -x[200:, :, 0])[..., None]
    assert model.errors(odd).mean() > 3 * model.errors(x[200:]).mean()


@cells
def test_an_autoencoder_comes_back_to_the_bit(cell: str, tmp_path: Path) -> None:
    path = tmp_path / "model.safetensors"
    model = autoencoder(cell=cell, num_layers=2)
    save_model(path, model)
    for again in (load_model(path, SequenceAutoencoder), fl.load(path)):
        assert again.options == model.options
        np.testing.assert_array_equal(again(inputs(), LENGTHS), model(inputs(), LENGTHS))


@pytest.mark.parametrize(
    ("tensors", "options", "told"),
    [
        ({}, {"code_size": 2**40}, "code_size is 1099511627776, but its tensors are of 2"),
        ({}, {"hidden_size": 2**63}, "hidden_size is .*, but its tensors are of 6"),
        ({}, {"input_size": 4}, "input_size is 4, but its tensors are of 3"),
        ({}, {"num_layers": 10**9}, "num_layers is 1000000000, but its tensors are of 1"),
        ({}, {"cell": "gru"}, "rows of .* is 18, but its tensors are of 24"),
        ({"code.weight": (9000, 1)}, {"code_size": 9000}, "columns of code.weight is 6"),
        ({"head.weight": (1, 6)}, {}, "rows of head.weight is 3, but its tensors are of 1"),
        ({"encoder.weight_ih_l0": (1, 9000)}, {"input_size": 9000}, "is 24, but its tensors"),
        ({"decoder.weight_hh_l0": (24, 1)}, {}, "columns of decoder.weight_hh_l0 is 6"),
        ({"decoder.weight_ih_l0": (1, 2)}, {}, "rows of decoder.weight_ih_l0 is 24"),
    ],
)
def test_sizes_of_an_autoencoder_are_those_of_its_tensors(
    tensors: dict[str, tuple[int, ...]], options: Any, told: str, tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:  # fmt: skip
    def made(*_: object, **__: object) -> None:
        pytest.fail("a model was made")

    path = tmp_path / "model.safetensors"
    save_model(path, autoencoder())
    found, note = checkpoint.load(path, "model")
    note["model"].update(options)
    new = {name: np.zeros(shape) for name, shape in tensors.items()}
    checkpoint.save(path, {**found, **new}, "model", note)
    monkeypatch.setattr("fastlstm.models.sequence_autoencoder.options_of", made)
    with pytest.raises(CheckpointError, match=told):
        load_model(path)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"code_size": 0}, "code_size is 0, expected at least 1"),
        ({"cell": "cnn"}, "cell is 'cnn', expected one of lstm"),
        ({"hidden_size": -1}, "hidden_size is -1"),
    ],
)
def test_wrong_options_of_an_autoencoder(options: Any, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        autoencoder(**options)


def test_wrong_inputs_of_an_autoencoder() -> None:
    model = autoencoder()
    for call in (model, model.encode, model.forward, model.targets, model.errors):
        with pytest.raises(ValueError, match=r"x has shape \(5, 6, 2\), expected"):
            call(inputs()[..., :2])
        with pytest.raises(ValueError, match="lengths"):
            call(inputs(), [7, 1, 1, 1, 1])
    _, tape = model.forward(inputs())
    with pytest.raises(ValueError, match=r"doutputs has shape \(5, 6, 1\), expected \(5, 6, 3\)"):
        model.backward(tape, np.ones((N, T, 1)))
    with pytest.raises(ValueError, match="tape is of another"):
        autoencoder().backward(tape, np.ones((N, T, F)))
