"""The IMDB comparison: both sides train the same model, and the figures add up."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from benchmarks import bench_imdb, imdb, worker

SMALL = [
    *("--data", "sample", "--vocab-size", "500", "--embedding-dim", "8", "--hidden-size", "8"),
    *("--max-length", "20", "--optimizer", "sgd", "--lr", "0.5", "--threads", "1"),
]


@pytest.mark.usefixtures("any_backend", "threads")
def test_both_sides_follow_the_same_curve(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    pytest.importorskip("torch")
    # In this process, as torch takes seconds to load in another; test_bench_ab starts processes.
    monkeypatch.setattr(bench_imdb, "ask", lambda task, _, **args: worker.TASKS[task](**args))
    assert bench_imdb.main([*SMALL, "--steps", "4", "--out", str(tmp_path)]) == 0
    result = json.loads((tmp_path / "imdb.json").read_text())
    assert result["max_difference_at_start"]["gradients"] < 1e-4
    fast, torch = result["sides"]["fastlstm"], result["sides"]["torch"]
    assert fast["estimated"]
    assert torch["largest_loss_difference"]["all"] < 1e-6
    losses = torch["runs"][0]["losses"]
    assert len(set(losses)) == 4, "the weights did not change"
    assert "| torch |" in (tmp_path / "imdb.md").read_text()


@pytest.mark.usefixtures("any_backend", "threads")
def test_whole_epochs_are_tested(tmp_path: Path) -> None:
    options = bench_imdb._parse([*SMALL, "--batch-size", "500"])
    settings = {name: getattr(options, name) for name in imdb.Settings.__dataclass_fields__}
    bench_imdb._prepare(tmp_path, "sample", imdb.Settings(**settings))
    found = imdb.train("fastlstm", str(tmp_path), {**settings, "epochs": 2}, threads=1)
    assert [len(ms) for ms in found["step_ms"]] == [4, 4]
    assert len(found["losses"]) == 8
    assert len(found["accuracy"]) == 2
    assert 0.3 < found["accuracy"][-1] < 0.7, "8 steps cannot have learned much"


def test_nothing_is_timed_if_the_sides_differ(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    asked = []

    def ask(task: str, *_: Any, **__: Any) -> Any:
        asked.append(task)
        return {"mismatch": "logits differs from torch's"}

    monkeypatch.setattr(bench_imdb, "ask", ask)
    assert bench_imdb.main([*SMALL, "--out", str(tmp_path / "out")]) == 1
    assert asked == ["imdb_check"]
    assert "logits differs" in capsys.readouterr().err
    assert not (tmp_path / "out").exists()


def _run(step_ms: list[list[float]], losses: list[float]) -> dict[str, Any]:
    return {
        "losses": losses,
        "step_ms": step_ms,
        "steps_per_epoch": 4,
        "accuracy": [],
        "peak_memory_mb": 1.0,
    }


def test_an_epoch_is_the_sum_of_its_steps() -> None:
    run = _run([[1.0, 2.0, 3.0, 4.0], [2.0, 2.0, 2.0, 2.0]], [1.0] * 8)
    found = bench_imdb.summarise([run], [run])
    assert found["epoch_seconds"] == pytest.approx((0.010 + 0.008) / 2)
    assert not found["estimated"]


def test_an_estimate_leaves_the_first_steps_out() -> None:
    steps = bench_imdb.WARM_UP
    run = _run([[100.0] * steps + [2.0, 4.0]], [1.0] * (steps + 2))
    run["steps_per_epoch"] = 100
    found = bench_imdb.summarise([run], [run])
    assert found["epoch_seconds"] == pytest.approx(0.3)
    assert found["estimated"]


def test_distance_of_the_curves() -> None:
    fast = [_run([[1.0] * 4], [0.7, 0.6, 0.5, 0.4])]
    torch = [_run([[1.0] * 4], [0.7, 0.6, 0.5, 0.3])]
    found = bench_imdb.summarise(torch, fast)
    assert found["largest_loss_difference"]["all"] == pytest.approx(0.1)
    assert found["final_loss"] == 0.3


def test_empty_reviews_are_left_out(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    import fastlstm.text as text

    part = text.Encoded.from_lengths([2, 3, 4], [2, 0, 1], [1, 0, 1])
    words = text.Vocabulary(["<pad>", "<unk>", "a", "b", "c"])
    data = text.ImdbData(part, part, words, source="a test", complete=False, notice="")
    monkeypatch.setattr(text, "load_imdb", lambda *_, **__: data)
    settings = imdb.Settings(vocab_size=5, embedding_dim=2, hidden_size=2, max_length=1)
    assert bench_imdb._prepare(tmp_path, None, settings) == ("a test", 2)
    written = imdb.read(str(tmp_path), "train")
    assert np.diff(written["offsets"]).tolist() == [1, 1]
