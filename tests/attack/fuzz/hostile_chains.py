"""Chains with a part that does not fit, made of layers or handed straight to the kernels."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import numpy as np

import fastlstm as fl
from attack.fuzz import compare
from attack.fuzz.chains import chain, put_state, rows, signal
from attack.fuzz.draw import Rng, array, chance, pick
from attack.fuzz.hostile import anything, attempt, damaged
from attack.fuzz.hostile_calls import tame
from fastlstm import kernels, nn
from fastlstm.kernels.chain import MAPS, Convolution, Map, Mean, Recurrence

# None between those that are cheap and those that no memory holds.
NUMBERS = (-1, 0, 1, 2, 5, 100, 2**50, 2**62, 2**63, -(2**70), 1.5, "4", None, True)
ABOUT_X = {"x"}


def used(rng: Rng) -> None:
    """A stream with damaged signals, states and rows, used again after each error."""
    made = chain(rng)
    N = rows(rng, made, 8)
    x, stream = signal(rng, made, N, 2), made.stream(N)
    start = put_state(rng, made, N)
    stream.state = start
    expected = stream(x)
    for _ in range(3):
        _misused(rng, made, stream, x)
    stream.state = start
    compare.to_the_bit(stream(x), expected, "y after errors")


def _misused(rng: Rng, made: Any, stream: Any, x: Any) -> None:
    N, name = len(x), pick(rng, ("x", "x", "call", "state", "rows", "batch_size"))
    if name == "x":
        attempt(lambda: stream(damaged(rng, x)), ABOUT_X)
    elif name == "call":
        attempt(lambda: made(damaged(rng, x)), ABOUT_X | {"batch_size", "frames"})
    elif name == "state":
        parts = tuple(damaged(rng, part) for part in stream.state)
        attempt(lambda: setattr(stream, "state", parts), {"state"})
    elif name == "rows":
        bad = pick(rng, (anything(rng), [N], [-1], [0, 0], np.ones(N + 1, bool), [0.5], [[0]]))
        attempt(lambda: stream.reset(bad), {"rows"})
    else:
        wrong = pick(rng, (0, -1, 2**62, 2**50, "2", None, 1.5))
        attempt(lambda: made.stream(wrong), {"batch_size", "memory", "allocate"})


def built(rng: Rng) -> None:
    """Convolutions and chains of options that make no sense, or whose parts do not fit."""
    options: dict[str, Any] = {
        "in_channels": 2, "out_channels": 3, "kernel_size": 3, "stride": 1, "padding": (1, 1),
        "bias": True, "padding_mode": "zeros", "context": 1, "dtype": "float32", "rng": 0,
    }  # fmt: skip
    name = pick(rng, sorted(options))
    size_like = isinstance(options[name], int) and name not in ("bias", "rng")
    wrong = pick(rng, NUMBERS) if size_like and chance(rng, 2) else anything(rng)
    if name == "padding" and chance(rng, 2):
        wrong = (pick(rng, NUMBERS), pick(rng, NUMBERS))
    words = {name, "allocate", "dimension", "array is too big"}
    layer = attempt(lambda: nn.Conv1d(**{**options, name: wrong}), words)
    layers = [nn.Conv1d(2, 3, 3), nn.ReLU(), fl.GRU(3, 4, learn_state=True), fl.Linear(4, 1)]
    at, other = int(rng.integers(len(layers))), chain(rng)
    strangers = (
        anything(rng), layer, fl.Dropout(0.5), fl.LSTM(3, 4, bidirectional=True), other,
        fl.LSTM(3, 4, precision="bfloat16"), fl.Linear(3, 3, dtype="float64"), fl.Embedding(3, 3),
        nn.Magnitude(), fl.Linear(5, 5),
    )  # fmt: skip
    layers[at] = pick(rng, strangers)
    frame = pick(rng, NUMBERS) if chance(rng, 3) else 8
    given = pick(rng, (anything(rng), layers, layers, layers, tuple(layers)))
    made = attempt(lambda: nn.Chain(given, frame), {"module", "stages", "frame", "channels"})
    if made is not None and made.frame < 1000:
        attempt(lambda: made(array(rng, (2, made.frame, made.in_channels), made.dtype)), ())


def changed(rng: Rng) -> None:
    """A parameter replaced or damaged: a chain that is made anew says so, a stream does not see."""
    made = chain(rng)
    named = list(made.named_parameters())
    N = rows(rng, made, 5)
    x, stream = signal(rng, made, N, 1), made.stream(N)
    expected = made(x)
    name, parameter = pick(rng, named)
    data, bad = parameter.data, damaged(rng, parameter.data)
    words = {"data", "shape", "dtype", "array", "modules", "stages", "frame", "channels"}
    if chance(rng, 2):
        with np.errstate(all="ignore"):
            data[...] = pick(rng, (np.nan, np.inf, 1e30, 0))
    else:
        attempt(lambda: setattr(parameter, "data", bad), {"data", "shape", "dtype", "array"})
    compare.to_the_bit(stream(x), expected, "y of a stream made before")
    attempt(lambda: made(x), words | {name, name.rpartition(".")[2]})


def _spoilt(rng: Rng, stage: Any) -> Any:
    """A stage with one of its fields damaged."""
    if isinstance(stage, Convolution):
        name = pick(rng, ("weight", "bias", "stride", "context", "padding", "reflect"))
        value = getattr(stage, name)
        if name in ("weight", "bias"):
            return stage._replace(**{name: damaged(rng, value)})
        if name == "padding":
            return stage._replace(padding=(pick(rng, NUMBERS), pick(rng, NUMBERS)))
        return stage._replace(**{name: pick(rng, NUMBERS)})
    if isinstance(stage, Recurrence):
        cell, weights = stage
        if chance(rng, 3):
            other = pick(rng, list(kernels.CELLS.values()))
            wrong = (other, replace(cell, states=("h",)), replace(cell, gates=cell.gates[:1]))
            return stage._replace(cell=pick(rng, (*wrong, replace(cell, name="x"), anything(rng))))
        name = pick(rng, weights._fields)
        bad = damaged(rng, getattr(weights, name))
        if name == "params":
            bad = pick(rng, (bad, (bad,), tuple(damaged(rng, w) for w in weights.params)))
        return stage._replace(weights=weights._replace(**{name: bad}))
    return pick(rng, (Map(pick(rng, MAPS)), Map(anything(rng)), Mean(), anything(rng), stage))


def straight(rng: Rng) -> None:
    """Stages that do not fit, given to the compiled kernels: these check what they read."""
    made = chain(rng)
    N = rows(rng, made, 8)
    spec = made._spec()
    at = int(rng.integers(len(spec.stages)))
    stages = list(spec.stages)
    how = int(rng.integers(6))
    if how == 0:
        stages.pop(at)
    elif how == 1:
        stages.insert(at, pick(rng, stages))
    elif how == 2:
        name = pick(rng, ("frame", "channels", "dtype"))
        spec = spec._replace(**{name: pick(rng, (*NUMBERS, anything(rng), "float32", "float64"))})
    else:
        stages[at] = _spoilt(rng, stages[at])
    spec = spec._replace(stages=tuple(stages))
    if chance(rng, 12):
        N = pick(rng, NUMBERS)
    if isinstance(N, int) and N >= 2**31:
        attempt(lambda: kernels.backend("native").chain(spec, N), ())
        return
    runs = [
        attempt(lambda b=b: kernels.backend(b).chain(spec, N), ()) for b in ("native", "reference")
    ]
    if None in runs:
        return
    sizes = [part.size for part in runs[0].state]
    counts = spec.frame, spec.channels, N
    if any(type(n) is not int or n > 1000 for n in counts) or sum(sizes) > 1 << 20:
        return
    x = array(rng, (N, 2 * spec.frame, spec.channels), spec.dtype)
    found, expected = (attempt(lambda run=run: run(x), ()) for run in runs)
    if found is not None and expected is not None and tame(expected):
        compare.near(found, expected.astype("f8"), "gradient", "y")


def misused(rng: Rng) -> None:
    """Signals, states and numbers of threads that do not fit, given straight to the kernels."""
    made = chain(rng)
    N = rows(rng, made, 8)
    run = kernels.backend("native").chain(made._spec().copy(), N)
    x = array(rng, (N, 2 * made.frame, made.in_channels), made.dtype)
    start = run.state
    expected = run(x)
    for _ in range(3):
        threads = pick(rng, (1, 2, 3, 0, -1, 1000, 2**31 - 1, anything(rng)))
        parts = [damaged(rng, part) for part in start]
        bad = pick(rng, (tuple(parts), start[1:], (*start, start[0]), anything(rng)))
        calls: tuple[Callable[[], Any], ...] = (
            lambda: run(damaged(rng, x)),
            lambda k=threads: run(x, k),
            lambda b=bad: setattr(run, "state", b),
        )
        attempt(pick(rng, calls), ())
    run.state = start
    compare.to_the_bit(run(x), expected, "y after errors")
