"""Options and presets of a language model's training, its files, and what it prints."""

from __future__ import annotations

import re
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from fastlstm.models import LanguageModel
from fastlstm.text import load_language
from fastlstm.train import SGD, Adam, CheckpointError
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
    assert one.identity == {"the text": data.source, "schedule": "cosine", "limit": 3}
    same, other = (build_trainer(options, data, seed).model.state_dict() for seed in (5, 6))
    weights = one.model.state_dict()
    assert all((weights[name] == same[name]).all() for name in weights)
    assert (weights["embedding.weight"] != other["embedding.weight"]).any()


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
