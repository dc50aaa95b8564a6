"""Weights by gate: views of the layer's own, layers built from them, and what the gates do."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from cases import Array
from kinds import H, I, N, T, assert_all_equal, batch, layer, lengths, run

import fastlstm as fl
from fastlstm.nn.recurrent.gates import Gates

NAMES = [f"{part}_{gate}" for part in ("weight_ih", "weight_hh") for gate in "ifgo"]
BIASES = [f"{part}_{gate}" for part in ("bias_ih", "bias_hh") for gate in "ifgo"]


def sigmoid(z: Array) -> Array:
    return 1 / (1 + np.exp(-z))


def step(w: Any, x: Array, h: Array, c: Array) -> tuple[Array, Array]:
    """One step of the cell, written out: x [N,I], h [N,R], c [N,H]."""
    z = {k: x @ w[f"weight_ih_{k}"].T + h @ w[f"weight_hh_{k}"].T + w[f"bias_{k}"] for k in "ifgo"}
    c = sigmoid(z["f"]) * c + sigmoid(z["i"]) * np.tanh(z["g"])
    h = sigmoid(z["o"]) * np.tanh(c)
    return (h @ w["weight_hr"].T if "weight_hr" in w else h), c


def test_names_and_shapes() -> None:
    gates = layer("lstm", 4, 9, 2, bidirectional=True).gates(1, 1)
    assert list(gates) == NAMES + BIASES
    assert len(gates) == 16
    assert gates["weight_ih_f"].shape == (9, 18)
    assert gates["weight_hh_o"].shape == (9, 9)
    assert gates["bias_hh_g"].shape == (9,)
    assert list(layer("lstm", bias=False).gates()) == NAMES
    assert list(layer("lstm-proj").gates())[-1] == "weight_hr"
    assert layer("lstm-proj").gates()["weight_hh_f"].shape == (9, 5)
    assert list(layer("rnn-tanh").gates()) == [
        "weight_ih_h", "weight_hh_h", "bias_ih_h", "bias_hh_h"
    ]  # fmt: skip
    assert "weight_ih_f (9, 18)" in repr(gates)


def test_views_are_the_rows_of_the_parameters(kind: str) -> None:
    module = layer(kind, num_layers=2, bidirectional=True)
    for k, suffix in enumerate(module._suffixes):
        gates = module.gates(*divmod(k, 2))
        for part in ("weight_ih", "weight_hh", "bias_ih", "bias_hh"):
            stacked = np.concatenate([gates[f"{part}_{gate}"] for gate in module._cell.gates])
            np.testing.assert_array_equal(stacked, getattr(module, part + suffix).data)
        for name, view in gates.items():
            view[...] = k + 1
            assert np.shares_memory(view, gates[name])
        assert {float(v) for v in getattr(module, "weight_hh" + suffix).data.flat} == {k + 1}
    assert {float(p.data.min()) for p in module.parameters()} == {1.0, 2.0, 3.0, 4.0}


def test_a_view_follows_a_parameter_whose_array_was_exchanged() -> None:
    module = layer("lstm")
    gates = module.gates()
    module.bias_ih_l0.data = np.arange(36.0)
    np.testing.assert_array_equal(gates["bias_ih_f"], np.arange(9.0, 18.0))


def test_writing_through_a_view_changes_what_the_layer_computes() -> None:
    module = layer("lstm")
    assert np.abs(module(batch())[0]).max() > 0.1
    module.gates()["bias_ih_o"][...] = -1e4  # the output gate shuts
    assert np.abs(module(batch())[0]).max() < 1e-9


def test_the_sum_of_the_biases_can_be_read_and_not_written() -> None:
    module = layer("lstm", forget_bias=1.0)
    gates = module.gates()
    np.testing.assert_array_equal(gates["bias_f"], np.ones(9))
    np.testing.assert_array_equal(gates["bias_i"], gates["bias_ih_i"] + gates["bias_hh_i"])
    assert "bias_f" not in list(gates)
    with pytest.raises(ValueError, match="read-only"):
        gates["bias_f"][0] = 2
    with pytest.raises(TypeError):
        gates["bias_ih_f"] = np.ones(9)  # type: ignore[index]
    layer("gru-before").gates()["bias_n"]
    with pytest.raises(KeyError, match="'bias_n', expected one of"):
        layer("gru").gates()["bias_n"]


def test_forget_bias_is_the_forget_gates_alone() -> None:
    rng = np.random.default_rng
    plain = fl.LSTM(3, 4, num_layers=2, bidirectional=True, rng=rng(0))
    module = fl.LSTM(3, 4, num_layers=2, bidirectional=True, rng=rng(0), forget_bias=1.0)
    for place in [(0, 0), (0, 1), (1, 0), (1, 1)]:
        gates, others = module.gates(*place), plain.gates(*place)
        for name in gates:
            if name in ("bias_ih_f", "bias_hh_f"):
                expected = np.full(4, float(name == "bias_ih_f"))
                np.testing.assert_array_equal(gates[name], expected)
            else:
                np.testing.assert_array_equal(gates[name], others[name])


def test_wrong_places_are_named() -> None:
    module = layer("lstm", num_layers=2)
    for place, message in {
        (2, 0): "layer is 2, expected 0 to 1",
        (-1, 0): "layer is -1, expected 0 to 1",
        (0, 1): "direction is 1, expected 0 to 0",
    }.items():
        with pytest.raises(IndexError, match=message):
            module.gates(*place)
    with pytest.raises(TypeError, match="layer is 'top'"):
        module.gates("top")
    with pytest.raises(KeyError, match="'weight_ih_r', expected one of weight_ih_i"):
        module.gates()["weight_ih_r"]
    with pytest.raises(KeyError, match="no biases"):
        layer("lstm", bias=False).gates()["bias_ih_f"]


@pytest.mark.parametrize("options", [{}, {"bias": False}, {"num_layers": 2}])
@pytest.mark.parametrize("bidirectional", [False, True])
@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_a_layer_from_gates_is_the_same_layer(
    kind: str, options: dict[str, Any], bidirectional: bool, dtype: str
) -> None:
    module = layer(kind, dtype=dtype, bidirectional=bidirectional, **options)
    D = module._directions
    gates: Any = [dict(module.gates(*divmod(k, D))) for k in range(len(module._suffixes))]
    more = {"reset_after": False} if kind == "gru-before" else {}
    more |= {"nonlinearity": "relu"} if kind == "rnn-relu" else {}
    cls = type(module)
    built = cls.from_gates(gates, bidirectional=bidirectional, **more)
    assert built.dtype == module.dtype
    x = batch().astype(dtype)
    assert_all_equal(run(built, x, None, lengths()), run(module, x, None, lengths()))
    built.gates()["weight_ih_" + module._cell.gates[0]][...] = 0  # a copy, not the same memory
    assert module.weight_ih_l0.data.all()


def test_gates_may_be_given_as_they_are_and_with_options() -> None:
    module = layer("lstm", dtype="float32")
    built = fl.LSTM.from_gates(module.gates(), batch_first=True, dtype="float64")
    assert built.batch_first
    assert built.dtype == np.float64
    y = built(batch().swapaxes(0, 1))[0]
    expected = module(batch().astype("float32"))[0]
    np.testing.assert_allclose(y.swapaxes(0, 1), expected, atol=1e-6)


def test_one_bias_a_gate_is_the_sum() -> None:
    module = layer("lstm")
    gates = module.gates()
    summed = {name: gates[name] for name in (*NAMES, *(f"bias_{k}" for k in "ifgo"))}
    built = fl.LSTM.from_gates(summed)
    np.testing.assert_allclose(built(batch())[0], module(batch())[0], atol=1e-12)
    for k in "ifgo":
        np.testing.assert_array_equal(built.gates()[f"bias_ih_{k}"], gates[f"bias_{k}"])
        assert not built.gates()[f"bias_hh_{k}"].any()


def named(**changes: Any) -> dict[str, Any]:
    """The gates of a layer with some entries changed, or left out by None."""
    gates = {**layer("lstm", dtype="float32").gates(), **changes}
    return {name: value for name, value in gates.items() if value is not None}


@pytest.mark.parametrize(
    ("gates", "error", "message"),
    [
        (named(weight_hh_f=None), KeyError, r"missing \['weight_hh_f'\], unknown \[\]"),
        (named(weight_ih_i=None), KeyError, "'weight_ih_i' is missing"),
        (named(bias_hh_o=None), KeyError, r"missing \['bias_hh_o'\]"),
        (named(weight_ih_r=np.ones((9, 4))), KeyError, r"unknown \['weight_ih_r'\]"),
        (named(bias_f=np.ones(9)), ValueError, "bias_f and bias_ih_f, expected the sum or both"),
        (
            named(weight_ih_f=np.ones((9, 5))),
            ValueError,
            r"gates\['weight_ih_f'\] has shape \(9, 5\), expected \(9, 4\)",
        ),
        (named(weight_ih_i=np.ones(9)), ValueError, r"weight_ih_i has shape \(9,\)"),
        (named(bias_ih_g=np.full(9, np.nan)), ValueError, r"gates\['bias_ih_g'\]\[0\] is nan"),
        (named(bias_ih_g=np.full(9, "a")), TypeError, r"gates\['bias_ih_g'\] has dtype"),
        ([], ValueError, "gates has 0 dictionaries"),
        ([named(), named(bias_ih_i=None)], KeyError, r"gates\[1\]: missing \['bias_ih_i'\]"),
    ],
)
def test_wrong_entries_are_named(gates: Any, error: type[Exception], message: str) -> None:
    with pytest.raises(error, match=message):
        fl.LSTM.from_gates(gates)


def test_wrong_options_are_named() -> None:
    for name in ("forget_bias", "hidden_size", "num_layers", "proj_size"):
        with pytest.raises(TypeError, match=f"{name} is given, expected only gates"):
            fl.LSTM.from_gates(named(), **{name: 1})
    with pytest.raises(ValueError, match="1 dictionary, expected one for each direction"):
        fl.LSTM.from_gates([named()], bidirectional=True)


@pytest.mark.parametrize("kind", ["lstm", "lstm-proj"])
def test_all_steps_share_one_set_of_weights(backend_isa: str, kind: str) -> None:
    """T times the cell of the formulas, with the same dictionary, is the layer."""
    module = layer(kind)
    w, h, c = module.gates(), np.zeros((N, module._size)), np.zeros((N, H))
    outputs = []
    for x in batch():
        h, c = step(w, x, h, c)
        outputs.append(h)
    y, (h_n, c_n) = module(batch())
    np.testing.assert_allclose(y, outputs, atol=1e-12)
    np.testing.assert_allclose(h_n[0], h, atol=1e-12)
    np.testing.assert_allclose(c_n[0], c, atol=1e-12)


def test_the_gradient_of_a_shared_weight_is_the_sum_of_the_steps(backend_isa: str) -> None:
    """Each step gets weights of its own, equal ones: their gradients add up to the layer's."""
    module, x = layer("lstm"), batch()
    dy = np.random.default_rng(3).standard_normal((T, N, H))
    _, _, tape = module.forward(x)
    module.backward(tape, dy)
    steps = [fl.LSTM.from_gates(module.gates()) for _ in range(T)]
    tapes, state = [], None
    for one, x_t in zip(steps, x, strict=True):
        _, state, tape = one.forward(x_t[None], state)
        tapes.append(tape)
    dstate = None
    for one, tape, dy_t in reversed(list(zip(steps, tapes, dy, strict=True))):
        _, dstate = one.backward(tape, dy_t[None], dstate)
    shared = module.gates(grad=True)
    for name, gradient in shared.items():
        parts = [one.gates(grad=True)[name] for one in steps]
        np.testing.assert_allclose(gradient, sum(parts), atol=1e-12, err_msg=name)
        assert not np.allclose(gradient, parts[0])


