"""Random calls through the public interface: right results or clear errors, never a crash."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from bound import Kernel
from cases import TOLERANCE
from checks import assert_close
from hypothesis import given, settings
from hypothesis import strategies as st
from kinds import KINDS, like, parts

from fastlstm import kernels
from fastlstm.kernels import CELLS
from fastlstm.nn import Tokens

small = st.integers(0, 5)
dtypes = st.sampled_from(["float32", "float64"])
CLEAR = (TypeError, ValueError, IndexError)


@st.composite
def layers(draw: st.DrawFn, bidirectional: bool = True) -> Any:
    cls, options = KINDS[draw(st.sampled_from(list(KINDS)))]
    sizes = draw(st.integers(1, 20)), draw(st.integers(1, 20))
    if "proj_size" in options:
        options = {"proj_size": draw(st.integers(0, sizes[1] - 1))}
    return cls(
        *sizes,
        draw(st.integers(1, 3)),
        bias=draw(st.booleans()),
        batch_first=draw(st.booleans()),
        bidirectional=bidirectional and draw(st.booleans()),
        dtype=draw(dtypes),
        rng=np.random.default_rng(draw(small)),
        recompute=draw(st.integers(0, 3)),
        learn_state=draw(st.booleans()),
        **options,
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


def is_held(array: Any, dtype: Any) -> bool:
    """Whether the dtype holds the numbers of an array: long doubles hold those of either."""
    if array.dtype.kind not in "fi":
        return False
    with np.errstate(all="ignore"):
        there = array.astype(dtype).astype("g")
    return np.array_equal(there, array.astype("g"), equal_nan=True)


def is_valid(layer: Any, x: Any, state: Any, lengths: Any, reset: Any = None) -> bool:
    """Whether a call fits, decided apart from the package."""
    if not is_held(x, layer.dtype) or x.ndim not in (2, 3) or x.shape[-1] != layer.input_size:
        return False
    if 0 in x.shape or (reset is not None and reset.shape != x.shape[:-1]):
        return False
    T, N = (
        (x.shape[0], None) if x.ndim == 2 else x.shape[1::-1] if layer.batch_first else x.shape[:2]
    )
    if lengths is not None and (N is None or len(lengths) != N):
        return False
    if lengths is not None and not all(0 <= n <= T for n in lengths):
        return False
    if state is None:
        return True
    K, H = layer.num_layers * (1 + layer.bidirectional), layer.hidden_size
    rows = (K,) if N is None else (K, N)
    shapes = [(*rows, layer.proj_size or H), (*rows, H)]
    return all(
        s.shape == shape and is_held(s, layer.dtype)
        for s, shape in zip(parts(state), shapes, strict=False)
    )


def run(layer: Any, x: Any, state: Any, lengths: Any, reset: Any = None) -> list[Any]:
    y, state_n, tape = layer.forward(x, state, lengths, reset=reset, reset_at="after")
    layer.zero_grad()
    d_n = [parts(state_n)[0], *[None] * (len(parts(state_n)) - 1)]
    dx, d_0 = layer.backward(tape, np.ones_like(y), like(layer, d_n))
    gradients = [p.grad.copy() for p in layer.parameters()]
    return [y, *parts(state_n), dx, *parts(d_0), *gradients]


def is_tame(*arguments: Any) -> bool:
    """Whether no number is infinite, NaN or so large that two right answers may differ: a gate
    of 1e-19 and one of 0 are the same until they meet 1e30."""
    return all(np.isfinite(a).all() and np.abs(a).max(initial=0) < 100 for a in arguments)


def assert_as_reference(layer: Any, results: list[Any], arguments: tuple[Any, ...]) -> None:
    x, state = arguments[:2]
    layer._backend = "reference"
    expected = run(layer, *arguments)
    given = [] if state is None else parts(state)
    tame = is_tame(x.table if isinstance(x, Tokens) else x, *given)
    for k, (a, e) in enumerate(zip(results, expected, strict=True)):
        assert a.shape == e.shape
        assert a.dtype == layer.dtype
        if tame:
            what = "output" if k <= len(layer._cell.states) else "gradient"
            assert_close(a, e.astype(float), 10 * TOLERANCE[what, layer.dtype], f"result {k}")


@settings(max_examples=300)
@given(layer=layers(), data=st.data())
def test_sequences(backend_isa: str, layer: Any, data: st.DataObject) -> None:
    layer._backend = backend_isa.partition("-")[0]
    T, N = data.draw(st.integers(1, 5)), data.draw(st.integers(1, 5))
    outer = (N, T) if layer.batch_first else (T, N)
    x = data.draw(arrays((*outer, layer.input_size), layer.dtype))
    shapes = [(len(layer._suffixes), N, size) for size in layer._state_sizes()]
    a_state = st.tuples(*(arrays(shape, layer.dtype) for shape in shapes))
    state = data.draw(st.none() | a_state.map(lambda parts: like(layer, parts)))
    lengths = data.draw(lengths_near)
    reset = data.draw(st.none() | st.integers(0, 9))
    if reset is not None:
        reset = np.random.default_rng(reset).random(outer if reset else outer[:1]) < 0.4
    if is_valid(layer, x, state, lengths, reset):
        arguments = (x, state, lengths, reset)
        assert_as_reference(layer, run(layer, *arguments), arguments)
        return
    with pytest.raises(CLEAR, match=r"\bx\b|\bstate\b|\blengths\b|\breset\b"):
        run(layer, x, state, lengths, reset)


@given(layer=layers(), data=st.data())
def test_tokens(backend_isa: str, layer: Any, data: st.DataObject) -> None:
    layer._backend = backend_isa.partition("-")[0]
    U = data.draw(st.integers(1, 5))
    shape = (data.draw(st.integers(1, 4)), data.draw(st.integers(1, 4)))
    low, high = data.draw(st.sampled_from([(0, U)] * 4 + [(-1, U), (0, U + 2)]))
    ids = np.random.default_rng(U).integers(low, high, shape)
    table = np.random.default_rng(0).standard_normal((U, layer.input_size)).astype(layer.dtype)
    lengths = data.draw(lengths_near)
    if low < 0 or high > U:
        if ids.min() < 0 or ids.max() >= U:
            with pytest.raises(CLEAR):
                layer(Tokens(ids, table), lengths=lengths)
        return
    if not is_valid(layer, table[ids], None, lengths):
        with pytest.raises(CLEAR):
            layer(Tokens(ids, table), lengths=lengths)
        return
    results = run(layer, Tokens(ids, table), None, lengths)
    assert_as_reference(layer, results, (Tokens(ids, table), None, lengths))


@given(layer=layers(bidirectional=False), data=st.data())
def test_streams(backend_isa: str, layer: Any, data: st.DataObject) -> None:
    layer._backend = backend_isa.partition("-")[0]
    N, I = data.draw(st.integers(1, 4)), layer.input_size
    stream = layer.stream(N)
    for _ in range(3):
        x = data.draw(arrays((N, I), layer.dtype))
        fits = is_held(x, layer.dtype) and (x.shape == (N, I) or (N == 1 and x.shape == (I,)))
        if fits:
            assert stream(x).shape == (*x.shape[:-1], layer._width)
        else:
            with pytest.raises(CLEAR, match=r"\bx\b"):
                stream(x)


@given(data=st.data())
def test_kernels_check_what_layers_would(isa: str, data: st.DataObject) -> None:
    """The extension itself refuses what does not fit, whoever calls it."""
    cell = data.draw(st.sampled_from(list(CELLS.values())))
    T, N, I, H, R = 3, 2, 4, 5, 3 if cell.projects else 5
    G = cell.gate_rows(H)
    shapes = {
        "x": (T, N, I), "w_ih": (G, I), "w_hh": (G, R), "b_ih": (G,), "b_hh": (G,),
        "w_hr": (R, H), "y": (T, N, R), "h": (N, R), "c": (N, H),
    }  # fmt: skip
    if not cell.projects:
        del shapes["w_hr"]
    for name in {"h", "c"} - set(cell.states):
        del shapes[name]
    wrong = data.draw(st.sampled_from(list(shapes)))
    given_arrays: dict[str, Any] = {name: np.zeros(shape) for name, shape in shapes.items()}
    good = given_arrays[wrong]
    bad = data.draw(
        st.sampled_from([good[1:], good[..., 1:], good[None], good.astype("float32"), None, [1.0]])
    )
    if bad is None and wrong.startswith(("b_", "w_hr")):
        bad = good[1:]
    given_arrays[wrong] = bad
    names = kernels.Weights._fields
    weights = kernels.Weights(**{n: a for n, a in given_arrays.items() if n in names})
    state = tuple(given_arrays[name] for name in cell.states)
    x, y, rows = given_arrays["x"], given_arrays["y"], kernels.Rows(T, N)
    with pytest.raises((TypeError, ValueError, AttributeError, IndexError)):
        Kernel(cell.name, "native").forward(x, state, weights, rows, y, save=True)
