"""What a model was made with: enough to make one alike, as a file of it does."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, ClassVar

import numpy as np

from fastlstm.nn.check import check_dtype
from fastlstm.nn.module import Module


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


def options_of(arguments: Mapping[str, Any]) -> dict[str, Any]:
    """Return the options among the arguments of a model's ``__init__``, as JSON can hold them."""
    kept = {k: v for k, v in arguments.items() if k not in ("self", "rng", "__class__")}
    kept["dtype"] = check_dtype(kept["dtype"]).name
    return {k: v.item() if isinstance(v, np.generic) else v for k, v in kept.items()}
