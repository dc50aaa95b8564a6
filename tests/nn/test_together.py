"""Many models in one call are, to the bit, calls of each of them."""

from __future__ import annotations

import copy
import pickle
import re
from typing import Any

import numpy as np
import pytest
from kinds import N, T, assert_all_equal, layer, parts
from many_models import (
    M,
    as_stacked,
    as_state,
    batches,
    draw_gradients,
    draw_lengths_of_each,
    draw_states,
    grads,
    layers,
    run,
    run_each,
    run_together,
)

import fastlstm as fl

pytestmark = pytest.mark.pairs

OPTIONS: list[dict[str, Any]] = [
    {},
    {"batch_first": True, "bias": False, "recompute": 2},
    {"num_layers": 3, "batch_first": True},
    {"bidirectional": True, "recompute": 4},
]


@pytest.fixture(params=["together", "stacked"])
def join(request: pytest.FixtureRequest) -> Any:
    """What makes one module of layers."""
    return fl.together if request.param == "together" else as_stacked


def test_bits_of_each(backend_isa: str, kind: str, join: Any) -> None:
    made = layers(kind, num_layers=2, bidirectional=True, dtype="float32")
    x, lengths = batches(made[0]), draw_lengths_of_each()
    joined, expected = join(copy.deepcopy(made)), run_each(made, x, lengths)
    assert_all_equal(run_together(joined, x, lengths), expected)


@pytest.mark.parametrize("options", OPTIONS, ids=str)
def test_bits_with_options(kind: str, options: dict[str, Any]) -> None:
    made = layers(kind, **options)
    x = batches(made[0])
    for lengths in (None, draw_lengths_of_each()[3]):
        joined = fl.together(copy.deepcopy(made))
        assert_all_equal(
            run_together(joined, x, lengths), run_each(copy.deepcopy(made), x, lengths)
        )


@pytest.mark.parametrize("kind", ["lstm", "gru", "rnn-tanh"])
def test_bits_on_many_threads(isa: str, kind: str, join: Any) -> None:
    """Enough models that threads take them in turns; other sizes than a vector's."""
    made = layers(kind, 70, 5, 17, dtype="float32")
    x = batches(made[0], 70)
    expected = run_each(copy.deepcopy(made), x)
    for threads in (1, 2, 3):
        with fl.num_threads(threads):
            assert_all_equal(run_together(join(copy.deepcopy(made)), x), expected)


@pytest.mark.parametrize("precision", ["bfloat16", "int8"])
def test_bits_in_lower_precision(rounding: None, join: Any, precision: str) -> None:
    made = layers("lstm", dtype="float32", precision=precision)
    x = batches(made[0])
    y, state = join(copy.deepcopy(made))(x)
    for m, one in enumerate(made):
        alone, alone_state = one(x[m])
        np.testing.assert_array_equal(y[m], alone)
        for a, b in zip(state, alone_state, strict=True):
            np.testing.assert_array_equal(a[m], b)
    if precision == "bfloat16":
        expected = run_each(copy.deepcopy(made), x)
        assert_all_equal(run_together(join(made), x), expected)


def test_calling_is_forward(kind: str, join: Any) -> None:
    made = join(layers(kind))
    x = batches(made[0])
    y, state = made(x)
    trained, trained_state, _ = made.forward(x)
    for a, b in zip((y, *parts(state)), (trained, *parts(trained_state)), strict=True):
        np.testing.assert_array_equal(a, b)


def test_one_row_without_its_axis(kind: str, join: Any) -> None:
    made = layers(kind)
    x = batches(made[0], rows=1)
    state, (dy, dstate) = draw_states(made[0], rows=1), draw_gradients(made[0], x)
    whole = run(join(copy.deepcopy(made)), x, as_state(state), None, (dy, as_state(dstate)))
    flat = run(
        join(made),
        x[:, :, 0],
        as_state([s[:, :, 0] for s in state]),
        None,
        (dy[:, :, 0], as_state([d[:, :, 0] for d in dstate])),
    )
    assert_all_equal(flat, {name: value[:, :, 0] for name, value in whole.items()})


def test_one_batch_for_all(kind: str, join: Any) -> None:
    made = layers(kind)
    x = batches(made[0], 1)[0]
    y, _ = join(made)(np.broadcast_to(x, (M, *x.shape)))
    for m, one in enumerate(made):
        np.testing.assert_array_equal(y[m], one(x)[0])


