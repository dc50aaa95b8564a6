"""Training a Seq2Seq: it learns, resumes to the bit, is kept in a file; BLEU."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from fastlstm.nn import cross_entropy
from fastlstm.text.pairs import Pair, encode_pairs, encode_tokens, pair_batches
from fastlstm.train import SGD, CheckpointError, Listener, TrainingInterrupted, evaluate, seq2seq
from fastlstm.train.scoring.bleu import bleu
from fastlstm.train.seq2seq import MODEL, STATE, Translator, fit, learn, search_all

OPTIONS = {"embedding_dim": 12, "hidden_size": 24, "dropout": 0.1, "tied": True}


def reversals(count: int, seed: int = 0) -> list[Pair]:
    """Short words, and the same ones from back to front in capitals."""
    rng = np.random.default_rng(seed)
    words = ["".join(rng.choice(list("abcde"), rng.integers(1, 5))) for _ in range(count)]
    return [(list(word), list(word[::-1].upper())) for word in words]


TRAIN, HELD_BACK = reversals(300), reversals(40, seed=1)


def trained(**options: Any) -> Translator:
    defaults: dict[str, Any] = {
        "epochs": 2,
        "batch_size": 16,
        "lr": 0.01,
        "average": 0.9,
        "seed": 3,
    }
    return learn(TRAIN, HELD_BACK, OPTIONS, **{**defaults, **options})


def same(one: Translator, other: Translator) -> bool:
    a, b = one.model.state_dict(), other.model.state_dict()
    return all(np.array_equal(a[name], b[name]) for name in a)


def test_it_learns_to_write_words_from_back_to_front() -> None:
    translator = trained(epochs=20, lr=0.02, average=0.0)
    sources, targets = zip(*HELD_BACK, strict=True)
    for search in ({"beam_size": 1}, {"beam_size": 4}):
        found = translator(sources, batch_size=7, max_length=10, **search)
        right = [a == b for a, b in zip(found, targets, strict=True)]
        assert np.mean(right) >= 0.9


def test_the_first_step_is_that_of_a_loop_written_by_hand() -> None:
    options = {**OPTIONS, "dropout": 0.0, "dtype": "float64"}
    translator = learn(
        TRAIN, [], options, epochs=1, batch_size=300, clip=0.0, label_smoothing=0.1, seed=5,
        schedule=lambda progress: 1.0,
    )  # fmt: skip
    other = Translator.build(translator.source, translator.target, options, seed=5)
    before = other.model.state_dict()
    pairs = encode_pairs(TRAIN, other.source, other.target)
    (batch,) = pair_batches(pairs, 300, seed=5)
    logits, tape = other.model.forward(*batch.inputs)
    other.model.backward(tape, cross_entropy(logits, batch.labels, 0.1)[1])
    SGD(other.model, 1.0).step()
    for name, parameter in translator.model.named_parameters():
        gradient = before[name] - other.model.state_dict()[name]
        moved = before[name] - parameter.data
        big = np.abs(gradient) > 1e-6  # Adam's first step is the rate times the sign
        np.testing.assert_allclose(moved[big], 1e-3 * np.sign(gradient[big]), rtol=2e-2)
        assert big.any(), name


def test_the_loss_is_a_mean_over_real_tokens() -> None:
    translator = Translator.build(*trained(epochs=1)[1:], OPTIONS)
    pairs = encode_pairs(HELD_BACK, translator.source, translator.target)
    whole = evaluate(translator.model, pair_batches(pairs, 40), cross_entropy)
    parts = evaluate(translator.model, pair_batches(pairs, 3, seed=1), cross_entropy)
    tokens = sum(len(target) + 1 for _, target in HELD_BACK)
    assert whole.examples == parts.examples == tokens
    assert whole.words == tokens + sum(len(source) for source, _ in HELD_BACK)
    assert whole.loss == pytest.approx(parts.loss, rel=1e-5)
    assert whole.correct == parts.correct


class InterruptOnce(Listener):
    def __init__(self, at: int) -> None:
        self.at = at

    def on_step(self, history: Any) -> None:
        if history.step == self.at:
            import os
            import signal

            os.kill(os.getpid(), signal.SIGINT)


def test_an_interrupted_run_goes_on_to_the_same_bits(tmp_path: Path) -> None:
    whole = trained()
    with pytest.raises(TrainingInterrupted):
        trained(folder=tmp_path, listeners=[InterruptOnce(23)])
    assert (tmp_path / STATE).exists()
    assert not (tmp_path / MODEL).exists()
    with pytest.raises(CheckpointError, match="is of another run: average, hidden_size"):
        learn(TRAIN, HELD_BACK, {**OPTIONS, "hidden_size": 20}, epochs=2, seed=3, folder=tmp_path)
    assert same(trained(folder=tmp_path), whole)
    assert same(Translator.load(tmp_path / MODEL), whole)
    assert [path.name for path in tmp_path.iterdir()] == [MODEL]


def test_a_finished_model_is_not_trained_again(tmp_path: Path) -> None:
    first = trained(folder=tmp_path)
    assert same(trained(folder=tmp_path, listeners=[InterruptOnce(1)]), first)
    with pytest.raises(CheckpointError, match="is a model of other options"):
        learn(TRAIN, HELD_BACK, {**OPTIONS, "tied": False}, epochs=1, folder=tmp_path)


def test_a_finished_model_is_not_taken_for_that_of_another_run(tmp_path: Path) -> None:
    """Of other pairs: what is to be tested may be what it has learned."""
    first = trained(folder=tmp_path, identity={"lr": 0.01})
    for train, options, told in (
        (TRAIN[1:], {"seed": 3, "identity": {"lr": 0.01}}, "pairs differ"),
        (TRAIN, {"seed": 4, "identity": {"lr": 0.01}}, "seed differ (seed is 3 there, 4 here)"),
        (
            TRAIN,
            {"seed": 3, "identity": {"lr": 0.02}},
            "lr differ (lr is 0.01 there, 0.02 here); choose another folder",
        ),
    ):
        with pytest.raises(CheckpointError, match=re.escape(f"is of another run: {told}")):
            learn(train, HELD_BACK, OPTIONS, epochs=2, folder=tmp_path, **options)
    first.save(tmp_path / MODEL)  # as earlier versions, which did not tell
    assert same(learn(TRAIN, HELD_BACK, OPTIONS, seed=4, folder=tmp_path), first)


def test_a_folder_of_another_command_is_left_alone(tmp_path: Path) -> None:
    (tmp_path / "config.json").write_text("{}")
    with pytest.raises(FileExistsError, match="holds a run of one model; give another folder="):
        learn(TRAIN, HELD_BACK, OPTIONS, epochs=1, folder=tmp_path)
    assert [path.name for path in tmp_path.iterdir()] == ["config.json"]


def test_a_loaded_translator_translates_alike(tmp_path: Path) -> None:
    translator = trained()
    translator.save(tmp_path / "model")
    other = Translator.load(tmp_path / "model")
    sources = [source for source, _ in HELD_BACK]
    assert other(sources, max_length=6) == translator(sources, max_length=6)
    assert other.target.words == translator.target.words


def test_each_epoch_has_its_own_order(monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[tuple[int, int]] = []

    def noting(pairs: Any, batch_size: int, *, seed: int, epoch: int, start: int) -> Any:
        asked.append((epoch, start))
        return pair_batches(pairs, batch_size, seed=seed, epoch=epoch, start=start)

    monkeypatch.setattr(seq2seq, "pair_batches", noting)
    learn(TRAIN, [], OPTIONS, epochs=3, batch_size=100)
    assert asked == [(0, 0), (1, 0), (2, 0)]


def test_every_option_of_fit_has_an_effect() -> None:
    plain = trained()
    others: list[dict[str, Any]] = [
        {"lr": 0.02}, {"average": 0.0}, {"label_smoothing": 0.1}, {"clip": 0.01}, {"seed": 4},
        {"batch_size": 20}, {"schedule": lambda progress: 1.0},
    ]  # fmt: skip
    assert same(trained(), plain)
    for options in others:
        assert not same(trained(**options), plain), options


def test_results_come_in_the_order_of_the_sources() -> None:
    translator = trained(epochs=1)
    encoded = encode_tokens([source for source, _ in HELD_BACK], translator.source)
    together = search_all(translator.model, encoded, 7, max_length=5)
    for n in range(len(HELD_BACK)):
        (alone,) = search_all(translator.model, encoded.select([n]), max_length=5)
        assert alone[0].tokens.tolist() == together[n][0].tokens.tolist()
    assert translator([]) == []


def test_unknown_words_are_not_written() -> None:
    translator = trained(epochs=1)
    translator.model.decoder.head.bias.data[1] = 50  # type: ignore[union-attr]
    assert translator([list("abc")], max_length=4, forbidden=())[0][0] == "<unk>"
    assert "<unk>" not in translator([list("abc")], max_length=4)[0]


def test_without_validation_the_last_epoch_counts() -> None:
    translator = Translator.build(*trained(epochs=1)[1:], OPTIONS)
    pairs = encode_pairs(TRAIN, translator.source, translator.target)
    history = fit(translator.model, pairs, epochs=2, batch_size=64)
    assert history.best == 2
    assert history.epochs[1].train_loss < history.epochs[0].train_loss
    assert history.epochs[0].validation_loss is None


def test_bleu() -> None:
    pytest.importorskip("sacrebleu")
    reference = "the cat &apos;s on the big mat .".split()
    score, signature = bleu([reference], [reference])
    assert score == pytest.approx(100)
    assert "tok:none" in signature
    worse, _ = bleu([reference[:-1], ["a"]], [reference, ["a"]])
    assert 50 < worse < 100
    # Brevity exp(1 - 9/8), and all that is there is right.
    assert worse == pytest.approx(100 * np.exp(1 - 9 / 8))


def test_bleu_of_what_does_not_fit(monkeypatch: pytest.MonkeyPatch) -> None:
    for hypotheses, references in (([], []), ([["a"]], [])):
        with pytest.raises(ValueError, match=re.escape("expected as many of both")):
            bleu(hypotheses, references)
    monkeypatch.setitem(__import__("sys").modules, "sacrebleu.metrics.bleu", None)
    with pytest.raises(ImportError, match=re.escape("pip install 'fastlstm[translate]'")):
        bleu([["a"]], [["a"]])
