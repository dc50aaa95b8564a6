"""`--precision` and `--test-precision` of the examples: what is in use, and what it changes."""

from __future__ import annotations

import json
from importlib import import_module
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import fastlstm as fl
from fastlstm.models import Seq2Seq
from fastlstm.train.checkpoint import CheckpointError
from fastlstm.train.seq2seq import learn

PRECISIONS = ("float32", "bfloat16", "int8")
TINY = {
    "dates": ["--pairs", "200", "--epochs", "1", "--hidden-size", "16"],
    "language_model": ["--limit", "2000", "--epochs", "1", "--hidden-size", "16", "--sample", "0"],
    "names": ["--epochs", "1", "--hidden-size", "16"],
    "toy": ["--updates", "2", "--hidden-size", "16"],
    "translate": [
        "--embedding-dim", "8", "--hidden-size", "16", "--epochs", "1", "--limit", "100",
        "--beam", "1",
    ],
}  # fmt: skip


@pytest.fixture
def used(monkeypatch: pytest.MonkeyPatch) -> dict[str, set[str]]:
    """Precisions of the recurrent layers that train, and of those that infer."""
    found: dict[str, set[str]] = {"training": set(), "inference": set()}
    for layer in (fl.LSTM, fl.GRU):
        for name, kind in (("forward", "training"), ("__call__", "inference")):
            plain = getattr(layer, name)

            def watched(
                self: Any, *args: Any, _plain: Any = plain, _kind: str = kind, **kw: Any
            ) -> Any:
                found[_kind].add(self.precision)
                return _plain(self, *args, **kw)

            monkeypatch.setattr(layer, name, watched)
    return found


@pytest.mark.parametrize("name", TINY)
@pytest.mark.parametrize(
    ("options", "trained", "tested"),
    [
        ([], "float32", "float32"),
        (["--precision", "bfloat16"], "bfloat16", "bfloat16"),
        (["--test-precision", "int8"], "float32", "int8"),
        (["--precision", "bfloat16", "--test-precision", "float32"], "bfloat16", "float32"),
    ],
    ids=str,
)
@pytest.mark.usefixtures("native")
def test_layers_have_the_precision_that_is_asked_for(
    name: str, options: list[str], trained: str, tested: str, used: dict[str, set[str]]
) -> None:
    assert import_module(f"fastlstm.examples.{name}").main([*TINY[name], *options]) == 0
    assert used["training"] == {trained}
    assert tested in used["inference"] <= {trained, tested}, "validation is as the training"


@pytest.mark.parametrize("name", TINY)
def test_nothing_is_trained_in_int8(name: str, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as ended:
        import_module(f"fastlstm.examples.{name}").main([*TINY[name], "--precision", "int8"])
    assert ended.value.code == 2
    assert "--precision: invalid choice: 'int8'" in capsys.readouterr().err


@pytest.mark.usefixtures("native")
def test_a_language_model_that_is_kept_is_tested_in_each(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], used: dict[str, set[str]]
) -> None:
    from fastlstm.examples import language_model

    options = [*TINY["language_model"], "--out", str(tmp_path / "run")]
    losses = []
    for number, precision in enumerate(PRECISIONS):
        for found in used.values():
            found.clear()
        more = ["--resume"] * bool(number) + ["--test-precision", precision]
        assert language_model.main([*options, *more]) == 0
        figures = json.loads(capsys.readouterr().out.splitlines()[-1])
        assert figures["test_precision"] == precision
        assert figures["options"]["precision"] == "float32"
        assert used["training"] == (set() if number else {"float32"})
        assert precision in used["inference"]
        losses.append(figures["test_loss"])
    np.testing.assert_allclose(losses, losses[0], rtol=0.01)


@pytest.mark.usefixtures("native")
def test_a_run_goes_on_in_its_own_precision_alone(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    from fastlstm.examples import language_model

    for first, second in (("float32", "bfloat16"), ("bfloat16", "float32")):
        options = [*TINY["language_model"], "--out", str(tmp_path / first)]
        assert language_model.main([*options, "--precision", first]) == 0
        assert language_model.main([*options, "--precision", second, "--resume"]) == 1
        assert "precision" in capsys.readouterr().err


PAIRS = [(list(word), list(word[::-1])) for word in ("abc", "bca", "cab", "aabb")]
OPTIONS = {"embedding_dim": 4, "hidden_size": 8}


@pytest.mark.usefixtures("native")
def test_a_translator_that_is_kept_has_the_precision_asked_for(tmp_path: Path) -> None:
    kept = learn(PAIRS, [], OPTIONS, folder=tmp_path, epochs=1, precision="bfloat16")
    assert _precisions(kept.model) == {"bfloat16"}
    for precision in PRECISIONS:
        again = learn(PAIRS, [], OPTIONS, folder=tmp_path, epochs=1, precision=precision)
        assert _precisions(again.model) == {precision}


def test_a_translator_is_not_trained_in_int8(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="precision is 'int8'"):
        learn(PAIRS, [], OPTIONS, folder=tmp_path, epochs=1, precision="int8")


@pytest.mark.usefixtures("native")
def test_a_translator_goes_on_in_its_own_precision_alone(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Stopped after its first epoch, by an error while the model would be written."""

    def fails(*_: Any, **__: Any) -> None:
        raise OSError("no room")

    with monkeypatch.context() as stopped:
        stopped.setattr("fastlstm.train.seq2seq.Translator.save", fails)
        with pytest.raises(OSError, match="no room"):
            learn(PAIRS, [], OPTIONS, folder=tmp_path, epochs=1, precision="bfloat16")
    with pytest.raises(CheckpointError, match="precision"):
        learn(PAIRS, [], OPTIONS, folder=tmp_path, epochs=1)
    learn(PAIRS, [], OPTIONS, folder=tmp_path, epochs=1, precision="bfloat16")


def _precisions(model: Seq2Seq) -> set[str]:
    return {m.precision for _, m in model._named_modules() if hasattr(m, "precision")}
