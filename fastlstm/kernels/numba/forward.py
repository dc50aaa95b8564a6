"""The time loop forward, around the functions of any cell."""

from __future__ import annotations

from typing import Any

from fastlstm.kernels.numba.address import copy, multiply, store, word
from fastlstm.kernels.numba.fields import (
    fields_of,
    find,
    h_before,
    kept_row,
    mask_row,
    meets_weight,
    row_of,
    rows_at,
    token,
    write_book,
    x_row,
    y_row,
    z_row,
)
from fastlstm.kernels.numba.float_state import flush_denormals, restore_denormals
from fastlstm.kernels.numba.jit import jit
from fastlstm.kernels.numba.maths import H_NEXT
from fastlstm.kernels.numba.product import SPARE_BYTES, product
from fastlstm.kernels.numba.unit_loop import for_units


@jit
def _begin_product(k: Any, n: int, x: int, z: int) -> None:
    """Let entry n of the tables take x to z; what the input does not meet is the bias."""
    at = k.x_columns * k.size
    store(k.a, n, x)
    store(k.cin, n, k.bias)
    store(k.c, n, z)
    copy(k.zero, z + at, k.bias + at, k.products - k.x_columns)


@jit
def input_products(k: Any, s0: int, s1: int) -> None:
    """Products of the thread's rows with the input at steps s0..s1-1, biases added."""
    n = 0
    for s in range(s0, s1):
        for i in range(rows_at(k, s)):
            row = row_of(k, i)
            _begin_product(k, n, x_row(k, row, s), z_row(k, row, s, s0))
            n += 1
    product(k, n, k.I, k.a, k.w_x, k.x_columns, k.cin, k.c)


@jit
def hidden_products(k: Any, s: int, chunk_start: int) -> Any:
    """Add the products of the thread's rows with h; return how many rows those are."""
    n = rows_at(k, s)
    for i in range(n):
        row = row_of(k, i)
        z = z_row(k, row, s, chunk_start)
        if k.mask:
            masked = kept_row(k, k.masked, row, s, k.R)
            multiply(k.zero, masked, h_before(k, row, s), mask_row(k, row), k.R)
        store(k.zs, i, z)
        store(k.a, i, meets_weight(k, row, s))
        store(k.cin, i, z + k.h_at)
        store(k.c, i, z + k.h_at)
        if k.ids:
            made = k.table + token(k, row, s) * k.products * k.size
            store(k.cin, i, made + k.h_at)
            copy(k.zero, z, made, k.products - k.h_columns)
    product(k, n, k.R, k.a, k.w_h, k.h_columns, k.cin, k.c)
    return n


@jit
def project(k: Any, s: int, n: int) -> None:
    """y = W_hr h, of the rows whose h the table `a` holds."""
    for i in range(n):
        store(k.cin, i, k.zeros)
        store(k.c, i, y_row(k, row_of(k, i), s))
    product(k, n, k.H, k.a, k.w_proj, k.R, k.cin, k.c)


def _make_mix(mix: Any) -> Any:
    @jit
    def mix_rows(k: Any, s: int, first: int, n: int) -> None:
        """What the late gates' products take in place of h, and those products."""
        for i in range(n):
            row = row_of(k, i)
            write_book(k, row, s, first, word(k.zs, i))
            find(k, k.mix_ins, k.n_mix_ins, k.ins)
            find(k, k.mix_outs, k.n_mix_outs, k.outs)
            for_units(mix, k.zero, k.H, k.ins, k.outs)
            mixed = word(k.outs, 0)
            store(k.a, i, mixed)
            if k.mask:
                multiply(k.zero, mixed, mixed, mask_row(k, row), k.H)
        product(k, n, k.H, k.a, k.w_late, k.late_columns, k.zs, k.zs)

    return mix_rows


def _make_units(forward: Any) -> Any:
    @jit
    def unit_rows(k: Any, s: int, first: int, n: int) -> None:
        """Run the cell's function; leave in table `a` where h is."""
        for i in range(n):
            write_book(k, row_of(k, i), s, first, word(k.zs, i))
            if k.again and not k.projects:
                store(k.book, H_NEXT, k.work + SPARE_BYTES)
            find(k, k.unit_ins, k.n_unit_ins, k.ins)
            find(k, k.unit_outs, k.n_unit_outs, k.outs)
            for_units(forward, k.zero, k.H, k.ins, k.outs)
            store(k.a, i, word(k.book, H_NEXT))

    return unit_rows


def make_forward(forward: Any, mix: Any) -> Any:
    """Return the loop around the compiled functions of a cell; mix is None where it has none."""
    mixes = mix is not None  # a constant: what it leads to is not compiled without
    unit_rows, mix_rows = _make_units(forward), _make_mix(mix)

    def run(thread: int, threads: int, zero: Any, fields: Any, s0: int, s1: int) -> None:
        """Run steps s0..s1-1 of the thread's rows."""
        float_state = flush_denormals()
        k, chunk_start = fields_of(zero, fields, thread), s0
        for s in range(s0, s1):
            if rows_at(k, s) == 0:
                break
            if (s - s0) % k.chunk == 0:
                chunk_start = s
                if k.ids == 0:
                    input_products(k, s, min(s + k.chunk, s1))
            n = hidden_products(k, s, chunk_start)
            if mixes:
                mix_rows(k, s, s0, n)
            unit_rows(k, s, s0, n)
            if k.projects and not k.again:
                project(k, s, n)
        restore_denormals(float_state)

    return run


def token_products(part: int, parts: int, zero: Any, fields: Any, block: int, U: int) -> None:
    """A part of the products of U distinct tokens, `block` of them at a time."""
    float_state = flush_denormals()
    k, u1 = fields_of(zero, fields, part), U * (part + 1) // parts
    for u in range(U * part // parts, u1, block):
        n = min(block, u1 - u)
        for i in range(n):
            z = k.table + (u + i) * k.products * k.size
            _begin_product(k, i, k.x + (u + i) * k.x_n, z)
        product(k, n, k.I, k.a, k.w_x, k.x_columns, k.cin, k.c)
    restore_denormals(float_state)
