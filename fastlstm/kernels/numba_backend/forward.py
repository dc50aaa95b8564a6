"""The time loop forward, around the functions of any cell."""

from __future__ import annotations

from typing import Any

from fastlstm.kernels.numba_backend.address import copy, multiply, size_of
from fastlstm.kernels.numba_backend.fields import (
    BOOK,
    CIN,
    INS,
    OUTS,
    ZS,
    A,
    C,
    Steps,
    as_fields,
    find,
    h_before,
    mask_row,
    masked_row,
    meets_weight,
    place,
    rows_of,
    tables_of,
    token,
    work_of,
    write_book,
    x_row,
    z_row,
)
from fastlstm.kernels.numba_backend.float_state import flush_denormals, restore_denormals
from fastlstm.kernels.numba_backend.jit import jit
from fastlstm.kernels.numba_backend.maths import H_NEXT
from fastlstm.kernels.numba_backend.product import SPARE_BYTES, product
from fastlstm.kernels.numba_backend.unit_loop import for_units


@jit
def input_products(
    zero: Any,
    k: Any,
    steps: Any,
    tables: Any,
    work: int,
    thread: int,
    threads: int,
    s0: int,
    s1: int,
) -> None:
    """Products of a thread's rows with the input at steps s0..s1-1, biases added."""
    n, more, size = 0, k.products - k.x_columns, size_of(zero)
    for s in range(s0, s1):
        for i in range(rows_of(steps.n_at[s], thread, threads)):
            row = thread + i * threads
            z = z_row(k, steps, row, s, s0)
            tables[A, n] = x_row(k, steps, row, s)
            tables[CIN, n] = k.bias
            tables[C, n] = z
            copy(zero, z + k.x_columns * size, k.bias + k.x_columns * size, more)
            n += 1
    product(k, zero, n, k.I, tables, A, 0, k.w_x, k.x_columns, CIN, 0, C, 0, work)


@jit
def hidden_products(
    zero: Any,
    k: Any,
    steps: Any,
    tables: Any,
    work: int,
    thread: int,
    threads: int,
    s: int,
    chunk_start: int,
) -> Any:
    """Add the products of a thread's rows with h; return how many rows those are."""
    size, n = size_of(zero), rows_of(steps.n_at[s], thread, threads)
    for i in range(n):
        row = thread + i * threads
        z = z_row(k, steps, row, s, chunk_start)
        tables[ZS, i] = z
        if k.mask:
            h, mask = h_before(k, steps, row, s, size), mask_row(k, steps, row, size)
            multiply(zero, masked_row(k, steps, row, s, size), h, mask, k.R)
        tables[A, i] = meets_weight(k, steps, row, s, size)
        tables[CIN, i] = z
        if k.ids:
            made = k.table + token(k, steps, row, s) * k.products * size
            tables[CIN, i] = made
            copy(zero, z, made, k.products - k.h_columns)
    product(k, zero, n, k.R, tables, A, 0, k.w_h, k.h_columns, CIN, k.h_at, ZS, k.h_at, work)
    return n


@jit
def project(
    zero: Any, k: Any, steps: Any, tables: Any, work: int, thread: int, threads: int, s: int, n: int
) -> None:
    """y = W_hr h, of the rows whose h the table A holds."""
    for i in range(n):
        row = thread + i * threads
        tables[CIN, i] = k.zeros
        tables[C, i] = k.y + place(k, steps, row, s, k.y_t, k.y_n)
    product(k, zero, n, k.H, tables, A, 0, k.w_proj, k.R, CIN, 0, C, 0, work)


