"""An LSTM cell among the steps of a plan.

    c' = sigmoid(f) * c + sigmoid(i) * tanh(g)
    h' = sigmoid(o) * tanh(c')

in any order of the factors; each of i, f, g and o is x W + h R with biases.
"""

from __future__ import annotations

from itertools import permutations

from fastlstm.kernels import CELLS
from fastlstm.onnx.cells import Cell, GateSum, gate_sum, whole
from fastlstm.onnx.sums import Gate, Values, spot
from fastlstm.onnx.values import Ref, Step


def find_lstm(values: Values, tanh: Step) -> Cell | None:
    """Return the cell whose new state this tanh sees, None if there is none."""
    total = values.maker(tanh.inputs[0], "Add") if tanh.op == "Tanh" else None
    if total is None or len(total.inputs) != 2:
        return None
    for new, kept in permutations(values.maker(ref, "Mul") for ref in total.inputs):
        for last in values.readers(tanh.outputs[0]):
            cell = _cell(values, total, new, kept, tanh, last)
            if cell is not None:
                return cell
    return None


def _cell(
    values: Values, total: Step, new: Step | None, kept: Step | None, tanh: Step, last: Step
) -> Cell | None:
    c = o = None
    i, g = _gates(values, new)
    f = None
    for one, other in values.factors(kept):
        f = values.gate(one, "Sigmoid")
        c = other
        if f is not None:
            break
    for one, other in values.factors(last):
        if spot(other) == spot(tanh.outputs[0]):
            o = values.gate(one, "Sigmoid")
    if i is None or f is None or g is None or o is None or c is None:
        return None
    return _whole_cell(values, (i, f, g, o), c, total, last)


def _gates(values: Values, new: Step | None) -> tuple[Gate | None, Gate | None]:
    """Return what the two factors of the new part of a state are made of."""
    for one, other in values.factors(new):
        i, g = values.gate(one, "Sigmoid"), values.gate(other, "Tanh")
        if i is not None and g is not None:
            return i, g
    return None, None


def _whole_cell(
    values: Values, gates: tuple[Gate, ...], c: Ref, total: Step, last: Step
) -> Cell | None:
    H, outputs = gates[0].part.size, (last.outputs[0], total.outputs[0])
    if any(gate.part.size != H for gate in gates) or not whole(c, H):
        return None
    sums: list[GateSum] = []
    x = h = None
    for gate in gates:
        found = gate_sum(values.sum(gate), x, h, H)
        if found is None:
            return None
        x, h = found.input.source, found.state.source
        sums.append(found)
    state = sums[0].state.x
    sizes = {ref.array.size for ref in (*outputs, c)}
    if state is None or sizes != {state.array.size} or not all(whole(r, H) for r in outputs):
        return None
    return Cell("LSTM", CELLS["lstm"], tuple(sums), (state, c), outputs, total, last)
