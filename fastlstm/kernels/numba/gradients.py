"""After the time loop: gradients of the input and of the weights, as products over all steps.

Gradients of weights are sums over steps, from the last step run to the first and in a step by
sorted row, whatever the thread: threads divide the weights, not the rows. In dW = sum of
x[row] * dz[row] the panels of dz of a block of rows are laid together, and a tile of features of
x times a panel stays in registers while it walks the rows. After every SUM_ROWS rows the sums are
added to float64 ones: a float32 sum of 10^7 terms would be off by a hundredth.
"""

from __future__ import annotations

from typing import Any

from fastlstm.kernels.numba.address import add, copy, fill, load, store, word
from fastlstm.kernels.numba.fields import (
    fields_of,
    kept_row,
    meets_weight,
    place,
    row_of,
    rows_at,
    token,
    x_row,
    z_row,
)
from fastlstm.kernels.numba.float_state import flush_denormals, restore_denormals
from fastlstm.kernels.numba.jit import inline, jit
from fastlstm.kernels.numba.product import SPARE_BYTES, add_sum, product
from fastlstm.kernels.numba.tile import PANEL_BYTES, panel_columns

BLOCK = 128  # rows that are packed at a time
SUM_ROWS = 8 * BLOCK  # of the call, wherever it is cut
PANELS = 8  # panels of dz that are packed at a time
# What a sum is of: features and columns of each row. BOTH: x and h before the step, side by side.
X, HIDDEN, BOTH, LATE, PROJECTION, TABLE, PARAMETERS = range(7)


# Bytes of memory that a thread needs for all this.
WORK_BYTES = SPARE_BYTES + BLOCK * PANELS * PANEL_BYTES


def input_gradients(thread: int, threads: int, zero: Any, fields: Any, s0: int, s1: int) -> None:
    """dx = W_ih^T dz of a thread's rows at steps s0..s1-1."""
    float_state = flush_denormals()
    k, n = fields_of(zero, fields, thread), 0
    for s in range(s0, s1):
        for i in range(rows_at(k, s)):
            row = row_of(k, i)
            _begin_dx(k, n, z_row(k, row, s, 0), k.dx + place(k, row, s, k.dx_t, k.dx_n))
            n += 1
            if n == BLOCK:
                _input_block(k, n)
                n = 0
    _input_block(k, n)
    restore_denormals(float_state)


@inline
def _begin_dx(k: Any, n: int, dz: int, dx: int) -> None:
    """Let entry n of the tables take dz to dx."""
    store(k.a, n, dz)
    store(k.c, n, dx)
    store(k.cin, n, dx if k.add_dx else k.zeros)


@jit
def _input_block(k: Any, n: int) -> None:
    product(k, n, k.x_columns, k.a, k.w_x, k.I, k.cin, k.c)


def sum_tokens(part: int, parts: int, zero: Any, fields: Any, s0: int, s1: int) -> None:
    """Add dz to the row of its distinct token, a part of its columns, in `Fields.wide`."""
    float_state = flush_denormals()
    k = fields_of(zero, fields, part)
    from_ = k.x_columns * part // parts
    columns = k.x_columns * (part + 1) // parts - from_
    for s in range(s1 - 1, s0 - 1, -1):
        for row in range(word(k.n_at, s)):
            to = k.wide + (token(k, row, s) * k.x_columns + from_) * 8
            _widen(zero, to, z_row(k, row, s, 0) + from_ * k.size, columns)
    restore_denormals(float_state)


@inline
def _widen(zero: Any, to: int, source: int, n: int) -> None:
    """Add n numbers to float64 ones."""
    for i in range(n):
        store(to, i, load(0.0, to, i) + load(zero, source, i))


