"""`precision=` of modules and cells, of `accelerate` and in `explain`."""

from __future__ import annotations

import copy
import pickle
import re
from typing import Any

import numpy as np
import pytest
from dropin import CELLS, QUIET, SEQUENCES, fresh, ft, packed, results, tensors, torch
from torch import nn

import fastlstm
from fastlstm import kernels
from fastlstm.kernels import Call, Weights
from fastlstm.kernels.rows import Rows, full_rows

T, N, I, H = 6, 5, 19, 23
LOWER = "bfloat16", "int8"
# Of outputs and of gradients: the largest error relative to the largest value.
OUTPUT = {"bfloat16": 0.02, "int8": 0.05}
GRADIENT = 0.04
ALL = [
    *(pytest.param(name, {}, id=name) for name in (*SEQUENCES, *CELLS)),
    pytest.param("RNN", {"nonlinearity": "relu"}, id="relu"),
    pytest.param("LSTM", {"num_layers": 2, "bidirectional": True}, id="stacked"),
    pytest.param("GRU", {"bias": False, "batch_first": True}, id="GRU-unbiased"),
    pytest.param("LSTM", {"proj_size": 7}, id="projected", marks=QUIET),
]


def made(name: str, precision: str = "float32", **options: Any) -> Any:
    torch.manual_seed(0)
    return getattr(ft, name)(I, H, precision=precision, **options)


def input_of(name: str) -> Any:
    shape = (N, I) if name in CELLS else (T, N, I)
    return torch.randn(shape, generator=torch.Generator().manual_seed(1))


def run(module: Any, *args: Any, **options: Any) -> list[Any]:
    with torch.no_grad():
        return list(tensors(module(*args, **options)))


def assert_equal(actual: list[Any], expected: list[Any]) -> None:
    assert len(actual) == len(expected)
    for a, b in zip(actual, expected, strict=True):
        assert torch.equal(a, b)


def error(actual: Any, expected: Any) -> float:
    return float((actual - expected).abs().max() / expected.abs().max())


def of_kernel(module: Any, x: Any, precision: str, rows: Rows | None = None) -> Any:
    """y of the first layer from the kernels, which other tests hold to their definition."""
    name = getattr(module, "mode", type(module).__name__.removesuffix("Cell")).lower()
    cell = kernels.CELLS["rnn_tanh" if name == "rnn" else name]
    five = [module._parameters[n].detach().numpy() for n in list(module._parameters)[:4]]
    inputs = x.numpy().reshape(-1, x.shape[-2], I)
    rows = rows or full_rows(*inputs.shape[:2])
    state = tuple(np.zeros((rows.N, H), "float32") for _ in cell.states)
    y = np.empty((*inputs.shape[:2], H), "float32")
    kernels.backend("native").forward(
        cell, Call(inputs, state, Weights(*five), rows, y, precision=precision)
    )
    return y


@pytest.mark.parametrize("precision", LOWER)
@pytest.mark.parametrize("name", [*SEQUENCES, *CELLS])
def test_the_products_are_those_of_the_kernels(name: str, precision: str) -> None:
    module, x = made(name, precision), input_of(name)
    y = run(module, x)[0]
    np.testing.assert_array_equal(y.numpy(), of_kernel(module, x, precision).reshape(y.shape))
    exact = run(made(name), x)[0]
    assert 1e-5 < error(y, exact) < OUTPUT[precision]


@pytest.mark.parametrize(("name", "options"), ALL)
@pytest.mark.parametrize("precision", LOWER)
def test_near_float32(name: str, options: dict[str, Any], precision: str) -> None:
    x = input_of(name)
    for y, exact in zip(
        run(made(name, precision, **options), x), run(made(name, **options), x), strict=True
    ):
        assert 0 < error(y, exact) < OUTPUT[precision]


@pytest.mark.parametrize(("name", "options"), ALL)
def test_float32_is_the_default_to_the_bit(name: str, options: dict[str, Any]) -> None:
    x = input_of(name)
    torch.manual_seed(0)
    usual = getattr(ft, name)(I, H, **options)
    assert usual.precision == "float32"
    changed = made(name, "int8", **options)
    changed.precision = "float32"
    assert_equal(run(changed, x), run(usual, x))