def test_gradients_by_differences(native: Any, join: Any) -> None:
    """Of x and of each model's weights, along a random direction, in float64."""
    made = join(layers("lstm", 2))
    x = batches(made[0], 2)
    dy = draw_gradients(made[0], x)[0]
    made.zero_grad()
    _, _, tape = made.forward(x)
    dx, _ = made.backward(tape, dy)
    found = {name: parameter.grad.copy() for name, parameter in made.named_parameters()}

    def slope(array: Any) -> tuple[Any, float]:
        way = np.random.default_rng(9).standard_normal(array.shape)
        losses = []
        for step in (1e-5, -1e-5):
            array += step * way
            losses.append(float((made(x)[0] * dy).sum()))
            array -= step * way
        return way, (losses[0] - losses[1]) / 2e-5

    way, expected = slope(x)
    np.testing.assert_allclose((dx * way).sum(), expected, rtol=1e-6)
    for name, parameter in made.named_parameters():
        way, expected = slope(parameter.data)
        np.testing.assert_allclose((found[name] * way).sum(), expected, rtol=1e-6, atol=1e-8)


def test_gradients_add_up_until_they_are_zeroed(join: Any) -> None:
    made = join(layers("gru"))
    x = batches(made[0])
    made.zero_grad()
    assert not any(p.grad.any() for p in made.parameters())
    _, _, tape = made.forward(x)
    made.backward(tape, np.ones((M, T, N, 9)))
    once = [p.grad.copy() for p in made.parameters()]
    _, _, tape = made.forward(x)
    made.backward(tape, np.ones((M, T, N, 9)))
    for parameter, before in zip(made.parameters(), once, strict=True):
        np.testing.assert_allclose(parameter.grad, 2 * before, rtol=1e-12)


def test_parts_of_the_gradient_may_be_missing(join: Any) -> None:
    made = join(layers("lstm"))
    x = batches(made[0])
    _, _, tape = made.forward(x)
    dx, _ = made.backward(tape, None)
    assert not dx.any()
    _, _, tape = made.forward(x)
    dx, _ = made.backward(tape, None, (None, np.ones((M, 1, N, 9))))
    assert dx.any()


def test_changes_of_the_weights_are_seen(join: Any) -> None:
    """In place, of an array or of a parameter, whatever was planned before."""
    made = join(layers("lstm"))
    x = batches(made[0])
    made(x)
    name, parameter = next(iter(made.named_parameters()))
    for change in ("in place", "array", "parameter"):
        values = parameter.data * 0.5
        owner = made if "." not in name else made[0]
        if change == "in place":
            parameter.data[...] = values
        elif change == "array":
            parameter.data = values
        else:
            setattr(owner, name.rpartition(".")[2], fl.Parameter(values))
        y, _ = made(x)
        for m in range(M):
            np.testing.assert_array_equal(y[m], made[m](x[m])[0], err_msg=change)
        _, _, tape = made.forward(x)
        made.zero_grad()
        made.backward(tape, np.ones_like(y))
        assert all(p.grad.any() for p in made.parameters()), change
        name, parameter = next(iter(made.named_parameters()))


def test_together_reads_the_layers_in_place() -> None:
    made = layers("lstm")
    arrays = [p.data for one in made for p in one.parameters()]
    joined = fl.together(made)
    _, _, tape = joined.forward(batches(made[0]))
    before = grads(made)
    joined.backward(tape, np.ones((M, T, N, 9)))
    assert all(a is p.data for a, p in zip(arrays, joined.parameters(), strict=True))
    assert all((grads(made)[name] != value).any() for name, value in before.items())
    assert [*joined] == made
    assert len(joined) == joined.models == M


def test_state_dicts(join: Any) -> None:
    made = layers("lstm", num_layers=2)
    joined = join(copy.deepcopy(made))
    for m, one in enumerate(made):
        for name, value in one.state_dict().items():
            np.testing.assert_array_equal(joined[m].state_dict()[name], value)
    other = join(layers("lstm", num_layers=2))
    for parameter in other.parameters():
        parameter.data[...] = 0
    other.load_state_dict(joined.state_dict())
    other[2].load_state_dict(made[0].state_dict())
    x = batches(made[0])
    y, _ = other(x)
    for m, like in enumerate((0, 1, 0, 3)):
        np.testing.assert_array_equal(y[m], made[like](x[m])[0])


