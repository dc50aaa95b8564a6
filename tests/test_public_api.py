"""Each public name is documented, and each layer is benchmarked."""

from __future__ import annotations

import importlib
import inspect
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import fastlstm as fl
from fastlstm import kernels, models, nn
from fastlstm.distributed.processes import Processes
from fastlstm.train import SGD, Adam, Average, Regression, Trainer

SHAPES = Path(__file__).parents[1] / "benchmarks" / "shapes.toml"
# What there is nothing to time of.
NOT_TIMED = {"Module", "Parameter", "RowGrad", "State", "Tape", "Tokens"}
DOCUMENTED = (
    "custom", "distributed", "forecast", "formats", "inside", "kernels", "linear", "many",
    "models", "nn", "onnx", "sklearn", "text", "torch", "train", "tune",
)  # fmt: skip
RAISE = re.compile(r"^ +raise (\w+Error)\b", re.MULTILINE)
NEEDS = {
    "custom": "numba", "onnx": "onnx", "sklearn": "sklearn", "torch": "torch", "tune": "optuna"
}  # fmt: skip


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


def public_callables(module: str) -> Iterator[tuple[str, Any]]:
    """Yield the functions and classes of a module's __all__, and the methods of the classes."""
    if module in NEEDS:
        pytest.importorskip(NEEDS[module])
    package = importlib.import_module(f"fastlstm.{module}")
    for name in package.__all__:
        value = getattr(package, name)
        if not inspect.isclass(value) and not inspect.isfunction(value):
            continue
        yield name, value
        for method, function in vars(value).items():
            function = getattr(function, "__func__", function)
            if inspect.isfunction(function) and not method.startswith("_"):
                yield f"{name}.{method}", function


@pytest.mark.parametrize("module", DOCUMENTED)
def test_each_name_is_documented(module: str) -> None:
    lacking = [name for name, value in public_callables(module) if not inspect.getdoc(value)]
    assert not lacking


@pytest.mark.parametrize("module", DOCUMENTED)
def test_each_function_tells_what_it_raises(module: str) -> None:
    """As far as it does so itself, and not a base whose users override it."""
    lacking = []
    for name, value in public_callables(module):
        if not inspect.isclass(value):
            raised = set(RAISE.findall(inspect.getsource(value)))
            told = re.search("error", inspect.getdoc(value) or "", re.IGNORECASE)
            if raised - {"NotImplementedError"} and not told:
                lacking.append(name)
    assert not lacking


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


ON_FIRST_USE = (
    "examples", "forecast", "inside", "linear", "sklearn", "text", "torch", "train", "tune",
)  # fmt: skip


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
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=600)
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


def test_a_misspelt_name_brings_the_right_one() -> None:
    """As the last line that the interpreter prints."""
    code = "import fastlstm as fl; fl.LSTMCel"
    said = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True).stderr
    meant = "Did you mean: 'LSTMCell'", "Did you mean '.LSTMCell'"  # the latter from 3.15 on
    assert any(f"module 'fastlstm' has no attribute 'LSTMCel'. {m}" in said for m in meant)


def test_what_is_made_tells_its_options_at_the_prompt() -> None:
    lstm = fl.LSTM(4, 8)
    x = np.zeros((5, 3, 4), np.float32)
    _, _, tape = lstm.forward(x)
    adam = Adam(lstm, lr=0.002, betas=(0.8, 0.99))
    assert repr(adam) == (
        "Adam(lr=0.002, weight_decay=0.0, betas=(0.8, 0.99), eps=1e-08, parameters=4)"
    )
    adam.steps += 1
    assert repr(adam).endswith("eps=1e-08, steps=1, parameters=4)")
    assert repr(SGD(lstm, momentum=0.9)).startswith("SGD(momentum=0.9, nesterov=False, lr=0.001")
    assert repr(Average(lstm, 0.99)) == "Average(decay=0.99)"
    assert repr(Regression(batch_size=8)) == "Regression(point=None, batch_size=8, seed=0)"
    trainer = repr(Trainer(lstm, adam, Regression(), epochs=3, clip=5.0))
    assert "epochs=3" in trainer
    assert f"optimizer={adam!r}" in trainer
    assert repr(lstm.stream(2)) == "Stream(state=[(1, 2, 8), (1, 2, 8)], dtype='float32')"
    many = fl.together([lstm, fl.LSTM(4, 8)]).stream(2)
    assert repr(many) == f"ManyStream(models=2, each={lstm.stream(2)!r})"
    assert repr(tape) == "Tape of LSTM, to be used"
    lstm.backward(tape, np.zeros((5, 3, 8), np.float32))
    assert repr(tape) == "Tape of LSTM, used"
    assert repr(Processes()) == "Processes(rank=0, size=1)"
