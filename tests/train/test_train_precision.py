"""`train_imdb --precision`: what it trains, tells and refuses."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from tiny_imdb import arguments, read, read_lines, train

from fastlstm.models import TextClassifier
from fastlstm.models.review_model import ReviewModel
from fastlstm.train.classifier.config import Config
from fastlstm.train.classifier.loaded_run import load_run
from fastlstm.train.classifier.training import build_model
from fastlstm.train_imdb import main

pytestmark = pytest.mark.usefixtures("own_cache", "no_picture", "threads")


@pytest.mark.parametrize("cell", ["lstm", "gru", "rnn"])
def test_a_run_in_bfloat16(
    cell: str, reviews: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    metrics = train(reviews, tmp_path / "run", precision="bfloat16", cell=cell)
    assert metrics["precision"] == read(tmp_path / "run" / "config.json")["precision"] == "bfloat16"
    assert f"{metrics['isa']}, bfloat16\n" in capsys.readouterr().out
    plain = train(reviews, tmp_path / "plain", cell=cell)
    assert plain["precision"] == "float32"
    losses = [
        [epoch["train_loss"] for epoch in read_lines(tmp_path / name / "metrics.jsonl")]
        for name in ("run", "plain")
    ]
    assert losses[0] != losses[1]
    np.testing.assert_allclose(losses[0], losses[1], rtol=0.02)


def test_the_same_bits_on_any_number_of_threads(reviews: Path, tmp_path: Path) -> None:
    ends = []
    for n in (1, 2):
        train(reviews, tmp_path / str(n), precision="bfloat16", threads=n)
        ends.append((tmp_path / str(n) / "model.safetensors").read_bytes())
    assert ends[0] == ends[1]


def test_pretraining_and_teachers_too(
    reviews: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    seen: set[tuple[str, str]] = set()
    for kind in (TextClassifier, ReviewModel):
        forward: Any = kind.forward

        def noted(model: Any, *inputs: Any, _forward: Any = forward, **options: Any) -> Any:
            seen.add((type(model).__name__, model.recurrent.precision))
            return _forward(model, *inputs, **options)

        monkeypatch.setattr(kind, "forward", noted)
    train(reviews, tmp_path / "run", pretrain=True, pretrain_epochs=1, teachers=1, epochs=1,
          precision="bfloat16")  # fmt: skip
    assert seen == {("TextClassifier", "bfloat16"), ("ReviewModel", "bfloat16")}
    assert load_run(tmp_path / "run" / "teacher-1").precision == "bfloat16"


def test_int8_is_refused(reviews: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as caught:
        main(arguments(reviews, tmp_path / "run", precision="int8"))
    assert caught.value.code == 2
    told = capsys.readouterr().err
    assert "train_imdb: error: --precision is 'int8', in which a net cannot be trained" in told
    assert "give int8 to fastlstm predict and evaluate" in told


def test_the_model_of_a_config() -> None:
    model = build_model(Config(precision="bfloat16", hidden_size=4, embedding_dim=3), 10)
    assert {model.recurrent.precision, model.head.precision} == {"bfloat16"}
    assert "precision" not in model.options  # a file of the model does not depend on it
