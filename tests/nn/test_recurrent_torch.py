"""Recurrent layers and cells against torch.nn: values, gradients, state_dict both ways."""

from __future__ import annotations

from functools import cache
from itertools import product
from typing import Any

import numpy as np
import pytest
from cases import F32, F64, TOLERANCE, Array, draw_lengths
from checks import assert_close
from kinds import CELL_KINDS, KINDS, like, parts

import fastlstm as fl

torch = pytest.importorskip("torch")
torch.set_num_threads(1)  # its workers spin after each call and slow what runs next
from torch.nn.utils.rnn import pack_padded_sequence, pad_packed_sequence  # noqa: E402

pytestmark = [
    pytest.mark.pairs,
    pytest.mark.filterwarnings("ignore:LSTM with projections is not supported with oneDNN"),
]

T, N, I, H = 7, 6, 5, 17
OPTIONS = [
    {"num_layers": layers, "bidirectional": both, "bias": bias, "batch_first": batch_first}
    for layers, both, bias, batch_first in product(
        (1, 2, 3), (False, True), (True, False), (False, True)
    )
]
# torch's class and the options of the kinds that torch has: all but the other GRU, whose test
# is in test_gru.py.
THEIRS: dict[str, tuple[Any, dict[str, Any]]] = {
    "lstm": (torch.nn.LSTM, {}),
    "lstm-proj": (torch.nn.LSTM, {"proj_size": 5}),
    "gru": (torch.nn.GRU, {}),
    "rnn-tanh": (torch.nn.RNN, {}),
    "rnn-relu": (torch.nn.RNN, {"nonlinearity": "relu"}),
}
THEIR_CELLS: dict[str, tuple[Any, dict[str, Any]]] = {
    "lstm": (torch.nn.LSTMCell, {}),
    "gru": (torch.nn.GRUCell, {}),
    "rnn-tanh": (torch.nn.RNNCell, {}),
    "rnn-relu": (torch.nn.RNNCell, {"nonlinearity": "relu"}),
}
each_kind = pytest.mark.parametrize("kind", THEIRS)


def name_of(options: dict[str, Any]) -> str:
    return "-".join([f"L{options['num_layers']}", *(k for k, v in options.items() if v is True)])


def pair(kind: str, options: dict[str, Any], dtype: np.dtype[Any]) -> tuple[Any, Any]:
    """A torch layer and one of ours with its weights."""
    torch.default_generator.manual_seed(0)
    cls, own = THEIRS[kind]
    theirs = cls(I, H, **own, **options).to(getattr(torch, dtype.name))
    cls, own = KINDS[kind]
    ours = cls(I, H, dtype=dtype, **own, **options)
    ours.load_state_dict(theirs.state_dict())
    return theirs, ours


def inputs(module: Any) -> tuple[Array, ...]:
    """x, h_0 and, of an LSTM, c_0."""
    rng = np.random.default_rng(1)
    x = rng.standard_normal((N, T, I) if module.batch_first else (T, N, I))
    K = module.num_layers * (1 + module.bidirectional)
    states = [rng.standard_normal((K, N, size)) for size in module._state_sizes()]
    return tuple(a.astype(module.dtype) for a in (x, *states))


def run_torch(module: Any, arrays: tuple[Array, ...], lengths: Array | None) -> dict[str, Array]:
    """Outputs and gradients of a fixed weighted sum of all outputs."""
    leaves = [torch.tensor(a, requires_grad=True) for a in arrays]
    x, state = leaves[0], tuple(leaves[1:]) if len(leaves) > 2 else leaves[1]
    batch_first = module.batch_first
    if lengths is None:
        y, state_n = module(x, state)
    else:
        packed = pack_padded_sequence(
            x, torch.tensor(lengths), batch_first=batch_first, enforce_sorted=False
        )
        packed_y, state_n = module(packed, state)
        y, _ = pad_packed_sequence(packed_y, batch_first=batch_first, total_length=T)
    outputs = (y, *state_n) if len(leaves) > 2 else (y, state_n)
    weights = loss_weights([o.detach().numpy() for o in outputs])
    sum((o * torch.tensor(w)).sum() for o, w in zip(outputs, weights, strict=True)).backward()
    results = dict(zip(("y", "h_n", "c_n"), (o.detach().numpy() for o in outputs), strict=False))
    gradients = (leaf.grad.numpy() for leaf in leaves)
    results.update(zip(("dx", "dh_0", "dc_0"), gradients, strict=False))
    results.update((f"d{k}", p.grad.numpy()) for k, p in module.named_parameters())
    return results