def test_copies_and_pickles_are_their_own(join: Any) -> None:
    made = join(layers("gru"))
    x = batches(made[0])
    y, _, tape = made.forward(x)
    for other in (copy.deepcopy(made), pickle.loads(pickle.dumps(made))):
        np.testing.assert_array_equal(other(x)[0], y)
        for parameter in other.parameters():
            parameter.data[...] = 0
    np.testing.assert_array_equal(made(x)[0], y)
    made.backward(tape, y)


def test_options_are_those_of_all(join: Any) -> None:
    made = join(layers("lstm", dtype="float32"))
    assert (made.input_size, made.hidden_size, made.batch_first) == (4, 9, False)
    x = batches(made[0])
    y = made(x)[0]
    made.batch_first = True
    np.testing.assert_array_equal(made(x.swapaxes(1, 2))[0], y.swapaxes(1, 2))
    made.set_precision("bfloat16")
    assert made[M - 1].precision == "bfloat16"
    assert (made(x.swapaxes(1, 2))[0] != y.swapaxes(1, 2)).any()
    assert f"models={M}" in repr(made)


def test_a_shallow_copy_has_options_of_its_own() -> None:
    made = fl.LSTM(4, 6, models=2, rng=0)
    other = copy.copy(made)
    other.precision = "int8"
    assert made.precision == "float32"
    assert other.weight_ih_l0 is made.weight_ih_l0


def test_models_are_picked_one_by_one(join: Any) -> None:
    made = join(layers("gru", 2))
    np.testing.assert_array_equal(made[-1].weight_ih_l0.data, list(made)[1].weight_ih_l0.data)
    for wrong in (slice(1), [0], None, 1.0):
        with pytest.raises(TypeError, match="model is .*, expected an integer"):
            made[wrong]
    for wrong in (2, -3):
        with pytest.raises(IndexError, match=f"model is {wrong}, expected -2 to 1"):
            made[wrong]


def test_models_of_a_generator_and_of_seeds() -> None:
    """The first values are those of layers made one after the other."""
    rng = np.random.default_rng(3)
    one_by_one = [fl.LSTM(4, 9, rng=rng) for _ in range(M)]
    for made, rngs in (
        (fl.LSTM(4, 9, models=M, rng=3), one_by_one),
        (fl.LSTM(4, 9, models=2, rng=[5, 6]), [layer_of(5), layer_of(6)]),
    ):
        for m, like in enumerate(rngs):
            for name, parameter in like.named_parameters():
                np.testing.assert_array_equal(getattr(made, name).data[m], parameter.data)
    assert fl.GRU(4, 9, 2, models=3).weight_ih_l1.data.shape == (3, 27, 9)
    assert type(fl.RNN(4, 9, models=None)) is fl.RNN


def layer_of(seed: int) -> fl.LSTM:
    return fl.LSTM(4, 9, rng=seed)


def test_a_model_of_a_stack_shares_its_arrays() -> None:
    made: Any = fl.LSTM(4, 9, models=M)
    one = made[1]
    one.weight_ih_l0.data[...] = 2
    one.bias_hh_l0.grad[...] = 3
    assert (made.weight_ih_l0.data[1] == 2).all()
    assert not (made.weight_ih_l0.data[0] == 2).any()
    assert (made.bias_hh_l0.grad[1] == 3).all()
    assert not made.bias_hh_l0.grad[0].any()
    with pytest.raises(IndexError):
        made[M]
    assert len([*made]) == M
    made.weight_ih_l0.trainable = False
    assert not made[1].weight_ih_l0.trainable


@pytest.mark.slow(seconds=20)
def test_a_custom_cell_runs_one_by_one(load_backend: Any) -> None:
    load_backend("numba")
    from fastlstm.examples.peephole_lstm import PeepholeLSTM

    made = [PeepholeLSTM(3, 5, rng=m) for m in range(2)]
    x = np.random.default_rng(0).standard_normal((2, 4, 3, 3)).astype("float32")
    y, _ = fl.together(made)(x)
    for m, one in enumerate(made):
        np.testing.assert_array_equal(y[m], one(x[m])[0])


def test_calls_of_two_threads(native: Any) -> None:
    """One module serves several threads: each call has memory of its own."""
    from together import at_once

    made = fl.together(layers("lstm", dtype="float32"))
    x = batches(made[0])
    y, _ = made(x)
    for found in at_once(4, lambda _: [made.forward(x)[0] for _ in range(20)]):
        for one in found:
            np.testing.assert_array_equal(one, y)


