"""Calls with an argument that does not fit: a clear error, or a result as the reference gives."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
from cases import TOLERANCE
from checks import assert_close

import fastlstm as fl
from attack.fuzz import compare
from attack.fuzz.draw import KINDS, LOWER, TRAINED, Batch, Rng, array, chance, layer, pick
from attack.fuzz.hostile import anything, attempt, damaged
from attack.fuzz.steps import make_cell
from fastlstm.nn.attention import DotAttention
from fastlstm.train import optim

TAME = 100  # with larger numbers two right answers may differ
# In lower precision, where a number rounded the other way is another factor from there on; what
# is no result of these numbers at all is far away.
ROUGH = 0.1


def tame(value: Any) -> bool:
    """Whether all numbers in an array, or in nested tuples of them, are small."""
    if isinstance(value, fl.Tokens):
        return tame(value.table)
    if isinstance(value, (tuple, list)):
        return all(tame(part) for part in value)
    if not isinstance(value, np.ndarray) or value.dtype.kind != "f":
        return True
    return bool(np.isfinite(value).all() and np.abs(value).max(initial=0) < TAME)


def both(made: Any, call: Callable[[], Any], names: set[str], *given: Any) -> None:
    """Make a call on the compiled kernels; a result must be as the reference's.

    What is given is compared only if its numbers, and the weights, are not too large.
    """
    found = attempt(call, names)
    weights = [np.asarray(getattr(p, "data", 0)) for p in made.parameters()]
    if found is None or not tame(given) or not tame(weights):
        return
    before, made._backend = made._backend, "reference"
    try:
        expected = attempt(call, names)
    finally:
        made._backend = before
    if expected is not None:
        _alike(found, expected, made)


def _alike(found: Any, expected: Any, made: Any) -> None:
    if isinstance(found, (tuple, list)):
        for one, other in zip(found, expected, strict=True):
            _alike(one, other, made)
    elif isinstance(found, np.ndarray) and found.dtype.kind == "f":
        assert found.shape == expected.shape, f"shape {found.shape}, not {expected.shape}"
        if not tame(expected):
            return
        if made.precision == "float32":
            assert_close(found, expected, 10 * TOLERANCE["gradient", made.dtype], "result")
        elif getattr(made, "nonlinearity", "tanh") != "relu":  # rounding moves units of it to 0
            error = np.abs(found - expected).max(initial=0)
            allowed = ROUGH * max(1.0, float(np.abs(expected).max(initial=0)))
            assert error <= allowed, f"result: error {error:.1e}, allowed {allowed:.1e}"


def sequence(rng: Rng) -> None:
    """A layer, called or trained, with one argument damaged."""
    lower = pick(rng, (TRAINED, LOWER))
    made = layer(rng, lower=lower, dropout=0.0)
    given, seed = Batch(rng, made).given, int(rng.integers(1 << 30))
    given.setdefault("lengths", None)
    given.setdefault("reset", None)
    name = pick(
        rng, ("x", "x", "state", "state", "lengths", "reset", "reset_at", "rng", "dy", "tape")
    )
    trains = made.precision != "int8"
    if name in ("dy", "tape", "rng") and not trains:
        name = "x"
    if name in ("dy", "tape"):
        _backward(rng, made, given, name)
        return
    if name == "rng":
        attempt(lambda: made.forward(**given, rng=anything(rng)), {"rng"})
        return
    given[name] = _spoilt(rng, given.get(name), name, made)
    # Another x makes what was given beside it not fit: a state of 4 rows for an x of 3.
    names = {"x": {"x", "state", "lengths", "reset"}, "reset_at": {"reset"}}.get(name, {name})
    method = pick(rng, ("call", "train", "trace", "windows") if trains else ("call",))
    if method == "train":
        both(made, lambda: list(compare.run(made, given, seed).values()), names, *given.values())
    elif method == "call":
        both(made, lambda: made(**given), names, *given.values())
    elif method == "trace":
        attempt(lambda: made.trace(**given), names)
    else:
        refused = {"bidirectional"} if made.bidirectional else set()
        steps = pick(rng, (1, 2, 100, 0, -1, None, 2**63, 1.5))
        attempt(lambda: list(made.tbptt(steps=steps, **given)), names | refused | {"steps"})


def _spoilt(rng: Rng, value: Any, name: str, made: Any) -> Any:
    """A damaged argument: an array, one part of a state, one part of tokens."""
    if isinstance(value, fl.Tokens) and not chance(rng, 5):
        if chance(rng, 2):
            return fl.Tokens(damaged(rng, value.ids), value.table)
        return fl.Tokens(value.ids, damaged(rng, value.table))
    if name == "state" and value is None:
        value = made.make_state(2)
    if isinstance(value, tuple) and not chance(rng, 5):
        bad = int(rng.integers(len(value)))
        return tuple(damaged(rng, part) if k == bad else part for k, part in enumerate(value))
    if name == "lengths" and not chance(rng, 3):
        n = int(rng.integers(0, 7))
        return pick(
            rng, (rng.integers(-3, 9, n), [2**62] * n, [-1] * n, np.full(n, np.nan), [None])
        )
    if name == "reset" and not isinstance(value, np.ndarray):
        value = np.ones((2, 2), bool)
    return damaged(rng, value)


def _backward(rng: Rng, made: Any, given: dict[str, Any], name: str) -> None:
    y, state_n, tape = made.forward(**given)
    if name == "tape":
        other = layer(rng)
        wrong = pick(rng, (None, tape, (), object(), other.forward(**Batch(rng, other).given)[-1]))
        if wrong is tape:
            made.backward(tape, None)
        attempt(lambda: made.backward(wrong, np.ones_like(y)), {"tape"})
        return
    dy, dstate = np.ones_like(y), tuple(np.ones_like(s) for s in compare.parts(state_n))
    if chance(rng, 2):
        attempt(lambda: made.backward(tape, damaged(rng, dy)), {"dy"})
    else:
        bad = tuple(damaged(rng, part) for part in dstate)
        attempt(lambda: made.backward(tape, dy, bad if len(bad) > 1 else bad[0]), {"dstate"})


def cell(rng: Rng) -> None:
    """A cell with a damaged input or state."""
    made = make_cell(rng, LOWER)
    N = int(rng.integers(1, 5))
    x = array(rng, (N, made.input_size), made.dtype)
    h = [array(rng, (N, made.hidden_size), made.dtype) for _ in made._cell.states]
    trains = made.precision != "int8"
    name = pick(rng, ("x", "state", "dstate") if trains else ("x", "state"))
    if name == "dstate":
        *_, tape = made.forward(x)
        bad = tuple(damaged(rng, part) for part in h)
        attempt(lambda: made.backward(tape, bad if len(bad) > 1 else bad[0]), {"dstate"})
        return
    if name == "x":
        x = damaged(rng, x)
    else:
        h[0] = damaged(rng, h[0])
    state = tuple(h) if len(h) > 1 else h[0]
    # A wrong x makes the rest not fit either: a state for 4 rows beside an x of 3.
    names = {"x", "state"} if name == "x" else {"state"}
    both(made, lambda: made(x, state), names, x, state)


def stream(rng: Rng) -> None:
    """A stream with damaged inputs, states and rows, used again after each error."""
    made = layer(rng, lower=LOWER, dropout=0.0)
    N = int(rng.integers(1, 5))
    if chance(rng, 4):
        wrong = pick(rng, (0, -1, 2**62, 2**40, "2", None, 1.5, True))
        attempt(lambda: made.stream(wrong), {"batch_size", "bidirectional", "memory", "allocate"})
    runner = attempt(lambda: made.stream(N), {"bidirectional"})
    if runner is None:
        return
    x = array(rng, (N, made.input_size), made.dtype)
    expected = runner(x).copy()
    for _ in range(3):
        _misused(rng, runner, x)
    runner.reset()
    compare.to_the_bit(runner(x), expected, "first step after errors and a reset")


def _misused(rng: Rng, runner: Any, x: Any) -> None:
    N, name = len(x), pick(rng, ("x", "state", "rows"))
    if name == "x":
        attempt(lambda: runner(damaged(rng, x)), {"x"})
    elif name == "rows":
        rows = pick(rng, (anything(rng), [N], [-1], np.ones(N + 1, bool), [0.5], [[0]]))
        attempt(lambda: runner.reset(rows), {"rows"})
        attempt(lambda: runner(x, rows), {"rows", "x"})
    else:
        parts = tuple(damaged(rng, part) for part in runner.state)
        attempt(lambda: setattr(runner, "state", parts), {"state"})


def state(rng: Rng) -> None:
    """Methods of a state, and its making, with what does not fit."""
    good = fl.State.zeros((2, 3, 4), (2, 3, 5))
    rows = pick(rng, (anything(rng), [3], [-1], [0, 0], np.ones(2, bool), [2**63], [[0]], [0.5]))
    other = pick(rng, (anything(rng), tuple(damaged(rng, p) for p in good), good, (None, None)))
    how: tuple[tuple[Callable[[], Any], set[str]], ...] = (
        (lambda: good.gather(rows), {"rows"}),
        (lambda: good.scatter(rows, good.gather([0])), {"rows", "state"}),
        (lambda: good.scatter([0], other), {"state"}),
        (lambda: good.reset(rows), {"rows"}),
        (lambda: good.reset([1], other), {"to"}),
        (lambda: fl.State(damaged(rng, p) for p in good), {"parts", "dtype"}),
        (lambda: fl.State(anything(rng)), {"parts", "iter"}),
        (lambda: fl.State.zeros(anything(rng)), {"shape", "parts", "integer", "dimension"}),
    )
    call, names = pick(rng, how)
    attempt(call, names)


def part(rng: Rng) -> None:
    """Embedding, linear layer, attention, dropout, losses and optimizers."""
    x, ids = rng.standard_normal((3, 4)).astype("f4"), rng.integers(0, 5, (3, 4))
    embedding, linear, attention = fl.Embedding(5, 4), fl.Linear(4, 2), DotAttention(4)
    bad, memory = damaged(rng, x), np.ones((1, 2, 4), "f4")
    wrong_ids = damaged(rng, ids)
    how: tuple[tuple[Callable[[], Any], set[str]], ...] = (
        (lambda: embedding(wrong_ids), {"tokens"}),
        (lambda: embedding.distinct(wrong_ids), {"tokens"}),
        (lambda: embedding.distinct(ids, anything(rng)), {"lengths"}),
        (lambda: embedding.backward(embedding.forward(ids)[1], damaged(rng, x)), {"dy"}),
        (lambda: linear(bad), {"x"}),
        (lambda: linear.backward(linear.forward(x)[1], bad), {"dy"}),
        (lambda: attention(damaged(rng, memory), memory), {"query", "memory"}),
        (lambda: attention(memory, damaged(rng, memory)), {"memory"}),
        (lambda: attention(memory, memory, anything(rng)), {"lengths"}),
        (lambda: fl.cross_entropy(bad, rng.integers(0, 4, 3)), {"logits", "targets"}),
        (lambda: fl.cross_entropy(x, damaged(rng, ids[:, 0])), {"targets"}),
        (lambda: fl.bce_with_logits(bad, np.ones((3, 4))), {"logits", "targets"}),
        (lambda: fl.bce_with_logits(x, damaged(rng, np.ones((3, 4)))), {"targets"}),
        (lambda: fl.Dropout(anything(rng)), {"p"}),
        (lambda: optim.Adam(linear, lr=anything(rng)), {"lr"}),
        (lambda: optim.Adam(linear, betas=(anything(rng), 0.9)), {"betas"}),
        (lambda: optim.SGD(anything(rng)), {"parameters"}),
    )
    call, names = pick(rng, how)
    attempt(call, names)


def construction(rng: Rng) -> None:
    """Layers of sizes and options that make no sense."""
    cls, own = pick(rng, KINDS)
    good = {"input_size": 3, "hidden_size": 4, "num_layers": 2, "dropout": 0.1, "proj_size": 2,
            "dtype": "float32", "rng": None, "init": "torch", "forget_bias": 1.0,
            "recompute": 1, "batch_first": False, "recurrent_dropout": 0.2,
            "precision": "bfloat16"}  # fmt: skip
    for name in {"proj_size", "forget_bias"} if cls is not fl.LSTM else ():
        del good[name]
    name = pick(rng, sorted(good))
    sizes = (-1, 0, 2**63, -(2**70), 1.5, "4", None, True, 2**40)
    size_like = name in ("input_size", "hidden_size", "num_layers", "proj_size", "recompute")
    value = pick(rng, sizes) if size_like and chance(rng, 2) else anything(rng)
    if size_like and isinstance(value, int) and value == 2**40:
        return  # that many layers are made one by one, as long as there is memory
    options = {**own, **good, name: value}
    names = {"precision"} if name == "dtype" else set()  # that does not go with another
    attempt(lambda: cls(**options), names | {name, "allocate", "dimension", "array is too big"})
