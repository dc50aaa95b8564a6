"""The LSTM layer against torch.nn.LSTM: values, gradients, state_dict both ways."""

from __future__ import annotations

from itertools import product
from typing import Any

import numpy as np
import pytest
from cases import F32, F64, TOLERANCE, Array, draw_lengths
from checks import assert_close

import fastlstm as fl

torch = pytest.importorskip("torch")
torch.set_num_threads(1)  # its workers spin after each call and slow what runs next
from torch.nn.utils.rnn import pack_padded_sequence, pad_packed_sequence  # noqa: E402

T, N, I, H = 7, 6, 5, 17  # noqa: E741
OPTIONS = [
    {"num_layers": layers, "bidirectional": both, "bias": bias, "batch_first": batch_first}
    for layers, both, bias, batch_first in product(
        (1, 2, 3), (False, True), (True, False), (False, True)
    )
]


def name_of(options: dict[str, Any]) -> str:
    return "-".join([f"L{options['num_layers']}", *(k for k, v in options.items() if v is True)])


def pair(options: dict[str, Any], dtype: np.dtype[Any]) -> tuple[Any, fl.LSTM]:
    """A torch layer and one of ours with its weights."""
    torch.manual_seed(0)
    theirs = torch.nn.LSTM(I, H, **options).to(getattr(torch, dtype.name))
    ours = fl.LSTM(I, H, dtype=dtype, **options)
    ours.load_state_dict(theirs.state_dict())
    return theirs, ours


def inputs(options: dict[str, Any], dtype: np.dtype[Any]) -> tuple[Array, Array, Array]:
    rng = np.random.default_rng(1)
    states = options["num_layers"] * (1 + options["bidirectional"])
    x = rng.standard_normal((N, T, I) if options["batch_first"] else (T, N, I))
    h_0, c_0 = rng.standard_normal((2, states, N, H))
    return x.astype(dtype), h_0.astype(dtype), c_0.astype(dtype)


def run_torch(module: Any, arrays: tuple[Array, ...], lengths: Array | None) -> dict[str, Array]:
    """Outputs and gradients of a fixed weighted sum of all outputs."""
    x, h_0, c_0 = leaves = [torch.tensor(a, requires_grad=True) for a in arrays]
    batch_first = module.batch_first
    if lengths is None:
        y, (h_n, c_n) = module(x, (h_0, c_0))
    else:
        packed = pack_padded_sequence(
            x, torch.tensor(lengths), batch_first=batch_first, enforce_sorted=False
        )
        packed_y, (h_n, c_n) = module(packed, (h_0, c_0))
        y, _ = pad_packed_sequence(packed_y, batch_first=batch_first, total_length=T)
    outputs = (y, h_n, c_n)
    weights = loss_weights([o.detach().numpy() for o in outputs])
    sum((o * torch.tensor(w)).sum() for o, w in zip(outputs, weights, strict=True)).backward()
    results = dict(zip(("y", "h_n", "c_n"), (o.detach().numpy() for o in outputs), strict=True))
    gradients = (leaf.grad.numpy() for leaf in leaves)
    results.update(zip(("dx", "dh_0", "dc_0"), gradients, strict=True))
    results.update((f"d{k}", p.grad.numpy()) for k, p in module.named_parameters())
    return results


def run_ours(module: fl.LSTM, arrays: tuple[Array, ...], lengths: Array | None) -> dict[str, Array]:
    x, h_0, c_0 = arrays
    y, (h_n, c_n), tape = module.forward(x, (h_0, c_0), lengths=lengths)
    dy, dh_n, dc_n = loss_weights([y, h_n, c_n])
    dx, (dh_0, dc_0) = module.backward(tape, dy, (dh_n, dc_n))
    results = {"y": y, "h_n": h_n, "c_n": c_n, "dx": dx, "dh_0": dh_0, "dc_0": dc_0}
    results.update((f"d{k}", p.grad) for k, p in module.named_parameters())
    return results


def loss_weights(outputs: list[Array]) -> list[Array]:
    rng = np.random.default_rng(2)
    return [rng.standard_normal(o.shape).astype(o.dtype) for o in outputs]


