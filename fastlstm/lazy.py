"""Names of a package that load on first use, as PEP 562 has it."""

from __future__ import annotations

import sys
from collections.abc import Callable, Collection
from importlib import import_module
from typing import Any, ForwardRef


def attributes(
    package: str, names: Collection[str], holders: Collection[str], others: Collection[str] = ()
) -> Callable[[str], Any]:
    """Return what is to be the ``__getattr__`` of a package.

    Parameters
    ----------
    package : its ``__name__``.
    names : public names that stand in modules of the package.
    holders : the modules to look for them in, those that are cheap to load first.
    others : modules that are attributes of the package too.
    """

    def load(name: str) -> Any:
        if name in holders or name in others:
            try:
                return import_module(f"{package}.{name}")
            except ImportError as error:  # hasattr and dir() expect no other error
                raise AttributeError(f"{package}.{name} cannot be loaded: {error}") from error
        for holder in holders if name in names else ():
            module = import_module(f"{package}.{holder}")
            if hasattr(module, name):
                return vars(sys.modules[package]).setdefault(name, getattr(module, name))
        module = sys.modules[package]  # with it the interpreter says what name was meant
        raise AttributeError(f"module {package!r} has no attribute {name!r}", name=name, obj=module)

    return load


def hint(module: str, name: str, *others: str) -> Any:
    """Return what stands in annotations for a class of a module that loads on first use.

    `others` are builtin types that may take its place.

    `typing.get_type_hints`, which asks for the class, loads it. It looks names up in the module of
    who is annotated, whatever the reference says: only a builtin is there for certain.
    """
    loaded = f"__import__({module!r}, fromlist=[{name!r}]).{name}"
    return ForwardRef(" | ".join([loaded, *others]))
