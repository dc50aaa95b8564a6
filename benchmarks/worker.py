"""One task in a process of its own: arguments as JSON on standard input, the answer as JSON on
standard output.

`python -m benchmarks.worker TASK`; `ask` starts one and waits for it. Without TASK the process
stays for many, one a line: `Kept`.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import fastlstm
from benchmarks import dropin, imdb, machine, model_sides, neighbour
from benchmarks.check import Mismatch, check
from benchmarks.problem import draw, real_steps
from benchmarks.shapes import Case
from benchmarks.sides import build, load
from benchmarks.timing import PeakMemory, measure


def ask(
    task: str, environment: Mapping[str, str], folder: Path = machine.ROOT, **arguments: Any
) -> Any:
    """Run `task` with `arguments` in another process and return its answer.

    The process has the package and the benchmarks that are in `folder`.

    Raises
    ------
    RuntimeError
        If the process fails; it has said why on standard error.
    """
    done = subprocess.run(
        [sys.executable, "-m", "benchmarks.worker", task],
        input=json.dumps(arguments),
        stdout=subprocess.PIPE,
        text=True,
        cwd=folder,
        env=dict(environment),
    )
    if done.returncode:
        raise RuntimeError(f"{task} of {arguments} failed with exit status {done.returncode}")
    return json.loads(done.stdout.splitlines()[-1])


class Kept:
    """A process that stays: what it made for a task serves the next one.

    A context manager, which ends it.
    """

    def __init__(self, environment: Mapping[str, str]) -> None:
        self._process = subprocess.Popen(
            [sys.executable, "-m", "benchmarks.worker"],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            cwd=machine.ROOT,
            env=dict(environment),
        )

    def ask(self, task: str, **arguments: Any) -> Any:
        """Run `task` with `arguments` there and return its answer.

        Raises
        ------
        RuntimeError
            If the process fails; it has said why on standard error.
        """
        print(json.dumps([task, arguments]), file=self._process.stdin, flush=True)
        answer = self._process.stdout.readline()  # type: ignore[union-attr]
        if not answer:
            status = self._process.wait()
            raise RuntimeError(f"{task} of {arguments} failed with exit status {status}")
        return json.loads(answer)

    def __enter__(self) -> Kept:
        return self

    def __exit__(self, *_: object) -> None:
        self._process.communicate()  # its tasks end where its input does


def serve() -> None:
    """Answer tasks until there are no more; what else is printed goes to standard error."""
    answers = os.fdopen(os.dup(1), "w")
    os.dup2(2, 1)
    for line in sys.stdin:
        task, arguments = json.loads(line)
        print(json.dumps(TASKS[task](**arguments)), file=answers, flush=True)


def check_cases(
    cases: list[dict[str, Any]], threads: int, against: str = "torch"
) -> list[dict[str, Any]]:
    """Compare both sides in each case; an answer has `mismatch`, the reason, if they differ."""
    answers: list[dict[str, Any]] = []
    for fields in cases:
        case = Case(**fields)
        try:
            found = check(case, threads, against=against)
        except Mismatch as reason:
            answers.append({"mismatch": str(reason)})
            continue
        flops = case.flops(real_steps(case, draw(case)))
        answers.append({"outputs": found.outputs, "gradients": found.gradients, "flops": flops})
    return answers


def time_case(side: str, case: dict[str, Any], threads: int, seconds: float) -> dict[str, Any]:
    """Time one side of one case."""
    module, arrays = load(side, threads), draw(Case(**case))
    memory = PeakMemory()
    timing = measure(build(side, Case(**case), threads, arrays).call, seconds)
    return {
        "samples_ms": [float(f"{1e3 * sample:.4g}") for sample in timing.samples],
        "calls_per_sample": timing.calls,
        "peak_memory_mb": round(memory.growth() / 1e6, 2),
        "versions": module.versions(),
    }


def package() -> dict[str, str]:
    """Return which fastlstm a process has: its folder, version and backend."""
    info = fastlstm.runtime_info()
    place = str(Path(fastlstm.__file__).resolve().parent)
    return {"folder": place, "version": info["version"], "backend": info["backend"]}


def peak(dtypes: list[str], seconds: float) -> dict[str, dict[str, float]]:
    """Measure the matrix product in each of `dtypes`."""
    return {dtype: machine.peak_gflops(dtype, seconds) for dtype in dtypes}


TASKS: dict[str, Callable[..., Any]] = {
    "check": check_cases,
    "time": time_case,
    "peak": peak,
    "package": package,
    "dropin_check": dropin.check,
    "dropin_time": dropin.time_side,
    "model_first": model_sides.first,
    "model_time": model_sides.time_step,
    "neighbour_time": neighbour.time_beside,
    "imdb_check": imdb.check_start,
    "imdb_train": imdb.train,
}

if __name__ == "__main__":
    if sys.argv[1:]:
        print(json.dumps(TASKS[sys.argv[1]](**json.load(sys.stdin))))
    else:
        serve()
