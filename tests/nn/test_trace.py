"""What a trace shows is what the layer computed: to the bit, in every backend."""

from __future__ import annotations

import copy
import pickle
from typing import Any

import numpy as np
import pytest
from bound import Kernel
from cases import Array, Case, make
from checks import run_forward
from kinds import H, N, T, batch, draw_state, layer, lengths, parts

import fastlstm as fl
from fastlstm import kernels
from fastlstm.kernels import CELLS
from fastlstm.nn.recurrent.trace import Trace, unpack

pytestmark = pytest.mark.pairs

GATES = {
    "lstm": "ifgoch",
    "lstm-proj": "ifgoch",
    "gru": "rznh",
    "lstm-peephole": "ifgoch",
    "gru-before": "rznh",
    "rnn-tanh": "h",
    "rnn-relu": "h",
}
LAYERS = [{}, {"num_layers": 2, "bidirectional": True}]
IDS = ["one", "deep"]


def sigmoid(z: Array) -> Array:
    return 1 / (1 + np.exp(-z))


def last_values(module: Any, trace: Trace, name: str, n: Any) -> Array:
    """Each row's value after the last step that it ran; steps first."""
    value = trace[name]
    steps = np.zeros_like(n) if trace.direction else np.maximum(n - 1, 0)
    return value[steps, np.arange(len(n))]


@pytest.mark.parametrize("options", LAYERS, ids=IDS)
@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_states_are_those_of_a_call(
    backend_isa: str, kind: str, options: dict[str, Any], dtype: str
) -> None:
    module = layer(kind, dtype=dtype, **options)
    x, n, state = batch().astype(dtype), lengths(), draw_state(module)
    y, state_n = module(x, state, n)
    traces = module.trace(x, state, n)
    D, R, K = module._directions, module._size, len(module._suffixes)
    assert [(t.layer, t.direction) for t in traces] == [divmod(k, D) for k in range(K)]
    for trace in traces:
        assert list(trace.values) == list(GATES[kind])
        assert {v.dtype for v in trace.values.values()} == {np.dtype(dtype)}
    for d in range(D):
        np.testing.assert_array_equal(traces[K - D + d].h, y[..., d * R : (d + 1) * R])
    ran = n > 0
    for k, trace in enumerate(traces):
        for name, value in zip(module._cell.states, parts(state_n), strict=True):
            last = last_values(module, trace, name, n)
            np.testing.assert_array_equal(last[ran], value[k][ran], err_msg=f"{k} {name}")


def weights_of(module: Any, k: int) -> tuple[Array, Array, Array, Array]:
    """Weights and biases of layer and direction k, a gate's rows in a block: [G,H,...]."""
    G = len(module._cell.gates)
    arrays = [w for w in module._weights(k)[:4] if w is not None]
    return tuple(w.reshape(G, H, *w.shape[1:]) for w in arrays)  # type: ignore[return-value]


def gates_by_hand(module: Any, k: int, x: Array, h: Array, c: Array) -> dict[str, Array]:
    """The gates of a step in plain NumPy: x [I], h [R], c [H]."""
    w_ih, w_hh, b_ih, b_hh = weights_of(module, k)
    z_x = [x @ w.T + b for w, b in zip(w_ih, b_ih, strict=True)]
    z_h = [h @ w.T + b for w, b in zip(w_hh, b_hh, strict=True)]
    z = [a + b for a, b in zip(z_x, z_h, strict=True)]
    name = module._cell.name
    if name == "lstm":
        return {"i": sigmoid(z[0]), "f": sigmoid(z[1]), "g": np.tanh(z[2]), "o": sigmoid(z[3])}
    if name == "peephole_lstm":
        p_i, p_f, p_o = module._weights(k).params
        i, f, g = sigmoid(z[0] + p_i * c), sigmoid(z[1] + p_f * c), np.tanh(z[2])
        return {"i": i, "f": f, "g": g, "o": sigmoid(z[3] + p_o * (f * c + i * g))}
    if name.startswith("rnn"):
        return {}
    r, z_gate = sigmoid(z[0]), sigmoid(z[1])
    n = np.tanh(z_x[2] + r * z_h[2])
    if name == "gru_reset_before":
        n = np.tanh(z_x[2] + (r * h) @ w_hh[2].T + b_hh[2])
    return {"r": r, "z": z_gate, "n": n}


