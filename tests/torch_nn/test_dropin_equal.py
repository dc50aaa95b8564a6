"""Every option of the sequence modules against torch's: values, gradients, layouts, dropout."""

from __future__ import annotations

from itertools import product
from typing import Any

import pytest
from dropin import (
    F32,
    F64,
    QUIET,
    SEQUENCES,
    assert_alike,
    assert_close,
    fresh,
    packed,
    pair,
    results,
    tensors,
    torch,
)

from fastlstm import kernels

pytestmark = QUIET
T, N, I, H = 7, 4, 5, 17
KINDS = [
    ("LSTM", {}),
    ("LSTM", {"proj_size": 6}),
    ("GRU", {}),
    ("RNN", {}),
    ("RNN", {"nonlinearity": "relu"}),
]
OPTIONS = [
    {"num_layers": layers, "bidirectional": both, "bias": bias, "batch_first": first}
    for layers, both, bias, first in product((1, 2), (False, True), (True, False), (False, True))
]
LENGTHS = [3, 7, 1, 5]


def kind_id(kind: Any) -> str:
    return "-".join([kind[0], *(str(v) for v in kind[1].values())])


def draw(*shape: int, dtype: Any = F64, seed: int = 5) -> Any:
    return torch.randn(shape, generator=torch.Generator().manual_seed(seed), dtype=dtype)


def make(kind: Any, options: dict[str, Any], dtype: Any = F64) -> tuple[Any, Any]:
    """torch's module and ours, from the same seed."""
    return pair(kind[0], I, H, dtype=dtype, **kind[1], **options)


def state(module: Any, rows: tuple[int, ...] = (N,), dtype: Any = F64) -> Any:
    """An initial state for a module."""
    count = module.num_layers * (2 if module.bidirectional else 1)
    h = draw(count, *rows, module.proj_size or H, dtype=dtype, seed=6)
    return (h, draw(count, *rows, H, dtype=dtype, seed=7)) if module.mode == "LSTM" else h


each_kind = pytest.mark.parametrize("kind", KINDS, ids=kind_id)


@each_kind
@pytest.mark.parametrize("options", OPTIONS, ids=lambda o: "-".join(map(str, o.values())))
def test_all_options(kind: Any, options: dict[str, Any]) -> None:
    theirs, ours = make(kind, options)
    assert repr(ours) == repr(theirs)
    x = draw(N, T, I) if options["batch_first"] else draw(T, N, I)
    inputs = (
        x,
        draw(T, I),
        packed(x, LENGTHS, batch_first=options["batch_first"]),
        packed(x, sorted(LENGTHS, reverse=True), batch_first=options["batch_first"], sort=True),
        packed(x, [T] * N, batch_first=options["batch_first"]),
    )
    for k, value in enumerate(inputs):
        assert_alike(ours, theirs, value)
        assert_alike(ours, theirs, value, state(ours, () if k == 1 else (N,)))


@each_kind
@pytest.mark.parametrize("dtype", [F32, F64], ids=str)
def test_every_backend(kind: Any, dtype: Any, backend_isa: str) -> None:
    theirs, ours = make(kind, {"num_layers": 2, "bidirectional": True}, dtype)
    x = draw(T, N, I, dtype=dtype)
    assert_alike(ours, theirs, x, state(ours, dtype=dtype))
    assert_alike(ours, theirs, packed(x, LENGTHS), state(ours, dtype=dtype))


@each_kind
@pytest.mark.parametrize("form", ["padded", "batch_first", "packed"])
def test_dropout_draws_what_torch_draws(kind: Any, form: str) -> None:
    options = {"num_layers": 3, "dropout": 0.5, "bidirectional": True}
    theirs, ours = make(kind, {**options, "batch_first": form == "batch_first"})
    x = draw(N, T, I) if form == "batch_first" else draw(T, N, I)
    x = packed(x, LENGTHS) if form == "packed" else x
    assert_alike(ours, theirs, x)
    assert not torch.equal(*(results(ours, x, seed=seed)[0]["y0"] for seed in (1, 2)))
    assert_alike(ours.eval(), theirs.eval(), x)
    assert torch.equal(*(next(tensors(ours(x))) for _ in range(2)))


