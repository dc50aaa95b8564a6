"""Right values: every result of a call compared with the reference in float64, or with bits."""

from __future__ import annotations

import copy
from typing import Any

import numpy as np
from cases import F64, TOLERANCE, Array
from checks import assert_close, assert_same

import fastlstm as fl

Results = dict[str, Array]
# What is smaller comes of numbers of about 1 that cancel each other, and has their rounding: of an
# output that of a sum of 34 products, of a gradient those of all steps and rows, up to 25 of 1e-7
# times what x and dy are. In 130,000 layers and cells and 118,000 calls against torch such float32
# outputs were off by 1e-6 at most (torch's own by half of that), where 2e-6 is allowed, and such
# gradients by 1.5e-6, where 1e-5 is.
FLOOR = {"output": 2e-1, "gradient": 1e-1}


def twin(made: Any, dtype: Any, **changed: Any) -> Any:
    """The same layer or cell with parameters of its own, of a dtype."""
    other = copy.copy(made)
    own = vars(other)  # past the checks of assignment, which keep the dtype
    own.update(dtype=dtype, **changed)
    for name, parameter in made.named_parameters():
        own[name] = fl.Parameter(parameter.data.astype(dtype))
    return other


def exact(made: Any) -> Any:
    """The same layer or cell in float64 on the reference."""
    return twin(made, F64, _backend="reference")


def widened(value: Any) -> Any:
    """Arguments of a call in float64."""
    if isinstance(value, fl.Tokens):
        return fl.Tokens(value.ids, widened(value.table))
    if isinstance(value, fl.State):
        return fl.State(widened(part) for part in value)
    if isinstance(value, tuple):
        return tuple(widened(part) for part in value)
    if isinstance(value, np.ndarray) and value.dtype.kind == "f":
        return value.astype(F64)
    return value


def parts(state: Any) -> list[Array]:
    return [state] if isinstance(state, np.ndarray) else list(state)


def like(made: Any, values: list[Array]) -> Any:
    """A gradient of a state as the layer takes it."""
    return tuple(values) if len(made._cell.states) > 1 else values[0]


def run(made: Any, given: dict[str, Any], seed: int) -> Results:
    """All results of a training call and of its backward pass, by name.

    The loss is a fixed sum of the outputs with weights drawn from `seed`.
    """
    for parameter in made.parameters():
        parameter.zero_grad()
    y, state_n, tape = made.forward(**given, rng=np.random.default_rng(seed))
    rng = np.random.default_rng(seed)
    dy = rng.standard_normal(y.shape).astype(y.dtype)
    d_n = [rng.standard_normal(s.shape).astype(s.dtype) for s in parts(state_n)]
    dx, d_0 = made.backward(tape, dy, like(made, d_n))
    results = {"y": y, "dx": dx}
    results.update((f"state_n[{k}]", s) for k, s in enumerate(parts(state_n)))
    results.update((f"dstate[{k}]", s) for k, s in enumerate(parts(d_0)))
    results.update((f"d{name}", p.grad.copy()) for name, p in made.named_parameters())
    return results


def near(actual: Array, expected: Array, kind: str, name: str) -> None:
    """`assert_close` for arrays of a single number too: with a scale of at least `FLOOR`."""
    most, tolerance = float(np.abs(expected).max(initial=0)), TOLERANCE[kind, actual.dtype]
    assert_close(actual, expected, tolerance * max(most, FLOOR[kind]) / max(most, 1e-3), name)


def same(actual: Results, expected: Results, dtype: Any) -> None:
    """Assert that results are those expected, within the tolerances that are promised."""
    assert actual.keys() == expected.keys(), f"{sorted(actual)}, not {sorted(expected)}"
    for name, value in actual.items():
        assert value.dtype == dtype, f"{name} has dtype {value.dtype}, expected {dtype}"
        kind = "output" if name[0] in "ys" else "gradient"
        near(value, expected[name].astype(F64), kind, name)


def to_the_bit(actual: Any, expected: Any, name: str) -> None:
    """Assert that two values, arrays or tuples of them, are the same bits."""
    for k, (one, other) in enumerate(zip(parts(actual), parts(expected), strict=True)):
        assert one.shape == other.shape, f"{name}[{k}]: shape {one.shape}, not {other.shape}"
        assert_same(one, other, f"{name}[{k}]")
