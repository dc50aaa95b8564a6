"""Every ready model in bfloat16 and int8: near float32, trained in the one and used in both."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

import fastlstm as fl
from fastlstm.models import LanguageModel, Seq2Seq, SequenceClassifier, sample
from fastlstm.models.review_model import ReviewModel

RNG = np.random.default_rng(0)
IDS, WORDS = RNG.integers(4, 20, (5, 7)), RNG.integers(4, 18, (5, 6))
LENGTHS, WORD_LENGTHS = np.array([7, 3, 5, 1, 6]), np.array([6, 2, 4, 1, 5])
X = RNG.standard_normal((5, 7, 3)).astype(np.float32)
TRANSLATED = (IDS, LENGTHS, WORDS, WORD_LENGTHS)

# Name -> how to make one, and what it is called with.
MODELS: dict[str, tuple[Callable[[], Any], tuple[Any, ...]]] = {
    "text": (lambda: fl.TextClassifier(20, 8, 9, pooling="mean+max", rng=1), (IDS, LENGTHS)),
    "sequence": (lambda: SequenceClassifier(3, 9, cell="gru", rng=1), (X, LENGTHS)),
    "language": (lambda: LanguageModel(20, 8, 9, projection=8, tied=True, rng=1), (IDS,)),
    "adaptive": (lambda: LanguageModel(20, 8, 8, cutoffs=[5, 9], tied=True, rng=1), (IDS,)),
    "translation": (lambda: Seq2Seq(20, 18, 8, 10, num_layers=2, rng=1), TRANSLATED),
    "tied translation": (lambda: Seq2Seq(20, 18, 8, 10, tied=True, rng=1), TRANSLATED),
    "review": (lambda: ReviewModel(np.arange(1, 20), 8, 9, samples=9, rng=1), (IDS % 19, LENGTHS)),
}
each_model = pytest.mark.parametrize("name", MODELS)


def output(result: Any) -> Any:
    return result[0] if isinstance(result, tuple) else result


@each_model
@pytest.mark.parametrize("precision", ["bfloat16", "int8"])
def test_it_is_near_float32(name: str, precision: str) -> None:
    make, arguments = MODELS[name]
    model = make()
    expected = output(model(*arguments))
    model.set_precision(precision)
    actual = output(model(*arguments))
    error = np.abs(actual - expected).max() / np.abs(expected).max()
    assert 0 < error < 0.05
    model.set_precision("float32")
    np.testing.assert_array_equal(output(model(*arguments)), expected)


@each_model
def test_it_trains_in_bfloat16_and_not_in_int8(name: str) -> None:
    make, arguments = MODELS[name]
    found = []
    for precision in ("float32", "bfloat16"):
        model = make()
        model.set_precision(precision)
        result = model.forward(*arguments, rng=3)
        model.backward(result[-1], np.ones_like(result[0]))
        found.append(gradients(model))
    for (key, expected), actual in zip(found[0].items(), found[1].values(), strict=True):
        norm = max(np.sqrt(np.sum(expected**2)), 1e-6)
        assert np.sqrt(np.sum((actual - expected) ** 2)) < 0.1 * norm, key
    model.set_precision("int8")
    with pytest.raises(ValueError, match="precision is 'int8', which is for inference alone"):
        model.forward(*arguments, rng=3)


def test_a_decoder_in_int8_is_not_trained_in_another_precision() -> None:
    make, arguments = MODELS["review"]
    model = make()
    model.decoder.precision = "int8"
    with pytest.raises(ValueError, match="precision is 'int8', which is for inference alone"):
        model.forward(*arguments)


def gradients(model: Any) -> dict[str, Any]:
    """Dense gradients by name."""
    found = {}
    for name, parameter in model.named_parameters():
        found[name] = parameter.grad.copy()
        if parameter.rows is not None:
            found[name][parameter.rows.index] += parameter.rows.value
    return found


@pytest.mark.parametrize("precision", ["bfloat16", "int8"])
def test_it_writes_and_translates(precision: str) -> None:
    language, translation = MODELS["language"][0](), MODELS["translation"][0]()
    for model in (language, translation):
        model.set_precision(precision)
    assert len(sample(language, 10, [3, 4], rng=0)) == 10
    assert len(translation.beam_search(IDS, LENGTHS, 3)) == len(IDS)
