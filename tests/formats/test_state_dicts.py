"""state_dicts of torch models: names and shapes tell the layers."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from format_cases import same_bits

import fastlstm as fl
from fastlstm.formats.layers import Layers

torch = pytest.importorskip("torch")
from safetensors.torch import save_file  # noqa: E402
from torch.nn import utils  # noqa: E402
from torch.nn.utils import prune  # noqa: E402


class Tagger(torch.nn.Module):
    """Nested names, a cell, a convolution and a normalization."""

    def __init__(self) -> None:
        super().__init__()
        self.embed = torch.nn.Embedding(9, 4)
        self.body = torch.nn.ModuleDict(
            {
                "lstm": torch.nn.LSTM(4, 5, 2, bidirectional=True, batch_first=True),
                "gru": torch.nn.GRU(10, 3, bias=False),
            }
        )
        self.cells = torch.nn.ModuleList([torch.nn.LSTMCell(3, 4), torch.nn.GRUCell(4, 4)])
        self.small = torch.nn.LSTM(3, 6, proj_size=2, dtype=torch.float64)
        self.head = torch.nn.Sequential(torch.nn.Linear(4, 2), torch.nn.Linear(2, 2, bias=False))
        self.conv, self.norm = torch.nn.Conv1d(2, 2, 3), torch.nn.BatchNorm1d(2)


def written(state: Any, path: Path) -> Path:
    if path.suffix == ".safetensors":
        save_file({name: tensor.contiguous() for name, tensor in state.items()}, path)
    else:
        torch.save(state, path)
    return path


pytestmark = pytest.mark.filterwarnings("ignore:LSTM with projections:UserWarning")
endings = pytest.mark.parametrize("ending", [".safetensors", ".pt"])


@endings
def test_a_model_with_nested_names(ending: str, tmp_path: Path) -> None:
    model = Tagger()
    layers = fl.load(written(model.state_dict(), tmp_path / f"model{ending}"))
    assert type(layers) is Layers
    assert list(layers.left_out)
    assert all(n[:4] in ("conv", "norm") for n in layers.left_out)
    rng = np.random.default_rng(0)
    x = rng.standard_normal((6, 2, 10)).astype("float32")
    lstm, gru = layers["body.lstm"], layers["body.gru"]
    assert (lstm.bidirectional, lstm.num_layers, gru.bias) == (True, 2, False)
    with torch.no_grad():
        for layer, theirs, size in (
            (lstm, model.body["lstm"], 4), (gru, model.body["gru"], 10),
        ):  # fmt: skip
            given = torch.from_numpy(x[..., :size])
            y = theirs(given.transpose(0, 1) if theirs.batch_first else given)[0].numpy()
            y = y.swapaxes(0, 1) if theirs.batch_first else y
            np.testing.assert_allclose(layer(x[..., :size].copy())[0], y, atol=1e-6)
        h, c = model.cells[0](torch.from_numpy(x[0, :, :3]))
        mine = layers["cells.0"](x[0, :, :3].copy())
        np.testing.assert_allclose(mine[0], h.numpy(), atol=1e-6)
        np.testing.assert_allclose(mine[1], c.numpy(), atol=1e-6)
        wide = x[..., :3].astype("float64")
        np.testing.assert_allclose(
            layers["small"](wide)[0], model.small(torch.from_numpy(wide))[0].numpy(), atol=1e-12
        )
        np.testing.assert_allclose(
            layers["head.0"](x[0, :, :4].copy()),
            model.head[0](torch.from_numpy(x[0, :, :4])).numpy(),
            atol=1e-6,
        )
    assert type(layers["embed"]) is fl.Embedding
    assert type(layers["head.1"]) is fl.Linear
    assert type(layers["cells.1"]) is fl.GRUCell


@endings
def test_names_without_a_prefix_are_one_layer(ending: str, tmp_path: Path) -> None:
    theirs = torch.nn.GRU(3, 4, 2, bidirectional=True)
    layer = fl.load(written(theirs.state_dict(), tmp_path / f"gru{ending}"))
    assert type(layer) is fl.GRU
    for name, tensor in theirs.state_dict().items():
        assert (layer.state_dict()[name] == tensor.numpy()).all()


def test_what_fl_writes_for_torch(tmp_path: Path) -> None:
    lstm = fl.LSTM(3, 6, 2, bidirectional=True, proj_size=2, rng=0)
    fl.save(lstm, tmp_path / "lstm.pt")
    theirs = torch.nn.LSTM(3, 6, 2, bidirectional=True, proj_size=2)
    theirs.load_state_dict(torch.load(tmp_path / "lstm.pt", weights_only=True))
    x = np.random.default_rng(0).standard_normal((5, 2, 3)).astype("float32")
    with torch.no_grad():
        y = theirs(torch.from_numpy(x))[0].numpy()
    np.testing.assert_allclose(lstm(x)[0], y, atol=1e-6)
    same_bits(lstm, fl.load(tmp_path / "lstm.pt"))


def test_a_classifier_for_torch(tmp_path: Path) -> None:
    """Its layers run there with the names that they have here."""
    model = fl.TextClassifier(9, 4, 5, 1, True, "mean", num_outputs=3, rng=0)
    fl.save(model, tmp_path / "model.pt")

    class Theirs(torch.nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.embedding = torch.nn.Embedding(9, 4)
            self.lstm = torch.nn.LSTM(4, 5, bidirectional=True, batch_first=True)
            self.head = torch.nn.Linear(10, 3)

        def forward(self, tokens: Any) -> Any:
            return self.head(self.lstm(self.embedding(tokens))[0].mean(dim=1))

    theirs = Theirs()
    theirs.load_state_dict(torch.load(tmp_path / "model.pt", weights_only=True))
    tokens = np.random.default_rng(0).integers(1, 9, (4, 6))
    with torch.no_grad():
        logits = theirs(torch.from_numpy(tokens)).numpy()
    np.testing.assert_allclose(model(tokens), logits, atol=1e-6)


@pytest.mark.parametrize("nonlinearity", ["tanh", "relu"])
def test_a_plain_rnn_needs_its_kind(nonlinearity: str, tmp_path: Path) -> None:
    theirs = torch.nn.RNN(3, 4, nonlinearity=nonlinearity)
    path = written(theirs.state_dict(), tmp_path / "rnn.pt")
    with pytest.raises(ValueError, match=r"it is a plain RNN.*say kinds=\{'': 'rnn_tanh'\}"):
        fl.load(path)
    layer = fl.load(path, kinds={"": f"rnn_{nonlinearity}"})
    x = np.random.default_rng(0).standard_normal((5, 2, 3)).astype("float32")
    with torch.no_grad():
        y = theirs(torch.from_numpy(x))[0].numpy()
    np.testing.assert_allclose(layer(x)[0], y, atol=1e-6)


def test_kinds_say_otherwise(tmp_path: Path) -> None:
    state = {
        "words.weight": torch.randn(5, 3),
        "rnn.weight_ih_l0": torch.randn(9, 3),
        "rnn.weight_hh_l0": torch.randn(9, 3),
    }
    path = written(state, tmp_path / "a.pt")
    layers = fl.load(path, kinds={"words": "embedding", "rnn": "gru_reset_before"})
    assert type(layers["words"]) is fl.Embedding
    assert layers["rnn"].reset_after is False
    for kinds, told in (
        ({"x": "lstm"}, r"kinds names \['x'\], expected layers of the file: \['rnn', 'words'\]"),
        ({"rnn": "lstm"}, r"rnn: weight_ih_l0 has shape \(9, 3\), expected \(12, 3\)"),
        ({"rnn": "tree"}, "rnn: its kind is 'tree', expected one of lstm"),
        ({"words": "gru"}, "words: its kind is 'gru', but it has weight alone"),
        ({"rnn": "linear"}, "rnn: its kind is 'linear', of which there is no such layer"),
    ):
        with pytest.raises(ValueError, match=told):
            fl.load(path, kinds=kinds)


@pytest.mark.parametrize("half", [torch.float16, torch.bfloat16])
@endings
def test_half_precision_becomes_float32(half: Any, ending: str, tmp_path: Path) -> None:
    theirs = torch.nn.LSTM(3, 4).to(half)
    layer = fl.load(written(theirs.state_dict(), tmp_path / f"a{ending}"))
    assert layer.dtype == np.float32
    for name, tensor in theirs.state_dict().items():
        assert (layer.state_dict()[name] == tensor.float().numpy()).all()


def test_a_state_dict_inside_a_checkpoint(tmp_path: Path) -> None:
    state = {"epoch": 3, "state_dict": torch.nn.LSTM(2, 3).state_dict(), "optimizer": {"lr": 0.1}}
    assert type(fl.load(written(state, tmp_path / "a.pth"))) is fl.LSTM


def _broken(**changed: Any) -> dict[str, Any]:
    state = {**torch.nn.LSTM(3, 4, 2).state_dict(), **changed}
    return {name: tensor for name, tensor in state.items() if tensor is not None}


@pytest.mark.parametrize(
    ("state", "told"),
    [
        (_broken(bias_hh_l1=None), "there is no tensor bias_hh_l1"),
        (_broken(weight_hh_l0=None), "there is no tensor weight_hh_l0"),
        (_broken(weight_ih_l0=None), "there is no tensor weight_ih_l0"),
        (torch.nn.LSTM(3, 4), r"weights_only=True \(.*\), .*: save model.state_dict\(\), not"),
        (_broken(weight_hh_l1=torch.zeros(16, 5)), r"weight_hh_l1 has shape \(16, 5\), expected"),
        (_broken(weight_hh_l0=torch.zeros(16, 0)), r"weight_hh_l0 has shape \(16, 0\)"),
        (_broken(weight_hh_l0=torch.zeros(20, 4)), "which is 5 times the hidden size, expected 4"),
        (_broken(weight_ih_l99999=torch.zeros(1)), "num_layers is 100000, expected at most 10,000"),
        (_broken(weight_ih_l999=torch.zeros(1)), "there is no tensor weight_ih_l2"),
        (_broken(bias_ih_l0=torch.full((16,), float("nan"))), r"bias_ih_l0\[0\] is nan"),
        ({"steps": torch.tensor(3)}, "it has no layers among its 1 tensor"),
        ({}, "it has no layers among its 0 tensors"),
        ([1, 2], "it holds a list, expected a dict of tensors"),
        ({"weight": torch.eye(3).to_sparse()}, "no dense one"),
        ({"weight": torch.zeros(1).expand(10**7, 3)}, "weight and those before it are 120,000,000"),
    ],
)
def test_state_dicts_that_do_not_fit(state: Any, told: str, tmp_path: Path) -> None:
    path = tmp_path / "state.pt"
    torch.save(state, path)
    with pytest.raises(ValueError, match=told) as raised:
        fl.load(path)
    assert str(path) in str(raised.value)


@pytest.mark.filterwarnings("ignore:.*weight_norm.* is deprecated:FutureWarning")
@pytest.mark.parametrize(
    "change",
    [
        utils.parametrizations.weight_norm,
        utils.parametrizations.spectral_norm,
        utils.weight_norm,
        utils.spectral_norm,
        lambda module, name: prune.l1_unstructured(module, name, 0.5),
    ],
)
def test_weights_that_others_make_are_left_out(change: Any, tmp_path: Path) -> None:
    model = torch.nn.ModuleDict({"rnn": torch.nn.LSTM(3, 4), "out": torch.nn.Linear(4, 2)})
    model["last"] = torch.nn.Linear(2, 2)
    change(model["rnn"], "weight_hh_l0")
    change(model["out"], "weight")
    state = model.state_dict()
    layers = fl.load(written(state, tmp_path / "a.pt"))
    assert list(layers) == ["last"]
    assert layers.left_out.keys() == {name for name in state if not name.startswith("last")}
    assert "weight_hh_l0 is not here, but what makes it" in layers.left_out["rnn.bias_ih_l0"]
    del model["last"]
    with pytest.raises(ValueError, match=r"no layers .* is not here, but what makes it"):
        fl.load(written(model.state_dict(), tmp_path / "b.pt"))


def test_a_mask_beside_a_weight_makes_none(tmp_path: Path) -> None:
    state = {"fc.weight": torch.ones(2, 3), "fc.weight_mask": torch.ones(2, 3)}
    layers = fl.load(written(state, tmp_path / "a.pt"))
    assert list(layers) == ["fc"]
    assert list(layers.left_out) == ["fc.weight_mask"]


def test_a_foreign_dtype_is_named(tmp_path: Path) -> None:
    save_file({"weight": torch.zeros(2, 2).to(torch.float8_e4m3fn)}, tmp_path / "a.safetensors")
    with pytest.raises(ValueError, match=r"weight has dtype F8_E4M3, expected one of"):
        fl.load(tmp_path / "a.safetensors")


@pytest.mark.parametrize("ending", [".pt", ".safetensors"])
@pytest.mark.parametrize(
    "make",
    [
        lambda: fl.LSTM(3, 6, 2, bidirectional=True, proj_size=2, models=3, rng=0),
        lambda: fl.GRU(3, 4, bias=False, dtype="float64", models=1, rng=0),
        lambda: fl.PeepholeLSTM(3, 4, models=2, rng=0),
    ],
)
def test_layers_of_many_models(make: Any, ending: str, tmp_path: Path) -> None:
    """Each tensor has an axis of models in front; such a file was written, and not read."""
    made = make()
    state = {name: torch.tensor(p.data) for name, p in made.named_parameters()}
    found = fl.load(written(state, tmp_path / f"model{ending}"))
    assert repr(found) == repr(made)
    assert found.models == made.models
    same_bits(found, made)
    fl.save(made, tmp_path / "own.pt")
    same_bits(fl.load(tmp_path / "own.pt"), made)


def _of_three(**changed: Any) -> dict[str, Any]:
    layer = fl.LSTM(3, 4, models=3, rng=0)
    state = {name: torch.tensor(p.data) for name, p in layer.named_parameters()} | changed
    return {name: tensor for name, tensor in state.items() if tensor is not None}


@pytest.mark.parametrize(
    ("state", "told"),
    [
        (_of_three(bias_ih_l0=torch.zeros(2, 16)),
         r"bias_ih_l0 has shape \(2, 16\), expected 3 models along its first axis, as weight_hh_"),
        (_of_three(weight_ih_l0=torch.zeros(16, 3)), r"weight_ih_l0 .* \(16, 3\), expected 3 mod"),
        (_of_three(bias_hh_l0=torch.zeros(())), r"bias_hh_l0 has shape \(\), expected 3 models"),
        (_of_three(bias_hh_l0=None), "of each of 3 models, there is no tensor bias_hh_l0"),
        (_of_three(weight_ih_l0=torch.zeros(3, 12, 3)),
         r"of each of 3 models, weight_ih_l0 has shape \(12, 3\), expected \(16, 3\)"),
        (_of_three(weight_hh_l0=torch.zeros(3, 16, 4, 1)), "expected two axes"),
        (_of_three(weight_hh_l0=torch.zeros(0, 16, 4)), "weight_hh_l0 has no models"),
        (_of_three(bias_ih_l0=torch.full((3, 16), float("inf"))), r"bias_ih_l0\[0, 0\] is inf"),
        ({"weight_ih": torch.zeros(3, 16, 3), "weight_hh": torch.zeros(3, 16, 4)},
         r"weight_ih has shape \(3, 16, 3\), expected two axes"),
    ],
)  # fmt: skip
def test_tensors_of_many_models_that_do_not_fit(state: Any, told: str, tmp_path: Path) -> None:
    torch.save(state, tmp_path / "state.pt")
    with pytest.raises(ValueError, match=told):
        fl.load(tmp_path / "state.pt")
