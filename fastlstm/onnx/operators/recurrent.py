"""LSTM, GRU and RNN: on the kernels where they have the activations, else in NumPy.

Letters: T steps, N batch, I input size, H hidden size, D directions, G gates * H.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial
from typing import Any, NamedTuple

import numpy as np

from fastlstm.kernels import Call as KernelCall
from fastlstm.kernels import CellSpec
from fastlstm.kernels.rows import Rows, full_rows
from fastlstm.onnx.errors import OnnxError
from fastlstm.onnx.graph import Array, Graph, Node
from fastlstm.onnx.operators import KERNELS, NUMPY, loops, operator
from fastlstm.onnx.operators.bound import bound, run_rows
from fastlstm.onnx.operators.recurrent_options import (
    FAMILIES,
    Family,
    coupling,
    kernel_of,
    options_of,
)
from fastlstm.onnx.operators.recurrent_weights import reordered
from fastlstm.onnx.plan import Planner
from fastlstm.onnx.values import Call, Ref, copying

Inputs = Sequence[Any]  # of `Ref`; None for one that is left out


def runs(node: Node, graph: Graph) -> str:
    """Return where a node runs."""
    try:
        _, options = options_of(node)
    except OnnxError:  # told when it is planned
        return NUMPY
    native = all(kernel_of(node, one, False) is not None for one in options)
    return KERNELS if native else NUMPY


class Sizes(NamedTuple):
    """Those of a node."""

    T: int
    N: int
    I: int
    H: int
    D: int


@operator("LSTM", "GRU", "RNN", since=7, runs=runs)
def recurrent(p: Planner, node: Node, inputs: Inputs) -> list[Ref]:
    family = FAMILIES[node.op]
    backward, options = options_of(node)
    x, w, r, b, lengths, h, c, peepholes = (*inputs, *[None] * 8)[:8]
    by_row = bool(node.integer("layout", 0))
    if len(x.shape) != 3 or len(w.shape) != 3 or len(r.shape) != 3:
        raise OnnxError(
            f"X, W and R have shapes {x.shape}, {w.shape}, {r.shape}, expected three axes each"
        )
    if by_row:
        x = p.view(x, x.array.transpose(1, 0, 2))
        h, c = (None if s is None else _turned(p, s) for s in (h, c))
    T, N, I = x.shape
    sizes = Sizes(T, N, I, r.shape[2], len(backward))
    given = {
        "W": w,
        "R": r,
        "B": b,
        "sequence_lens": lengths,
        "initial_h": h,
        "initial_c": c,
        "P": peepholes,
    }
    _check(node, family, sizes, given)
    x = _inner_dense(p, x)
    H, D = sizes.H, sizes.D
    y = p.new((N, T, D, H) if by_row else (T, D, N, H), x.dtype)
    ends = [p.new((D, N, H), x.dtype) for _ in range(family.states)]
    states = [_initial(p, s, sizes, x.dtype) for s in (h, c)[: family.states]]
    if not T or not N:
        _nothing(p, x, y, ends, states)
    for d in range(D if T and N else 0):
        part = y.array[:, :, d].transpose(1, 0, 2) if by_row else y.array[:, d]
        starts, lasts = [s.array[d] for s in states], [e.array[d] for e in ends]
        direction = Direction(
            d, family, node, options[d], backward[d], sizes, x, [w, r, b, peepholes], lengths,
            starts, lasts, part,
        )  # fmt: skip
        _add(p, direction, states, (y, *ends))
    if by_row:
        ends = [p.view(end, end.array.transpose(1, 0, 2)) for end in ends]
    return [y, *ends]


def _turned(p: Planner, state: Ref) -> Ref:
    if len(state.shape) != 3:
        raise OnnxError(f"an initial state has shape {state.shape}, expected three axes")
    return p.view(state, state.array.transpose(1, 0, 2))


def _check(node: Node, family: Family, sizes: Sizes, given: dict[str, Any]) -> None:
    """Check the shapes of all inputs against those of X and R."""
    _, N, I, H, D = sizes
    G = family.gates * H
    if not H or not I:
        raise OnnxError(f"an input size of {I} and a hidden size of {H}, expected 1 or more")
    expected = {
        "W": (D, G, I),
        "R": (D, G, H),
        "B": (D, 2 * G),
        "sequence_lens": (N,),
        "initial_h": (D, N, H),
        "initial_c": (D, N, H),
        "P": (D, 3 * H),
    }
    for name, ref in given.items():
        if ref is not None and ref.shape != expected[name]:
            raise OnnxError(f"{name} has shape {ref.shape}, expected {expected[name]}")
    if node.integer("hidden_size", H) != H:
        raise OnnxError(f"hidden_size is {node.integer('hidden_size')}, expected {H}, that of R")


def _inner_dense(p: Planner, x: Ref) -> Ref:
    """Return x with its last axis in one piece, as kernels read it."""
    size = x.dtype.itemsize
    dense = x.array.strides[-1] == size or x.shape[-1] == 1
    return x if dense and all(s % size == 0 for s in x.array.strides) else p.copy(x)


def _initial(p: Planner, state: Ref | None, sizes: Sizes, dtype: Any) -> Ref:
    if state is not None:
        return p.dense(state)
    p.budget.take((sizes.D, sizes.N, sizes.H), dtype)
    return p.constant(np.zeros((sizes.D, sizes.N, sizes.H), dtype))


def _nothing(p: Planner, x: Ref, y: Ref, ends: list[Ref], states: list[Ref]) -> None:
    """Of no steps or no rows the states stay as they are."""
    for end, state in zip(ends, states, strict=True):
        p.step((x, state), (y, end), partial(_copies, end, state))


def _copies(end: Ref, state: Ref) -> list[Call]:
    return [copying(end.array, state.array)]


class Direction(NamedTuple):
    """One direction of a node: what it is, what it reads, and where its results go."""

    number: int  # its place on the axis D
    family: Family
    node: Node
    options: loops.Options
    reverse: bool
    sizes: Sizes
    x: Ref
    weights: list[Any]  # W, R, B and P, those of all directions
    lengths: Ref | None
    starts: list[Array]  # the states before the first step, [N,H] each
    ends: list[Array]  # those after the last
    y: Array  # [T,N,H]


def _add(p: Planner, way: Direction, states: list[Ref], outputs: tuple[Ref, ...]) -> None:
    """Add the step of a direction."""
    cell = kernel_of(way.node, way.options, way.weights[3] is not None, way.x.dtype)
    narrow = way.x.dtype == np.float16
    bind = _loop(way) if cell is None or narrow else _kernel(p, way, cell)
    inputs = [ref for ref in (way.x, *way.weights, way.lengths, *states) if ref is not None]
    p.step(inputs, outputs, bind, cell=cell, direction=way.number, reverse=way.reverse)


def rows_of(lengths: Array | None, T: int, N: int) -> Rows:
    """Return the rows of a batch; OnnxError if a length is outside."""
    if lengths is None:
        return full_rows(T, N)
    if lengths.size and not 0 <= lengths.min() <= lengths.max() <= T:
        raise OnnxError(f"sequence_lens are {lengths!s:.80}, expected 0 to {T}")
    return Rows(T, N, lengths)


def _loop(way: Direction) -> Callable[[], list[Call]]:
    """Run a direction in NumPy."""
    T, N, *_ = way.sizes
    wide: Any = np.float32 if way.x.dtype == np.float16 else way.x.dtype

    def call() -> None:
        arrays: list[Any] = [
            None if w is None else w.array[way.number].astype(wide, copy=False) for w in way.weights
        ]
        held = loops.Weights(*arrays)
        rows = rows_of(None if way.lengths is None else way.lengths.array, T, N)
        states = [start.astype(wide) for start in way.starts]
        z = way.family.inputs(way.x.array.astype(wide, copy=False), held)
        loops.run(way.family.step(held, way.options), z, states, rows, way.reverse, way.y)
        for end, state in zip(way.ends, states, strict=True):
            np.copyto(end, state, casting="unsafe")

    return lambda: [call]


def _kernel(p: Planner, way: Direction, cell: CellSpec) -> Callable[[], list[Call]]:
    """Run a direction on a kernel, its weights in the kernel's order."""
    lengths, weights = way.lengths, way.weights
    T, N, *_ = way.sizes
    couples = way.family.gates == 4 and way.options.input_forget
    shift = coupling(way.options) if couples else None

    def bind() -> list[Call]:
        constant = all(ref is None or ref.constant for ref in weights)
        held, fill = reordered(p, way.family, cell, way.number, weights, constant, shift)
        made: list[Call] = [] if constant else fill
        known = lengths is None or lengths.constant
        rows = rows_of(lengths.array, T, N) if lengths is not None and known else full_rows(T, N)
        call = KernelCall(way.x.array, tuple(way.starts), held, rows, way.y, reverse=way.reverse)
        if known:
            shared = p.shared if all(ref is None or ref.source for ref in weights) else None
            return [*made, bound(cell, call, way.ends, pack=constant, shared=shared)]
        assert lengths is not None
        given = lengths
        return [*made, lambda: run_rows(cell, call, way.ends, rows_of(given.array, T, N))]

    return bind
