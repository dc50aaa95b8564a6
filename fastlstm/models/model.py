"""What a model was made with: enough to make one alike, as a file of it does."""

from __future__ import annotations

import inspect
from collections.abc import Callable
from functools import update_wrapper
from typing import Any, ClassVar, Concatenate, ParamSpec, TypeVar

import numpy as np

from fastlstm.nn.module import Module

P = ParamSpec("P")
M = TypeVar("M", bound="Model")


class Model(Module):
    """Base of the models that are kept in files.

    Attributes
    ----------
    options : what the model was made with, rng apart: ``type(model)(**options)`` is alike.
    """

    SIZES: ClassVar[dict[str, tuple[str, int]]]
    """By option, the parameter that has an axis of that size, and which one; of an option that is
    0 there is no such parameter. ``{cell}`` in a name stands for that option."""

    LAYER: ClassVar[str] = "{cell}.weight_hh_l{number}"
    """Name of the parameter that each of ``num_layers`` has one of."""

    options: dict[str, Any]


def remembered(init: Callable[Concatenate[M, P], None]) -> Callable[Concatenate[M, P], None]:
    """Let the ``__init__`` of a model keep its arguments as `options`; its own ones stay."""

    def remember(self: M, /, *args: P.args, **kwargs: P.kwargs) -> None:
        init(self, *args, **kwargs)
        given = options_of(init, self, *args, **kwargs)
        self.options = {**given, **vars(self).get("options", {})}

    update_wrapper(remember, init)
    return remember


def options_of(init: Callable[..., None], *args: Any, **kwargs: Any) -> dict[str, Any]:
    """Return the arguments of a model's ``__init__``, defaults too, but for self and rng."""
    bound = inspect.signature(init).bind(*args, **kwargs)
    bound.apply_defaults()
    given = {k: v for k, v in bound.arguments.items() if k not in ("self", "rng")}
    given["dtype"] = np.dtype(given["dtype"]).name
    return {k: v.item() if isinstance(v, np.generic) else v for k, v in given.items()}
