"""Tests of what only the Numba backend has; skipped without Numba."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest


@pytest.fixture(autouse=True, scope="session")
def numba_backend(load_backend: Callable[[str], Any]) -> Any:
    """The backend's module; FASTLSTM_REQUIRE_NUMBA=1 makes a missing one a failure."""
    return load_backend("numba")
