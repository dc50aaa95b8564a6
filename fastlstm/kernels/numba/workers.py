"""Parts of a call side by side, on threads that last as long as the call.

They are started and joined inside compiled code, from which no exception comes: neither Ctrl-C nor
a signal handler that raises can leave a call while its parts still write, and none outlives it. A
thread that the system refuses is no error: the caller runs its part.
"""

from __future__ import annotations

import os
from typing import Any

from llvmlite import ir
from numba.core import cgutils, types

from fastlstm.kernels.numba.jit import intrinsic

# Some 0.4 ms of products of one core, in floating-point operations: starting a thread and waiting
# for it takes a tenth of that, and longer on a busy machine.
WORTH_A_THREAD = 8e7
HAS_THREADS = os.name == "posix"  # elsewhere the parts run one after the other
WORD, BYTES = ir.IntType(64), ir.IntType(8).as_pointer()
ERROR = ir.IntType(32)


def worth_threads(operations: float, parts: int, n_threads: int) -> int:
    """Return how many threads to take: small work runs on one."""
    return max(1, min(n_threads, parts, int(operations / WORTH_A_THREAD)))


@intrinsic
def in_parts(typingctx: Any, function: Any, parts: Any, arguments: Any) -> Any:
    """Call ``function(part, parts, *arguments)`` for each part; return when all are done.

    function is compiled and raises nothing.
    """
    of_task = (types.int64, types.int64, *arguments.types)
    inner = typingctx.resolve_function_type(function, of_task, {})

    def codegen(context: Any, builder: Any, signature: Any, args: Any) -> Any:
        compiled = function.dispatcher.overloads[inner.args]
        context.active_code_library.add_linking_library(compiled.library)
        _Parts(context, builder, compiled.fndesc, args[1], args[2]).run()
        return context.get_dummy_value()

    return types.void(function, types.int64, arguments), codegen


class _Parts:
    """Emits a call in parts."""

    def __init__(self, context: Any, builder: Any, task: Any, parts: Any, arguments: Any) -> None:
        self._context, self._builder, self._task = context, builder, task
        self._parts, self._arguments = parts, arguments
        self._record = ir.LiteralStructType([WORD, WORD, arguments.type.as_pointer()])

    def run(self) -> None:
        b, parts = self._builder, self._parts
        others = {"start": ir.Constant(WORD, 1), "intp": WORD}
        if not HAS_THREADS:
            with cgutils.for_range(b, parts, intp=WORD) as loop:
                self._call(b, loop.index, parts, self._arguments)
            return
        arguments = cgutils.alloca_once_value(b, self._arguments)
        records = b.alloca(self._record, size=parts)
        threads, refused = b.alloca(WORD, size=parts), b.alloca(ERROR, size=parts)
        entry = self._entry()
        with cgutils.for_range(b, parts, **others) as loop:
            record = b.gep(records, [loop.index])
            for i, value in enumerate((loop.index, parts, arguments)):
                b.store(value, cgutils.gep_inbounds(b, record, 0, i))
            given = b.gep(threads, [loop.index]), entry, b.bitcast(record, BYTES)
            b.store(self._start(*given), b.gep(refused, [loop.index]))
        self._call(b, ir.Constant(WORD, 0), parts, self._arguments)
        with cgutils.for_range(b, parts, **others) as loop:
            started = cgutils.is_null(b, b.load(b.gep(refused, [loop.index])))
            with b.if_else(started) as (then, otherwise):
                with then:
                    self._join(b.load(b.gep(threads, [loop.index])))
                with otherwise:
                    self._call(b, loop.index, parts, self._arguments)

    def _call(self, builder: Any, part: Any, parts: Any, arguments: Any) -> None:
        task = self._task
        callee = self._context.declare_function(builder.module, task)
        values = [part, parts, *cgutils.unpack_tuple(builder, arguments)]
        self._context.call_conv.call_function(
            builder, callee, task.restype, task.argtypes, values
        )  # nothing asks for its status: it raises nothing

    def _entry(self) -> Any:
        """Return the function that a thread starts with; it takes the address of a record."""
        kind = ir.FunctionType(BYTES, [BYTES])
        module = self._builder.module
        entry = ir.Function(module, kind, module.get_unique_name("fastlstm_part"))
        entry.linkage = "internal"
        b = ir.IRBuilder(entry.append_basic_block())
        record = b.bitcast(entry.args[0], self._record.as_pointer())
        part, parts, arguments = (b.load(cgutils.gep_inbounds(b, record, 0, i)) for i in range(3))
        self._call(b, part, parts, b.load(arguments))
        b.ret(ir.Constant(BYTES, None))
        return entry

    def _start(self, thread: Any, entry: Any, record: Any) -> Any:
        kind = ir.FunctionType(ERROR, [WORD.as_pointer(), BYTES, entry.type, BYTES])
        create = cgutils.get_or_insert_function(self._builder.module, kind, "pthread_create")
        return self._builder.call(create, [thread, ir.Constant(BYTES, None), entry, record])

    def _join(self, thread: Any) -> None:
        kind = ir.FunctionType(ERROR, [WORD, BYTES.as_pointer()])
        join = cgutils.get_or_insert_function(self._builder.module, kind, "pthread_join")
        self._builder.call(join, [thread, ir.Constant(BYTES.as_pointer(), None)])
