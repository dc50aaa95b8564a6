"""Arguments of Adam and of pooling made to do harm."""

from __future__ import annotations

import re
from typing import Any

import numpy as np
import pytest
from bound import Kernel


@pytest.mark.parametrize(
    ("wrong", "message"),
    [
        ({"p": np.float64(1)}, "p"),
        ({"p": np.zeros((4, 3), int)}, "p is of int64"),
        ({"m": np.zeros((3, 3))}, "m has shape (3, 3), expected (4, 3)"),
        ({"v": np.zeros((4, 3), np.float32)}, "v is an array of float32"),
        ({"g": np.zeros(3)}, "g has shape (3,), expected (2, 3)"),
        ({"g": None}, "g is a NoneType"),
        ({"index": np.array([[0, 1]])}, "index has shape (1, 2), expected (any,)"),
        ({"index": np.array([0.0, 1.0])}, "index is an array of float64, expected int64"),
        ({"index": np.array([0, 4])}, "index[1] is 4, expected 0 to 3"),
    ],
)
def test_wrong_arrays_of_adam(kernel: Kernel, wrong: dict[str, Any], message: str) -> None:
    given = {name: np.zeros((4, 3)) for name in "pmv"}
    given |= {"g": np.zeros((2, 3)), "index": np.array([0, 1]), **wrong}
    with pytest.raises((TypeError, ValueError, IndexError), match=re.escape(message)):
        kernel.adam(*given.values(), rate=0.1, root=1.0, eps=1e-8, beta1=0.9, beta2=0.99)


@pytest.mark.parametrize("shape", [(), (3,), (3, 4), (2, 3, 4, 5)])
def test_pooling_of_other_axes(compiled_kernel: Kernel, shape: tuple[int, ...]) -> None:
    lengths = np.array([1, 1, 1])
    with pytest.raises((TypeError, ValueError), match="y has shape|y is a"):
        compiled_kernel.pool(np.zeros(shape), lengths, mean=True, max=True)
    with pytest.raises((TypeError, ValueError), match="dy has shape|dy is a"):
        compiled_kernel.pool_backward(np.zeros(shape), lengths, None, None, None)


@pytest.mark.parametrize("name", ["dmean", "dmax", "step"])
@pytest.mark.parametrize("shape", [(3,), (3, 1), (2, 5), (1, 3, 5)])
def test_gradients_of_pooling_of_other_sizes(
    compiled_kernel: Kernel, name: str, shape: tuple[int, ...]
) -> None:
    given: dict[str, Any] = {"dmean": np.zeros((3, 5)), "dmax": np.zeros((3, 5))}
    given["step"] = np.zeros((3, 5), np.int64)
    given[name] = np.zeros(shape, given[name].dtype)
    with pytest.raises(ValueError, match=f"{name} has shape"):
        compiled_kernel.pool_backward(np.zeros((4, 3, 5)), np.array([1, 4, 0]), **given)


@pytest.mark.parametrize("place", [-1, 1, 1 << 40])
def test_places_of_maxima_behind_a_row(native_kernel: Kernel, place: int) -> None:
    """They are written to."""
    step = np.zeros((3, 5), np.int64)
    step[2] = 7  # of a row of length 0, which has no maximum
    step[0, 2] = place
    dy, dmax = np.zeros((4, 3, 5)), np.ones((3, 5))
    with pytest.raises(IndexError, match=rf"step\[0, 2\] is {place}, expected 0 to 0"):
        native_kernel.pool_backward(dy, np.array([1, 4, 0]), None, dmax, step)
    assert not dy.any()
