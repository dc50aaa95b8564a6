"""Options and presets of a language model's training, its files, and what it prints."""

from __future__ import annotations

import re
import signal
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from fastlstm.models import AdaptiveSoftmax, LanguageModel
from fastlstm.text import LanguageData, load_language
from fastlstm.train import SGD, Adam, AdamW, CheckpointError, Listener, TrainingInterrupted
from fastlstm.train.curves import draw_loss
from fastlstm.train.language.run import PRESETS, build_trainer
from fastlstm.train.model_file import load_model, save_model
from fastlstm.train.progress import Perplexity

SMALL = {
    "embedding_dim": 4, "hidden_size": 5, "num_layers": 1, "steps": 8, "batch_size": 4,
    "epochs": 2,
}  # fmt: skip


@pytest.fixture
def data(tmp_path: Path) -> Any:
    (tmp_path / "book.txt").write_text("to be or not to be\n" * 60)
    return load_language(tmp_path / "book.txt")


def learn(options: Any, data: Any, validation: Any = None, **more: Any) -> Any:
    one = build_trainer(options, data, **more)
    return one.fit(*one.task.source(one.model, data.train, validation))


def test_zaremba_s_small_network(data: Any) -> None:
    """Section 4.1 of the paper: 2 layers of 200, T 20, batch 20, 13 epochs, rate 1 halved."""
    one = build_trainer(PRESETS["zaremba-small"], data)
    assert isinstance(one.optimizer, SGD)
    assert (one.optimizer.lr, one.optimizer.momentum, one.optimizer.weight_decay) == (1.0, 0, 0)
    assert (one.epochs, one.task.batch_size, one.task.steps) == (13, 20, 20)
    assert (one.clip, one.task.sum_steps) == (5.0, True)
    layer = one.model.recurrent
    sizes = (layer.input_size, layer.hidden_size, layer.num_layers, layer.dropout)
    assert sizes == (200, 200, 2, 0.0)
    assert [one.schedule((e + 0.5) / 13) for e in range(6)] == [1, 1, 1, 1, 0.5, 0.25]
    assert 0.09 < np.abs(one.model.decoder.weight.data).max() <= 0.1
    assert PRESETS["zaremba-small"].level == "word"


def test_options_reach_the_model(data: Any) -> None:
    options = replace(PRESETS["char"], **SMALL, cell="gru", projection=4, tied=True, dropout=0.1)
    one = build_trainer(options, data, seed=5, identity={"limit": 3})
    assert isinstance(one.optimizer, Adam)
    made = one.model.options
    assert (made["cell"], made["projection"], made["tied"]) == ("gru", 4, True)
    assert (made["dropout"], made["init_range"], one.seed) == (0.1, None, 5)
    told = {"the text": data.source, "the tokens": data.checksum}
    assert one.identity == {**told, "schedule": "cosine", "limit": 3}
    same, other = (build_trainer(options, data, seed).model.state_dict() for seed in (5, 6))
    weights = one.model.state_dict()
    assert all((weights[name] == same[name]).all() for name in weights)
    assert (weights["embedding.weight"] != other["embedding.weight"]).any()


@pytest.mark.parametrize(("name", "units"), [("tied-small", 200), ("tied-medium", 650)])
def test_tied_presets(data: Any, name: str, units: int) -> None:
    one = build_trainer(PRESETS[name], data)
    layer, decoder = one.model.recurrent, one.model.decoder
    sizes = (layer.input_size, layer.hidden_size, layer.num_layers)
    assert sizes == (units, units, 2)
    assert isinstance(decoder, AdaptiveSoftmax)
    assert decoder.head.words.weight is one.model.embedding.weight
    assert (PRESETS[name].level, layer.precision, decoder.div_value) == ("word", "bfloat16", 1)
    assert one.average is not None


