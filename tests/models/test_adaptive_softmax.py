"""AdaptiveSoftmax: against torch, against differences, tied, its cutoffs, errors."""

from __future__ import annotations

import re
from typing import Any

import numpy as np
import pytest

from fastlstm.models import AdaptiveSoftmax, softmax_loss
from fastlstm.models.cutoffs import choose_cutoffs
from fastlstm.nn import Parameter

K, V = 16, 50
OPTIONS: list[dict[str, Any]] = [
    {"cutoffs": [10]},
    {"cutoffs": [10, 20], "div_value": 2.0, "head_bias": True},
    {"cutoffs": [1, 2, 49], "div_value": 1.5},
]


def numbers(*shape: int, seed: int = 0) -> Any:
    return np.random.default_rng(seed).standard_normal(shape)


def words(*shape: int) -> Any:
    return np.random.default_rng(1).integers(0, V, shape)


def adaptive(**options: Any) -> AdaptiveSoftmax:
    return AdaptiveSoftmax(K, V, **{"dtype": "float64", "rng": 0, "cutoffs": [10, 20], **options})


def tied(**options: Any) -> AdaptiveSoftmax:
    return adaptive(weight=Parameter(numbers(V, K, seed=5)), **options)


def gradients(ours: AdaptiveSoftmax) -> dict[str, Any]:
    return {name: parameter.grad.copy() for name, parameter in ours.named_parameters()}


@pytest.mark.parametrize("options", OPTIONS, ids=str)
def test_adaptive_softmax_against_torch(options: dict[str, Any]) -> None:
    torch = pytest.importorskip("torch")
    ours = adaptive(**options)
    theirs = torch.nn.AdaptiveLogSoftmaxWithLoss(
        K, V, options["cutoffs"], options.get("div_value", 4.0), options.get("head_bias", False)
    ).double()
    state = ours.state_dict()
    theirs.load_state_dict({name: torch.tensor(value) for name, value in state.items()})
    x, targets = numbers(6, 5, K), words(6, 5)
    given = torch.tensor(x.reshape(-1, K), requires_grad=True)
    expected = theirs(given, torch.tensor(targets.reshape(-1))).loss
    expected.backward()
    loss, dx = ours.loss(x, targets)
    assert loss == pytest.approx(expected.item(), abs=1e-12)
    np.testing.assert_allclose(dx.reshape(-1, K), given.grad.numpy(), rtol=0, atol=1e-12)
    found = gradients(ours)
    assert found.keys() == dict(theirs.named_parameters()).keys()
    for name, parameter in theirs.named_parameters():
        wanted = 0 if parameter.grad is None else parameter.grad.numpy()  # of no place: None
        np.testing.assert_allclose(found[name], wanted, rtol=0, atol=1e-12, err_msg=name)
    log = theirs.log_prob(given).detach().numpy()
    np.testing.assert_allclose(ours(x).reshape(-1, V), log, rtol=0, atol=1e-12)
    assert ours.loss(x, targets, gradient=False) == (loss, None)


BOTH = [adaptive, tied]


@pytest.mark.parametrize("make", BOTH)
@pytest.mark.parametrize("head_bias", [False, True])
def test_the_loss_needs_no_logits_of_all_words(make: Any, head_bias: bool) -> None:
    """Its gradients are those through the log-probabilities of all words."""
    ours = make(head_bias=head_bias)
    x, targets = numbers(4, 3, K), words(4, 3)
    loss, dx = ours.loss(x, targets)
    found = gradients(ours)
    ours.zero_grad()
    log, tape = ours.forward(x)
    np.testing.assert_allclose(np.exp(log).sum(axis=-1), 1, rtol=1e-12)
    assert loss == pytest.approx(softmax_loss(log, targets), abs=1e-12)
    np.testing.assert_allclose(ours.backward(tape, log), dx, rtol=0, atol=1e-12)
    for name, value in gradients(ours).items():
        np.testing.assert_allclose(found[name], value, rtol=0, atol=1e-12, err_msg=name)
        assert value.any()


