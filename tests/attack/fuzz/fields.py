"""Conditional random fields, beside the reference; and with an argument that does not fit."""

from __future__ import annotations

from typing import Any

import numpy as np
from cases import F64
from checks import assert_same

from attack.fuzz.draw import Rng, array, laid_out, pick, size
from attack.fuzz.hostile import attempt, damaged
from fastlstm.kernels import backend
from fastlstm.kernels.crf import CrfScores


def _arguments(rng: Rng) -> dict[str, Any]:
    N, T, K = size(rng), size(rng), size(rng)
    scale = pick(rng, (0, 1, 1, 30, 1000, 1e6))
    return {
        "x": array(rng, (N, T, K), F64, scale=scale),
        "labels": rng.integers(0, K, (N, T)),
        "lengths": rng.integers(0, T + 1, N),
        "start": array(rng, (K,), F64, scale=scale),
        "between": array(rng, (K, K), F64, scale=scale),
        "end": array(rng, (K,), F64, scale=scale),
    }


def _both(on: str, given: dict[str, Any], **options: Any) -> tuple[Any, ...]:
    """Losses, all gradients, labels and their scores, in a flat list."""
    own = dict(given)
    scores = CrfScores(*(own.pop(name) for name in CrfScores._fields))
    loss = backend(on).crf(**own, scores=scores, **options)
    del own["labels"]
    assert loss.dscores is not None
    return (loss.losses, loss.dx, *loss.dscores, *backend(on).viterbi(**own, scores=scores))


def values(rng: Rng) -> None:
    """Losses and gradients of the reference, the very labels, the same bits from any threads."""
    given = _arguments(rng)
    own = {name: laid_out(rng, a.copy()) for name, a in given.items()}
    found, alone = _both("native", own, n_threads=int(rng.integers(2, 5))), _both("native", given)
    for one, other in zip(found, alone, strict=True):
        assert_same(one, other, "threads changed bits")
    expected = _both("reference", given)
    largest = max(1.0, *(float(np.abs(given[name]).max()) for name in ("x", *CrfScores._fields)))
    atol = 1e-12 * largest * given["x"].size  # sums of so many
    names = ("losses", "dx", *CrfScores._fields)
    for name, one, other in zip(names, found, expected, strict=False):
        np.testing.assert_allclose(one, other, rtol=1e-8, atol=atol, err_msg=name)
    for one, other in zip(found[-2:], expected[-2:], strict=True):
        assert_same(one, other, "labels")


def hostile(rng: Rng) -> None:
    """With one argument damaged: an error, or what the reference makes of it."""
    given = _arguments(rng)
    name = pick(rng, sorted(given))
    given[name] = damaged(rng, given[name])
    # An x of another size makes the rest not fit.
    names = {*given} if name == "x" else {name}
    if attempt(lambda: _both("native", given), names) is not None:
        expected = attempt(lambda: _both("reference", given), names)
        assert expected is not None, f"taken with another {name}, which the reference refuses"
