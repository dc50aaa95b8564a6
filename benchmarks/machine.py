"""What was measured on: processor, versions, commit, and how fast a matrix product runs there."""

from __future__ import annotations

import json
import os
import platform
import subprocess
import sys
import tempfile
import time
from functools import partial
from importlib import import_module
from pathlib import Path
from typing import Any

import numpy as np

ROOT = Path(__file__).parents[1]

# Instruction set -> what holds numpy's and torch's libraries to the same one.
SAME_ISA = {
    "base": {
        "ATEN_CPU_CAPABILITY": "default",
        "ONEDNN_MAX_CPU_ISA": "SSE41",
        "MKL_ENABLE_INSTRUCTIONS": "SSE4_2",
        "OPENBLAS_CORETYPE": "NEHALEM",
    },
    "avx2": {
        "ATEN_CPU_CAPABILITY": "avx2",
        "ONEDNN_MAX_CPU_ISA": "AVX2",
        "MKL_ENABLE_INSTRUCTIONS": "AVX2",
        "OPENBLAS_CORETYPE": "HASWELL",
    },
    "avx512": {
        "ATEN_CPU_CAPABILITY": "avx512",
        "ONEDNN_MAX_CPU_ISA": "AVX512_CORE",
        "MKL_ENABLE_INSTRUCTIONS": "AVX512",
        "OPENBLAS_CORETYPE": "SKYLAKEX",
    },
}
# The small ones fit between two interruptions, the large ones hide what each call costs.
PEAK_SIZES = (512, 1024, 2048)
BUSY = 0.25  # load average of a core
THREAD_VARIABLES = (
    "FASTLSTM_NUM_THREADS",
    "MKL_NUM_THREADS",
    "OMP_NUM_THREADS",
    "OPENBLAS_NUM_THREADS",
)


def environment(threads: int, isa: str | None = None) -> dict[str, str]:
    """Return the environment of a process that may use `threads` threads and one instruction set.

    Raises
    ------
    ValueError
        If `isa` is not one of `SAME_ISA`.
    """
    chosen = {**os.environ, **dict.fromkeys(THREAD_VARIABLES, str(threads))}
    if isa is not None:
        if isa not in SAME_ISA:
            raise ValueError(f"isa is {isa!r}, expected one of {', '.join(SAME_ISA)}")
        chosen.update(SAME_ISA[isa], FASTLSTM_ISA=isa)
    return chosen


def cores() -> int:
    """Return how many cores this process may use."""
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


def describe() -> dict[str, Any]:
    """Return processor, its instruction sets, cores, load, system, Python, commit of this tree.

    `isas` are those of the compiled kernels that run here, none without the kernels.

    Says so on standard error if the machine is busy.
    """
    load = round(os.getloadavg()[0], 2)
    if load > BUSY * cores():
        print(
            f"the load average is {load}: something else is running. Threads that wait for each "
            "other lose most, so the other side on several threads will look slower than it is",
            file=sys.stderr,
        )
    return {
        "load": load,
        "cpu": _cpu(),
        "isas": isas(),
        "cores": cores(),
        "system": f"{platform.system()} {platform.machine()}",
        "python": platform.python_version(),
        "commit": commit(),
    }


def peak_gflops(dtype: str, seconds: float) -> dict[str, float]:
    """Return the best GFLOP/s of square matrix products in numpy and, if there, in torch."""
    found = {"numpy": _peak(np.matmul, np.asarray, dtype, seconds)}
    try:
        import torch
    except ImportError:
        return found
    torch.set_num_threads(int(os.environ.get("OMP_NUM_THREADS", cores())))
    found["torch"] = _peak(torch.matmul, torch.from_numpy, dtype, seconds)
    return found


def limits() -> dict[str, float]:
    """Return how many billion multiply-adds one core makes a second, at most, in each precision.

    Measured from register to register by limit.c, for each instruction that the processor has:
    "float32", "bfloat16", "int8", and the last two followed by " tiles" where there are any.
    Nothing where there is no C compiler, and said so on standard error.
    """
    compiler = os.environ.get("CC", "cc").split()
    with tempfile.TemporaryDirectory() as folder:
        program = Path(folder, "limit")
        command = [*compiler, "-O2", str(Path(__file__).with_name("limit.c")), "-o", str(program)]
        try:
            subprocess.run(command, check=True, capture_output=True, text=True)
            done = subprocess.run([program], check=True, capture_output=True, text=True)
        except (OSError, subprocess.CalledProcessError) as error:
            print(f"no limits: {error}{getattr(error, 'stderr', '')}", file=sys.stderr)
            return {}
    return {name: float(value) for name, value in json.loads(done.stdout).items()}


def best_limit(found: dict[str, float], precision: str) -> float:
    """Return the limit of the fastest instruction for a precision; 0 if there is none."""
    return max(found.get(precision, 0.0), found.get(f"{precision} tiles", 0.0))


def _peak(matmul: Any, convert: Any, dtype: str, seconds: float) -> float:
    best = 0.0
    for size in PEAK_SIZES:
        a = np.random.default_rng(0).standard_normal((size, size)).astype(dtype)
        x, out = convert(a), convert(np.empty_like(a))
        flops = 2 * size**3
        best = max(best, flops / _fastest(partial(matmul, x, x, out=out), seconds) / 1e9)
    return best


def _fastest(call: Any, seconds: float) -> float:
    times: list[float] = []
    begin = time.perf_counter()
    while len(times) < 3 or time.perf_counter() - begin < seconds:
        start = time.perf_counter()
        call()
        times.append(time.perf_counter() - start)
    return min(times)


def _cpu() -> str:
    information = Path("/proc/cpuinfo")
    if information.exists():
        for line in information.read_text().splitlines():
            if line.startswith("model name"):
                return line.partition(":")[2].strip()
    return platform.processor() or platform.machine()


def isas() -> list[str]:
    """Return the instruction sets of ours that the processor has; none without the extension."""
    try:
        native: Any = import_module("fastlstm.kernels.native")
    except ImportError:
        return []
    return list(native.supported_isas())


def commit() -> str:
    """Return the commit, marked where files differ from it; "unknown" outside git."""
    try:
        return git("rev-parse", "--short", "HEAD") + (
            " with changes" if git("status", "--porcelain", "--untracked-files=no") else ""
        )
    except (OSError, subprocess.CalledProcessError):
        return "unknown"


def git(*arguments: str) -> str:
    """Return what git says of this tree; OSError or CalledProcessError if it fails."""
    command = ["git", "-C", str(ROOT), *arguments]
    return subprocess.run(command, check=True, capture_output=True, text=True).stdout.strip()
