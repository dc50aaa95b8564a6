"""Layers, cells and their products in bfloat16 and int8: the definition, and equal bits."""

from __future__ import annotations

from typing import Any

import numpy as np
from cases import F64, Array, draw_lengths

import fastlstm as fl
from attack.fuzz import compare
from attack.fuzz.definition import near_the_step
from attack.fuzz.draw import (
    F32,
    LOWER,
    TRAINED,
    Batch,
    Rng,
    array,
    chance,
    layer,
    pick,
    size,
    state,
)
from attack.fuzz.hostile import anything, attempt
from attack.fuzz.steps import make_cell
from fastlstm.kernels.reference.precision import int8_product, quantize, to_bfloat16
from fastlstm.nn.attention import DotAttention

# Of usual weights and inputs, as docs/precision.md has it for wide layers; narrow ones have fewer
# factors whose rounding could cancel.
NEAR = {"bfloat16": 0.03, "int8": 0.1}
# Of gradients in bfloat16 against the same in NumPy: a factor rounded the other way is off by a
# 256th, and grows on its way through steps and layers.
GRADIENT = 5e-2
ODD = (np.nan, np.inf, -np.inf, 3e38, -1e30, 1e-45)


def rows_of_any_size(rng: Rng, shape: tuple[int, ...]) -> Array:
    """Normal numbers, each row of a magnitude of its own, and some rows of zeros."""
    power = rng.uniform(-4, 3, (*shape[:-1], 1))
    power = np.where(rng.random(power.shape) < 0.1, -np.inf, power)
    return array(rng, shape, F32) * (10**power).astype(F32)


def definition(rng: Rng) -> None:
    """A call is its steps to the bit, and each step of each layer that of the definition."""
    made = layer(rng, bidirectional=False, lower=LOWER, dropout=0.0, batch_first=False)
    if made.precision == "float32":
        made = compare.twin(made, F32)
        made.precision = pick(rng, LOWER)
    T, N = int(rng.integers(1, 5)), int(rng.integers(1, 6))
    x = rows_of_any_size(rng, (T, N, made.input_size))
    before = made.make_state(N)
    for part in before:
        part[...] = rng.standard_normal(part.shape)
    y, last = made(x, before)
    for t in range(T):
        one, after = made(x[t : t + 1], before)
        compare.to_the_bit(one[0], y[t], f"y of step {t} alone")
        given, ends = x[t], compare.parts(after)
        for k in range(made.num_layers):
            own = tuple(np.ascontiguousarray(s[k]) for s in compare.parts(before))
            near_the_step(made, k, given, own, [s[k] for s in ends], f"layer {k}, step {t}")
            given = ends[0][k]
        before = fl.State(ends)
    compare.to_the_bit(before, last, "state")


def cell(rng: Rng) -> None:
    """A cell's step is that of the definition, alone too, and a row of a batch."""
    made = make_cell(rng, LOWER)
    if made.precision == "float32":
        return
    N = int(rng.integers(1, 9))
    x = rows_of_any_size(rng, (N, made.input_size))
    before = tuple(array(rng, (N, made.hidden_size), F32) for _ in made._cell.states)
    given = before if len(before) > 1 else before[0]
    found = compare.parts(made(x, given))
    near_the_step(made, 0, x, before, found, "a cell")
    n = int(rng.integers(N))
    single = tuple(s[n] for s in before)
    alone = compare.parts(made(x[n], single if len(single) > 1 else single[0]))
    compare.to_the_bit([s[n] for s in found], alone, "a row alone")
    if made.precision in TRAINED:
        *new, _ = made.forward(x, given)
        compare.to_the_bit(new, found, "a call that keeps the tape")


def equal(rng: Rng) -> None:
    """In every precision a row depends on no other row, nor on threads, padding and tokens."""
    made = layer(rng, lower=LOWER, dropout=0.0)
    T, N = int(rng.integers(1, 7)), int(rng.integers(1, 6))
    outer = (N, T) if made.batch_first else (T, N)
    table = array(rng, (int(rng.integers(1, 6)), made.input_size), made.dtype)
    ids = rng.integers(0, len(table), outer)
    x, lengths = table[ids], draw_lengths(rng, T, N)
    reset = rng.random(outer) < 0.2 if chance(rng, 3) else None
    first = state(rng, made, N)
    fl.set_num_threads(1)
    y, last = made(x, first, lengths, reset=reset)
    fl.set_num_threads(int(rng.integers(2, 5)))
    tokens, ends = made(fl.Tokens(ids, table), first, lengths, reset=reset)
    compare.to_the_bit(tokens, y, "y of tokens on threads")
    compare.to_the_bit(ends, last, "state of tokens on threads")
    rows = Some(made, np.sort(rng.permutation(N)[: int(rng.integers(1, N + 1))]))
    poisoned, other = x.copy(), np.setdiff1d(np.arange(N), rows.index)
    poisoned[Some(made, other).of(outer)] = pick(rng, ODD)
    given = None if first is None else rows.states(first)
    cut = None if reset is None else reset[rows.of(outer)]
    part, part_last = made(x[rows.of(outer)], given, lengths[rows.index], reset=cut)
    with np.errstate(all="ignore"):
        among, _ = made(poisoned, first, lengths, reset=reset)
    compare.to_the_bit(part, y[rows.of(outer)], "y of some rows")
    compare.to_the_bit(among[rows.of(outer)], part, "y of rows among odd ones")
    for one, whole in zip(compare.parts(part_last), compare.parts(last), strict=True):
        compare.to_the_bit(one, whole[:, rows.index], "state of some rows")


