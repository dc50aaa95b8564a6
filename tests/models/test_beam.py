"""Greedy and beam search: against every sequence there is, by hand, in batches, the options."""

from __future__ import annotations

import re
from itertools import product
from typing import Any

import numpy as np
import pytest

from fastlstm.models import Seq2Seq

V, W, N, BOS, EOS = 9, 6, 4, 2, 3
SOURCE = np.random.default_rng(0).integers(1, V, (N, 5))
LENGTHS = np.array([5, 2, 0, 4])


def model(scale: float = 3.0, **options: Any) -> Seq2Seq:
    """A model of few words that is sure enough of itself for results to differ."""
    rng = np.random.default_rng(11)
    ours = Seq2Seq(V, W, 6, 8, embedding_std=1.0, dtype="float64", rng=rng, **options)
    for parameter in ours.parameters():
        parameter.data *= scale
    ours.decoder.head.bias.data[EOS] = 0  # type: ignore[union-attr]
    return ours


def log_probability(ours: Seq2Seq, n: int, words: list[int]) -> float:
    """That of the words, or with EOS at their end of the words that end there."""
    target = np.array([[BOS, *words]])[:, :-1] if words else np.zeros((1, 0), int)
    logits = ours(SOURCE[n : n + 1], LENGTHS[n : n + 1], target)
    z = logits - logits.max(axis=1, keepdims=True)
    z -= np.log(np.exp(z).sum(axis=1, keepdims=True))
    return float(z[np.arange(len(words)), words].sum())


def all_sequences(longest: int) -> list[list[int]]:
    words = [i for i in range(W) if i not in (0, BOS, EOS)]
    return [list(s) for n in range(longest) for s in product(words, repeat=n)]


@pytest.mark.parametrize("alpha", [0.0, 1.0])
def test_a_wide_beam_finds_the_best_of_all(alpha: float) -> None:
    ours, longest = model(), 4
    found = ours.beam_search(SOURCE, LENGTHS, 120, alpha, max_length=longest)
    for n in range(N):
        every = {
            tuple(s): log_probability(ours, n, [*s, EOS]) / ((6 + len(s)) / 6) ** alpha
            for s in all_sequences(longest)
        }
        ended = [h for h in found[n] if h.ended]
        assert sorted(every) == sorted(tuple(h.tokens.tolist()) for h in ended)
        for h in ended:
            assert h.score == pytest.approx(every[tuple(h.tokens.tolist())], rel=1e-12)
        scores = [h.score for h in ended]
        assert scores == sorted(scores, reverse=True)
        assert ended == found[n][: len(ended)]


@pytest.mark.parametrize("options", [{}, {"attention": False}])
def test_greedy_by_hand(options: dict[str, Any]) -> None:
    ours = model(**options)
    written = ours.greedy(SOURCE, LENGTHS, max_length=6)
    for n in range(N):
        words: list[int] = []
        while len(words) < 6:
            logits = ours(SOURCE[n : n + 1], LENGTHS[n : n + 1], np.array([[BOS, *words]]))[-1]
            logits[[0, BOS]] = -np.inf
            words.append(int(logits.argmax()))
            if words[-1] == EOS:
                words.pop()
                break
        assert written[n].tolist() == words
    assert len({tuple(w.tolist()) for w in written}) > 1


def test_a_beam_by_hand() -> None:
    """One sentence, all its hypotheses scored anew at each step."""
    ours, K, longest = model(1.7), 3, 7
    for n in range(N):
        alive: list[list[int]] = [[]]
        ended: list[tuple[float, list[int]]] = []
        for _ in range(longest):
            children = [[*s, w] for s in alive for w in range(W) if w not in (0, BOS)]
            children.sort(key=lambda s: -log_probability(ours, n, s))
            for s in children[:K]:
                if s[-1] == EOS:
                    score = log_probability(ours, n, s) / ((5 + len(s)) / 6) ** 0.6
                    ended.append((score, s[:-1]))
            alive = [s for s in children if s[-1] != EOS][:K]
            if len(ended) >= K:
                break
        found = ours.beam_search(SOURCE[n : n + 1], LENGTHS[n : n + 1], K, max_length=longest)[0]
        ended.sort(reverse=True)
        assert [h.tokens.tolist() for h in found if h.ended] == [s for _, s in ended[:K]]
        assert len(found) == K


