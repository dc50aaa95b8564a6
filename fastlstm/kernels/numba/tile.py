"""C = Cin + A B for a few rows, in registers: every product of the engine, as vector code.

B is packed in panels of `VECTORS` vectors: [panel][K][VECTORS * lanes], the last one filled up
with zeros. Each element of C is one chain of multiply-adds in the order of K, whatever the tile:
a row's bits do not depend on the rows beside it.

One core of a Zen 5 (240 GFLOP/s), K = 128: 6 rows x 4 vectors of 64 bytes 229 GFLOP/s; 6 x 2 of
32 bytes 117 of 118.
"""

from __future__ import annotations

import platform
from collections.abc import Callable
from typing import Any

from llvmlite import ir
from numba.core import types
from numba.core.registry import cpu_target

from fastlstm.kernels.numba.activations import multiply_add
from fastlstm.kernels.numba.jit import intrinsic

WORD = ir.IntType(64)
LANE = ir.IntType(32)
MAX_ROWS = 6


def _registers() -> tuple[int, int]:
    """Return the bytes of a vector, and how many of them a panel has so that a tile fits."""
    features = cpu_target.target_context.codegen().magic_tuple()[2]
    if "+avx512f" in features:
        return 64, 4  # 6 x 4 of 32 registers accumulate
    if platform.machine().lower() in ("aarch64", "arm64"):
        return 16, 4
    return (32 if "+avx," in features else 16), 2  # 6 x 2 of 16


VECTOR_BYTES, VECTORS = _registers()
PANEL_BYTES = VECTOR_BYTES * VECTORS
# One row alone has too few chains of multiply-adds for their latency: it takes more panels.
WIDE = 16 // VECTORS if VECTORS == 4 else 4


def panel_width(itemsize: int) -> int:
    """Return the columns of a panel."""
    return PANEL_BYTES // itemsize