# relu's derivative jumps where a unit is near zero: there is no bound for its gradients
@pytest.mark.parametrize(("name", "options"), [p for p in ALL if p.id != "relu"])
def test_bfloat16_has_gradients(name: str, options: dict[str, Any]) -> None:
    given = [input_of(name)]
    if name in CELLS:  # with a state that is not zero: the recurrent weights have a gradient then
        h = torch.linspace(-0.9, 0.9, N * H).view(N, H)
        given.append((h, 2 * h) if name == "LSTMCell" else h)
    _, actual = results(made(name, "bfloat16", **options), *given)
    _, expected = results(made(name, **options), *given)
    for key in expected:
        assert 0 < error(actual[key], expected[key]) < GRADIENT, key


@pytest.mark.parametrize("precision", LOWER)
@pytest.mark.parametrize("name", [*SEQUENCES, *CELLS])
def test_a_row_depends_on_no_other(name: str, precision: str) -> None:
    module, x = made(name, precision), input_of(name)
    whole = run(module, x)[0]
    x = x.clone()
    x[..., 1:, :] = 1e6
    x[..., 2, :] = float("nan")
    assert torch.equal(run(module, x)[0][..., :1, :], whole[..., :1, :])
    assert torch.equal(run(module, x[..., :1, :])[0], whole[..., :1, :])


@pytest.mark.parametrize("precision", LOWER)
@pytest.mark.parametrize("name", SEQUENCES)
def test_packed_padded_and_split_are_equal(name: str, precision: str) -> None:
    module, x, lengths = made(name, precision), input_of(name), [3, 6, 1, 4, 2]
    y, *ends = run(module, x, lengths=lengths)
    data, *packed_ends = run(module, packed(x, lengths))
    assert_equal(packed_ends, ends)
    assert torch.equal(packed(y, lengths).data, data)
    whole, *_ = run(module, x)
    with torch.no_grad():
        first, state = module(x[:2])
        second, _ = module(x[2:], state)
    assert torch.equal(torch.cat([first, second]), whole)


@pytest.mark.parametrize("precision", LOWER)
@pytest.mark.parametrize("name", ["LSTM", "GRU", "RNN"])
def test_steps_of_a_cell_are_the_sequence(name: str, precision: str) -> None:
    module, cell, x = made(name, precision), made(f"{name}Cell", precision), input_of(name)
    state = {k.removesuffix("_l0"): v for k, v in module.state_dict().items()}
    cell.load_state_dict(state)
    hx, steps = None, []
    with torch.no_grad(), ft.fixed_weights(cell):
        for t in range(T):
            hx = cell(x[t], hx)
            steps.append(next(tensors(hx)))
    assert torch.equal(torch.stack(steps), run(module, x)[0])


@pytest.mark.parametrize("name", [*SEQUENCES, *CELLS])
def test_int8_has_no_gradients(name: str) -> None:
    module, x = made(name, "int8"), input_of(name)
    say = f"{name}: precision is 'int8', which is for inference alone"
    with pytest.raises(ValueError, match=say):
        module(x)
    with pytest.raises(ValueError, match=say):
        ft.explain(module, x)
    module.requires_grad_(False)
    y = next(tensors(module(x)))
    assert not y.requires_grad
    with pytest.raises(ValueError, match=say):
        module(fresh(x))
    with torch.inference_mode():
        assert torch.equal(next(tensors(module(x))), y)


@pytest.mark.parametrize("name", ["LSTM", "GRUCell"])
def test_the_option_is_checked(name: str) -> None:
    say = "precision is 'half', expected one of float32, bfloat16, int8"
    with pytest.raises(ValueError, match=say):
        made(name, "half")
    module = made(name, "int8")
    for wrong in ("half", None, torch.bfloat16):
        with pytest.raises(ValueError, match="expected one of float32, bfloat16, int8"):
            module.precision = wrong
        assert module.precision == "int8"
    double = re.escape("precision is 'int8' with arrays of float64, expected 'float32'")
    with pytest.raises(ValueError, match=double):
        made(name, "int8", dtype=torch.float64)
    with pytest.raises(ValueError, match=double):
        made(name).double().precision = "int8"
    module.double()
    with torch.no_grad(), pytest.raises(ValueError, match=double):
        module(input_of(name).double())
    module.precision = "float32"
    run(module, input_of(name).double())


