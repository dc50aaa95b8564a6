"""torch.compile looks into our LSTM, GRU and RNN.

It leaves all subclasses of torch's three alone, with a break in the graph, unless its option
`allow_rnn` is set, which would have it lower every module of torch's own step by step. So the
option is set while one of ours is looked at. That is done when the compiler is loaded, which takes
longer than all of torch. Where the compiler has another form than expected, the break stays.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Sequence
from functools import wraps
from importlib.abc import MetaPathFinder
from importlib.machinery import ModuleSpec, PathFinder
from types import ModuleType
from typing import Any

BUILDER = "torch._dynamo.variables.builder"


def look_into(*classes: type[Any]) -> None:
    """Make the compiler trace modules of these classes, now or when it is loaded."""
    loaded = sys.modules.get(BUILDER)
    if loaded is None:
        sys.meta_path.insert(0, _WhenLoaded(classes))
    else:
        _teach(loaded, classes)


class _WhenLoaded(MetaPathFinder):
    """Finds one module as ever, and has it changed after it ran."""

    def __init__(self, classes: tuple[type[Any], ...]) -> None:
        self.classes = classes

    def find_spec(
        self, name: str, path: Sequence[str] | None, target: ModuleType | None = None
    ) -> ModuleSpec | None:
        if name != BUILDER:
            return None
        sys.meta_path.remove(self)
        spec = PathFinder.find_spec(name, path, target)
        loader: Any = spec and spec.loader
        if loader is not None:
            loader.exec_module = self._then_teach(loader.exec_module)
        return spec

    def _then_teach(self, execute: Callable[[ModuleType], None]) -> Callable[[ModuleType], None]:
        def run(module: ModuleType) -> None:
            execute(module)
            _teach(module, self.classes)

        return run


def _teach(builder: Any, classes: tuple[type[Any], ...]) -> None:
    """Have the option set while the compiler wraps a module of these classes."""
    kind: Any = getattr(builder, "VariableBuilder", None)
    config: Any = getattr(builder, "config", None)
    wrap_module = getattr(kind, "wrap_module", None)
    if wrap_module is None or not hasattr(config, "allow_rnn"):
        return

    @wraps(wrap_module)
    def wrap(self: Any, value: Any) -> Any:
        if not isinstance(value, classes):
            return wrap_module(self, value)
        before, config.allow_rnn = config.allow_rnn, True
        try:
            return wrap_module(self, value)
        finally:
            config.allow_rnn = before

    kind.wrap_module = wrap
