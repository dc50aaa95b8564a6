"""Quantized modules: a state_dict of another kind, another device, dtypes of the input."""

from __future__ import annotations

import copy
from typing import Any

import pytest
from dropin import CELLS, SEQUENCES, ft, torch
from torch import nn

NAMES = ["Linear", *SEQUENCES, *CELLS]


def made(name: str, dtype: Any) -> Any:
    return ft.quantize_dynamic(getattr(nn, name)(3, 4), {""}, dtype)


def input_of(name: str) -> Any:
    return torch.ones((2, 3) if name in CELLS else (2, 2, 3))


def flat(result: Any) -> list[Any]:
    if isinstance(result, tuple):
        return [t for part in result for t in flat(part)]
    return [result]


@pytest.mark.parametrize("strict", [True, False])
@pytest.mark.parametrize("name", NAMES)
def test_numbers_of_8_bits_are_no_weights_of_16(name: str, strict: bool) -> None:
    """Loaded as floats they would be whole numbers up to 127, without their scales."""
    module, x = made(name, torch.float16), input_of(name)
    before = flat(module(x))
    with pytest.raises(RuntimeError, match="weight.* is of torch.int8, expected floats") as caught:
        module.load_state_dict(made(name, torch.qint8).state_dict(), strict=strict)
    assert "Missing" not in str(caught.value)
    assert "Unexpected" not in str(caught.value)
    weights = [b for b in module.buffers() if b.dim() == 2]
    assert all(b.dtype is torch.float16 and b.abs().max() < 1 for b in weights)
    assert len(flat(module(x))) == len(before)


@pytest.mark.parametrize("name", NAMES)
def test_weights_of_16_bits_are_rounded_to_8(name: str) -> None:
    half, module = made(name, torch.float16), made(name, torch.qint8)
    module.load_state_dict(half.state_dict())
    x = input_of(name)
    for one, other in zip(flat(module(x)), flat(half(x)), strict=True):
        assert torch.allclose(one, other, atol=0.03)


@pytest.mark.parametrize("dtype", [torch.qint8, torch.float16])
@pytest.mark.parametrize("name", NAMES)
def test_weights_on_another_device_are_named(name: str, dtype: Any) -> None:
    module, x = made(name, dtype), input_of(name)
    module(x)  # so that weights are packed
    there = copy.deepcopy(module).to("meta")
    for given in (x, x.to("meta")) if name not in CELLS else (x,):
        with pytest.raises(RuntimeError, match="its weights are on device meta.*with .cpu"):
            there(given)


def test_an_input_of_another_dtype() -> None:
    linear = made("Linear", torch.qint8)
    say = r"Linear: input dtype \(torch.float64\) does not match .*input.to\(torch.float32\)$"
    with pytest.raises(RuntimeError, match=say):
        linear(torch.ones(2, 3).double())
