"""Right calls of recurrent layers: values, gradients and what must be the same to the bit."""

from __future__ import annotations

from typing import Any

import numpy as np

import fastlstm as fl
from attack.fuzz import compare
from attack.fuzz.draw import LOWER, TRAINED, Batch, Rng, chance, layer, pick


def values(rng: Rng) -> None:
    """A training call and its gradients, against the reference in float64."""
    drops = {"recurrent_dropout": pick(rng, (0.0, 0.0, 0.3)), "weight_drop": pick(rng, (0.0, 0.4))}
    made = layer(rng, variational=chance(rng, 3), **drops)
    given, seed = Batch(rng, made).given, int(rng.integers(1 << 30))
    actual = compare.run(made, given, seed)
    wide = {name: compare.widened(value) for name, value in given.items()}
    compare.same(actual, compare.run(compare.exact(made), wide, seed), made.dtype)
    if not (made.dropout or any(drops.values())):
        y, state_n = made(**given)
        compare.to_the_bit(y, actual["y"], "y of a call")
        for k, part in enumerate(compare.parts(state_n)):
            compare.to_the_bit(part, actual[f"state_n[{k}]"], "state of a call")


def windows(rng: Rng) -> None:
    """Windows of truncated backpropagation put together are the whole call."""
    made = layer(rng, bidirectional=False, lower=TRAINED, dropout=0.0)
    given = Batch(rng, made).given
    y, state_n = made(**given)
    axis = 1 if made.batch_first and y.ndim == 3 else 0
    seen = []
    for window in made.tbptt(steps=int(rng.integers(1, 7)), **given):
        seen.append(window.y)
        window.backward(pick(rng, (None, np.ones_like(window.y))))
        last = window.state
    compare.to_the_bit(np.concatenate(seen, axis=axis), y, "y of windows")
    if given.get("reset_at") != "after":  # a reset behind a window's last step comes with the next
        compare.to_the_bit(last, state_n, "state of windows")


def inside(rng: Rng) -> None:
    """The trace's h is y; gates lie in 0..1 or -1..1."""
    made = layer(rng, lower=TRAINED, dropout=0.0)
    given = Batch(rng, made).given
    y, _ = made(**given)
    traces = made.trace(**given)
    last = [trace.values["h"] for trace in traces][-made._directions :]
    compare.to_the_bit(np.concatenate(last, axis=-1), y, "h of the trace")
    for trace in traces:
        for name, value in trace.values.items():
            if name in "ifogrzn":
                assert np.abs(value).max(initial=0) <= 1, f"gate {name} outside -1..1"


def plan(rng: Rng) -> None:
    """The memory plan counts at least what is sure to be allocated, and more for more steps."""
    made = layer(rng, lower=TRAINED)
    T, N, tokens = int(rng.integers(1, 9)), int(rng.integers(1, 9)), pick(rng, (0, 0, 3))
    one = made.memory_plan(T, N, tokens=tokens)
    item = made.dtype.itemsize
    assert one.forward >= one.kept >= item * T * N * made._width, f"plan {one} leaves out y"
    assert one.peak == max(one.forward, one.backward)
    more = made.memory_plan(2 * T, N, tokens=tokens)
    assert more.forward >= one.forward, f"plan of twice the steps: {more}, after {one}"
    lengths = rng.integers(0, T + 1, N)
    assert made.memory_plan(T, N, lengths, tokens=tokens).peak <= one.peak, "shorter rows take more"


def round_trip(rng: Rng) -> None:
    """Weights out and in by name, and by gate, make the same layer."""
    made = layer(rng, lower=LOWER, dropout=0.0)
    given = Batch(rng, made).given
    expected, _ = made(**given)
    kept = made.state_dict()
    for parameter in made.parameters():
        parameter.data[...] = 0
    made.load_state_dict(kept)
    compare.to_the_bit(made(**given)[0], expected, "y after load_state_dict")
    if made.learn_state:
        return
    K = made._directions
    gates: Any = [made.gates(*divmod(k, K)) for k in range(len(made._suffixes))]
    same = ("batch_first", "bidirectional", "precision")
    options = {name: getattr(made, name) for name in same}
    if isinstance(made, fl.GRU):
        options["reset_after"] = made.reset_after
    if isinstance(made, fl.RNN):
        options["nonlinearity"] = made.nonlinearity
    again = type(made).from_gates(gates, dtype=made.dtype, **options)
    compare.to_the_bit(again(**given)[0], expected, "y of from_gates")
