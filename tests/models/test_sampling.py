"""`sample`: the likeliest, the right chances, what is excluded, errors."""

from __future__ import annotations

import re
from typing import Any

import numpy as np
import pytest

from fastlstm.models import LanguageModel, sample

V = 12


def model(**options: Any) -> LanguageModel:
    given = {"embedding_dim": 6, "hidden_size": 8, "dtype": "float64", **options}
    return LanguageModel(V, rng=np.random.default_rng(1), init_range=1.0, **given)


@pytest.mark.parametrize(
    "options",
    [
        {},
        {"cell": "gru", "num_layers": 2},
        {"cell": "rnn", "projection": 6, "tied": True},
        {"cutoffs": [2, 5], "div_value": 1.5},
    ],
)
def test_without_temperature_it_takes_the_likeliest(options: dict[str, Any]) -> None:
    ours = model(**options)
    text = [3, 1, 4]
    for _ in range(20):
        logits, _ = ours(np.array(text)[:, None])
        text.append(int(logits[-1, 0].argmax()))
    assert sample(ours, 20, text[:3], 0).tolist() == text[3:]
    assert sample(ours, 20, text[:3], 1e-300).tolist() == text[3:]


@pytest.mark.parametrize("temperature", [0.5, 1.0, 3.0])
def test_the_chances(temperature: float) -> None:
    ours, rng = model(), np.random.default_rng(0)
    logits, _ = ours(np.array([[3], [1]]))
    barred = [2, 7]
    z = logits[-1, 0] / temperature
    z[barred] = -np.inf
    expected = np.exp(z - z.max()) / np.exp(z - z.max()).sum()
    drawn = [int(sample(ours, 1, [3, 1], temperature, rng, exclude=barred)[0]) for _ in range(3000)]
    counts = np.bincount(drawn, minlength=V)
    assert not counts[barred].any()
    seen = expected > 0.003
    np.testing.assert_allclose(counts[seen] / 3000, expected[seen], rtol=0, atol=0.04)


def test_the_same_generator_writes_the_same() -> None:
    ours = model()
    one, two, three = (sample(ours, 30, [1], 1.0, np.random.default_rng(s)) for s in (5, 5, 6))
    np.testing.assert_array_equal(one, two)
    assert (one != three).any()
    assert len(sample(ours, 0, [1])) == 0


WRONG = [
    ({"length": -1}, ValueError, "length is -1, expected at least 0"),
    ({"prompt": []}, ValueError, "prompt is empty, expected at least one token"),
    ({"prompt": np.zeros(0, int)}, ValueError, "prompt is empty, expected at least one token"),
    ({"prompt": [V]}, IndexError, "prompt[0] is 12, expected 0 to 11"),
    ({"prompt": [[1]]}, ValueError, "prompt has shape (1, 1), expected 1 axis"),
    ({"temperature": -1.0}, ValueError, "temperature is -1.0, expected 0 or more"),
    ({"temperature": np.nan}, ValueError, "temperature is nan, expected 0 or more"),
    ({"temperature": "1"}, TypeError, "temperature is '1', expected a number"),
    ({"exclude": [1.5]}, TypeError, "exclude has dtype float64, expected integers"),
    ({"exclude": [True]}, TypeError, "exclude has dtype bool, expected integers"),
    ({"exclude": [V]}, IndexError, "exclude[0] is 12, expected 0 to 11"),
    ({"exclude": range(V)}, ValueError, "exclude names all tokens"),
]


@pytest.mark.parametrize(("options", "error", "message"), WRONG, ids=[w[2] for w in WRONG])
def test_wrong_arguments(options: dict[str, Any], error: type[Exception], message: str) -> None:
    with pytest.raises(error, match=re.escape(message)):
        sample(model(), **{"length": 3, "prompt": [1], **options})
