"""A GRU cell among the steps of a plan.

    n = tanh(x W + b + r * (h R + c))  or  tanh(x W + (r * h) R + b)
    h' = n + z * (h - n)

with r and z a sigmoid of x W + h R and biases. The last line may be written in any way that is the
same when it is multiplied out, as ``(1 - z) * n + z * h``, or with 1 - z in z's place.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple

from fastlstm.kernels import CELLS
from fastlstm.onnx.cells import Cell, GateSum, gate_sum, whole
from fastlstm.onnx.sums import Columns, Gate, Spot, Sum, Term, Values, columns, spot
from fastlstm.onnx.values import Ref, Step

FAR = 4  # steps from n to h'
ARITHMETIC = ("Add", "Sub", "Mul")
Polynomial = dict[tuple[str, ...], int]  # a coefficient for each product of names
Known = dict[Spot | Columns | None, str]  # names: n and h by where they are, z by its columns


class Candidate(NamedTuple):
    """The new part n of a state, and what it is made of."""

    name: str  # of the kernel's cell
    n: Ref
    h: Ref
    reset: Gate
    gate: GateSum


def find_gru(values: Values, tanh: Step) -> Cell | None:
    """Return the cell whose candidate state this tanh makes, None if there is none."""
    made = _candidate(values, tanh.outputs[0])
    if made is None:
        return None
    x, h, H = made.gate.input.source, spot(made.h), made.n.shape[-1]
    reset = gate_sum(values.sum(made.reset), x, h, H)
    if reset is None:
        return None
    for last in _ends(values, made.n):
        update, sign = _update(values, made, last)
        if update is None or last.outputs[0].array.size != made.h.array.size:
            continue
        found = gate_sum(values.sum(update), x, h, H)
        if found is not None and whole(last.outputs[0], H):
            gates = (reset, found._replace(sign=sign), made.gate)
            outputs = (last.outputs[0],)
            return Cell("GRU", CELLS[made.name], gates, (made.h,), outputs, last, last)
    return None


def _candidate(values: Values, n: Ref) -> Candidate | None:
    """Return what n is made of in either form, None if it is no candidate of a GRU."""
    gate = values.gate(n, "Tanh")
    found = None if gate is None else values.sum(gate)
    if found is None or not whole(n, n.shape[-1]):
        return None
    if len(found.products) == 1:
        return _reset_after(values, n, found)
    return None if found.products else _reset_before(values, n, found)


def _reset_after(values: Values, n: Ref, found: Sum) -> Candidate | None:
    (pair,) = found.products
    terms, biases = _parted(found)
    for one, other in (pair, pair[::-1]):
        reset, part = values.gate(one, "Sigmoid"), columns(other)
        inner = None if reset is None or part is None else values.sum(Gate(part, ""))
        if reset is None or inner is None or inner.products:
            continue
        states, added = _parted(inner)
        if len(terms) != 1 or len(states) != 1 or not _are_dense(*terms, *states):
            continue
        h = states[0].x
        if h is not None and h.shape[-1] == n.shape[-1]:
            gate = GateSum(terms[0], states[0], biases, added)
            return Candidate("gru", n, h, reset, gate)
    return None


def _reset_before(values: Values, n: Ref, found: Sum) -> Candidate | None:
    terms, biases = _parted(found)
    if len(terms) != 2 or not _are_dense(*terms):
        return None
    for input, state in (terms, terms[::-1]):
        met = None if state.x is None else values.maker(state.x, "Mul")
        for one, h in values.factors(met):
            reset = values.gate(one, "Sigmoid")
            if reset is not None and whole(h, n.shape[-1]):
                gate = GateSum(input, state, biases)
                return Candidate("gru_reset_before", n, h, reset, gate)
    return None


def _parted(found: Sum) -> tuple[list[Term], tuple[Term, ...]]:
    """Return the products of a sum, and its biases."""
    biases = tuple(term for term in found.terms if term.x is None)
    return [term for term in found.terms if term.x is not None], biases


def _are_dense(*terms: Term) -> bool:
    """Whether a kernel can read what the terms multiply."""
    return all(term.source for term in terms)


def _ends(values: Values, n: Ref) -> Iterator[Step]:
    """Yield the sums and differences that n goes into, the nearest first."""
    near, seen = [n], set[Ref]()
    for _ in range(FAR):
        steps = [step for ref in near for step in values.readers(ref) if step.op in ARITHMETIC]
        near = [step.outputs[0] for step in steps if step.outputs[0] not in seen]
        seen.update(near)
        for step in steps:
            if step.op != "Mul":
                yield step


def _update(values: Values, made: Candidate, last: Step) -> tuple[Gate | None, int]:
    """Return the update gate z of h' = n + z * (h - n), -1 if 1 - z is in its place; None if no h'.

    z is the one sigmoid in the polynomial that h' is of n, h and sigmoids.
    """
    known: Known = {spot(made.n): "n", spot(made.h): "h"}
    found = _multiplied_out(values, last.outputs[0], known, 0)
    gates = [part for part, name in known.items() if isinstance(part, Columns)]
    if found is None or len(gates) != 1:
        return None, 1
    z = values.gate(_as_ref(gates[0]), "Sigmoid")
    if found == {("n",): 1, ("n", "z"): -1, ("h", "z"): 1}:
        return z, 1
    if found == {("h",): 1, ("h", "z"): -1, ("n", "z"): 1}:
        return z, -1
    return None, 1


def _as_ref(part: Columns) -> Ref:
    """Return columns as a value."""
    rows = part.root.array.reshape(-1, part.root.shape[-1])
    return Ref(rows[:, part.start : part.start + part.size], part.root)


def _multiplied_out(values: Values, ref: Ref, known: Known, depth: int) -> Polynomial | None:
    """Return a value as a sum of products of n, h and z, None if it is made of others.

    The sigmoids that are met become known as z.
    """
    if ref.constant:
        return {(): 1} if ref.array.size and bool((ref.array == 1).all()) else None
    place, part = spot(ref), columns(ref)
    if place in known:
        return {(known[place],): 1}
    if part is not None and values.gate(ref, "Sigmoid") is not None:
        known[part] = "z"
        return {("z",): 1}
    step = values.maker(ref, *ARITHMETIC)
    if step is None or len(step.inputs) != 2 or depth > FAR:
        return None
    one, other = (_multiplied_out(values, i, known, depth + 1) for i in step.inputs)
    if one is None or other is None:
        return None
    if step.op == "Mul":
        pairs = [(tuple(sorted(a + b)), p * q) for a, p in one.items() for b, q in other.items()]
    else:
        sign = 1 if step.op == "Add" else -1
        pairs = [*one.items(), *((name, sign * q) for name, q in other.items())]
    total: Polynomial = {}
    for name, factor in pairs:
        total[name] = total.get(name, 0) + factor
    return {name: factor for name, factor in total.items() if factor}