def make_forward(forward: Any, mix: Any) -> Any:
    """Return the loop around the compiled functions of a cell; mix is None where it has none."""
    mixes = mix is not None  # a constant: what it leads to is not compiled without

    @jit
    def mix_rows(
        zero: Any,
        k: Any,
        steps: Any,
        states: Any,
        mix_ins: Any,
        mix_outs: Any,
        tables: Any,
        work: int,
        thread: int,
        threads: int,
        s: int,
        first: int,
        n: int,
    ) -> None:
        """What the late gates' products take in place of h, and those products."""
        at = tables.ctypes.data
        stride, bytes_ = tables.shape[1] * 8, k.H * size_of(zero)
        for i in range(n):
            row, book = thread + i * threads, tables[BOOK]
            write_book(zero, k, steps, states, book, row, s, first, tables[ZS, i])
            find(book, mix_ins, bytes_, tables[INS])
            find(book, mix_outs, bytes_, tables[OUTS])
            for_units(mix, zero, k.H, at + INS * stride, at + OUTS * stride)
            tables[A, i] = tables[OUTS, 0]
            if k.mask:
                mask = mask_row(k, steps, row, size_of(zero))
                multiply(zero, tables[A, i], tables[A, i], mask, k.H)
        product(k, zero, n, k.H, tables, A, 0, k.w_late, k.late_columns, ZS, 0, ZS, 0, work)

    def run(
        thread: int,
        threads: int,
        zero: Any,
        fields: Any,
        states: Any,
        order: Any,
        length: Any,
        n_at: Any,
        offset: Any,
        ins: Any,
        outs: Any,
        mix_ins: Any,
        mix_outs: Any,
        memory: Any,
        s0: int,
        s1: int,
    ) -> None:
        """Run steps s0..s1-1 of the thread's rows."""
        float_state = flush_denormals()
        tables, work = tables_of(memory, thread), work_of(memory, thread)
        k, steps = as_fields(fields), Steps(order, length, n_at, offset)
        at = tables.ctypes.data
        stride, bytes_ = tables.shape[1] * 8, k.H * size_of(zero)
        chunk_start = s0
        for s in range(s0, s1):
            if rows_of(steps.n_at[s], thread, threads) == 0:
                break
            if (s - s0) % k.chunk == 0:
                chunk_start = s
                if k.ids == 0:
                    input_products(zero, k, steps, tables, work, thread, threads, s,
                                   min(s + k.chunk, s1))  # fmt: skip
            n = hidden_products(zero, k, steps, tables, work, thread, threads, s, chunk_start)
            if mixes:
                mix_rows(zero, k, steps, states, mix_ins, mix_outs, tables, work, thread, threads,
                         s, s0, n)  # fmt: skip
            for i in range(n):
                row, book = thread + i * threads, tables[BOOK]
                write_book(zero, k, steps, states, book, row, s, s0, tables[ZS, i])
                if k.again and not k.projects:
                    book[H_NEXT] = work + SPARE_BYTES
                find(book, ins, bytes_, tables[INS])
                find(book, outs, bytes_, tables[OUTS])
                for_units(forward, zero, k.H, at + INS * stride, at + OUTS * stride)
                tables[A, i] = book[H_NEXT]
            if k.projects and not k.again:
                project(zero, k, steps, tables, work, thread, threads, s, n)
        restore_denormals(float_state)

    return run


def token_products(
    part: int, parts: int, zero: Any, fields: Any, memory: Any, block: int, U: int
) -> None:
    """A part of the products of U distinct tokens, `block` of them at a time."""
    float_state = flush_denormals()
    tables, work = tables_of(memory, part), work_of(memory, part)
    u0, u1 = U * part // parts, U * (part + 1) // parts
    k, size = as_fields(fields), size_of(zero)
    more = k.products - k.x_columns
    for u in range(u0, u1, block):
        n = min(block, u1 - u)
        for i in range(n):
            tables[A, i] = k.x + (u + i) * k.x_n
            tables[CIN, i] = k.bias
            tables[C, i] = k.table + (u + i) * k.products * size
            copy(zero, tables[C, i] + k.x_columns * size, k.bias + k.x_columns * size, more)
        product(k, zero, n, k.I, tables, A, 0, k.w_x, k.x_columns, CIN, 0, C, 0, work)
    restore_denormals(float_state)
