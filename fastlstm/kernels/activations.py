"""exp, sigmoid and tanh of a number or an array: what the maths of a cell is written with.

In Python they are these; compiled into a time loop, a vectorised version of the same accuracy
takes their place (largest relative error 3e-7 in float32, 6e-16 in float64).
"""

from __future__ import annotations

from typing import Any

import numpy as np

__all__ = ["exp", "sigmoid", "tanh"]


def exp(x: Any) -> Any:
    """Return e^x; compiled, x is forced into -87..88 (float64: -708..709), so never infinite."""
    return np.exp(x)


def sigmoid(x: Any) -> Any:
    """Return 1 / (1 + e^-x)."""
    with np.errstate(over="ignore"):
        return 1 / (1 + np.exp(-x))


def tanh(x: Any) -> Any:
    """Return the hyperbolic tangent of x."""
    return np.tanh(x)
