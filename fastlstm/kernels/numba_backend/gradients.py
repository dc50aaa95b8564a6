"""After the time loop: gradients of the input and of the weights, as products over all steps.

Gradients of weights are sums over steps, from the last step run to the first and in a step by
sorted row, whatever the thread: threads divide the weights, not the rows. In dW = sum of
x[row] * dz[row] the panels of dz of a block of rows are laid together, and a tile of features of
x times a panel stays in registers while it walks the rows. After every SUM_ROWS rows the sums are
added to float64 ones: a float32 sum of 10^7 terms would be off by a hundredth.
"""

from __future__ import annotations

from typing import Any

from fastlstm.kernels.numba_backend.address import add, copy, fill, load, size_of, store
from fastlstm.kernels.numba_backend.fields import (
    CIN,
    MORE,
    A,
    C,
    Steps,
    as_fields,
    kept_row,
    meets_weight,
    place,
    rows_of,
    tables_of,
    token,
    work_of,
    x_row,
    z_row,
)
from fastlstm.kernels.numba_backend.float_state import flush_denormals, restore_denormals
from fastlstm.kernels.numba_backend.jit import jit
from fastlstm.kernels.numba_backend.product import SPARE_BYTES, product, sum_at
from fastlstm.kernels.numba_backend.tile import PANEL_BYTES, panel_columns

BLOCK = 128  # rows that are packed at a time
SUM_ROWS = 8 * BLOCK  # of the call, wherever it is cut
PANELS = 8  # panels of dz that are packed at a time
# What a sum is of: features and columns of each row. BOTH: x and h before the step, side by side.
X, HIDDEN, BOTH, LATE, PROJECTION, TABLE, PARAMETERS = range(7)


# Bytes of memory that a thread needs for all this.
WORK_BYTES = SPARE_BYTES + BLOCK * PANELS * PANEL_BYTES


def input_gradients(
    thread: int,
    threads: int,
    zero: Any,
    fields: Any,
    order: Any,
    length: Any,
    n_at: Any,
    offset: Any,
    memory: Any,
    s0: int,
    s1: int,
) -> None:
    """dx = W_ih^T dz of a thread's rows at steps s0..s1-1."""
    float_state = flush_denormals()
    tables, work = tables_of(memory, thread), work_of(memory, thread)
    k, steps, n = as_fields(fields), Steps(order, length, n_at, offset), 0
    for s in range(s0, s1):
        for i in range(rows_of(n_at[s], thread, threads)):
            row = thread + i * threads
            tables[A, n] = z_row(k, steps, row, s, 0)
            tables[C, n] = k.dx + place(k, steps, row, s, k.dx_t, k.dx_n)
            tables[CIN, n] = tables[C, n] if k.add_dx else k.zeros
            n += 1
            if n == BLOCK:
                _input_block(zero, k, tables, work, n)
                n = 0
    _input_block(zero, k, tables, work, n)
    restore_denormals(float_state)


@jit
def _input_block(zero: Any, k: Any, tables: Any, work: int, n: int) -> None:
    product(k, zero, n, k.x_columns, tables, A, 0, k.w_x, k.I, CIN, 0, C, 0, work)


def sum_tokens(
    part: int,
    parts: int,
    zero: Any,
    fields: Any,
    order: Any,
    length: Any,
    n_at: Any,
    offset: Any,
    wide: int,
    all_columns: int,
    s0: int,
    s1: int,
) -> None:
    """Add dz to the row of its distinct token, a part of its columns; wide is float64."""
    float_state = flush_denormals()
    from_ = all_columns * part // parts
    columns = all_columns * (part + 1) // parts - from_
    k, steps, size = as_fields(fields), Steps(order, length, n_at, offset), size_of(zero)
    for s in range(s1 - 1, s0 - 1, -1):
        for row in range(n_at[s]):
            to = wide + (token(k, steps, row, s) * k.x_columns + from_) * 8
            z = z_row(k, steps, row, s, 0) + from_ * size
            for c in range(columns):
                store(to, c, load(0.0, to, c) + load(zero, z, c))
    restore_denormals(float_state)


def token_gradients(part: int, parts: int, zero: Any, fields: Any, memory: Any, U: int) -> None:
    """A part of the rows of the gradient of the table."""
    float_state = flush_denormals()
    tables, work = tables_of(memory, part), work_of(memory, part)
    u0, u1 = U * part // parts, U * (part + 1) // parts
    k, size = as_fields(fields), size_of(zero)
    for u in range(u0, u1, BLOCK):
        n = min(BLOCK, u1 - u)
        for i in range(n):
            tables[A, i] = k.dtable + (u + i) * k.x_columns * size
            tables[C, i] = k.dx + (u + i) * k.dx_n
            tables[CIN, i] = tables[C, i] if k.add_dx else k.zeros
        _input_block(zero, k, tables, work, n)
    restore_denormals(float_state)


