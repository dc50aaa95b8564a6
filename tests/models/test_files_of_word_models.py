"""Files of models of words: what they claim is compared with all sides of their tensors."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from fastlstm.models import LanguageModel, Seq2Seq
from fastlstm.train import checkpoint
from fastlstm.train.model_file import load_model, save_model


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