def assert_equal_to_torch(options: dict[str, Any], dtype: np.dtype[Any], ragged: bool) -> None:
    theirs, ours = pair(options, dtype)
    lengths = None
    if ragged:  # torch refuses rows without steps
        lengths = np.maximum(draw_lengths(np.random.default_rng(3), T, N), 1)
    arrays = inputs(options, dtype)
    expected, actual = run_torch(theirs, arrays, lengths), run_ours(ours, arrays, lengths)
    assert actual.keys() == expected.keys()
    for name, value in actual.items():
        kind = "output" if name in ("y", "h_n", "c_n") else "gradient"
        tolerance = TOLERANCE["torch" if dtype == F64 else kind, dtype]
        assert value.dtype == dtype
        assert_close(value, expected[name], tolerance, name)


@pytest.mark.parametrize("ragged", [False, True], ids=["full", "ragged"])
@pytest.mark.parametrize("options", OPTIONS, ids=name_of)
def test_float64(backend_isa: str, options: dict[str, Any], ragged: bool) -> None:
    assert_equal_to_torch(options, F64, ragged)


@pytest.mark.parametrize("ragged", [False, True], ids=["full", "ragged"])
@pytest.mark.parametrize("options", OPTIONS[::5], ids=name_of)
def test_float32(backend_isa: str, options: dict[str, Any], ragged: bool) -> None:
    assert_equal_to_torch(options, F32, ragged)


@pytest.mark.parametrize("options", OPTIONS, ids=name_of)
def test_torch_loads_our_state_dict(options: dict[str, Any]) -> None:
    theirs, _ = pair(options, F64)
    ours = fl.LSTM(I, H, dtype="float64", **options)
    state = {name: torch.from_numpy(value) for name, value in ours.state_dict().items()}
    assert list(state) == list(theirs.state_dict())
    theirs.load_state_dict(state)
    x, h_0, c_0 = inputs(options, F64)
    with torch.no_grad():
        expected, _ = theirs(torch.tensor(x), (torch.tensor(h_0), torch.tensor(c_0)))
    actual, _ = ours(x, (h_0, c_0))
    assert_close(actual, expected.numpy(), TOLERANCE["torch", F64], "y")


@pytest.mark.parametrize("batch_first", [False, True])
def test_a_sequence_without_batch_axis(backend_isa: str, batch_first: bool) -> None:
    options = {
        "num_layers": 2, "bidirectional": True, "bias": True, "batch_first": batch_first
    }  # fmt: skip
    theirs, ours = pair(options, F64)
    rng = np.random.default_rng(4)
    arrays = (rng.standard_normal((T, I)), *rng.standard_normal((2, 4, H)))
    expected, actual = run_torch(theirs, arrays, None), run_ours(ours, arrays, None)
    for name, value in actual.items():
        assert_close(value, expected[name], TOLERANCE["torch", F64], name)


@pytest.mark.parametrize("bias", [True, False])
def test_cell(backend_isa: str, bias: bool) -> None:
    theirs = torch.nn.LSTMCell(I, H, bias).double()
    ours = fl.LSTMCell(I, H, bias, dtype="float64")
    ours.load_state_dict(theirs.state_dict())
    rng = np.random.default_rng(5)
    x, h, c = rng.standard_normal((N, I)), *rng.standard_normal((2, N, H))
    leaves = [torch.tensor(a, requires_grad=True) for a in (x, h, c)]
    outputs = theirs(leaves[0], (leaves[1], leaves[2]))
    h_1, c_1, tape = ours.forward(x, (h, c))
    weights = loss_weights([h_1, c_1])
    sum((o * torch.tensor(w)).sum() for o, w in zip(outputs, weights, strict=True)).backward()
    dx, (dh, dc) = ours.backward(tape, tuple(weights))
    actual = [h_1, c_1, dx, dh, dc, *(p.grad for p in ours.parameters())]
    expected = [*outputs, *(leaf.grad for leaf in leaves), *(p.grad for p in theirs.parameters())]
    assert len(actual) == len(expected)
    for k, (a, e) in enumerate(zip(actual, expected, strict=True)):
        assert_close(a, e.detach().numpy(), TOLERANCE["torch", F64], f"result {k}")


def test_defaults_are_torchs() -> None:
    theirs, ours = torch.nn.LSTM(2, 3), fl.LSTM(2, 3)
    for name in ("num_layers", "bias", "batch_first", "dropout", "bidirectional"):
        assert getattr(ours, name) == getattr(theirs, name), name
