"""Backward without the gradient of the input: all the others keep their bits."""

from __future__ import annotations

import copy
from typing import Any

import numpy as np
import pytest
from kinds import I, N, T, assert_all_equal, batch, layer, lengths, parts

import fastlstm as fl
from fastlstm.kernels import Tokens
from fastlstm.models import (
    HorizonDecoder,
    SequenceAutoencoder,
    SequenceClassifier,
    SequenceRegressor,
    SequenceTagger,
)
from fastlstm.train.tasks.task import learn

pytestmark = pytest.mark.pairs

OPTIONS: list[dict[str, Any]] = [
    {},
    {"num_layers": 2, "bidirectional": True, "dropout": 0.3, "recompute": 2},
    {"batch_first": True, "dtype": "float32"},
]


def gradients(module: Any) -> dict[str, Any]:
    return {name: p.grad.copy() for name, p in module.named_parameters()}


@pytest.mark.parametrize("options", OPTIONS, ids=str)
def test_a_layer_keeps_the_bits_of_the_others(
    backend_isa: str, kind: str, options: dict[str, Any]
) -> None:
    found = []
    for needs_dx in (True, False):
        made = layer(kind, **options)
        x = batch().astype(made.dtype)
        x = x.swapaxes(0, 1) if made.batch_first else x
        y, _, tape = made.forward(x, lengths=lengths(), rng=np.random.default_rng(4))
        dx, dstate = made.backward(tape, np.cos(y), needs_dx=needs_dx)
        assert (dx is not None) == needs_dx
        found.append({**gradients(made), **dict(zip("hc", parts(dstate), strict=False))})
    assert_all_equal(*found)


def test_in_bfloat16(rounding_isa: str) -> None:
    found = []
    for needs_dx in (True, False):
        made = layer("lstm", num_layers=2, dtype="float32", precision="bfloat16")
        y, _, tape = made.forward(batch().astype(np.float32))
        made.backward(tape, np.cos(y), needs_dx=needs_dx)
        found.append(gradients(made))
    assert_all_equal(*found)


def test_of_one_sequence_and_of_tokens() -> None:
    made = layer("lstm")
    for x in (batch()[:, 0], Tokens(np.zeros((T, N), np.int64), np.ones((1, I)))):
        y, _, tape = made.forward(x)
        assert made.backward(tape, y, needs_dx=False)[0] is None


def test_of_many_models() -> None:
    made = [layer("gru", rng=np.random.default_rng(m)) for m in range(3)]
    x = np.stack([batch(m) for m in range(3)])
    found = []
    flags: tuple[Any, ...] = (True, np.False_)
    for needs_dx in flags:
        together = fl.together(copy.deepcopy(made))
        y, _, tape = together.forward(x)
        dx, dstate = together.backward(tape, y, needs_dx=needs_dx)
        assert (dx is not None) == needs_dx
        found.append({**gradients(together), "state": dstate})
    assert_all_equal(*found)


def models() -> list[tuple[Any, tuple[Any, ...]]]:
    """The models that read numbers, each with its inputs."""
    rng = np.random.default_rng(0)
    x = rng.standard_normal((N, T, I))
    size: Any = {"hidden_size": 6, "dtype": "float64", "rng": 0}
    ahead = rng.standard_normal((N, 3, 2))
    feedback: Any = {"horizon": 3, "future_size": 2, "num_targets": 1, **size}
    return [
        (SequenceClassifier(I, bidirectional=True, num_outputs=3, **size), (x, lengths())),
        (SequenceRegressor(I, num_targets=2, horizon=3, **size), (x, None)),
        (SequenceTagger(input_size=I, num_labels=3, **size), (x, lengths())),
        (SequenceAutoencoder(I, **size), (x, None)),
        (HorizonDecoder(I, **feedback), (x, None, ahead)),
    ]


@pytest.mark.parametrize("number", range(5), ids=lambda n: type(models()[n][0]).__name__)
def test_a_model_that_learns_leaves_it_out(number: int, monkeypatch: pytest.MonkeyPatch) -> None:
    found, needed = [], []
    backward = fl.nn.recurrent.Recurrent.backward

    def watched(self: Any, *args: Any, needs_dx: bool = True) -> Any:
        needed.append(needs_dx)
        return backward(self, *args, needs_dx=needs_dx)

    monkeypatch.setattr(fl.nn.recurrent.Recurrent, "backward", watched)
    for task in (False, True):
        model, inputs = models()[number]
        outputs, tape = model.forward(*inputs, rng=np.random.default_rng(1))
        if task:
            needed.clear()
            learn(model, tape, np.cos(outputs))
            assert not needed[-1]  # of the layer that reads the data
        else:
            dx = model.backward(tape, np.cos(outputs))
            assert dx is not None
        found.append(gradients(model))
    assert_all_equal(*found)


def test_other_models_learn_as_before() -> None:
    class Own:
        """A model of one's own, whose backward has its two arguments."""

        def backward(self, tape: Any, doutputs: Any) -> None:
            self.given = tape, doutputs

    class Standing:
        """Something that stands for a model, and hands on what it is asked for."""

        def __init__(self, model: Any) -> None:
            self._model = model

        def __getattr__(self, name: str) -> Any:
            return getattr(self._model, name)

    for stands in (lambda own: own, Standing):
        model = Own()
        learn(stands(model), "tape", "gradient")  # type: ignore[arg-type]
        assert model.given == ("tape", "gradient")


@pytest.mark.parametrize("wrong", ["no", None, 2])
def test_it_is_a_flag(wrong: Any) -> None:
    made = layer("lstm")
    y, _, tape = made.forward(batch())
    with pytest.raises(TypeError, match="needs_dx is .*, expected True or False"):
        made.backward(tape, y, needs_dx=wrong)
    made.backward(tape, y)  # which was not used up
