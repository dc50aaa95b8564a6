"""What a chain is made of beside the layers that train."""

from __future__ import annotations

from typing import Any, NoReturn

import numpy as np

from fastlstm import kernels
from fastlstm.kernels.chain import ChainSpec, Stage
from fastlstm.nn.check import check_dtype
from fastlstm.nn.module import Array, Module


class ForInference(Module):
    """A module that has no backward."""

    def forward(self, *_: Any, **__: Any) -> NoReturn:
        """Refuse: NotImplementedError."""
        self._refuse()

    def backward(self, tape: Any, dy: Any = None) -> NoReturn:
        """Refuse: NotImplementedError."""
        self._refuse()

    def _refuse(self) -> NoReturn:
        raise NotImplementedError(
            f"{type(self).__name__} is for inference alone, and has no backward: train in torch "
            "and take over the weights with load_state_dict"
        )


class ChainPart(ForInference):
    """A module that is a stage of a chain; called alone it is a chain of one."""

    def stage(self) -> Stage:
        """Return the stage, with weights that are the module's own."""
        raise NotImplementedError

    def __call__(self, x: Array) -> Array:
        """Return y [N,Q,O] of x [N,P,C], or [Q,O] of [P,C]: of a frame as long as x.

        Raises
        ------
        TypeError, ValueError
            If x is no array of float32 or float64 of that shape, or not of the module's dtype.
        """
        if not isinstance(x, np.ndarray):
            raise TypeError(f"x is a {type(x).__name__}, expected a NumPy array")
        if x.ndim not in (2, 3) or not x.size:
            raise ValueError(f"x has shape {x.shape}, expected [N,P,C] or [P,C], none of them 0")
        dtype = check_dtype(getattr(self, "dtype", x.dtype))
        N, (P, C) = len(x) if x.ndim == 3 else 1, x.shape[-2:]
        spec = ChainSpec((self.stage(),), P, C, dtype.name)
        y = kernels.backend().chain(spec, N)(x.reshape(N, P, C))
        return y if x.ndim == 3 else y[0]
