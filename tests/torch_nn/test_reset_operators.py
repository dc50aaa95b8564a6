"""`reset=` through torch's tools: the operators of a layer take the mask when they run."""

from __future__ import annotations

from typing import Any

import pytest
from dropin import CELLS, F64, QUIET, SEQUENCES, ft, tensors, torch
from test_operators import (
    BOTH,
    NAMES,
    Graphs,
    H,
    I,
    N,
    T,
    arguments,
    assert_equal,
    count,
    draw,
    input_of,
    operators,
    run,
)
from torch._subclasses.fake_tensor import FakeTensorMode
from torch.library import opcheck

pytestmark = [QUIET, pytest.mark.filterwarnings("ignore")]
MASK = torch.tensor([[1, 0, 0], [0, 1, 0], [0, 0, 1], [0, 1, 1], [1, 0, 0]])  # [T,N]
OTHER = torch.tensor([[0, 0, 1], [1, 0, 0], [0, 0, 0], [0, 1, 0], [0, 1, 1]])
LENGTHS = torch.tensor([2, 5, 0])


@pytest.mark.parametrize(
    ("cell", "lengths"),
    [
        ("lstm", None),
        *(pytest.param(cell, LENGTHS, marks=pytest.mark.slow) for cell in NAMES),
    ],
)
def test_opcheck_with_reset(cell: str, lengths: Any) -> None:
    forward, backward = operators(cell)
    options, rows = {"both": True, "batch_first": True}, (lengths, MASK.bool())
    opcheck(forward, (*arguments(cell, options), *rows))
    plain = arguments(cell, options, grad=False)
    *outputs, marker = forward(*plain, *rows)
    grads = [draw(*y.shape, seed=7) for y in outputs]
    needs = [True] * (len(grads) + len(plain[len(grads)]))
    opcheck(backward, (*grads, outputs[0], marker, *plain[:-1], needs, *rows))


@pytest.mark.parametrize(
    ("name", "reset_at"),
    [
        ("LSTM", "after"),
        ("GRU", "before"),
        pytest.param("LSTM", "before", marks=pytest.mark.slow),
        pytest.param("GRU", "after", marks=pytest.mark.slow),
        pytest.param("RNN", "before", marks=pytest.mark.slow),
    ],
)
def test_compiled_with_reset(name: str, reset_at: str) -> None:
    """One graph; the mask may be another the next time."""
    module, x = getattr(ft, name)(I, H, dtype=F64, **BOTH), input_of(name)
    graphs = Graphs()
    compiled = graphs.compile(module)
    for mask in (MASK.T.double(), OTHER.T.double()):
        given = {"reset": mask, "reset_at": reset_at, "lengths": LENGTHS}
        found = run(lambda x, k=given: compiled(x, **k), module, x)
        assert_equal(found, run(lambda x, k=given: module(x, **k), module, x))
    assert [count(g) for g in graphs.seen] == [(2, 0), (0, 2)]
    with pytest.raises(Exception, match="reset holds 2.0, expected 0 or 1"):
        compiled(x, reset=torch.full((N, T), 2.0, dtype=F64), reset_at=reset_at, lengths=LENGTHS)


@pytest.mark.parametrize(
    "name", ["LSTMCell", *(pytest.param(n, marks=pytest.mark.slow) for n in CELLS[1:])]
)
def test_compiled_cell_with_reset(name: str) -> None:
    module, x = getattr(ft, name)(I, H, dtype=F64), input_of(name)
    h = draw(N, H, seed=3)
    hx = (h, 2 * h) if name == "LSTMCell" else h
    compiled = Graphs().compile(module)
    for mask in (torch.tensor([0, 1, 0]), torch.tensor([1, 0, 0])):
        found = run(lambda x, k=mask: compiled(x, hx, reset=k), module, x)
        assert_equal(found, run(lambda x, k=mask: module(x, hx, reset=k), module, x))
    odd, ones = torch.tensor([0, 2, -1]), torch.tensor([0, 1, 1])  # not checked when it runs
    found = run(lambda x: compiled(x, hx, reset=odd), module, x)
    assert_equal(found, run(lambda x: module(x, hx, reset=ones), module, x))


def test_exported_with_reset() -> None:
    module, x = ft.LSTM(I, H, dtype=F64, **BOTH), input_of("LSTM")
    program = torch.export.export(module, (x,), {"reset": MASK.T})
    nodes = [n for n in program.graph.nodes if n.target == torch.ops.fastlstm.lstm.default]
    assert len(nodes) == 2
    found = program.module()(x, reset=OTHER.T)
    assert_equal(tensors(found), tensors(module(x, reset=OTHER.T)))


@pytest.mark.parametrize("name", [*SEQUENCES, "LSTMCell"])
def test_vmap_with_reset(name: str) -> None:
    """Each call has its own mask."""
    module = getattr(ft, name)(I, H, dtype=F64)
    cell = name in CELLS
    x = draw(2, *((N, I) if cell else (T, N, I)))
    masks = torch.stack([MASK, OTHER])
    h = draw(2, *((N, H) if cell else (1, N, H)), seed=3)
    masks = masks[:, 0] if cell else masks

    def call(x: Any, h: Any, mask: Any) -> Any:
        return tuple(tensors(module(x, (h, h) if "LSTM" in name else h, reset=mask)))

    found = torch.vmap(call)(x, h, masks)
    each = [call(*given) for given in zip(x, h, masks, strict=True)]
    assert_equal(found, [torch.stack(parts) for parts in zip(*each, strict=True)])


def test_fake_tensors_with_reset() -> None:
    with FakeTensorMode():
        module, x = ft.GRU(I, H, bidirectional=True), torch.empty(T, N, I)
        y, h = module(x, reset=torch.empty(T, N), reset_at="after")
        with pytest.raises(ValueError, match="reset has shape"):
            module(x, reset=torch.empty(N, T))
    assert y.shape == (T, N, 2 * H)
    assert h.shape == (2, N, H)


def test_many_gradients_at_once_with_reset() -> None:
    module, x = ft.GRU(I, H, dtype=F64), draw(T, N, I).requires_grad_()
    y = module(x, reset=MASK)[0]
    dy = draw(2, *y.shape, seed=5)
    found = torch.autograd.grad(y, x, dy, is_grads_batched=True, retain_graph=True)[0]
    each = [torch.autograd.grad(y, x, d, retain_graph=True)[0] for d in dy]
    assert_equal([found], [torch.stack(each)])