def panels_of(columns: int, itemsize: int) -> int:
    return -(-columns // panel_width(itemsize))


class _Tile:
    """Emits the code of one tile: rows x vectors of C, all of them live in registers."""

    def __init__(self, context: Any, builder: Any, zero: Any, rows: int, panels: int) -> None:
        self.builder, self.rows = builder, rows
        self.real = context.get_value_type(zero)
        self.size = zero.bitwidth // 8
        self.lanes = VECTOR_BYTES // self.size
        self.vector = ir.VectorType(self.real, self.lanes)
        self.columns = [(p, v * VECTOR_BYTES) for p in range(panels) for v in range(VECTORS)]

    def addresses(self, table: Any, offset: Any) -> list[Any]:
        """Load the addresses of the rows from a table of them."""
        b = self.builder
        pointer = b.inttoptr(table, WORD.as_pointer())
        rows = (b.gep(pointer, [ir.Constant(WORD, r)]) for r in range(self.rows))
        return [b.add(b.load(row), offset) for row in rows]

    def at(self, address: Any, kind: Any, offset: int = 0) -> Any:
        address = self.builder.add(address, ir.Constant(WORD, offset))
        return self.builder.inttoptr(address, kind.as_pointer())

    def load(self, address: Any, kind: Any, offset: int = 0) -> Any:
        value = self.builder.load(self.at(address, kind, offset))
        value.align = self.size
        return value

    def load_all(self, rows: list[Any]) -> list[Any]:
        return [
            self.load(row, self.vector, p * PANEL_BYTES + v)
            for row in rows
            for p, v in self.columns
        ]

    def store_all(self, rows: list[Any], values: list[Any]) -> None:
        places = [(row, p * PANEL_BYTES + v) for row in rows for p, v in self.columns]
        for (row, offset), value in zip(places, values, strict=True):
            self.builder.store(value, self.at(row, self.vector, offset)).align = self.size

    def spread(self, number: Any) -> Any:
        """One number in every lane."""
        none = ir.Constant(self.vector, ir.Undefined)
        first = self.builder.insert_element(none, number, ir.Constant(LANE, 0))
        mask = ir.Constant(ir.VectorType(LANE, self.lanes), None)
        return self.builder.shuffle_vector(first, none, mask)

    def multiply(self, a: list[Any], b: list[Any], c: list[Any]) -> list[Any]:
        """C + A B for one k: a numbers, b vectors."""
        n, spread = len(b), [self.spread(number) for number in a]
        return [
            multiply_add(self.builder, spread[i // n], b[i % n], value) for i, value in enumerate(c)
        ]


def make_tile(rows: int, panels: int = 1) -> Any:
    """Return the tile of so many rows and panels as a function for compiled code."""

    @intrinsic
    def tile(
        typingctx: Any, zero: Any, K: Any, a: Any, b: Any, cin: Any, c: Any, offset: Any
    ) -> Any:
        """K is at least 1; a, cin and c are addresses of tables of the rows' addresses; offset is
        bytes from the start of a row of Cin and C.
        """

        def codegen(context: Any, builder: Any, signature: Any, args: Any) -> Any:
            _emit(_Tile(context, builder, zero, rows, panels), *args[1:])
            return context.get_dummy_value()

        return types.void(zero, *[types.int64] * 6), codegen

    return tile


def _emit(t: _Tile, K: Any, a: Any, b: Any, cin: Any, c: Any, offset: Any) -> None:
    builder, zero = t.builder, ir.Constant(WORD, 0)
    rows, start = t.addresses(a, zero), t.load_all(t.addresses(cin, offset))
    out = t.addresses(c, offset)
    panel = builder.mul(K, ir.Constant(WORD, PANEL_BYTES))

    def factors(_: Any, a_at: Any, b_at: Any) -> tuple[list[Any], list[Any]]:
        numbers = [t.load(builder.add(row, a_at), t.real) for row in rows]
        columns = [
            t.load(builder.add(b_at, builder.mul(panel, ir.Constant(WORD, p))), t.vector, v)
            for p, v in t.columns
        ]
        return numbers, columns

    t.store_all(out, _summed(t, K, start, [(zero, t.size), (b, PANEL_BYTES)], factors))


def _summed(
    t: _Tile,
    K: Any,
    start: list[Any],
    places: list[tuple[Any, int]],
    factors: Callable[..., tuple[list[Any], list[Any]]],
) -> list[Any]:
    """Return `start` with the products of all k from 0 to K - 1 added; K is at least 1.

    ``factors(k, *at)`` loads the numbers and columns of one k, where `at` are places: each begins
    at its first one and is so many bytes further on with each k.
    """
    builder, zero = t.builder, ir.Constant(WORD, 0)
    before, loop = builder.block, builder.append_basic_block("sum")
    after = builder.append_basic_block("sum.done")
    builder.branch(loop)
    builder.position_at_end(loop)
    k, at = builder.phi(WORD), [builder.phi(WORD) for _ in places]
    acc = [builder.phi(t.vector) for _ in start]
    numbers, columns = factors(k, *at)
    total = t.multiply(numbers, columns, acc)
    k_next = builder.add(k, ir.Constant(WORD, 1))
    further = [
        (phi, first, builder.add(phi, ir.Constant(WORD, step)))
        for phi, (first, step) in zip(at, places, strict=True)
    ]
    for phi, first, then in [(k, zero, k_next), *further, *zip(acc, start, total, strict=True)]:
        phi.add_incoming(first, before)
        phi.add_incoming(then, loop)
    builder.cbranch(builder.icmp_signed("<", k_next, K), loop, after)
    builder.position_at_end(after)
    return total


def make_sum_tile(rows: int) -> Any:
    """Return the tile of sums over rows of two arrays, for compiled code: C += A B where number
    r of A at k is ``a[k][r]``, a being a table of addresses, and C [rows][panel] lies together.
    """

    @intrinsic
    def tile(typingctx: Any, zero: Any, K: Any, a: Any, a_offset: Any, b: Any, c: Any) -> Any:
        def codegen(context: Any, builder: Any, signature: Any, args: Any) -> Any:
            _emit_sum(_Tile(context, builder, zero, rows, 1), *args[1:])
            return context.get_dummy_value()

        return types.void(zero, *[types.int64] * 5), codegen

    return tile


def _emit_sum(t: _Tile, K: Any, a: Any, a_offset: Any, b: Any, c: Any) -> None:
    builder = t.builder
    table = builder.inttoptr(a, WORD.as_pointer())
    out = [builder.add(c, ir.Constant(WORD, r * PANEL_BYTES)) for r in range(t.rows)]

    def factors(k: Any, b_at: Any) -> tuple[list[Any], list[Any]]:
        row = builder.add(builder.load(builder.gep(table, [k])), a_offset)
        numbers = [t.load(row, t.real, r * t.size) for r in range(t.rows)]
        return numbers, [t.load(b_at, t.vector, v) for _, v in t.columns]

    t.store_all(out, _summed(t, K, t.load_all(out), [(b, PANEL_BYTES)], factors))


@intrinsic
def panel_columns(typingctx: Any, zero: Any) -> Any:
    """Return the columns of a panel of numbers of the type of `zero`."""

    def codegen(context: Any, builder: Any, signature: Any, args: Any) -> Any:
        return context.get_constant(types.int64, panel_width(zero.bitwidth // 8))

    return types.int64(zero), codegen
