"""What torch.compile is taught: to look into LSTM, GRU and RNN, and to call a function directly.

It leaves all subclasses of torch's three alone, with a break in the graph, unless its option
`allow_rnn` is set, which would have it lower every module of torch's own step by step. So the
option is set while one of ours is looked at. And its code calls each operator by way of torch's
dispatcher, which for an operator in Python takes as long as a small step: `call_directly` names a
function in its place. What it compiled it keeps on disk: `key_caches` lets it take none of that for
another version of this package.

All is done when the parts of the compiler are loaded, which takes longer than all of torch. Where
they have another form than expected, the break and the dispatcher stay.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Sequence
from functools import partial, wraps
from importlib.abc import MetaPathFinder
from importlib.machinery import ModuleSpec, PathFinder
from types import ModuleType
from typing import Any

BUILDER = "torch._dynamo.variables.builder"
CALLS = "torch._inductor.codegen.custom_extern_kernel_codegen"
CONFIG = "torch._inductor.config"


def look_into(*classes: type[Any]) -> None:
    """Make the compiler trace modules of these classes, now or when it is loaded."""
    when_loaded(BUILDER, partial(_teach, classes))


def call_directly(operator: str, module: str, function: str, *args: str) -> None:
    """Make compiled code call ``function(*args)`` of `module` in the place of an operator.

    That is ``torch.ops.<operator>``, with the namespace and the overload in its name. What the
    function returns for strings `args` is called with the operator's arguments.
    """
    when_loaded(CALLS, partial(_replace_call, operator, module, function, args))


def key_caches(operators: str, version: str) -> None:
    """Make the keys of what the compiler keeps on disk depend on the version of these operators.

    Such a program holds what this version's operators and functions were when it was made.
    """
    when_loaded(CONFIG, partial(_add_key, operators, version))


def when_loaded(name: str, then: Callable[[ModuleType], None]) -> None:
    """Call `then` with a module, now or when it is loaded."""
    loaded = sys.modules.get(name)
    if loaded is not None:
        then(loaded)
        return
    waiting = next(
        (f for f in sys.meta_path if isinstance(f, _WhenLoaded) and f.name == name), None
    )
    if waiting is None:
        waiting = _WhenLoaded(name)
        sys.meta_path.insert(0, waiting)
    waiting.actions.append(then)


class _WhenLoaded(MetaPathFinder):
    """Finds one module as ever, and has it changed after it ran."""

    def __init__(self, name: str) -> None:
        self.name = name
        self.actions: list[Callable[[ModuleType], None]] = []

    def find_spec(
        self, name: str, path: Sequence[str] | None, target: ModuleType | None = None
    ) -> ModuleSpec | None:
        if name != self.name:
            return None
        spec = PathFinder.find_spec(name, path, target)
        loader: Any = spec and spec.loader
        if loader is not None:
            loader.exec_module = self._then_act(loader.exec_module)
        return spec

    def _then_act(self, execute: Callable[[ModuleType], None]) -> Callable[[ModuleType], None]:
        def run(module: ModuleType) -> None:
            execute(module)
            if self in sys.meta_path:  # until now: to look for a module is not to load it
                sys.meta_path.remove(self)
            for action in self.actions:
                action(module)

        return run


def _add_key(operators: str, version: str, config: Any) -> None:
    """Add to the option of torch that is a part of all keys; older ones have none."""
    option = "unsafe_marked_cacheable_functions"
    marked: Any = getattr(config, option, None)
    if marked is not None:
        setattr(config, option, {**marked, operators: version})


def _replace_call(
    operator: str, module: str, function: str, args: tuple[str, ...], calls: Any
) -> None:
    """Register how the compiler writes the call of an operator; older ones have no register."""
    known: Any = getattr(calls, "CUSTOM_EXTERN_KERNEL_CODEGEN", None)
    entry: Any = getattr(calls, "CustomCodegen", None)
    if known is None or entry is None:
        return
    name = "_".join((function, *args))

    def write(node: Any, write_line: Callable[[Any], None]) -> None:
        graph = sys.modules["torch._inductor.virtualized"].V.graph
        code = graph.wrapper_code
        if getattr(graph, "fx_wrapper", False):  # it makes a graph of operators, which has no code
            lines = sys.modules["torch._inductor.codegen.wrapper"]
            write_line(lines.ExternKernelAllocLine(code, node))
            return
        code.add_import_once(f"from {module} import {function}")
        code.add_import_once(f"{name} = {function}({', '.join(map(repr, args))})")
        given = ", ".join((*node.codegen_args(), *node.codegen_kwargs()))
        write_line(f"{node.get_name()} = {name}({given})")

    known[f"torch.ops.{operator}"] = entry(python=write)


def _teach(classes: tuple[type[Any], ...], builder: Any) -> None:
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
