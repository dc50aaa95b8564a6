"""`--precision` of `fastlstm train`, `predict` and `evaluate`."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from ctrl_c import pressing
from topics import read, rows, timeless, train, weights, words, write_csv

from fastlstm.cli import main
from fastlstm.kernels.call import PRECISIONS
from fastlstm.train.classifier.loaded_run import load_run
from fastlstm.train.model_file import load_model

pytestmark = pytest.mark.usefixtures("no_picture", "no_debug", "threads")


@pytest.fixture(scope="module")
def rounded(tmp_path_factory: pytest.TempPathFactory, topics_csv: Path) -> Path:
    """The folder of a run in bfloat16."""
    out = tmp_path_factory.mktemp("runs") / "rounded"
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("fastlstm.train.classifier.classify.draw_curves", lambda *_: False)
        train(topics_csv, out, precision="bfloat16")
    return out


@pytest.fixture
def said(capsys: pytest.CaptureFixture[str]) -> Callable[..., list[Any]]:
    """Run a command; return the JSON of the lines it prints."""

    def run(*line: object) -> list[Any]:
        capsys.readouterr()
        assert main([str(word) for word in line]) == 0
        return [json.loads(text) for text in capsys.readouterr().out.splitlines()]

    return run


def test_the_run_says_its_precision(
    rounded: Path, three: Path, said: Any, capsys: pytest.CaptureFixture[str]
) -> None:
    for run, precision in ((rounded, "bfloat16"), (three, "float32")):
        assert read(run / "config.json")["precision"] == precision
        assert read(run / "metrics.json")["precision"] == precision
        assert said("info", run, "--json")[0]["options"]["precision"] == precision
    assert weights(rounded) != weights(three)
    assert main(["info", str(rounded)]) == 0
    assert "float32, products in bfloat16" in capsys.readouterr().out


def test_the_weights_stay_float32(rounded: Path) -> None:
    values = load_model(rounded / "model.safetensors").state_dict().values()
    assert {value.dtype for value in values} == {np.dtype("float32")}
    assert any((value.view(np.uint32) & 0xFFFF).any() for value in values)  # not rounded


def test_predict_in_each_precision(rounded: Path, three: Path, said: Any) -> None:
    texts = rows(30, seed=5)[0]
    for run, own in ((rounded, "bfloat16"), (three, "float32")):
        asked = ["predict", run, *texts, "--probabilities"]
        found = {p: said(*asked, "--precision", p) for p in PRECISIONS}
        assert said(*asked) == found[own]
        tables = [_probabilities(found[p]) for p in PRECISIONS]
        for rounded_ in tables[1:]:
            assert not np.array_equal(rounded_, tables[0])
            np.testing.assert_allclose(rounded_, tables[0], rtol=0, atol=0.02)


def _probabilities(lines: list[Any]) -> Any:
    return np.array([list(line["probabilities"].values()) for line in lines])


def test_evaluate_in_each_precision(
    rounded: Path, tmp_path: Path, said: Any, capsys: pytest.CaptureFixture[str]
) -> None:
    data = write_csv(tmp_path / "a.csv", rows(40, seed=6))
    asked = ["evaluate", rounded, data, "--json"]
    found = {p: said(*asked, "--precision", p)[0] for p in PRECISIONS}
    assert {p: one["precision"] for p, one in found.items()} == {p: p for p in PRECISIONS}
    assert len({one["loss"] for one in found.values()}) == len(PRECISIONS)
    assert said(*asked)[0] == found["bfloat16"]
    assert main(["evaluate", str(rounded), str(data), "--precision", "int8"]) == 0
    assert "precision  int8\n" in capsys.readouterr().out


def test_the_test_texts_again(tmp_path: Path, said: Any) -> None:
    test = write_csv(tmp_path / "test.csv", rows(40, seed=1))
    data = write_csv(tmp_path / "a.csv", rows(60))
    metrics = train(data, tmp_path / "run", test=test, precision="bfloat16")
    found = said("evaluate", tmp_path / "run", test, "--json")[0]
    assert found["accuracy"] == metrics["test_accuracy"]
    assert found["loss"] == pytest.approx(metrics["test_loss"], rel=1e-5)


def test_inspect_a_run_in_bfloat16(rounded: Path, said: Any) -> None:
    text = rows(1, seed=7)[0][0]
    told, whole = said("inspect", rounded, text, "--json")[0], said("predict", rounded, text)[0]
    assert (told["label"], told["probability"]) == (whole["label"], whole["probability"])


def test_int8_cannot_train(topics_csv: Path, tmp_path: Path, misused: Any) -> None:
    told = misused(*words(topics_csv, tmp_path / "run", precision="int8"))
    assert "--precision is 'int8', in which a net cannot be trained" in told
    assert "train in float32 or bfloat16, and give int8 to fastlstm predict and evaluate" in told
    assert not (tmp_path / "run").exists()


@pytest.mark.parametrize("command", ["train", "predict", "evaluate"])
def test_an_unknown_precision(command: str, three: Path, topics_csv: Path, misused: Any) -> None:
    told = misused(command, three, topics_csv, "--precision", "float16")
    assert "--precision: invalid choice: 'float16'" in told
    assert "bfloat16" in told


def test_float64_has_its_own_products(topics_csv: Path, tmp_path: Path, misused: Any) -> None:
    out = tmp_path / "run"
    told = misused(*words(topics_csv, out, precision="bfloat16", dtype="float64"))
    assert "--precision is 'bfloat16' with arrays of float64, expected 'float32'" in told
    train(topics_csv, out, dtype="float64")
    for command in ("predict", "evaluate"):
        told = misused(command, out, topics_csv, "--precision", "int8")
        assert "--precision is 'int8' with arrays of float64, expected 'float32'" in told
        assert main([command, str(out), str(topics_csv), "--precision", "float32"]) == 0


def test_a_backend_without_it(
    rounded: Path, topics_csv: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, fails: Any
) -> None:
    pytest.importorskip("numba")
    monkeypatch.setenv("FASTLSTM_BACKEND", "numba")
    for line in (
        ["predict", rounded, "music1"],
        ["evaluate", rounded, topics_csv, "--precision", "int8"],
        words(topics_csv, tmp_path / "run", precision="bfloat16"),
    ):
        told = fails(*line)
        assert "error: precision is '" in told
        assert "expected 'float32' in the numba backend" in told
    assert main(["predict", str(rounded), "music1", "--precision", "float32"]) == 0


def test_a_resumed_run_keeps_its_precision(
    rounded: Path, topics_csv: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, misused: Any
) -> None:

    out = tmp_path / "broken"
    with monkeypatch.context() as patch:
        patch.setattr("fastlstm.train.classifier.classify.Progress", pressing(7))
        assert main(words(topics_csv, out, precision="bfloat16")) == 130
    told = misused("train", "--resume", out, "--precision", "float32")
    assert "--precision is float32" in told
    assert "has bfloat16; a resumed run keeps its options" in told
    assert main(["train", "--resume", str(out)]) == 0
    assert weights(out) == weights(rounded)
    ends = [timeless(read(path / "metrics.json")) for path in (out, rounded)]
    assert ends[0] == ends[1]


def test_more_epochs_in_the_same_precision(
    topics_csv: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    train(topics_csv, tmp_path / "run", precision="bfloat16")
    assert main(["train", "--resume", str(tmp_path / "run"), "--epochs", "3"]) == 0
    metrics = read(tmp_path / "run" / "metrics.json")
    assert (metrics["epochs"], metrics["precision"]) == (3, "bfloat16")


def test_a_run_folder_of_before(three: Path, tmp_path: Path, said: Any) -> None:
    old = tmp_path / "old"
    old.mkdir()
    for path in three.iterdir():
        (old / path.name).write_bytes(path.read_bytes())
    for name in ("config.json", "metrics.json"):
        value = read(old / name)
        del value["precision"]
        (old / name).write_text(json.dumps(value))
    assert load_run(old).precision == "float32"
    for line in (["predict", "music1 sport2"], ["info", "--json"]):
        assert said(line[0], old, *line[1:])
    assert said("predict", old, "music1", "--precision", "int8")
    assert main(["train", "--resume", str(old), "--epochs", "3"]) == 0
    assert read(old / "metrics.json")["precision"] == "float32"