def test_gates_are_those_of_the_formulas(backend_isa: str, kind: str) -> None:
    module, n, x = layer(kind, num_layers=2, bidirectional=True), lengths(), batch()
    state = draw_state(module)
    traces = module.trace(x, state, n)
    for k, trace in enumerate(traces):
        below = traces[k - k % 2 - 2 : k - k % 2]
        inputs = np.concatenate([t.h for t in below], axis=2) if k > 1 else x
        for row, length in enumerate(n):
            h, c = parts(state)[0][k][row], parts(state)[-1][k][row]
            for t in reversed(range(length)) if k % 2 else range(length):
                expected = gates_by_hand(module, k, inputs[t, row], h, c)
                if "c" in trace.values:
                    c = expected["f"] * c + expected["i"] * expected["g"]
                    expected["c"] = c
                for name, value in expected.items():
                    np.testing.assert_allclose(trace[name][t, row], value, atol=1e-12)
                h = trace.h[t, row]
        for name, value in trace.values.items():
            assert not value[np.arange(T)[:, None] >= n].any(), f"{name} past a row's end"


def test_layouts_show_the_same_numbers(backend_isa: str, kind: str) -> None:
    module, x, n = layer(kind, bidirectional=True), batch(), lengths()
    rows = layer(kind, bidirectional=True, batch_first=True)
    rows.load_state_dict(module.state_dict())
    traces = module.trace(x, lengths=n)
    turned = rows.trace(np.ascontiguousarray(x.swapaxes(0, 1)), lengths=n)
    alone = module.trace(np.ascontiguousarray(x[: n[0], 0])) if n[0] else None
    tokens = module.trace(fl.Tokens(np.arange(T * N).reshape(T, N), x.reshape(T * N, -1)), None, n)
    for k, trace in enumerate(traces):
        for name, value in trace.values.items():
            np.testing.assert_array_equal(turned[k][name], value.swapaxes(0, 1))
            np.testing.assert_array_equal(tokens[k][name], value)
            if alone is not None:
                np.testing.assert_array_equal(alone[k][name], value[: n[0], 0])


@pytest.mark.parametrize("reset_at", ["before", "after"])
def test_resets_are_those_of_a_call(backend_isa: str, kind: str, reset_at: str) -> None:
    module, x, n = layer(kind, bidirectional=True, learn_state=True), batch(), lengths()
    for parameter in module._learned():
        parameter.data[...] = np.random.default_rng(5).standard_normal(parameter.data.shape)
    reset = np.random.default_rng(6).random((T, N)) < 0.3
    y, _ = module(x, None, n, reset=reset, reset_at=reset_at)
    traces = module.trace(x, None, n, reset=reset, reset_at=reset_at)
    np.testing.assert_array_equal(np.concatenate([t.h for t in traces], axis=2), y)
    plain = module.trace(x, None, n)
    assert any((a.h != b.h).any() for a, b in zip(traces, plain, strict=True))