@pytest.mark.parametrize("make", BOTH)
def test_adaptive_softmax_along_differences(make: Any) -> None:
    """Of any function of the log-probabilities, not of the loss alone."""
    ours, x, along = make(head_bias=True), numbers(5, K), numbers(5, V, seed=2)
    _, tape = ours.forward(x)
    dx = ours.backward(tape, along)
    pairs = [("x", x, dx), *((n, p.data, p.grad) for n, p in ours.named_parameters())]
    for name, array, gradient in pairs:
        direction, found = numbers(*array.shape, seed=3), []
        for step in (1e-6, -1e-6):
            array += step * direction
            found.append(float(np.sum(ours(x) * along)))
            array -= step * direction
        slope = (found[0] - found[1]) / 2e-6
        assert np.sum(gradient * direction) == pytest.approx(slope, rel=1e-6), name


def test_tied_words_are_rows_of_the_shared_weight() -> None:
    """As a softmax over the head's words and the clusters, times one over the cluster's words."""
    ours, x = tied(head_bias=True), numbers(7, K)
    weight, head = ours.head.words.weight.data, ours.head
    bias = np.concatenate([head.words.bias.data, head.clusters.bias.data])
    z = x @ np.concatenate([weight[:10], head.clusters.weight.data]).T + bias
    log = z - np.log(np.exp(z).sum(axis=1, keepdims=True))
    (first, second), whole = ours.tail, [log[:, :10]]
    for i, (part, rows) in enumerate([(first, slice(10, 20)), (second, slice(20, V))]):
        z = x @ weight[rows].T + part.bias.data
        whole.append(z - np.log(np.exp(z).sum(axis=1, keepdims=True)) + log[:, 10 + i, None])
    np.testing.assert_allclose(ours(x), np.concatenate(whole, axis=1), rtol=0, atol=1e-12)
    names = ["head.words.weight", "head.words.bias", "head.clusters.weight", "head.clusters.bias"]
    assert list(ours.state_dict()) == [*names, "tail.0.bias", "tail.1.bias"]


@pytest.mark.parametrize("make", BOTH)
def test_adaptive_softmax_in_lower_precision(make: Any) -> None:
    options: dict[str, Any] = {"dtype": "float32", "head_bias": True}
    if make is tied:
        options["weight"] = Parameter(numbers(V, K, seed=5).astype("float32"))
    ours = adaptive(**options)
    x, targets = numbers(9, 5, K).astype("float32"), words(9, 5)
    loss, dx = ours.loss(x, targets)
    expected = {"dx": dx, "log": ours(x), **gradients(ours)}
    for precision in ("bfloat16", "int8"):
        ours.set_precision(precision)
        ours.zero_grad()
        log = ours(x)
        assert 0 < np.abs(log - expected["log"]).max() < 0.05 * np.abs(expected["log"]).max()
        if precision == "int8":
            assert ours.loss(x, targets, gradient=False)[0] == pytest.approx(loss, rel=0.02)
            with pytest.raises(ValueError, match="int8"):
                ours.loss(x, targets)
            continue
        less, dx = ours.loss(x, targets)
        assert less == pytest.approx(loss, rel=0.01)
        for name, value in {"dx": dx, **gradients(ours)}.items():
            off = np.abs(value - expected[name]).max() / np.abs(expected[name]).max()
            assert off < 0.05, name


def test_a_cluster_that_no_place_needs_has_no_gradient() -> None:
    ours = adaptive()
    ours.loss(numbers(4, K), np.array([1, 2, 15, 3]))
    assert ours.head.weight.grad.any()
    assert [part[1].weight.has_grad for part in map(list, ours.tail)] == [True, False]


