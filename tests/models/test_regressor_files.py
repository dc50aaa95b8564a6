"""Files of a SequenceRegressor: all comes back, and what a file claims is checked before memory."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

import fastlstm as fl
from fastlstm.models import SequenceRegressor, TextClassifier
from fastlstm.models.distributions import DISTRIBUTIONS
from fastlstm.train import checkpoint
from fastlstm.train.checkpoint import CheckpointError
from fastlstm.train.model_file import load_model, load_model_and_note, save_model

OPTIONS: dict[str, dict[str, Any]] = {
    "plain": {},
    "targets": {"num_targets": 3, "cell": "rnn", "dtype": "float64"},
    "horizon": {"horizon": 4, "num_targets": 2, "num_layers": 2, "dropout": 0.2},
    "pooled": {"horizon": 2, "cell": "gru", "bidirectional": True, "pooling": "mean+last+max"},
    "of NumPy": {"horizon": np.int64(2), "quantiles": np.array([0.05, 0.5])},
}


def saved(path: Path, distribution: str = "point", **options: Any) -> SequenceRegressor:
    model = SequenceRegressor(3, 5, distribution=distribution, rng=0, **options)
    save_model(path, model, note="kept")
    return model


@pytest.mark.parametrize("distribution", DISTRIBUTIONS)
@pytest.mark.parametrize("options", OPTIONS.values(), ids=OPTIONS)
def test_a_regressor_comes_back_to_the_bit(distribution: str, options: Any, tmp_path: Path) -> None:
    path = tmp_path / "model.safetensors"
    model = saved(path, distribution, **options)
    again, note = load_model_and_note(path, SequenceRegressor)
    assert note["note"] == "kept"
    x = np.random.default_rng(0).standard_normal((4, 6, 3)).astype(options.get("dtype", "f4"))
    for found in (again, fl.load(path)):
        assert type(found) is SequenceRegressor
        assert found.options == model.options
        outputs = found(x, [6, 0, 1, 3])
        np.testing.assert_array_equal(outputs, model(x, [6, 0, 1, 3]))
        np.testing.assert_array_equal(found.point(outputs), model.point(outputs))


def test_a_regressor_is_no_classifier(tmp_path: Path) -> None:
    path = tmp_path / "model.safetensors"
    saved(path)
    with pytest.raises(CheckpointError, match="a SequenceRegressor, expected a TextClassifier"):
        load_model(path, TextClassifier)


def changed(path: Path, tensors: dict[str, Any] | None = None, **options: Any) -> None:
    """Write the file again with other options and tensors, signed; of None, without that one."""
    found, note = checkpoint.load(path, "model")
    note["model"] = {k: v for k, v in {**note["model"], **options}.items() if v is not None}
    checkpoint.save(path, {**found, **(tensors or {})}, "model", note)


@pytest.mark.parametrize(
    ("options", "told"),
    [
        ({"horizon": 2**40}, "num_outputs is 6597069766656, but its tensors are of 12"),
        ({"horizon": 2**63}, "num_outputs is .*, but its tensors are of 12"),
        ({"num_targets": 2**31}, "num_outputs is 12884901888, but its tensors are of 12"),
        ({"quantiles": [0.5]}, "num_outputs is 4, but its tensors are of 12"),
        ({"distribution": "gaussian"}, "num_outputs is 8, but its tensors are of 12"),
        ({"horizon": None}, "num_outputs is 6, but its tensors are of 12"),
        ({"distribution": "normal"}, "distribution is 'normal', expected one of point"),
        ({"quantiles": [0.5, 0.1, 2]}, r"quantiles\[2\] is 2.0, expected a number between"),
        ({"quantiles": "0.5"}, "quantiles has dtype"),
        ({"horizon": True}, "horizon is True, expected an integer"),
        ({"num_targets": 0}, "num_targets is 0, expected at least 1"),
        ({"num_targets": 2.0}, "num_targets is 2.0, expected an integer"),
        ({"hidden_size": 2**40}, "hidden_size is 1099511627776, but its tensors are of 5"),
        ({"hidden_size": None}, "hidden_size is 128, but its tensors are of 5"),
        ({"input_size": 2**40}, "input_size is 1099511627776, but its tensors are of 3"),
        ({"num_layers": 2**40}, "num_layers is 1099511627776, but its tensors are of 1"),
        ({"bidirectional": True}, "pooled features is 10, but its tensors are of 5"),
        ({"pooling": "mean+max"}, "pooled features is 10, but its tensors are of 5"),
        ({"pooling": 5}, "pooling is 5, expected one of"),
        ({"cell": "gru"}, "hidden_size is 5, but its tensors are of 0"),
        ({"cell": ["lstm"]}, r"cell is \['lstm'\], expected one of lstm"),
    ],
)
def test_options_of_a_regressor_that_are_not_of_its_tensors(
    options: Any, told: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def added(*_: object, **__: object) -> None:
        pytest.fail("layers were made")

    path = tmp_path / "model.safetensors"
    saved(path, "quantiles", horizon=2, num_targets=2)
    monkeypatch.setattr(SequenceRegressor, "_add_layers", added)
    changed(path, **options)
    with pytest.raises(CheckpointError, match=told) as raised:
        load_model(path)
    assert str(path) in str(raised.value)


@pytest.mark.parametrize(
    ("tensors", "options", "told"),
    [
        ({"head.weight": (9000, 1)}, {"horizon": 9000}, "pooled features is 5, .* are of 1"),
        (
            {"lstm.weight_hh_l0": (1, 9000), "head.weight": (1, 9000)},
            {"hidden_size": 9000},
            "rows of weight_hh_l0 is 36000, but its tensors are of 1",
        ),
        ({"lstm.weight_ih_l0": (1, 9000)}, {"input_size": 9000}, "rows of weight_ih_l0 is 20"),
        ({"head.weight": (9000,)}, {"horizon": 9000}, r"a tensor has shape \(9000,\)"),
        ({"head.weight": ()}, {}, r"a tensor has shape \(\)"),
    ],
)
def test_thin_tensors_do_not_stand_for_large_ones(
    tensors: dict[str, tuple[int, ...]], options: Any, told: str, tmp_path: Path
) -> None:
    path = tmp_path / "model.safetensors"
    saved(path)
    changed(path, {name: np.zeros(shape, "f4") for name, shape in tensors.items()}, **options)
    with pytest.raises(CheckpointError, match=told):
        load_model(path)


@pytest.mark.parametrize(
    ("tensors", "options", "told"),
    [
        ({"embedding.weight": (1, 9000)}, {"vocab_size": 1, "embedding_dim": 9000}, "input_size"),
        ({"bigrams.weight": (9000, 1)}, {"bigrams": 9000}, "outputs of bigrams is 3"),
        ({"head.weight": (9000, 1)}, {"num_outputs": 9000}, "pooled features is 4"),
    ],
)
def test_thin_tensors_of_a_text_classifier(
    tensors: dict[str, tuple[int, ...]], options: Any, told: str, tmp_path: Path
) -> None:
    path = tmp_path / "model.safetensors"
    save_model(path, TextClassifier(9, 3, 4, num_outputs=3, rng=0))
    changed(path, {name: np.zeros(shape, "f4") for name, shape in tensors.items()}, **options)
    with pytest.raises(CheckpointError, match=told):
        load_model(path)


def test_damaged_files_of_a_regressor(tmp_path: Path) -> None:
    path = tmp_path / "model.safetensors"
    saved(path, "gaussian", horizon=3)
    sound = path.read_bytes()
    rng = np.random.default_rng(0)
    for at in rng.integers(len(sound), size=150):
        path.write_bytes(sound[:at])
        with pytest.raises(CheckpointError):
            load_model(path)
        damaged = bytearray(sound)
        damaged[at] ^= 1 << int(rng.integers(8))
        path.write_bytes(damaged)
        with pytest.raises(CheckpointError):
            load_model(path)
