"""ReviewModel: what it predicts, its sampled softmax, its gradients."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from fastlstm.models import TextClassifier, review_model
from fastlstm.models.review_model import ReviewModel
from fastlstm.nn import cross_entropy

V, N, T = 20, 4, 6
LENGTHS = np.array([6, 1, 0, 4])
COUNTS = np.arange(V)[::-1] ** 2


def tokens() -> Any:
    ids = np.random.default_rng(0).integers(1, V, (N, T))
    return np.where(np.arange(T) < LENGTHS[:, None], ids, 0)


def model(**options: Any) -> ReviewModel:
    given = {"embedding_dim": 5, "hidden_size": 4, "dtype": "float64", "samples": 9, **options}
    ours = ReviewModel(COUNTS, rng=np.random.default_rng(1), **given)
    for parameter in ours.parameters():
        parameter.data += 0.3 * np.random.default_rng(2).standard_normal(parameter.data.shape)
    ours.embedding.weight.data[0] = 0
    return ours


OPTIONS = [{}, {"bidirectional": True}, {"cell": "gru", "num_layers": 2}]
WINDOWS = [*OPTIONS, {"bidirectional": True, "window": 3, "subsample": 0.01}]


def expected_loss(ours: ReviewModel) -> float:
    """By single texts: each word but the first from those before, then the end; and back."""
    losses = []
    for row, length in zip(tokens(), LENGTHS, strict=True):
        if not length:
            continue
        words = row[:length]
        y, _ = ours.recurrent(ours.embedding(words[:, None]))
        H = ours.recurrent.hidden_size
        runs = [(y[:, 0, :H], [*words[1:], 0])]
        if ours.recurrent.bidirectional:
            runs.append((y[:, 0, H:], [0, *words[:-1]]))
        for x, targets in runs:
            logits = x @ ours.decoder.weight.data.T + ours.decoder.bias.data
            losses.append((cross_entropy(logits, np.array(targets))[0], length))
    return sum(loss * n for loss, n in losses) / sum(n for _, n in losses)


@pytest.mark.parametrize(("places", "piece"), [(3, 2), (2048, 3), (2048, 512)])
@pytest.mark.parametrize("options", OPTIONS, ids=str)
def test_what_it_predicts(
    options: dict[str, Any], places: int, piece: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(review_model, "PLACES", places)
    monkeypatch.setattr(review_model, "PIECE", piece)
    ours = model(**options)
    expected = expected_loss(ours)
    np.testing.assert_allclose(ours(tokens(), LENGTHS), np.full(N, expected), rtol=1e-12)


@pytest.mark.parametrize("options", OPTIONS, ids=str)
def test_the_sampled_loss_is_that_of_the_full_softmax_in_the_limit(
    options: dict[str, Any],
) -> None:
    expected = expected_loss(model(**options))
    few = model(samples=0, **options)
    many = model(samples=100_000, **options)
    losses, _ = many.forward(tokens(), LENGTHS, np.random.default_rng(0))
    np.testing.assert_allclose(losses, np.full(N, expected), rtol=0.01)
    losses, _ = few.forward(tokens(), LENGTHS, np.random.default_rng(0))
    assert abs(losses[0] - expected) > 0.02 * expected


@pytest.mark.parametrize("piece", [3, 7, 512])
def test_the_sampled_loss_by_its_definition(piece: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """What is drawn for all places is shared out among the pieces."""
    monkeypatch.setattr(review_model, "PIECE", piece)
    ours, x = model(samples=10), np.random.default_rng(0).standard_normal((7, 4))
    targets = np.array([3, 3, 0, 19, 5, 3, 1])
    drawn = np.random.default_rng(3).random(10)
    q = (COUNTS + 1) / (COUNTS + 1).sum()
    weight, bias, expected = ours.decoder.weight.data, ours.decoder.bias.data, 0.0
    ends = [4, 7, 10] if piece == 3 else [10]
    for i, end in enumerate(ends):
        part, begin = targets[i * piece : (i + 1) * piece], ends[i - 1] if i else 0
        words = [*part, *(int((np.cumsum(q) < u).sum()) for u in drawn[begin:end])]
        for row, target in zip(x[i * piece :], part, strict=False):
            e = {w: np.exp(weight[w] @ row + bias[w]) for w in words}
            n, others = len(words), set(words) - {target}
            rest = sum(words.count(w) / (n * q[w]) * e[w] for w in others)
            expected -= np.log(e[target] / (e[target] + rest))
    loss, _, _ = ours._predict(x, targets, np.random.default_rng(3), 7)
    assert loss == pytest.approx(expected, rel=1e-12)


@pytest.mark.parametrize(("places", "piece"), [(3, 2), (2048, 3), (2048, 512)])
@pytest.mark.parametrize("options", WINDOWS, ids=str)
def test_gradients_against_differences(
    options: dict[str, Any], places: int, piece: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(review_model, "PLACES", places)
    monkeypatch.setattr(review_model, "PIECE", piece)
    ours, rng = model(**options), np.random.default_rng(4)
    losses, tape = ours.forward(tokens(), LENGTHS, np.random.default_rng(3))
    ours.backward(tape, np.array([0.5, 1, 0, 0.25]))
    slope, along = 0.0, {}
    for name, parameter in ours.named_parameters():
        along[name] = rng.standard_normal(parameter.data.shape)
        if name == "embedding.weight":
            along[name][0] = 0
        gradient = np.zeros_like(parameter.data)
        if parameter.rows is None:
            gradient += parameter.grad
        else:
            gradient[parameter.rows.index] = parameter.rows.value
        slope += float(np.sum(gradient * along[name]))
    start, values = ours.state_dict(), []
    for step in (1e-6, -1e-6):
        ours.load_state_dict({k: v + step * along[k] for k, v in start.items()})
        values.append(ours.forward(tokens(), LENGTHS, np.random.default_rng(3))[0][0])
    assert 1.75 * (values[0] - values[1]) / 2e-6 == pytest.approx(slope, rel=1e-6)


def predictions(ours: ReviewModel, rng: Any) -> list[tuple[int, int, int, int]]:
    """Step, text and direction of each place that predicts a word, and the word."""
    D, found = 1 + ours.recurrent.bidirectional, []
    pieces = ours._predictions(np.zeros((T, N, 4 * D)), tokens(), LENGTHS, 2, rng)
    assert all(len(rows) <= 2 for rows, _ in pieces)
    for rows, words in pieces:
        for row, word in zip(rows.tolist(), words.tolist(), strict=True):
            found.append((row // (N * D), row // D % N, row % D, word))
    return found


def test_a_window_of_words_to_predict() -> None:
    """Each of them, or the end, comes about as often as the others; what is beyond it never."""
    ours, rng, seen = model(bidirectional=True, window=3), np.random.default_rng(5), {}
    for _ in range(600):
        for *place, word in predictions(ours, rng):
            counts = seen.setdefault(tuple(place), {})
            counts[word] = counts.get(word, 0) + 1
    text = tokens()
    for (t, n, d), counts in seen.items():
        row, length = text[n], LENGTHS[n]
        near = range(t + 1, t + 4) if d == 0 else range(t - 1, t - 4, -1)
        allowed = [0 if k in (-1, length) else row[k] for k in near if -1 <= k <= length]
        expected = {int(w): 200 * allowed.count(w) for w in allowed}
        assert counts.keys() == expected.keys()
        assert all(abs(counts[w] - expected[w]) < 5 * np.sqrt(expected[w]) for w in expected)
    assert len(seen) == 2 * LENGTHS.sum()


def test_frequent_words_are_predicted_by_a_part_of_their_places() -> None:
    ours, rng, counts = model(subsample=0.01), np.random.default_rng(6), np.zeros(V)
    plain = np.bincount([word for *_, word in predictions(model(), rng)], minlength=V)
    for _ in range(2000):
        counts += np.bincount([word for *_, word in predictions(ours, rng)], minlength=V)
    share = (COUNTS + 1) / (COUNTS + 1).sum()
    keep = np.minimum(1, np.sqrt(0.01 / share))
    assert (keep < 1).any()
    assert (keep == 1).any()
    np.testing.assert_allclose(counts, 2000 * plain * keep, atol=4 * np.sqrt(2000 * plain).max())
    np.testing.assert_allclose(ours._q, share * keep / (share * keep).sum(), rtol=1e-12)


@pytest.mark.parametrize("options", OPTIONS, ids=str)
def test_a_drawn_word_is_the_same_in_each_measurement(options: dict[str, Any]) -> None:
    ours = model(window=3, subsample=0.01, **options)
    first = ours(tokens(), LENGTHS)
    np.testing.assert_array_equal(first, ours(tokens(), LENGTHS))
    losses, tape = ours.forward(tokens(), LENGTHS, np.random.default_rng(0))
    ours.backward(tape, np.ones(N))
    again, _ = ours.forward(tokens(), LENGTHS, np.random.default_rng(0))
    other, _ = ours.forward(tokens(), LENGTHS, np.random.default_rng(1))
    np.testing.assert_array_equal(losses, again)
    assert losses[0] != other[0]


@pytest.mark.parametrize("options", OPTIONS, ids=str)
def test_a_classifier_takes_its_weights(options: dict[str, Any]) -> None:
    ours = model(**options)
    sizes = {"embedding_dim": 5, "hidden_size": 4, "dtype": "float64", **options}
    classifier = TextClassifier(V, pooling="mean", **sizes)
    before = classifier.head.weight.data.copy()
    classifier.load_state_dict({**classifier.state_dict(), **ours.weights()})
    assert set(ours.weights()) == {n for n in classifier.state_dict() if "head" not in n}
    np.testing.assert_array_equal(classifier.embedding.weight.data, ours.embedding.weight.data)
    np.testing.assert_array_equal(classifier.head.weight.data, before)


def test_wrong_options() -> None:
    with pytest.raises(ValueError, match="num_layers is 2, expected 1 with two directions"):
        model(bidirectional=True, num_layers=2)
    with pytest.raises(ValueError, match="samples is -1, expected at least 0"):
        model(samples=-1)
    with pytest.raises(ValueError, match="window is 0, expected at least 1"):
        model(window=0)
    for wrong in (-0.1, np.nan, np.inf):
        with pytest.raises(ValueError, match="subsample is .*, expected 0 or more"):
            model(subsample=wrong)
