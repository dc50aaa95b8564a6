"""Threads, forked and parallel processes, memory."""

from __future__ import annotations

import os
import subprocess
import sys
import threading
from pathlib import Path
from typing import Any

import pytest
from dropin import SEQUENCES, ft, packed, tensors, torch

HERE = Path(__file__).parent
SCRIPTS = HERE / "scripts"


def run_script(name: str, *args: str, timeout: int = 600) -> str:
    done = subprocess.run(
        [sys.executable, "-W", "error", str(SCRIPTS / name), *args],
        capture_output=True,
        text=True,
        timeout=timeout,
        env={**os.environ, "OMP_NUM_THREADS": "1"},
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


@pytest.mark.parametrize("name", SEQUENCES)
def test_eight_threads_on_one_model(name: str) -> None:
    """Forward and backward of different inputs at once, each with the gradients it has alone."""
    torch.manual_seed(0)
    module = getattr(ft, name)(16, 32, 2, bidirectional=True)
    inputs = [torch.randn(5 + k, 3 + k, 16) for k in range(8)]

    def work(x: Any) -> list[Any]:
        leaf = x.clone().requires_grad_()
        y, end = module(leaf)
        leaves = [leaf, *module.parameters()]
        return [y, *tensors(end), *torch.autograd.grad(y.square().sum(), leaves)]

    expected = [work(x) for x in inputs]
    wrong: list[Any] = []

    def repeat(k: int) -> None:
        for _ in range(10):
            for a, b in zip(work(inputs[k]), expected[k], strict=True):
                if not torch.equal(a, b):
                    wrong.append((k, a, b))

    threads = [threading.Thread(target=repeat, args=(k,)) for k in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(600)
    assert not any(thread.is_alive() for thread in threads)
    assert not wrong


@pytest.mark.skipif(not hasattr(os, "fork"), reason="there is no fork on this system")
def test_fork_after_use() -> None:
    """The script of pytorch#123828: used in the parent, then in a forked pool, at several sizes."""
    assert "all right" in run_script("fork_after_use.py")


@pytest.mark.slow
@pytest.mark.skipif(not torch.distributed.is_available(), reason="torch has no distributed")
def test_data_parallel_and_sharded() -> None:
    """Two processes over gloo: the gradients of one process with both halves of the batch."""
    assert "gradients equal" in run_script("two_processes.py")


@pytest.mark.slow
@pytest.mark.skipif(sys.platform != "linux", reason="the memory in use is read from /proc")
def test_memory_stays_flat_over_random_shapes() -> None:
    """10,000 shapes, all different: what is in use at the end is what was after the first 1,000."""
    page = os.sysconf("SC_PAGE_SIZE")

    def in_use() -> float:
        return int(Path("/proc/self/statm").read_text().split()[1]) * page / 2**20

    rng = torch.Generator().manual_seed(0)
    modules = [
        ft.LSTM(8, 16, bidirectional=True),
        ft.LSTM(8, 16, proj_size=4),
        ft.GRU(8, 16, 2),
        ft.RNN(8, 16, batch_first=True),
    ]
    after: dict[int, float] = {}
    for k in range(10_000):
        T, N = (int(v) for v in torch.randint(1, 40, (2,), generator=rng))
        module, x = modules[k % 4], torch.randn(T, N, 8)
        if k % 3 == 0:
            lengths = torch.randint(1, T + 1, (N,), generator=rng)
            lengths[0] = T
            shape = x.transpose(0, 1) if module.batch_first else x
            module(packed(shape, lengths.tolist(), batch_first=module.batch_first))
        elif k % 3 == 1:
            module(x)[0].sum().backward()
        else:
            with torch.no_grad():
                module(x)
        if k + 1 in (1_000, 10_000):
            after[k + 1] = in_use()
    assert after[10_000] - after[1_000] < 16, f"MiB in use: {after}"
