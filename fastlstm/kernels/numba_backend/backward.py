"""The time loop backward: gradients of the gates come in place of what forward kept."""

from __future__ import annotations

from typing import Any

from fastlstm.kernels.numba_backend.address import add, copy, fill, multiply, size_of
from fastlstm.kernels.numba_backend.fields import (
    BOOK,
    CIN,
    D_RESET,
    D_STATE,
    INS,
    OUTS,
    ZS,
    A,
    C,
    Steps,
    as_fields,
    find,
    kept_row,
    mask_row,
    place,
    rows_of,
    starts_anew,
    tables_of,
    work_of,
    write_book,
    z_row,
)
from fastlstm.kernels.numba_backend.float_state import flush_denormals, restore_denormals
from fastlstm.kernels.numba_backend.jit import jit
from fastlstm.kernels.numba_backend.maths import DH, DKEPT, DMIX, DMIXED, SOURCES
from fastlstm.kernels.numba_backend.product import product
from fastlstm.kernels.numba_backend.unit_loop import for_units
from fastlstm.kernels.rows import SUM_BLOCK


@jit
def begin_step(
    zero: Any, k: Any, steps: Any, tables: Any, work: int, thread: int, threads: int, s: int
) -> Any:
    """Add dy to dh, and take dh through the projection; return how many rows a thread has."""
    size, n = size_of(zero), rows_of(steps.n_at[s], thread, threads)
    for i in range(n):
        row = thread + i * threads
        dh = k.dh + row * k.R * size
        tables[ZS, i] = z_row(k, steps, row, s, 0)
        if k.dy:
            add(zero, dh, k.dy + place(k, steps, row, s, k.dy_t, k.dy_n), k.R)
        if k.projects:
            tables[A, i] = k.dprojected + kept_row(k, steps, row, s) * k.R * size
            tables[CIN, i] = k.zeros
            tables[C, i] = k.dm + row * k.H * size
            copy(zero, tables[A, i], dh, k.R)
    if k.projects:
        product(k, zero, n, k.R, tables, A, 0, k.w_proj, k.H, CIN, 0, C, 0, work)
    return n


@jit
def end_step(
    zero: Any,
    k: Any,
    steps: Any,
    states: Any,
    tables: Any,
    work: int,
    thread: int,
    threads: int,
    s: int,
    n: int,
) -> None:
    """Gradients of h before the step; of rows that started anew they are the reset's."""
    size = size_of(zero)
    for i in range(n):
        row = thread + i * threads
        tables[C, i] = k.dh + row * k.R * size
        tables[CIN, i] = tables[C, i]
        if k.mask:
            tables[CIN, i], tables[C, i] = k.zeros, k.dmasked + row * k.R * size
    product(k, zero, n, k.h_columns, tables, ZS, k.h_at, k.w_h, k.R, CIN, 0, C, 0, work)
    if k.mask:
        for i in range(n):
            row, d = thread + i * threads, tables[C, i]
            tables[C, i] = k.dh + row * k.R * size
            multiply(zero, d, d, mask_row(k, steps, row, size), k.R)
            add(zero, tables[C, i], d, k.R)
    if k.reset == 0:
        return
    for i in range(n):
        row = thread + i * threads
        anew = starts_anew(k, steps, row, s)
        if not anew and s % SUM_BLOCK:
            continue
        order = steps.order[row]
        _leave(zero, k.dreset_h, order, tables[C, i], k.N, k.R, anew, s)
        for j in range(len(states)):
            d = states[j, D_STATE] + row * k.H * size
            _leave(zero, states[j, D_RESET], order, d, k.N, k.H, anew, s)


@jit
def _leave(zero: Any, sums: int, row: int, d: int, N: int, n: int, anew: Any, s: int) -> None:
    """Move n numbers to a row of sums [2,N,n]: of the last SUM_BLOCK steps, and of all."""
    size = size_of(zero)
    part, total = sums + row * n * size, sums + (N + row) * n * size
    if anew:
        add(zero, part, d, n)
        fill(zero, d, n)
    if s % SUM_BLOCK == 0:
        add(zero, total, part, n)
        fill(zero, part, n)