ADAPTIVE = {"softmax": "adaptive", "cutoffs": "4,8"}
REGULARISED = {
    "variational": True, "dropout": 0.2, "embedding_dropout": 0.1, "weight_drop": 0.3,
    "average": 0.9, "weight_decay": 1e-3, "optimizer": "adamw",
}  # fmt: skip


def test_regularisation_and_softmax_reach_the_training(data: Any) -> None:
    options = replace(PRESETS["char"], **SMALL, **REGULARISED, **ADAPTIVE, div_value=2.0)
    one = build_trainer(options, data)
    layer, decoder = one.model.recurrent, one.model.decoder
    assert isinstance(decoder, AdaptiveSoftmax)
    assert (decoder.cutoffs, decoder.div_value) == ([4, 8], 2.0)
    assert (layer.weight_drop, layer.variational, one.model.embedding_dropout.p) == (0.3, True, 0.1)
    assert isinstance(one.optimizer, AdamW)
    assert (one.optimizer.weight_decay, one.average is None) == (1e-3, False)
    assert one.identity["weight_decay"] == 1e-3
    assert one.identity["average_decay"] == 0.9
    chosen = build_trainer(replace(PRESETS["char"], **SMALL, softmax="adaptive"), data)
    assert 1 < chosen.model.decoder.cutoffs[0] < len(data.symbols)


@pytest.mark.parametrize(
    "options", [{**ADAPTIVE, "div_value": 2.0}, {**ADAPTIVE, "tied": True, **REGULARISED}], ids=str
)
def test_every_option_resumes_with_the_same_bits(
    data: Any, tmp_path: Path, options: dict[str, Any]
) -> None:
    chosen = replace(PRESETS["char"], **{**SMALL, "hidden_size": 4, "epochs": 3}, **options)
    state = tmp_path / "state"

    def trainer(**more: Any) -> Any:
        return build_trainer(replace(chosen, **more), data, state=state)

    def fit(one: Any) -> Any:
        one.fit(*one.task.source(one.model, data.train, data.validation))
        return one.model.state_dict()

    class StopInTheSecondEpoch(Listener):
        def on_step(self, history: Any) -> None:
            if len(history.epochs) == 1 and history.batch == 3:
                signal.raise_signal(signal.SIGINT)

    whole = fit(trainer())
    broken = build_trainer(chosen, data, state=state, listeners=[StopInTheSecondEpoch()])
    with pytest.raises(TrainingInterrupted):
        fit(broken)
    again = trainer()
    again.load(state)
    for name, value in fit(again).items():
        np.testing.assert_array_equal(value, whole[name], err_msg=name)
    for other in ({"cutoffs": "4,7"}, {"average": 0.5}, {"weight_drop": 0.4}):
        with pytest.raises(CheckpointError, match="is of another run: .* differ"):
            trainer(**other).load(state)


WRONG: list[tuple[dict[str, Any], str]] = [
    ({"cutoffs": "5"}, "cutoffs is '5' with a full softmax"),
    ({"div_value": 2.0}, "div_value is 2.0 with a full softmax"),
    ({"softmax": "adaptive", "cutoffs": "5;7"}, "cutoffs is '5;7', expected numbers with commas"),
    ({"softmax": "adaptive", "cutoffs": "5,99"}, "expected increasing numbers below vocab_size"),
    ({"softmax": "adaptive", "div_value": 0.5}, "div_value is 0.5, expected at least 1"),
    ({**ADAPTIVE, "tied": True, "hidden_size": 4, "div_value": 2.0}, "div_value is 2.0 with a sha"),
    ({"softmax": "sampled"}, "softmax is 'sampled', expected one of full, adaptive"),
    ({"average": 1.0}, "decay is 1.0, expected a number between 0 and 1"),
]


@pytest.mark.parametrize(("options", "message"), WRONG, ids=[m for _, m in WRONG])
def test_wrong_softmax_options(data: Any, options: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=re.escape(message)):
        build_trainer(replace(PRESETS["char"], **{**SMALL, **options}), data)


