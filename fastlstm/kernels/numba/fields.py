"""What one call of the time loop works on, as compiled code sees it: sizes and addresses.

Rows are those of `Rows`, sorted; step s is the s-th one run. Strides are in bytes.
"""

from __future__ import annotations

from typing import Any, NamedTuple

from llvmlite import ir
from numba.core import types
from numba.core.imputils import lower_getattr_generic
from numba.core.typing.templates import AttributeTemplate
from numba.extending import infer_getattr, models, register_model

from fastlstm.kernels.numba.address import load_byte, store, word
from fastlstm.kernels.numba.jit import inline, intrinsic
from fastlstm.kernels.numba.maths import H_NEXT, MIXED, PARAMS, SOURCES, Z
from fastlstm.kernels.numba.maths import H as H_SOURCE


class Fields(NamedTuple):
    """One layer in one direction, and a thread's own. An address is 0 where there is nothing."""

    product: int = 0  # `product_function`
    sum: int = 0  # `sum_function`
    # the thread's own
    thread: int = 0
    threads: int = 0
    work: int = 0  # its memory
    a: int = 0  # tables of rows' addresses: operands of products
    cin: int = 0
    c: int = 0
    zs: int = 0  # rows of z
    more: int = 0
    book: int = 0  # of a row, what `maths.SOURCES` names
    ins: int = 0  # of a row, what a function of units takes and returns
    outs: int = 0
    # rows and steps
    order: int = 0  # [N]
    length: int = 0  # [N], sorted
    n_at: int = 0  # [T]
    offset: int = 0  # [T+1]
    # the cell: lists of places (source, slot), and of states
    unit_ins: int = 0
    unit_outs: int = 0
    mix_ins: int = 0
    mix_outs: int = 0
    mix_adds: int = 0  # sources
    n_unit_ins: int = 0
    n_unit_outs: int = 0
    n_mix_ins: int = 0
    n_mix_outs: int = 0
    n_mix_adds: int = 0
    states_after_h: int = 0  # [n_states, 4], see `VALUES`
    n_states: int = 0  # after h
    mix_keeps: int = 0  # how many
    T: int = 0
    N: int = 0
    I: int = 0
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
    # a sum over steps, see `gradients`
    kind: int = 0
    column: int = 0  # bytes from a row's dz to its first column
    features: int = 0
    columns: int = 0
    total: int = 0  # [panels,features,panel]
    sums: int = 0  # [panels,panel], of columns
    wide: int = 0  # float64 [panels,features+1,panel]; of tokens [U,x_columns]


class _FieldsType(types.Type):  # type: ignore[misc]  # Numba has no types
    """`Fields` as compiled code sees them: where they lie. `zero` and `size` are of its numbers.

    As a tuple of numbers it would be copied into every function, which takes LLVM most of the time
    that compiling takes.
    """

    def __init__(self, real: Any) -> None:
        self.real = real
        super().__init__(f"Fields({real})")


_WORDS = ir.IntType(64).as_pointer()


@register_model(_FieldsType)
class _FieldsModel(models.PrimitiveModel):  # type: ignore[misc]  # likewise
    def __init__(self, manager: Any, fields: Any) -> None:
        super().__init__(manager, fields, _WORDS)


@infer_getattr
class _FieldsAttributes(AttributeTemplate):  # type: ignore[misc]  # likewise
    key = _FieldsType

    def generic_resolve(self, fields: Any, name: str) -> Any:
        if name == "zero":
            return fields.real
        return types.int64 if name == "size" or name in Fields._fields else None


