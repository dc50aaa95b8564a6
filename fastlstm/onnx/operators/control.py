"""Operators with graphs inside: If, Loop and Scan."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from fastlstm.counts import count_of
from fastlstm.onnx.errors import OnnxError
from fastlstm.onnx.graph import Array, Graph, Node
from fastlstm.onnx.operators import operator
from fastlstm.onnx.operators.shape import axis_of
from fastlstm.onnx.plan import Planner
from fastlstm.onnx.run import Runner
from fastlstm.onnx.values import Ref

Inputs = Sequence[Any]  # of `Ref`; None for one that is left out

MOST_ITERATIONS = 1 << 20


@operator("If", since=1)
def choice(p: Planner, node: Node, inputs: Inputs) -> list[Ref]:
    """The branch that is taken becomes part of the plan; another condition has another plan."""
    (condition,) = inputs
    if condition.array.size != 1:
        raise OnnxError(f"the condition has shape {condition.shape}, expected one truth")
    taken = bool(p.need(condition).reshape(()))
    graph = node.graph("then_branch" if taken else "else_branch")
    if graph.inputs or len(graph.outputs) != len(node.outputs):
        raise OnnxError(
            f"a branch has {count_of(len(graph.inputs), 'input')} and "
            f"{count_of(len(graph.outputs), 'output')}, expected none and {len(node.outputs)}"
        )
    return p.graph(graph, ())


def _body(p: Planner, graph: Graph, inputs: Inputs) -> tuple[Runner, list[Ref]]:
    """Return what runs a graph inside, and all values that it reads."""
    runner = Runner(graph, p.budget.most, p.names, p.shared)
    read = [*inputs, *(p.names[name] for name in graph.free)]
    return runner, [ref for ref in read if ref is not None]


class Collected:
    """What each iteration gives of an output that is stacked."""

    def __init__(self, p: Planner, count: int) -> None:
        self._parts: list[list[Array]] = [[] for _ in range(count)]
        self._left = p.budget.most

    def add(self, values: Sequence[Array]) -> None:
        """Keep the values of an iteration; OnnxError if they become too many or too unlike."""
        for parts, value in zip(self._parts, values, strict=True):
            if parts and parts[0].shape != value.shape:
                raise OnnxError(f"iterations give shapes {parts[0].shape} and {value.shape}")
            self._left -= value.nbytes
            if self._left < 0:
                raise OnnxError("iterations give more than the bytes that a plan may take")
            parts.append(value)

    def stacked(self, graph: Graph, first: int) -> list[Array]:
        """Return them side by side on a new first axis; of none a shape as the graph has it."""
        found = []
        for parts, value in zip(self._parts, graph.outputs[first:], strict=True):
            if parts:
                found.append(np.stack(parts))
            else:
                sizes = [n if isinstance(n, int) else 0 for n in value.shape or ()]
                found.append(np.zeros((0, *sizes), value.dtype or np.float32))
        return found


@operator("Loop", since=1)
def loop(p: Planner, node: Node, inputs: Inputs) -> list[Ref]:
    graph = node.graph("body")
    most, condition, *carried = inputs
    n = len(carried)
    if len(graph.inputs) != n + 2 or len(graph.outputs) < n + 1 or any(c is None for c in carried):
        raise OnnxError(
            f"the body has {count_of(len(graph.inputs), 'input')} and "
            f"{count_of(len(graph.outputs), 'output')}, expected {n + 2} and {n + 1} or more"
        )
    if len(node.outputs) > len(graph.outputs) - 1:
        raise OnnxError(
            f"{count_of(len(node.outputs), 'output')}, expected {len(graph.outputs) - 1} at most"
        )
    runner, read = _body(p, graph, inputs)

    def run() -> list[Array]:
        count = None if most is None else int(most.array.reshape(()))
        go = condition is None or bool(condition.array.reshape(()))
        state, scans = [c.array for c in carried], Collected(p, len(graph.outputs) - n - 1)
        k = 0
        while go and (count is None or k < count):
            if k >= MOST_ITERATIONS:
                raise OnnxError(f"{count_of(k, 'iteration')}, expected fewer")
            go_on, *values = runner.run([np.asarray(k, np.int64), np.asarray(True), *state])
            go, state = bool(go_on.reshape(-1)[0]), values[:n]
            scans.add(values[n:])
            k += 1
        return [*state, *scans.stacked(graph, n + 1)]

    return p.dynamic(read, run)


@operator("Scan", since=9)
def scan(p: Planner, node: Node, inputs: Inputs) -> list[Ref]:
    graph, m = node.graph("body"), node.integer("num_scan_inputs")
    n = len(inputs) - m
    k = len(graph.outputs) - n
    if not (0 < m <= len(inputs) and len(graph.inputs) == len(inputs) and k >= 0):
        raise OnnxError(
            f"{count_of(len(inputs), 'input')}, {m} of them scanned, and a body of "
            f"{count_of(len(graph.inputs), 'input')} and {count_of(len(graph.outputs), 'output')}: "
            "they do not fit"
        )
    states, scanned = inputs[:n], inputs[n:]
    back_in = _flags(node, "scan_input_directions", m)
    back_out = _flags(node, "scan_output_directions", k)
    axes_in = [
        axis_of(a, len(x.shape))
        for a, x in zip(_axes(node, "scan_input_axes", m), scanned, strict=True)
    ]
    axes_out = _axes(node, "scan_output_axes", k)
    lengths = {x.shape[a] for a, x in zip(axes_in, scanned, strict=True)}
    if len(lengths) != 1:
        raise OnnxError(f"scanned inputs of {sorted(lengths)} steps, expected equally many")
    (steps,) = lengths
    runner, read = _body(p, graph, inputs)

    def run() -> list[Array]:
        state, scans = [s.array for s in states], Collected(p, k)
        lines = [
            np.flip(np.moveaxis(x.array, a, 0), 0) if back else np.moveaxis(x.array, a, 0)
            for x, a, back in zip(scanned, axes_in, back_in, strict=True)
        ]
        for t in range(steps):
            values = runner.run([*state, *(np.asarray(line[t]) for line in lines)])
            state = values[:n]
            scans.add(values[n:])
        stacked = scans.stacked(graph, n)
        turned = [np.flip(s, 0) if back else s for s, back in zip(stacked, back_out, strict=True)]
        placed = [
            np.moveaxis(s, 0, axis_of(a, s.ndim)) for s, a in zip(turned, axes_out, strict=True)
        ]
        return [*state, *placed]

    return p.dynamic(read, run)


def _axes(node: Node, name: str, count: int) -> tuple[int, ...]:
    found = node.integers(name, (0,) * count)
    if len(found) != count:
        raise OnnxError(f"{name} {found!s:.80}, expected {count}")
    return found


def _flags(node: Node, name: str, count: int) -> tuple[bool, ...]:
    return tuple(bool(value) for value in _axes(node, name, count))
