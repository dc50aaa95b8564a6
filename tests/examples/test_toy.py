"""The toy: its 58 + 20 sentences, what it makes of them and what it prints."""

from __future__ import annotations

import json
from typing import Any

import numpy as np
import pytest

from fastlstm.examples import toy
from fastlstm.nn import bce_with_logits


def run(capsys: pytest.CaptureFixture[str], *arguments: str) -> tuple[dict[str, Any], list[str]]:
    assert toy.main(arguments) == 0
    *lines, last = capsys.readouterr().out.splitlines()
    return json.loads(last), lines


def test_there_are_58_sentences_to_learn_and_20_others_to_test() -> None:
    learned, tested = toy.read()
    assert (len(set(learned.texts)), len(set(tested.texts))) == (58, 20)
    assert (len(learned.texts), len(tested.texts)) == (58, 20)
    assert not set(learned.texts) & set(tested.texts)
    assert (learned.labels.sum(), tested.labels.sum()) == (26, 10)
    labels = dict(zip(learned.texts, learned.labels, strict=True))
    assert (labels["i am happy"], labels["not sad"], labels["i am not at all happy"]) == (1, 1, 0)
    words = {word for text in learned.texts for word in text.split()}
    assert len(words) == 18
    assert words >= {word for text in tested.texts for word in text.split()}


def test_words_are_one_hot() -> None:
    x, lengths = toy.one_hot(["b a b", "a"], ["a", "b"])
    assert lengths.tolist() == [3, 1]
    assert x[:, 0].tolist() == [[0, 1], [1, 0], [0, 1]]
    assert x[:, 1].tolist() == [[1, 0], [0, 0], [0, 0]]


def test_gradients_against_differences() -> None:
    net = toy.Net(["a", "b"], 5, np.random.default_rng(0))
    x, lengths = toy.one_hot(["b a b", "a"], net.words)
    labels = np.array([1, 0])
    net.step(x, lengths, labels)
    slope, along = 0.0, {}
    for name, parameter in net.named_parameters():
        along[name] = np.random.default_rng(1).standard_normal(parameter.data.shape)
        slope += float(np.sum(parameter.grad * along[name]))
    start, losses = net.state_dict(), []
    for step in (1e-2, -1e-2):
        net.load_state_dict({k: v + step * along[k] for k, v in start.items()})
        _, (h, _) = net.lstm(x, lengths=lengths)
        losses.append(bce_with_logits(net.head(h[0])[:, 0], labels)[0])
    assert (losses[0] - losses[1]) / 2e-2 == pytest.approx(slope, rel=1e-2)


def test_ten_seeds_have_all_20_right(capsys: pytest.CaptureFixture[str]) -> None:
    figures, lines = run(capsys, "--seeds", "10")
    assert figures["seeds"] == 10
    assert figures["solved"] >= 9
    assert figures["accuracy"] >= 0.99
    assert figures["seconds"] > 0
    assert lines[0].startswith("seed 0: 20 of 20 right, loss 0.0")
    assert len([line for line in lines if line.startswith("seed")]) == 10


def test_a_seed_repeats_and_what_is_wrong_is_shown(capsys: pytest.CaptureFixture[str]) -> None:
    figures, lines = run(capsys, "--updates", "3", "--seed", "4", "--seeds", "2")
    again, more = run(capsys, "--updates", "3", "--seed", "5")
    wrong = lines[1 + next(i for i, line in enumerate(lines) if line.startswith("seed 5")) :]
    assert more[1:] == wrong
    assert figures["solved"] == 0
    assert again["accuracy"] == 1 - len(wrong) / 20
    assert "sure that it is good" in wrong[0]
    tested = toy.read()[1].texts
    assert all(any(repr(text) in line for text in tested) for line in wrong)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--seeds", "0"], "--seeds is 0, expected at least 1"),
        (["--updates", "-2"], "--updates is -2, expected at least 1"),
        (["--hidden-size", "0"], "--hidden-size is 0, expected at least 1"),
        (["--lr", "nan"], "--lr is nan, expected at least 0"),
        (["--seed", "one"], "invalid int value: 'one'"),
    ],
    ids=str,
)
def test_wrong_options(
    arguments: list[str], message: str, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit) as stop:
        toy.main(arguments)
    assert stop.value.code == 2
    assert message in capsys.readouterr().err
