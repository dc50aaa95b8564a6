"""The `train_imdb` command: files, metrics, options, errors."""

from __future__ import annotations

import os
import subprocess
import sys
from dataclasses import fields
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from tiny_imdb import REVIEWS, SMALL, UNLABELLED, arguments, read, read_lines, timeless, train

from fastlstm import runtime
from fastlstm.nn import bce_with_logits
from fastlstm.text import Vocabulary, batches, load_imdb
from fastlstm.train import checkpoint, evaluate
from fastlstm.train.classifier import classify
from fastlstm.train.classifier.config import Config
from fastlstm.train.classifier.training import build_model
from fastlstm.train.model_file import load_model
from fastlstm.train_imdb import main

pytestmark = pytest.mark.usefixtures("own_cache", "no_picture", "threads")

FILES = {
    "config.json", "metrics.json", "metrics.jsonl", "vocab.json", "model.safetensors",
    "trained_texts.safetensors", "curves.png",
}  # fmt: skip


@pytest.fixture(scope="module")
def base(reviews: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The output folder of a small run."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("FASTLSTM_CACHE", str(tmp_path_factory.mktemp("cache")))
        out = tmp_path_factory.mktemp("base") / "run"
        train(reviews, out)
    return out


def weights(out: Path) -> bytes:
    return (out / "model.safetensors").read_bytes()


def test_output_folder_and_metrics(base: Path) -> None:
    pytest.importorskip("matplotlib")
    assert {path.name for path in base.iterdir()} == FILES
    assert (base / "curves.png").read_bytes().startswith(b"\x89PNG")
    metrics, config = read(base / "metrics.json"), read(base / "config.json")
    assert {
        "test_accuracy", "test_loss", "validation_accuracy", "best_epoch", "epochs",
        "epoch_seconds", "train_seconds", "eval_seconds", "load_seconds", "words_per_second",
        "threads", "isa", "parameters", "data", "seed",
    } <= metrics.keys()  # fmt: skip
    assert {item.name for item in fields(Config)} == config.keys()
    assert {name: config[name] for name in SMALL} == SMALL
    lines = read_lines(base / "metrics.jsonl")
    assert [line["epoch"] for line in lines] == [1, 2]
    assert metrics["epochs"] == len(metrics["epoch_seconds"]) == 2
    assert metrics["epoch_seconds"] == [line["seconds"] for line in lines]
    assert metrics["train_seconds"] == sum(metrics["epoch_seconds"])
    words = sum(line["words"] for line in lines)
    assert metrics["words_per_second"] == pytest.approx(words / metrics["train_seconds"])
    best = max(lines, key=lambda line: (line["validation_accuracy"], -line["validation_loss"]))
    assert metrics["best_epoch"] == best["epoch"]
    assert metrics["validation_accuracy"] == best["validation_accuracy"]
    assert metrics["isa"] == runtime.runtime_info()["isa"]
    assert metrics["threads"] == runtime.get_num_threads()
    assert "aclImdb" in metrics["data"]
    assert metrics["seed"] == 0
    assert (metrics["train_reviews"], metrics["validation_reviews"]) == (
        REVIEWS * 3 // 2,
        REVIEWS // 2,
    )
    assert metrics["test_reviews"] == REVIEWS


def test_what_is_tested_is_the_saved_model(base: Path, reviews: Path) -> None:
    model, vocab = load_model(base / "model.safetensors"), Vocabulary.load(base / "vocab.json")
    metrics = read(base / "metrics.json")
    assert metrics["parameters"] == sum(p.data.size for p in model.parameters())
    assert len(vocab) == model.embedding.num_embeddings
    with pytest.warns(UserWarning, match="NOT the full data"):
        test = load_imdb(reviews, vocab_size=SMALL["vocab_size"], cache=False).test
    cut = test.truncate(SMALL["max_length"], keep="ends")
    score = evaluate(model, batches(cut, 128), bce_with_logits)
    assert (score.accuracy, score.loss) == (metrics["test_accuracy"], metrics["test_loss"])


def test_it_learns_and_says_so(
    reviews: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    metrics = train(reviews, tmp_path / "run", epochs=12, lr=0.05, dropout=0, embedding_dropout=0)
    assert metrics["test_accuracy"] > 0.8
    printed = capsys.readouterr().out
    assert f"test accuracy  {metrics['test_accuracy']:.2%} of {REVIEWS} reviews" in printed
    assert "epoch 1/12: loss" in printed
    assert "NOT the full data" in printed.splitlines()[0]
    assert f"files are in {tmp_path / 'run'}" in printed


def test_the_same_seed_gives_the_same_run(base: Path, reviews: Path, tmp_path: Path) -> None:
    metrics = train(reviews, tmp_path / "run")
    assert timeless(metrics) == timeless(read(base / "metrics.json"))
    assert weights(tmp_path / "run") == weights(base)


def test_the_result_does_not_depend_on_threads(base: Path, reviews: Path, tmp_path: Path) -> None:
    for threads in (1, 2):
        out = tmp_path / str(threads)
        assert train(reviews, out, threads=threads)["threads"] == threads
        assert weights(out) == weights(base)


# Every option: other settings than those of the small run, each of which must change the
# trained weights. Options in CHECKED_ELSEWHERE have a test of their own.
EFFECTS: dict[str, dict[str, Any]] = {
    "vocab_size": {"vocab_size": 20},
    "analyzer": {"analyzer": "char"},
    "max_length": {"max_length": 0},
    "truncate": {"truncate": "first"},
    "embedding_dim": {"embedding_dim": 3},
    "embedding_std": {"embedding_std": 1.0},
    "cell": {"cell": "gru"},
    "hidden_size": {"hidden_size": 3},
    "num_layers": {"num_layers": 2},
    "bidirectional": {"bidirectional": False},
    "pooling": {"pooling": "last"},
    "dropout": {"dropout": 0.0},
    "embedding_dropout": {"embedding_dropout": 0.0},
    "word_dropout": {"word_dropout": 0.0},
    "optimizer": {"optimizer": "adamw", "weight_decay": 0.1},
    "lr": {"lr": 0.01},
    "momentum": {"optimizer": "sgd", "momentum": 0.5},
    "weight_decay": {"weight_decay": 0.1},
    "schedule": {"schedule": "cosine"},
    "warmup": {"warmup": 0.5},
    "clip": {"clip": 0.01},
    "average": {"average": 0.0},
    "batch_size": {"batch_size": 8},
    "epochs": {"epochs": 3},
    "validation": {"validation": 0.5},
    "seed": {"seed": 1},
    "dtype": {"dtype": "float64"},
    "precision": {"precision": "bfloat16"},
    "bigrams": {"bigrams": 7},
    "pretrain": {"pretrain": True},
    "pretrain_epochs": {"pretrain": True, "pretrain_epochs": 1},
    "pretrain_window": {"pretrain": True, "pretrain_window": 1},
    "unlabelled": {"pretrain": True, "unlabelled": False},
    "teachers": {"pretrain": True, "teachers": 1},
}
CHECKED_ELSEWHERE = {
    "data",
    "threads",
    "patience",
    "vectors",
    "freeze_vectors",
    "parts",
    "marks",
    "from_run",
}


def test_every_option_has_a_test() -> None:
    assert EFFECTS.keys() | CHECKED_ELSEWHERE == {item.name for item in fields(Config)}


@pytest.mark.parametrize("name", EFFECTS)
def test_options_have_an_effect(name: str, base: Path, reviews: Path, tmp_path: Path) -> None:
    needs: dict[str, dict[str, Any]] = {
        "momentum": {"optimizer": "sgd"}, "pretrain_epochs": {"pretrain": True},
        "pretrain_window": {"pretrain": True}, "unlabelled": {"pretrain": True},
        "teachers": {"pretrain": True},
    }  # fmt: skip
    options = EFFECTS[name]
    out = tmp_path / "run"
    train(reviews, out, **options)
    assert read(out / "config.json")[name] == options[name]
    found = checkpoint.load(out / "model.safetensors", "model")[0]
    before = checkpoint.load(base / "model.safetensors", "model")[0]
    if name in needs:  # to be compared with the default of the same kind
        train(reviews, tmp_path / "default", **needs[name])
        before = checkpoint.load(tmp_path / "default" / "model.safetensors", "model")[0]
    assert found.keys() != before.keys() or any(
        found[n].shape != before[n].shape or not np.array_equal(found[n], before[n]) for n in found
    )


def test_optimizers_differ(reviews: Path, tmp_path: Path) -> None:
    for name in ("adam", "adamw", "sgd"):
        train(reviews, tmp_path / name, optimizer=name, weight_decay=0.1)
    assert len({weights(tmp_path / name) for name in ("adam", "adamw", "sgd")}) == 3


def test_poolings_differ(reviews: Path, tmp_path: Path) -> None:
    names = ("last", "mean", "max", "mean+max")
    for name in names:
        train(reviews, tmp_path / name, pooling=name)
    assert len({weights(tmp_path / name) for name in names}) == len(names)


def test_cells_differ_and_models_are_built_again(
    reviews: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    for name in ("lstm", "gru", "rnn"):
        metrics = train(reviews, tmp_path / name, cell=name)
        model = load_model(tmp_path / name / "model.safetensors")
        assert model.cell == name
        assert metrics["parameters"] == sum(p.data.size for p in model.parameters())
    assert len({weights(tmp_path / name) for name in ("lstm", "gru", "rnn")}) == 3


def test_pretraining(reviews: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    out = tmp_path / "run"
    metrics = train(reviews, out, pretrain=True, pretrain_window=1)
    assert metrics["pretrain_texts"] == REVIEWS * 3 // 2 + UNLABELLED  # none that are validated
    assert metrics["pretrain_seconds"] > 0
    assert 2 < metrics["pretrain_perplexity"] < SMALL["vocab_size"]
    own = {path.name for path in out.iterdir() if path.is_file()}
    assert own - {"curves.png"} == FILES - {"curves.png"}
    printed = capsys.readouterr().out
    assert "pretraining, epoch 3/3: sampled loss" in printed
    assert f"s on {metrics['pretrain_texts']} texts, perplexity" in printed
    # what it learned is where the training starts
    standing_still = {"lr": 1e-300, "average": 0, "epochs": 1, "teachers": 0}
    for name, more in (("fresh", {}), ("pretrained", {"pretrain": True})):
        train(reviews, tmp_path / name, **standing_still, **more)
    fresh, start = (
        checkpoint.load(tmp_path / name / "model.safetensors", "model")[0]
        for name in ("fresh", "pretrained")
    )
    changed = {name for name in fresh if not np.array_equal(fresh[name], start[name])}
    lower = {name for name in fresh if name.startswith(("embedding.", "lstm."))}
    assert changed == lower


def test_teachers(
    reviews: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:  # fmt: skip
    """They are runs without the test part, and what they say together is learned."""
    seen: list[Any] = []
    fit = classify.fit

    def watched(trainer: Any, data: Any, config: Config) -> Any:
        seen.append(data)
        return fit(trainer, data, config)

    monkeypatch.setattr(classify, "fit", watched)
    out = tmp_path / "run"
    learning = {"epochs": 6, "lr": 0.05, "dropout": 0, "embedding_dropout": 0}
    metrics = train(reviews, out, pretrain=True, teachers=2, **learning)
    teachers = [out / "teacher-1", out / "teacher-2"]
    own = [read(folder / "metrics.json") for folder in teachers]
    assert [m["test_accuracy"] for m in own] == [None, None]
    assert len({m["seed"] for m in (*own, metrics)}) == 3
    assert metrics["taught_texts"] == UNLABELLED
    assert metrics["train_reviews"] == REVIEWS * 3 // 2  # those with a label of their own
    assert metrics["teachers_seconds"] == sum(m["train_seconds"] for m in own)
    assert f"{UNLABELLED} reviews without a label have one" in capsys.readouterr().out
    first, second, last = seen
    assert first.targets is second.targets is None
    known, everything = first.train, last.train
    assert len(known) == len(second.train) == REVIEWS * 3 // 2
    assert len(everything) == len(known) + UNLABELLED
    np.testing.assert_array_equal(last.targets[: len(known)], known.labels)
    given = everything.select(np.arange(len(known), len(everything)))
    models = [load_model(folder / "model.safetensors") for folder in teachers]
    logits = sum(model(b.tokens, b.lengths) for model in models for b in batches(given, 64))
    (batch,) = batches(given, 64)
    target = last.targets[len(known) :][batch.index]
    np.testing.assert_allclose(target, 1 / (1 + np.exp(-logits / 2)), rtol=1e-5)
    np.testing.assert_array_equal(given.labels[batch.index], target > 0.5)
    assert 0 < given.labels.sum() < UNLABELLED
    (teachers[1] / "notes.txt").write_text("mine")
    assert main([*arguments(reviews, out), "--overwrite"]) == 0
    assert not teachers[0].exists()
    assert [path.name for path in teachers[1].iterdir()] == ["notes.txt"]


def test_pretraining_on_the_labelled_reviews_alone(reviews: Path, tmp_path: Path) -> None:
    metrics = train(reviews, tmp_path / "run", pretrain=True, unlabelled=False)
    assert metrics["pretrain_texts"] == metrics["train_reviews"] == REVIEWS * 3 // 2
    assert "taught_texts" not in metrics
    assert not (tmp_path / "run" / "teacher-1").exists()


def test_nothing_to_pretrain_on(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(arguments(Path("sample"), tmp_path / "run", pretrain=True)) == 1
    told = capsys.readouterr().err
    assert "has no unlabelled reviews; only the official archive" in told
    assert "--no-unlabelled pretrains on the labelled ones" in told
    assert not (tmp_path / "run").exists()


def test_patience_stops_early(reviews: Path, tmp_path: Path) -> None:
    standing_still = {"lr": 1e-300, "average": 0}
    metrics = train(reviews, tmp_path / "run", patience=2, epochs=8, **standing_still)
    assert (metrics["best_epoch"], metrics["epochs"]) == (1, 3)


def test_without_validation_the_last_epoch_is_kept(reviews: Path, tmp_path: Path) -> None:
    metrics = train(reviews, tmp_path / "run", validation=0)
    assert metrics["validation_accuracy"] is None
    assert metrics["best_epoch"] == metrics["epochs"] == 2
    assert metrics["train_reviews"] == 2 * REVIEWS


def test_sample_is_never_mistaken_for_the_full_data(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    small = {"epochs": 1, "embedding_dim": 2, "hidden_size": 2, "bidirectional": False}
    metrics = train(Path("sample"), tmp_path / "run", **small)
    printed = capsys.readouterr().out.strip()
    assert "sample" in metrics["data"]
    assert "NOT the full data" in metrics["data"]
    assert metrics["data_complete"] is False
    assert "bundled sample" in printed.splitlines()[0]
    assert "do not compare" in printed.splitlines()[1]
    assert "--data PATH" in printed.splitlines()[1]
    assert printed.count("do not compare") == 1


def test_default_folder_carries_the_time(
    reviews: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    words = arguments(reviews, tmp_path)
    del words[words.index("--out") : words.index("--out") + 2]
    assert main(words) == 0
    (out,) = (tmp_path / "runs").iterdir()
    assert out.name.startswith("imdb-20")
    assert (out / "metrics.json").exists()


def test_module_runs_and_help_tells_every_option_with_its_default() -> None:
    command = [sys.executable, "-m", "fastlstm.train_imdb", "--help"]
    environment = {**os.environ, "COLUMNS": "400"}
    result = subprocess.run(command, capture_output=True, text=True, env=environment, check=True)
    entries = {entry.split()[0].rstrip(","): entry for entry in result.stdout.split("\n  ")[1:]}
    for item in fields(Config):
        flag = "--from" if item.name == "from_run" else f"--{item.name.replace('_', '-')}"
        assert flag in entries
        if item.default is not None:
            assert f"(default {item.default})" in result.stdout.split(f"\n  {flag}")[1][:300]


def test_first_word_vectors_have_the_chosen_spread() -> None:
    for spread in (0.1, 1.0):
        model = build_model(Config(embedding_std=spread), vocab_size=2000)
        assert model.embedding.weight.data.std() == pytest.approx(spread, rel=0.02)


def test_what_is_left_open_follows_from_the_data(
    reviews: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The run writes down what it took, and is the run that has these options given."""
    monkeypatch.setattr("fastlstm.train.classifier.config.STEPS", 6)
    metrics = train(reviews, tmp_path / "open", epochs=0, batch_size=0)
    config = read(tmp_path / "open" / "config.json")
    steps = -(-metrics["train_reviews"] // 32)
    expected = {"batch_size": 32, "epochs": max(3, -(-6 // steps))}
    assert {name: config[name] for name in expected} == expected
    assert metrics["epochs"] == expected["epochs"]
    given = train(reviews, tmp_path / "given", **expected)
    assert timeless(given) == timeless(metrics)
