"""The cost model of several processes, and the program that measures for it."""

from __future__ import annotations

import json

import pytest

from benchmarks import bench_scale, scale
from benchmarks.scale import Link, Net, cost
from fastlstm.train import parallel

LINK = Link(1e-5, 1e9)
NET = Net(64, 0.08, 0.01, 6e5, 2e6, 2, 0.5, 3500, 130, 512)


def test_the_model_counts_messages_and_bytes() -> None:
    assert cost(NET, 1, LINK) == (0.09, 0, 0)
    two = cost(NET, 2, LINK)
    late = 2e6 + 3500 * 512
    assert two.sent == 6e5 + late
    # two gathers of a round each, and there and back what is late; the early is hidden
    notes = 8 * 13 + 8 * 10 + 8 * scale.union(NET, 2)
    assert two.exposed == pytest.approx(2e-5 + notes / 1e9 + 2 * (1e-5 + late / 2 / 1e9))
    assert two.seconds == pytest.approx(0.05 + two.exposed)
    shown = cost(NET._replace(hidden=0.0), 2, LINK).exposed - two.exposed
    assert shown == pytest.approx(4e-5 + 6e5 / 1e9)
    assert scale.union(NET, 64) == 130
    assert scale.union(NET, 1) == pytest.approx(3500)


def test_more_processes_than_rows_make_a_step_longer() -> None:
    gains = [cost(NET, 1, LINK).seconds / cost(NET, n, LINK).seconds for n in scale.RANKS]
    assert max(gains) in gains[3:6]
    assert gains[-1] < gains[5]
    table = scale.table(NET, LINK).splitlines()
    assert len(table) == 1 + len(scale.RANKS)
    assert table[0] == "| 1 | 90.0 | | | 1 | 100% |"
    assert table[-1].startswith("| 1,024 | ")


def test_one_process_is_measured(capsys: pytest.CaptureFixture[str]) -> None:
    before = parallel.Sending
    assert bench_scale.main(["--steps", "4", "--net", "imdb"]) == 0
    found = json.loads(capsys.readouterr().out)
    assert found["processes"] == 1
    assert found["late"]["step"] > 0
    assert parallel.Sending is before
