"""Numbers in memory by address: the engine walks rows that lie anywhere.

Passing addresses and not arrays, one compiled version serves every layout of the caller's.
"""

from __future__ import annotations

from typing import Any

from llvmlite import ir
from numba.core import types

from fastlstm.kernels.numba.jit import inline, intrinsic


def _pointer(builder: Any, kind: Any, base: Any, index: Any) -> Any:
    pointer = builder.inttoptr(base, kind.as_pointer())
    return builder.gep(pointer, [index])


@intrinsic
def load(typingctx: Any, zero: Any, base: Any, index: Any) -> Any:
    """Return element `index` at address `base`, of the type of `zero`."""

    def codegen(context: Any, builder: Any, signature: Any, args: Any) -> Any:
        kind = context.get_value_type(zero)
        value = builder.load(_pointer(builder, kind, args[1], args[2]))
        value.align = zero.bitwidth // 8
        return value

    return zero(zero, types.int64, types.int64), codegen


@intrinsic
def store(typingctx: Any, base: Any, index: Any, value: Any) -> Any:
    """Write `value` to element `index` at address `base`."""

    def codegen(context: Any, builder: Any, signature: Any, args: Any) -> Any:
        kind = context.get_value_type(value)
        done = builder.store(args[2], _pointer(builder, kind, args[0], args[1]))
        done.align = value.bitwidth // 8
        return context.get_dummy_value()

    return types.void(types.int64, types.int64, value), codegen


@intrinsic
def load_byte(typingctx: Any, address: Any) -> Any:
    """Return the byte at an address."""

    def codegen(context: Any, builder: Any, signature: Any, args: Any) -> Any:
        byte = builder.load(builder.inttoptr(args[0], ir.IntType(8).as_pointer()))
        return builder.zext(byte, ir.IntType(64))

    return types.int64(types.int64), codegen


@intrinsic
def size_of(typingctx: Any, zero: Any) -> Any:
    """Return the bytes of a number of the type of `zero`."""

    def codegen(context: Any, builder: Any, signature: Any, args: Any) -> Any:
        return context.get_constant(types.int64, zero.bitwidth // 8)

    return types.int64(zero), codegen


@inline
def word(base: int, index: int) -> Any:
    """Return integer `index` of those at an address."""
    return load(index, base, index)


@inline
def copy(zero: Any, to: int, source: int, n: int) -> None:
    for i in range(n):
        store(to, i, load(zero, source, i))


@inline
def add(zero: Any, to: int, source: int, n: int) -> None:
    for i in range(n):
        store(to, i, load(zero, to, i) + load(zero, source, i))


@inline
def multiply(zero: Any, to: int, a: int, b: int, n: int) -> None:
    """Write the products of n numbers."""
    for i in range(n):
        store(to, i, load(zero, a, i) * load(zero, b, i))


@inline
def fill(zero: Any, to: int, n: int) -> None:
    """Write n zeros."""
    for i in range(n):
        store(to, i, zero)
