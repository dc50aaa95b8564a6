"""What runs many models in one call, given arrays that do not fit, and signals."""

from __future__ import annotations

import re
from typing import Any

import numpy as np
import pytest
from alarm import alarm
from cases import Array

from fastlstm.kernels import CELLS, Weights
from fastlstm.kernels.adam import AdamNumbers
from fastlstm.kernels.many import ManyCall, ManyGradients

M, T, N, I, H = 3, 4, 2, 5, 6


def weights(**other: Any) -> Weights:
    made = Weights(*map(np.zeros, ((4 * H, I), (4 * H, H), (4 * H,), (4 * H,))))
    return made._replace(**other)


def arrays(**other: Any) -> dict[str, Any]:
    state = np.zeros((M, N, H))
    x, y = np.zeros((M, T, N, I)), np.zeros((M, T, N, H))
    return {"x": x, "state": (state, state), "lengths": None, "y": y, **other}


def held(module: Any) -> Any:
    return module.models(CELLS["lstm"], [weights() for _ in range(M)])


@pytest.fixture(params=["native", "reference"])
def module(request: pytest.FixtureRequest, load_backend: Any) -> Any:
    return load_backend(request.param)


WRONG_WEIGHTS = [
    ([], "weights is empty"),
    ([weights(), weights(w_ih=np.zeros((4 * H, I + 1)))], "weights[1].w_ih has shape (24, 6)"),
    ([weights(), weights(b_ih=None)], "weights[1].b_ih is"),
    ([weights(b_ih=None), weights()], "weights[1].b_ih is"),
    ([weights(), weights(w_hr=np.zeros((3, H)))], "weights[1].w_hr is"),
    ([weights(), weights(w_hh=np.zeros((4 * H, H), np.float32))], "weights[1].w_hh is an array of"),
    ([weights(), weights(w_hh=[1.0])], "weights[1].w_hh is a list"),
    ([weights(), weights(params=(np.zeros(H),))], "params has 1 array"),
]


@pytest.mark.parametrize(("given", "message"), WRONG_WEIGHTS, ids=lambda v: str(v)[:30])
def test_weights_that_do_not_fit(module: Any, given: list[Weights], message: str) -> None:
    with pytest.raises((TypeError, ValueError), match=re.escape(message)):
        module.models(CELLS["lstm"], given)
    if len(given) == 2 and given[0].b_ih is not None:
        with pytest.raises((TypeError, ValueError), match="gradients"):
            module.models(CELLS["lstm"], [weights()] * 2).hold(given)


def test_other_strides_of_weights(native: Any) -> None:
    wide = np.zeros((4 * H, 2 * I))[:, ::2]
    with pytest.raises(ValueError, match="w_ih has strides"):
        native.models(CELLS["lstm"], [weights(), weights(w_ih=wide)])


WRONG_ARRAYS: list[tuple[dict[str, Any], str]] = [
    ({"x": np.zeros((M + 1, T, N, I))}, "x has shape"),
    ({"x": np.zeros((M, T, N, I + 1))}, "x has shape"),
    ({"x": None}, "x is a NoneType"),
    ({"state": (np.zeros((M, N, H)),)}, "state"),
    ({"state": (np.zeros((M, N, H)), None)}, "state"),
    ({"state": (np.zeros((M, N, H)), np.zeros((M, N, H + 1)))}, "state"),
    ({"y": np.zeros((M, T, N, H + 1))}, "y has shape"),
    ({"y": np.zeros((M - 1, T, N, H))}, "y has shape"),
    ({"lengths": np.zeros((M, N))}, "lengths is an array of float64"),
    ({"lengths": np.zeros((M, N + 1), np.int64)}, "lengths has shape"),
    ({"lengths": np.full((M, N), T + 1)}, "lengths"),
    ({"lengths": np.full((M, N), -1)}, "lengths"),
    ({"recompute": -1, "save": True}, "recompute"),
]


@pytest.mark.parametrize(("wrong", "message"), WRONG_ARRAYS, ids=lambda v: str(v)[:30])
def test_calls_that_do_not_fit(module: Any, wrong: dict[str, Any], message: str) -> None:
    with pytest.raises((TypeError, ValueError), match=message):
        held(module).forward(ManyCall(**arrays(**wrong)))


def test_arrays_without_contiguous_features(native: Any) -> None:
    for name in ("x", "y"):
        given = arrays()
        given[name] = np.repeat(given[name], 2, axis=-1)[..., ::2]
        with pytest.raises(ValueError, match=f"{name} has strides"):
            held(native).forward(ManyCall(**given))
    locked = arrays()
    locked["y"].flags.writeable = False
    with pytest.raises((TypeError, ValueError), match="y is"):
        held(native).forward(ManyCall(**locked))


def test_no_steps_and_claims_beyond_memory(native: Any) -> None:
    with pytest.raises(ValueError, match="at least one of each"):
        held(native).forward(ManyCall(**arrays(x=np.zeros((M, 0, N, I)))))
    huge = np.lib.stride_tricks.as_strided
    x = huge(np.zeros(I), (M, 1 << 40, N, I), (0, 0, 0, 8))
    y = huge(np.zeros(H), (M, 1 << 40, N, H), (0, 0, 0, 8))
    with pytest.raises(MemoryError):
        held(native).forward(ManyCall(**arrays(x=x, y=y), save=True))