@cache
def torch_results(
    kind: str, options: tuple[tuple[str, Any], ...], dtype: np.dtype[Any], lengths: bytes | None
) -> dict[str, Array]:
    """`run_torch` of a pair's layer, once for all backends of a process."""
    theirs, ours = pair(kind, dict(options), dtype)
    counts = None if lengths is None else np.frombuffer(lengths, np.int64)
    return run_torch(theirs, inputs(ours), counts)


def run_ours(module: Any, arrays: tuple[Array, ...], lengths: Array | None) -> dict[str, Array]:
    x, *state = arrays
    y, state_n, tape = module.forward(x, like(module, state), lengths=lengths)
    dy, *d_n = loss_weights([y, *parts(state_n)])
    dx, d_0 = module.backward(tape, dy, like(module, d_n))
    results = {"y": y, **dict(zip(("h_n", "c_n"), parts(state_n), strict=False)), "dx": dx}
    results.update(zip(("dh_0", "dc_0"), parts(d_0), strict=False))
    results.update((f"d{k}", p.grad) for k, p in module.named_parameters())
    return results


def loss_weights(outputs: list[Array]) -> list[Array]:
    rng = np.random.default_rng(2)
    return [rng.standard_normal(o.shape).astype(o.dtype) for o in outputs]


def assert_equal_to_torch(
    kind: str, options: dict[str, Any], dtype: np.dtype[Any], ragged: bool
) -> None:
    _, ours = pair(kind, options, dtype)
    lengths = None
    if ragged:  # torch refuses rows without steps
        lengths = np.maximum(draw_lengths(np.random.default_rng(3), T, N), 1)
    given = None if lengths is None else lengths.tobytes()
    expected = torch_results(kind, tuple(options.items()), dtype, given)
    actual = run_ours(ours, inputs(ours), lengths)
    assert actual.keys() == expected.keys()
    for name, value in actual.items():
        output = name in ("y", "h_n", "c_n")
        tolerance = TOLERANCE[
            "torch" if dtype == F64 else "output" if output else "gradient", dtype
        ]
        assert value.dtype == dtype
        assert_close(value, expected[name], tolerance, name)


@pytest.mark.parametrize("ragged", [False, True], ids=["full", "ragged"])
@pytest.mark.parametrize("options", OPTIONS, ids=name_of)
@each_kind
def test_float64(backend_isa: str, kind: str, options: dict[str, Any], ragged: bool) -> None:
    assert_equal_to_torch(kind, options, F64, ragged)


@pytest.mark.parametrize("ragged", [False, True], ids=["full", "ragged"])
@pytest.mark.parametrize("options", OPTIONS[::5], ids=name_of)
@each_kind
def test_float32(backend_isa: str, kind: str, options: dict[str, Any], ragged: bool) -> None:
    assert_equal_to_torch(kind, options, F32, ragged)


@pytest.mark.parametrize("options", OPTIONS, ids=name_of)
@each_kind
def test_torch_loads_our_state_dict(kind: str, options: dict[str, Any]) -> None:
    theirs, _ = pair(kind, options, F64)
    cls, own = KINDS[kind]
    ours = cls(I, H, dtype="float64", **own, **options)
    state = {name: torch.from_numpy(value) for name, value in ours.state_dict().items()}
    assert list(state) == list(theirs.state_dict())
    theirs.load_state_dict(state)
    x, *states = inputs(ours)
    with torch.no_grad():
        given = [torch.tensor(s) for s in states]
        expected, _ = theirs(torch.tensor(x), tuple(given) if len(given) > 1 else given[0])
    actual, _ = ours(x, like(ours, states))
    assert_close(actual, expected.numpy(), TOLERANCE["torch", F64], "y")