@pytest.mark.parametrize("forget_bias", [None, 1.0])
def test_numbers_are_those_of_torch(backend_isa: str, forget_bias: float | None) -> None:
    """Outputs and the gradient of every gate, to 1e-6 in float32."""
    torch = pytest.importorskip("torch")
    rng = np.random.default_rng(0)
    module = fl.LSTM(I, H, rng=rng, forget_bias=forget_bias)
    theirs = torch.nn.LSTM(I, H)
    theirs.load_state_dict({k: torch.from_numpy(v) for k, v in module.state_dict().items()})
    x = batch().astype("float32")
    dy = (rng.standard_normal((T, N, H)) / (T * N)).astype("float32")  # as of a mean
    y, (h_n, c_n), tape = module.forward(x)
    dx, _ = module.backward(tape, dy)
    inputs = torch.from_numpy(x).requires_grad_()
    outputs, (h, c) = theirs(inputs)
    outputs.backward(torch.from_numpy(dy))
    pairs = {"y": (y, outputs), "h": (h_n, h), "c": (c_n, c), "dx": (dx, inputs.grad)}
    gradients = module.gates(grad=True)
    for part in ("weight_ih", "weight_hh", "bias_ih", "bias_hh"):
        by_gate = getattr(theirs, part + "_l0").grad.split(H)
        pairs |= {
            f"{part}_{k}": (gradients[f"{part}_{k}"], by_gate[i]) for i, k in enumerate("ifgo")
        }
    for name, (actual, expected) in pairs.items():
        np.testing.assert_allclose(actual, expected.detach(), rtol=0, atol=1e-6, err_msg=name)


def test_torch_tensors_make_a_layer() -> None:
    torch = pytest.importorskip("torch")
    theirs = torch.nn.LSTM(I, H, dtype=torch.float64)
    gates = {}
    for part in ("weight_ih", "weight_hh", "bias_ih", "bias_hh"):
        for k, value in zip("ifgo", getattr(theirs, part + "_l0").detach().split(H), strict=True):
            gates[f"{part}_{k}"] = value
    module = fl.LSTM.from_gates(gates)
    assert isinstance(module.gates(), Gates)
    y = theirs(torch.from_numpy(batch()))[0].detach()
    np.testing.assert_allclose(module(batch())[0], y, atol=1e-12)
