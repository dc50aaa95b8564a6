"""Single steps of many models in one call."""

from __future__ import annotations

import copy
import pickle
from typing import Any

import numpy as np
import pytest
from kinds import N, T
from many_models import M, as_stacked, batches, draw_states, layers

import fastlstm as fl


@pytest.mark.parametrize("options", [{}, {"dtype": "float32", "num_layers": 2}], ids=str)
def test_steps_are_those_of_each_stream(
    backend_isa: str, kind: str, options: dict[str, Any]
) -> None:
    made = layers(kind, **options)
    x = batches(made[0])
    many, each = fl.together(made).stream(N), [one.stream(N) for one in made]
    for t in range(T):
        y = many(x[:, t])
        np.testing.assert_array_equal(y, [s(x[m, t]) for m, s in enumerate(each)])
    for i, part in enumerate(many.state):
        np.testing.assert_array_equal(part, [s.state[i] for s in each])


def test_steps_on_many_threads(native: Any) -> None:
    made = layers("lstm", 400, 4, 33, dtype="float32")
    x = batches(made[0], 400)
    steps = []
    for threads in (1, 2):
        with fl.num_threads(threads):
            stream = as_stacked(made).stream(N)
            steps.append(np.stack([stream(x[:, t]) for t in range(T)], 1))
    np.testing.assert_array_equal(*steps)
    np.testing.assert_array_equal(steps[0], fl.together(made)(x)[0])


def test_state_and_reset(backend_isa: str) -> None:
    made = layers("lstm")
    stream, x = fl.together(made).stream(N), batches(made[0])[:, 0]
    first = stream(x).copy()
    assert (stream(x) != first).any()
    stream.reset()
    np.testing.assert_array_equal(stream(x), first)
    state = tuple(draw_states(made[0]))
    stream.state = state
    for part, given in zip(stream.state, state, strict=True):
        np.testing.assert_array_equal(part, given)
    np.testing.assert_array_equal(stream(x), fl.together(made)(x[:, None], state)[0][:, 0])


@pytest.mark.parametrize("kind", ["gru", "lstm"])
def test_what_is_read_may_be_assigned(kind: str) -> None:
    stream, x = fl.together(layers(kind)).stream(), np.ones((M, 4))
    stream(x)
    kept, expected = stream.state, stream(x).copy()
    stream.state = kept
    np.testing.assert_array_equal(stream(x), expected)


def test_copies_of_a_stream_go_their_own_way(backend_isa: str) -> None:
    stream, x = fl.together(layers("gru")).stream(), np.ones((M, 4))
    stream(x)
    for other in (copy.copy(stream), copy.deepcopy(stream), pickle.loads(pickle.dumps(stream))):
        expected = copy.deepcopy(stream)(x)
        np.testing.assert_array_equal(other(x), expected)
        np.testing.assert_array_equal(copy.deepcopy(stream)(x), expected)


def test_weights_are_copied() -> None:
    made = layers("rnn-tanh")
    joined = fl.together(made)
    stream, x = joined.stream(), np.ones((M, 4))
    before = stream(x).copy()
    for parameter in joined.parameters():
        parameter.data[...] = 0
    stream.reset()
    np.testing.assert_array_equal(stream(x), before)
    assert before.shape == (M, 9)


def test_wrong_steps() -> None:
    stream = fl.together(layers("lstm")).stream(N)
    for x, message in (
        (np.zeros((M, N, 3)), "x has shape"),
        (np.zeros((M + 1, N, 4)), "x has shape"),
        (np.zeros((M, 4)), "x has shape"),
        (None, "x is a NoneType"),
    ):
        with pytest.raises((TypeError, ValueError), match=message):
            stream(x)  # type: ignore[arg-type]
    with pytest.raises(ValueError, match=r"state\[0\] has shape"):
        stream.state = (np.zeros((1, N, 9)),) * 2
    with pytest.raises(ValueError, match="bidirectional is True"):
        fl.together(layers("lstm", bidirectional=True)).stream()
