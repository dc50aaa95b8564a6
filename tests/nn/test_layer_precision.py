"""The option `precision` of layers, cells and whole models: what it does, promises and refuses."""

from __future__ import annotations

import copy
import pickle
import tracemalloc
from typing import Any

import numpy as np
import pytest
from cases import Array
from kinds import CELL_KINDS, KINDS, batch, draw_state, layer, lengths, parts, run

import fastlstm as fl
from fastlstm.kernels.reference.precision import int8_product, quantize, to_bfloat16
from fastlstm.models import LanguageModel, SoftmaxDecoder
from fastlstm.nn.attention import DotAttention

ROUNDED = ("bfloat16", "int8")
each_precision = pytest.mark.parametrize("precision", ROUNDED)
X = batch().astype(np.float32)


@pytest.fixture(params=["reference", "native"])
def rounding(
    request: pytest.FixtureRequest, load_backend: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A backend that rounds products, for all layers made in the test."""
    load_backend(request.param)
    monkeypatch.setenv("FASTLSTM_BACKEND", request.param)


@pytest.fixture(params=ROUNDED)
def precision(request: pytest.FixtureRequest) -> str:
    name: str = request.param
    return name


def make(kind: str, precision: str, *sizes: int, **options: Any) -> Any:
    return layer(kind, *sizes, dtype="float32", precision=precision, **options)


def assert_near(actual: Array, expected: Array, bound: float) -> None:
    error = np.abs(actual - expected).max() / np.abs(expected).max()
    assert 0 < error < bound


# Layers.


@pytest.mark.usefixtures("rounding")
def test_a_layer_is_near_and_back_again_to_the_bit(kind: str, precision: str) -> None:
    module = make(kind, "float32", 4, 9, 2, bidirectional=True)
    y = module(X, None, lengths())[0]
    module.precision = precision
    rounded = module(X, None, lengths())[0]
    assert_near(rounded, y, 0.05)
    np.testing.assert_array_equal(make(kind, precision, 4, 9, 2, bidirectional=True)(
        X, None, lengths())[0], rounded)  # fmt: skip
    module.precision = "float32"
    np.testing.assert_array_equal(module(X, None, lengths())[0], y)


@pytest.mark.usefixtures("rounding")
def test_rows_lengths_and_chunks(kind: str, precision: str) -> None:
    """A row is the same alone, in the batch, and cut in two."""
    module = make(kind, precision, 4, 9, 2)
    state = draw_state(module)
    y, last = module(X, state)
    for n in range(X.shape[1]):
        alone, _ = module(X[:, n : n + 1], like_rows(state, n))
        np.testing.assert_array_equal(alone[:, 0], y[:, n])
    some = lengths()
    short, _ = module(X, state, some)
    for n, length in enumerate(some):
        np.testing.assert_array_equal(short[:length, n], y[:length, n])
        assert not short[length:, n].any()
    head, between = module(X[:2], state)
    tail, end = module(X[2:], between)
    np.testing.assert_array_equal(np.concatenate([head, tail]), y)
    for a, b in zip(parts(end), parts(last), strict=True):
        np.testing.assert_array_equal(a, b)


def like_rows(state: Any, n: int) -> Any:
    cut = [np.ascontiguousarray(s[:, n : n + 1]) for s in parts(state)]
    return tuple(cut) if isinstance(state, tuple) else cut[0]


@pytest.mark.usefixtures("rounding")
def test_tokens_and_batch_first(kind: str, precision: str) -> None:
    module = make(kind, precision, batch_first=True, bidirectional=True)
    rng = np.random.default_rng(0)
    table, ids = rng.standard_normal((3, 4)).astype(np.float32), rng.integers(0, 3, (5, 6))
    dense, _ = module(table[ids])
    np.testing.assert_array_equal(module(fl.Tokens(ids, table))[0], dense)


@pytest.mark.usefixtures("rounding")
@pytest.mark.parametrize("at", ["before", "after"])
def test_a_reset_starts_anew(kind: str, precision: str, at: str) -> None:
    module = make(kind, precision)
    reset = np.zeros(X.shape[:2], bool)
    reset[2] = True
    cut = 2 if at == "before" else 3
    y, _ = module(X, reset=reset, reset_at=at)
    np.testing.assert_array_equal(y[cut:], module(X[cut:])[0])
    np.testing.assert_array_equal(y[:cut], module(X[:cut])[0])


@pytest.mark.usefixtures("rounding")
def test_a_stream_takes_the_precision_along(kind: str, precision: str) -> None:
    module = make(kind, precision, 4, 9, 2)
    y, last = module(X)
    stream = module.stream(X.shape[1])
    module.precision = "float32"
    copies = [stream, copy.copy(stream), pickle.loads(pickle.dumps(stream))]
    for one in copies:
        for x, expected in zip(X, y, strict=True):
            np.testing.assert_array_equal(one(x), expected)
        for a, b in zip(one.state, parts(last), strict=True):
            np.testing.assert_array_equal(a, b)


@pytest.mark.usefixtures("rounding")
def test_bfloat16_trains(kind: str) -> None:
    """Near the gradients of float32, and the same ones recomputed."""
    options: dict[str, Any] = {"dropout": 0.3, "recurrent_dropout": 0.2}
    results = {}
    for precision in ("float32", "bfloat16"):
        module = make(kind, precision, 4, 9, 2, bidirectional=True, **options)
        results[precision] = run(module, X, None, lengths(), rng=5)
    bound = 0.3 if kind == "rnn-relu" else 0.05
    for name, value in results["bfloat16"].items():
        expected = results["float32"][name]
        norm = np.sqrt(np.sum(expected**2))
        assert np.sqrt(np.sum((value - expected) ** 2)) < bound * norm, name
    module = make(kind, "bfloat16", 4, 9, 2, bidirectional=True, recompute=2, **options)
    for name, value in run(module, X, None, lengths(), rng=5).items():
        np.testing.assert_array_equal(value, results["bfloat16"][name], err_msg=name)


@pytest.mark.usefixtures("rounding")
def test_what_forward_ran_in_is_what_backward_runs_in() -> None:
    gradients = []
    for after in ("bfloat16", "float32"):
        module = make("lstm", "bfloat16")
        y, _, tape = module.forward(X)
        module.precision = after
        module.backward(tape, np.ones_like(y))
        gradients.append(module.weight_hh_l0.grad)
    np.testing.assert_array_equal(*gradients)


@pytest.mark.usefixtures("rounding")
def test_a_trace_is_of_the_precision(kind: str) -> None:
    module = make(kind, "bfloat16")
    np.testing.assert_array_equal(module.trace(X).h, module(X)[0])


@pytest.mark.usefixtures("rounding")
def test_memory_plan_of_bfloat16() -> None:
    assert make("lstm", "bfloat16").memory_plan(5, 3).peak > 0


# Cells, Linear, attention, softmax.


@pytest.mark.usefixtures("rounding")
@pytest.mark.parametrize("kind", CELL_KINDS)
def test_a_cell_makes_the_steps_of_its_layer(kind: str, precision: str) -> None:
    cls, options = CELL_KINDS[kind]
    cell = cls(4, 9, rng=0, precision=precision, **options)
    module = make(kind, precision)
    module.load_state_dict({f"{k}_l0": v for k, v in cell.state_dict().items()})
    y, state = module(X)[0], None
    for x, expected in zip(X, y, strict=True):
        state = cell(x, state)
        np.testing.assert_array_equal(parts(state)[0], expected)
    assert f"precision={precision}" in repr(cell)
    if precision == "bfloat16":
        *_, tape = cell.forward(X[0])
        cell.backward(tape, state)
        assert np.abs(cell.weight_ih.grad).max() > 0
    else:
        with pytest.raises(ValueError, match="precision is 'int8'"):
            cell.forward(X[0])


@pytest.mark.parametrize("features", [7, 400], ids=["by rows", "by BLAS"])
def test_linear_by_the_definition(features: int) -> None:
    rng = np.random.default_rng(0)
    x = rng.standard_normal((2, 3, 50)).astype(np.float32)
    linear = fl.Linear(50, features, rng=0, precision="bfloat16")
    weight, bias = linear.weight.data, linear.bias.data
    y, tape = linear.forward(x)
    expected = to_bfloat16(x) @ to_bfloat16(weight).T + bias
    np.testing.assert_allclose(y, expected, atol=1e-6)
    assert (y != linear_in("float32", linear, x)).any()
    dy = rng.standard_normal(y.shape).astype(np.float32)
    dx = linear.backward(tape, dy)
    flat = dy.reshape(-1, features), x.reshape(-1, 50)
    np.testing.assert_allclose(dx, to_bfloat16(dy) @ to_bfloat16(weight), atol=1e-5)
    dw = to_bfloat16(flat[0]).T @ to_bfloat16(flat[1])
    np.testing.assert_allclose(linear.weight.grad, dw, atol=1e-5)
    np.testing.assert_allclose(linear.bias.grad, flat[0].sum(axis=0), atol=1e-5)
    whole = int8_product(quantize(weight), quantize(x)) + bias
    np.testing.assert_array_equal(linear_in("int8", linear, x), whole)
    np.testing.assert_array_equal(linear_in("int8", linear, x[1, 2]), whole[1, 2])


def linear_in(precision: str, linear: Any, x: Array) -> Array:
    other = copy.deepcopy(linear)
    other.precision = precision
    y: Array = other(x)
    return y


def test_attention_is_near(precision: str) -> None:
    attention, rng = DotAttention(6, 7, rng=0), np.random.default_rng(1)
    query, memory = (rng.standard_normal((4, n, 6)).astype(np.float32) for n in (3, 5))
    y, some = attention(query, memory), np.array([5, 2, 0, 3])
    attention.precision = precision
    assert attention.combine.precision == precision
    assert_near(attention(query, memory), y, 0.05)
    # What lies past a row's length has no influence, not on a scale either.
    short = attention(query, memory, some)
    memory[np.arange(5) >= some[:, None]] *= 1000
    np.testing.assert_array_equal(attention(query, memory, some), short)
    np.testing.assert_array_equal(attention(query[1:2], memory[1:2, :2]), short[1:2])


def test_attention_trains_in_bfloat16() -> None:
    rng = np.random.default_rng(1)
    query, memory = (rng.standard_normal((4, n, 6)).astype(np.float32) for n in (3, 5))
    dy, found = rng.standard_normal((4, 3, 7)).astype(np.float32), []
    for precision in ("float32", "bfloat16"):
        attention = DotAttention(6, 7, rng=0, precision=precision)
        _, tape = attention.forward(query, memory)
        found.append([*attention.backward(tape, dy), attention.combine.weight.grad])
    for expected, actual in zip(*found, strict=True):
        assert_near(actual, expected, 0.05)


def test_softmax_decoder_by_the_definition(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("fastlstm.models.softmax.BLOCK", 30)
    x = np.random.default_rng(0).standard_normal((6, 5)).astype(np.float32)
    for precision in ROUNDED:
        decoder = SoftmaxDecoder(5, 23, rng=0, precision=precision)
        linear = fl.Linear(5, 23, precision=precision)
        linear.load_state_dict(decoder.state_dict())
        np.testing.assert_allclose(decoder(x), linear(x), atol=1e-6)
        if precision == "bfloat16":
            dy = np.random.default_rng(1).standard_normal((6, 23)).astype(np.float32)
            dx = decoder.backward(decoder.forward(x)[1], dy)
            np.testing.assert_allclose(dx, linear.backward(linear.forward(x)[1], dy), atol=1e-5)
            for a, b in zip(decoder.parameters(), linear.parameters(), strict=True):
                np.testing.assert_allclose(a.grad, b.grad, atol=1e-5)


@each_precision
def test_softmax_decoder_rounds_a_part_of_its_weight_at_a_time(precision: str) -> None:
    decoder = SoftmaxDecoder(512, 32_000, rng=0, precision=precision)
    x = np.ones((1, 512), np.float32)
    decoder(x)
    tracemalloc.start()
    try:
        decoder(x)
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert peak < decoder.weight.data.nbytes / 2


# Whole models.


@pytest.mark.usefixtures("rounding")
def test_set_precision_of_a_whole_model(precision: str) -> None:
    model = LanguageModel(30, 8, 9, num_layers=2, rng=0)
    tokens = np.random.default_rng(0).integers(0, 30, (4, 6))
    plain = model(tokens)[0]
    model.set_precision(precision)
    assert model.recurrent.precision == model.decoder.precision == precision
    assert repr(model).count(f"precision={precision}") == 2
    assert_near(model(tokens)[0], plain, 0.05)
    model.set_precision("float32")
    np.testing.assert_array_equal(model(tokens)[0], plain)


class Pair(fl.Module):
    def __init__(self, one: Any, two: Any) -> None:
        self.one, self.two = one, two


def test_set_precision_of_all_or_none() -> None:
    pair = Pair(fl.GRU(3, 4, rng=0), Pair(fl.Embedding(3, 4), fl.Linear(3, 4, dtype="float64")))
    with pytest.raises(ValueError, match=r"^two\.two: precision is 'int8' with arrays of float64"):
        pair.set_precision("int8")
    assert pair.one.precision == pair.two.two.precision == "float32"
    with pytest.raises(ValueError, match="precision is 'half', expected one of"):
        pair.set_precision("half")
    pair.two.two = fl.Linear(3, 4)
    pair.set_precision("int8")
    assert pair.one.precision == pair.two.two.precision == "int8"


def test_set_precision_where_there_is_none() -> None:
    with pytest.raises(ValueError, match="Embedding has no module with an option precision"):
        fl.Embedding(3, 4).set_precision("int8")


def test_custom_cells_stay_in_float32() -> None:
    pytest.importorskip("numba")
    from fastlstm.examples.minimal_gated_unit import MinimalGatedUnit

    for make_it in (
        lambda: MinimalGatedUnit(3, 4, precision="int8"),
        lambda: setattr(MinimalGatedUnit(3, 4), "precision", "bfloat16"),
        lambda: MinimalGatedUnit(3, 4).set_precision("bfloat16"),
    ):
        with pytest.raises(ValueError, match="expected 'float32' for a custom cell"):
            make_it()
    assert MinimalGatedUnit(3, 4, precision="float32").precision == "float32"


# Copies, and what is refused.


@each_precision
def test_copies_and_parameters(kind: str, precision: str) -> None:
    module = make(kind, precision)
    assert f"precision={precision}" in repr(module)
    assert "precision" not in repr(layer(kind))
    for other in (copy.copy(module), copy.deepcopy(module), pickle.loads(pickle.dumps(module))):
        assert other.precision == precision
    assert module.state_dict().keys() == layer(kind).state_dict().keys()
    plain = make(kind, "float32")
    plain.load_state_dict(module.state_dict())
    assert plain.precision == "float32"


def test_a_module_pickled_before_there_was_a_choice() -> None:
    module = fl.LSTM(3, 4, rng=0)
    del module.__dict__["precision"]
    old = pickle.loads(pickle.dumps(module))
    assert old.precision == "float32"
    old(np.ones((2, 1, 3), np.float32))


def test_assignment_is_checked(kind: str) -> None:
    single = make(kind, "int8")
    for unknown in ("float16", "INT8", None, 8):
        with pytest.raises(ValueError, match=f"precision is {unknown!r}, expected one of float32"):
            single.precision = unknown
    assert single.precision == "int8"
    double = layer(kind)
    for name in ROUNDED:
        with pytest.raises(ValueError, match=f"precision is '{name}' with arrays of float64"):
            double.precision = name
        with pytest.raises(ValueError, match=f"precision is '{name}' with arrays of float64"):
            layer(kind, precision=name)
    double.precision = "float32"


def test_int8_is_for_inference(kind: str) -> None:
    module = make(kind, "int8", dropout=0.0)
    before = copy.deepcopy(module._rng)
    for call in (
        lambda: module.forward(X),
        lambda: module.trace(X),
        lambda: module.tbptt(X, 2),
        lambda: module.memory_plan(3, 4),
    ):
        with pytest.raises(ValueError, match="precision is 'int8', which is for inference alone"):
            call()
    assert module._rng.random() == before.random(), "a pass that was refused drew numbers"
    x = np.ones((2, 5), np.float32)
    for other in (fl.Linear(5, 3, precision="int8"), SoftmaxDecoder(5, 3, precision="int8")):
        with pytest.raises(ValueError, match="precision is 'int8'"):
            other.forward(x)
    attention = DotAttention(5, precision="int8")
    with pytest.raises(ValueError, match="precision is 'int8'"):
        attention.forward(x[None], x[None])


@pytest.mark.usefixtures("rounding")
@pytest.mark.parametrize("bad", [np.nan, np.inf])
def test_int8_weights_must_be_finite(bad: float) -> None:
    module = fl.LSTM(4, 9, 2, proj_size=3, bidirectional=True, rng=0, precision="int8")
    for name in ("weight_ih_l1", "weight_hh_l0_reverse", "weight_hr_l1_reverse"):
        parameter = getattr(module, name)
        kept = parameter.data[1, 2]
        parameter.data[1, 2] = bad
        with pytest.raises(ValueError, match=rf"^{name}\[1, 2\] is {bad}, expected finite"):
            module(X)
        parameter.data[1, 2] = kept
    module(X)
    cell = fl.GRUCell(4, 9, rng=0, precision="int8")
    cell.weight_hh.data[1, 2] = bad
    with pytest.raises(ValueError, match=r"^weight_hh\[1, 2\] is"):
        cell(X[0])
    for other in (fl.Linear(4, 3, precision="int8"), SoftmaxDecoder(4, 3, precision="int8")):
        other.weight.data[1, 2] = bad
        with pytest.raises(ValueError, match=r"^weight\[1, 2\] is"):
            other(X[0])


@pytest.mark.usefixtures("rounding")
@pytest.mark.parametrize("bad", [np.nan, np.inf])
def test_nan_and_infinity_stay_in_their_row(kind: str, precision: str, bad: float) -> None:
    module, x = make(kind, precision), X.copy()
    y, _ = module(x)
    x[1, 2, 3] = bad
    spoiled, _ = module(x)
    others = np.arange(x.shape[1]) != 2
    np.testing.assert_array_equal(spoiled[:, others], y[:, others])
    if precision == "int8" or np.isnan(bad):
        assert np.isnan(spoiled[1:, 2]).all()


@pytest.mark.slow
def test_numba_says_what_to_do(load_backend: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    load_backend("numba")
    monkeypatch.setenv("FASTLSTM_BACKEND", "numba")
    module = make("lstm", "bfloat16")
    for call in (lambda: module(X), lambda: module.stream(5), lambda: module.memory_plan(3, 4)):
        with pytest.raises(NotImplementedError, match="FASTLSTM_BACKEND=native"):
            call()


def test_every_kind_has_the_option() -> None:
    for cls, options in [*KINDS.values(), *CELL_KINDS.values()]:
        assert cls(3, 6, precision="bfloat16", **options).precision == "bfloat16"
