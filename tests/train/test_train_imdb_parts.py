"""`train_imdb` with a linear part: alone, joined, beside teachers."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from tiny_imdb import SMALL, arguments, read, timeless, train, write_reviews

from fastlstm.text import Encoded, load_imdb
from fastlstm.train.classifier import classify
from fastlstm.train.classifier.loaded_run import load_run
from fastlstm.train.classifier.predict import predict_logits
from fastlstm.train.model_file import load_model
from fastlstm.train_imdb import main

pytestmark = pytest.mark.usefixtures("own_cache", "no_picture")


@pytest.fixture(scope="module")
def joined(reviews: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("imdb") / "joined"
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("FASTLSTM_CACHE", str(tmp_path_factory.mktemp("cache")))
        patch.setattr("fastlstm.train.classifier.classify.draw_curves", lambda *_: False)
        train(reviews, out, parts="joined")
    return out


def test_the_net_beside_a_linear_part_has_the_bits_of_one_alone(
    joined: Path, reviews: Path, tmp_path: Path
) -> None:
    alone = train(reviews, tmp_path / "net", parts="net")
    own, other = (load_model(f / "model.safetensors") for f in (joined, tmp_path / "net"))
    for name, value in other.state_dict().items():
        np.testing.assert_array_equal(own.state_dict()[name], value)
    metrics = read(joined / "metrics.json")
    assert metrics["net_test_accuracy"] == alone["test_accuracy"]
    assert (joined / "vocab.json").read_bytes() == (tmp_path / "net/vocab.json").read_bytes()


def test_what_is_tested_is_what_predicts(joined: Path, reviews: Path) -> None:
    """The linear part learned from reviews that were cut into words by the cache, all of them."""
    run, metrics = load_run(joined), read(joined / "metrics.json")
    texts, labels = [], []
    for label, name in enumerate(("neg", "pos")):
        for path in (reviews / "test" / name).iterdir():
            texts.append(path.read_text())
            labels.append(label)
    p = run.predict_proba(texts)
    assert np.mean(p.argmax(axis=1) == labels) == metrics["test_accuracy"]
    right = p[np.arange(len(labels)), labels]
    assert -np.log(right).mean() == pytest.approx(metrics["test_loss"])
    with pytest.warns(UserWarning, match="NOT the full data"):
        words = load_imdb(reviews, vocab_size=SMALL["vocab_size"], cache=False).vocab
    rare = next(f"word{n}" for n in range(60) if f"word{n}" not in words.words)
    a, b = run.parts.linear.logits(run.encode(["", rare]).whole)
    assert a != b


def test_a_linear_part_alone(joined: Path, reviews: Path, tmp_path: Path) -> None:
    metrics = train(reviews, tmp_path / "linear", parts="linear")
    assert metrics["test_accuracy"] == read(joined / "metrics.json")["linear_test_accuracy"]
    assert metrics["test_accuracy"] > 0.6
    assert main(["--resume", str(tmp_path / "linear")]) == 0
    again = train(reviews, tmp_path / "again", parts="linear")
    assert timeless(again) == timeless(metrics)


def test_teachers_are_nets(reviews: Path, tmp_path: Path) -> None:
    out = tmp_path / "taught"
    given = {"pretrain": True, "pretrain_epochs": 1, "teachers": 2}
    metrics = train(reviews, out, parts="joined", epochs=1, **given)
    assert metrics["taught_texts"] > 0
    assert load_run(out).parts.linear is not None
    for teacher in (1, 2):
        assert load_run(out / f"teacher-{teacher}").parts.linear is None


def test_teachers_are_joined_to_the_linear_part(
    reviews: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:  # fmt: skip
    """To the one that has not heard of the validation part."""
    linear, learned = list[Any](), list[Any]()
    train_linear, fit = classify.train_linear, classify.fit

    def watched_linear(*args: Any) -> Any:
        linear.append(train_linear(*args))
        return linear[-1]

    def watched_fit(*args: Any) -> Any:
        learned.append(args[1])
        return fit(*args)

    monkeypatch.setattr(classify, "train_linear", watched_linear)
    monkeypatch.setattr(classify, "fit", watched_fit)
    out = tmp_path / "taught"
    learning = {"epochs": 4, "lr": 0.05, "dropout": 0, "embedding_dropout": 0}
    given = {"pretrain": True, "pretrain_epochs": 1, "teachers": 2}
    metrics = train(reviews, out, parts="joined", **given, **learning)
    (part,), taught = linear, learned[-1]
    nets = [load_run(out / f"teacher-{number}").model for number in (1, 2)]
    count = len(taught.train) - metrics["taught_texts"]

    def say(texts: Encoded) -> Any:
        return np.mean([predict_logits(net, texts) for net in nets], axis=0)

    join = part.join(say(taught.validation))
    given = taught.train.select(np.arange(count, len(taught.train)))
    rows = taught.whole.of("unlabelled")
    assert len(rows) == len(given) > 0
    logits = join.logits(say(given), part.model.logits(rows))
    assert 0 < join.net_share < 1
    np.testing.assert_allclose(taught.targets[count:], 1 / (1 + np.exp(-logits)), rtol=1e-5)
    right = (join.logits(say(taught.validation), part.logits) > 0) == taught.validation.labels
    assert metrics["teachers_validation_accuracy"] == right.mean()
    assert (
        f"with the linear part they say {right.mean():.2%} of validation" in capsys.readouterr().out
    )
    # its rows are those of the same reviews
    ids = {word: number for number, word in enumerate(taught.vocab.words)}
    for row in range(len(given)):
        first = rows.tokens[rows.ids[rows.offsets[row]]]
        assert given.tokens[given.offsets[row]] == ids.get(first, 1)


def test_comparisons_are_of_nets(reviews: Path, tmp_path: Path) -> None:
    with pytest.raises(SystemExit):
        main([*arguments(reviews, tmp_path / "c", epochs=None), "--compare", "--parts", "joined"])


@pytest.fixture(scope="module")
def marked(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Reviews whose class their marks tell, one after each third word."""
    folder = write_reviews(tmp_path_factory.mktemp("marked"))
    for path in folder.glob("*/*/*.txt"):
        mark = {"neg": " - ", "pos": "! "}.get(path.parent.name, "; ")
        words = path.read_text().split()
        path.write_text(mark.join(" ".join(words[n : n + 3]) for n in range(0, len(words), 3)))
    return folder


