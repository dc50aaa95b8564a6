"""Small series to forecast."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

# options of a net that is trained in no time
SMALL: dict[str, Any] = {"hidden_size": 4, "epochs": 2, "random_state": 0, "n_threads": 1}


def wave(count: int = 240, season: int = 12, seed: int = 0, noise: float = 0.3) -> NDArray[Any]:
    """Return a season with noise on a slow trend, [count]."""
    t = np.arange(count)
    rng = np.random.default_rng(seed)
    y: NDArray[Any] = (
        10 + 0.01 * t + 3 * np.sin(2 * np.pi * t / season) + rng.normal(0, noise, count)
    )
    return y


def days(count: int = 240, first: str = "2020-01-01") -> NDArray[np.datetime64]:
    """Return so many days."""
    return np.datetime64(first) + np.arange(count).astype("timedelta64[D]")
