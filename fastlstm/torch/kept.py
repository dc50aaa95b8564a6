"""What a kernel keeps for backward, on its way through a graph that knows tensors alone.

An operator returns a marker, one byte, and its backward operator is given it. What was kept is
found here by the marker's address, for as long as that memory lives. A marker that was copied
finds nothing: then forward runs again, to the same bits.
"""

from __future__ import annotations

import weakref
from typing import Any, NamedTuple

import numpy as np
import torch
from torch import Tensor

from fastlstm.torch.function import Saved
from fastlstm.torch.held import Tensors, addresses


class Kept(NamedTuple):
    """What `function.forward_layer` saved, and the memory that it refers to."""

    saved: Saved
    addresses: tuple[int, ...]
    alive: Any  # calls back when the marker's memory goes


_kept: dict[int, Kept] = {}


def keep(saved: Saved, tensors: Tensors) -> Tensor:
    """Return a marker for what was saved of a call with `tensors`, its y among them."""
    memory = np.zeros(1, np.uint8)
    address = memory.ctypes.data
    alive = weakref.ref(memory, lambda _: _kept.pop(address, None))
    _kept[address] = Kept(saved, addresses(tensors), alive)
    return torch.from_numpy(memory)


def nothing() -> Tensor:
    """Return the marker where nothing is kept."""
    return torch.empty(0, dtype=torch.uint8)


def take(marker: Tensor, tensors: Tensors) -> Saved | None:
    """Return what was saved, once; None if there is nothing, or `tensors` lie elsewhere now.

    A compiler may compute x anew for the backward pass and write other values where it was.
    """
    found = _kept.pop(marker.data_ptr(), None) if marker.numel() else None
    if found is None or found.addresses != addresses(tensors) or found.saved.changed():
        return None
    return found.saved
