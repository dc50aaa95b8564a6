"""LSTM and GRU cells that a file has written out, as many exporters do: run on the kernels.

They are found in a plan by `find_lstm` and `find_gru`. H hidden size, N rows, I input size.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import numpy as np

from fastlstm import kernels
from fastlstm.kernels import Call, CellSpec, Weights
from fastlstm.kernels.rows import full_rows
from fastlstm.onnx.graph import Array
from fastlstm.onnx.operators.bound import bound
from fastlstm.onnx.sums import Spot, Sum, Term, Values, spot
from fastlstm.onnx.values import Ref, Step, live


class GateSum(NamedTuple):
    """What one gate of a cell is made of: x W + h R and biases.

    Attributes
    ----------
    input, state : x W and h R.
    biases : that are added to x W.
    inner : that are added to h R, which alone a GRU's reset gate meets.
    sign : -1 of the gate's negative.
    """

    input: Term
    state: Term
    biases: tuple[Term, ...] = ()
    inner: tuple[Term, ...] = ()
    sign: int = 1

    @property
    def terms(self) -> tuple[Term, ...]:
        return self.input, self.state, *self.biases, *self.inner

    @property
    def constants(self) -> list[Ref]:
        return [ref for term in self.terms for ref in term.constants]


class Cell(NamedTuple):
    """A cell that was found.

    Attributes
    ----------
    op, spec : the operator that it is, and the kernel's cell.
    gates : in the kernel's order.
    states : those before.
    outputs : those after.
    first : the step in whose place it runs.
    last : another one that it replaces, or the same.
    """

    op: str
    spec: CellSpec
    gates: tuple[GateSum, ...]
    states: tuple[Ref, ...]
    outputs: tuple[Ref, ...]
    first: Step
    last: Step


def with_cells(steps: Sequence[Step], outputs: Sequence[Ref], shared: dict[Any, Any]) -> list[Step]:
    """Return the steps with each written-out cell among them as one; `shared` holds weights."""
    from fastlstm.onnx.cell_gru import find_gru
    from fastlstm.onnx.cell_lstm import find_lstm

    if not hasattr(kernels.backend(), "BoundForward"):
        return list(steps)
    values = Values(steps)
    tanhs = [step for step in steps if is_tanh(step)]
    instead: dict[Step, list[Step]] = {}  # of steps that cells replace
    for find in (find_lstm, find_gru):
        for cell in [find(values, step) for step in tanhs]:
            if cell is not None and cell.first not in instead and cell.last not in instead:
                instead[cell.last] = []
                instead[cell.first] = [_one_step(cell, shared)]
    found = [one for step in steps for one in instead.get(step, [step])]
    return live(found, outputs) if instead else found


def is_tanh(step: Step) -> bool:
    """Whether a step makes a tanh, alone or behind a product."""
    return step.op == "Tanh" or step.op == "Linear" and step.attributes["linear"].map == "tanh"


def gate_sum(found: Sum | None, x: Spot | None, h: Spot | None, H: int) -> GateSum | None:
    """Return a gate whose sum has a product with x and one with h; None if it is another.

    What x and h are may be left to the sum: h is what has H columns.
    """
    if found is None or found.products:
        return None
    biases = tuple(term for term in found.terms if term.x is None)
    terms = [term for term in found.terms if term.x is not None]
    if len(terms) != 2 or not all(term.source for term in terms):
        return None
    for input, state in (terms, terms[::-1]):
        fits = x in (None, input.source) and h in (None, state.source)
        if fits and state.x is not None and state.x.shape[-1] == H:
            return GateSum(input, state, biases)
    return None


def _one_step(cell: Cell, shared: dict[Any, Any]) -> Step:
    x = cell.gates[0].input.x
    refs = [x, *cell.states, *(ref for gate in cell.gates for ref in gate.constants)]
    read = tuple(dict.fromkeys(ref for ref in refs if ref is not None))
    return Step(
        cell.op, cell.last.node, read, cell.outputs, lambda: [_bind(cell, shared)],
        {"cell": cell.spec},
    )  # fmt: skip


def _weights(cell: Cell, shared: dict[Any, Any]) -> tuple[Weights, bool]:
    """Return the kernel's weights, and whether they are made once for all cells with the same."""
    refs = [ref for gate in cell.gates for ref in gate.constants]
    common = all(ref.source for ref in refs)
    key = ("cell", cell.spec.name, *(_place(gate) for gate in cell.gates))
    if common and key in shared:
        found: Weights = shared[key][0]
        return found, True
    made = [
        [gate.sign * term.weight.T for term in (gate.input, gate.state) if term.weight is not None]
        for gate in cell.gates
    ]
    w_ih, w_hh = (np.ascontiguousarray(np.concatenate(rows)) for rows in zip(*made, strict=True))
    b_ih = _bias([[gate.input, *gate.biases] for gate in cell.gates], cell)
    b_hh = _bias([[gate.state, *gate.inner] for gate in cell.gates], cell)
    weights = Weights(w_ih, w_hh, b_ih, b_hh)
    if common:
        shared[key] = weights, refs  # which keep their places in memory
    return weights, common


def _place(gate: GateSum) -> tuple[Any, ...]:
    """Return what tells the constants of a gate from those of others."""
    arrays = [array for term in gate.terms for array in (term.weight, term.bias)]
    places = [
        None if a is None else (a.__array_interface__["data"][0], a.strides, a.shape)
        for a in arrays
    ]
    return gate.sign, len(gate.inner), *places


def _bias(terms: list[list[Term]], cell: Cell) -> Array | None:
    """Return the biases of all gates one after another, None if none has any."""
    if all(term.bias is None for gate in terms for term in gate):
        return None
    H, dtype = cell.outputs[0].shape[-1], cell.outputs[0].dtype
    rows = []
    for gate, each in zip(cell.gates, terms, strict=True):
        total = np.zeros(H, dtype)
        for term in each:
            if term.bias is not None:
                total += gate.sign * term.bias
        rows.append(total)
    return np.concatenate(rows)


def _bind(cell: Cell, shared: dict[Any, Any]) -> Callable[[], object]:
    H = cell.outputs[0].shape[-1]
    N = cell.outputs[0].array.size // H
    weights, common = _weights(cell, shared)
    h_new, *others = (ref.array.reshape(N, H) for ref in cell.outputs)
    x = cell.gates[0].input.x
    assert x is not None
    call = Call(
        x.array.reshape(1, N, -1),
        tuple(ref.array.reshape(N, H) for ref in cell.states),
        weights,
        full_rows(1, N),
        h_new[None],
    )
    ends = [np.empty_like(h_new), *others]
    return bound(cell.spec, call, ends, pack=True, shared=shared if common else None)


def whole(ref: Ref, H: int) -> bool:
    """Whether a value of H columns is one piece of memory."""
    place = spot(ref)
    return place is not None and place[1] == H