def test_an_adaptive_softmax_wants_words_by_frequency(data: Any) -> None:
    """Symbols of a text are; those that a user made need not be."""
    rare_first = replace_data(data, len(data.symbols) - data.train)
    options = replace(PRESETS["char"], **SMALL, softmax="adaptive")
    with pytest.raises(ValueError, match="not in the order of their frequency"):
        build_trainer(options, rare_first)
    assert build_trainer(replace(options, softmax="full"), rare_first)


def replace_data(data: Any, train: Any) -> LanguageData:
    return LanguageData(train, data.validation, data.test, data.symbols, data.source)


def test_an_adaptive_model_of_a_file(tmp_path: Path) -> None:
    path = tmp_path / "model.safetensors"
    for options in ({"cutoffs": [3, 6], "div_value": 2.0}, {"cutoffs": [3], "tied": True}):
        ours = LanguageModel(9, 4, 4, weight_drop=0.2, **options)
        save_model(path, ours)
        again = load_model(path)
        ids = np.arange(8).reshape(4, 2)
        np.testing.assert_array_equal(again(ids)[0], ours(ids)[0])
        assert again.options == ours.options
    ours.options["cutoffs"] = [2]
    save_model(path, ours)
    with pytest.raises(CheckpointError, match="model"):
        load_model(path)
    ours.options["cutoffs"] = list(range(1, 9)) * 1000
    save_model(path, ours)
    with pytest.raises(CheckpointError, match="cutoffs has 8000 numbers, expected 1 to 16"):
        load_model(path)


def test_saved_and_loaded(tmp_path: Path) -> None:
    ours = LanguageModel(9, 4, 4, 2, tied=True, cell="gru")
    save_model(tmp_path / "model.safetensors", ours)
    again = load_model(tmp_path / "model.safetensors")
    ids = np.arange(8).reshape(4, 2)
    np.testing.assert_array_equal(again(ids)[0], ours(ids)[0])
    (tmp_path / "other").write_bytes(b"{}")
    with pytest.raises(CheckpointError, match="other is damaged or no checkpoint"):
        load_model(tmp_path / "other")


def test_lines(data: Any, capsys: pytest.CaptureFixture[str]) -> None:
    options = replace(PRESETS["char"], **SMALL)
    learn(options, data, data.validation, listeners=[Perplexity(every=1e-9)])
    lines = capsys.readouterr().out.splitlines()
    steps = -(-(len(data.train) // 4 - 1) // 8)
    assert len(lines) == 2 * (steps + 1)
    number = r"[\d,.]+"
    assert re.fullmatch(
        rf"epoch 1/2,   3%: perplexity {number}, {number} tokens/s, 0:\d\d left", lines[0]
    )
    assert re.fullmatch(
        rf"epoch 2/2: loss {number}, perplexity {number}; validation loss {number}, "
        rf"perplexity {number} \(best\); {number} s, {number} tokens/s",
        lines[-1],
    )
    learn(options, data, listeners=[Perplexity()])
    lines = capsys.readouterr().out.splitlines()
    assert len(lines) == 2
    assert "validation" not in lines[0]


def test_the_loss_curve(data: Any, tmp_path: Path) -> None:
    pytest.importorskip("matplotlib")
    options = replace(PRESETS["char"], **SMALL)
    history = learn(options, data, data.validation)
    draw_loss(tmp_path / "loss.png", history, "a title")
    assert (tmp_path / "loss.png").read_bytes().startswith(b"\x89PNG")
    with pytest.raises(OSError, match="cannot write"):
        draw_loss(tmp_path / "gone" / "loss.png", history, "a title")


def test_a_picture_without_matplotlib(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    import sys

    monkeypatch.setitem(sys.modules, "matplotlib.figure", None)
    with pytest.raises(ImportError, match=r"pip install 'fastlstm\[plot\]'"):
        draw_loss(tmp_path / "loss.png", None, "")