WRONG = [
    ({"hidden_size": 8}, "layers[1].hidden_size is 8, expected 9, that of layers[0]"),
    ({"num_layers": 2}, "layers[1].num_layers is 2, expected 1, that of layers[0]"),
    ({"bias": False}, "layers[1].bias is False, expected True"),
    ({"dtype": "float32"}, "layers[1].dtype is dtype('float32'), expected dtype('float64')"),
    ({"batch_first": True}, "layers[1].batch_first is True, expected False"),
    ({"bidirectional": True}, "layers[1].bidirectional is True"),
    ({"proj_size": 3}, "layers[1].proj_size is 3, expected 0"),
    ({"activation": "relu"}, "layers[1].activation is"),
    ({"recompute": 3}, "layers[1].recompute is 3, expected 0"),
]


@pytest.mark.parametrize(("options", "message"), WRONG, ids=str)
def test_layers_that_differ(options: dict[str, Any], message: str) -> None:
    given = {"hidden_size": 9, "dtype": "float64"} | options
    made = [layer("lstm"), fl.LSTM(4, **given)]
    with pytest.raises(ValueError, match=re.escape(message)):
        fl.together(made)


def test_what_is_no_layer() -> None:
    one = layer("lstm")
    with pytest.raises(ValueError, match="layers is empty"):
        fl.together([])
    with pytest.raises(TypeError, match="layers is a LSTM, expected several in a list"):
        fl.together(one)
    with pytest.raises(TypeError, match=r"layers\[1\] is a Linear, expected a recurrent layer"):
        fl.together([one, fl.Linear(3, 4)])  # type: ignore[list-item]
    with pytest.raises(TypeError, match=r"layers\[1\] is a GRU, expected LSTM"):
        fl.together([one, layer("gru")])
    with pytest.raises(ValueError, match=r"layers\[1\].weight_ih_l0 is layers\[0\].weight_ih_l0"):
        fl.together([one, one])
    with pytest.raises(ValueError, match="learn_state is True"):
        fl.together([layer("lstm", learn_state=True)])


def test_a_parameter_that_comes_to_be_shared() -> None:
    made = layers("lstm")
    joined = fl.together(made)
    joined(batches(made[0]))
    made[1].weight_hh_l0 = made[0].weight_hh_l0
    with pytest.raises(ValueError, match=r"layers\[1\].weight_hh_l0 is layers\[0\].weight_hh_l0"):
        joined(batches(made[0]))


def test_an_option_that_comes_to_differ() -> None:
    made = layers("lstm")
    joined = fl.together(made)
    made[2].batch_first = True
    with pytest.raises(ValueError, match=r"layers\[2\].batch_first is True, expected False"):
        joined(batches(made[0]))


@pytest.mark.parametrize("name", ["dropout", "recurrent_dropout", "weight_drop"])
def test_dropout_is_refused_by_name(join: Any, name: str) -> None:
    made = join(layers("lstm", num_layers=2, **{name: 0.5}))
    x = batches(made[0])
    made(x)
    with pytest.raises(ValueError, match=f"{name} is 0.5, expected 0: models in one call"):
        made.forward(x)


def test_training_in_int8_is_refused(native: Any, join: Any) -> None:
    made = join(layers("lstm", dtype="float32", precision="int8"))
    with pytest.raises(ValueError, match="int8"):
        made.forward(batches(made[0]))
    made[0].weight_ih_l0.data[0, 0] = np.inf
    with pytest.raises(ValueError, match="weight_ih_l0"):
        made(batches(made[0]))


def test_another_precision_after_a_call(native: Any, join: Any) -> None:
    made = join(layers("lstm", dtype="float32"))
    x = batches(made[0])
    y = made(x)[0]
    made.precision = "bfloat16"
    assert (made(x)[0] != y).any()
    made.precision = "float32"
    np.testing.assert_array_equal(made(x)[0], y)


BAD_X: list[tuple[Any, str]] = [
    (np.zeros((M + 1, T, N, 4)), rf"x has shape \(5, {T}, {N}, 4\), expected \(4, any, any, 4\)"),
    (np.zeros((M, T, N, 3)), "x has shape"),
    (np.zeros((M, T)), "x has shape"),
    (np.zeros((M, 0, N, 4)), "at least one row and at least one step"),
    (np.full((M, T, N, 4), "a"), "x has dtype"),
    (None, "x is a NoneType"),
    (fl.Tokens(np.zeros((T, N), np.int64), np.zeros((3, 4))), "x is a Tokens"),
]


