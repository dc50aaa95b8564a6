"""Options of recurrent layers that may be changed at any time, each declared once.

A class declares one as an attribute, ``recompute: int = option(0, check)``. Its first value, the
check of what is assigned, its place in signatures and `repr`, in files and in layers that run
together follow from that.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable
from typing import Any, NamedTuple, TypeVar, cast

T = TypeVar("T")


class Option(NamedTuple):
    """What is known of an option beside its name."""

    usual: Any
    check: Callable[[str, Any], Any]
    noise: bool  # whether a training pass draws something for it


class _Declared:
    """Stands in a class's body for an option; the value that is usual takes its place."""

    def __init__(self, option: Option) -> None:
        self._option = option

    def __set_name__(self, owner: Any, name: str) -> None:
        owner.OPTIONS[name] = self._option
        setattr(owner, name, self._option.usual)  # also of what was pickled before the option


def option(usual: T, check: Callable[[str, Any], T], *, noise: bool = False) -> T:
    """Declare an option in the body of a class, which has a dictionary ``OPTIONS`` of them.

    check : returns a value that is assigned, by the option's name, or raises.
    """
    return cast(T, _Declared(Option(usual, check, noise)))


def in_signature(owner: Any, name: str) -> inspect.Parameter:
    """Return an option as it stands in a signature."""
    return inspect.Parameter(
        name,
        inspect.Parameter.KEYWORD_ONLY,
        default=owner.OPTIONS[name].usual,
        annotation=owner.__annotations__[name],
    )