def token_gradients(part: int, parts: int, zero: Any, fields: Any, u0: int, u1: int) -> None:
    """A part of the rows u0..u1-1 of the gradient of the table."""
    float_state = flush_denormals()
    k, end = fields_of(zero, fields, part), u0 + (u1 - u0) * (part + 1) // parts
    for u in range(u0 + (u1 - u0) * part // parts, end, BLOCK):
        n = min(BLOCK, end - u)
        for i in range(n):
            dz = k.dtable + (u + i) * k.x_columns * k.size
            _begin_dx(k, i, dz, k.dx + (u + i) * k.dx_n)
        _input_block(k, n)
    restore_denormals(float_state)


@jit
def _write_row(k: Any, n: int, row: int, s: int) -> None:
    """Write the addresses of a row's features and columns to entry n of the tables."""
    if k.kind == TABLE:
        store(k.a, n, k.x + s * k.x_n)
        store(k.c, n, k.dtable + s * k.x_columns * k.size)
        return
    z = z_row(k, row, s, 0)
    a, c = z, z + k.column
    if k.kind == X or k.kind == BOTH:  # "in" takes Numba longer to compile
        a = x_row(k, row, s)
        store(k.more, n, meets_weight(k, row, s))
    elif k.kind == HIDDEN:
        a = meets_weight(k, row, s)
    elif k.kind == LATE:
        a = kept_row(k, k.mixed, row, s, k.H)
    elif k.kind == PROJECTION:
        a = kept_row(k, k.projected, row, s, k.H)
        c = kept_row(k, k.dprojected, row, s, k.R)
    store(k.a, n, a)
    store(k.c, n, c)


def weight_gradients(part: int, parts: int, zero: Any, fields: Any, s0: int, s1: int) -> None:
    """Add steps, or for TABLE rows of the table, to a part of the panels of the fields' sum."""
    float_state = flush_denormals()
    k, n = fields_of(zero, fields, part), 0
    # Of the call so far.
    rows = 0 if k.kind == TABLE else word(k.offset, k.T) - word(k.offset, s1)
    width = panel_columns(zero)
    panels = (k.columns + width - 1) // width
    p0, p1 = panels * part // parts, panels * (part + 1) // parts
    for s in range(s1 - 1, s0 - 1, -1):
        for row in range(1 if k.kind == TABLE else word(k.n_at, s)):
            _write_row(k, n, row, s)
            n, rows = n + 1, rows + 1
            if n == BLOCK or rows % SUM_ROWS == 0:
                _add_block(k, n, p0, p1)
                n = 0
            if rows % SUM_ROWS == 0:
                _empty(k, p0, p1)
    if n:
        _add_block(k, n, p0, p1)
    restore_denormals(float_state)


@jit
def _empty(k: Any, p0: int, p1: int) -> None:
    """Add the sums of panels p0..p1-1 to the float64 ones."""
    F, width = k.features, panel_columns(k.zero)
    for p in range(p0, p1):
        to = k.wide + p * (F + 1) * width * 8
        _move(k.zero, k.total + p * F * PANEL_BYTES, to, F * width)
        _move(k.zero, k.sums + p * PANEL_BYTES, to + F * width * 8, width)


@jit
def _move(zero: Any, source: int, to: int, n: int) -> None:
    _widen(zero, to, source, n)
    fill(zero, source, n)


@jit
def _add_block(k: Any, n: int, p0: int, p1: int) -> None:
    """Add n rows to panels p0..p1-1; of BOTH the last features are in the table `more`."""
    dz, width = k.work + SPARE_BYTES, panel_columns(k.zero)
    more = k.R if k.kind == BOTH else 0
    F = k.features - more
    for first in range(p0, p1, PANELS):
        count = min(PANELS, p1 - first)
        real, at = min(k.columns - first * width, count * width), first * PANEL_BYTES
        for i in range(n):
            _pack_row(k.zero, word(k.c, i) + at, real, dz + i * PANEL_BYTES, k.sums + at)
        for p in range(count):
            b, c = dz + p * BLOCK * PANEL_BYTES, k.total + (first + p) * k.features * PANEL_BYTES
            add_sum(k, F, n, k.a, b, c)
            add_sum(k, more, n, k.more, b, c + F * PANEL_BYTES)


@jit
def _pack_row(zero: Any, row: int, columns: int, packed: int, sums: int) -> None:
    """A row of dz -> its place in each panel [BLOCK][panel]; adds it to `sums`."""
    width = panel_columns(zero)
    for p in range((columns + width - 1) // width):
        to, source = packed + p * BLOCK * PANEL_BYTES, row + p * PANEL_BYTES
        real = columns - p * width
        if real >= width:
            for c in range(width):
                value = load(zero, source, c)
                store(to, c, value)
                store(sums + p * PANEL_BYTES, c, load(zero, sums + p * PANEL_BYTES, c) + value)
        else:
            fill(zero, to, width)
            copy(zero, to, source, real)
            add(zero, sums + p * PANEL_BYTES, to, width)
