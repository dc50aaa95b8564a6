"""The parts that are made of cases: calls of the public interface, and damaged files."""

from __future__ import annotations

import time
from collections.abc import Iterator

from attack import sanitizer, watch
from attack.families import FAMILIES
from attack.plan import Plan
from attack.report import Figure

CALLS = ("native", "sparse", "torch")
TEXTS = ("texts",)
GRAPHS = ("onnx-graphs",)
FILES = (
    "tables", "json-lines", "archives", "run-folders", "checkpoints", "safetensors",
    "joined-runs", "vectors", "own-models", "state-dicts", "torch-files",
    "rtneural", "keras-files", "hdf5", "onnx",
)  # fmt: skip


def cases(plan: Plan, part: str, name: str, what: str, count: int) -> Figure:
    """Run the cases 0 to count - 1 of a family."""
    family, figure = FAMILIES[name], Figure(part, f"{name}: {what}", count)
    extra = sanitizer.addresses(plan.sanitized) if family.sanitized else {}
    before = time.monotonic()
    watch.run(figure, family, plan.seed, count, plan.jobs, watch.environment(extra), plan.deadline)
    figure.seconds = time.monotonic() - before
    return figure


def fuzz(plan: Plan) -> Iterator[Figure]:
    """Calls, right ones and hostile ones, under sanitizers; and graphs of ONNX."""
    for name in plan.chosen(CALLS):
        yield cases(plan, "fuzz", name, "calls under sanitizers", plan.counts["fuzz"])
    for name in plan.chosen(TEXTS):
        yield cases(plan, "fuzz", name, "texts cut into words", plan.counts["fuzz"])
    for name in plan.chosen(GRAPHS):
        yield cases(plan, "fuzz", name, "graphs beside ONNX Runtime", plan.counts["graphs"])


def files(plan: Plan) -> Iterator[Figure]:
    """Damaged files of each kind."""
    for name in plan.chosen(FILES):
        yield cases(plan, "files", name, "damaged files read", plan.counts["files"])


def one_case(plan: Plan, text: str) -> Figure:
    """Run the case ``family:seed:number`` alone."""
    name, seed, number = text.split(":")
    family, figure = FAMILIES[name], Figure("case", text, 1)
    extra = sanitizer.addresses(plan.sanitized) if family.sanitized else {}
    env = watch.environment(extra)
    worker = watch.Watched(family, int(seed), int(number), int(number) + 1, env)
    ended = worker.wait(family.silent_seconds, watch.threading.Event())
    watch.note(figure, family, int(seed), worker, ended, int(number) + 1)
    worker.close()
    return figure
