"""What serves one caller, asked by many threads at once: one gets it, the others are told."""

from __future__ import annotations

import sys
import threading
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from alarm import alarm
from bound import Kernel
from cases import F32, Case, make
from chains import as_dtype, cell, signal
from checks import run_forward
from together import at_once

import fastlstm as fl
from fastlstm import kernels, runtime
from fastlstm.kernels import CELLS, Call, Rows, Weights
from fastlstm.kernels.chain import ChainSpec
from fastlstm.kernels.steps import OneCaller

THREADS, ROUNDS = 4, 30
MOST = 1000  # long calls that a thread makes before one of two must have been told


def tried(call: Callable[[], Any]) -> list[Any]:
    """What a call returned, or its error, in each of some threads that begin together."""

    def one(number: int) -> Any:
        try:
            return call()
        except Exception as error:
            return error

    return at_once(THREADS, one)


def refused(found: list[Any], words: str) -> int:
    """How many threads were told so; any other error is raised."""
    errors = [item for item in found if isinstance(item, Exception)]
    for error in errors:
        if not isinstance(error, RuntimeError) or words not in str(error):
            raise error
    return len(errors)


def until_told(words: str, *calls: Callable[[], Any]) -> list[Any]:
    """What two threads got from calls made over and over until one was told that the other is
    inside. The first call is a long one; of a short one the other thread makes any number."""
    told, ended = threading.Event(), threading.Event()

    def over_and_over(number: int) -> list[Any]:
        found: list[Any] = []
        try:
            while not (told.is_set() or ended.is_set()) and (number or len(found) < MOST):
                found.append(calls[number % len(calls)]())
        except RuntimeError as error:
            if words not in str(error):
                raise
            told.set()
        finally:
            ended.set()
        return found

    found = sum(at_once(2, over_and_over), [])
    assert told.is_set(), "two threads were inside at the same time, or never met"
    return found


def told_inside(words: str, long_call: Callable[[], Any], *calls: Callable[[], Any]) -> None:
    """Make calls in the middle of a long one, where a signal's handler runs: each is told so."""
    found: list[str] = []

    def handler() -> None:
        for call in calls:
            try:
                call()
            except RuntimeError as error:
                found.append(str(error))

    with alarm(handler):
        long_call()
    assert [words in text for text in found] == [True] * len(calls)


@pytest.mark.usefixtures("native")
def test_a_tape_serves_one_of_the_threads() -> None:
    lstm = fl.LSTM(5, 33, rng=0)
    x = np.random.default_rng(0).standard_normal((6, 7, 5)).astype("f4")
    y, _, tape = lstm.forward(x)
    expected = lstm.backward(tape, np.ones_like(y))[0].tobytes()
    for _ in range(ROUNDS):
        lstm.zero_grad()
        _, _, tape = lstm.forward(x)
        found = tried(lambda tape=tape: lstm.backward(tape, np.ones_like(y))[0].tobytes())
        assert refused(found, "run forward again") == THREADS - 1
        assert expected in found


@pytest.mark.usefixtures("native")
def test_what_a_kernel_saved_serves_one_of_the_threads() -> None:
    """The door itself, behind the tape that would have told the others."""
    kernel = Kernel("lstm", "native")
    p = make(Case(5, 3, 4, 9, dtype=F32), kernel.cell)
    for _ in range(ROUNDS):
        _, saved = run_forward(kernel, p, save=True)
        grads = p.weights.map(np.zeros_like)
        found = tried(
            lambda s=saved, g=grads: kernel.backward(s, p.dy, p.dstate, g, np.zeros_like(p.x))
        )
        assert refused(found, "it serves one") == THREADS - 1


@pytest.mark.usefixtures("native")
def test_a_stream_steps_for_one_caller_at_a_time() -> None:
    """Whole steps, one after the other, however many are refused."""
    gru, x = fl.GRU(3, 64, rng=0), np.ones((1, 3), "f4")
    shared, alone = gru.stream(1), gru.stream(1)
    found = [item for _ in range(ROUNDS) for item in tried(lambda: shared(x).tobytes())]
    told = refused(found, "one caller at a time")
    steps = {alone(x).tobytes() for _ in range(len(found) - told)}
    assert {item for item in found if isinstance(item, bytes)} == steps
    assert shared.state[0].tobytes() == alone.state[0].tobytes()


