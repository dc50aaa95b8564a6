"""`pretrain`: it learns, repeats and resumes, and a classifier takes what it returns."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from fastlstm.models import TextClassifier
from fastlstm.text import Encoded
from fastlstm.train import TrainingInterrupted
from fastlstm.train.classifier.config import Config
from fastlstm.train.classifier.pretrain import PretrainOptions, pretrain

V = 30
CONFIG = Config(vocab_size=V, embedding_dim=6, hidden_size=8, max_length=12)
OPTIONS = PretrainOptions(epochs=3, batch_size=8, lr=0.02, samples=50, validation=10)
NEAREST = replace(OPTIONS, window=1, subsample=0.0)


def reviews(count: int = 120) -> Encoded:
    """Texts that count on from a random word; a few are empty."""
    rng = np.random.default_rng(0)
    lengths = rng.integers(0, 20, count)
    rows = [2 + (rng.integers(V - 2) + np.arange(n)) % (V - 2) for n in lengths]
    return Encoded.from_lengths(np.concatenate(rows), lengths, [-1] * count)


def run(config: Config = CONFIG, seed: int = 0, **more: Any) -> dict[str, Any]:
    given = {"options": OPTIONS, **more}
    return pretrain(config, reviews(), V, np.random.default_rng(seed), **given).weights


@pytest.mark.parametrize(("options", "least"), [(NEAREST, 20), (OPTIONS, 27)], ids=str)
def test_it_learns_and_tells(options: PretrainOptions, least: float) -> None:
    lines: list[str] = []
    run(progress=lines.append, options=options)
    assert len(lines) == OPTIONS.epochs
    assert lines[0].startswith("pretraining, epoch 1/3: sampled loss ")
    perplexities = [float(line.split("perplexity ")[1].split(" on ")[0]) for line in lines]
    assert perplexities[0] > perplexities[-1]
    assert perplexities[-1] < least  # 30 by chance


@pytest.mark.parametrize(
    "options",
    [{}, {"bidirectional": False, "num_layers": 2}, {"cell": "gru"}, {"num_layers": 2}],
    ids=str,
)
def test_a_classifier_takes_what_it_returns(options: dict[str, Any]) -> None:
    config = Config(**{**CONFIG.to_json(), **options})
    weights = run(config, options=PretrainOptions(1, 16, validation=5))
    model = TextClassifier(
        V, 6, 8, config.num_layers, config.bidirectional, "mean", cell=config.cell
    )
    model.load_state_dict({**model.state_dict(), **weights})
    assert not weights["embedding.weight"][0].any()
    layers = {name for name in weights if name.startswith(config.cell)}
    assert any("_reverse" in name for name in layers) == config.bidirectional
    assert any("_l1" in name for name in layers) == (options.get("bidirectional") is False)


def test_the_same_generator_gives_the_same_weights(tmp_path: Path) -> None:
    one, two, other = run(seed=1), run(seed=1), run(seed=2)
    assert all(np.array_equal(one[name], two[name]) for name in one)
    assert not np.array_equal(one["embedding.weight"], other["embedding.weight"])
    path = tmp_path / "state"

    def stop(line: str) -> None:
        raise TrainingInterrupted

    with pytest.raises(TrainingInterrupted):
        run(seed=1, progress=stop, checkpoint=path)  # after the first epoch
    resumed = run(seed=1, checkpoint=path)
    assert all(np.array_equal(one[name], resumed[name]) for name in one)


def test_too_few_reviews() -> None:
    with pytest.raises(ValueError, match=r"reviews has 1\d\d texts with words, expected more than"):
        run(options=PretrainOptions(validation=500))
