"""The signature that `help` and editors show of a class whose options stand in several places."""

from __future__ import annotations

import inspect
from collections.abc import Collection, Iterable
from inspect import Parameter, Signature
from typing import Any


def keyword_only(function: Any) -> list[Parameter]:
    """Return those arguments of a function that go by name alone."""
    parameters = inspect.signature(function).parameters.values()
    return [p for p in parameters if p.kind is p.KEYWORD_ONLY]


def signature_of(cls: Any, common: Iterable[Parameter], hidden: Collection[str] = ()) -> Signature:
    """Return the signature of a class: its __init__, with `common` where that has ``**options``.

    Left out are ``**unknown``, which is there to be refused, and those named in `hidden`, unless
    the class has an __init__ of its own that names them.
    """
    signature = inspect.signature(cls.__init__)
    _, *own = signature.parameters.values()
    if "__init__" not in vars(cls):
        own = [p for p in own if p.name not in hidden]
    named = [p for p in own if p.kind is not p.VAR_KEYWORD]
    for rest in own[len(named) :]:
        if rest.name == "options":
            left_out = {p.name for p in named}.union(hidden)
            named += [p for p in common if p.name not in left_out]
        elif rest.name != "unknown":
            named.append(rest)
    return signature.replace(parameters=named)
