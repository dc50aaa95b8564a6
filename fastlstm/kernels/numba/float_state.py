"""Denormals are flushed to zero while a kernel runs: vanishing gradients would otherwise cost up
to a hundred times the time. The state is per thread and is put back.
"""

from __future__ import annotations

import platform
from typing import Any

from llvmlite import ir
from numba.core import cgutils, types

from fastlstm.kernels.numba.jit import intrinsic

ON_X86 = platform.machine().lower() in ("x86_64", "amd64", "i386", "i686")
ON_ARM = platform.machine().lower() in ("aarch64", "arm64")
FLUSH_X86 = 0x8040  # FTZ, DAZ
FLUSH_ARM = 1 << 24  # FPCR.FZ
WORD, REGISTER = ir.IntType(64), ir.IntType(32)


def _call(builder: Any, name: str, returns: Any, *args: Any) -> Any:
    kind = ir.FunctionType(returns, [arg.type for arg in args])
    return builder.call(cgutils.get_or_insert_function(builder.module, kind, name), args)


def _read(builder: Any) -> Any:
    if ON_ARM:
        return _call(builder, "llvm.aarch64.get.fpcr", WORD)
    if not ON_X86:
        return ir.Constant(WORD, 0)
    place = cgutils.alloca_once(builder, REGISTER)
    _call(builder, "llvm.x86.sse.stmxcsr", ir.VoidType(), _bytes(builder, place))
    return builder.zext(builder.load(place), WORD)


def _write(builder: Any, state: Any) -> None:
    if ON_ARM:
        _call(builder, "llvm.aarch64.set.fpcr", ir.VoidType(), state)
    elif ON_X86:
        place = cgutils.alloca_once(builder, REGISTER)
        builder.store(builder.trunc(state, REGISTER), place)
        _call(builder, "llvm.x86.sse.ldmxcsr", ir.VoidType(), _bytes(builder, place))


def _bytes(builder: Any, place: Any) -> Any:
    return builder.bitcast(place, ir.IntType(8).as_pointer())


@intrinsic
def flush_denormals(typingctx: Any) -> Any:
    """Flush denormals from here on; return the state of before."""

    def codegen(context: Any, builder: Any, signature: Any, args: Any) -> Any:
        before = _read(builder)
        flush = FLUSH_ARM if ON_ARM else FLUSH_X86
        _write(builder, builder.or_(before, ir.Constant(WORD, flush)))
        return before

    return types.int64(), codegen


@intrinsic
def restore_denormals(typingctx: Any, state: Any) -> Any:
    """Put a state back."""

    def codegen(context: Any, builder: Any, signature: Any, args: Any) -> Any:
        _write(builder, args[0])
        return context.get_dummy_value()

    return types.void(types.int64), codegen
