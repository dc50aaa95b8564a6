"""Running a graph: a plan for each set of input shapes, made when it is first met."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from operator import length_hint
from threading import Lock
from typing import Any

import numpy as np

from fastlstm.onnx.cells import with_cells
from fastlstm.onnx.chains import in_chains
from fastlstm.onnx.errors import OnnxError, within
from fastlstm.onnx.graph import Array, Graph
from fastlstm.onnx.plan import Planner
from fastlstm.onnx.values import Budget, Call, Mismatch, Ref, Step, live

MOST_PLANS = 8  # of one graph: the one longest unused goes first

Key = tuple[Any, ...]


class Plan:
    """One line of calls for inputs of given shapes; it serves one caller at a time."""

    def __init__(
        self,
        key: Key,
        answers: list[Any],
        inputs: Sequence[Ref],
        steps: list[Step],
        outputs: Sequence[Ref],
    ) -> None:
        self.key, self.answers, self.steps = key, answers, steps
        self._inputs = [ref.array for ref in inputs]
        self._outputs = [ref.array for ref in outputs]
        self._calls: list[Call] = []
        self._made_of: list[Step] = []  # which step each call is of
        for step in steps:
            with within(str(step.node)):
                calls = step.bind()
            self._calls += calls
            self._made_of += [step] * len(calls)

    def run(self, arrays: Sequence[Array]) -> list[Array]:
        """Run on arrays of the shapes it was made for."""
        for buffer, array in zip(self._inputs, arrays, strict=True):
            np.copyto(buffer, array)
        calls = iter(self._calls)
        try:
            for call in calls:
                call()
        except Mismatch:
            raise
        except Exception as error:
            at = len(self._calls) - length_hint(calls) - 1
            with within(str(self._made_of[at].node)):
                raise error
        return [array.copy() for array in self._outputs]

    def fits(self, key: Key, met: Mismatch | None, answers: list[Any]) -> bool:
        """Whether it is for these shapes and, after a mismatch, for the value that was met."""
        if self.key != key:
            return False
        if met is None:
            return True
        k = met.place
        return (
            len(self.answers) > k
            and self.answers[k] == met.answer
            and self.answers[:k] == answers[:k]
        )


class Runner:
    """Runs a graph on arrays of any shapes; threads take turns.

    Parameters
    ----------
    outer : values of the graphs around it, by name.
    shared : what its plans share.
    most_bytes : that the arrays of one plan may take.
    """

    def __init__(
        self,
        graph: Graph,
        most_bytes: int,
        outer: Mapping[str, Ref] | None = None,
        shared: dict[Any, Any] | None = None,
    ) -> None:
        self.graph, self.most_bytes = graph, most_bytes
        around = {} if outer is None else outer
        self.outer = {name: around[name] for name in graph.free if name in around}
        self.shared: dict[Any, Any] = {} if shared is None else shared
        self.plans: list[Plan] = []  # the last one used first
        self._lock = Lock()

    def cells(self) -> Counter[str]:
        """Return how many written-out cells of each kind the last plan has."""
        steps = self.plans[0].steps if self.plans else []
        return Counter(s.op for s in steps if s.op in ("LSTM", "GRU") and s.op != s.node.op)

    def is_planned(self, key: Key) -> bool:
        """Whether the last run was one of these shapes."""
        plans = self.plans
        return bool(plans) and plans[0].key == key

    def run(self, arrays: Sequence[Array], key: Key | None = None) -> list[Array]:
        """Return the outputs, new arrays."""
        if key is None:
            key = key_of(arrays)
        with self._lock, np.errstate(all="ignore"):
            if self.is_planned(key):
                try:
                    return self.plans[0].run(arrays)
                except Mismatch:
                    pass
            return self._search(key, arrays)

    def _search(self, key: Key, arrays: Sequence[Array]) -> list[Array]:
        """Run a plan that was made for these shapes and values, or make one."""
        met, answers = None, list[Any]()
        for _ in range(2 * MOST_PLANS):
            plan = next((p for p in self.plans if p.fits(key, met, answers)), None)
            if plan is None:
                plan = self._make(key, arrays)
            else:
                self.plans.remove(plan)
            self.plans.insert(0, plan)
            del self.plans[MOST_PLANS:]
            try:
                return plan.run(arrays)
            except Mismatch as mismatch:
                met, answers = mismatch, plan.answers
        raise OnnxError("shapes that depend on the data change within one run")

    def _make(self, key: Key, arrays: Sequence[Array]) -> Plan:
        planner = Planner(Budget(self.most_bytes), self.outer, self.shared)
        inputs = []
        for value, array in zip(self.graph.inputs, arrays, strict=True):
            with within(f"input {value.name!r:.100}"):
                inputs.append(planner.new(array.shape, array.dtype))
            np.copyto(inputs[-1].array, array)
        outputs = planner.graph(self.graph, inputs)
        steps = with_cells(live(planner.steps, outputs), outputs, self.shared)
        steps = in_chains(steps, outputs)
        return Plan(key, planner.answers, inputs, steps, outputs)


def key_of(arrays: Sequence[Any]) -> Key:
    """Return what a plan is made for: shapes and dtypes, None for what is no array."""
    return tuple([(a.shape, a.dtype) if type(a) is np.ndarray else None for a in arrays])
