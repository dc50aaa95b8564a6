"""The compiled functions of a precision and of a cell, each compiled when it is first needed."""

from __future__ import annotations

from functools import cache, cached_property
from typing import Any

import numpy as np
from numba.core import types

from fastlstm.kernels.numba import forward, gradients
from fastlstm.kernels.numba.backward import make_backward
from fastlstm.kernels.numba.cache import compile_cached, compile_parts
from fastlstm.kernels.numba.forward import make_forward
from fastlstm.kernels.numba.jit import unit
from fastlstm.kernels.numba.maths import Maths
from fastlstm.kernels.numba.product import pack, product_function, sum_function

WORD = types.int64
# What runs over steps s0..s1-1 takes: a `Fields` for each thread, s0, s1.
STEPS = (types.Array(WORD, 2, "C"), WORD, WORD)


class Shared:
    """What no cell matters to, in one precision."""

    def __init__(self, dtype: np.dtype[Any]) -> None:
        self.zero = dtype.type(0)
        self._real = types.float32 if dtype == np.float32 else types.float64

    def _compile(self, function: Any, *signature: Any) -> Any:
        return compile_cached(function, (), (self._real, *signature))

    def _in_parts(self, function: Any, *signature: Any) -> Any:
        return compile_parts(function, (), (self._real, *signature))

    @cached_property
    def product(self) -> int:
        """The address of `product_function`."""
        return _address_of(self._compile(product_function, *[WORD] * 8))

    @cached_property
    def sum(self) -> int:
        """The address of `sum_function`."""
        return _address_of(self._compile(sum_function, *[WORD] * 5))

    @cached_property
    def pack(self) -> Any:
        return self._in_parts(pack, *[WORD] * 6)

    @cached_property
    def token_products(self) -> Any:
        return self._in_parts(forward.token_products, *STEPS)

    @cached_property
    def input_gradients(self) -> Any:
        return self._in_parts(gradients.input_gradients, *STEPS)

    @cached_property
    def sum_tokens(self) -> Any:
        return self._in_parts(gradients.sum_tokens, *STEPS)

    @cached_property
    def token_gradients(self) -> Any:
        return self._in_parts(gradients.token_gradients, *STEPS)

    @cached_property
    def weight_gradients(self) -> Any:
        return self._in_parts(gradients.weight_gradients, *STEPS)


def _address_of(compiled: Any) -> int:
    (result,) = compiled.overloads.values()
    name = result.fndesc.llvm_cfunc_wrapper_name
    return int(result.library.get_pointer_to_function(name))


@cache
def shared(dtype: np.dtype[Any]) -> Shared:
    return Shared(dtype)


@cache
def loops(maths: Maths, dtype: np.dtype[Any]) -> Loops:
    return Loops(maths, dtype)


class Loops:
    """The time loops of a cell in one precision."""

    def __init__(self, maths: Maths, dtype: np.dtype[Any]) -> None:
        self._maths = maths
        self._real = types.float32 if dtype == np.float32 else types.float64

    @cached_property
    def forward(self) -> Any:
        forward, mix = self._maths.forward, self._maths.mix
        loop = make_forward(unit(forward), mix and unit(mix))
        return compile_parts(loop, (forward, mix), (self._real, *STEPS))

    @cached_property
    def backward(self) -> Any:
        backward, mix = self._maths.backward, self._maths.mix_backward
        loop = make_backward(unit(backward), mix and unit(mix))
        return compile_parts(loop, (backward, mix), (self._real, *STEPS))
