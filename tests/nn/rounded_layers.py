"""Layers whose products are in lower precision: what their tests share."""

from __future__ import annotations

from typing import Any

import numpy as np
from cases import Array
from kinds import batch, layer

ROUNDED = ("bfloat16", "int8")
X = batch().astype(np.float32)


def make(kind: str, precision: str, *sizes: int, **options: Any) -> Any:
    return layer(kind, *sizes, dtype="float32", precision=precision, **options)


def assert_near(actual: Array, expected: Array, bound: float) -> None:
    error = np.abs(actual - expected).max() / np.abs(expected).max()
    assert 0 < error < bound
