"""Backward passes of torch's compiled engine, which writes a program of them."""

from __future__ import annotations

from typing import Any

import pytest
from dropin import CELLS, QUIET, assert_close, pair, torch

compiled_autograd = pytest.importorskip("torch._dynamo.compiled_autograd")
# torch's compiler asks each tensor for its gradient
pytestmark = pytest.mark.filterwarnings("ignore:The .grad attribute of a Tensor that is not a leaf")


def last(module: Any, x: Any) -> Any:
    """Return the output after the last step, of a cell or of a module."""
    if not isinstance(module, torch.nn.RNNCellBase):
        return module(x)[0][-1]
    state = None
    for step in x:
        state = module(step, state)
    return state[0] if isinstance(state, tuple) else state


def gradients(module: Any, x: Any, passes: int = 1) -> list[Any]:
    """Return the gradients of x and of all parameters, of some passes through one graph."""
    module.zero_grad()
    x = x.clone().requires_grad_()
    loss = last(module, x).pow(2).sum()
    for _ in range(passes):
        loss.backward(retain_graph=passes > 1)
    return [x.grad, *(p.grad for p in module.parameters())]


def check(ours: Any, theirs: Any, x: Any, passes: int = 1) -> None:
    torch._dynamo.reset()
    expected = gradients(theirs, x, passes)
    for _ in range(2):  # the second goes by the program of the first
        with compiled_autograd._enable(torch.compile(backend="eager")):
            found = gradients(ours, x, passes)
        for a, b in zip(found, expected, strict=True):
            # a program adds what it gets: it has zeros where others have none
            if b is None and a is not None:
                assert not a.any()
                continue
            assert_close(a, b, 1e-4, "gradient")


@pytest.mark.parametrize("name", CELLS)
def test_loops_of_cells(name: str) -> None:
    theirs, ours = pair(name, 4, 5)
    check(ours, theirs, torch.randn(3, 3, 4))


def test_a_graph_that_is_kept() -> None:
    theirs, ours = pair("LSTMCell", 4, 5)
    check(ours, theirs, torch.randn(2, 2, 4), passes=2)


def test_weights_that_want_no_gradient() -> None:
    theirs, ours = pair("GRUCell", 4, 5)
    for module in (theirs, ours):
        module.weight_ih.requires_grad_(False)
    check(ours, theirs, torch.randn(3, 2, 4))


@QUIET
@pytest.mark.parametrize("options", [{"num_layers": 2, "bidirectional": True}, {"proj_size": 2}])
def test_layers(options: dict[str, Any]) -> None:
    theirs, ours = pair("LSTM", 4, 5, **options)
    check(ours, theirs, torch.randn(3, 2, 4))
