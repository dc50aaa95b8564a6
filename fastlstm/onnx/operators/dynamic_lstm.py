"""ONNX Runtime's LSTM with weights of 8 bits: inputs and states are rounded in every product."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np

from fastlstm.counts import count_of
from fastlstm.onnx.errors import OnnxError
from fastlstm.onnx.graph import MICROSOFT, Array, Node
from fastlstm.onnx.operators import loops, operator
from fastlstm.onnx.operators.activations import read_activations
from fastlstm.onnx.operators.quantized import dynamic_quantized, exact
from fastlstm.onnx.operators.recurrent import rows_of
from fastlstm.onnx.operators.recurrent_options import DIRECTIONS
from fastlstm.onnx.plan import Planner
from fastlstm.onnx.values import Call, Ref

Inputs = Sequence[Any]  # of `Ref`; None for one that is left out

ACTIVATIONS = ("Sigmoid", "Tanh", "Tanh")


class Matrix(NamedTuple):
    """A matrix of 8 bits less its zero point, as numbers that hold all sums, and its scale."""

    values: Array  # [K,4H]
    scale: Array


Pair = tuple[Matrix, Matrix]


class Given(NamedTuple):
    """The inputs of a node of D directions; None for one that is left out."""

    x: Ref  # [T,N,I]
    w: Ref  # [D,I,4H]
    r: Ref  # [D,H,4H]
    b: Ref | None  # [D,8H]
    lengths: Ref | None  # [N]
    h: Ref | None  # [D,N,H]
    c: Ref | None
    peepholes: Ref | None  # [D,3H]
    w_scale: Ref  # [D] or [D,4H], as the other three
    w_zero: Ref
    r_scale: Ref
    r_zero: Ref

    @property
    def known(self) -> bool:
        """Whether the matrices are the same at every call."""
        return all(ref.constant for ref in (self.w, self.r, *self[8:]))

    def matrices(self) -> list[Pair]:
        """Return those of the input and of the state, of each direction."""
        of_input = zip(self.w.array, self.w_scale.array, self.w_zero.array, strict=True)
        of_state = zip(self.r.array, self.r_scale.array, self.r_zero.array, strict=True)
        pairs = zip(of_input, of_state, strict=True)
        return [(matrix_of(*first), matrix_of(*second)) for first, second in pairs]


@operator("DynamicQuantizeLSTM", domain=MICROSOFT)
def dynamic_quantize_lstm(p: Planner, node: Node, inputs: Inputs) -> list[Ref]:
    """As LSTM; W and R are of 8 bits, with scales and zero points: see `Given`."""
    if len(inputs) != 12:
        raise OnnxError(f"{count_of(len(inputs), 'input')}, expected 12")
    backward = DIRECTIONS[node.text("direction", "forward", tuple(DIRECTIONS))]
    activations = read_activations(node, ACTIVATIONS, len(backward))
    clip = node.number("clip") if node.number("clip", 0) > 0 else None
    forget = bool(node.integer("input_forget", 0))
    _check(inputs, len(backward))
    given = Given(*inputs)
    (T, N, _), H, D = given.x.shape, given.r.shape[1], len(backward)
    y, ends = p.new((T, D, N, H), np.float32), [p.new((D, N, H), np.float32) for _ in range(2)]
    made: list[Pair] = []

    def call() -> None:
        if not T or not N:
            raise OnnxError(f"X has shape {given.x.shape}, expected steps and rows")
        for d, pair in enumerate(made or given.matrices()):
            options = loops.Options(activations[d], clip, forget)
            states = _run(given, d, pair, options, backward[d], y.array[:, d])
            for end, state in zip(ends, states, strict=True):
                end.array[d] = state

    def bind() -> list[Call]:
        if given.known:
            made[:] = given.matrices()
        return [call]

    p.step([ref for ref in inputs if ref is not None], (y, *ends), bind)
    return [y, *ends]


def _run(
    given: Given, d: int, pair: Pair, options: loops.Options, reverse: bool, y: Array
) -> list[Array]:
    """Run direction d: write y [T,N,H], return the last states [N,H]."""
    of_input, of_state = pair
    T, N, H = y.shape
    rows = rows_of(None if given.lengths is None else given.lengths.array, T, N)
    z = rounded_product(given.x.array.reshape(T * N, -1), of_input)
    if given.b is not None:
        z += given.b.array[d, : 4 * H] + given.b.array[d, 4 * H :]
    peepholes = None if given.peepholes is None else given.peepholes.array[d]
    held = loops.Weights(given.w.array[d].T, given.r.array[d].T, None, peepholes)
    step = loops.lstm_step(held, options, lambda state: rounded_product(state, of_state))
    states = [
        np.zeros((N, H), np.float32) if s is None else s.array[d].copy() for s in (given.h, given.c)
    ]
    loops.run(step, z.reshape(T, N, 4 * H), states, rows, reverse, y)
    return states


def matrix_of(weight: Array, scale: Array, zero: Array) -> Matrix:
    values = weight.astype(np.int32) - zero.astype(np.int32)
    return Matrix(values.astype(exact(len(values), values)), scale)


def rounded_product(a: Array, matrix: Matrix) -> Array:
    """Return a @ matrix in float32, the rows of a [n,K] rounded to 8 bits."""
    rounded, scale, zero = dynamic_quantized(a)
    product = (rounded - zero).astype(matrix.values.dtype) @ matrix.values
    made: Array = product.astype(np.float32) * (scale * matrix.scale)
    return made


def _check(inputs: Inputs, D: int) -> None:
    """Check dtypes and shapes: the tables of the `onnx` package have no such operator."""
    x, w, r = inputs[:3]
    if any(ref is None or len(ref.shape) != 3 for ref in (x, w, r)):
        raise OnnxError("X, W and R, expected three axes each")
    (_, N, I), H = x.shape, r.shape[1]
    if not I or not H:
        raise OnnxError(f"an input size of {I} and a hidden size of {H}, expected 1 or more")
    floats, bytes_, counts = ("float32",), ("int8", "uint8"), ("int32",)
    one_or_gates = ((D,), (D, 4 * H))
    expected = (
        ("X", floats, (x.shape,)),
        ("W", bytes_, ((D, I, 4 * H),)),
        ("R", bytes_, ((D, H, 4 * H),)),
        ("B", floats, ((D, 8 * H),)),
        ("sequence_lens", counts, ((N,),)),
        ("initial_h", floats, ((D, N, H),)),
        ("initial_c", floats, ((D, N, H),)),
        ("P", floats, ((D, 3 * H),)),
        ("W_scale", floats, one_or_gates),
        ("W_zero_point", bytes_, one_or_gates),
        ("R_scale", floats, one_or_gates),
        ("R_zero_point", bytes_, one_or_gates),
    )
    for k, (name, dtypes, shapes) in enumerate(expected):
        ref = inputs[k]
        if ref is None and k in (*range(3), *range(8, 12)):
            raise OnnxError(f"input {name} is left out, expected one")
        if ref is not None and (ref.dtype.name not in dtypes or ref.shape not in shapes):
            raise OnnxError(
                f"{name} is of {ref.dtype} and shape {ref.shape}, expected {' or '.join(dtypes)} "
                f"of {' or '.join(map(str, shapes))}"
            )
