"""From a graph and the shapes of its inputs to a line of typed steps over buffers made once.

Every value gets its array when it is planned: a new buffer, or a view into one. What depends on
constants alone is computed at once, so that no step is left of it. A step is bound to a line of
calls without arguments only after all are planned: until then the line can be searched and changed.
"""

from __future__ import annotations

from collections import ChainMap, Counter
from collections.abc import Callable, Iterator, Mapping, MutableMapping, Sequence
from contextlib import contextmanager
from math import prod
from typing import Any

import numpy as np

from fastlstm.counts import count_of
from fastlstm.onnx import operators
from fastlstm.onnx.errors import OnnxError, within
from fastlstm.onnx.graph import Array, Graph, Node
from fastlstm.onnx.types import check_types
from fastlstm.onnx.values import GUARD, Bind, Budget, Mismatch, Ref, Step, copying


class Planner:
    """Plans one run of a graph on given inputs; operators add to it.

    Attributes
    ----------
    steps : what is to be run, in order.
    answers : what the guards among them expect.
    names : the values that are known where the plan has come to.
    shared : what all plans of the model share, as packed weights.
    """

    def __init__(
        self, budget: Budget, names: MutableMapping[str, Any] | None = None, shared: Any = None
    ) -> None:
        self.budget = budget
        # Not one dict, which every call of a function would copy.
        self.names: ChainMap[str, Any] = ChainMap({}, {} if names is None else names)
        self.steps: list[Step] = []
        self.answers: list[Any] = []
        self.shared: dict[Any, Any] = {} if shared is None else shared
        self._done = 0  # steps that have run
        self._makers: dict[Ref, Step] = {}
        self._readers: Counter[str] = Counter()
        self.node: Node  # whose turn it is

    # Values

    def new(self, shape: Sequence[int], dtype: Any) -> Ref:
        """Return a value with a buffer of its own."""
        return Ref(self.scratch(shape, dtype))

    def scratch(self, shape: Sequence[int], dtype: Any) -> Array:
        """Return an array to work in."""
        dtype = np.dtype(dtype)
        self.budget.take(shape, dtype)
        return np.empty(tuple(shape), dtype)

    def view(self, ref: Ref, array: Array) -> Ref:
        """Return a value that is a view into another's memory."""
        return Ref(array, ref)

    def constant(self, value: Any, dtype: Any = None) -> Ref:
        """Return a constant."""
        return Ref(np.asarray(value, dtype), constant=True)

    def like(self, ref: Ref) -> Ref:
        """Return a new value of the same shape and dtype."""
        return self.new(ref.shape, ref.dtype)

    def dense(self, ref: Ref) -> Ref:
        """Return the value, copied if it is not C-contiguous."""
        return ref if ref.array.flags.c_contiguous else self.copy(ref)

    def copy(self, ref: Ref, dtype: Any = None) -> Ref:
        """Return a copy, in another dtype if one is given."""
        out = self.new(ref.shape, dtype or ref.dtype)
        self.step((ref,), (out,), lambda: [copying(out.array, ref.array)], op="Copy")
        return out

    def reshape(self, ref: Ref, shape: Sequence[int]) -> Ref:
        """Return the value in another shape: a view where that can be."""
        self.budget.take(shape, ref.dtype, count=False)
        if ref.array.size != prod(shape):
            raise OnnxError(f"shape {ref.shape} cannot become {tuple(shape)!s:.80}")
        array = ref.array
        if array.flags.c_contiguous or array.size < 2:
            return self.view(ref, array.reshape(shape))
        view = _reshaped(array, tuple(shape))
        if view is not None:
            return self.view(ref, view)
        dense = self.copy(ref)
        return self.view(dense, dense.array.reshape(shape))

    # Steps

    def step(
        self,
        inputs: Sequence[Ref],
        outputs: Sequence[Ref],
        bind: Bind,
        op: str | None = None,
        **attributes: Any,
    ) -> None:
        """Add a step; one of constants alone is run at once."""
        step = Step(op or self.node.op, self.node, tuple(inputs), tuple(outputs), bind, attributes)
        if all(ref.constant for ref in inputs):
            for call in bind():
                call()
            for ref in outputs:
                ref.constant = True
        else:
            self.steps.append(step)
            self._makers.update((ref, step) for ref in outputs)

    def alone(self, ref: Ref, name: str) -> Step | None:
        """Return the step that made a value, if the node being planned is all that reads it."""
        return self._makers.get(ref) if self._readers[name] == 1 else None

    def sync(self) -> None:
        """Run what is planned so far, for those who must know a value."""
        for step in self.steps[self._done :]:
            for call in step.bind():
                call()
        self._done = len(self.steps)

    def need(self, ref: Ref) -> Array:
        """Return what a value is, which the plan depends on from here on.

        One that is no constant is looked at in every run: another value has another plan.
        """
        if ref.constant:
            return ref.array
        self.sync()
        value: Array = ref.array.copy()
        place, expected = self._answer(value.tobytes())

        def check() -> None:
            found = ref.array.tobytes()
            if found != expected:
                raise Mismatch(place, found)

        self.steps.append(Step(GUARD, self.node, (ref,), (), lambda: [check]))
        self._done = len(self.steps)
        return value

    def need_ints(self, ref: Ref, what: str) -> tuple[int, ...]:
        """Return a value that is a list of integers, or one, likewise."""
        if ref.dtype.kind not in "iu" or ref.array.ndim > 1:
            raise OnnxError(
                f"{what} is of {ref.dtype} and shape {ref.shape}, expected a list of integers"
            )
        return tuple(int(value) for value in self.need(ref).reshape(-1))

    def dynamic(
        self, inputs: Sequence[Ref], run: Callable[[], Sequence[Array]], **attributes: Any
    ) -> list[Ref]:
        """Add a step whose results tell their shapes only when it has run.

        It runs now; in a run where the shapes are others there is another plan from here on.
        """
        self.sync()
        results = run()
        place, shapes = self._answer(tuple(r.shape for r in results))
        outputs = [self.new(r.shape, r.dtype) for r in results]

        def again() -> None:
            found = run()
            if tuple(r.shape for r in found) != shapes:
                raise Mismatch(place, tuple(r.shape for r in found))
            for output, result in zip(outputs, found, strict=True):
                np.copyto(output.array, result)

        self.step(inputs, outputs, lambda: [again], **attributes)
        return outputs

    def _answer(self, answer: Any) -> tuple[int, Any]:
        self.answers.append(answer)
        return len(self.answers) - 1, answer

    # What all plans share

    def prepared(self, ref: Ref, how: str, make: Callable[[Array], Array]) -> Ref:
        """Return a constant made of another; of one that is a source once for all plans."""
        array = ref.array
        place = array.__array_interface__["data"][0], array.shape, array.strides
        key = (how, place) if ref.source else None
        if key in self.shared:
            found: Ref = self.shared[key][0]
            return found
        self.budget.take(array.shape, array.dtype)
        made = Ref(make(array), constant=True, source=ref.source)
        if key is not None:
            self.shared[key] = made, ref  # which keeps its place in memory
        return made

    def _shared(self, node: Node, inputs: Sequence[Ref | None]) -> Sequence[Ref] | None:
        """Return the outputs of a node in an earlier plan, if they are the same in this one."""
        found: Sequence[Ref] | None = self.shared.get(node) if _is_source(node, inputs) else None
        return found

    def _share(self, node: Node, inputs: Sequence[Ref | None], outputs: Sequence[Ref]) -> None:
        if node not in self.shared and _is_source(node, inputs):
            for ref in outputs:
                ref.source = ref.constant
            if all(ref.constant for ref in outputs):
                self.shared[node] = outputs

    # Graphs

    @contextmanager
    def inside(self, names: Mapping[str, Ref]) -> Iterator[None]:
        """Plan with further names, which are forgotten after."""
        before, self.names = self.names, self.names.new_child(dict(names))
        try:
            yield
        finally:
            self.names = before

    def graph(self, graph: Graph, inputs: Sequence[Any]) -> list[Ref]:
        """Plan all nodes of a graph; return its outputs."""
        given = dict(zip((v.name for v in graph.inputs), inputs, strict=True))
        held = {n: Ref(a, constant=True, source=True) for n, a in graph.constants.items()}
        before, self._readers = self._readers, _readers(graph)
        with self.inside({**held, **given}):
            for node in graph.nodes:
                with within(str(node)):
                    self._node(node)
            self._readers = before
            return [self._output(value.name) for value in graph.outputs]

    def _output(self, name: str) -> Ref:
        """Return a value that a graph gives; OnnxError if a call left it out."""
        ref: Ref | None = self.names[name]
        if ref is None:
            raise OnnxError(f"output {name!r:.100} is an input that is left out")
        return ref

    def _node(self, node: Node) -> None:
        inputs = [self.names[name] if name else None for name in node.inputs]
        check_types(node, inputs)
        self.node = node
        outputs = self._shared(node, inputs) or self._lowered(node, inputs)
        if any(node.outputs[len(outputs) :]):
            raise OnnxError(
                f"{count_of(len(node.outputs), 'output')}, expected at most {len(outputs)}"
            )
        self._share(node, inputs, outputs)
        for name, ref in zip(node.outputs, outputs, strict=False):
            if name:
                self.names[name] = ref
        self.node = node

    def _lowered(self, node: Node, inputs: Sequence[Ref | None]) -> Sequence[Ref]:
        """Plan what a node does; return its outputs."""
        if node.body is None:
            found = operators.find(node.domain, node.op, node.version)
            assert found is not None  # or the file would not have been read
            return found.lower(self, node, inputs)
        missing = [None] * (len(node.body.inputs) - len(inputs))
        return self.graph(node.body, [*inputs, *missing])


def _is_source(node: Node, inputs: Sequence[Ref | None]) -> bool:
    """Whether a node makes the same in all plans."""
    if node.body is not None:  # the nodes inside are asked one by one
        return False
    known = all(ref is None or ref.source for ref in inputs)
    return known and not any(isinstance(value, Graph) for value in node.attributes.values())


def _readers(graph: Graph) -> Counter[str]:
    """Return how often each name of a graph is read."""
    found = Counter(value.name for value in graph.outputs)
    for node in graph.nodes:
        found.update(node.inputs)
        for value in node.attributes.values():
            if isinstance(value, Graph):
                found.update(value.free)
    return found


def _reshaped(array: Array, shape: tuple[int, ...]) -> Array | None:
    """Return an array in another shape without a copy, None if there is no such view."""
    found = array.reshape(shape)
    return found if np.may_share_memory(found, array) else None
