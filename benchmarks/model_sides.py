"""The sides of a benchmark of whole models: the same torch model, run in different ways."""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable
from functools import cache
from typing import Any, NamedTuple

import numpy as np

from benchmarks.models import tasks
from benchmarks.sides import Results, load
from benchmarks.timing import measure

EAGER = {"torch": "torch", "fastlstm": "fastlstm"}  # name -> title; the second is `accelerate`
OTHERS = {
    "torch-compiled": "torch compiled",
    "fastlstm-compiled": "fastlstm compiled",
    "onnxruntime": "ONNX Runtime",
}
SIDES = {**EAGER, **OTHERS}
BACKEND = "inductor"  # of torch.compile
GRADIENT = "gradient of "  # before the name of a parameter
# A step takes up to some tenths of a second: fewer of them than of single calls.
WARM_UP, LEAST = 1, 3


class Built(NamedTuple):
    """A side of a task.

    Attributes
    ----------
    model : holds the gradients after a step that trains.
    step : one step; returns outputs by name.
    part : the recurrent part of a step; of eager sides alone.
    """

    model: Any
    step: Callable[[], dict[str, Any]]
    part: Callable[[], object] | None


def library(side: str) -> str:
    """Return which library runs a side's recurrent modules."""
    return side.partition("-")[0]


@cache
def build(side: str, name: str, threads: int) -> Built:
    """Return a side of a task: the same one whenever a process asks for it."""
    import torch

    import fastlstm.torch
    from benchmarks.recurrent_part import recurrent_part

    for each in dict.fromkeys(["torch", library(side)]):
        load(each, threads)
    task = tasks()[name]
    model, inputs = task.build()
    if library(side) == "fastlstm":
        fastlstm.torch.accelerate(model)
    call = _called(side, model)

    @torch.inference_mode()
    def infer() -> dict[str, Any]:
        return task.run(call, *inputs)

    def train() -> dict[str, Any]:
        model.zero_grad()
        outputs = task.run(call, *inputs)
        outputs["loss"].backward()
        return outputs

    step = train if task.trains else infer
    if side not in EAGER:
        return Built(model, step, None)
    part = recurrent_part(model, step)
    return Built(model, step, part if task.trains else torch.inference_mode()(part))


def _called(side: str, model: Any) -> Callable[..., Any]:
    """Return what a step calls in the model's place."""
    import torch

    if side == "onnxruntime":
        from benchmarks.exported import Exported

        return Exported(model)
    if side.endswith("-compiled"):
        compiled: Callable[..., Any] = torch.compile(model, backend=BACKEND, dynamic=False)
        return compiled
    called: Callable[..., Any] = model
    return called


def first(side: str, name: str, threads: int, path: str) -> dict[str, Any]:
    """Run the first step of a side and save what it computes as `path`.

    Returns
    -------
    answer : with `seconds` that the step took, compiling or exporting it too, and the `versions`;
        or with `why_not`, where a compiler or an exporter cannot take the model.
    """
    try:
        built = build(side, name, threads)
        start = time.perf_counter()
        outputs = built.step()
        seconds = time.perf_counter() - start
    except Exception as error:
        if side in EAGER:
            raise
        told = str(error).strip().partition("\n")[0]
        return {"why_not": f"{type(error).__name__}: {told}"}
    found = {key: value.detach().numpy() for key, value in outputs.items()}
    if "loss" in found:
        for key, parameter in built.model.named_parameters():
            found[GRADIENT + key] = parameter.grad.numpy()
    np.savez(path, **found)
    return {"seconds": round(seconds, 2), "versions": load(library(side), threads).versions()}


def saved(path: str) -> Results:
    """Return what `first` saved."""
    with np.load(path) as found:
        arrays = dict(found)
    gradients = {key for key in arrays if key.startswith(GRADIENT)}
    return Results(
        {key: array for key, array in arrays.items() if key not in gradients},
        {key: array for key, array in arrays.items() if key in gradients},
    )


def time_step(side: str, name: str, threads: int, seconds: float) -> dict[str, float]:
    """Return milliseconds of a step, and of its recurrent part where the side has that."""
    built = build(side, name, threads)
    answer = {"ms": _milliseconds(built.step, seconds)}
    if built.part:
        answer["part_ms"] = _milliseconds(built.part, seconds)
    return answer


def _milliseconds(call: Callable[[], object], seconds: float) -> float:
    samples = measure(call, seconds, warm_up=WARM_UP, least=LEAST).samples
    return float(f"{1e3 * statistics.median(samples):.4g}")
