"""Keras, small models of it and what they are called with."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from format_cases import import_keras

keras = import_keras()
h5py = pytest.importorskip("h5py")
L = keras.layers
QUIET = [
    pytest.mark.filterwarnings("ignore::DeprecationWarning"),
    pytest.mark.filterwarnings("ignore:.*destroy the mask information:UserWarning"),
]
I, U, T, N = 3, 4, 6, 3


def randomized(model: Any) -> Any:
    rng = np.random.default_rng(0)
    model.set_weights([np.abs(rng.normal(0, 0.5, w.shape)) if "variance" in name else
                       rng.normal(0, 0.5, w.shape)
                       for w, name in zip(model.get_weights(), [v.path for v in model.weights],
                                          strict=True)])  # fmt: skip
    return model


def output(model: Any, x: Any) -> Any:
    return keras.ops.convert_to_numpy(model(x))


def numbers(*shape: int) -> Any:
    return np.random.default_rng(1).standard_normal(shape or (N, T, I)).astype("float32")


def words() -> Any:
    """Tokens with padding at either end, in between, and nowhere."""
    return np.array([[0, 0, 3, 1, 2, 4], [5, 1, 0, 2, 0, 0], [1, 2, 3, 4, 5, 6]], "int32")


def sequential(*layers: Any, dtype: str = "float32") -> Any:
    return randomized(keras.Sequential([L.Input((None, I), dtype=dtype), *layers]))


def arrays(gates: int, *bias: int) -> list[Any]:
    rng = np.random.default_rng(2)
    return [
        rng.normal(0, 0.5, shape).astype("float32")
        for shape in ((I, gates * U), (U, gates * U), bias)
    ]
