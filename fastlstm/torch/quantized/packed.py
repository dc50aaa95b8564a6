"""Weights packed by a backend, kept from one short call to the next.

To round and pack the weights takes much longer than a step, or a product of a few rows.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from operator import is_
from typing import Any, NamedTuple

import torch
from torch import Tensor

from fastlstm import kernels
from fastlstm.kernels import Backend, Weights
from fastlstm.torch.layout import SURELY_MEMORY, array_of
from fastlstm.torch.stored import Stored

PACKED = "_packed"  # where a module keeps them


class Packed(NamedTuple):
    """A module's weights as its backend reads them."""

    made: Any  # a runner of single steps, or a matrix
    backend: Backend
    rows: int  # of a step; 0: any number
    buffers: list[Any]  # that it was made of
    versions: list[int]

    def fits(self, module: Stored, rows: int) -> bool:
        """Whether it serves a step of so many rows: the module's weights are as they were."""
        now = list(module._buffers.values())
        return (
            rows == self.rows
            and kernels.backend() is self.backend
            and all(map(is_, now, self.buffers))
            and _versions(now) == self.versions
        )


class Keeps(Stored):
    """A module that keeps its packed weights, in int8."""

    def _take(self, rows: int, pack: Callable[[Backend], Any]) -> Packed:
        """Take the packed weights away, or make them: give them back by `_keep` after use.

        Another thread that comes in between makes its own.
        """
        packed: Packed | None = vars(self).pop(PACKED, None)
        if packed is not None and packed.fits(self, rows):
            return packed
        backend, buffers = kernels.backend(), list(self._buffers.values())
        return Packed(pack(backend), backend, rows, buffers, _versions(buffers))

    def _keep(self, packed: Packed) -> None:
        vars(self)[PACKED] = packed

    def __getstate__(self) -> dict[str, Any]:
        """Return what copies and pickles hold: not the packed weights."""
        state: dict[str, Any] = super().__getstate__()
        return {name: value for name, value in state.items() if name != PACKED}


class Steps(Keeps):
    """A recurrent module whose calls of few steps are made one by one."""

    def steps_packed(self, input: Any, hx: Any) -> bool:
        """Whether a call is of few steps, and its arguments need no check but this one."""
        raise NotImplementedError

    def _refuse(self) -> None:
        """Raise the error of a call that only torch's own operations could answer."""
        raise RuntimeError(
            f"{self._get_name()} cannot be traced, exported or transformed, nor take tensors of a "
            "class of their own: it runs a kernel. Do that with the float model"
        )

    def _layers(self) -> list[Weights]:
        """Return the weights of each layer."""
        raise NotImplementedError

    def _take_stream(self, cell: str, rows: int) -> Packed:
        """Take the runner of steps of so many rows."""
        layers = self._layers
        return self._take(rows, lambda b: b.stream(kernels.CELLS[cell], layers(), rows, "int8"))

    def _weights(self, names: Iterable[str]) -> Weights:
        """Return the weights of one layer, ``weight_ih_l0`` as w_ih and so on."""
        arrays: dict[str, Any] = {}
        for name in names:
            kind, part = name.split("_")[:2]
            weight = self.float_weight(name)
            arrays[f"{kind[0]}_{part}"] = None if weight is None else array_of(weight)
        return Weights(**arrays)


def plain(t: Any, shape: tuple[int, ...]) -> bool:
    """Whether a tensor is a contiguous one of that shape, with memory, in float32 on the CPU."""
    return (
        type(t) is Tensor
        and t.shape == shape
        and t.numel() > 0
        and t.is_cpu
        and t.dtype is torch.float32
        and t.layout is torch.strided
        and t.is_contiguous()
        and t.data_ptr() >= SURELY_MEMORY
        and not t.is_neg()
        and not t._is_zerotensor()
    )


def _versions(buffers: list[Any]) -> list[int]:
    return [0 if b is None or b.is_inference() else b._version for b in buffers]
