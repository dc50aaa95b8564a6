"""Right calls of single steps: cells, streams and the states they carry."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

import fastlstm as fl
from attack.fuzz import compare
from attack.fuzz.draw import (
    CELL_KINDS,
    F32,
    LOWER,
    Rng,
    array,
    chance,
    dtype_for,
    layer,
    pick,
    precision,
    size,
)


def make_cell(rng: Rng, lower: Sequence[str] = ()) -> Any:
    """A cell of any kind; its products also in the precisions `lower`."""
    cls, own = pick(rng, CELL_KINDS)
    kind = precision(rng, lower)
    options = {"bias": not chance(rng, 4), "precision": kind, **own}
    return cls(size(rng), size(rng), dtype=dtype_for(rng, own, kind), **options)


def cell(rng: Rng) -> None:
    """A step and its gradients, against the reference in float64."""
    made = make_cell(rng)
    single, N = chance(rng, 4), int(rng.integers(1, 9))
    shape = () if single else (N,)
    x = array(rng, (*shape, made.input_size), made.dtype)
    states = tuple(array(rng, (*shape, made.hidden_size), made.dtype) for _ in made._cell.states)
    given = None if chance(rng, 3) else states if len(states) > 1 else states[0]
    seed = int(rng.integers(1 << 30))
    found = [
        _step(made, x, given, seed),
        _step(compare.exact(made), compare.widened(x), compare.widened(given), seed),
    ]
    for name, value in found[0].items():
        kind = "output" if name.startswith("s") else "gradient"
        assert value.dtype == made.dtype, f"{name} has dtype {value.dtype}"
        compare.near(value, found[1][name], kind, name)
    new = compare.parts(made(x, given))
    for k, part in enumerate(new):
        compare.to_the_bit(part, found[0][f"s{k}"], "state of a call")


def _step(made, x, given, seed):  # type: ignore[no-untyped-def]
    made.zero_grad()
    *new, tape = made.forward(x, given)
    rng = np.random.default_rng(seed)
    d = [rng.standard_normal(s.shape).astype(s.dtype) for s in new]
    dx, d_0 = made.backward(tape, tuple(d) if len(d) > 1 else d[0])
    results = {f"s{k}": s for k, s in enumerate(new)} | {"dx": dx}
    results |= {f"d{k}": s for k, s in enumerate(compare.parts(d_0))}
    return results | {f"d{name}": p.grad.copy() for name, p in made.named_parameters()}


def stream(rng: Rng) -> None:
    """Steps of a stream are those of a whole call, resets and a state put in included."""
    made = layer(rng, bidirectional=False, lower=LOWER, dropout=0.0, batch_first=False)
    N, T = int(rng.integers(1, 6)), int(rng.integers(1, 6))
    x, runner = array(rng, (T, N, made.input_size), made.dtype), made.stream(N)
    state = made.make_state(N)
    if chance(rng, 2):
        for part in state:
            part[...] = rng.standard_normal(part.shape)
        runner.state = state
    for t in range(T):
        rows = np.flatnonzero(rng.random(N) < 0.2)
        if rows.size:
            runner.reset(rows)
            state.reset(rows, made.make_state(N))
        y, after = made(x[t : t + 1], state)
        state = fl.State(compare.parts(after))
        if chance(rng, 2):
            compare.to_the_bit(runner(x[t]), y[0], f"y of step {t}")
            continue
        order, cut = rng.permutation(N), int(rng.integers(N + 1))
        for some in (order[:cut], order[cut:]):
            compare.to_the_bit(runner(x[t][some], some), y[0][some], f"y of step {t}, {some}")
    compare.to_the_bit(runner.state, state, "state of the stream")


def state(rng: Rng) -> None:
    """Gather, scatter and reset move rows as NumPy's indices do."""
    K, N, H = (int(n) for n in rng.integers(1, 6, 3))
    made = fl.State(
        rng.standard_normal((K, N, H + k)).astype(F32) for k in range(pick(rng, (1, 2)))
    )
    rows = rng.permutation(N)[: int(rng.integers(1, N + 1))]
    given = pick(rng, (rows, rows.tolist(), np.isin(np.arange(N), rows), rows.astype(np.int8)))
    index = np.sort(rows) if getattr(given, "dtype", None) == np.bool_ else rows
    part = made.gather(given)
    for one, whole in zip(part, made, strict=True):
        compare.to_the_bit(one, whole[:, index], "rows gathered")
    other = made.copy()
    other.reset(given)
    assert not any(p[:, index].any() for p in other), "rows were not reset"
    other.scatter(given, part)
    for one, whole in zip(other, made, strict=True):
        compare.to_the_bit(one, whole, "rows scattered")