@lower_getattr_generic(_FieldsType)
def _read_field(context: Any, builder: Any, fields: Any, pointer: Any, name: str) -> Any:
    if name == "zero":
        return context.get_constant(fields.real, 0)
    if name == "size":
        return context.get_constant(types.int64, fields.real.bitwidth // 8)
    index = ir.Constant(ir.IntType(64), Fields._fields.index(name))
    value = builder.load(builder.gep(pointer, [index]))
    # Nothing writes to it while a kernel runs: it may be read once, before a loop.
    value.set_metadata("invariant.load", builder.module.add_metadata([]))
    return value


@intrinsic
def fields_of(typingctx: Any, zero: Any, fields: Any, thread: Any) -> Any:
    """Return a thread's `Fields`, a row of an array; its numbers are of the type of `zero`."""

    def codegen(context: Any, builder: Any, signature: Any, args: Any) -> Any:
        row = builder.mul(args[2], ir.Constant(ir.IntType(64), len(Fields._fields)))
        return builder.gep(context.make_array(fields)(context, builder, args[1]).data, [row])

    return _FieldsType(zero)(zero, fields, types.int64), codegen


# Columns of the table of states after h: addresses.
VALUES, RESET, D_STATE, D_RESET = range(4)
# A thread's tables of addresses, in this order.
TABLES = ("a", "cin", "c", "zs", "more", "book", "ins", "outs")


@inline
def rows_at(k: Any, s: int) -> Any:
    """How many rows of a step are the thread's: see `row_of`. Ragged batches divide evenly."""
    n = word(k.n_at, s)
    return (n - k.thread + k.threads - 1) // k.threads if n > k.thread else 0


@inline
def row_of(k: Any, i: int) -> Any:
    """The thread's rows: thread, thread + threads, ..."""
    return k.thread + i * k.threads


@inline
def place(k: Any, row: int, s: int, t_stride: int, n_stride: int) -> Any:
    """Bytes from the start of an array [T,N,...] to a row's step."""
    t = word(k.length, row) - 1 - s if k.reverse else s
    return t * t_stride + word(k.order, row) * n_stride


@inline
def starts_anew(k: Any, row: int, s: int) -> Any:
    return k.reset != 0 and load_byte(k.reset + place(k, row, s, k.N, 1)) != 0


@inline
def given_row(k: Any, array: int, row: int, n: int) -> Any:
    """Where a row lies in an array [N,n] in the caller's order."""
    return array + word(k.order, row) * n * k.size


@inline
def y_row(k: Any, row: int, s: int) -> Any:
    return k.y + place(k, row, s, k.y_t, k.y_n)


@inline
def h_before(k: Any, row: int, s: int) -> Any:
    if starts_anew(k, row, s):
        return given_row(k, k.reset_h, row, k.R)
    if s == 0:
        return given_row(k, k.h_0, row, k.R)
    return y_row(k, row, s - 1)


@inline
def mask_row(k: Any, row: int) -> Any:
    return given_row(k, k.mask, row, k.R)


@inline
def kept_row(k: Any, array: int, row: int, s: int, n: int) -> Any:
    """Where a step's row lies in an array [..., n] of what is kept; alone a row has one place."""
    at = word(k.offset, s) - k.base + row if k.save else row
    return array + at * n * k.size


@inline
def meets_weight(k: Any, row: int, s: int) -> Any:
    """Where lies what met the recurrent weight at a step: h, or mask * h."""
    return kept_row(k, k.masked, row, s, k.R) if k.mask else h_before(k, row, s)


@inline
def z_row(k: Any, row: int, s: int, chunk_start: int) -> Any:
    if k.save:
        return k.z + (word(k.offset, s) - k.base + row) * k.z_row
    return k.z + ((s - chunk_start) * k.N + row) * k.z_row


@inline
def x_row(k: Any, row: int, s: int) -> Any:
    return k.x + place(k, row, s, k.x_t, k.x_n)


@inline
def token(k: Any, row: int, s: int) -> Any:
    return word(k.ids + place(k, row, s, k.ids_t, k.ids_n), 0)


@inline
def state_of(k: Any, j: int, column: int) -> Any:
    """Return an address of the table of states after h."""
    return word(k.states_after_h, 4 * j + column)


@inline
def state_after(k: Any, cells: int, row: int, s: int) -> Any:
    at = k.N + word(k.offset, s) - k.base + row if k.save else row
    return cells + at * k.H * k.size


@inline
def write_book(k: Any, row: int, s: int, first: int, z: int) -> None:
    """Write the addresses of `maths.SOURCES` that forward and backward share."""
    store(k.book, Z, z)
    store(k.book, H_SOURCE, h_before(k, row, s))
    h_next = kept_row(k, k.projected, row, s, k.H) if k.projects else y_row(k, row, s)
    store(k.book, H_NEXT, h_next)
    store(k.book, PARAMS, k.params)
    store(k.book, MIXED, kept_row(k, k.mixed, row, s, k.H))
    for j in range(k.n_states):
        cells = state_of(k, j, VALUES)
        if starts_anew(k, row, s):
            before = given_row(k, state_of(k, j, RESET), row, k.H)
        elif s == first:
            before = cells + row * k.H * k.size
        else:
            before = state_after(k, cells, row, s - 1)
        store(k.book, len(SOURCES) + 3 * j, before)
        store(k.book, len(SOURCES) + 3 * j + 1, state_after(k, cells, row, s))


@inline
def find(k: Any, places: int, n: int, found: int) -> None:
    """Write the addresses of n places (source, slot)."""
    for i in range(n):
        store(found, i, word(k.book, word(places, 2 * i)) + word(places, 2 * i + 1) * k.H * k.size)
