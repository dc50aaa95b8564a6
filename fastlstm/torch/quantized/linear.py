"""Linear, its weight in few bits."""

from __future__ import annotations

from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor

from fastlstm.kernels import Backend
from fastlstm.kernels.arguments import MOST_SUMMED
from fastlstm.runtime import get_num_threads
from fastlstm.torch.autocast import lowered, raised
from fastlstm.torch.check import check_tensor
from fastlstm.torch.dispatch import plain_mode, recorded
from fastlstm.torch.layout import array_of, check_memory
from fastlstm.torch.quantized.packed import Keeps, plain
from fastlstm.torch.rounding import exact_int_mm, linear
from fastlstm.torch.stored import check_dtype, wanted_dtype, without_backward


class Linear(Keeps):
    """``y = x W^T + b`` as torch.nn.Linear: from 8 bits each, or from a weight of 16 bits.

    int8: rows of weight and of x are rounded by their own largest magnitude, so that a row of y
    depends on no other row; sums of products are exact. float16: products are float32.

    Attributes
    ----------
    in_features, out_features : sizes.
    dtype : torch.qint8 or torch.float16.
    """

    in_features: int
    out_features: int
    weight: Tensor
    weight_scale: Tensor
    bias: Tensor | None

    @classmethod
    def from_float(cls, mod: Any, dtype: torch.dtype | None = None) -> Linear:
        """Return the quantized form of a torch.nn.Linear; `dtype` None asks its qconfig."""
        dtype = wanted_dtype(mod) if dtype is None else dtype
        check_dtype("Linear", dtype)
        made = cls()
        made.in_features, made.out_features = mod.in_features, mod.out_features
        made._store([("weight", mod.weight), ("bias", mod.bias)], dtype)
        exact_int_mm()  # for calls that are recorded
        return made

    def __setstate__(self, state: Any) -> None:
        super().__setstate__(state)
        exact_int_mm()

    def extra_repr(self) -> str:
        """Return the sizes, and the dtype of the weight."""
        sizes = f"in_features={self.in_features}, out_features={self.out_features}"
        return f"{sizes}, bias={self.bias is not None}, dtype={self.dtype}"

    def forward(self, input: Tensor) -> Tensor:
        """Return y [...,out_features] of input [...,in_features], float32.

        Raises
        ------
        TypeError, ValueError, RuntimeError
            If the input is not such a tensor on the CPU. RuntimeError from a backward pass.
        """
        result: Tensor = without_backward(self._get_name(), lambda: self._run(input), input)
        return result

    def _run(self, x: Tensor) -> Tensor:
        if self._is_plain(x):
            return self._packed_product(x)
        low, known = lowered(torch.float32), not recorded()
        if known:
            self._check_buffers()
        x = check_tensor("Linear", "input", x if low is None else raised(x), torch.float32)
        if known:
            self._check(x)
        if low is None:
            return self._product(x)
        with torch.autocast("cpu", enabled=False):
            return self._product(x).to(low)

    def _check(self, x: Tensor) -> None:
        if not x.dim() or x.shape[-1] != self.in_features:
            raise RuntimeError(
                f"Linear: input has shape {tuple(x.shape)}, expected {self.in_features} in its "
                "last axis"
            )
        check_memory(x)

    def _check_buffers(self) -> None:
        for kept in self._buffers.values():
            if kept is not None:
                self._check_place(kept)

    def _product(self, x: Tensor) -> Tensor:
        if self.dtype is torch.float16:
            return F.linear(x, self.float_weight("weight"), self.bias)
        rows = x.reshape(-1, self.in_features)
        y = linear(rows, self.weight, self.weight_scale, self.bias, self.in_features)
        return y.view(*x.shape[:-1], self.out_features)

    def _is_plain(self, x: Any) -> bool:
        """Whether a kernel can take the call as it is, from weights that stay packed."""
        K = self.in_features
        if self.dtype is not torch.qint8 or K > MOST_SUMMED or not plain_mode():
            return False
        return type(x) is Tensor and x.dim() > 0 and x.shape[-1] == K and plain(x, x.shape)

    def _packed_product(self, x: Tensor) -> Tensor:
        packed = self._take(0, self._pack)
        bias = None if self.bias is None else array_of(self.float_weight("bias"))
        rows = array_of(x).reshape(-1, self.in_features)
        y = packed.backend.matmul(
            rows, packed.made, bias, precision="int8", n_threads=get_num_threads()
        )
        self._keep(packed)
        return torch.from_numpy(y.reshape(*x.shape[:-1], self.out_features))

    def _pack(self, backend: Backend) -> Any:
        return backend.pack_matrix(array_of(self.float_weight("weight")), "int8")