@pytest.mark.usefixtures("native")
def test_a_long_step_keeps_others_out() -> None:
    """From another step and from the state; who was told so comes in afterwards."""
    lstm, x = fl.LSTM(64, 512, rng=0), np.ones((256, 64), "f4")
    shared, alone = lstm.stream(256), lstm.stream(256)
    found = until_told("one caller at a time", lambda: shared(x).tobytes())
    steps = {alone(x).tobytes() for _ in found}
    assert set(found) == steps
    assert shared.state[1].tobytes() == alone.state[1].tobytes()
    until_told("one caller at a time", lambda: shared(x), lambda: shared.state)
    until_told("one caller at a time", lambda: shared(x), shared.reset)
    shared.state = alone.state
    assert shared(x).tobytes() == alone(x).tobytes()


def test_a_long_signal_keeps_others_out(native: Any) -> None:
    gru = cell(np.random.default_rng(0), "gru", 24, 512)
    spec = as_dtype(ChainSpec((gru,), 1, 24), "float32")
    shared, alone = (kernels.backend("native").chain(spec, 1) for _ in range(2))
    x = signal(spec, 1, 12_000)
    told_inside(
        "one caller at a time", lambda: shared(x), lambda: shared(x[:, :1]), lambda: shared.state
    )
    alone(x)
    assert shared(x[:, :5]).tobytes() == alone(x[:, :5]).tobytes()


def test_a_long_bound_pass_keeps_others_out(native: Any) -> None:
    T, N, H = 400, 64, 256
    rng = np.random.default_rng(0)
    w = [(rng.standard_normal((3 * H, H)) / 10).astype("f4") for _ in range(2)]
    x = rng.standard_normal((T, N, H)).astype("f4")
    call = Call(x, (np.zeros((N, H), "f4"),), Weights(*w), Rows(T, N), np.empty_like(x))
    bound = native.BoundForward(CELLS["gru"], call, (np.empty((N, H), "f4"),), True)
    bound()
    expected = call.y.copy()
    told_inside("in use by another thread", bound, bound)
    np.testing.assert_array_equal(call.y, expected)
    call.y[...] = np.nan
    bound()
    np.testing.assert_array_equal(call.y, expected)


def test_what_is_refused_leaves_the_turn_to_the_next(native: Any) -> None:
    """A step of no such row; gradients of another shape."""
    kernel = Kernel("lstm", "native")
    p = make(Case(5, 3, 4, 9, dtype=F32), kernel.cell)
    stream, x = native.stream(kernel.cell, [p.weights], 2), p.x[0, :1]
    for _ in range(2):
        with pytest.raises(IndexError, match="row"):
            stream(x, np.array([2]))
        stream(x, np.array([1]))
    _, saved = run_forward(kernel, p, save=True)
    grads = p.weights.map(np.zeros_like)
    for _ in range(2):
        with pytest.raises(ValueError, match="dy"):
            kernel.backward(saved, p.dy[:1], p.dstate, grads, np.zeros_like(p.x))
    kernel.backward(saved, p.dy, p.dstate, grads, np.zeros_like(p.x))


def test_a_caller_in_python_keeps_others_out() -> None:
    caller = OneCaller()
    for _ in range(2):
        with caller, pytest.raises(RuntimeError, match="one caller at a time"), caller:
            raise AssertionError("a second one came in")


def test_the_instruction_set_is_one_that_was_chosen(native: Any) -> None:
    """Another thread changes it meanwhile: each call runs on one of them, whole."""
    before, sets = native.isa(), native.supported_isas()
    lstm = fl.LSTM(4, 20, rng=0)
    x = np.random.default_rng(1).standard_normal((3, 2, 4)).astype("f4")
    known = set()
    try:
        for isa in sets:
            native.set_isa(isa)
            known.add(lstm(x)[0].tobytes())
        ended = threading.Event()

        def change() -> None:
            while not ended.is_set():
                for isa in sets:
                    native.set_isa(isa)

        other = threading.Thread(target=change)
        other.start()
        try:
            for _ in range(200):
                assert lstm(x)[0].tobytes() in known
                assert native.isa() in sets
        finally:
            ended.set()
            other.join()
    finally:
        native.set_isa(before)


def test_a_count_that_is_set_is_not_lost(monkeypatch: pytest.MonkeyPatch) -> None:
    """Not even to a thread that asks for the first time while another one sets it."""
    monkeypatch.setattr(runtime, "_num_threads", None)

    def set_meanwhile() -> int:
        fl.set_num_threads(3)
        return 2

    monkeypatch.setattr(runtime, "_default_threads", set_meanwhile)
    assert fl.get_num_threads() == 2
    assert fl.get_num_threads() == 3


@pytest.mark.usefixtures("native")
def test_pythons_lock_stays_off() -> None:
    """A free-threaded Python takes it back for an extension that does not say it needs none."""
    enabled = getattr(sys, "_is_gil_enabled", None)
    if enabled is None or "free-threading" not in sys.version:
        pytest.skip("this Python has its lock")
    assert not enabled()