@pytest.mark.parametrize(("cell", "H"), [(c, H) for c in CELLS for H in (1, 7, 16, 33)])
def test_kernels_show_what_the_reference_shows(kernel: Kernel, cell: str, H: int) -> None:
    """Widths around those of vectors, through the door of the engine."""
    case = Case(5, 6, 3, H, ragged=True, reverse=bool(H % 2), proj=H // 2, seed=H)
    p = make(case, kernel.cell)
    expected, _ = run_forward(kernel, p)
    y = np.full_like(expected["y"], np.nan)
    state_n, inside = kernel.trace(p.x, p.state, p.weights, p.rows, y, reverse=p.reverse)
    np.testing.assert_array_equal(y, expected["y"])
    np.testing.assert_array_equal(state_n[0], expected["h_n"])
    oracle = Kernel(cell, "reference")
    _, known = oracle.trace(p.x, p.state, p.weights, p.rows, y.copy(), reverse=p.reverse)
    assert list(inside) == list(known) == list(kernel.cell.inside)
    for name, value in inside.items():
        assert value.shape == (p.rows.total, H)
        np.testing.assert_allclose(value, known[name], atol=1e-12, err_msg=name)


@pytest.mark.parametrize("n_threads", [2, 3])
def test_threads_change_no_bit(threads: None, kind: str, n_threads: int) -> None:
    module = layer(kind, 33, 130, bidirectional=True)
    x = np.random.default_rng(3).standard_normal((20, 9, 33))
    fl.set_num_threads(1)
    expected = module.trace(x)
    fl.set_num_threads(n_threads)
    for a, b in zip(expected, module.trace(x), strict=True):
        for name, value in a.values.items():
            np.testing.assert_array_equal(b[name], value)


def test_dropout_and_recompute_do_not_touch_it(kind: str) -> None:
    module = layer(kind, num_layers=2, dropout=0.5, recompute=2)
    y, _ = module(batch())
    np.testing.assert_array_equal(module.trace(batch())[-1].h, y)


def test_rows_without_steps_show_nothing(backend_isa: str, kind: str) -> None:
    (trace,) = layer(kind).trace(batch(), lengths=np.zeros(N, int))
    assert trace.h.shape[:2] == (T, N)
    assert not any(value.any() for value in trace.values.values())


def test_a_trace_has_its_values_as_attributes() -> None:
    module = layer("lstm")
    traces = module.trace(batch())
    assert traces.f is traces[0].f is traces[0]["f"]
    assert traces.c.shape == (T, N, H)
    with pytest.raises(AttributeError, match=r"no 'r' in this trace, which has i, f, g, o, c, h"):
        _ = traces.r
    both = layer("lstm", bidirectional=True).trace(batch())
    with pytest.raises(AttributeError, match=r"which of the 2 layers .* traces\[k\]\.f"):
        _ = both.f
    for again in (copy.deepcopy(traces), pickle.loads(pickle.dumps(traces))):
        np.testing.assert_array_equal(again.f, traces.f)
    assert "f (6, 5, 9)" in repr(traces[0])
    assert list(traces[0]) == ["i", "f", "g", "o", "c", "h"]
    assert "f" in traces[0]
    assert "z" not in traces[0]


def test_bad_input_is_named() -> None:
    module = layer("lstm")
    with pytest.raises(ValueError, match="x has shape"):
        module.trace(batch()[..., :2])
    with pytest.raises(ValueError, match="lengths"):
        module.trace(batch(), lengths=[T + 1] * N)
    module.weight_hh_l0.data[3, 2] = np.nan
    with pytest.raises(ValueError, match="weight_hh_l0 holds NaN"):
        module.trace(batch())


def test_what_was_kept_serves_once(native: Any) -> None:
    """The extension shows nothing that a backward pass has written over, or that was not kept."""
    kernel = Kernel("lstm", "native")
    p = make(Case(4, 3, 2, 5), kernel.cell)
    _, saved = run_forward(kernel, p, save=True)
    grads = p.weights.map(np.zeros_like)
    kernel.backward(saved, p.dy, p.dstate, grads, None)
    with pytest.raises(RuntimeError, match="used by a backward pass"):
        native._native.inside(saved)
    _, saved = run_forward(kernel, p, save=True, recompute=2)
    with pytest.raises(ValueError, match="recompute is 2"):
        native._native.inside(saved)


def test_unpack_puts_steps_where_they_were_read() -> None:
    rows = kernels.Rows(3, 2, [1, 3])
    packed = np.arange(1.0, 5.0)[:, None]  # row 1 step 0, row 0 step 0, row 1 step 1, row 1 step 2
    forward = unpack({"f": packed}, rows, reverse=False)["f"][..., 0]
    np.testing.assert_array_equal(forward, [[2, 1], [0, 3], [0, 4]])
    backward = unpack({"f": packed}, rows, reverse=True)["f"][..., 0]
    np.testing.assert_array_equal(backward, [[2, 4], [0, 3], [0, 1]])
