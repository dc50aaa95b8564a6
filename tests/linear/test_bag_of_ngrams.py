"""The linear classifier of texts: what it says, and its stored form."""

from __future__ import annotations

import json
from typing import Any

import numpy as np
import pytest
from linear_texts import LABELS, TEXTS

from fastlstm.linear import BagOfNgrams, NgramOptions, TokenRows

ROWS = TokenRows.from_texts(TEXTS)


@pytest.fixture(scope="module")
def model() -> BagOfNgrams:
    return BagOfNgrams.fit(ROWS, LABELS, 2)


def test_it_learns_its_texts(model: BagOfNgrams) -> None:
    assert ((model.logits(ROWS) > 0) == LABELS).all()


def test_three_classes_have_three_logits() -> None:
    labels = [0, 1, 2, 0, 1, 2, 2, 0]
    found = BagOfNgrams.fit(ROWS, labels, 3).logits(ROWS)
    assert found.shape == (8, 3)
    assert (found.argmax(1) == labels).all()


def test_a_text_is_judged_alone(model: BagOfNgrams) -> None:
    whole = model.logits(ROWS)
    for n, text in enumerate(TEXTS):
        assert model.logits(TokenRows.from_texts([text]))[0] == whole[n]


@pytest.mark.parametrize("chars", [None, (2, 5)])
@pytest.mark.parametrize("classes", [2, 3])
def test_shares_sum_to_the_logit(chars: tuple[int, int] | None, classes: int) -> None:
    labels = np.arange(8) % classes
    model = BagOfNgrams.fit(ROWS, labels, classes, NgramOptions(chars=chars))
    for n, text in enumerate(TEXTS):
        tokens = [ROWS.tokens[i] for i in ROWS.ids[ROWS.offsets[n] : ROWS.offsets[n + 1]]]
        found = model.contributions(tokens)
        logit = model.logits(TokenRows.from_texts([text]))[0]
        np.testing.assert_allclose(found.sum(0) + model.intercept, logit, atol=1e-9)
        assert found.shape == (len(tokens),) + ((3,) if classes == 3 else ())
    assert len(model.contributions([])) == 0
    assert not model.contributions(["zzzz"]).any()


def test_a_share_is_of_the_ngrams_that_a_token_is_in() -> None:
    options = NgramOptions(words=(2, 2), chars=None)
    model = BagOfNgrams.fit(TokenRows.from_lists([["a", "b"], ["c", "d"]]), [1, 0], 2, options)
    found = model.contributions(["x", "a", "b", "x", "a", "b"])
    assert found[0] == found[3] == 0
    assert len(set(found[[1, 2, 4, 5]])) == 1
    assert found[1] > 0


def test_a_stored_model_is_the_same(model: BagOfNgrams) -> None:
    again = BagOfNgrams.from_state(model.state(), json.loads(json.dumps(model.options())))
    np.testing.assert_array_equal(again.logits(ROWS), model.logits(ROWS))
    np.testing.assert_array_equal(again.contributions(["fine"]), model.contributions(["fine"]))


@pytest.mark.parametrize(
    ("damage", "message"),
    [
        ({"word_keys": None}, "word_keys is missing"),
        ({"weights": None}, "weights is missing"),
        ({"word_keys": lambda a: a[::-1]}, r"word_keys\[1\] is \d+, expected more than"),
        ({"char_keys": lambda a: a.astype(np.int64)}, "char_keys is of int64, expected uint64"),
        ({"char_keys": lambda a: a[None]}, "char_keys has shape"),
        ({"word_keys": lambda a: a[1:]}, "scales has shape"),
        ({"scales": lambda a: a[1:]}, "scales has shape"),
        ({"scales": lambda a: a * np.nan}, "scales has a number that is not finite"),
        ({"scales": lambda a: a * np.float32(1e35)}, "scales has a number that is not finite, or"),
        ({"intercept": lambda a: a + 1e300}, r"intercept has a number .* beyond 1e\+30"),
        ({"scales": lambda a: -a}, "scales has a negative number"),
        ({"weights": lambda a: a[:, 0]}, "weights has shape"),
        ({"weights": lambda a: a + np.inf}, "weights has a number that is not finite"),
        ({"weights": lambda a: a.astype(float)}, "weights is of float64, expected float32"),
        ({"intercept": lambda a: np.zeros(2)}, "intercept has shape"),
        ({"intercept": lambda a: 1.0}, "intercept is missing"),
    ],
)
def test_damaged_arrays(model: BagOfNgrams, damage: dict[str, Any], message: str) -> None:
    arrays = model.state()
    for name, change in damage.items():
        arrays[name] = None if change is None else change(arrays[name])
    arrays = {name: array for name, array in arrays.items() if array is not None}
    with pytest.raises(ValueError, match=message):
        BagOfNgrams.from_state(arrays, model.options())


@pytest.mark.parametrize(
    ("damage", "message"),
    [
        ({"version": 2}, "version is 2, expected 1"),
        ({"version": None}, "version is None"),
        ({"words": [0, 3]}, r"words is \(0, 3\)"),
        ({"words": "13"}, "words is '13'"),
        ({"words": [1, 10**9]}, "words is"),
        ({"words": [1.0, 2.0]}, "words is"),
        ({"words": None}, "words is None"),
        ({"chars": [3, 2]}, "chars is"),
        ({"chars": None}, r"char_keys has \d+ entries, expected none"),
        ({"num_classes": 3}, r"weights has shape \(\d+, 1\), expected \(\d+, 3\)"),
        ({"num_classes": 1}, "num_classes is 1"),
        ({"num_classes": True}, "num_classes is True"),
        ({"num_classes": 10**30}, "num_classes is 1000"),
    ],
)
def test_damaged_options(model: BagOfNgrams, damage: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        BagOfNgrams.from_state(model.state(), {**model.options(), **damage})
