"""Modules that quantize_dynamic leaves as they are, because of what torch's tools did to them."""

from __future__ import annotations

import warnings
from collections.abc import Callable
from typing import Any

import pytest
from dropin import ft, torch
from torch import nn
from torch.nn.utils import prune, spectral_norm, weight_norm

HOOK = "a hook makes its weight before each call: take that hook off first"


def pruned(module: Any, name: str) -> Any:
    prune.l1_unstructured(module, name, 0.5)
    return module


@pytest.mark.parametrize("tool", [weight_norm, spectral_norm, pruned])
@pytest.mark.parametrize(
    ("make", "name", "shape"),
    [(nn.Linear, "weight", (5, 3)), (nn.LSTM, "weight_hh_l0", (5, 2, 3)),
     (nn.GRUCell, "weight_hh", (5, 3))],
)  # fmt: skip
@pytest.mark.filterwarnings("ignore:.*weight_norm.* is deprecated")
def test_a_weight_that_a_hook_makes(
    tool: Callable[..., Any], make: Any, name: str, shape: tuple[int, ...]
) -> None:
    """The hook wants what it makes the weight of, which the new module would not have."""
    model = nn.ModuleDict({"kept": tool(make(3, 4), name), "plain": nn.Linear(3, 4)}).eval()
    x = torch.randn(shape)
    with torch.no_grad(), warnings.catch_warnings():
        warnings.simplefilter("ignore")
        expected = model["kept"](x)
        new = ft.quantize_dynamic(model)
        found = new["kept"](x)
    report = new.quantize_report
    assert [(s.name, s.why) for s in report.left] == [("kept", HOOK)]
    assert set(report.converted) == {"plain"}
    pair = (expected, found) if torch.is_tensor(expected) else (expected[0], found[0])
    assert torch.equal(*pair)
    if tool is pruned:
        prune.remove(model["kept"], name)
        assert set(ft.quantize_dynamic(model).quantize_report.converted) == {"kept", "plain"}


@pytest.mark.filterwarnings("ignore:`torch.jit")
def test_a_compiled_module() -> None:
    model = nn.ModuleDict({"script": torch.jit.script(nn.Linear(3, 4)), "plain": nn.Linear(3, 4)})
    report = ft.quantize_dynamic(model).quantize_report
    assert set(report.converted) == {"plain"}
    assert [(s.name, s.why) for s in report.left] == [
        ("script", "it is compiled by torch.jit: quantize the model before")
    ]