def test_weights_that_are_not_finite() -> None:
    module = made("LSTM", "int8", num_layers=2)
    with torch.no_grad():
        module.weight_hh_l1[3, 2] = float("nan")
    say = re.escape("LSTM: layer 1: w_hh[3, 2] is nan, expected finite numbers in int8")
    with pytest.raises(ValueError, match=say):
        run(module, input_of("LSTM"))
    module.precision = "bfloat16"
    assert run(module, input_of("LSTM"))[0].isnan().any()


def test_it_is_shown_copied_and_pickled() -> None:
    module, x = made("LSTM", "int8"), input_of("LSTM")
    assert repr(module) == f"LSTM({I}, {H}, precision=int8)"
    assert repr(made("LSTM")) == f"LSTM({I}, {H})"
    assert repr(made("GRUCell", "bfloat16")) == f"GRUCell({I}, {H}, precision=bfloat16)"
    assert module.state_dict().keys() == made("LSTM").state_dict().keys()
    for other in (copy.deepcopy(module), pickle.loads(pickle.dumps(module))):
        assert other.precision == "int8"
        assert_equal(run(other, x), run(module, x))


@pytest.mark.parametrize("name", ["LSTM", "GRU", "LSTMCell"])
def test_autocast_keeps_the_precision(name: str) -> None:
    x = input_of(name)
    with torch.autocast("cpu", dtype=torch.bfloat16):
        low = run(made(name, "int8"), x)
        usual = run(made(name), x)
    for a, b, y in zip(low, usual, run(made(name, "int8"), x), strict=True):
        assert a.dtype == b.dtype
        assert torch.equal(a, y.to(a.dtype))


def test_gradients_of_gradients_are_torchs() -> None:
    grads = []
    for precision in ("bfloat16", "float32"):
        module, x = made("GRU", precision), fresh(input_of("GRU"))
        (dx,) = torch.autograd.grad(module(x)[0].sum(), x, create_graph=True)
        grads.append(torch.autograd.grad(dx.square().sum(), x)[0])
    assert torch.equal(grads[0], grads[1])


class Mixed(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.rnn, self.cell, self.out = nn.LSTM(I, H), nn.GRUCell(H, H), nn.Linear(H, 2)

    def forward(self, x: Any) -> Any:
        return self.out(self.cell(self.rnn(x)[0][-1]))


def test_accelerate() -> None:
    model, x = Mixed(), input_of("LSTM")
    exact = run(model, x)[0]
    assert ft.accelerate(model, "int8").swapped == {"rnn": "LSTM", "cell": "GRUCell"}
    assert [m.precision for m in (model.rnn, model.cell)] == ["int8", "int8"]
    assert 1e-6 < error(run(model, x)[0], exact) < OUTPUT["int8"]
    assert not ft.accelerate(model).swapped  # None leaves what is set
    assert model.rnn.precision == "int8"
    ft.accelerate(model, precision="bfloat16")
    assert [m.precision for m in (model.rnn, model.cell)] == ["bfloat16", "bfloat16"]
    model(x).sum().backward()
    ft.restore(model)
    assert not hasattr(model.rnn, "precision")
    ft.accelerate(model)
    assert model.rnn.precision == "float32"


def test_accelerate_all_or_none() -> None:
    model = Mixed()
    model.cell.double()
    say = "^cell: precision is 'int8' with arrays of float64"
    with pytest.raises(ValueError, match=say):
        ft.accelerate(model, "int8")
    assert type(model.rnn) is nn.LSTM
    with pytest.raises(ValueError, match="precision is 'int4', expected one of"):
        ft.accelerate(nn.Linear(2, 2), "int4")


def test_explain_says_it() -> None:
    module, x = made("LSTM", "int8"), input_of("LSTM")
    with torch.no_grad():
        told = ft.explain(module, x)
    assert told.precision == "int8"
    assert "precision int8\n" in str(told)
    module.precision = "float32"
    assert ft.explain(module, x).precision == "float32"
    module.precision = "int8"
    assert ft.explain(module, x[:, :0]).precision == "float32"  # of torch's own operations


def test_any_number_of_threads_gives_the_same_bits() -> None:
    before = fastlstm.get_num_threads()
    for precision in LOWER:
        module, x = made("LSTM", precision, num_layers=2), torch.randn(9, 33, I)
        found = []
        try:
            for threads in (1, 2):
                fastlstm.set_num_threads(threads)
                found.append(run(module, x))
        finally:
            fastlstm.set_num_threads(before)
        assert_equal(*found)
