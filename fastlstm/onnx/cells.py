"""LSTM cells that a file has written out, as many exporters do: found in a plan, run on the kernel.

    g = A x + B h (+ biases), cut into four parts
    c' = sigmoid(g_f) * c + sigmoid(g_i) * tanh(g_g)
    h' = sigmoid(g_o) * tanh(c')

in any order of the parts and of the factors. H hidden size, N rows, I input size.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from itertools import permutations
from typing import Any, NamedTuple

import numpy as np

from fastlstm import kernels
from fastlstm.kernels import CELLS, Call, Weights
from fastlstm.kernels.rows import full_rows
from fastlstm.onnx.graph import Array
from fastlstm.onnx.operators.bound import bound
from fastlstm.onnx.operators.linear import Linear
from fastlstm.onnx.values import Ref, Step, live


class Cell(NamedTuple):
    """A cell that was found; the gates are numbers of the parts of g."""

    sum: Step  # which makes c'
    last: Step  # which makes h'
    input: Linear
    state: Linear
    c: Ref
    gates: tuple[int, int, int, int]  # i, f, g, o


def with_cells(steps: Sequence[Step], outputs: Sequence[Ref], shared: dict[Any, Any]) -> list[Step]:
    """Return the steps with each LSTM cell among them as one; `shared` holds their weights."""
    found = list(steps)
    if not hasattr(kernels.backend(), "BoundForward"):
        return found
    plan = _Plan(steps)
    for cell in [plan.cell(step) for step in steps if step.op == "Tanh"]:
        if cell is not None and cell.sum in found and cell.last in found:
            found[found.index(cell.sum)] = _one_step(cell, shared)
            found.remove(cell.last)
    return live(found, outputs) if len(found) < len(steps) else found


class _Plan:
    """Who makes and who reads the values of a plan."""

    def __init__(self, steps: Sequence[Step]) -> None:
        self.makers = {ref.root: step for step in steps for ref in step.outputs}
        self.readers: dict[Ref, list[Step]] = {}
        for step in steps:
            for ref in step.inputs:
                self.readers.setdefault(ref.root, []).append(step)

    def maker(self, ref: Ref, op: str) -> Step | None:
        """Return the step of a kind that made a value, and not one it is only a part of."""
        step = self.makers.get(ref.root)
        whole = step is not None and step.op == op and step.outputs[0].array.size == ref.array.size
        return step if whole else None

    def cell(self, tanh: Step) -> Cell | None:
        """Return the cell whose new state this tanh sees."""
        total = self.maker(tanh.inputs[0], "Add")
        terms = total and [self.maker(ref, "Mul") for ref in total.inputs]
        if not terms or total is None:
            return None
        for new, kept in permutations(terms):
            if new is None or kept is None:
                return None
            for last in self.readers.get(tanh.outputs[0].root, ()):
                cell = self._gates(total, new, kept, tanh, last)
                if cell is not None:
                    return cell
        return None

    def _gates(self, total: Step, new: Step, kept: Step, tanh: Step, last: Step) -> Cell | None:
        if last.op != "Mul" or not len(new.inputs) == len(kept.inputs) == len(last.inputs) == 2:
            return None
        i, g = self._pair(new, "Sigmoid", "Tanh")
        f, c = self._pair(kept, "Sigmoid", None)
        o, _ = self._pair(last, "Sigmoid", "Tanh")
        if i is None or g is None or f is None or c is None or o is None:
            return None
        return self._products(total, last, c, (i, f, g, o))

    def _pair(self, step: Step, one: str, other: str | None) -> tuple[Ref | None, Ref | None]:
        """Return what the two factors of a product are made of, or the second one itself."""
        for a, b in permutations(step.inputs):
            first = self.maker(a, one)
            second = self.maker(b, other) if other else None
            if first is not None and (second is not None or other is None):
                return first.inputs[0], b if second is None else second.inputs[0]
        return None, None

    def _products(
        self, total: Step, last: Step, c: Ref, parts: tuple[Ref, Ref, Ref, Ref]
    ) -> Cell | None:
        """Find the two products that the parts are cut from."""
        root = parts[0].root
        added = self.makers.get(root)
        N, H = np.shape(c.array)[-2:] if c.array.ndim > 1 else (0, 0)
        if added is None or added.op != "Add" or root.shape != (N, 4 * H) or not N:
            return None
        gates = tuple(_place(root, part, N, H) for part in parts)
        makers = [self.maker(ref, "Linear") for ref in added.inputs]
        if sorted(gates) != [0, 1, 2, 3] or None in makers or len(makers) != 2:
            return None
        shapes = {total.outputs[0].array.size, last.outputs[0].array.size, c.array.size}
        if shapes != {N * H} or not c.array.flags.c_contiguous:
            return None
        products: list[Linear] = [step.attributes["linear"] for step in makers if step is not None]
        for input, state in permutations(products):
            if state.weight.shape[0] == H and not (input.map or state.map):
                return Cell(total, last, input, state, c, gates)  # type: ignore[arg-type]
        return None


def _place(root: Ref, part: Ref, N: int, H: int) -> int:
    """Return which quarter of the columns of a value a part of it is, -1 if it is none."""
    whole, array = root.array, part.array
    if part.root is not root or array.size != N * H or array.shape[-2:] != (N, H):
        return -1
    if array.strides[-2:] != whole.strides and N > 1:
        return -1
    start = array.__array_interface__["data"][0] - whole.__array_interface__["data"][0]
    place, rest = divmod(start, H * whole.itemsize)
    return -1 if rest or array.strides[-1] != whole.itemsize and H > 1 else place


def _one_step(cell: Cell, shared: dict[Any, Any]) -> Step:
    total, last, input, state, c, _ = cell
    refs = (input.x, input.weight, input.bias, state.x, state.weight, state.bias, c)
    read = tuple(ref for ref in refs if ref is not None)
    outputs = (last.outputs[0], total.outputs[0])
    return Step(
        "LSTM", last.node, read, outputs, lambda: [_bind(cell, shared)], {"cell": CELLS["lstm"]}
    )


def _weights(cell: Cell, shared: dict[Any, Any]) -> tuple[Weights, bool]:
    """Return the kernel's weights, and whether they are made once for all cells with the same."""
    _, _, input, state, c, gates = cell
    H = c.array.shape[-1]
    refs = [ref for p in (input, state) for ref in (p.weight, p.bias) if ref is not None]
    common = all(ref.source for ref in refs)
    places = tuple((ref.array.__array_interface__["data"][0], ref.array.strides) for ref in refs)
    key = ("cell", gates, places)
    if common and key in shared:
        found: Weights = shared[key][0]
        return found, True
    order = np.concatenate([np.arange(k * H, (k + 1) * H) for k in gates])

    def rows(array: Array) -> Array:
        """A weight [K,4H] as [4H,K] in the kernel's order of gates; or a bias."""
        found: Array = np.ascontiguousarray(array.T[order])
        return found

    b_ih, b_hh = (
        None if p.bias is None else rows(p.bias.array.reshape(-1)) for p in (input, state)
    )
    weights = Weights(rows(input.weight.array), rows(state.weight.array), b_ih, b_hh)
    if common:
        shared[key] = weights, refs  # which keep their places in memory
    return weights, common


def _bind(cell: Cell, shared: dict[Any, Any]) -> Callable[[], object]:
    total, last, input, state, c, _ = cell
    N, H = c.array.shape[-2:]
    weights, common = _weights(cell, shared)
    h_new = last.outputs[0].array.reshape(N, H)
    call = Call(
        input.x.array.reshape(1, N, -1),
        (state.x.array.reshape(N, H), c.array.reshape(N, H)),
        weights,
        full_rows(1, N),
        h_new[None],
    )
    ends = [np.empty_like(h_new), total.outputs[0].array.reshape(N, H)]
    return bound(CELLS["lstm"], call, ends, pack=True, shared=shared if common else None)
