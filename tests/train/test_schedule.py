"""Learning-rate schedules."""

from __future__ import annotations

import math

import pytest

from fastlstm.train import schedule


@pytest.mark.parametrize(("name", "half"), [("constant", 1.0), ("linear", 0.5), ("cosine", 0.5)])
def test_ends_and_middle(name: str, half: float) -> None:
    factor = schedule.get(name)
    assert factor(0.0) == 1.0
    assert factor(0.5) == pytest.approx(half)
    assert factor(1.0) == pytest.approx(1.0 if name == "constant" else 0.0)


def test_cosine_is_half_a_cosine() -> None:
    assert schedule.get("cosine")(0.25) == pytest.approx((1 + math.cos(math.pi / 4)) / 2)


@pytest.mark.parametrize("name", schedule.SCHEDULES)
def test_warmup_rises_to_the_full_rate_then_follows_the_schedule(name: str) -> None:
    factor = schedule.get(name, warmup=0.2)
    assert factor(0.0) == 0.0
    assert factor(0.1) == pytest.approx(0.5)
    assert factor(0.2) == pytest.approx(1.0)
    assert factor(0.6) == pytest.approx(schedule.get(name)(0.5))


def test_bad_values() -> None:
    with pytest.raises(ValueError, match="'step'.*constant, linear, cosine"):
        schedule.get("step")
    for warmup in (-0.1, 1.0, math.nan):
        with pytest.raises(ValueError, match="warmup"):
            schedule.get("linear", warmup)