@pytest.mark.parametrize("p", [0.0, 1.0])
def test_dropout_of_none_and_of_all(p: float) -> None:
    theirs, ours = make(KINDS[0], {"num_layers": 2, "dropout": p})
    assert_alike(ours, theirs, draw(T, N, I))


@each_kind
def test_lengths_equal_a_packed_sequence(kind: Any) -> None:
    for options in OPTIONS[::3]:
        theirs, ours = make(kind, options)
        x = draw(N, T, I) if options["batch_first"] else draw(T, N, I)
        p = packed(x, LENGTHS, batch_first=options["batch_first"])
        y, *ends = tensors(ours(x, state(ours), lengths=torch.tensor(LENGTHS)))
        expected, expected_ends = theirs(p, state(ours))
        expected_y, _ = torch.nn.utils.rnn.pad_packed_sequence(
            expected, options["batch_first"], total_length=T
        )
        assert_close(y, expected_y, 1e-10, "y")
        for end, e in zip(ends, tensors(expected_ends), strict=True):
            assert_close(end, e, 1e-10, "state")


@each_kind
def test_lengths_of_zero(kind: Any) -> None:
    """A row of no steps: zeros, its own initial state, gradient one for that; others unmoved."""
    _, ours = make(kind, {"num_layers": 2, "bidirectional": True})
    x, start = draw(T, N, I), state(ours)
    outputs, gradients = results(ours, x, start, lengths=[3, 0, T, 0])
    hx = list(tensors(start))
    assert not outputs["y0"][:, [1, 3]].any()
    for k, value in enumerate(hx):
        torch.testing.assert_close(outputs[f"y{k + 1}"][:, [1, 3]], value[:, [1, 3]])
    assert not gradients["dx0"][:, [1, 3]].any()
    assert not gradients["dx0"][3:, 0].any()
    kept = tuple(h[:, [0, 2]].contiguous() for h in hx)
    part, _ = results(ours, x[:, [0, 2]], kept if len(kept) > 1 else kept[0], lengths=[3, T])
    assert torch.equal(part["y0"], outputs["y0"][:, [0, 2]])


def test_lengths_in_every_form() -> None:
    _, ours = make(KINDS[2], {})
    x = draw(T, N, I)
    expected = ours(x, lengths=LENGTHS)[0]
    for form in (torch.tensor(LENGTHS), torch.tensor(LENGTHS, dtype=torch.int32), tuple(LENGTHS)):
        assert torch.equal(ours(x, lengths=form)[0], expected)
    for form in (3, [3], torch.tensor(3), torch.tensor([3])):
        assert torch.equal(ours(x[:, 0], lengths=form)[0], expected[:, 0])
    nothing = ours(x, lengths=[0] * N)[0]
    assert not nothing.any()


@each_kind
def test_no_rows(kind: Any) -> None:
    theirs, ours = make(kind, {"batch_first": True})
    got, expected = ours(draw(0, T, I)), theirs(draw(0, T, I))
    for a, b in zip(tensors(got), tensors(expected), strict=True):
        assert a.shape == b.shape


@pytest.mark.parametrize("name", SEQUENCES)
def test_any_strides(name: str) -> None:
    """Transposed, expanded, cut and channel-last inputs and states."""
    theirs, ours = pair(name, I, H, bidirectional=True, dtype=F64)
    x = draw(T, N, I)
    for form in (
        x.transpose(0, 1).contiguous().transpose(0, 1),
        draw(I, T, N).permute(1, 2, 0),
        x[:, :1].expand(T, N, I),
        draw(2 * T, 2 * N, I + 3)[::2, 1::2, 2:-1],
        x.flip(0),
    ):
        assert form.shape == x.shape
        found = []
        for module in (ours, theirs):
            y, end = module(form.detach().requires_grad_())
            y.square().sum().backward()
            found.append([y, *tensors(end), *(p.grad for p in module.parameters())])
        for k, (actual, expected) in enumerate(zip(*found, strict=True)):
            assert_close(actual, expected, 1e-10, str(k))