@pytest.mark.parametrize(("x", "message"), BAD_X, ids=lambda v: str(v)[:20])
def test_wrong_inputs(join: Any, x: Any, message: str) -> None:
    with pytest.raises((TypeError, ValueError), match=message):
        join(layers("lstm"))(x)


def test_wrong_states_lengths_and_gradients(join: Any) -> None:
    made = join(layers("lstm"))
    x, h = batches(made[0]), np.zeros((M, 1, N, 9))
    for state, message in (
        (h, "state is a ndarray, expected a pair"),
        ((h, h[:, :, :2]), r"state\[1\] has shape"),
        ((h[0], h[0]), r"state\[0\] has shape"),
    ):
        with pytest.raises((TypeError, ValueError), match=message):
            made(x, state)
    for lengths, message in (
        (np.full((M, N), T + 1), r"lengths\[0, 0\] is 7, expected 0 to 6"),
        (np.full(N, -1), r"lengths\[0\] is -1"),
        (np.full((N, M), 1), r"lengths has shape \(5, 4\), expected \(5,\) or \(4, 5\)"),
        (np.full(N, 1.0), "lengths has dtype float64"),
    ):
        with pytest.raises((TypeError, ValueError), match=message):
            made(x, None, lengths)
    with pytest.raises(ValueError, match="lengths is given, expected None"):
        made(x[:, :, 0], None, [1])
    with pytest.raises(TypeError, match="unexpected keyword argument 'reset'"):
        made(x, reset=np.zeros((T, N), bool))
    _, _, tape = made.forward(x)
    with pytest.raises(ValueError, match="dy has shape"):
        made.backward(tape, np.zeros((T, N, 9)))
    made.backward(tape, None)
    with pytest.raises(RuntimeError, match="tape was already used"):
        made.backward(tape, None)
    with pytest.raises(ValueError, match="tape is of another"):
        join(layers("lstm")).backward(made.forward(x)[2], None)


def test_weights_that_are_no_numbers_are_named(join: Any) -> None:
    made = join(layers("lstm"))
    made[2].weight_hh_l0.data[0] = np.nan
    with pytest.raises(ValueError, match="weight_hh_l0 holds NaN"):
        made(batches(made[0]))


def test_wrong_numbers_of_models() -> None:
    for models, message in ((0, "models is 0, expected at least 1"), ("3", "models is '3'")):
        with pytest.raises((TypeError, ValueError), match=message):
            fl.LSTM(4, 9, models=models)  # type: ignore[arg-type]
    with pytest.raises(ValueError, match="rng has 2 seeds, expected one, or one for each of 3"):
        fl.LSTM(4, 9, models=3, rng=[1, 2])  # type: ignore[arg-type]
    with pytest.raises(ValueError, match="learn_state is True"):
        fl.GRU(4, 9, models=3, learn_state=True)


@pytest.mark.parametrize("optimizer", ["adam", "adamw", "sgd"])
def test_a_step_of_all_is_a_step_of_each(join: Any, optimizer: str) -> None:
    made = layers("lstm", dtype="float32")
    joined = join(copy.deepcopy(made))
    of_all = fl.train.optim.optimizer(optimizer, joined, 0.1, 0.01)
    of_each = [fl.train.optim.optimizer(optimizer, one, 0.1, 0.01) for one in made]
    for _ in range(3):
        of_all.step(0.5)
        for one in of_each:
            one.step(0.5)
    for m, one in enumerate(made):
        for name, value in one.state_dict().items():
            np.testing.assert_array_equal(joined[m].state_dict()[name], value)


def test_adam_sees_gradients_come_and_go() -> None:
    """Those of a layer that has had none so far, and one that was replaced."""
    made = [fl.LSTM(4, 9, rng=m) for m in range(2)]
    adam = fl.train.Adam(fl.together(made), 0.1)
    before = made[1].state_dict()
    made[0].weight_ih_l0.grad[...] = 1
    adam.step()
    assert all((made[1].state_dict()[name] == value).all() for name, value in before.items())
    made[1].weight_ih_l0.grad[...] = 1
    made[1].weight_ih_l0.data = made[1].weight_ih_l0.data.copy()
    adam.step()
    assert (made[1].state_dict()["weight_ih_l0"] != before["weight_ih_l0"]).all()
    assert copy.deepcopy(adam).steps == 2