@pytest.mark.parametrize("batch_first", [False, True])
@each_kind
def test_a_sequence_without_batch_axis(backend_isa: str, kind: str, batch_first: bool) -> None:
    theirs, ours = pair(
        kind, {"num_layers": 2, "bidirectional": True, "batch_first": batch_first}, F64
    )
    rng = np.random.default_rng(4)
    states = [rng.standard_normal((4, size)) for size in ours._state_sizes()]
    arrays = (rng.standard_normal((T, I)), *states)
    expected, actual = run_torch(theirs, arrays, None), run_ours(ours, arrays, None)
    for name, value in actual.items():
        assert_close(value, expected[name], TOLERANCE["torch", F64], name)


@pytest.mark.parametrize("bias", [True, False])
@pytest.mark.parametrize("single", [False, True], ids=["batch", "one row"])
@pytest.mark.parametrize("kind", THEIR_CELLS)
def test_cell(backend_isa: str, kind: str, single: bool, bias: bool) -> None:
    cls, own = THEIR_CELLS[kind]
    theirs = cls(I, H, bias, **own).double()
    cls, own = CELL_KINDS[kind]
    ours = cls(I, H, bias, dtype="float64", **own)
    ours.load_state_dict(theirs.state_dict())
    rng, rows = np.random.default_rng(5), () if single else (N,)
    x, *states = rng.standard_normal((*rows, I)), *rng.standard_normal((2, *rows, H))
    states = states[: len(ours._cell.states)]
    leaves = [torch.tensor(a, requires_grad=True) for a in (x, *states)]
    found = theirs(leaves[0], tuple(leaves[1:]) if len(states) > 1 else leaves[1])
    outputs = found if len(states) > 1 else (found,)
    *after, tape = ours.forward(x, like(ours, states))
    weights = loss_weights(after)
    sum((o * torch.tensor(w)).sum() for o, w in zip(outputs, weights, strict=True)).backward()
    dx, d_0 = ours.backward(tape, like(ours, weights))
    d_0 = d_0 if len(states) > 1 else [d_0]
    actual = [*after, dx, *d_0, *(p.grad for p in ours.parameters())]
    expected = [*outputs, *(leaf.grad for leaf in leaves), *(p.grad for p in theirs.parameters())]
    for k, (a, e) in enumerate(zip(actual, expected, strict=True)):
        assert_close(a, e.detach().numpy(), TOLERANCE["torch", F64], f"result {k}")


@pytest.mark.parametrize("name", ["LSTM", "GRU", "RNN", "LSTMCell", "GRUCell", "RNNCell"])
def test_defaults_are_torchs(name: str) -> None:
    theirs, ours = getattr(torch.nn, name)(2, 3), getattr(fl, name)(2, 3)
    options = ["input_size", "hidden_size", "bias"]
    if not name.endswith("Cell"):
        options += ["num_layers", "batch_first", "dropout", "bidirectional", "proj_size"]
    if name.startswith("RNN"):
        options.append("nonlinearity")
    for option in options:
        assert getattr(ours, option) == getattr(theirs, option), option


def test_arguments_are_in_torchs_order() -> None:
    given = (3, 4, 2, "relu", False, True, 0.25, True)
    theirs, ours = torch.nn.RNN(*given), fl.RNN(*given)
    for option in ("num_layers", "nonlinearity", "bias", "batch_first", "dropout", "bidirectional"):
        assert getattr(ours, option) == getattr(theirs, option), option
    assert fl.RNNCell(3, 4, False, "relu").nonlinearity == "relu"
    lstm = (3, 4, 2, False, True, 0.25, True, 2)
    theirs, ours = torch.nn.LSTM(*lstm), fl.LSTM(*lstm)
    for option in ("num_layers", "bias", "batch_first", "dropout", "bidirectional", "proj_size"):
        assert getattr(ours, option) == getattr(theirs, option), option
    theirs, ours = torch.nn.GRU(*lstm[:-1]), fl.GRU(*lstm[:-1])
    for option in ("num_layers", "bias", "batch_first", "dropout", "bidirectional"):
        assert getattr(ours, option) == getattr(theirs, option), option
