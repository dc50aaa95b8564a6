"""The time loop backward: gradients of the gates come in place of what forward kept."""

from __future__ import annotations

from typing import Any

from fastlstm.kernels.numba.address import add, copy, fill, multiply, store, word
from fastlstm.kernels.numba.fields import (
    D_RESET,
    D_STATE,
    fields_of,
    find,
    kept_row,
    mask_row,
    place,
    row_of,
    rows_at,
    starts_anew,
    state_of,
    write_book,
    z_row,
)
from fastlstm.kernels.numba.float_state import flush_denormals, restore_denormals
from fastlstm.kernels.numba.jit import inline, jit
from fastlstm.kernels.numba.maths import DH, DKEPT, DMIX, DMIXED, SOURCES
from fastlstm.kernels.numba.product import product
from fastlstm.kernels.numba.unit_loop import for_units
from fastlstm.kernels.rows import SUM_BLOCK


@inline
def _sorted_row(k: Any, array: int, row: int, n: int) -> Any:
    """Where a row lies in an array [N,n] in the sorted order."""
    return array + row * n * k.size


@jit
def begin_step(k: Any, s: int) -> Any:
    """Add dy to dh, and take dh through the projection; return how many rows the thread has."""
    n = rows_at(k, s)
    for i in range(n):
        row = row_of(k, i)
        dh = _sorted_row(k, k.dh, row, k.R)
        store(k.zs, i, z_row(k, row, s, 0))
        if k.dy:
            add(k.zero, dh, k.dy + place(k, row, s, k.dy_t, k.dy_n), k.R)
        if k.projects:
            dprojected = kept_row(k, k.dprojected, row, s, k.R)
            store(k.a, i, dprojected)
            store(k.cin, i, k.zeros)
            store(k.c, i, _sorted_row(k, k.dm, row, k.H))
            copy(k.zero, dprojected, dh, k.R)
    if k.projects:
        product(k, n, k.R, k.a, k.w_proj, k.H, k.cin, k.c)
    return n


@jit
def end_step(k: Any, s: int, n: int) -> None:
    """Gradients of h before the step; of rows that started anew they are the reset's."""
    for i in range(n):
        row = row_of(k, i)
        dh = _sorted_row(k, k.dh, row, k.R)
        store(k.a, i, word(k.zs, i) + k.h_at)
        store(k.cin, i, k.zeros if k.mask else dh)
        store(k.c, i, _sorted_row(k, k.dmasked, row, k.R) if k.mask else dh)
    product(k, n, k.h_columns, k.a, k.w_h, k.R, k.cin, k.c)
    if k.mask:
        for i in range(n):
            row, d = row_of(k, i), word(k.c, i)
            multiply(k.zero, d, d, mask_row(k, row), k.R)
            add(k.zero, _sorted_row(k, k.dh, row, k.R), d, k.R)
    if k.reset:
        for i in range(n):
            _leave_state(k, row_of(k, i), s)


@jit
def _leave_state(k: Any, row: int, s: int) -> None:
    """Move a row's gradients to the sums of the reset's."""
    anew = starts_anew(k, row, s)
    if not anew and s % SUM_BLOCK:
        return
    _leave(k, k.dreset_h, row, _sorted_row(k, k.dh, row, k.R), k.R, anew, s)
    for j in range(k.n_states):
        d = _sorted_row(k, state_of(k, j, D_STATE), row, k.H)
        _leave(k, state_of(k, j, D_RESET), row, d, k.H, anew, s)


@jit
def _leave(k: Any, sums: int, row: int, d: int, n: int, anew: Any, s: int) -> None:
    """Move n numbers to a row of sums [2,N,n]: of the last SUM_BLOCK steps, and of all."""
    part = _sorted_row(k, sums, word(k.order, row), n)
    total = part + k.N * n * k.size
    if anew:
        add(k.zero, part, d, n)
        fill(k.zero, d, n)
    if s % SUM_BLOCK == 0:
        add(k.zero, total, part, n)
        fill(k.zero, part, n)


@jit
def write_gradients(k: Any, row: int) -> None:
    """Write the addresses of gradients."""
    dm, dh = _sorted_row(k, k.dm, row, k.H), _sorted_row(k, k.dh, row, k.R)
    store(k.book, DH, dm if k.projects else dh)
    store(k.book, DMIXED, _sorted_row(k, k.dmixed, row, k.H))
    store(k.book, DKEPT, _sorted_row(k, k.dkept, row, k.mix_keeps * k.H))
    store(k.book, DMIX, _sorted_row(k, k.dmix, row, (k.n_states + 1) * k.H))
    for j in range(k.n_states):
        d_state = _sorted_row(k, state_of(k, j, D_STATE), row, k.H)
        store(k.book, len(SOURCES) + 3 * j + 2, d_state)


def _make_mix(mix_backward: Any) -> Any:
    @jit
    def mix_rows(k: Any, s: int, first: int, n: int) -> None:
        """Back through the late gates' products and what they took in place of h."""
        for i in range(n):
            store(k.cin, i, k.zeros)
            store(k.c, i, _sorted_row(k, k.dmixed, row_of(k, i), k.H))
        product(k, n, k.late_columns, k.zs, k.w_late, k.H, k.cin, k.c)
        for i in range(n):
            row, dmixed = row_of(k, i), word(k.c, i)
            if k.mask:
                multiply(k.zero, dmixed, dmixed, mask_row(k, row), k.H)
            write_book(k, row, s, first, word(k.zs, i))
            write_gradients(k, row)
            find(k, k.mix_ins, k.n_mix_ins, k.ins)
            find(k, k.mix_outs, k.n_mix_outs, k.outs)
            for_units(mix_backward, k.zero, k.H, k.ins, k.outs)
            for j in range(k.n_mix_adds):
                to, source = word(k.book, word(k.mix_adds, j)), word(k.book, DMIX)
                add(k.zero, to, source + j * k.H * k.size, k.H)

    return mix_rows


def _make_units(backward: Any) -> Any:
    @jit
    def unit_rows(k: Any, s: int, first: int, n: int) -> None:
        """Run the cell's function."""
        for i in range(n):
            row = row_of(k, i)
            write_book(k, row, s, first, word(k.zs, i))
            write_gradients(k, row)
            find(k, k.unit_ins, k.n_unit_ins, k.ins)
            find(k, k.unit_outs, k.n_unit_outs, k.outs)
            for_units(backward, k.zero, k.H, k.ins, k.outs)
            if not k.takes_h:
                fill(k.zero, _sorted_row(k, k.dh, row, k.R), k.R)

    return unit_rows


def make_backward(backward: Any, mix_backward: Any) -> Any:
    """Return the loop around the compiled functions of a cell; see `make_forward`."""
    mixes = mix_backward is not None
    unit_rows, mix_rows = _make_units(backward), _make_mix(mix_backward)

    def run(thread: int, threads: int, zero: Any, fields: Any, s0: int, s1: int) -> None:
        """Run steps s1-1..s0 of the thread's rows."""
        float_state = flush_denormals()
        k = fields_of(zero, fields, thread)
        for s in range(s1 - 1, s0 - 1, -1):
            n = begin_step(k, s)
            unit_rows(k, s, s0, n)
            if mixes:
                mix_rows(k, s, s0, n)
            end_step(k, s, n)
        restore_denormals(float_state)

    return run
