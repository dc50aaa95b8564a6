"""What is collected of a text is what the model does with it."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from inspect_models import LABELS, classifier

from fastlstm.inside import collect, inspect_text
from fastlstm.text import Vocabulary

TEXT = "Not a GOOD film, but it's a very dull, murky ending."
MODELS: list[dict[str, Any]] = [
    {},
    {"bidirectional": True, "num_layers": 2, "pooling": "mean+max"},
    {"cell": "gru", "num_outputs": 3, "pooling": "max"},
    {"cell": "rnn", "bidirectional": True, "dtype": "float64"},
]
IDS = ["lstm", "deep", "gru", "rnn"]


@pytest.mark.parametrize("options", MODELS, ids=IDS)
def test_each_prediction_is_that_of_the_beginning(
    backend_isa: str, options: dict[str, Any], vocab: Vocabulary, monkeypatch: pytest.MonkeyPatch
) -> None:
    """To the bit, and however the beginnings are put into batches."""
    model, tokens = classifier(**options), vocab.encode(TEXT)
    for steps in (1, 30, 1 << 16):
        monkeypatch.setattr(collect, "STEPS", steps)
        found = inspect_text(model, vocab, TEXT)
        assert len(found.logits) == len(tokens) == len(found.words)
        for w in range(len(tokens)):
            np.testing.assert_array_equal(found.logits[w], model(tokens[None, : w + 1])[0])


@pytest.mark.parametrize("options", MODELS, ids=IDS)
def test_the_values_are_those_of_the_layer_asked_for(
    options: dict[str, Any], vocab: Vocabulary
) -> None:
    model = classifier(**options)
    traces = model.recurrent.trace(model.embedding(vocab.encode(TEXT)))
    D = 1 + model.recurrent.bidirectional
    for k, trace in enumerate(traces):
        found = inspect_text(model, vocab, TEXT, layer=k // D, direction=k % D)
        assert list(found.values) == list(trace.values)
        for name, value in trace.values.items():
            np.testing.assert_array_equal(found.values[name], value)
    top = inspect_text(model, vocab, TEXT)
    assert (top.layer, top.direction) == (model.recurrent.num_layers - 1, 0)


@pytest.mark.parametrize("direction", [0, 1])
@pytest.mark.parametrize("options", MODELS[:3], ids=IDS[:3])
def test_what_was_kept_and_added_makes_the_new_state(
    options: dict[str, Any], vocab: Vocabulary, direction: int
) -> None:
    model = classifier(**{**options, "bidirectional": True})
    found = inspect_text(model, vocab, TEXT, direction=direction)
    after = found.values[found.state]
    assert found.kept is not None
    assert found.added is not None
    np.testing.assert_allclose(found.kept + found.added, after, atol=1e-6)
    order = slice(None, None, -1 if direction else 1)
    np.testing.assert_array_equal(found.before[order][1:], after[order][:-1])
    assert not found.before[order][0].any()
    np.testing.assert_array_equal(found.change, np.abs(after - found.before))
    assert found.state == ("c" if found.cell == "lstm" else "h")


def test_a_plain_rnn_has_no_parts(vocab: Vocabulary) -> None:
    found = inspect_text(classifier(cell="rnn"), vocab, TEXT)
    assert found.kept is None
    assert found.added is None
    assert found.gates == {}


def test_words_and_classes(vocab: Vocabulary) -> None:
    found = inspect_text(classifier(), vocab, TEXT, LABELS[2])
    assert found.words == "not a good film but it's a very dull murky ending".split()
    assert found.known.tolist() == [True] * 9 + [False, True]
    assert found.total == 11
    p = found.probabilities
    np.testing.assert_allclose(p[:, 1], 1 / (1 + np.exp(-found.logits.astype(float))))
    np.testing.assert_allclose(p.sum(axis=1), 1)
    assert found.shown_class == 1
    three = inspect_text(classifier(num_outputs=3), vocab, TEXT, LABELS[3])
    assert three.probabilities.shape == (11, 3)
    assert three.shown_class == three.logits[-1].argmax()


def test_a_long_text_is_cut(vocab: Vocabulary) -> None:
    model = classifier(bidirectional=True)
    cut = inspect_text(model, vocab, TEXT, words=4)
    alone = inspect_text(model, vocab, "not a good film")
    assert cut.total == 11
    assert cut.words == alone.words
    np.testing.assert_array_equal(cut.logits, alone.logits)
    np.testing.assert_array_equal(cut.values["f"], alone.values["f"])
    assert len(inspect_text(model, vocab, "good " * 100).words) == 60
    assert len(inspect_text(model, vocab, "good " * 100, words=0).words) == 100


@pytest.mark.parametrize(
    ("options", "error", "message"),
    [
        ({"text": " ... "}, ValueError, "the text has no words"),
        ({"labels": ["one"]}, ValueError, "labels has 1 names, expected 2"),
        ({"layer": 1}, IndexError, "layer is 1, expected 0 to 0"),
        ({"direction": 1}, IndexError, "direction is 1, expected 0 to 0"),
        ({"words": -1}, ValueError, "words is -1"),
    ],
)
def test_wrong_arguments_are_named(
    options: dict[str, Any], error: type[Exception], message: str, vocab: Vocabulary
) -> None:
    with pytest.raises(error, match=message):
        inspect_text(classifier(), vocab, **{"text": TEXT, **options})
