"""Each test that takes `kind` runs with every kind of recurrent layer."""

from __future__ import annotations

import pytest
from kinds import KINDS


@pytest.fixture(params=list(KINDS))
def kind(request: pytest.FixtureRequest) -> str:
    """The name of a kind in `kinds.KINDS`."""
    name: str = request.param
    return name
