"""The options as a value: types, ranges, JSON."""

from __future__ import annotations

import json
from dataclasses import FrozenInstanceError, replace
from pathlib import Path
from typing import Any

import pytest

from fastlstm.train.classifier.config import Config
from fastlstm.train.classifier.text_config import load_config


def test_json_and_back() -> None:
    config = Config(lr=0.1 + 0.2, data="x", bidirectional=False)
    assert Config.from_json(json.loads(json.dumps(config.to_json()))) == config


@pytest.mark.parametrize(
    ("texts", "batch_size", "epochs"),
    [
        (22_500, 64, 3),  # the full IMDB, a tenth held back
        (25_000, 64, 3),
        (10_000, 64, 7),
        (9_999, 32, 4),
        (1_800, 32, 18),  # the bundled sample
        (10, 32, 40),
    ],
)
def test_what_is_left_open_follows_from_the_number_of_texts(
    texts: int, batch_size: int, epochs: int
) -> None:
    net = Config(parts="net")
    assert net.sized(texts, 10**9) == {"batch_size": batch_size, "epochs": epochs}
    assert Config().sized(texts) == {"batch_size": batch_size, "epochs": epochs}
    given = {"batch_size": 16, "epochs": 2}
    assert Config(**given).sized(texts) == given  # type: ignore[arg-type]
    assert Config(epochs=2).sized(texts) == {"batch_size": batch_size, "epochs": 2}


@pytest.mark.parametrize(
    ("texts", "words", "epochs"),
    [
        (22_500, 4_900_000, 2),  # the full IMDB, a tenth held back
        (1_800, 284_000, 8),  # the bundled sample
        (9_000, 180_000, 4),  # short texts: the steps decide
        (500, 10_000, 40),
    ],
)
def test_beside_a_linear_part_a_net_reads_fewer_words(texts: int, words: int, epochs: int) -> None:
    assert Config().sized(texts, words)["epochs"] == epochs
    assert Config(epochs=9).sized(texts, words)["epochs"] == 9


@pytest.mark.parametrize(
    ("texts", "epochs", "taught"),
    [
        (22_500, 6, 3),  # the full IMDB, a tenth held back
        (9_000, 6, 4),
        (2_000, 16, 16),
    ],
)
def test_a_pretrained_net_reads_many_texts_more_often(texts: int, epochs: int, taught: int) -> None:
    words = 200 * texts
    config = Config(pretrain=True)
    assert config.sized(texts, words)["epochs"] == epochs
    assert replace(config, teachers=1).sized(texts, words)["epochs"] == taught
    assert replace(config, epochs=2).sized(texts, words)["epochs"] == 2


def test_it_cannot_be_changed() -> None:
    with pytest.raises(FrozenInstanceError):
        Config().lr = 1.0  # type: ignore[misc]


def test_whole_numbers_are_fine_for_fractions() -> None:
    assert isinstance(Config(clip=1).clip, float)


@pytest.mark.parametrize(
    ("options", "error", "message"),
    [
        ({"epochs": 1.5}, TypeError, "epochs is 1.5, expected int"),
        ({"epochs": True}, TypeError, "epochs is True, expected int"),
        ({"bidirectional": 1}, TypeError, "bidirectional is 1, expected bool"),
        ({"lr": "fast"}, TypeError, "lr is 'fast', expected float"),
        ({"lr": None}, TypeError, "lr is None"),
        ({"data": 3}, TypeError, "data is 3, expected str"),
        ({"threads": 1025}, ValueError, "at least 0 and at most 1024"),
        ({"clip": float("inf")}, ValueError, "clip is inf, expected at least 0 and finite"),
        ({"optimizer": "lbfgs"}, ValueError, "expected one of adam, adamw, sgd"),
        ({"cell": "elman"}, ValueError, "cell is .elman., expected one of lstm, gru, rnn"),
        ({"pooling": ""}, ValueError, "pooling is ''"),
        ({"precision": "half"}, ValueError, "precision is .half., expected one of float32, bfloat"),
        (
            {"precision": "int8"},
            ValueError,
            "precision is .int8., in which a net cannot be trained",
        ),
        (
            {"precision": "bfloat16", "dtype": "float64"},
            ValueError,
            "precision is .bfloat16. with arrays of float64",
        ),
    ],
)
def test_wrong_values_are_named(
    options: dict[str, Any], error: type[Exception], message: str
) -> None:
    with pytest.raises(error, match=message):
        Config(**options)


def test_missing_and_unknown_options_in_a_file(tmp_path: Path) -> None:
    value = Config().to_json()
    value["speed"] = value.pop("lr")
    path = tmp_path / "config.json"
    path.write_text(json.dumps(value))
    with pytest.raises(ValueError, match=r"config\.json .*\['lr', 'speed'\]"):
        load_config(path)
    with pytest.raises(FileNotFoundError):
        load_config(tmp_path / "gone")
