"""Forward passes bound to arrays: the bits of a forward pass, and hostile arrays."""

from __future__ import annotations

import contextlib
from dataclasses import replace
from typing import Any, NamedTuple

import numpy as np
from together import at_once

from attack.fuzz import compare
from attack.fuzz.draw import F32, F64, LOWER, Rng, array, chance, pick, precision, size
from attack.fuzz.hostile import anything, attempt, damaged
from fastlstm import kernels
from fastlstm.kernels import CELLS, Call, Rows, Weights

NATIVE: Any = kernels.backend("native")


class Bound(NamedTuple):
    """What a pass is bound to."""

    cell: Any
    call: Call
    ends: tuple[Any, ...]


def draw(rng: Rng) -> Bound:
    """A call of any cell, over arrays that the kernels write to, and others of any layout."""
    cell = pick(rng, list(CELLS.values()))
    kind = precision(rng, LOWER)
    dtype = F32 if kind != "float32" else pick(rng, (F32, F64))
    T, N = int(rng.integers(1, 5)), int(pick(rng, (1, 1, 2, 3, 5, 8, 17)))
    I, H, w_hr = size(rng), size(rng), None
    R, G = H, cell.gate_rows(H)

    def weight(*shape: int) -> Any:
        return np.asarray(rng.standard_normal(shape) * 0.5, dtype)

    if cell.projects and chance(rng, 3):
        R = int(rng.integers(1, H + 1))
        w_hr = weight(R, H)
    bias = [None if chance(rng, 4) else weight(G) for _ in range(2)]
    params = tuple(weight(H) for _ in cell.params)
    weights = Weights(weight(G, I), weight(G, R), *bias, w_hr, params)
    state = tuple(array(rng, (N, n), dtype).copy() for n in cell.state_sizes(H, R))
    lengths = rng.integers(0, T + 1, N) if chance(rng, 3) else None
    x, y = array(rng, (T, N, I), dtype), np.full((T, N, R), np.nan, dtype)
    more = {"reverse": chance(rng, 3), "precision": kind}
    call = Call(np.array(x, order="C"), state, weights, Rows(T, N, lengths), y, **more)
    return Bound(cell, call, tuple(np.full_like(part, np.nan) for part in state))


def _expected(given: Bound) -> tuple[Any, ...]:
    call = given.call._replace(y=np.empty_like(given.call.y), n_threads=1)
    ends, _ = NATIVE.forward(given.cell, call)
    return call.y, *ends


def values(rng: Rng) -> None:
    """The bits of a forward pass, over what the arrays hold when it runs."""
    given = draw(rng)
    first = NATIVE.BoundForward(*given, chance(rng, 2))
    runs = [first, NATIVE.BoundForward(*given, True)]
    runs.append(NATIVE.BoundForward(*given, runs[1]))
    del first
    for _ in range(3):
        given.call.x[...] = rng.standard_normal(given.call.x.shape)
        given.call.state[0][...] = rng.standard_normal(given.call.state[0].shape)
        expected = _expected(given)
        pick(rng, runs)(int(rng.integers(1, 4)))
        compare.to_the_bit((given.call.y, *given.ends), expected, "results of a bound pass")
        if len(runs) > 2 and chance(rng, 3):
            del runs[1]  # whose packed weights another uses


def _changed(rng: Rng, value: Any) -> None:
    """Change an array as far as NumPy lets its owner."""
    with contextlib.suppress(ValueError, AttributeError, TypeError, OverflowError):
        how = int(rng.integers(5))
        if how == 0:
            value.flags.writeable = False
        elif how == 1:
            value.shape = (-1,)
        elif how == 2:
            value.dtype = np.uint8
        elif how == 3:
            value.resize((0,))
        else:
            value[...] = pick(rng, (np.nan, np.inf, 0))


def arrays_changed(rng: Rng) -> None:
    """Arrays that become others, or are given up, after they were bound."""
    given = draw(rng)
    run = NATIVE.BoundForward(*given, chance(rng, 2))
    call = given.call
    weights = [w for w in call.weights[:5] if w is not None]
    owned = [call.x, call.y, *call.state, *given.ends, *weights]
    for _ in range(3):
        _changed(rng, pick(rng, owned))
    if chance(rng, 2):
        del given, call, weights, owned
    run()
    run(2)


def hostile(rng: Rng) -> None:
    """A pass bound to what does not fit, which says so and writes nowhere else."""
    given = draw(rng)
    cell, call, ends = given
    pack: Any = chance(rng, 2)
    name = pick(rng, (*Call._fields, "state", "weights", "ends", "pack", "cell"))
    if name == "cell":
        others = (*CELLS.values(), replace(cell, states=("h",)), replace(cell, gates=("i",)))
        cell = pick(rng, (*others, anything(rng)))
    elif name == "ends":
        ends = tuple(damaged(rng, part) for part in ends)
        ends = pick(rng, (ends, ends[:-1], (*ends, ends[0]), anything(rng)))
    elif name == "pack":
        other = draw(rng)
        pack = pick(rng, (NATIVE.BoundForward(*other, chance(rng, 2)), anything(rng)))
    elif name == "weights":
        field = pick(rng, call.weights._fields)
        bad = damaged(rng, getattr(call.weights, field))
        call = call._replace(weights=call.weights._replace(**{field: bad}))
    elif name == "state":
        call = call._replace(state=tuple(damaged(rng, part) for part in call.state))
    elif name == "rows":
        T, N = (int(n) for n in rng.integers(1, 9, 2))
        call = call._replace(rows=pick(rng, (Rows(T, N), anything(rng))))
    else:
        call = call._replace(**{name: damaged(rng, getattr(call, name))})
    if name in ("x", "y") and chance(rng, 4):  # one in the other's place
        call = call._replace(x=call.y, y=call.x)
    run = attempt(lambda: NATIVE.BoundForward(cell, call, ends, pack), ())
    if run is not None:
        attempt(lambda: run(pick(rng, (1, 2, 0, -1, 2**31 - 1, anything(rng)))), ())


def from_threads(rng: Rng) -> None:
    """Threads at one bound pass: they take turns, or are told that it is in use."""
    given = draw(rng)
    run, expected = NATIVE.BoundForward(*given, True), _expected(given)

    def use(_: int) -> None:
        for _ in range(3):
            attempt(run, {"in use by another thread"})

    at_once(2, use)
    compare.to_the_bit((given.call.y, *given.ends), expected, "results after two threads")
