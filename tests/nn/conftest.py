"""Each test that takes `kind` runs with every kind of recurrent layer, and one that takes
`precision` in each that is lower than float32."""

from __future__ import annotations

from typing import Any

import pytest
from kinds import KINDS
from rounded_layers import ROUNDED


@pytest.fixture(params=list(KINDS))
def kind(request: pytest.FixtureRequest) -> str:
    """The name of a kind in `kinds.KINDS`."""
    name: str = request.param
    return name


@pytest.fixture(params=ROUNDED)
def precision(request: pytest.FixtureRequest) -> str:
    """The name of a lower precision."""
    name: str = request.param
    return name


@pytest.fixture(params=["reference", "native"])
def rounding(
    request: pytest.FixtureRequest, load_backend: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A backend that rounds products, for all layers made in the test."""
    load_backend(request.param)
    monkeypatch.setenv("FASTLSTM_BACKEND", request.param)
