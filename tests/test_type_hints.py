"""What programs are told of public names: type hints and signatures."""

from __future__ import annotations

import inspect
import sys
from collections.abc import Iterator
from importlib import import_module
from typing import Any, get_type_hints

import pytest

import fastlstm as fl

PACKAGES = (
    "custom distributed examples forecast formats inside keras linear many models nn onnx sklearn "
    "text torch train tune torch.quantized torch.sb3"
).split()


def functions(value: Any) -> Iterator[Any]:
    """A public class with all methods that are ours, or a function."""
    for cls in value.__mro__ if inspect.isclass(value) else ():
        if not cls.__module__.startswith("fastlstm"):
            continue
        yield cls
        for method in vars(cls).values():
            method = getattr(method, "fget", None) or getattr(method, "__func__", method)
            if inspect.isfunction(method) and not is_of_namedtuple(method):
                yield method
    if inspect.isfunction(value):
        yield value


def is_of_namedtuple(method: Any) -> bool:
    """Whether it is what `NamedTuple` makes of fields, which from 3.14 on knows no names of hints.

    The class has the same hints, and is asked.
    """
    made = method.__globals__["__name__"].startswith("namedtuple_")
    return made and sys.version_info >= (3, 14)


@pytest.mark.parametrize("package", ["", *PACKAGES])
def test_type_hints_of_all_public_names(package: str) -> None:
    if package == "custom":
        pytest.importorskip("numba", reason="its hints name Numba's types")
    try:
        module = import_module(f"fastlstm.{package}".rstrip("."))
    except ImportError as error:
        pytest.skip(str(error))
    names = getattr(module, "__all__", [])
    for function in (f for name in names for f in functions(getattr(module, name))):
        assert isinstance(get_type_hints(function), dict), function


def test_hints_name_the_options_and_what_loads_on_first_use() -> None:
    from fastlstm.nn.recurrent.memory import MemoryPlan

    assert "options" in get_type_hints(fl.LSTM.__init__)
    assert get_type_hints(fl.LSTM.memory_plan)["return"] is MemoryPlan


def parameters(kind: Any) -> list[str]:
    return list(inspect.signature(kind).parameters)


@pytest.mark.parametrize("base", [fl.LSTM, fl.GRU, fl.PeepholeLSTM, fl.LSTMCell, fl.GRUCell])
def test_signatures_of_derived_classes(base: Any) -> None:
    class Named(base):  # type: ignore[misc]
        def __init__(self, options: dict[str, Any], size: int, *, proj_size: int = 0) -> None:
            super().__init__(size, size, **options)

    class Passing(base):  # type: ignore[misc]
        def __init__(self, size: int, rng: int = 1, **options: Any) -> None:
            super().__init__(size, size, rng=rng, **options)

    class Bare(base):  # type: ignore[misc]
        def __init__(self) -> None:
            super().__init__(2, 3)

    class Other(base):  # type: ignore[misc]
        def __init__(self, size: int, **more: Any) -> None:
            super().__init__(size, size, **more)

    assert parameters(Named) == ["options", "size", "proj_size"]
    assert parameters(Bare) == []
    assert parameters(Other) == ["size", "more"]
    passed = parameters(Passing)
    assert passed[:2] == ["size", "rng"]
    assert set(passed[2:]) < set(parameters(base))
    assert {"dtype", "precision"} < set(passed)
    assert "proj_size" not in passed
    assert parameters(type("Same", (base,), {})) == parameters(base)


@pytest.mark.parametrize("base", [fl.LSTM, fl.LSTMCell])
def test_bases_that_look_at_their_subclasses(base: Any) -> None:
    class Registry:
        made: dict[str, Any] = {}

        def __init_subclass__(cls, name: str) -> None:
            cls.made[name] = cls

    class Layer(base, Registry, name="layer"):  # type: ignore[misc,call-arg]
        pass

    assert Registry.made == {"layer": Layer}
    assert parameters(Layer) == parameters(base)
