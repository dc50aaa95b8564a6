"""Our own files: the same layer with the same options and the same bits."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from format_cases import LAYERS, MODELS, filled, same_bits

import fastlstm as fl
from fastlstm.formats.describe import KINDS, SETTINGS, describe
from fastlstm.formats.kinds import WRITERS
from fastlstm.formats.layers import Layers
from fastlstm.formats.recurrence import Recurrence
from fastlstm.formats.sequential import Sequential
from fastlstm.train import checkpoint
from fastlstm.train.checkpoint import CheckpointError


@pytest.mark.parametrize("name", LAYERS)
def test_a_layer_comes_back_to_the_bit(name: str, tmp_path: Path) -> None:
    path = tmp_path / "layer.safetensors"
    layer = filled(LAYERS[name]())
    fl.save(layer, path)
    again = fl.load(path)
    same_bits(layer, again)
    assert describe(again) == describe(layer)
    for setting in SETTINGS:
        assert getattr(again, setting, None) == getattr(layer, setting, None), setting


def test_all_kinds_are_among_the_cases() -> None:
    made = {type(make()).__name__ for make in LAYERS.values()} | {"Layers"}
    inside = LAYERS["sequential"]().layers.values()
    steps = LAYERS["sequential of steps"]().layers.values()
    stages = vars(LAYERS["chain"]()).values()
    found = made | {type(layer).__name__ for layer in (*inside, *steps, *stages)}
    assert found >= set(KINDS)


@pytest.mark.parametrize("name", MODELS)
def test_a_model_comes_back_to_the_bit(name: str, tmp_path: Path) -> None:
    path = tmp_path / "model.safetensors"
    model = filled(MODELS[name]())
    model.set_precision("bfloat16" if "sequence" not in name else "float32")
    fl.save(model, path)
    again = fl.load(path)
    same_bits(model, again)
    assert again.options == model.options
    assert fl.load(str(path)).options == model.options


def test_a_loaded_layer_gives_the_same_numbers(tmp_path: Path) -> None:
    lstm = fl.LSTM(3, 5, 2, bidirectional=True, rng=0)
    fl.save(lstm, tmp_path / "lstm.safetensors")
    x = np.random.default_rng(0).standard_normal((4, 2, 3)).astype("float32")
    assert (fl.load(tmp_path / "lstm.safetensors")(x)[0] == lstm(x)[0]).all()


def test_a_loaded_chain_gives_the_same_numbers(tmp_path: Path) -> None:
    chain = filled(LAYERS["chain"]())
    fl.save(chain, tmp_path / "chain.safetensors")
    x = np.random.default_rng(0).standard_normal((2, 36)).astype("float32")
    assert (fl.load(tmp_path / "chain.safetensors")(x) == chain(x)).all()


def test_settings_of_layers_in_a_model_come_back(tmp_path: Path) -> None:
    model = fl.TextClassifier(9, 4, 3, 2, rng=0)
    model.lstm.recompute, model.lstm.dropout = 4, 0.5
    model.head.precision = "int8"
    fl.save(model, tmp_path / "model.safetensors")
    again = fl.load(tmp_path / "model.safetensors")
    assert (again.lstm.recompute, again.lstm.dropout, again.head.precision) == (4, 0.5, "int8")


def test_dropout_of_a_single_layer_comes_back_without_a_warning(tmp_path: Path) -> None:
    layer = fl.LSTM(2, 3, rng=0)
    layer.dropout = 0.5
    fl.save(layer, tmp_path / "a.safetensors")
    assert fl.load(tmp_path / "a.safetensors").dropout == 0.5


def test_layers_by_name_and_in_a_list(tmp_path: Path) -> None:
    layers = {"encoder.rnn": fl.GRU(3, 4, rng=0), "head": fl.Linear(4, 2, rng=0)}
    fl.save(layers, tmp_path / "layers.safetensors")
    again = fl.load(tmp_path / "layers.safetensors")
    assert type(again) is Layers
    assert list(again) == list(layers)
    for name, layer in layers.items():
        same_bits(layer, again[name])
    fl.save(list(layers.values()), tmp_path / "list.safetensors")
    stack = fl.load(tmp_path / "list.safetensors")
    assert type(stack) is Sequential
    x = np.random.default_rng(0).standard_normal((2, 5, 3)).astype("float32")
    y = layers["head"](layers["encoder.rnn"](x.swapaxes(0, 1))[0]).swapaxes(0, 1)
    np.testing.assert_allclose(stack(x), y, atol=1e-6)


def test_a_file_has_the_names_of_torch(tmp_path: Path) -> None:
    torch = pytest.importorskip("torch")
    from safetensors.torch import load_file

    lstm = fl.LSTM(3, 5, 2, bidirectional=True, rng=0)
    fl.save(lstm, tmp_path / "lstm.safetensors")
    theirs = torch.nn.LSTM(3, 5, 2, bidirectional=True)
    theirs.load_state_dict(load_file(tmp_path / "lstm.safetensors"))
    x = np.random.default_rng(0).standard_normal((4, 2, 3)).astype("float32")
    with torch.no_grad():
        y = theirs(torch.from_numpy(x))[0].numpy()
    np.testing.assert_allclose(lstm(x)[0], y, atol=1e-6)


def test_what_cannot_be_written_is_named(tmp_path: Path) -> None:
    path = tmp_path / "a.safetensors"

    class Net(fl.Module):
        def __init__(self) -> None:
            self.rnn = fl.RNN(2, 3)

    for model, told in (
        (Net(), r"Net is of no class that can be written, expected one of LSTM"),
        ({"a": 5}, r"layers\['a'\] is a int"),
        (5, "model is a int"),
        ({1: fl.Linear(2, 2)}, "layers has the name 1, expected a string"),
        ([fl.Linear(2, 2), 5], r"layers\['1'\] is a int"),
    ):
        with pytest.raises(TypeError, match=told):
            fl.save(model, path)
    layer = fl.Linear(2, 2)
    with pytest.raises(ValueError, match=r"a\.npz does not end in one of \.safetensors, \.pt"):
        fl.save(layer, tmp_path / "a.npz")
    for nothing in ([], {}, Layers()):
        with pytest.raises(ValueError, match="layers is empty"):
            fl.save(nothing, path)
    assert not list(tmp_path.iterdir())


NEEDS = {".onnx": "onnx", ".keras": "h5py", ".h5": "h5py", ".weights.h5": "h5py"}


@pytest.mark.parametrize("ending", WRITERS)
def test_weights_that_are_not_finite_are_not_written(ending: str, tmp_path: Path) -> None:
    """No reader here takes them."""
    if ending in NEEDS:
        pytest.importorskip(NEEDS[ending])
    layer = fl.Linear(2, 2)
    layer.weight.data[1, 0] = np.nan
    with pytest.raises(ValueError, match=r"weight\[1, 0\] is nan"):
        fl.save(layer, tmp_path / f"a{ending}")
    assert not list(tmp_path.iterdir())


def test_a_name_of_a_layer_is_a_string() -> None:
    with pytest.raises(TypeError, match="layers has the name 1, expected a string"):
        Sequential({1: fl.Linear(2, 2)})  # type: ignore[dict-item]


def test_names_that_meet_are_refused(tmp_path: Path) -> None:
    layers = {"a": Sequential({"b": fl.Linear(2, 2)}), "a.b": fl.Linear(2, 2)}
    with pytest.raises(ValueError, match=r"two parameters are named a\.b\.weight"):
        fl.save(layers, tmp_path / "a.safetensors")


def _changed(path: Path, change: Any) -> None:
    tensors, note = checkpoint.load(path, "layers")
    change(note, tensors)
    checkpoint.save(path, tensors, "layers", note)


@pytest.mark.parametrize(
    ("change", "told"),
    [
        (lambda n, t: n.update({"class": "Module"}), "a layer is of class 'Module', expected one"),
        (lambda n, t: n["options"].update(hidden_size=6), r"weight_ih_l0 has shape \(20, 3\)"),
        (lambda n, t: n["options"].update(num_layers=9999), "there is no tensor weight_ih_l2"),
        (lambda n, t: n["options"].update(num_layers=10**9), "num_layers is 1000000000"),
        (lambda n, t: n["options"].pop("bias"), "the options of a LSTM are"),
        (lambda n, t: n["settings"].update(precision="fp8"), "precision is 'fp8'"),
        (lambda n, t: n["settings"].update(x=1), "the settings of a LSTM are"),
        (lambda n, t: n.update(inside=[]), "a LSTM has layers inside or none"),
        (lambda n, t: t.pop("weight_hh_l1"), "there is no tensor weight_hh_l1"),
        (lambda n, t: t.update(extra=t["bias_ih_l0"]), "it has 9 tensors, expected 8"),
        (lambda n, t: t["bias_ih_l0"].fill(np.nan), r"bias_ih_l0\[0\] is nan"),
    ],
)
def test_a_description_that_does_not_fit(change: Any, told: str, tmp_path: Path) -> None:
    path = tmp_path / "lstm.safetensors"
    fl.save(fl.LSTM(3, 5, 2, rng=0), path)
    _changed(path, change)
    with pytest.raises(CheckpointError, match=told) as raised:
        fl.load(path)
    assert str(path) in str(raised.value)


def test_an_output_that_is_none(tmp_path: Path) -> None:
    path = tmp_path / "a.safetensors"
    fl.save(Sequential([Recurrence(fl.GRU(2, 3, rng=0), "last")]), path)
    for output in (5, ["last"], "first", "last+last", ""):
        _changed(path, lambda n, t, o=output: n["inside"][0][1]["options"].update(output=o))
        with pytest.raises(CheckpointError, match="output is .*, expected 'all' or of last"):
            fl.load(path)


def test_layers_too_deep_in_layers(tmp_path: Path) -> None:
    path = tmp_path / "deep.safetensors"
    deep: Any = fl.Linear(2, 2)
    for _ in range(30):
        deep = Sequential([deep])
    fl.save(deep, path)
    with pytest.raises(CheckpointError, match="more than 20 deep"):
        fl.load(path)


def test_a_file_is_replaced_whole_or_not_at_all(tmp_path: Path) -> None:
    path = tmp_path / "a.safetensors"
    fl.save(fl.Linear(2, 2, rng=0), path)
    before = path.read_bytes()
    with pytest.raises(TypeError):
        fl.save(object(), path)
    assert path.read_bytes() == before
    assert [p.name for p in tmp_path.iterdir()] == ["a.safetensors"]


def test_a_training_state_is_no_model(tmp_path: Path) -> None:
    path = tmp_path / "checkpoint.safetensors"
    checkpoint.save(path, {"a": np.zeros(1)}, "training state", {})
    with pytest.raises(CheckpointError, match="holds a training state, expected a model"):
        fl.load(path)


def test_the_description_is_plain_json(tmp_path: Path) -> None:
    for make in LAYERS.values():
        found = describe(make())
        assert json.loads(json.dumps(found)) == found


def test_small_tensors_do_not_stand_for_large_layers(tmp_path: Path) -> None:
    """A layer is made as large as the first one, whatever the file has in its place."""
    path = tmp_path / "model.safetensors"
    fl.save(fl.TextClassifier(9, 4, 64, 1, rng=0), path)
    tensors, note = checkpoint.load(path, "model")
    for number in range(1, 2000):
        for part in ("weight_ih", "weight_hh", "bias_ih", "bias_hh"):
            tensors[f"lstm.{part}_l{number}"] = np.zeros(1, "float32")
    note["model"]["num_layers"] = 2000
    checkpoint.save(path, tensors, "model", note)
    with pytest.raises(CheckpointError, match="num_layers is 2000, but its tensors are of 1"):
        fl.load(path)
