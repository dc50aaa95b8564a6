"""Files of models of words: what they claim is compared with all sides of their tensors."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from fastlstm.models import LanguageModel, Seq2Seq
from fastlstm.models.model import Model
from fastlstm.train import checkpoint
from fastlstm.train.model_file import build_model, load_model, save_model


@pytest.mark.parametrize(
    ("tensors", "options", "told"),
    [
        ({"embedding.weight": (1, 9000)}, {"vocab_size": 1, "embedding_dim": 9000}, "input_size"),
        ({"embedding.weight": (9000, 1)}, {"vocab_size": 9000}, "embedding_dim is 3"),
        ({"decoder.weight": (9000, 1)}, {}, "rows of decoder.weight is 11, .* are of 9000"),
        ({"decoder.weight": (11, 1)}, {}, "columns of decoder.weight is 5, .* are of 1"),
        ({"lstm.weight_hh_l0": (1, 9000)}, {"hidden_size": 9000}, "rows of weight_hh_l0 is 36000"),
        ({"projection.weight": (9000, 1)}, {"projection": 9000}, "columns of projection.weight"),
        ({}, {"tied": True}, "rows of decoder.weight is 0, but its tensors are of 11"),
    ],
)
def test_thin_tensors_of_a_language_model(
    tensors: dict[str, tuple[int, ...]], options: Any, told: str, tmp_path: Path
) -> None:
    path = tmp_path / "model.safetensors"
    save_model(path, LanguageModel(11, 3, 5, rng=0))
    found, note = checkpoint.load(path, "model")
    note["model"].update(options)
    new = {name: np.zeros(shape, "f4") for name, shape in tensors.items()}
    checkpoint.save(path, {**found, **new}, "model", note)
    with pytest.raises(checkpoint.CheckpointError, match=told):
        load_model(path)


@pytest.mark.parametrize(
    ("name", "shape", "options", "told"),
    [
        ("encoder.embedding.weight", (9000, 1), {"source_vocab_size": 9000}, "columns of encoder"),
        ("encoder.lstm.weight_ih_l0", (1, 6), {}, "rows of encoder.lstm.weight_ih_l0 is 16"),
        ("encoder.lstm.weight_hh_l0", (16, 1), {}, "columns of encoder.lstm.weight_hh_l0 is 4"),
        ("encoder.bridge.h.weight", (1, 8), {}, "rows of encoder.bridge.h.weight is 8"),
        ("encoder.bridge.c.weight", (8, 1), {}, "columns of encoder.bridge.c.weight is 8"),
        ("decoder.lstm.weight_ih_l0", (32, 1), {}, "columns of decoder.lstm.weight_ih_l0 is 6"),
        ("decoder.lstm.weight_hh_l0", (1, 9000), {"hidden_size": 9000}, "is 18000, but"),
        ("decoder.attention.combine.weight", (8, 1), {}, "columns of decoder.attention.* is 16"),
        ("decoder.head.weight", (1, 8), {}, "rows of decoder.head.weight is 7"),
    ],
)
def test_thin_tensors_of_a_translator(
    name: str, shape: tuple[int, ...], options: Any, told: str, tmp_path: Path
) -> None:
    path = tmp_path / "model.safetensors"
    save_model(path, Seq2Seq(9, 7, 6, 8, rng=0))
    found, note = checkpoint.load(path, "model")
    note["model"].update(options)
    checkpoint.save(path, {**found, name: np.zeros(shape, "f4")}, "model", note)
    with pytest.raises(checkpoint.CheckpointError, match=told):
        load_model(path)


@pytest.mark.parametrize("tied", [False, True])
@pytest.mark.parametrize("attention", [False, True])
@pytest.mark.parametrize("bidirectional", [False, True])
def test_a_translator_of_any_options_comes_back(
    tied: bool, attention: bool, bidirectional: bool, tmp_path: Path
) -> None:
    path = tmp_path / "model.safetensors"
    options = {"tied": tied, "attention": attention, "bidirectional": bidirectional}
    model = Seq2Seq(9, 7, 8 if tied else 6, 8, 2, rng=0, **options)
    save_model(path, model)
    again = load_model(path)
    assert again.options == model.options
    for one, other in zip(again.parameters(), model.parameters(), strict=True):
        np.testing.assert_array_equal(one.data, other.data)


ADAPTIVE = {"cutoffs": [4, 7], "rng": 0}


@pytest.mark.parametrize(
    ("tensors", "options", "told"),
    [
        ({"decoder.head.weight": (9000, 1)}, {}, "rows of decoder.head.weight is 6, .* of 9000"),
        ({"decoder.head.weight": (6, 1)}, {}, "columns of decoder.head.weight is 8, .* of 1"),
        ({"decoder.tail.0.0.weight": (4, 1)}, {}, "columns of decoder.tail.0.0.weight is 8"),
        ({"decoder.tail.1.1.weight": (1, 1)}, {}, "rows of decoder.tail.1.1.weight is 5000"),
        ({}, {"cutoffs": [4, 5]}, "rows of decoder.tail.0.1.weight is 1, .* of 3"),
        ({}, {"cutoffs": [4]}, "rows of decoder.head.weight is 5, .* of 6"),
        ({}, {"div_value": 1.0}, "rows of decoder.tail.0.0.weight is 8, but .* of 4"),
        ({}, {"cutoffs": "4"}, r"cutoffs\[0\] is '4'|cutoffs is '4'"),
        ({}, {"tied": True}, "rows of decoder.head.weight is 0|div_value|embedding_dim"),
    ],
)
def test_thin_tensors_of_an_adaptive_softmax(
    tensors: dict[str, tuple[int, ...]], options: Any, told: str, tmp_path: Path
) -> None:
    path = tmp_path / "model.safetensors"
    save_model(path, LanguageModel(5007, 8, 8, div_value=2.0, **ADAPTIVE))
    found, note = checkpoint.load(path, "model")
    note["model"].update(options)
    new = {name: np.zeros(shape, "f4") for name, shape in tensors.items()}
    checkpoint.save(path, {**found, **new}, "model", note)
    with pytest.raises(checkpoint.CheckpointError, match=told):
        load_model(path)


MODELS: dict[str, Any] = {
    "language": lambda: LanguageModel(11, 3, 5, 2, projection=4, rng=0),
    "tied": lambda: LanguageModel(11, 5, 5, tied=True, cell="gru", rng=0),
    "adaptive": lambda: LanguageModel(11, 8, 8, div_value=2.0, cell="rnn", **ADAPTIVE),
    "adaptive, tied": lambda: LanguageModel(11, 8, 8, tied=True, bias=True, **ADAPTIVE),
    "translator": lambda: Seq2Seq(9, 7, 6, 8, 2, rng=0),
    "translator, tied": lambda: Seq2Seq(9, 7, 8, 8, 2, False, False, tied=True, rng=0),
}


@pytest.mark.parametrize("name", MODELS)
def test_every_side_of_every_tensor_is_compared(name: str, tmp_path: Path) -> None:
    """The error names the tensor, or the option that has its size; a sound file comes back."""
    path, model = tmp_path / "model.safetensors", MODELS[name]()
    save_model(path, model)
    found, note = checkpoint.load(path, "model")
    again = load_model(path)
    for one, other in zip(again.parameters(), model.parameters(), strict=True):
        np.testing.assert_array_equal(one.data, other.data)
    named = {tensor.format(cell=note["model"].get("cell")) for tensor, _ in model.SIZES.values()}
    for key, array in found.items():
        for axis, size in enumerate(array.shape):
            shape = (*array.shape[:axis], 1 if size > 1 else 2, *array.shape[axis + 1 :])
            changed = {**found, key: np.zeros(shape, "f4")}
            with pytest.raises(checkpoint.CheckpointError) as error:
                build_model(path, changed, note, Model)
            told = str(error.value)
            sized = key in named or ".weight_hh_l1" in key
            assert key in told or sized and "but its tensors are of" in told, (key, told)
