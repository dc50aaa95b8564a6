"""When a team of threads is given up, and for how long: rules of times that the tests choose."""

from __future__ import annotations

import ctypes
from pathlib import Path
from typing import Any

import pytest
from building import load_library

MS = 1_000_000
LONGEST, PAUSE, CREDIT = 640 * MS, 16, 20 * MS


@pytest.fixture(scope="module")
def compiled(tmp_path_factory: pytest.TempPathFactory) -> Any:
    found = load_library(tmp_path_factory.mktemp("contention"), "contention")
    for name, arguments in (("won", 3), ("win", 1), ("note", 2), ("pausing", 1)):
        getattr(found, name).argtypes = [ctypes.c_int64] * arguments
    found.won.restype = found.win.restype = found.note.restype = ctypes.c_int64
    return found


@pytest.fixture
def rules(compiled: Any) -> Any:
    compiled.forget()
    return compiled


@pytest.mark.parametrize(
    ("took", "worked", "gone", "expected"),
    [
        pytest.param(10 * MS, 20 * MS, 0, 7.5 * MS, id="two free cores"),
        pytest.param(20 * MS, 21 * MS, 0, 0, id="one part far larger than the other"),
        pytest.param(15 * MS, 20 * MS, 5 * MS, 2.5 * MS, id="a core lost, but still faster"),
        pytest.param(19 * MS, 16 * MS, 3 * MS, -5 * MS, id="slower than alone"),
        pytest.param(16 * MS, 16 * MS, 8 * MS, -2 * MS, id="both on one core: nothing won"),
        pytest.param(200_000, 200_000, 100_000, -25_000, id="the same, of a fifth of a ms"),
        pytest.param(200_000, 200_000, 20_000, 0, id="a core lost for as long as an interrupt"),
    ],
)
def test_what_a_team_won(rules: Any, took: int, worked: int, gone: int, expected: int) -> None:
    assert rules.won(took, worked, gone) == expected


def test_nothing_lost_nothing_paused(rules: Any) -> None:
    assert not rules.pausing(0)
    assert not rules.pausing(10**18)


@pytest.mark.parametrize("lost", [50_000, 4 * MS, 300 * MS])
def test_a_loss_is_followed_by_sixteen_times_as_long_alone(rules: Any, lost: int) -> None:
    begin = 1000 * LONGEST
    assert rules.note(begin, lost) == PAUSE * lost
    assert rules.pausing(begin)
    assert rules.pausing(begin + PAUSE * lost - 1)
    assert not rules.pausing(begin + PAUSE * lost)


def test_pauses_grow_where_each_try_loses_and_begin_anew_after_luck(rules: Any) -> None:
    now, lost = 1000 * LONGEST, 4 * MS
    pauses = []
    for _ in range(8):
        pauses.append(rules.note(now, lost))
        now += pauses[-1] + lost  # the next try begins at once, and loses
    assert pauses == [64 * MS, 128 * MS, 256 * MS, 512 * MS] + [LONGEST] * 4
    assert rules.note(now + 4 * LONGEST, lost) == PAUSE * lost


def test_a_pause_is_never_shorter_than_the_loss_asks_for(rules: Any) -> None:
    now = 1000 * LONGEST
    assert rules.note(now, LONGEST) == PAUSE * LONGEST
    now += PAUSE * LONGEST
    assert rules.note(now, 1) == LONGEST, "a long one does not grow by itself"
    assert rules.note(now + LONGEST, LONGEST) == PAUSE * LONGEST


@pytest.mark.parametrize("lost", [4_000 * MS, 3_600_000 * MS, 10**18])
def test_what_stops_a_process_for_long_is_forgotten_after_a_minute(rules: Any, lost: int) -> None:
    """As Ctrl-Z does, or a machine that sleeps: no neighbour is the reason."""
    begin = 1000 * LONGEST
    assert rules.note(begin, lost) == 60_000 * MS
    assert not rules.pausing(begin + 60_000 * MS)


def test_tries_take_a_sixteenth_of_the_time_at_most(rules: Any) -> None:
    """Whatever each loses: what is lost, to what the pauses last."""
    now, losses, begin = 1000 * LONGEST, 0, 1000 * LONGEST
    for lost in [30_000, 4 * MS, 1 * MS, 250 * MS, 40_000, 8 * MS] * 5:
        now += lost + rules.note(now, lost)
        losses += lost
    assert losses <= (now - begin - losses) / PAUSE


def test_a_host_that_takes_a_core_now_and_then_is_no_neighbour(rules: Any) -> None:
    """Three jobs win 5 ms each, the fourth loses 8: in all the team wins."""
    for turn in range(50):
        for _ in range(3):
            rules.win(5 * MS)
        assert rules.note(turn * 30 * MS, 8 * MS) == 0
        assert not rules.pausing(turn * 30 * MS)


def test_a_neighbour_that_comes_costs_what_was_won_of_late(rules: Any) -> None:
    assert [rules.win(4 * MS) for _ in range(4)] == [4 * MS, 8 * MS, 12 * MS, 16 * MS]
    assert [rules.win(4 * MS) for _ in range(2)] == [CREDIT, CREDIT]
    assert rules.win(10**18) == CREDIT
    now = 1000 * LONGEST
    assert [rules.note(now + i, 6 * MS) for i in range(4)] == [0, 0, 0, PAUSE * 4 * MS]
    assert rules.note(now + 4, 6 * MS) >= PAUSE * 6 * MS, "nothing is left"


def test_to_wait_for_an_answer_is_not_to_lose_a_core(tmp_path: Path) -> None:
    """As where a call asks Python whether to stop, while another thread holds Python's lock."""
    asking = load_library(tmp_path, "asking", "denormals.c")
    asking.gone_while_asking.restype = ctypes.c_int64
    for _ in range(100):  # other programs may take the core meanwhile, but not each time
        gone = asking.gone_while_asking()
        assert gone >= 0
        if gone < 400 * MS:  # of 500 until the answer
            return
    raise AssertionError(f"{gone / MS} ms lost, each time")
