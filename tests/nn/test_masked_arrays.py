"""Masked arrays of NumPy: what stands below a mask is never read as a number."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

import fastlstm as fl
from fastlstm import nn
from fastlstm.kernels.masked import refuse_masked
from fastlstm.nn.losses import cross_entropy
from fastlstm.nn.regression_losses import mse_loss
from fastlstm.text import Encoded
from fastlstm.text.windows import columns

X = np.ones((4, 3, 2), np.float32)
IDS = np.arange(12)


def masked(values: Any) -> Any:
    """Return the values with the first one masked."""
    found = np.ma.masked_array(values)
    found[(0,) * found.ndim] = np.ma.masked
    return found


CALLS: list[tuple[str, Callable[[], Any]]] = [
    ("x", lambda: fl.LSTM(2, 3, rng=0)(masked(X))),
    ("x", lambda: fl.Linear(2, 3, rng=0)(masked(X))),
    ("lengths", lambda: fl.LSTM(2, 3, rng=0)(X, lengths=masked([3, 2, 1, 3]))),
    ("tokens", lambda: fl.Embedding(5, 2, rng=0)(masked([[1, 2]]))),
    ("x", lambda: nn.ReLU()(masked(X))),
    ("logits", lambda: cross_entropy(masked(X[:, 0]), [0, 1, 0, 1])),
    ("targets", lambda: cross_entropy(X[:, 0], masked([0, 1, 0, 1]))),
    ("targets", lambda: mse_loss(X, masked(X))),
    ("tokens", lambda: Encoded.from_lengths(masked(IDS), [12], [0])),
    ("ids", lambda: columns(masked(IDS), 2)),
]


@pytest.mark.parametrize(("name", "call"), CALLS)
def test_masked_values_are_refused(name: str, call: Callable[[], Any]) -> None:
    with pytest.raises(ValueError, match=f"{name} masks 1 of its values, expected all of them"):
        call()


def test_a_mask_that_masks_nothing_is_none() -> None:
    layer = fl.LSTM(2, 3, rng=0)
    assert np.array_equal(layer(np.ma.masked_array(X))[0], layer(X)[0])
    assert np.array_equal(layer.stream(4)(np.ma.masked_array(X[:, 0])), layer.stream(4)(X[:, 0]))
    refuse_masked("x", [np.ma.masked_array([1, 2]), 3])
    with pytest.raises(ValueError, match=r"x\[1\] masks 2 of its values"):
        refuse_masked("x", [1, np.ma.masked_less(np.arange(5), 2)])
