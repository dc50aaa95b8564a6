"""Each public name is documented, and each layer is benchmarked."""

from __future__ import annotations

import inspect
from pathlib import Path
from typing import Any

import pytest

import fastlstm as fl
from fastlstm import kernels, models, nn

SHAPES = Path(__file__).parents[1] / "benchmarks" / "shapes.toml"
# What there is nothing to time of.
NOT_TIMED = {"Module", "Parameter", "RowGrad", "State", "Tape", "Tokens"}


@pytest.mark.parametrize("module", [fl, nn, kernels], ids=lambda m: m.__name__)
def test_all_is_what_there_is(module: Any) -> None:
    assert sorted(set(module.__all__)) == sorted(module.__all__)
    for name in module.__all__:
        assert hasattr(module, name), name
    public = {
        name
        for name, value in vars(module).items()
        if not name.startswith("_")
        and not inspect.ismodule(value)
        and getattr(value, "__module__", "").startswith("fastlstm")
    }
    assert public <= set(module.__all__)


@pytest.mark.parametrize("name", sorted({*nn.__all__, *models.__all__}))
def test_each_name_is_documented(name: str) -> None:
    value = getattr(nn, name, None) or getattr(models, name)
    assert value.__doc__, name
    if not inspect.isclass(value):
        return
    for method, function in vars(value).items():
        if inspect.isfunction(function) and not method.startswith("_"):
            assert function.__doc__, f"{name}.{method}"


def layers() -> list[Any]:
    found = [getattr(part, name) for part in (nn, models) for name in part.__all__]
    return [c for c in found if inspect.isclass(c) and issubclass(c, nn.Module)]


@pytest.mark.parametrize("layer", layers(), ids=lambda c: c.__name__)
def test_each_layer_has_forward_and_backward(layer: Any) -> None:
    if layer is nn.Module:
        return
    for method in ("__call__", "forward", "backward"):
        assert inspect.isfunction(getattr(layer, method)), method
    assert list(inspect.signature(layer.backward).parameters)[:2] == ["self", "tape"]


@pytest.mark.skipif(not SHAPES.exists(), reason="needs the benchmarks, not only the package")
@pytest.mark.parametrize("name", sorted(set(nn.__all__) - NOT_TIMED))
def test_each_name_has_a_benchmark(name: str) -> None:
    """Its name stands in the data file that the benchmark suite reads."""
    assert f'"{name}"' in SHAPES.read_text()