@jit
def _row(
    zero: Any, k: Any, steps: Any, tables: Any, n: int, kind: int, at: int, row: int, s: int
) -> None:
    """Write the addresses of a row's features and columns."""
    size, z = size_of(zero), z_row(k, steps, row, s, 0)
    tables[A, n], tables[C, n] = z, z + at
    if kind == X or kind == BOTH:  # "in" takes Numba longer to compile
        tables[A, n] = x_row(k, steps, row, s)
        tables[MORE, n] = meets_weight(k, steps, row, s, size)
    elif kind == HIDDEN:
        tables[A, n] = meets_weight(k, steps, row, s, size)
    elif kind == LATE:
        tables[A, n] = k.mixed + kept_row(k, steps, row, s) * k.H * size
    elif kind == PROJECTION:
        tables[A, n] = k.projected + kept_row(k, steps, row, s) * k.H * size
        tables[C, n] = k.dprojected + kept_row(k, steps, row, s) * k.R * size


def weight_gradients(
    part: int,
    parts: int,
    zero: Any,
    fields: Any,
    order: Any,
    length: Any,
    n_at: Any,
    offset: Any,
    kind: int,
    at: int,
    F: int,
    columns: int,
    total: int,
    sums: int,
    wide: int,
    memory: Any,
    s0: int,
    s1: int,
) -> None:
    """Add a part of the panels of dW to `total` [panels,F,panel], of columns' sums to `sums`.

    wide : float64 [panels,F+1,panel], what they are emptied into: a panel's sums of columns last.
    at : bytes from a row's dz to its first column. For TABLE s0..s1-1 are rows of the table.
    """
    float_state = flush_denormals()
    tables, work = tables_of(memory, part), work_of(memory, part)
    k, steps, n = as_fields(fields), Steps(order, length, n_at, offset), 0
    rows = 0 if kind == TABLE else offset[len(n_at)] - offset[s1]  # of the call so far
    size, width = size_of(zero), panel_columns(zero)
    panels = (columns + width - 1) // width
    p0, p1 = panels * part // parts, panels * (part + 1) // parts
    more = k.R if kind == BOTH else 0
    for s in range(s1 - 1, s0 - 1, -1):
        for row in range(1 if kind == TABLE else n_at[s]):
            if kind == TABLE:
                tables[A, n], tables[C, n] = k.x + s * k.x_n, k.dtable + s * k.x_columns * size
            else:
                _row(zero, k, steps, tables, n, kind, at, row, s)
            n, rows = n + 1, rows + 1
            if n == BLOCK or rows % SUM_ROWS == 0:
                _add_block(zero, k, tables, n, F - more, more, columns, p0, p1, total, sums, work)
                n = 0
            if rows % SUM_ROWS == 0:
                _empty(zero, F, p0, p1, total, sums, wide)
    if n:
        _add_block(zero, k, tables, n, F - more, more, columns, p0, p1, total, sums, work)
    restore_denormals(float_state)


@jit
def _empty(zero: Any, F: int, p0: int, p1: int, total: int, sums: int, wide: int) -> None:
    """Add the sums of panels p0..p1-1 to the float64 ones."""
    width = panel_columns(zero)
    for p in range(p0, p1):
        to = wide + p * (F + 1) * width * 8
        _move(zero, total + p * F * PANEL_BYTES, to, F * width)
        _move(zero, sums + p * PANEL_BYTES, to + F * width * 8, width)


@jit
def _move(zero: Any, source: int, to: int, n: int) -> None:
    for i in range(n):
        store(to, i, load(0.0, to, i) + load(zero, source, i))
        store(source, i, zero)


@jit
def _add_block(
    zero: Any,
    k: Any,
    tables: Any,
    n: int,
    F: int,
    more: int,
    columns: int,
    p0: int,
    p1: int,
    total: int,
    sums: int,
    work: int,
) -> None:
    """Add n rows to panels p0..p1-1; of F features, and `more` of the second table of them."""
    width = panel_columns(zero)
    dz = work + SPARE_BYTES
    at = tables.ctypes.data
    stride = tables.shape[1] * 8
    for first in range(p0, p1, PANELS):
        count = min(PANELS, p1 - first)
        real = min(columns - first * width, count * width)
        sum_of = sums + first * PANEL_BYTES
        for i in range(n):
            _pack_row(zero, tables[C, i] + first * PANEL_BYTES, real, dz + i * PANEL_BYTES, sum_of)
        for p in range(count):
            b, c = dz + p * BLOCK * PANEL_BYTES, total + (first + p) * (F + more) * PANEL_BYTES
            sum_at(k.sum, zero, F, n, at + A * stride, b, c)
            sum_at(k.sum, zero, more, n, at + MORE * stride, b, c + F * PANEL_BYTES)


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
