"""Runs of a net and a linear part, of both joined and of the linear part alone."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from topics import TOPICS, read, rows, timeless, train, weights, words, write_csv

import fastlstm
from fastlstm.cli import main
from fastlstm.train import checkpoint
from fastlstm.train.classifier.loaded_run import load_run
from fastlstm.train.model_file import load_model

pytestmark = pytest.mark.usefixtures("no_picture", "no_debug")


def marked(count: int, classes: tuple[str, ...] = TOPICS) -> tuple[list[str], list[str]]:
    """Texts of topics; those of the first one also have a mark, which a net does not see."""
    texts, labels = rows(count, classes)
    return [
        t + " !?" * (label == classes[0]) for t, label in zip(texts, labels, strict=True)
    ], labels


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_csv(tmp_path_factory.mktemp("texts") / "topics.csv", marked(120))


def run(data: Path, out: Path, **options: Any) -> Path:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("fastlstm.train.classifier.classify.draw_curves", lambda *_: False)
        train(data, out, **options)
    return out


@pytest.fixture(scope="module")
def joined(data: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    return run(data, tmp_path_factory.mktemp("runs") / "joined", parts="joined")


@pytest.fixture(scope="module")
def net(data: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    return run(data, tmp_path_factory.mktemp("runs") / "net", parts="net")


@pytest.fixture(scope="module")
def linear(data: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    return run(data, tmp_path_factory.mktemp("runs") / "linear", parts="linear")


def test_the_net_of_a_joined_run_is_that_of_a_net_alone(joined: Path, net: Path) -> None:
    own, alone = load_model(joined / "model.safetensors"), load_model(net / "model.safetensors")
    for name, value in alone.state_dict().items():
        np.testing.assert_array_equal(own.state_dict()[name], value)
    metrics, other = read(joined / "metrics.json"), read(net / "metrics.json")
    assert metrics["net_validation_accuracy"] == other["validation_accuracy"]
    assert metrics["net_test_accuracy"] == other["test_accuracy"]


def test_the_linear_part_of_a_joined_run_is_that_of_a_linear_one(
    joined: Path, linear: Path
) -> None:
    own, alone = load_run(joined).parts.linear, load_run(linear).parts.linear
    assert own is not None
    assert alone is not None
    for name, value in alone.state().items():
        np.testing.assert_array_equal(own.state()[name], value)
    metrics, other = read(joined / "metrics.json"), read(linear / "metrics.json")
    for name in ("linear_validation_accuracy", "parameters"):
        assert metrics[name] is not None
    assert metrics["linear_validation_accuracy"] == other["linear_validation_accuracy"]
    assert metrics["linear_test_accuracy"] == other["test_accuracy"]


def test_what_metrics_tell_is_what_the_run_says(
    joined: Path, data: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    found, metrics = load_run(joined), read(joined / "metrics.json")
    texts, labels = marked(120)
    said = found.predict(texts)
    assert np.mean([a == b for a, b in zip(said, labels, strict=True)]) > 0.6
    p = found.predict_proba(texts)
    np.testing.assert_allclose(p.sum(axis=1), 1)
    assert main(["evaluate", str(joined), str(data), "--json"]) == 0
    scores = json.loads(capsys.readouterr().out)
    truth = np.array([found.labels.index(label) for label in labels])
    assert scores["accuracy"] == np.mean(p.argmax(axis=1) == truth)
    assert metrics["test_loss"] is not None
    assert 0 <= metrics["net_share"] <= 1
    join = found.parts.join
    assert join is not None
    assert (join.net, join.linear) == (metrics["join_net"], metrics["join_linear"])


def test_a_text_is_read_whole_by_the_linear_part(joined: Path, linear: Path) -> None:
    """Beyond the cut, words the net does not know, and marks."""
    for folder in (joined, linear):
        found = load_run(folder)
        plain, shouted = found.predict_proba(["word1 " * 40, "word1 " * 40 + "!?"])
        assert plain[0] < shouted[0]
    assert load_run(linear).encode(["a b"]).whole is not None
    assert list(load_run(linear).encode(["A b!"]).whole.tokens) == ["a", "b", "!"]


def test_a_linear_run_has_no_net(
    linear: Path, misused: Callable[..., str], capsys: pytest.CaptureFixture[str]
) -> None:
    metrics, found = read(linear / "metrics.json"), load_run(linear)
    assert metrics["epochs"] == metrics["best_epoch"] == 0
    assert metrics["test_accuracy"] > 0.5
    with pytest.raises(ValueError, match="has no net"):
        assert found.model
    assert main(["predict", str(linear), "sport1 sport2", "--probabilities"]) == 0
    assert json.loads(capsys.readouterr().out)["label"] == "sport"
    assert main(["train", "--resume", str(linear)]) == 0
    assert "is finished" in capsys.readouterr().out
    told = misused("train", "--resume", linear, "--epochs", "50")
    assert "--epochs does nothing here: a linear part alone has no net; leave it out" in told


def test_both_are_told_and_the_linear_part_first(
    data: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    metrics = train(data, tmp_path / "run", parts="joined")
    told = capsys.readouterr().out.splitlines()
    first = next(n for n, line in enumerate(told) if line.startswith("linear part: "))
    assert f"{metrics['linear_validation_accuracy']:.2%} of validation, " in told[first]
    assert told[first + 1].startswith("epoch 1/2")
    share = metrics["net_share"]
    assert f"joined: net {share:.2f}, linear {1 - share:.2f}, " in "\n".join(told)


def test_a_joined_run_is_repeated_by_any_number_of_threads(
    data: Path, joined: Path, tmp_path: Path
) -> None:
    out = tmp_path / "run"
    metrics = train(data, out, parts="joined", threads=1)
    known = read(joined / "metrics.json")
    assert {**timeless(metrics), "threads": 0} == {**timeless(known), "threads": 0}
    assert weights(out) == weights(joined)


def test_without_validation_each_has_an_equal_say(data: Path, tmp_path: Path) -> None:
    metrics = train(data, tmp_path / "run", parts="joined", validation=0)
    assert metrics["validation_accuracy"] is None
    assert 0 < metrics["net_share"] <= 0.5 + 1e-9
    assert metrics["linear_validation_accuracy"] is None
    assert load_run(tmp_path / "run").predict(["music1 music2 music3 !?"]) == ["music"]
    alone = train(data, tmp_path / "alone", parts="linear", validation=0)
    assert alone["validation_accuracy"] is None


def test_two_classes(tmp_path: Path) -> None:
    data = write_csv(tmp_path / "two.csv", marked(80, ("good", "bad")))
    for parts in ("joined", "linear"):
        metrics = train(data, tmp_path / parts, parts=parts)
        assert metrics["test_accuracy"] > 0.5
        assert load_run(tmp_path / parts).predict(["good1 good2 good3 !?"]) == ["good"]


def test_a_joined_run_is_extended(data: Path, joined: Path, tmp_path: Path) -> None:
    out = tmp_path / "run"
    train(data, out, parts="joined", epochs=1)
    before = read(out / "metrics.json")
    assert main(["train", "--resume", str(out), "--epochs", "3"]) == 0
    metrics = read(out / "metrics.json")
    assert metrics["epochs"] == 3
    assert metrics["linear_validation_accuracy"] == before["linear_validation_accuracy"]
    assert load_run(out).parts.linear is not None
    assert main(["train", "--resume", str(out), "--parts", "joined"]) == 0


def test_parts_cannot_change_in_a_resumed_run(joined: Path, misused: Callable[..., str]) -> None:
    assert "--parts is net, but the run" in misused("train", "--resume", joined, "--parts", "net")


def test_a_linear_part_has_nothing_to_pretrain(data: Path, misused: Callable[..., str]) -> None:
    told = misused(*words(data, data.parent / "no", parts="linear", pretrain=True))
    assert "--parts is 'linear': there is no net to pretrain" in told


def test_info_tells_the_shares(
    joined: Path, linear: Path, net: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    share = read(joined / "metrics.json")["net_share"]
    assert main(["info", str(joined)]) == 0
    told = capsys.readouterr().out
    assert f"net {share:.2f} and linear {1 - share:.2f}" in told
    assert "net alone" in told
    assert main(["info", str(linear), "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["shares"] == {"net": 0.0, "linear": 1.0}
    assert main(["info", str(linear)]) == 0
    assert "LSTM" not in capsys.readouterr().out
    assert main(["info", str(net), "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["shares"] == {"net": 1.0}


def test_inspect_shows_both_shares(joined: Path, capsys: pytest.CaptureFixture[str]) -> None:
    text = "music1 word2 !? word3"
    assert main(["inspect", str(joined), text, "--json"]) == 0
    told = json.loads(capsys.readouterr().out)
    run = load_run(joined)
    assert told["probability"] == pytest.approx(run.predict_proba([text]).max(), rel=1e-5)
    assert [word["word"] for word in told["words"]] == ["music1", "word2", "word3"]
    assert run.parts.linear is not None
    assert run.parts.join is not None
    added = run.parts.linear.contributions("music1 word2 ! ? word3".split())
    added = run.parts.join.linear * (added - added.mean(axis=1, keepdims=True))
    for word, share in zip(
        told["words"], (added[0], added[1:4].sum(axis=0), added[4]), strict=True
    ):
        assert list(word["linear"].values()) == pytest.approx(share, rel=1e-4, abs=1e-8)
    for end, word in zip(("music1", "music1 word2 !?", text), told["words"], strict=True):
        joined_p = run.predict_proba([end])[0]
        assert list(word["joined"].values()) == pytest.approx(joined_p, rel=1e-4)
        assert word["net"].keys() == word["joined"].keys() == set(TOPICS)
    assert main(["inspect", str(joined), text]) == 0
    printed = capsys.readouterr().out
    assert "linear" in printed
    assert f"net {run.parts.join.net_share:.2f}, linear" in " ".join(printed.split())
    assert all(len(line) <= 80 for line in printed.splitlines())


def test_inspect_of_a_linear_run(
    linear: Path, capsys: pytest.CaptureFixture[str], misused: Callable[..., str], tmp_path: Path
) -> None:
    assert main(["inspect", str(linear), "sport1 sport2 word3", "--json"]) == 0
    told = json.loads(capsys.readouterr().out)
    assert [word["word"] for word in told["words"]] == ["sport1", "sport2", "word3"]
    assert told["label"] == "sport"
    assert told["words"][0]["linear"]["sport"] > 0
    assert main(["inspect", str(linear), "sport1 word2"]) == 0
    assert "prediction: sport, probability" in capsys.readouterr().out
    assert "--layer shows a net" in misused("inspect", linear, "a", "--layer", "0")
    assert "--direction is that of a net" in misused(
        "inspect", linear, "a", "--direction", "backward"
    )
    assert "--precision is that of a net" in misused("predict", linear, "a", "--precision", "int8")


def test_export_of_a_joined_run(joined: Path, tmp_path: Path) -> None:
    run = fastlstm.load(joined)
    with pytest.raises(ValueError, match="train with --parts net, or give the net alone"):
        fastlstm.save(run, tmp_path / "a.onnx")
    with pytest.raises(ValueError, match="joined to a linear part: load the folder"):
        fastlstm.load(joined / "model.safetensors")
    fastlstm.save(run.model, tmp_path / "net.safetensors")
    net = fastlstm.load(tmp_path / "net.safetensors")
    np.testing.assert_array_equal(net([[2, 3]]), run.model([[2, 3]]))


@pytest.mark.parametrize(
    ("change", "told"),
    [
        ({"join": {"net": -1.0, "linear": 1.0, "net_share": 0.5}}, "its join is"),
        ({"join": {"net": 1.0, "linear": 1.0}}, "Join has names missing"),
        ({"join": {"net": "1", "linear": 1.0, "net_share": 0.5}}, "net is '1', expected float"),
        ({"linear": {"version": 99}}, "version is 99"),
        ({"linear": 5}, "holds no model"),
    ],
)
def test_a_damaged_join(change: dict[str, Any], told: str, joined: Path, tmp_path: Path) -> None:
    folder = Path(shutil.copytree(joined, tmp_path / "run"))
    path = folder / "model.safetensors"
    tensors, note = checkpoint.load(path, "model")
    checkpoint.save(path, tensors, "model", {**note, **change})
    with pytest.raises(checkpoint.CheckpointError, match=told):
        load_run(folder)


def test_parts_of_other_classes_do_not_fit(joined: Path, tmp_path: Path) -> None:
    data = write_csv(tmp_path / "two.csv", marked(40, ("good", "bad")))
    train(data, tmp_path / "two", parts="joined")
    other, note = checkpoint.load(tmp_path / "two" / "model.safetensors", "model")
    folder = Path(shutil.copytree(joined, tmp_path / "run"))
    path = folder / "model.safetensors"
    tensors, own = checkpoint.load(path, "model")
    mixed = {n: a for n, a in tensors.items() if not n.startswith("linear.")}
    mixed |= {n: a for n, a in other.items() if n.startswith("linear.")}
    checkpoint.save(path, mixed, "model", {**own, "linear": note["linear"]})
    with pytest.raises(checkpoint.CheckpointError, match="net has 3 outputs, its linear part 1"):
        load_run(folder)


def test_both_parts_are_the_default(
    data: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    metrics = train(data, tmp_path / "run", parts=None)
    assert read(tmp_path / "run" / "config.json")["parts"] == "joined"
    assert {"net_test_accuracy", "linear_test_accuracy"} <= metrics.keys()
