"""Gradients that travel during the backward pass: which do, and that nothing else changes."""

from __future__ import annotations

import threading
import time
from functools import partial
from typing import Any

import numpy as np
import pytest
from test_shared_training import (
    CLOSE,
    Case,
    Slope,
    figures,
    language_case,
    regression_case,
    slope_case,
    text_case,
    train,
)
from threads import ThreadProcesses, together

from fastlstm.distributed import Processes, ProcessLost, background
from fastlstm.nn.parameter import Parameter
from fastlstm.nn.ready import ready
from fastlstm.train import parallel
from fastlstm.train import sending as module
from fastlstm.train.sending import Sending

ORDER: dict[Any, list[list[str]]] = {
    text_case: [["head"], ["lstm"], ["lstm"], ["lstm"], ["lstm"]],  # two layers, two directions
    language_case: [["decoder"], ["lstm"], ["lstm"]],
}


class Seen(Sending):
    """Keeps each one that was made in process 0, and which parameters travelled."""

    made: list[Seen] = []

    def __init__(self, processes: Processes, parameters: Any) -> None:
        super().__init__(processes, parameters)
        self.names = [name for name, _ in parameters]
        self.steps: list[list[list[str]]] = []
        if processes.rank == 0:
            Seen.made.append(self)

    def take(self, hold: Any) -> None:
        numbers = [sent.numbers for sent in self._sent]
        self.steps.append([[self.names[k] for k in group if hold[k]] for group in numbers])
        super().take(hold)


@pytest.fixture(autouse=True)
def patient(monkeypatch: pytest.MonkeyPatch) -> None:
    """What ends by itself is waited for, however busy the machine is."""
    monkeypatch.setattr(background, "GRACE", 600.0)


@pytest.fixture
def seen(monkeypatch: pytest.MonkeyPatch) -> list[Seen]:
    """What travels early, where each layer is worth a message."""
    monkeypatch.setattr(parallel, "Sending", Seen)
    monkeypatch.setattr(module, "LEAST", 1)
    Seen.made = []
    return Seen.made


@pytest.mark.parametrize("make", [text_case, language_case, regression_case])
def test_the_bits_are_those_of_sending_all_at_the_end(
    make: Any, seen: list[Seen], monkeypatch: pytest.MonkeyPatch
) -> None:
    early = together(2, partial(train, make))
    steps = seen[0].steps
    assert steps[0] == []
    assert len(steps) > 2
    assert all(step == steps[1] for step in steps[2:])
    assert len(steps[1]) > 1
    monkeypatch.setattr(ThreadProcesses, "apart", lambda self: None)
    late = together(2, partial(train, make))
    assert not any(seen[1].steps)
    for (weights, history), (others, other) in zip(early, late, strict=True):
        assert figures(history) == figures(other)
        for name, value in others.items():
            assert np.array_equal(weights[name], value), name


@pytest.mark.parametrize("make", ORDER)
def test_layers_leave_from_the_top(make: Any, seen: list[Seen]) -> None:
    together(2, partial(train, make))
    layers = [sorted({name.split(".")[0] for name in group}) for group in seen[0].steps[1]]
    distinct = [one for one, before in zip(layers, [None, *layers], strict=False) if one != before]
    expected = [one for k, one in enumerate(ORDER[make]) if not k or one != ORDER[make][k - 1]]
    assert distinct == expected
    assert all(len(group) == 1 for group in seen[0].steps[1])


def test_what_is_added_to_later_is_added_up_at_the_end(seen: list[Seen]) -> None:
    class Late(Slope):
        def backward(self, tape: Any, dy: Any) -> None:
            super().backward(tape, dy)
            self.head.weight.grad[...] += 0.5

    def make() -> Case:
        return slope_case()._replace(model=Late())

    expected, _ = train(make)
    for weights, _ in together(2, partial(train, make)):
        for name, value in expected.items():
            np.testing.assert_allclose(weights[name], value, **CLOSE)
    assert seen[0].steps[1:] == [[["head.bias"], []], [["head.bias"]], [["head.bias"]]]


def test_a_wrong_count_of_examples_changes_nothing(seen: list[Seen]) -> None:
    def make() -> Case:
        case = slope_case()
        case.task.examples = lambda batch: np.arange(len(batch.labels))
        return case

    expected, _ = train(make)
    for weights, _ in together(2, partial(train, make)):
        for name, value in expected.items():
            np.testing.assert_allclose(weights[name], value, **CLOSE)
    assert seen[0].early == 0


def test_a_process_that_is_lost_in_the_background_is_told() -> None:
    class Broken(Processes):
        size = 2

        def sum(self, vector: Any) -> Any:
            raise ProcessLost("gone")

        def apart(self) -> Processes:
            other = Broken()
            other.hurry = threading.Event()
            return other

        def broadcast(self, value: Any) -> Any:
            return value

    parameter = Parameter(np.ones(3, np.float32))
    processes = Broken()
    sending = Sending(processes, [("one", parameter)])
    for _ in range(2):
        sending.begin(0.5)
        ready(parameter)  # nobody listens
        sending.tell([parameter])
        holds = sending.end()
        if sending.early:
            with pytest.raises(ProcessLost, match="another of the 2 processes has ended"):
                sending.take(holds)
        sending.learn(np.ones(1, bool))
    assert processes.broken
    sending.close()
    assert not processes.stuck


def test_an_error_of_all_in_the_backward_pass_leaves_nothing_on_the_way(
    seen: list[Seen], monkeypatch: pytest.MonkeyPatch
) -> None:
    """What was sent arrives all the same, and the next training has the calls to itself."""
    exchange = ThreadProcesses.exchange

    def slow(self: ThreadProcesses, array: Any) -> Any:
        time.sleep(0.05)
        return exchange(self, array)

    class Fails(Slope):
        passes = 0

        def backward(self, tape: Any, dy: Any) -> None:
            super().backward(tape, dy)
            self.passes += 1
            if self.passes == 2:
                raise RuntimeError("it went wrong")

    def work(processes: Processes) -> Any:
        with pytest.raises(RuntimeError, match="it went wrong"):
            train(lambda: slope_case()._replace(model=Fails()), processes)
        assert not processes.stuck
        return train(slope_case, processes)[0]

    expected = together(2, partial(train, slope_case))[0][0]
    monkeypatch.setattr(ThreadProcesses, "exchange", slow)
    for weights in together(2, work):
        assert all(np.array_equal(weights[name], value) for name, value in expected.items())
    assert [one.early for one in seen] == [2, 2, 2]


def test_what_does_not_arrive_leaves_the_processes_stuck(monkeypatch: pytest.MonkeyPatch) -> None:
    answered = threading.Event()

    class Silent(Processes):
        size = 2

        def sum(self, vector: Any) -> Any:
            answered.wait()
            return vector

        def apart(self) -> Processes:
            other = Silent()
            other.hurry = threading.Event()
            return other

    monkeypatch.setattr(background, "GRACE", 0.01)
    parameter = Parameter(np.ones(3, np.float32))
    processes = Silent()
    sending = Sending(processes, [("one", parameter)])
    sending.begin(0.5)
    sending.tell([parameter])
    sending.learn(np.ones(1, bool))
    sending.begin(0.5)
    sending.tell([parameter])
    sending.close()
    assert processes.stuck
    answered.set()
