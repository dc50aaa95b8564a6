"""The loop over the units of a row around a function of one unit, for LLVM to vectorise."""

from __future__ import annotations

from typing import Any

from llvmlite import ir
from numba.core import cgutils, errors, types
from numba.core.types import BaseTuple, Number

from fastlstm.kernels.numba.jit import intrinsic

WORD = ir.IntType(64)


class _Node(ir.MDValue):  # type: ignore[misc]  # llvmlite has no types
    """A metadata node that equals no other; it may refer to itself."""

    def __init__(self, module: Any) -> None:
        super().__init__(module, (), name=str(len(module.metadata)))

    def descr(self, buf: Any) -> None:
        buf += ("distinct ",)
        super().descr(buf)

    __hash__ = object.__hash__

    def __eq__(self, other: object) -> bool:
        return self is other

    def __ne__(self, other: object) -> bool:
        return self is not other


def _parallel(module: Any) -> tuple[Any, Any]:
    """Return metadata: of a loop whose turns do not depend on each other, and of its accesses."""
    group, loop = _Node(module), _Node(module)
    properties = [
        module.add_metadata(["llvm.loop.parallel_accesses", group]),
        module.add_metadata(["llvm.loop.vectorize.enable", ir.Constant(ir.IntType(1), 1)]),
        module.add_metadata(["llvm.loop.interleave.count", ir.Constant(ir.IntType(32), 1)]),
    ]
    loop.operands = (loop, *properties)
    return loop, group


def _pointers(builder: Any, kind: Any, table: Any, n: int) -> list[Any]:
    addresses = builder.inttoptr(table, WORD.as_pointer())
    at = (builder.gep(addresses, [ir.Constant(WORD, i)]) for i in range(n))
    return [builder.inttoptr(builder.load(p), kind.as_pointer()) for p in at]


@intrinsic
def for_units(typingctx: Any, function: Any, zero: Any, H: Any, ins: Any, outs: Any) -> Any:
    """For each u < H: ``outs[0][u], outs[1][u], ... = function(ins[0][u], ins[1][u], ...)``.

    ins and outs are addresses of tables of addresses of rows. A row may be both in and out; apart
    from that rows may not overlap: units are computed side by side.
    """
    arity = function.dispatcher.py_func.__code__.co_argcount
    inner = typingctx.resolve_function_type(function, (zero,) * arity, {})
    returns = inner.return_type
    results = list(returns) if isinstance(returns, BaseTuple) else [returns]
    for result in results:
        if not isinstance(result, Number):
            name = function.dispatcher.py_func.__name__
            raise errors.TypingError(f"{name} returns {result}, expected numbers")

    def codegen(context: Any, builder: Any, signature: Any, args: Any) -> Any:
        call = context.get_function(function, inner)
        kind = context.get_value_type(zero)
        rows_in = _pointers(builder, kind, args[3], arity)
        rows_out = _pointers(builder, kind, args[4], len(results))
        loop_info, group = _parallel(builder.module)
        before, body = builder.block, builder.append_basic_block("units")
        after = builder.append_basic_block("units.done")
        builder.cbranch(builder.icmp_signed(">", args[2], ir.Constant(WORD, 0)), body, after)
        builder.position_at_end(body)
        u = builder.phi(WORD)
        u.add_incoming(ir.Constant(WORD, 0), before)
        loads = [builder.load(builder.gep(row, [u])) for row in rows_in]
        value = call(builder, loads)
        parts = cgutils.unpack_tuple(builder, value) if len(results) > 1 else [value]
        parts = [context.cast(builder, p, r, zero) for p, r in zip(parts, results, strict=True)]
        stores = [
            builder.store(p, builder.gep(row, [u])) for p, row in zip(parts, rows_out, strict=True)
        ]
        for access in (*loads, *stores):
            access.align = zero.bitwidth // 8
            access.set_metadata("llvm.access.group", group)
        following = builder.add(u, ir.Constant(WORD, 1))
        u.add_incoming(following, builder.block)
        more = builder.icmp_signed("<", following, args[2])
        builder.cbranch(more, body, after).set_metadata("llvm.loop", loop_info)
        builder.position_at_end(after)
        return context.get_dummy_value()

    word = types.int64
    return types.void(function, zero, word, word, word), codegen
