"""Each public name is documented, and each layer is benchmarked."""

from __future__ import annotations

import inspect
import subprocess
import sys
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


ON_FIRST_USE = ("examples", "forecast", "inside", "linear", "sklearn", "text", "torch", "train")


def test_packages_load_on_first_use() -> None:
    """As attributes, which tab completion shows, and not before."""
    code = (
        "import sys, fastlstm as fl\n"
        f"names = {ON_FIRST_USE}\n"
        "early = [n for n in names if f'fastlstm.{n}' in sys.modules]\n"
        "assert not early, early\n"
        "assert set(names) <= set(dir(fl))\n"
        "for n in names:\n"
        "    assert getattr(fl, n) is sys.modules[f'fastlstm.{n}'], n\n"
        "    assert n in vars(fl), n\n"
        "print(fl.train.Trainer.__name__, fl.text.__name__)\n"
    )
    for name in ("sklearn", "torch"):
        pytest.importorskip(name)
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=120)
    assert (done.stderr, done.stdout) == ("", "Trainer fastlstm.text\n")


def test_a_package_that_cannot_be_loaded(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("fastlstm.torch", "torch"):
        monkeypatch.setitem(sys.modules, name, None)
    monkeypatch.delattr(fl, "torch", raising=False)
    assert not hasattr(fl, "torch")
    with pytest.raises(AttributeError, match=r"fastlstm\.torch cannot be loaded: .*torch"):
        fl.torch  # noqa: B018


def test_an_unknown_name() -> None:
    with pytest.raises(AttributeError, match="module 'fastlstm' has no attribute 'lstm'"):
        fl.lstm  # type: ignore[attr-defined]  # noqa: B018
