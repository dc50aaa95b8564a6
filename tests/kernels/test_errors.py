"""What a compiled kernel refuses: an error that names the argument, before memory is touched."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from bound import Kernel
from cases import F32, Case, Problem, each_cell, make
from checks import run, run_forward

from fastlstm.kernels import Reset, Rows, Tokens

pytestmark = pytest.mark.pairs

CASE = Case(4, 3, 5, 6, ragged=True, reset=True)


def change_state(p: Problem, change: Callable[[Any], Any]) -> None:
    p.state = (change(p.state[0]), *p.state[1:])


def change_dstate(p: Problem, change: Callable[[Any], Any]) -> None:
    p.dstate = (change(p.dstate[0]), *p.dstate[1:])


def change_mask(p: Problem, change: Callable[[Any], Any]) -> None:
    assert p.reset is not None
    p.reset = Reset(change(p.reset.mask), p.reset.state)


def change_reset(p: Problem, change: Callable[[Any], Any]) -> None:
    assert p.reset is not None
    p.reset = Reset(p.reset.mask, (change(p.reset.state[0]), *p.reset.state[1:]))


def one_row_more(a: Any) -> Any:
    return np.concatenate([a, a[:1]])


def as_f32(a: Any) -> Any:
    return a.astype(F32)


def every_second(a: Any) -> Any:
    return np.repeat(a, 2, axis=-1)[..., ::2]


# Name -> what is done to a problem, and the argument that the error must name.
WRONG: dict[str, tuple[Callable[[Problem], Any], str]] = {
    "x of another size": (lambda p: setattr(p, "x", p.x[..., :-1]), "x"),
    "x of another dtype": (lambda p: setattr(p, "x", as_f32(p.x)), "x"),
    "x of fewer steps": (lambda p: setattr(p, "x", p.x[:-1]), "x"),
    "a state of more rows": (lambda p: change_state(p, one_row_more), "state[0]"),
    "a state of another dtype": (lambda p: change_state(p, as_f32), "state[0]"),
    "a state with gaps": (lambda p: change_state(p, every_second), "state[0]"),
    "no state": (lambda p: change_state(p, lambda _: None), "state"),
    "too many states": (lambda p: setattr(p, "state", (*p.state, p.state[0])), "state"),
    "a mask of more steps": (lambda p: change_mask(p, one_row_more), "reset.mask"),
    "a mask of numbers": (lambda p: change_mask(p, lambda a: a.astype("i8")), "reset.mask"),
    "a mask with gaps": (lambda p: change_mask(p, every_second), "reset.mask"),
    "a reset state of more rows": (lambda p: change_reset(p, one_row_more), "reset.state[0]"),
    "a gradient of more rows": (lambda p: change_dstate(p, one_row_more), "dstate[0]"),
    "a gradient of another dtype": (lambda p: change_dstate(p, as_f32), "dstate[0]"),
    "dy of fewer steps": (lambda p: setattr(p, "dy", p.dy[:-1]), "dy"),  # type: ignore[index]
    "weights of another size": (
        lambda p: setattr(p, "weights", p.weights._replace(w_ih=p.weights.w_ih[:-1])),
        "w_ih",
    ),
    "a bias of another size": (
        lambda p: setattr(p, "weights", p.weights._replace(b_hh=np.zeros(3))),
        "b_hh",
    ),
}


@each_cell
@pytest.mark.parametrize("wrong", WRONG)
def test_wrong_arrays(native_kernel: Kernel, wrong: str) -> None:
    p = make(CASE, native_kernel.cell)
    change, name = WRONG[wrong]
    change(p)
    with pytest.raises((TypeError, ValueError), match=re.escape(name)):
        run(native_kernel, p)


@each_cell
def test_no_start_for_the_resets(native_kernel: Kernel) -> None:
    p = make(CASE, native_kernel.cell)
    change_reset(p, lambda _: None)
    with pytest.raises((TypeError, ValueError), match=r"reset\.state"):
        run(native_kernel, p)


@each_cell
def test_a_negative_recompute(native_kernel: Kernel) -> None:
    p = make(CASE, native_kernel.cell)
    with pytest.raises(ValueError, match="recompute is -1"):
        run(native_kernel, p, recompute=-1)


@each_cell
def test_gradients_of_another_size(native_kernel: Kernel) -> None:
    p = make(replace(CASE, proj=4), native_kernel.cell)
    for name, w in zip(p.weights._fields[:5], p.weights[:5], strict=True):
        if w is None:
            continue
        _, saved = run_forward(native_kernel, p, save=True)
        grads = p.weights.map(np.zeros_like)
        grads = grads._replace(**{name: np.zeros((w.shape[0] + 1, *w.shape[1:]))})
        with pytest.raises(ValueError, match=rf"grads\.{name}"):
            native_kernel.backward(saved, p.dy, p.dstate, grads, None)


def test_a_projection_without_its_gradient(native_kernel: Kernel) -> None:
    p = make(replace(CASE, proj=4), native_kernel.cell)
    _, saved = run_forward(native_kernel, p, save=True)
    grads = p.weights.map(np.zeros_like)
    with pytest.raises((TypeError, ValueError), match=r"grads\.w_hr"):
        native_kernel.backward(saved, p.dy, p.dstate, grads._replace(w_hr=None), None)


@pytest.mark.parametrize("cell", ["gru", "gru_reset_before", "rnn_tanh", "rnn_relu"])
def test_a_projection_of_a_cell_without(native_kernel: Kernel) -> None:
    p = make(replace(CASE, H=6), native_kernel.cell)
    p.weights = p.weights._replace(w_hr=np.zeros((6, 6)))
    with pytest.raises(ValueError, match="w_hr"):
        run_forward(native_kernel, p)


@each_cell
@pytest.mark.parametrize("token", [-1, 7])
def test_a_token_that_is_not_in_the_table(native_kernel: Kernel, token: int) -> None:
    p = make(replace(CASE, ragged=False), native_kernel.cell)
    ids = np.zeros((4, 3), np.int64)
    ids[2, 1] = token
    with pytest.raises(IndexError, match=rf"ids\[2, 1\] is {token}, expected 0 to 6"):
        run_forward(native_kernel, p, Tokens(ids, np.zeros((7, 5))))


@each_cell
def test_what_a_stream_refuses(kernel: Kernel) -> None:
    p = make(replace(CASE, ragged=False, reset=False), kernel.cell)
    stream = kernel.Stream([p.weights], 3)
    good = stream.state
    names = ", ".join(kernel.cell.states)
    wrong: dict[str, tuple[Any, type[Exception]]] = {
        "state is a ndarray, expected a tuple (" + names: (good[0], TypeError),
        f"state has {len(good) + 1} entries, expected a tuple ({names}": (
            (*good, good[0]),
            TypeError,
        ),
        "state[0] has dtype float32, expected float64": ((as_f32(good[0]), *good[1:]), TypeError),
        "state[0] has shape (1, 3, 5), expected (1, 3, 6)": (
            (good[0][..., :-1], *good[1:]),
            ValueError,
        ),
    }
    for message, (value, error) in wrong.items():
        with pytest.raises(error, match=re.escape(message)):
            stream.state = value
    with pytest.raises(ValueError, match=re.escape("x has shape (3, 4), expected (3, 5)")):
        stream(np.zeros((3, 4)))
    np.testing.assert_array_equal(stream.state, good)


def test_rows_are_of_the_batch(native_kernel: Kernel) -> None:
    p = make(CASE, native_kernel.cell)
    p.rows = Rows(5, 3)
    with pytest.raises(ValueError, match="x"):
        run_forward(native_kernel, p)
