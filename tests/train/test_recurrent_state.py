"""States on disk, alone and with their model."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

import fastlstm as fl
from fastlstm.train import CheckpointError, checkpoint, load_state, save_state


def layer(seed: int = 0, **options: Any) -> fl.LSTM:
    return fl.LSTM(3, 5, rng=np.random.default_rng(seed), **options)


def some_state(module: Any) -> Any:
    x = np.random.default_rng(1).standard_normal((4, 2, 3)).astype(np.float32)
    return module(x, module.make_state(2))[1]


@pytest.mark.parametrize("module", [layer(proj_size=2), fl.GRU(3, 5, 2)], ids=["lstm", "gru"])
def test_alone(module: Any, tmp_path: Path) -> None:
    state = some_state(module)
    save_state(tmp_path / "state", state)
    found = load_state(tmp_path / "state")
    assert isinstance(found, fl.State)
    for a, b in zip(found, state, strict=True):
        np.testing.assert_array_equal(a, b)
        assert a.dtype == b.dtype
    found.reset([1])  # its arrays may be written to
    assert [path.name for path in tmp_path.iterdir()] == ["state"]


def test_with_its_model(tmp_path: Path) -> None:
    module, other = layer(), layer(1)
    state = some_state(module)
    save_state(tmp_path / "both", state, module)
    found = load_state(tmp_path / "both", other)
    x = np.ones((3, 2, 3), np.float32)
    np.testing.assert_array_equal(other(x, found)[0], module(x, state)[0])
    for a, b in zip(load_state(tmp_path / "both"), state, strict=True):
        np.testing.assert_array_equal(a, b)


def test_an_earlier_file_stays_whole(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path, state = tmp_path / "state", some_state(layer())
    save_state(path, state)
    before = path.read_bytes()

    def full(*_: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("os.fsync", full)
    with pytest.raises(OSError, match="cannot write .*state .No space left"):
        save_state(path, some_state(layer(3)))
    assert path.read_bytes() == before
    assert [p.name for p in tmp_path.iterdir()] == ["state"]


def test_errors(tmp_path: Path) -> None:
    module, state = layer(), some_state(layer())
    with pytest.raises(TypeError, match="state is a tuple, expected a State"):
        save_state(tmp_path / "state", tuple(state))  # type: ignore[arg-type]
    with pytest.raises(FileNotFoundError, match="no checkpoint at .*state"):
        load_state(tmp_path / "state")
    save_state(tmp_path / "state", state)
    before = module.state_dict()
    with pytest.raises(CheckpointError, match="state is of another model: .*missing"):
        load_state(tmp_path / "state", module)
    save_state(tmp_path / "state", state, fl.LSTM(3, 6))
    with pytest.raises(CheckpointError, match="is of another model: weight_ih_l0 has shape"):
        load_state(tmp_path / "state", module)
    for name, value in module.state_dict().items():
        np.testing.assert_array_equal(value, before[name])
    checkpoint.save(tmp_path / "model", module.state_dict(), "model", {})
    with pytest.raises(CheckpointError, match="holds a model, expected a recurrent state"):
        load_state(tmp_path / "model")
    (tmp_path / "state").write_bytes((tmp_path / "state").read_bytes()[:-3])
    with pytest.raises(CheckpointError, match="is damaged"):
        load_state(tmp_path / "state")
