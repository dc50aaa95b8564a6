"""A parameter that is not trainable: optimizers, averages and clipping leave it alone."""

from __future__ import annotations

import pickle
from typing import Any

import numpy as np
import pytest

from fastlstm.models import TextClassifier
from fastlstm.nn import Parameter, cross_entropy
from fastlstm.text import Encoded, batches
from fastlstm.train import SGD, Adam, AdamW, Average, Trainer
from fastlstm.train.tasks.task import shuffled


def texts() -> Encoded:
    rng = np.random.default_rng(0)
    labels = np.arange(40) % 3
    return Encoded.from_rows([[label + 2, *rng.integers(5, 9, 3)] for label in labels], labels)


@pytest.mark.parametrize("kind", [SGD, Adam, AdamW])
@pytest.mark.parametrize("frozen", ["embedding.weight", "lstm.weight_hh_l0", "head.bias"])
def test_what_is_frozen_stays_and_the_rest_learns(kind: Any, frozen: str) -> None:
    model = TextClassifier(10, 6, 5, num_outputs=3, rng=0)
    named = dict(model.named_parameters())
    named[frozen].trainable = False
    before = model.state_dict()
    trainer = Trainer(
        model, kind(model, 0.05, weight_decay=0.1), cross_entropy, epochs=2, clip=0.1,
        average=Average(model, 0.9),
    )  # fmt: skip
    trainer.fit(*shuffled(batches, texts(), 8, 0))
    for name, value in model.state_dict().items():
        assert np.array_equal(value, before[name]) == (name == frozen), name
    assert not any(frozen in name for name in trainer.optimizer.state_dict())


def test_a_frozen_gradient_is_not_in_the_norm_that_clips() -> None:
    results = []
    for scale in (1, 1000):
        model = TextClassifier(10, 6, 5, num_outputs=3, rng=0)
        model.head.bias.trainable = False  # type: ignore[union-attr]

        def grow(parameters: Any, scale: int = scale, model: Any = model) -> None:
            assert "head.bias" not in dict(parameters)
            model.head.bias.grad[...] *= scale

        trainer = Trainer(
            model, SGD(model, 0.1), cross_entropy, epochs=1, clip=0.01, gradients=grow
        )
        trainer.fit(*shuffled(batches, texts(), 8, 0))
        results.append(model.state_dict())
    for name, value in results[0].items():
        np.testing.assert_array_equal(value, results[1][name])


def test_nothing_to_train() -> None:
    model = TextClassifier(10, 6, 5)
    for parameter in model.parameters():
        parameter.trainable = False
    for make in (lambda: Adam(model), lambda: Average(model, 0.9)):
        with pytest.raises(ValueError, match="parameters has none that is trainable"):
            make()


def test_pickles_keep_it_and_those_of_before_are_trainable() -> None:
    parameter = Parameter(np.ones(3))
    assert pickle.loads(pickle.dumps(parameter)).trainable
    parameter.trainable = False
    assert not pickle.loads(pickle.dumps(parameter)).trainable
    earlier = Parameter.__new__(Parameter)
    earlier._data, earlier._grad, earlier.rows = np.ones(3), None, None
    assert earlier.trainable
