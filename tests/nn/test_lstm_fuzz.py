"""Random calls through the public interface: right results or clear errors, never a crash."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from cases import TOLERANCE
from checks import assert_close
from hypothesis import given, settings
from hypothesis import strategies as st

import fastlstm as fl
from fastlstm import kernels
from fastlstm.nn import Tokens

small = st.integers(0, 5)
dtypes = st.sampled_from(["float32", "float64"])
CLEAR = (TypeError, ValueError, IndexError)


@st.composite
def layers(draw: st.DrawFn) -> fl.LSTM:
    return fl.LSTM(
        draw(st.integers(1, 20)),
        draw(st.integers(1, 20)),
        draw(st.integers(1, 3)),
        draw(st.booleans()),
        draw(st.booleans()),
        0.0,
        draw(st.booleans()),
        dtype=draw(dtypes),
        rng=np.random.default_rng(draw(small)),
    )


@st.composite
def arrays(draw: st.DrawFn, shape: tuple[int, ...], dtype: Any) -> Any:
    """An array that mostly fits, in any memory layout, with any values."""
    if draw(st.integers(0, 9)) == 0:
        shape = tuple(draw(st.lists(small, max_size=4)))
    if draw(st.integers(0, 9)) == 0:
        dtype = draw(st.sampled_from(["float32", "float64", "float16", "int32", ">f4", "O", "c8"]))
    rng = np.random.default_rng(draw(small))
    x = np.asarray(rng.standard_normal(shape) * draw(st.sampled_from([0, 1, 1e-40, 1e30])))
    if x.size and draw(st.booleans()):
        x.flat[draw(st.integers(0, x.size - 1))] = draw(st.sampled_from([np.nan, np.inf, -np.inf]))
    with np.errstate(all="ignore"):
        x = x.astype(dtype)
    order = draw(st.permutations(range(x.ndim)))
    x = x.transpose(order).copy().transpose(np.argsort(order)) if x.ndim else x
    if x.ndim and draw(st.booleans()):
        x = np.repeat(x, 2, axis=-1)[..., ::2]
    if x.ndim and draw(st.booleans()):
        x = np.ascontiguousarray(x[::-1])[::-1]
    x.flags.writeable = draw(st.booleans()) and x.flags.writeable
    return x


lengths_near = st.one_of(
    st.none(),
    st.lists(st.integers(-1, 6), max_size=6),
    st.lists(st.integers(0, 2), min_size=1, max_size=5),
)


def is_valid(lstm: fl.LSTM, x: Any, state: Any, lengths: Any) -> bool:
    """Whether a call fits, decided apart from the package."""
    if x.dtype != lstm.dtype or x.ndim not in (2, 3) or x.shape[-1] != lstm.input_size:
        return False
    if 0 in x.shape:
        return False
    T, N = (
        (x.shape[0], None) if x.ndim == 2 else x.shape[1::-1] if lstm.batch_first else x.shape[:2]
    )
    if lengths is not None and (N is None or len(lengths) != N):
        return False
    if lengths is not None and not all(0 <= n <= T for n in lengths):
        return False
    layers = lstm.num_layers * (1 + lstm.bidirectional)
    shape = (layers, lstm.hidden_size) if N is None else (layers, N, lstm.hidden_size)
    return state is None or all(s.shape == shape and s.dtype == lstm.dtype for s in state)


def run(lstm: fl.LSTM, x: Any, state: Any, lengths: Any) -> list[Any]:
    y, (h_n, c_n), tape = lstm.forward(x, state, lengths)
    lstm.zero_grad()
    dx, (dh_0, dc_0) = lstm.backward(tape, np.ones_like(y), (h_n, None))
    return [y, h_n, c_n, dx, dh_0, dc_0, *(p.grad.copy() for p in lstm.parameters())]


def is_tame(*arguments: Any) -> bool:
    """Whether no number is infinite, NaN or so large that two right answers may differ: a gate
    of 1e-19 and one of 0 are the same until they meet 1e30."""
    return all(np.isfinite(a).all() and np.abs(a).max(initial=0) < 100 for a in arguments)


def assert_as_reference(lstm: fl.LSTM, results: list[Any], arguments: tuple[Any, ...]) -> None:
    x, state, _ = arguments
    lstm._backend = "reference"
    expected = run(lstm, *arguments)
    tame = is_tame(x.table if isinstance(x, Tokens) else x, *(state or ()))
    for k, (a, e) in enumerate(zip(results, expected, strict=True)):
        assert a.shape == e.shape
        assert a.dtype == lstm.dtype
        if tame:
            tolerance = 10 * TOLERANCE["output" if k < 3 else "gradient", lstm.dtype]
            assert_close(a, e.astype(float), tolerance, f"result {k}")


@settings(max_examples=300)
@given(lstm=layers(), data=st.data())
def test_sequences(backend_isa: str, lstm: fl.LSTM, data: st.DataObject) -> None:
    lstm._backend = backend_isa.partition("-")[0]
    T, N = data.draw(st.integers(1, 5)), data.draw(st.integers(1, 5))
    L, H = lstm.num_layers * (1 + lstm.bidirectional), lstm.hidden_size
    x = data.draw(
        arrays((N, T, lstm.input_size) if lstm.batch_first else (T, N, lstm.input_size), lstm.dtype)
    )
    a_state = st.tuples(arrays((L, N, H), lstm.dtype), arrays((L, N, H), lstm.dtype))
    state = data.draw(st.none() | a_state)
    lengths = data.draw(lengths_near)
    if is_valid(lstm, x, state, lengths):
        assert_as_reference(lstm, run(lstm, x, state, lengths), (x, state, lengths))
        return
    with pytest.raises(CLEAR, match=r"\bx\b|\bstate\b|\blengths\b"):
        run(lstm, x, state, lengths)


@given(lstm=layers(), data=st.data())
def test_tokens(backend_isa: str, lstm: fl.LSTM, data: st.DataObject) -> None:
    lstm._backend = backend_isa.partition("-")[0]
    U = data.draw(st.integers(1, 5))
    shape = (data.draw(st.integers(1, 4)), data.draw(st.integers(1, 4)))
    low, high = data.draw(st.sampled_from([(0, U)] * 4 + [(-1, U), (0, U + 2)]))
    ids = np.random.default_rng(U).integers(low, high, shape)
    table = np.random.default_rng(0).standard_normal((U, lstm.input_size)).astype(lstm.dtype)
    lengths = data.draw(lengths_near)
    if low < 0 or high > U:
        if ids.min() < 0 or ids.max() >= U:
            with pytest.raises(CLEAR):
                lstm(Tokens(ids, table), lengths=lengths)
        return
    if not is_valid(lstm, table[ids], None, lengths):
        with pytest.raises(CLEAR):
            lstm(Tokens(ids, table), lengths=lengths)
        return
    results = run(lstm, Tokens(ids, table), None, lengths)
    assert_as_reference(lstm, results, (Tokens(ids, table), None, lengths))


@given(lstm=layers(), data=st.data())
def test_streams(backend_isa: str, lstm: fl.LSTM, data: st.DataObject) -> None:
    if lstm.bidirectional:
        lstm = fl.LSTM(lstm.input_size, lstm.hidden_size, lstm.num_layers, dtype=lstm.dtype)
    lstm._backend = backend_isa.partition("-")[0]
    N = data.draw(st.integers(1, 4))
    stream = lstm.stream(N)
    for _ in range(3):
        x = data.draw(arrays((N, lstm.input_size), lstm.dtype))
        fits = x.dtype == lstm.dtype and (
            x.shape == (N, lstm.input_size) or (N == 1 and x.shape == (lstm.input_size,))
        )
        if fits:
            assert stream(x).shape == (*x.shape[:-1], lstm.hidden_size)
        else:
            with pytest.raises(CLEAR, match=r"\bx\b"):
                stream(x)


@given(data=st.data())
def test_kernels_check_what_layers_would(native_kernel: Any, data: st.DataObject) -> None:
    """The extension itself refuses what does not fit, whoever calls it."""
    T, N, I, H = 3, 2, 4, 5  # noqa: E741
    shapes = {
        "x": (T, N, I), "h0": (N, H), "c0": (N, H), "w_ih": (4 * H, I), "w_hh": (4 * H, H),
        "b_ih": (4 * H,), "b_hh": (4 * H,), "y": (T, N, H),
    }  # fmt: skip
    wrong = data.draw(st.sampled_from(list(shapes)))
    given_arrays = {name: np.zeros(shape) for name, shape in shapes.items()}
    good = given_arrays[wrong]
    bad = data.draw(
        st.sampled_from([good[1:], good[..., 1:], good[None], good.astype("float32"), None, [1.0]])
    )
    if bad is None and wrong.startswith("b_"):
        bad = good[1:]
    given_arrays[wrong] = bad
    x, h0, c0, w_ih, w_hh, b_ih, b_hh, y = given_arrays.values()
    weights = kernels.Weights(w_ih, w_hh, b_ih, b_hh)
    with pytest.raises((TypeError, ValueError, AttributeError, IndexError)):
        native_kernel.forward(x, h0, c0, weights, kernels.Rows(T, N), y, save=True)
