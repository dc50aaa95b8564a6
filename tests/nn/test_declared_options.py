"""Options that may be changed at any time: what follows from one declaration."""

from __future__ import annotations

import inspect
import pickle
import re
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import fastlstm as fl
from fastlstm.nn.recurrent import LayerOptions, Recurrent

KINDS: list[Any] = [fl.LSTM, fl.GRU, fl.RNN, fl.PeepholeLSTM]
OPTIONS = Recurrent.OPTIONS
OTHER = {"batch_first": True, "recompute": 3, "variational": True}  # of the others 0.25


def other(name: str) -> Any:
    return OTHER.get(name, 0.25)


def made(kind: Any, name: str) -> Any:
    return kind(2, 3, 2, **{name: other(name)})


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("name", OPTIONS)
def test_signature_and_repr(kind: Any, name: str) -> None:
    parameter = inspect.signature(kind).parameters[name]
    assert parameter.default == OPTIONS[name].usual == getattr(kind(2, 3), name)
    positional = parameter.kind is parameter.POSITIONAL_OR_KEYWORD
    assert positional or name in LayerOptions.__annotations__
    assert f"{name}={other(name)}" in repr(made(kind, name))
    assert name not in repr(kind(2, 3))


@pytest.mark.parametrize("name", OPTIONS)
def test_what_is_assigned_is_checked(name: str) -> None:
    layer = fl.GRU(2, 3, 2)
    setattr(layer, name, other(name))
    assert getattr(layer, name) == other(name)
    wrong: Any = np.zeros(2) if other(name) is True else "much"  # True stands for a flag
    with pytest.raises((TypeError, ValueError), match=re.escape(name)):
        setattr(layer, name, wrong)
    with pytest.raises((TypeError, ValueError), match=re.escape(name)):
        fl.GRU(2, 3, 2, **{name: wrong})
    assert getattr(layer, name) == other(name)


@pytest.mark.parametrize("name", OPTIONS)
def test_files_and_pickles(tmp_path: Path, name: str) -> None:
    layer = made(fl.LSTM, name)
    fl.save(layer, tmp_path / "layer.safetensors")
    assert getattr(fl.load(tmp_path / "layer.safetensors"), name) == other(name)
    assert getattr(pickle.loads(pickle.dumps(layer)), name) == other(name)
    del vars(layer)[name]  # as in a pickle of the time before the option
    assert getattr(pickle.loads(pickle.dumps(layer)), name) == OPTIONS[name].usual


@pytest.mark.parametrize("name", OPTIONS)
def test_layers_that_run_together_have_it(name: str) -> None:
    joined = fl.together([fl.RNN(2, 3, 2, rng=seed) for seed in range(2)])
    assert getattr(joined, name) == OPTIONS[name].usual
    setattr(joined, name, other(name))
    assert [getattr(joined[m], name) for m in range(2)] == [other(name)] * 2
    with pytest.raises(ValueError, match=rf"layers\[1\]\.{name} is"):
        fl.together([made(fl.RNN, name), fl.RNN(2, 3, 2)])


def test_an_unknown_option_is_refused() -> None:
    for kind in KINDS:
        with pytest.raises(TypeError, match="unexpected keyword argument 'recurent_dropout'"):
            kind(2, 3, recurent_dropout=0.1)
