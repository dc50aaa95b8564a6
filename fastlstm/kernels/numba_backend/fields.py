"""What one call of the time loop works on, as compiled code sees it: sizes and addresses.

Rows are those of `Rows`, sorted; step s is the s-th one run. Strides are in bytes.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
from llvmlite import ir
from numba.core import types
from numba.core.imputils import lower_getattr_generic
from numba.core.typing.templates import AttributeTemplate
from numba.extending import infer_getattr, models, register_model
from numpy.typing import NDArray

from fastlstm.kernels.numba_backend.address import load, load_byte, size_of
from fastlstm.kernels.numba_backend.jit import inline, intrinsic
from fastlstm.kernels.numba_backend.maths import H_NEXT, MIXED, PARAMS, SOURCES, Z
from fastlstm.kernels.numba_backend.maths import H as H_SOURCE

Ints = NDArray[np.int64]


class Fields(NamedTuple):
    """One layer in one direction. An address is 0 where there is nothing."""

    product: int = 0  # `product_function`
    sum: int = 0  # `sum_function`
    N: int = 0
    I: int = 0  # noqa: E741
    H: int = 0
    R: int = 0
    reverse: int = 0
    x: int = 0  # [T,N,I], or the table [U,I] of `Tokens`
    x_t: int = 0
    x_n: int = 0
    ids: int = 0  # [T,N] of `Tokens`
    ids_t: int = 0
    ids_n: int = 0
    table: int = 0  # [U,products*H], products of the table's rows
    y: int = 0  # [T,N,R]
    y_t: int = 0
    y_n: int = 0
    again: int = 0  # whether y is there and only what backward needs is made
    h_0: int = 0  # [N,R]
    mask: int = 0  # [N,R], of recurrent dropout
    masked: int = 0  # [packed rows or N, R], mask * h
    reset: int = 0  # mask [T,N]
    reset_h: int = 0  # [N,R]
    projects: int = 0
    save: int = 0  # whether z, mixed, projected and the states are kept of every step
    base: int = 0  # packed row that those start with
    chunk: int = 0  # steps whose input products are made together
    z: int = 0  # [packed rows, or chunk*N, slots*H]
    z_row: int = 0  # bytes of a row
    mixed: int = 0  # [packed rows or N, H]
    projected: int = 0  # [packed rows or N, H], h before its projection
    params: int = 0  # [P,H]
    bias: int = 0  # [products*H]
    w_x: int = 0  # packed weights
    w_h: int = 0
    w_late: int = 0
    w_proj: int = 0
    x_columns: int = 0
    h_at: int = 0  # bytes from z's row to what the product with h fills
    h_columns: int = 0
    late_columns: int = 0
    products: int = 0  # columns that products fill
    # backward
    dy: int = 0
    dy_t: int = 0
    dy_n: int = 0
    dx: int = 0  # [T,N,I], or [U,I]
    dx_t: int = 0
    dx_n: int = 0
    add_dx: int = 0
    dh: int = 0  # [N,R], sorted
    dreset_h: int = 0  # [2,N,R]
    dprojected: int = 0  # [packed rows, R], gradients of h after its projection
    dm: int = 0  # [N,H], gradients of h before it
    dmixed: int = 0  # [N,H]
    dmasked: int = 0  # [N,R]
    dkept: int = 0  # [N,mix_keeps*H]
    dmix: int = 0  # [N,states*H]
    zeros: int = 0  # as long as any row
    takes_h: int = 0
    dtable: int = 0  # [U,x_columns]


class _FieldsType(types.Type):  # type: ignore[misc]  # Numba has no types
    """`Fields` as compiled code sees them: where its fields lie.

    As a tuple of numbers it would be copied into every function, which takes LLVM most of the time
    that compiling takes.
    """

    def __init__(self) -> None:
        super().__init__("Fields")


_FIELDS = _FieldsType()
_WORDS = ir.IntType(64).as_pointer()


@register_model(_FieldsType)
class _FieldsModel(models.PrimitiveModel):  # type: ignore[misc]
    def __init__(self, manager: Any, fields: Any) -> None:
        super().__init__(manager, fields, _WORDS)


@infer_getattr
class _FieldsAttributes(AttributeTemplate):  # type: ignore[misc]
    key = _FieldsType

    def generic_resolve(self, fields: Any, name: str) -> Any:
        return types.int64 if name in Fields._fields else None


@lower_getattr_generic(_FieldsType)
def _read_field(context: Any, builder: Any, fields: Any, pointer: Any, name: str) -> Any:
    index = ir.Constant(ir.IntType(64), Fields._fields.index(name))
    value = builder.load(builder.gep(pointer, [index]))
    # Nothing writes to it while a kernel runs: it may be read once, before a loop.
    value.set_metadata("invariant.load", builder.module.add_metadata([]))
    return value


@intrinsic
def as_fields(typingctx: Any, fields: Any) -> Any:
    """Return the `Fields` that an array holds."""

    def codegen(context: Any, builder: Any, signature: Any, args: Any) -> Any:
        return context.make_array(fields)(context, builder, args[0]).data

    return _FIELDS(fields), codegen


class Steps(NamedTuple):
    """The rows of a batch, and its steps."""

    order: Ints  # [N]
    length: Ints  # [N], sorted
    n_at: Ints  # [T]
    offset: Ints  # [T+1]


# Columns of the table of states after h: [states-1, 4] addresses.
CELLS, RESET, D_STATE, D_RESET = range(4)
# Rows of a thread's tables of addresses.
A, CIN, C, ZS, MORE, BOOK, INS, OUTS = range(8)
TABLES = 8


@inline
def tables_of(memory: Any, thread: int) -> Any:
    """Return a thread's tables."""
    return memory[thread]


