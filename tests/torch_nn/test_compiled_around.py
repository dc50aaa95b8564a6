"""Compiled functions that break their graph around modules of ours: torch calls Python meanwhile.

The compiler then compiles each frame that starts, and may not those that kernels are called from.
"""

from __future__ import annotations

import copy
import pickle
from typing import Any

import pytest
from dropin import F64, assert_close, ft, packed, pair, tensors, torch

T, N, I, H = 5, 3, 2, 4


def compiled(function: Any) -> Any:
    torch._dynamo.reset()
    return torch.compile(function, backend="aot_eager")


# of the compiler itself, which looks into each tensor that it meets
@pytest.mark.filterwarnings("ignore:The .grad attribute of a Tensor")
@pytest.mark.parametrize("name", ["LSTM", "GRU", "RNN"])
def test_a_backward_pass_of_rows_packed_inside(name: str) -> None:
    """No shape tells how many rows there are: the module runs outside of the graph."""
    theirs, ours = pair(name, I, H, dtype=F64)
    x = torch.randn(T, N, I, dtype=F64)

    def pass_of(module: Any) -> Any:
        def both_ways() -> None:
            module(packed(x, [5, 3, 1], sort=True))[0].data.square().sum().backward()

        return both_ways

    for both_ways in (compiled(pass_of(ours)), pass_of(theirs)):
        both_ways()
    for (key, p), q in zip(ours.named_parameters(), theirs.parameters(), strict=True):
        assert_close(p.grad, q.grad, 1e-10, key)


@pytest.mark.parametrize("name", ["LSTM", "GRUCell"])
def test_batched_calls_whose_graph_breaks(name: str) -> None:
    """torch names a function by its repr, which the compiler cannot follow in a module's."""
    _, ours = pair(name, I, H, dtype=F64)
    x = torch.randn(2, N, I, dtype=F64) if "Cell" in name else torch.randn(2, T, N, I, dtype=F64)
    found = compiled(torch.vmap(ours))(x)
    for k in range(2):
        one, every = ours(x[k]), found
        while isinstance(one, tuple):
            one, every = one[0], every[0]
        assert_close(every[k], one, 1e-10, f"call {k}")


@pytest.mark.parametrize("name", ["LSTM", "GRU", "RNN", "LSTMCell", "GRUCell", "RNNCell"])
@pytest.mark.parametrize("copied", [copy.deepcopy, lambda m: pickle.loads(pickle.dumps(m))])
def test_a_copy_of_a_compiled_module_has_weights_of_its_own(name: str, copied: Any) -> None:
    module = getattr(ft, name)(I, H)
    module.compile(backend="eager")
    other = copied(module)
    with torch.no_grad():
        for parameter in other.parameters():
            parameter.zero_()
        y = next(tensors(other(torch.randn(T, I))))
    assert not y.any()


def test_a_copy_of_compiled_quantized_modules() -> None:
    module = ft.quantize_dynamic(torch.nn.Sequential(torch.nn.Linear(I, H)))[0]
    module.compile(backend="eager")
    assert pickle.loads(pickle.dumps(module))._compiled_call_impl is None


@pytest.mark.parametrize("name", ["LSTM", "GRU", "RNN"])
def test_compiled_calls_without_rows_or_steps(name: str) -> None:
    """torch's own module answers, which the compiler cannot look into: it ended the process."""
    theirs, ours = pair(name, I, H)
    function = compiled(ours)
    x = torch.zeros(T, 0, I, requires_grad=True)
    found = function(x)[0]
    found.sum().backward()
    assert found.shape == theirs(x)[0].shape == (T, 0, H)
    assert x.grad is not None
    for grad in (True, False):
        with torch.set_grad_enabled(grad):
            with pytest.raises(RuntimeError, match="sequence length to be larger than 0"):
                function(torch.zeros(0, N, I))
            x = torch.ones(T, N, I)
            assert_close(function(x)[0], theirs(x)[0], 1e-5, "output")