class Some:
    """Some rows of a batch, wherever its axis is."""

    def __init__(self, made: Any, index: Array) -> None:
        self.made, self.index = made, index

    def of(self, outer: tuple[int, ...]) -> Any:
        return self.index if self.made.batch_first else (slice(None), self.index)

    def states(self, first: Any) -> Any:
        parts = [np.ascontiguousarray(s[:, self.index]) for s in compare.parts(first)]
        return compare.like(self.made, parts)


def training(rng: Rng) -> None:
    """Gradients in bfloat16 are NumPy's; recomputing and threads change no bit of them."""
    made = layer(rng, lower=TRAINED, recurrent_dropout=pick(rng, (0.0, 0.3)), recompute=0)
    if made.precision == "float32" or getattr(made, "nonlinearity", "tanh") == "relu":
        return  # rounding moves units of a relu net across its kink
    usual(made, rng)
    given, seed = Batch(rng, made).given, int(rng.integers(1 << 30))
    found = compare.run(made, given, seed)
    made.recompute = int(rng.integers(1, 4))
    fl.set_num_threads(int(rng.integers(1, 5)))
    for name, again in compare.run(made, given, seed).items():
        compare.to_the_bit(again, found[name], f"{name} recomputed")
    expected = compare.run(compare.twin(made, F32, _backend="reference"), given, seed)
    for name, value in found.items():
        scale = max(float(np.abs(expected[name]).max(initial=0)), compare.FLOOR["output"])
        error = float(np.abs(value.astype(F64) - expected[name]).max(initial=0)) / scale
        assert error <= GRADIENT, f"{name}: error {error:.1e} of its scale, allowed {GRADIENT}"


def usual(made: Any, rng: Rng) -> None:
    """Give a layer weights as layers begin with, of which errors do not grow."""
    bound = made.hidden_size**-0.5
    for _, parameter in made.named_parameters():
        parameter.data[...] = rng.uniform(-bound, bound, parameter.data.shape)


def near_float32(rng: Rng) -> None:
    """With usual weights and inputs results are near those of float32."""
    made = layer(rng, lower=LOWER, dropout=0.0)
    if made.precision == "float32":
        return
    usual(made, rng)
    given = Batch(rng, made).given
    y = made(**given)[0]
    lower, made.precision = made.precision, "float32"
    expected = made(**given)[0]
    scale = max(float(np.abs(expected).max(initial=0)), compare.FLOOR["output"])
    error = float(np.abs(y - expected).max(initial=0)) / scale
    assert error <= NEAR[lower], f"y: error {error:.1e} of its scale, allowed {NEAR[lower]}"


def dense(rng: Rng) -> None:
    """A linear layer by the definition; attention reads nothing behind a row's length."""
    lower, I, O = pick(rng, LOWER), size(rng), size(rng)
    made = fl.Linear(I, O, bias=chance(rng, 2), precision=lower)
    x = rows_of_any_size(rng, (int(rng.integers(1, 9)), I))
    b = 0 if made.bias is None else made.bias.data
    if lower == "int8":
        expected = int8_product(quantize(made.weight.data), quantize(x)) + b
        compare.to_the_bit(made(x), expected, "y")
    else:
        wide = to_bfloat16(x).astype(F64) @ to_bfloat16(made.weight.data).astype(F64).T + b
        compare.near(made(x), wide, "output", "y")
    compare.to_the_bit(made(x[-1]), made(x)[-1], "a row alone")
    attention = DotAttention(I, O, precision=lower)
    N, S, T = (int(n) for n in rng.integers(1, 5, 3))
    query, memory = array(rng, (N, S, I), F32), array(rng, (N, T, I), F32).copy()
    lengths = draw_lengths(rng, T, N)
    y = attention(query, memory, lengths)
    memory[np.arange(T) >= lengths[:, None]] = pick(rng, (1e30, -7, 0))
    compare.to_the_bit(attention(query, memory, lengths), y, "y of attention")


def refused(rng: Rng) -> None:
    """What a precision cannot do is an error that names it, and changes nothing."""
    made = layer(rng, lower=LOWER, dropout=0.0) if chance(rng, 2) else make_cell(rng, LOWER)
    before, odd = made.precision, pick(rng, (*LOWER, "float16", anything(rng)))
    attempt(lambda: setattr(made, "precision", odd), {"precision"})
    if made.precision != before:
        assert made.dtype == F32, f"precision {made.precision} of {made.dtype}"
        assert made.precision == odd, f"precision is {made.precision!r}, given {odd!r}"
    is_cell = not hasattr(made, "num_layers")
    x = array(rng, (2, made.input_size) if is_cell else (2, 2, made.input_size), made.dtype)
    name, parameter = pick(rng, list(made.named_parameters()))
    if chance(rng, 2):
        parameter.data.reshape(-1)[int(rng.integers(parameter.data.size))] = pick(rng, ODD[:3])
    odd_weight = not np.isfinite(parameter.data).all() and parameter.data.ndim == 2
    taken = attempt(lambda: made(x), {name})
    if made.precision == "int8":
        assert taken is None or not odd_weight or "_0" in name, f"{name} is not finite, and taken"
        calls = [lambda: made.forward(x)]
        if not is_cell:
            calls += [lambda: made.trace(x), lambda: made.memory_plan(2, 2)]
        assert attempt(pick(rng, calls), {"precision"}) is None, "int8 has no backward"