def gradients() -> list[Weights]:
    return [weights() for _ in range(M)]


WRONG_GRADIENTS: list[tuple[dict[str, Any], str]] = [
    ({"dy": np.zeros((M, T, N, H + 1))}, "dy has shape"),
    ({"dx": np.zeros((M, T, N, H))}, "dx has shape"),
    ({"dstate": (None,)}, "dstate has 1 array"),
    ({"dstate": (None, np.zeros((M, N, 1)))}, r"dstate\[1\] has shape"),
    ({"weights": None}, "NoneType"),
    ({"weights": [None] * M}, r"gradients\[0\] is of other models"),
    ({"weights": []}, "gradients has 0 models, expected 3"),
]


@pytest.mark.parametrize(("wrong", "message"), WRONG_GRADIENTS, ids=lambda v: str(v)[:30])
def test_gradients_that_do_not_fit(native: Any, wrong: dict[str, Any], message: str) -> None:
    """And after the error what was saved still serves, once."""
    models = held(native)
    _, saved = models.forward(ManyCall(**arrays(save=True)))
    right = {"dy": None, "dstate": (None, None), "weights": models.hold(gradients())}
    with pytest.raises((TypeError, ValueError), match=message):
        models.backward(saved, ManyGradients(**{**right, **wrong}))
    gru = Weights(*map(np.zeros, ((3 * H, I), (3 * H, H), (3 * H,), (3 * H,))))
    other = native.models(CELLS["gru"], [gru] * M).hold([gru] * M)
    with pytest.raises(ValueError, match=r"gradients\[0\] is of other models"):
        models.backward(saved, ManyGradients(**{**right, "weights": other}))
    with pytest.raises(ValueError, match="gradients has 2 models, expected 3"):
        models.hold(gradients()[:2])
    models.backward(saved, ManyGradients(**right))
    with pytest.raises(RuntimeError, match="saved was already used"):
        models.backward(saved, ManyGradients(**right))


def test_streams_that_do_not_fit(native: Any) -> None:
    lstm = [native.stream(CELLS["lstm"], [weights()], n) for n in (2, 3)]
    with pytest.raises(ValueError, match="streams is empty"):
        native.many_stream([])
    with pytest.raises(ValueError, match=r"streams\[1\] differs"):
        native.many_stream(lstm)
    for wrong in ([lstm[0], None], [None], [lstm[0], 3]):
        with pytest.raises((TypeError, ValueError)):
            native.many_stream(wrong)
    stream = native.many_stream(lstm[:1])
    for x in (np.zeros((1, 2, I + 1)), np.zeros((1, 2, I), np.float32), None):
        with pytest.raises((TypeError, ValueError), match="x "):
            stream(x)


def numbers(n_threads: int = 1) -> AdamNumbers:
    return AdamNumbers(0.01, 1.3, 1e-8, 0.9, 0.99, 0.98, 0.1, 0.7, n_threads)


@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_adam_of_a_group_is_adam_of_each(kernel: Any, dtype: str) -> None:
    """Also of one that is cut into parts, and of one without elements."""
    rng = np.random.default_rng(0)
    shapes = [(3,), (16384,), (17, 2000), (0, 4), (1,), (16385,)]
    drawn = [np.abs(rng.standard_normal((4, *shape))).astype(dtype) for shape in shapes]
    for threads in (1, 2):
        grouped, each = ([list(d.copy()) for d in drawn] for _ in range(2))
        group = kernel.backend.adam_group(grouped)
        for _ in range(2):
            group.step(numbers(threads))
            for four in each:
                kernel.adam(*four, None, **numbers()._asdict())
        for a, b in zip(grouped, each, strict=True):
            for name, x, y in zip("pmvg", a, b, strict=True):
                np.testing.assert_array_equal(x, y, err_msg=name)


def test_adam_of_arrays_that_do_not_fit(module: Any) -> None:
    def four(**other: Any) -> list[Array]:
        return list(({name: np.zeros(3) for name in "pmvg"} | other).values())

    for wrong in (
        {"g": np.zeros(4)},
        {"m": np.zeros(3, np.float32)},
        {"v": np.zeros(6)[::2]},
        {"p": np.zeros(3, int)},
        {"p": None},
    ):
        with pytest.raises((TypeError, ValueError)):
            module.adam_group([four(**wrong)])


def test_ctrl_c_between_models(native: Any) -> None:
    """A call of some seconds ends soon after a signal: the last models are not run."""
    count, T, N, H = 30_000, 100, 4, 64
    shapes = ((4 * H, H), (4 * H, H), (4 * H,), (4 * H,))
    one = Weights(*(np.zeros(shape, np.float32) for shape in shapes))
    models = native.models(CELLS["lstm"], [one] * count)
    y = np.full((count, H), np.nan, np.float32)
    state = np.zeros((count, N, H), np.float32)
    shape = (count, T, N, H)  # of which few numbers are in memory
    x = np.lib.stride_tricks.as_strided(state, shape, (0, 0, 0, 4))
    wide = np.lib.stride_tricks.as_strided(y, shape, (4 * H, 0, 0, 4))

    def interrupt() -> None:
        raise KeyboardInterrupt

    with alarm(interrupt, 0.1), pytest.raises(KeyboardInterrupt):
        models.forward(ManyCall(x, (state, state), None, wide, n_threads=2))
    assert np.isnan(y[-100:]).all()