@inline
def work_of(memory: Any, thread: int) -> Any:
    """Return the address of a thread's memory."""
    return memory[thread, TABLES, 0]


@inline
def rows_of(n: int, thread: int, threads: int) -> Any:
    """Rows thread, thread + threads, ... below n: ragged batches divide evenly."""
    return (n - thread + threads - 1) // threads if n > thread else 0


@inline
def place(k: Any, steps: Any, row: int, s: int, t_stride: int, n_stride: int) -> Any:
    """Bytes from the start of an array [T,N,...] to a row's step."""
    t = steps.length[row] - 1 - s if k.reverse else s
    return t * t_stride + steps.order[row] * n_stride


@inline
def starts_anew(k: Any, steps: Any, row: int, s: int) -> Any:
    return k.reset != 0 and load_byte(k.reset + place(k, steps, row, s, k.N, 1)) != 0


@inline
def h_before(k: Any, steps: Any, row: int, s: int, size: int) -> Any:
    if starts_anew(k, steps, row, s):
        return k.reset_h + steps.order[row] * k.R * size
    if s == 0:
        return k.h_0 + steps.order[row] * k.R * size
    return k.y + place(k, steps, row, s - 1, k.y_t, k.y_n)


@inline
def mask_row(k: Any, steps: Any, row: int, size: int) -> Any:
    return k.mask + steps.order[row] * k.R * size


@inline
def kept_row(k: Any, steps: Any, row: int, s: int) -> Any:
    """Where a step's row lies in an array of what is kept; alone a row has one place."""
    return steps.offset[s] - k.base + row if k.save else row


@inline
def masked_row(k: Any, steps: Any, row: int, s: int, size: int) -> Any:
    return k.masked + kept_row(k, steps, row, s) * k.R * size


@inline
def meets_weight(k: Any, steps: Any, row: int, s: int, size: int) -> Any:
    """Where lies what met the recurrent weight at a step: h, or mask * h."""
    if k.mask:
        return masked_row(k, steps, row, s, size)
    return h_before(k, steps, row, s, size)


@inline
def z_row(k: Any, steps: Any, row: int, s: int, chunk_start: int) -> Any:
    if k.save:
        return k.z + (steps.offset[s] - k.base + row) * k.z_row
    return k.z + ((s - chunk_start) * k.N + row) * k.z_row


@inline
def x_row(k: Any, steps: Any, row: int, s: int) -> Any:
    return k.x + place(k, steps, row, s, k.x_t, k.x_n)


@inline
def token(k: Any, steps: Any, row: int, s: int) -> Any:
    return load(s, k.ids + place(k, steps, row, s, k.ids_t, k.ids_n), 0)


@inline
def state_after(k: Any, steps: Any, cells: int, row: int, s: int, bytes_: int) -> Any:
    at = k.N + steps.offset[s] - k.base + row if k.save else row
    return cells + at * bytes_


@inline
def write_book(
    zero: Any, k: Any, steps: Any, states: Any, book: Any, row: int, s: int, first: int, z: int
) -> None:
    """Write the addresses of `maths.SOURCES` that forward and backward share."""
    size = size_of(zero)
    bytes_ = k.H * size
    kept = kept_row(k, steps, row, s) * bytes_
    book[Z] = z
    book[H_SOURCE] = h_before(k, steps, row, s, size)
    book[H_NEXT] = k.projected + kept if k.projects else k.y + place(k, steps, row, s, k.y_t, k.y_n)
    book[PARAMS] = k.params
    book[MIXED] = k.mixed + kept
    for j in range(len(states)):
        cells = states[j, CELLS]
        if starts_anew(k, steps, row, s):
            before = states[j, RESET] + steps.order[row] * bytes_
        elif s == first:
            before = cells + row * bytes_
        else:
            before = state_after(k, steps, cells, row, s - 1, bytes_)
        book[len(SOURCES) + 3 * j] = before
        book[len(SOURCES) + 3 * j + 1] = state_after(k, steps, cells, row, s, bytes_)


@inline
def find(book: Any, places: Any, bytes_: int, found: Any) -> None:
    """Write the addresses of places (source, slot)."""
    for i in range(len(places)):
        found[i] = book[places[i, 0]] + places[i, 1] * bytes_