@jit
def write_gradients(zero: Any, k: Any, states: Any, book: Any, row: int, kept: int) -> None:
    """Write the addresses of gradients; kept and states are numbers of mix_keeps and states."""
    size = size_of(zero)
    book[DH] = k.dm + row * k.H * size if k.projects else k.dh + row * k.R * size
    book[DMIXED] = k.dmixed + row * k.H * size
    book[DKEPT] = k.dkept + row * kept * k.H * size
    book[DMIX] = k.dmix + row * (len(states) + 1) * k.H * size
    for j in range(len(states)):
        book[len(SOURCES) + 3 * j + 2] = states[j, D_STATE] + row * k.H * size


def make_backward(backward: Any, mix_backward: Any) -> Any:
    """Return the loop around the compiled functions of a cell; see `make_forward`."""
    mixes = mix_backward is not None

    @jit
    def mix_rows(
        zero: Any,
        k: Any,
        steps: Any,
        states: Any,
        kept: int,
        mix_ins: Any,
        mix_outs: Any,
        mix_adds: Any,
        tables: Any,
        work: int,
        thread: int,
        threads: int,
        s: int,
        first: int,
        n: int,
    ) -> None:
        """Back through the late gates' products and what they took in place of h."""
        at = tables.ctypes.data
        stride, bytes_ = tables.shape[1] * 8, k.H * size_of(zero)
        for i in range(n):
            tables[CIN, i] = k.zeros
            tables[C, i] = k.dmixed + (thread + i * threads) * bytes_
        product(k, zero, n, k.late_columns, tables, ZS, 0, k.w_late, k.H, CIN, 0, C, 0, work)
        for i in range(n):
            row, book = thread + i * threads, tables[BOOK]
            if k.mask:
                mask = mask_row(k, steps, row, size_of(zero))
                multiply(zero, tables[C, i], tables[C, i], mask, k.H)
            write_book(zero, k, steps, states, book, row, s, first, tables[ZS, i])
            write_gradients(zero, k, states, book, row, kept)
            find(book, mix_ins, bytes_, tables[INS])
            find(book, mix_outs, bytes_, tables[OUTS])
            for_units(mix_backward, zero, k.H, at + INS * stride, at + OUTS * stride)
            for j in range(len(mix_adds)):
                add(zero, book[mix_adds[j]], book[DMIX] + j * bytes_, k.H)

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
        mix_adds: Any,
        kept: int,
        memory: Any,
        s0: int,
        s1: int,
    ) -> None:
        """Run steps s1-1..s0 of the thread's rows."""
        float_state = flush_denormals()
        tables, work = tables_of(memory, thread), work_of(memory, thread)
        k, steps = as_fields(fields), Steps(order, length, n_at, offset)
        at = tables.ctypes.data
        stride, bytes_ = tables.shape[1] * 8, k.H * size_of(zero)
        for s in range(s1 - 1, s0 - 1, -1):
            n = begin_step(zero, k, steps, tables, work, thread, threads, s)
            for i in range(n):
                row, book = thread + i * threads, tables[BOOK]
                write_book(zero, k, steps, states, book, row, s, s0, tables[ZS, i])
                write_gradients(zero, k, states, book, row, kept)
                find(book, ins, bytes_, tables[INS])
                find(book, outs, bytes_, tables[OUTS])
                for_units(backward, zero, k.H, at + INS * stride, at + OUTS * stride)
                if not k.takes_h:
                    fill(zero, k.dh + row * k.R * size_of(zero), k.R)
            if mixes:
                mix_rows(zero, k, steps, states, kept, mix_ins, mix_outs, mix_adds, tables, work,
                         thread, threads, s, s0, n)  # fmt: skip
            end_step(zero, k, steps, states, tables, work, thread, threads, s, n)
        restore_denormals(float_state)

    return run
