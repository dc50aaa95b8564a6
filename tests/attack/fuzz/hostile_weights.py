"""Weights that are replaced, reshaped, deleted or taken back while a layer is at work."""

from __future__ import annotations

from typing import Any

import numpy as np

import fastlstm as fl
from attack.fuzz import compare
from attack.fuzz.draw import LOWER, TRAINED, Batch, Rng, array, chance, layer, pick
from attack.fuzz.hostile import anything, attempt, damaged
from attack.fuzz.hostile_calls import both

ABOUT = {"x", "state", "lengths", "expected", "bidirectional"}


def _strange(rng: Rng, parameter: fl.Parameter) -> Any:
    """What a user may put in a parameter's place."""
    value = damaged(rng, parameter.data)
    if chance(rng, 2) and isinstance(value, np.ndarray):
        try:
            return fl.Parameter(value)
        except (TypeError, ValueError, MemoryError):
            return value
    return pick(rng, (value, None, anything(rng)))


def _change(rng: Rng, made: Any) -> set[str]:
    """Change one parameter in some way; the names that an error about it may say."""
    name, parameter = pick(rng, list(made.named_parameters()))
    how = int(rng.integers(4))
    # Kernels call them by the part of the name before the layer.
    names = {name, name.partition("_l")[0], "w_ih", "w_hh", "b_ih", "b_hh", "w_hr", "Parameter"}
    if how == 0:
        attempt(lambda: setattr(made, name, _strange(rng, parameter)), names | {"data", "array"})
    elif how == 1:
        attempt(lambda: delattr(made, name), names)
    elif how == 2:
        bad = damaged(rng, parameter.data)
        attempt(lambda: setattr(parameter, "data", bad), {"data", "shape", "dtype", "array"})
    else:
        with np.errstate(all="ignore"):
            parameter.data[...] = pick(rng, (np.nan, np.inf, 1e30, 0))
    return names


def assigned(rng: Rng) -> None:
    """A call after a parameter was changed: an error that names it, or the reference's result."""
    made = layer(rng, lower=LOWER, dropout=0.0)
    given, seed = Batch(rng, made).given, int(rng.integers(1 << 30))
    names = _change(rng, made)
    how = int(rng.integers(1, 3) if made.precision == "int8" else rng.integers(4))
    if how == 0:
        both(made, lambda: list(compare.run(made, given, seed).values()), names)
    elif how == 1:
        both(made, lambda: made(**given), names)
    elif how == 2:
        attempt(lambda: made.stream(2)(array(rng, (2, made.input_size), made.dtype)), names | ABOUT)
    else:
        attempt(lambda: (made.trace(**given), made.state_dict(), made.gates().items()), names)


def between(rng: Rng) -> None:
    """A parameter changed between forward and backward."""
    made = layer(rng, lower=TRAINED)
    given = Batch(rng, made).given
    y, _, tape = made.forward(**given)
    names = _change(rng, made) | {"tape"}
    if chance(rng, 3):
        names |= _change(rng, made)
    attempt(lambda: made.backward(tape, np.ones_like(y)), names)
    attempt(lambda: made(**given), names)


def loaded(rng: Rng) -> None:
    """A state dictionary with a value that does not fit changes nothing."""
    made = layer(rng, lower=LOWER)
    state = made.state_dict()
    name = pick(rng, sorted(state))
    how = int(rng.integers(4))
    if how == 0:
        del state[name]
    elif how == 1:
        state["other"] = state[name]
    else:
        state[name] = damaged(rng, state[name])
    before = made.state_dict()
    try:
        made.load_state_dict(state)
    except Exception:
        for key, value in made.state_dict().items():
            compare.to_the_bit(value, before[key], f"{key} after a refused state")
        attempt(lambda: made.load_state_dict(state), {name, "other", "state"})
    attempt(lambda: made.load_state_dict(anything(rng)), {"state", "keys", "mapping"})


def attributes(rng: Rng) -> None:
    """Options set to something else after a layer was made."""
    made = layer(rng, dropout=0.0)
    given, seed = Batch(rng, made).given, int(rng.integers(1 << 30))
    name = pick(
        rng,
        ("recompute", "hidden_size", "input_size", "num_layers", "proj_size", "dtype", "bias",
         "batch_first", "bidirectional", "dropout", "learn_state", "precision"),
    )  # fmt: skip
    value = pick(rng, (-1, 0, 1, 2**40, 2**63, None, "a", 1.5, np.float64, True, -(2**63)))
    attempt(lambda: setattr(made, name, value), {name})
    call = pick(
        rng,
        (
            lambda: list(compare.run(made, given, seed).values()),
            lambda: made(**given),
            lambda: made.memory_plan(3, 2),
            lambda: made.stream(2)(array(rng, (2, 3), np.float32)),
            lambda: made.state_dict(),
        ),
    )
    attempt(call, ())


def buffers(rng: Rng) -> None:
    """Arrays that a caller uses again, or that end, between forward and backward."""
    made = layer(rng, lower=TRAINED)
    U, T, N = 3, int(rng.integers(1, 5)), int(rng.integers(1, 5))
    ids = rng.integers(0, U, (N, T) if made.batch_first else (T, N))
    lengths = rng.integers(0, T + 1, N)
    table = array(rng, (U, made.input_size), made.dtype)
    x: Any = fl.Tokens(ids, table) if chance(rng, 2) else table[ids]
    state = made.make_state(N)
    y, state_n, tape = made.forward(x, state if chance(rng, 2) else None, lengths)
    big = pick(rng, (1 << 40, -(1 << 40), 2**62, -1, 7))
    ids[...] = big
    lengths[...] = big
    for array_ in (x if isinstance(x, np.ndarray) else table, y, *state, *compare.parts(state_n)):
        if array_.flags.writeable and chance(rng, 2):
            array_[...] = pick(rng, (np.nan, 1e30, 0))
    dy = np.ones_like(y)
    del y, state_n, state, table
    attempt(lambda: made.backward(tape, dy), {"tape", "ids", "lengths", "x"})
