"""Sizes that a file says a model has, compared with its tensors before anything is built."""

from __future__ import annotations

from collections.abc import Mapping
from itertools import count
from typing import Any

from numpy.typing import NDArray


def check_sizes(
    options: object, tensors: Mapping[str, NDArray[Any]], places: Mapping[str, tuple[str, int]],
    layer: str,
) -> None:  # fmt: skip
    """Raise ValueError if an option is not the size that the tensors have.

    Parameters
    ----------
    options : of a model, as a file has them; those that are no whole numbers are not looked at.
    tensors : the parameters by name.
    places : by option, the name of a tensor and one of its axes; without that tensor the size is 0.
    layer : name of the tensor that each recurrent layer has one of, ``{}`` for its number, as the
        option ``num_layers`` counts them.
    """
    if not isinstance(options, Mapping):
        raise ValueError(f"its options are {options!r:.60}, expected an object")
    found = {name: _size(tensors.get(tensor), axis) for name, (tensor, axis) in places.items()}
    found["num_layers"] = next(n for n in count() if layer.format(n) not in tensors)
    for name, size in found.items():
        value = options.get(name, size)
        if type(value) is int and value != size:
            raise ValueError(f"{name} is {value!r:.30}, but its tensors are of {size}")


def _size(tensor: NDArray[Any] | None, axis: int) -> int:
    if tensor is None:
        return 0
    if tensor.ndim <= axis:
        raise ValueError(f"a tensor has shape {tensor.shape}")
    return int(tensor.shape[axis])
