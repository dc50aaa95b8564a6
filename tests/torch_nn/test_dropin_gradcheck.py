"""Central differences, in float64, for every combination of options."""

from __future__ import annotations

from itertools import product
from typing import Any

import pytest
from dropin import CELLS, F64, PackedSequence, ft, packed, tensors, torch

pytestmark = pytest.mark.slow
T, N, I, H = 3, 3, 2, 3
LENGTHS = [2, 3, 1]
KINDS = {"LSTM": {}, "LSTM-proj": {"proj_size": 2}, "GRU": {}, "RNN": {}}
KINDS["RNN-relu"] = {"nonlinearity": "relu"}
FORMS = ("padded", "single", "packed", "lengths")


def draw(*shape: int) -> Any:
    return torch.randn(shape, dtype=F64).requires_grad_()


def check(module: Any, x: Any, hx: Any, **options: Any) -> None:
    leaves = [t for t in (*tensors((x, hx)), *module.parameters()) if t is not None]

    def run(*_: Any) -> tuple[Any, ...]:
        return tuple(tensors(module(x, hx, **options)))

    assert torch.autograd.gradcheck(run, leaves, fast_mode=True)
    assert torch.autograd.gradcheck(run, leaves[:1])


@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize("given", [False, True], ids=["zeros", "hx"])
@pytest.mark.parametrize("kind", KINDS)
def test_sequences(kind: str, given: bool, form: str) -> None:
    for bias, both, layers, first in product((True, False), (False, True), (1, 2), (False, True)):
        torch.manual_seed(0)
        module = getattr(ft, kind.partition("-")[0])(
            I, H, layers, bias=bias, bidirectional=both, batch_first=first, dtype=F64, **KINDS[kind]
        )
        x: Any = draw(T, I) if form == "single" else draw(N, T, I) if first else draw(T, N, I)
        if form == "packed":
            order = packed(x.detach(), LENGTHS, batch_first=first)
            x = PackedSequence(order.data.requires_grad_(), *order[1:])
        hx: Any = None
        if given:
            rows = () if form == "single" else (N,)
            hx = draw(layers * (1 + both), *rows, module.proj_size or H)
            hx = (hx, draw(layers * (1 + both), *rows, H)) if module.mode == "LSTM" else hx
        check(module, x, hx, **({"lengths": [2, 0, 3]} if form == "lengths" else {}))


@pytest.mark.parametrize("name", CELLS)
@pytest.mark.parametrize("given", [False, True], ids=["zeros", "hx"])
@pytest.mark.parametrize("rows", [(), (N,)], ids=["single", "batch"])
def test_cells(name: str, given: bool, rows: tuple[int, ...]) -> None:
    for bias, kind in product((True, False), ("tanh", "relu") if name == "RNNCell" else (None,)):
        torch.manual_seed(0)
        options = {"nonlinearity": kind} if kind else {}
        module = getattr(ft, name)(I, H, bias=bias, dtype=F64, **options)
        hx: Any = None
        if given:
            hx = (draw(*rows, H), draw(*rows, H)) if name == "LSTMCell" else draw(*rows, H)
        check(module, draw(*rows, I), hx)
