"""Softmaxes over a vocabulary, beside the reference; and with an argument that does not fit."""

from __future__ import annotations

from typing import Any

import numpy as np
from cases import TOLERANCE
from checks import assert_same

from attack.fuzz.compare import near
from attack.fuzz.draw import F32, F64, Rng, array, chance, laid_out, pick, size
from attack.fuzz.hostile import attempt, damaged
from fastlstm.kernels import backend


def _arguments(rng: Rng) -> dict[str, Any]:
    """Logits and what goes with them, wanted or not."""
    M, V, dtype = size(rng) * pick(rng, (1, 1, 5)), size(rng) * pick(rng, (1, 1, 70)), F32
    if chance(rng, 3):
        dtype = F64
    return {
        "logits": array(rng, (M, V), dtype, scale=pick(rng, (1, 30, 1000))),
        "targets": rng.integers(0, V, M),
        "bias": None if chance(rng, 3) else array(rng, (V,), dtype),
        "target_bias": None if chance(rng, 2) else array(rng, (M,), dtype),
    }


def values(rng: Rng) -> None:
    """Loss and gradient: the reference's in float64, the same bits from any threads."""
    given = _arguments(rng)
    logits = given.pop("logits").copy()
    wide = {n: a.astype(F64) if n != "targets" and a is not None else a for n, a in given.items()}
    expected = logits.astype(F64)
    how: dict[str, Any] = {"scale": pick(rng, (1.0, 0.01, -3.0)), "dbias": chance(rng, 2)}
    loss, dbias = backend("reference").softmax_cross_entropy(expected, **wide, **how)
    found = []
    for n_threads in (1, int(rng.integers(2, 5))):
        z = logits.copy()
        own = {n: None if a is None else laid_out(rng, a.copy()) for n, a in given.items()}
        made = backend("native").softmax_cross_entropy(z, **own, **how, n_threads=n_threads)
        found.append((np.array(made[0]), z, made[1]))
    for one, other in zip(*found, strict=True):
        if one is not None:
            assert_same(one, other, "threads changed bits")
    error = abs(float(found[0][0]) - loss)
    assert error <= TOLERANCE["output", F32] * max(1.0, loss), f"loss {found[0][0]}, not {loss}"
    near(found[0][1], expected, "gradient", "gradient")
    if dbias is not None:
        near(found[0][2], dbias, "gradient", "dbias")


def hostile(rng: Rng) -> None:
    """With one argument damaged: an error, or what the reference makes of it."""
    given = _arguments(rng)
    name = pick(rng, sorted(given))
    given[name] = damaged(rng, given[name])

    def call(on: str) -> Any:
        own = {n: a.copy() if isinstance(a, np.ndarray) else a for n, a in given.items()}
        return backend(on).softmax_cross_entropy(**own, scale=1.0, dbias=True)

    # Logits of another size make the rest not fit.
    names = set(given) if name == "logits" else {name}
    if attempt(lambda: call("native"), names) is not None:
        expected = attempt(lambda: call("reference"), names)
        assert expected is not None, f"taken with another {name}, which the reference refuses"