def _tested(folder: Path) -> tuple[list[str], list[int]]:
    paths = [path for name in ("neg", "pos") for path in sorted((folder / "test" / name).iterdir())]
    return [path.read_text() for path in paths], [path.parent.name == "pos" for path in paths]


@pytest.mark.parametrize("parts", ["joined", "linear"])
def test_marks_are_read_in_training_and_later(parts: str, marked: Path, tmp_path: Path) -> None:
    metrics = train(marked, tmp_path / "run", parts=parts)
    run, (texts, labels) = load_run(tmp_path / "run"), _tested(marked)
    assert run.config.marks
    p = run.predict_proba(texts)
    assert np.mean(p.argmax(axis=1) == labels) == metrics["test_accuracy"] > 0.9
    whole = run.encode(["word1! word2"]).whole
    assert list(whole.tokens) == ["word1", "!", "word2"]
    assert run.parts.linear is not None
    a, b = run.parts.linear.logits(run.encode(["word1!", "word1 -"]).whole)
    assert a > b


def test_a_run_of_an_earlier_version_reads_words_alone(marked: Path, tmp_path: Path) -> None:
    """Its options do not tell of marks, and it learned from none."""
    out, (texts, _) = tmp_path / "earlier", _tested(marked)
    metrics = train(marked, out, parts="joined", marks=False)
    before = load_run(out).predict_proba(texts)
    config = read(out / "config.json")
    assert config.pop("marks") is False
    (out / "config.json").write_text(json.dumps(config))
    run = load_run(out)
    assert list(run.encode(["word1! word2"]).whole.tokens) == ["word1", "word2"]
    np.testing.assert_array_equal(run.predict_proba(texts), before)
    plain = write_reviews(tmp_path / "plain")  # the same words
    other = {**timeless(train(plain, tmp_path / "other", parts="joined")), "data": metrics["data"]}
    assert other == timeless(metrics)
    assert read(tmp_path / "other" / "config.json")["marks"] is False  # there are none


def test_a_net_has_no_marks(marked: Path, reviews: Path, tmp_path: Path) -> None:
    train(marked, tmp_path / "marked")
    train(reviews, tmp_path / "plain")
    assert read(tmp_path / "marked" / "config.json")["marks"] is False
    own, other = (load_model(tmp_path / n / "model.safetensors") for n in ("marked", "plain"))
    for name, value in other.state_dict().items():
        np.testing.assert_array_equal(own.state_dict()[name], value)
