"""The words of a search: what they mean, and each fault by name."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from fastlstm.train.classifier.text_config import TextConfig
from fastlstm.tune.function import make_plan
from fastlstm.tune.plan import Plan, make_space
from fastlstm.tune.space import Choices, Range, as_words, parse_search
from fastlstm.tune.subject import TEXTS

CONFIG = TextConfig()


def test_words_name_ranges_and_values() -> None:
    words = ["lr=1e-4:1e-2:log", "hidden=64,128", "num-layers=1:3", "dropout=0:0.6:0.2",
             "bidirectional=yes,no", "cell=lstm,gru", "batch=16:64:16"]  # fmt: skip
    space = parse_search(words, TEXTS.options)
    assert space == {
        "lr": Range(1e-4, 1e-2, log=True),
        "hidden_size": Choices((64, 128)),
        "num_layers": Range(1, 3),
        "dropout": Range(0.0, 0.6, 0.2),
        "bidirectional": Choices((True, False)),
        "cell": Choices(("lstm", "gru")),
        "batch_size": Range(16, 64, 16),
    }
    again = parse_search(
        [f"{name}={values.words}" for name, values in space.items()], TEXTS.options
    )
    assert again == space
    assert space["dropout"].value(0.2 + 0.2 + 0.2) == 0.6
    assert space["lr"].value(0.00123456) == 0.001235
    assert Range(0.12344, 1.0).value(0.123441) == 0.12344  # not below the lowest
    assert space["dropout"].holds(0.4)
    assert not space["dropout"].holds(0.3)
    assert not space["bidirectional"].holds(1)


def test_a_dict_is_words_too() -> None:
    assert as_words({"lr": "1e-4:1e-2", "hidden": [8, 16]}) == ["lr=1e-4:1e-2", "hidden=8,16"]
    assert as_words("lr=1:2 cell=lstm,gru") == ["lr=1:2", "cell=lstm,gru"]
    with pytest.raises(TypeError, match=r"search has lr: 0\.1, expected words such as"):
        as_words({"lr": 0.1})  # type: ignore[dict-item]
    for wrong in ([1], 1):
        with pytest.raises(TypeError, match=r"search is .*1.*, expected words"):
            as_words(wrong)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("word", "told"),
    [
        ("reviews.csv", "search is 'reviews.csv', expected NAME=LOW:HIGH.*DATA stands before"),
        ("lr=", "search is 'lr=', expected NAME=LOW:HIGH"),
        ("hiden_size=1:2", "search is for 'hiden_size', which is no option .*mean hidden_size"),
        ("lrate=1:2", "search is for 'lrate'.*such are parts, marks"),
        ("seed=1:5", "search is for 'seed', which is no option that can be searched"),
        ("lr=a:b", "search is lr='a', expected a number"),
        ("lr=1e-2:1e-4", "search is lr=1e-2:1e-4, expected LOW:HIGH with LOW below HIGH"),
        ("dropout=0:0.5:log", "expected LOW above 0 for log"),
        ("lr=1:2:3:4", "expected LOW:HIGH, and :log or :STEP after it"),
        ("lr=1:2:often", "search is lr='often', expected log or a step"),
        ("lr=1:2:-1", "expected a step above 0"),
        ("hidden=32:100:32", "steps of 32 never reach 100: expected a HIGH such as 96"),
        ("hidden=1.5,2", "search is hidden_size='1.5', expected a whole number"),
        ("hidden=64", "expected two values or more.*give --hidden-size"),
        ("hidden=64,64", "expected each value once"),
        ("bidirectional=maybe,no", "search is bidirectional='maybe', expected yes or no"),
        ("lr=nan,1", "search is lr='nan', expected a number"),
        ("lr=-1:1", r"lr is -1\.0, expected more than 0"),
        ("cell=lstm,transformer", "cell is 'transformer', expected one of lstm"),
        ("momentum=0.5:0.9", "search is for momentum does nothing here: only the optimizer sgd"),
    ],
)
def test_faults_are_named(word: str, told: str) -> None:
    with pytest.raises(ValueError, match=told):
        make_space([word], CONFIG, {})


def test_what_is_given_is_not_searched() -> None:
    assert len(make_space(None, CONFIG, {})) == len(TEXTS.default)
    assert "lr" not in make_space(None, CONFIG, {"lr": 0.1})
    with pytest.raises(ValueError, match=r"lr and search lr=0\.1:0\.2 exclude each other"):
        make_space(["lr=0.1:0.2"], CONFIG, {"lr": 0.1})
    with pytest.raises(ValueError, match="search has lr twice"):
        make_space(["lr=0.1:0.2", "lr=1:2"], CONFIG, {})
    with pytest.raises(ValueError, match="search is empty: all that is searched by default"):
        make_space(None, CONFIG, {word.partition("=")[0]: 1 for word in TEXTS.default})
    with pytest.raises(ValueError, match="search is empty: a linear part alone has no net"):
        make_space(None, TextConfig(parts="linear"), {})
    vectors = TextConfig(vectors="glove.txt")
    assert "embedding_dim" not in make_space(None, vectors, {"vectors": "glove.txt"})
    with pytest.raises(ValueError, match="that of the vectors or the run to begin with"):
        make_space(["embedding=64,128"], vectors, {"vectors": "glove.txt"})
    # one of the searched optimizers has a momentum
    assert make_space(["momentum=0.5:0.9", "optimizer=adam,sgd"], CONFIG, {})
    given = {"data": Path("films.csv"), "momentum": 0.5}
    plan = make_plan(given, ["optimizer=adam,sgd"], "loss", "none")
    assert (plan.config.data, plan.config.momentum) == (str(Path.cwd() / "films.csv"), 0.5)
    with pytest.raises(ValueError, match="momentum does nothing here: .* sgd has one; leave it"):
        make_plan(given, ["lr=0.1:0.2"], "loss", "none")


def test_a_plan_survives_json_and_begins_with_what_is_usual() -> None:
    space = make_space(["lr=1e-3:0.1:log", "hidden=16,32"], CONFIG, {})
    plan = Plan(CONFIG, space, "loss", "halving")
    assert Plan.from_json(plan.to_json()) == plan
    assert plan.first == {"lr": CONFIG.lr}  # 128 units are not searched
    config: Any = plan.config_of({"lr": 0.02, "hidden_size": 32}, threads=3)
    assert (config.lr, config.hidden_size, config.threads) == (0.02, 32, 3)