@pytest.mark.parametrize("name", [*SEQUENCES, "GRUCell"])
def test_numbers_between_addresses(name: str) -> None:
    """As of bytes that are read in the middle of a number."""
    theirs, ours = pair(name, I, H)
    shape = (N, I) if name == "GRUCell" else (T, N, I)
    x = draw(*shape, dtype=F32)
    moved = torch.frombuffer(bytearray(b"0" + x.numpy().tobytes()), dtype=F32, offset=1)
    assert_close(ours(moved.view(shape))[0], theirs(x)[0], 1e-5, name)


@each_kind
def test_no_copy_of_what_is_contiguous(kind: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    """The kernel reads x, the states and the weights where they lie; y and dx are contiguous."""
    seen: list[Any] = []
    backend = kernels.backend()

    class Watched:
        backward, empty = backend.backward, backend.empty

        @staticmethod
        def forward(cell: Any, call: Any) -> Any:
            seen.extend([call.x, *call.state, *(w for w in call.weights[:5] if w is not None)])
            return backend.forward(cell, call)

    monkeypatch.setattr(kernels, "backend", lambda: Watched)
    for batch_first in (False, True):
        _, ours = make(kind, {"batch_first": batch_first})
        x = draw(N, T, I) if batch_first else draw(T, N, I)
        hx = state(ours)
        for given, lengths in (
            (x, None),
            (x, LENGTHS),
            (packed(x, [T] * N, batch_first=batch_first, sort=True), None),
        ):
            leaf = fresh(given)
            y, _ = ours(leaf, hx, lengths=lengths)
            (data,), (out,) = tensors(leaf), tensors(y)
            at = [data.data_ptr(), *(h.data_ptr() for h in tensors(hx))]
            at += [p.data_ptr() for p in ours.parameters()]
            assert [a.__array_interface__["data"][0] for a in seen] == at
            seen.clear()
            assert out.is_contiguous()
            assert torch.autograd.grad(out.sum(), data)[0].is_contiguous()


def test_state_dict_both_ways() -> None:
    for name in (*SEQUENCES, "LSTMCell", "GRUCell", "RNNCell"):
        theirs, ours = pair(name, I, H)
        assert all(
            torch.equal(p, q) for p, q in zip(theirs.parameters(), ours.parameters(), strict=True)
        )
        other, _ = pair(name, I, H, seed=9)
        ours.load_state_dict(other.state_dict())
        theirs.load_state_dict(ours.state_dict())
        for p, q in zip(theirs.parameters(), other.parameters(), strict=True):
            assert torch.equal(p, q)
        assert isinstance(ours, type(theirs))


@pytest.mark.parametrize("name", ["LSTMCell", "GRUCell", "RNNCell"])
@pytest.mark.parametrize("rows", [(), (1,), (N,)], ids=str)
@pytest.mark.parametrize("bias", [True, False])
def test_cells(name: str, rows: tuple[int, ...], bias: bool, backend_isa: str) -> None:
    kinds = ("tanh", "relu") if name == "RNNCell" else (None,)
    for kind in kinds:
        options = {"nonlinearity": kind} if kind else {}
        theirs, ours = pair(name, I, H, bias=bias, dtype=F64, **options)
        x, h = draw(*rows, I), draw(*rows, H, seed=6)
        hx = (h, draw(*rows, H, seed=7)) if name == "LSTMCell" else h
        assert_alike(ours, theirs, x)
        assert_alike(ours, theirs, x, hx)
