"""Products of any number of rows with a packed B, and the packing."""

from __future__ import annotations

from typing import Any

from llvmlite import ir
from numba.core import cgutils, types

from fastlstm.kernels.numba.address import copy, fill, load, size_of, store, word
from fastlstm.kernels.numba.jit import inline, intrinsic, jit
from fastlstm.kernels.numba.tile import (
    MAX_ROWS,
    PANEL_BYTES,
    WIDE,
    make_sum_tile,
    make_tile,
    panel_columns,
)

BY_ROWS = 640 << 10  # bytes of B that a second-level cache keeps beside the rest
# What `product` needs for itself: a table of addresses, and the rows of a panel.
SPARE_TABLE = 64
SPARE_BYTES = SPARE_TABLE + MAX_ROWS * PANEL_BYTES

_tile_1, _tile_2, _tile_3, _tile_4, _tile_5, _tile_6 = (make_tile(r) for r in range(1, 7))
_tile_wide = make_tile(1, WIDE)
_sum_1, _sum_2, _sum_3, _sum_4, _sum_5, _sum_6 = (make_sum_tile(r) for r in range(1, 7))


@jit
def tile(zero: Any, rows: int, K: int, a: int, b: int, cin: int, c: int, offset: int) -> None:
    """One panel of 1 to MAX_ROWS rows, see `tile.make_tile`."""
    if rows == 6:
        _tile_6(zero, K, a, b, cin, c, offset)
    elif rows == 5:
        _tile_5(zero, K, a, b, cin, c, offset)
    elif rows == 4:
        _tile_4(zero, K, a, b, cin, c, offset)
    elif rows == 3:
        _tile_3(zero, K, a, b, cin, c, offset)
    elif rows == 2:
        _tile_2(zero, K, a, b, cin, c, offset)
    else:
        _tile_1(zero, K, a, b, cin, c, offset)


def product_function(
    zero: Any, n: int, K: int, a: int, b: int, columns: int, cin: int, c: int, spare: int
) -> int:
    """C = Cin + A B: n rows of K numbers, into exactly `columns` columns.

    a, cin and c are addresses of tables of the rows' addresses; rows of cin may be those of c.
    spare has SPARE_BYTES.
    """
    width = panel_columns(zero)
    blocks, panels = (n + MAX_ROWS - 1) // MAX_ROWS, (columns + width - 1) // width
    first = 0
    if n == 1:
        while (first + WIDE) * width <= columns:
            at = first * PANEL_BYTES
            _tile_wide(zero, K, a, b + at * K, cin, c, at)
            first += WIDE
    # A B that fits the second-level cache streams past each block of rows; else all rows pass
    # each of its panels.
    by_rows = panels * K * PANEL_BYTES <= BY_ROWS
    outer, inner = (blocks, panels - first) if by_rows else (panels - first, blocks)
    for i in range(outer):
        for j in range(inner):
            block, panel = (i, first + j) if by_rows else (j, first + i)
            row = n * block // blocks
            rows = n * (block + 1) // blocks - row
            left, at, table = columns - panel * width, panel * PANEL_BYTES, row * 8
            bp = b + at * K
            if left >= width:
                tile(zero, rows, K, a + table, bp, cin + table, c + table, at)
            else:
                _last_panel(zero, rows, K, a + table, bp, left, cin + table, c + table, at, spare)
    return 0


@jit
def _last_panel(
    zero: Any,
    rows: int,
    K: int,
    a: int,
    b: int,
    columns: int,
    cin: int,
    c: int,
    at: int,
    spare: int,
) -> None:
    """A panel of fewer columns than its vectors hold goes through `spare`."""
    numbers = spare + SPARE_TABLE
    for r in range(rows):
        row = numbers + r * PANEL_BYTES
        store(spare, r, row)
        fill(zero, row, panel_columns(zero))
        copy(zero, row, word(cin, r) + at, columns)
    tile(zero, rows, K, a, b, spare, spare, 0)
    for r in range(rows):
        copy(zero, word(c, r) + at, word(spare, r), columns)


@intrinsic
def _call_at(typingctx: Any, address: Any, arguments: Any) -> Any:
    """Call a function by its address.

    Compiled into each of its callers it would take most of the time that compiling takes.
    """

    def codegen(context: Any, builder: Any, signature: Any, args: Any) -> Any:
        values = cgutils.unpack_tuple(builder, args[1])
        kind = ir.FunctionType(ir.IntType(64), [value.type for value in values]).as_pointer()
        builder.call(builder.inttoptr(args[0], kind), values)
        return context.get_dummy_value()

    return types.void(types.int64, arguments), codegen


@inline
def product(k: Any, n: int, K: int, a: int, b: int, columns: int, cin: int, c: int) -> None:
    """`product_function` for a thread."""
    _call_at(k.product, (k.zero, n, K, a, b, columns, cin, c, k.work))


@jit
def _sum_tile(zero: Any, rows: int, K: int, a: int, a_offset: int, b: int, c: int) -> None:
    if rows == 6:
        _sum_6(zero, K, a, a_offset, b, c)
    elif rows == 5:
        _sum_5(zero, K, a, a_offset, b, c)
    elif rows == 4:
        _sum_4(zero, K, a, a_offset, b, c)
    elif rows == 3:
        _sum_3(zero, K, a, a_offset, b, c)
    elif rows == 2:
        _sum_2(zero, K, a, a_offset, b, c)
    else:
        _sum_1(zero, K, a, a_offset, b, c)


def sum_function(zero: Any, F: int, K: int, a: int, b: int, c: int) -> int:
    """Add to C [F][panel] the sum over K rows of F numbers of A times one panel of B.

    a is the address of a table of A's rows' addresses; B is [K][panel].
    """
    blocks = (F + MAX_ROWS - 1) // MAX_ROWS
    for block in range(blocks):
        f = F * block // blocks
        rows = F * (block + 1) // blocks - f
        _sum_tile(zero, rows, K, a, f * size_of(zero), b, c + f * PANEL_BYTES)
    return 0


@inline
def add_sum(k: Any, F: int, K: int, a: int, b: int, c: int) -> None:
    """`sum_function` by its address."""
    _call_at(k.sum, (k.zero, F, K, a, b, c))


def pack(
    part: int,
    parts: int,
    zero: Any,
    w: int,
    row: int,
    column: int,
    K: int,
    columns: int,
    packed: int,
) -> None:
    """Pack B[k, j] at address ``w + k * row + j * column``; thread `part` of `parts` its panels."""
    width = panel_columns(zero)
    panels = (columns + width - 1) // width
    for p in range(panels * part // parts, panels * (part + 1) // parts):
        to = packed + p * K * PANEL_BYTES
        real = min(width, columns - p * width)
        for j in range(real):
            source = w + (p * width + j) * column
            for k in range(K):
                store(to, k * width + j, load(zero, source + k * row, 0))
        for j in range(real, width):
            for k in range(K):
                store(to, k * width + j, zero)
