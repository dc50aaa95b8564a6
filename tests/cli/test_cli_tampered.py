"""Run folders that somebody changed are answered by a clear error, soon, or by a result."""

from __future__ import annotations

import json
import shutil
import signal
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from ctrl_c import pressing
from tampered import attack
from topics import read, train, words

from fastlstm.cli import main
from fastlstm.files.json_value import parse_json
from fastlstm.train import checkpoint
from fastlstm.train.history import Epoch, History
from fastlstm.train.model_file import load_model

pytestmark = [
    pytest.mark.usefixtures("no_picture", "no_debug", "threads"),
    pytest.mark.filterwarnings("ignore::RuntimeWarning"),  # of numbers that cannot be
]
needs_alarm = pytest.mark.skipif(not hasattr(signal, "SIGALRM"), reason="nothing ends a hang there")


@pytest.fixture
def run(tmp_path: Path, topics_csv: Path) -> Path:
    train(topics_csv, tmp_path / "run")
    return tmp_path / "run"


@pytest.fixture
def broken(tmp_path: Path, topics_csv: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The folder of a run that Ctrl-C has broken off in its second epoch."""

    with monkeypatch.context() as patch:
        patch.setattr("fastlstm.train.classifier.classify.Progress", pressing(7))
        assert main(words(topics_csv, tmp_path / "broken")) == 130
    return tmp_path / "broken"


@needs_alarm
def test_finished_runs(run: Path, topics_csv: Path) -> None:
    assert list(attack(run, topics_csv, 250, seed=0)) == []


@needs_alarm
def test_unfinished_runs(broken: Path, topics_csv: Path) -> None:
    assert list(attack(broken, topics_csv, 250, seed=100_000)) == []


@needs_alarm
@pytest.mark.slow(seconds=8)
@pytest.mark.parametrize(("made", "seed"), [("run", 200_000), ("broken", 300_000)])
def test_many_runs(made: str, seed: int, topics_csv: Path, request: pytest.FixtureRequest) -> None:
    """Tens of thousands are those of `make attack`."""
    folder = request.getfixturevalue(made)
    assert list(attack(folder, topics_csv, 1000, seed=seed)) == []


def resave(path: Path, change: Any, kind: str = "model") -> None:
    """Save a checkpoint with a changed note and a right checksum."""
    tensors, note = checkpoint.load(path, kind)
    change(note)
    checkpoint.save(path, tensors, kind, note)


@pytest.mark.parametrize("name", ["vocab_size", "embedding_dim", "hidden_size", "num_layers"])
@pytest.mark.parametrize("size", [2**63, 2**40, 0, 3])
def test_sizes_are_those_of_the_tensors_before_anything_is_built(
    name: str, size: int, run: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def built(*_: object, **__: object) -> None:
        pytest.fail("a model was built")

    path = run / "model.safetensors"
    resave(path, lambda note: note["model"].update({name: size}))
    monkeypatch.setattr("fastlstm.models.TextClassifier.__init__", built)
    with pytest.raises(checkpoint.CheckpointError, match=f"{name} is {size}, but its tensors"):
        load_model(path)


def test_options_of_a_run_to_resume_are_compared_before_a_model_is_built(
    broken: Path, fails: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    def built(*_: object) -> None:
        pytest.fail("a model was built")

    config = read(broken / "config.json")
    (broken / "config.json").write_text(json.dumps({**config, "hidden_size": 2**19}))
    monkeypatch.setattr("fastlstm.train.classifier.classify.build_model", built)
    assert "is of another run: hidden_size differ" in fails("train", "--resume", broken)


@pytest.mark.parametrize(
    ("name", "value", "told"),
    [
        ("hidden_size", True, "hidden_size is True, expected int"),
        ("hidden_size", 8.0, "hidden_size is 8.0, expected int"),
        ("num_layers", 2**63, "num_layers is 9223372036854775808, expected at least 1 and at most"),
        ("dropout", "0.3", "dropout is '0.3', expected float"),
        ("dropout", 10**400, "dropout is 1000"),
        ("lr", None, "lr is None, expected float"),
        ("pooling", ["mean"], "pooling is ['mean'], expected str"),
    ],
)
def test_options_of_a_wrong_type(name: str, value: Any, told: str, run: Path, fails: Any) -> None:
    config = read(run / "config.json")
    (run / "config.json").write_text(json.dumps({**config, name: value}))
    assert told in fails("predict", run, "a")


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("[" * 100_000, "nested too deeply"),
        ('{"a": 1, "b": 2, "a": 3}', "names 'a' twice"),
        ('{"a": NaN}', "NaN is no number of JSON"),
        ('{"a": -Infinity}', "-Infinity is no number of JSON"),
        ('{"a": 1e999}', "1e999 is too large a number"),
        ("{", "not JSON"),
        (b"\xff\xfe{}", "can't decode"),
        ("9" * 5000, "a number has 5,000 digits, expected at most 4,300"),
    ],
)
def test_what_is_no_json_of_ours(text: Any, told: str) -> None:
    with pytest.raises(ValueError, match=told):
        parse_json(text)


EPOCH = Epoch(1, 5, 0.1, 0.5, 0.6, None, None, 100, 1.0, 0.0)


@pytest.mark.parametrize(
    "change",
    [
        {"best": 2}, {"best": 0}, {"best": -1}, {"best": True}, {"step": 4}, {"step": 2**64},
        {"batch": 1}, {"epochs": {}}, {"epochs": [1]}, {"running": []}, {"more": 1},
        {"running": {"loss_sum": "1"}}, {"running": {"speed": 1}},
    ],
)  # fmt: skip
def test_a_history_that_cannot_be(change: dict[str, Any]) -> None:
    history = History(step=5, epochs=[EPOCH], best=1).to_json()
    assert History.from_json(json.loads(json.dumps(history))).epochs == [EPOCH]
    with pytest.raises(ValueError, match=r"is|are|has"):
        History.from_json({**history, **change})


@pytest.mark.parametrize("name", ["running", "epochs"])
def test_a_history_without_a_part(name: str) -> None:
    history = History(step=5, epochs=[EPOCH], best=1).to_json()
    del history[name]
    with pytest.raises(ValueError, match=f"missing or unknown: .*{name}"):
        History.from_json(history)


def test_weights_of_the_best_epoch_that_are_not_of_the_model(broken: Path, fails: Any) -> None:
    path = broken / "checkpoint.safetensors"
    tensors, note = checkpoint.load(path, "training state")
    name = next(name for name in tensors if name.startswith("best/"))
    for new in ({}, {name: np.zeros(3, np.float32)}):
        changed = {key: value for key, value in tensors.items() if key != name} | new
        checkpoint.save(path, changed, "training state", note)
        assert f"{path} is of another run: state" in fails("train", "--resume", broken)


def test_a_run_without_the_lines_of_its_epochs_is_not_extended(run: Path, fails: Any) -> None:
    shutil.copytree(run, run.with_name("copy"))
    (run / "metrics.jsonl").unlink()
    assert "has no epochs" in fails("train", "--resume", run, "--epochs", "5")
