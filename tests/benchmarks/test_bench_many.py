"""Many models beside torch: the sides agree, and each of them can be timed."""

from __future__ import annotations

import json
from typing import Any

import pytest

pytest.importorskip("torch")

from benchmarks import bench_many


@pytest.mark.parametrize("shape", [(1, 5), (3, 4)])
def test_sides_agree(native: Any, threads: None, shape: tuple[int, int]) -> None:
    bench_many._check(3, *shape)


def test_sides_that_differ_are_not_timed(
    native: Any, threads: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    def wrong(*sizes: int) -> Any:
        call = bench_many._torch_vmap(*sizes)
        return lambda: {name: value * 1.001 for name, value in call().items()}

    monkeypatch.setitem(bench_many.CALLS, "torch vmap", wrong)
    with pytest.raises(RuntimeError, match="of N=2, H=4 differs by 1.0e-03: not timed"):
        bench_many._check(3, 2, 4)


@pytest.mark.parametrize("side", ["one call", "loop"])
def test_a_side_is_timed(
    native: Any, threads: None, side: str, capsys: pytest.CaptureFixture[str]
) -> None:
    options = ["--models", "3", "--seconds", "0.01", "--threads", "1", "--shape", "1", "5"]
    assert bench_many.main(["--side", side, *options]) == 0
    assert min(json.loads(capsys.readouterr().out)) > 0


def test_a_row_of_the_table() -> None:
    times = {side: [0.0, 2.0 * (i + 1), 9.0] for i, side in enumerate(bench_many.SIDES)}
    expected = "| N=1, H=16 | 2.0 | 4.0 (2.0x) | 6.0 (3.0x) | 8.0 (4.0x) |"
    assert bench_many.row({"N,H": [1, 16], **times}) == expected