def test_chosen_cutoffs() -> None:
    """The head has 85 % of all places; the counts of Zipf's law."""
    counts = np.concatenate([[5000], (1e6 / np.arange(1, 10_000)).astype(int)])
    first, second = choose_cutoffs(counts, 1)
    assert counts[:first].sum() >= 0.85 * counts.sum() > counts[: first - 1].sum()
    assert first < second < 10_000
    assert choose_cutoffs(counts, 4) == [first]  # a second cluster saves little there
    assert choose_cutoffs([5, 1]) == [1]
    assert choose_cutoffs([0, 0, 0]) == [2]
    assert choose_cutoffs([1, 100, 50, *[1] * 100], 1) == [66]


@pytest.mark.parametrize(
    ("counts", "message"),
    [
        ([5, 9, 3, 4, 1], "word 3 comes 4 times, word 2 3 times"),
        ([5], "counts has shape (1,), expected at least two words"),
        ([5, 3, -1], "counts has a number that is below 0"),
        ([np.nan, 3, 1], "counts has a number that is below 0 or not finite"),
    ],
)
def test_counts_that_do_not_fit(counts: list[int], message: str) -> None:
    with pytest.raises(ValueError, match=re.escape(message)):
        choose_cutoffs(counts)


def test_cutoffs_for_vectors_that_shrink_by_any_factor() -> None:
    counts = np.arange(100, 0, -1) ** 2
    assert choose_cutoffs(counts, 1e300) == choose_cutoffs(counts, 1e9)
    with pytest.raises(ValueError, match=r"div_value is 0\.5, expected at least 1"):
        choose_cutoffs(counts, 0.5)


WRONG: list[tuple[dict[str, Any], type[Exception], str]] = [
    ({"cutoffs": []}, ValueError, "cutoffs has 0 numbers, expected 1 to 16"),
    ({"cutoffs": list(range(1, 18))}, ValueError, "cutoffs has 17 numbers, expected 1 to 16"),
    ({"cutoffs": [0, 5]}, ValueError, "cutoffs[0] is 0, expected at least 1"),
    ({"cutoffs": [5, 5]}, ValueError, "cutoffs is [5, 5], expected increasing numbers below"),
    ({"cutoffs": [5, 50]}, ValueError, "below vocab_size, 50"),
    ({"cutoffs": [5.5]}, TypeError, "cutoffs[0] is 5.5, expected an integer"),
    ({"cutoffs": "5"}, TypeError, "cutoffs[0] is '5', expected an integer"),
    ({"cutoffs": 5}, TypeError, "cutoffs is 5, expected a list of integers"),
    ({"div_value": 0.5}, ValueError, "div_value is 0.5, expected at least 1"),
    ({"div_value": 5.0}, ValueError, "the last cluster would have empty vectors"),
    ({"div_value": 1e300}, ValueError, "the last cluster would have empty vectors"),
    ({"div_value": float("nan")}, ValueError, "div_value is nan"),
    ({"weight": Parameter(numbers(V, 3))}, ValueError, "weight has shape (50, 3)"),
    (
        {"weight": Parameter(numbers(V, K)), "div_value": 4.0}, ValueError,
        "div_value is 4.0 with a shared weight, expected 1",
    ),
]  # fmt: skip


@pytest.mark.parametrize(("options", "kind", "message"), WRONG, ids=[m for *_, m in WRONG])
def test_wrong_options_of_an_adaptive_softmax(
    options: dict[str, Any], kind: type[Exception], message: str
) -> None:
    with pytest.raises(kind, match=re.escape(message)):
        adaptive(**options)


def test_wrong_targets_of_an_adaptive_softmax() -> None:
    ours, x = adaptive(), numbers(3, K)
    with pytest.raises(IndexError, match=r"targets\[1\] is 50, expected 0 to 49"):
        ours.loss(x, [1, 50, 2])
    with pytest.raises(ValueError, match=r"targets has shape \(2,\), expected \(3,\)"):
        ours.loss(x, [1, 2])
    with pytest.raises(ValueError, match="not empty"):
        ours.loss(x[:0], np.zeros(0, int))
    with pytest.raises(ValueError, match=r"x has shape \(3, 15\)"):
        ours(x[:, :15])
