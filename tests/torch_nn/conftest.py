"""The same random numbers in every run: what fails once fails again."""

from __future__ import annotations

from collections.abc import Iterator

import pytest


@pytest.fixture(autouse=True)
def seeded() -> None:
    # Not above: where torch is missing, this file is read all the same.
    from dropin import manual_seed

    manual_seed(0)


@pytest.fixture(params=["in C", "by methods"])
def description(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """How the kernels learn what a tensor is; a torch without a table in C has methods."""
    from fastlstm.torch import step

    if request.param == "by methods":
        monkeypatch.setattr(step, "exchange", lambda: 7)  # a number, as one version had
    elif step.exchange() is None:
        pytest.skip("this torch has no table of C functions")
    step.compiled_step.cache_clear()
    yield
    step.compiled_step.cache_clear()