@pytest.mark.parametrize("beam_size", [1, 2, 4])
def test_a_batch_is_searched_as_each_row_alone(beam_size: int) -> None:
    ours = model()
    together = ours.beam_search(SOURCE, LENGTHS, beam_size, max_length=9)
    for n in range(N):
        width = max(LENGTHS[n], 1)
        (alone,) = ours.beam_search(
            SOURCE[n : n + 1, :width], LENGTHS[n : n + 1], beam_size, max_length=9
        )
        assert [h.tokens.tolist() for h in alone] == [h.tokens.tolist() for h in together[n]]
        np.testing.assert_allclose(
            [h.score for h in alone], [h.score for h in together[n]], rtol=1e-10
        )


def test_a_wider_beam_finds_likelier_sequences() -> None:
    ours = model()
    scores = [
        sum(h[0].score for h in ours.beam_search(SOURCE, LENGTHS, k, 0.0, max_length=20))
        for k in (1, 8)
    ]
    assert scores[1] > scores[0]


def test_the_length_penalty_makes_results_longer() -> None:
    ours = model(2.0)
    lengths = [
        sum(len(h[0].tokens) for h in ours.beam_search(SOURCE, LENGTHS, 30, alpha, max_length=8))
        for alpha in (0.0, 3.0)
    ]
    assert lengths[0] < lengths[1]


def test_marks_and_forbidden_words_are_never_written() -> None:
    ours = model()
    ours.decoder.head.bias.data[[0, BOS, 1]] = 50  # type: ignore[union-attr]
    for forbidden, rest in (((), {1}), ((1,), {4, 5}), (np.array([1, 4]), {5})):
        found = ours.beam_search(SOURCE, LENGTHS, 3, max_length=5, forbidden=forbidden)  # type: ignore[arg-type]
        written = {int(t) for hypotheses in found for h in hypotheses for t in h.tokens}
        assert written <= rest | {4, 5} - set(np.asarray(forbidden).tolist())
        assert written & rest


def test_the_longest_length() -> None:
    ours = model()
    ours.decoder.head.bias.data[EOS] = -50  # type: ignore[union-attr]
    for hypotheses in ours.beam_search(SOURCE, LENGTHS, 2, 0.0, max_length=3):
        assert [len(h.tokens) for h in hypotheses] == [3, 3]
        assert not any(h.ended for h in hypotheses)
        best = hypotheses[0]
        n = next(n for n in range(N) if best.score == pytest.approx(
            log_probability(ours, n, best.tokens.tolist()), rel=1e-12
        ))  # fmt: skip
        assert 0 <= n < N
    ours.decoder.head.bias.data[EOS] = 50  # type: ignore[union-attr]
    assert [w.tolist() for w in ours.greedy(SOURCE, LENGTHS)] == [[]] * N


WRONG = [
    ({"beam_size": 0}, ValueError, "beam_size is 0, expected at least 1"),
    ({"beam_size": 2.0}, TypeError, "beam_size is 2.0, expected an integer"),
    ({"alpha": -1}, ValueError, "alpha is -1, expected 0 or more"),
    ({"alpha": float("nan")}, ValueError, "alpha is nan, expected 0 or more"),
    ({"max_length": 0}, ValueError, "max_length is 0, expected at least 1"),
    ({"forbidden": [6]}, IndexError, "forbidden[2] is 6, expected 0 to 5"),
    ({"forbidden": [EOS]}, ValueError, "forbidden has 3, the end mark"),
]


@pytest.mark.parametrize(("options", "error", "message"), WRONG, ids=[w[2] for w in WRONG])
def test_wrong_options(options: dict[str, Any], error: type[Exception], message: str) -> None:
    with pytest.raises(error, match=re.escape(message)):
        model().beam_search(SOURCE, LENGTHS, **options)
