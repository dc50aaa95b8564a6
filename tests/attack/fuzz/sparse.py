"""Sparse rows, keys and logistic regressions: right calls, and hostile ones."""

from __future__ import annotations

from typing import Any

import numpy as np
from cases import Array
from checks import assert_same
from sparse_rows import draw, in_doubt, slope

from attack.fuzz.draw import Rng, chance, pick
from fastlstm import kernels, runtime
from fastlstm.kernels.sparse import LogisticProblem, SparseRows

REFUSALS = (TypeError, ValueError, IndexError, OverflowError, MemoryError, AttributeError)


def counts(rng: Rng) -> None:
    """Keys found, columns counted and products, as the reference has them."""
    native, reference = kernels.backend("native"), kernels.backend("reference")
    high = 2 ** int(rng.integers(1, 65))
    keys = np.unique(rng.integers(0, high, int(rng.integers(0, 200)), np.uint64))
    wanted = rng.integers(0, high, int(rng.integers(0, 300)), np.uint64)
    wanted = np.concatenate([wanted, keys[: int(rng.integers(0, 50))]])
    columns = native.key_table(keys).find(wanted)
    assert_same(columns, reference.key_table(keys).find(wanted), "columns")
    offsets = _offsets(rng, len(columns))
    found = native.collapse(columns, offsets, len(keys))
    for name, one, other in zip(
        SparseRows._fields, found, reference.collapse(columns, offsets, len(keys)), strict=True
    ):
        assert_same(one, other, name)
    weights = rng.standard_normal((len(keys), int(rng.integers(0, 5)))).astype(np.float32)
    made, expected = (b.sparse_product(found, weights) for b in (native, reference))
    np.testing.assert_allclose(made, expected, rtol=1e-9, atol=1e-9)


def regression(rng: Rng) -> None:
    """The slope at the end is next to nothing, and the bits are those of one thread."""
    N, F, K = int(rng.integers(2, 60)), int(rng.integers(1, 40)), int(rng.integers(2, 5))
    x, problem = draw(N, F, K, int(rng.integers(1000)))
    sure = problem  # in doubt, the slope may be next to nothing where it starts
    if K == 2 and chance(rng, 2):
        problem = in_doubt(problem)
    problem = problem._replace(tolerance=1e-8, max_epochs=5000, seed=int(rng.integers(2**62)))
    found = kernels.backend("native").logistic(
        problem._replace(n_threads=runtime.get_num_threads())
    )
    alone = kernels.backend("native").logistic(problem)
    for k in range(problem.problems):
        w, b = found.weights[k].astype(float), float(found.intercept[k])
        start = np.abs(slope(x, sure, k, np.zeros(F), 0.0)).max()
        left = np.abs(slope(x, problem, k, w, b)).max()
        assert left <= 1e-3 * start + 1e-3, f"slope: {left:.1e} of {start:.1e}"
    assert_same(found.weights, alone.weights, "weights")


def hostile(rng: Rng) -> None:
    """Arrays and numbers that do not fit: refused, or answered as the reference answers."""
    _, problem = draw(int(rng.integers(0, 9)) + 1, 7, 3)
    fields: dict[str, Any] = {**problem._asdict(), **problem.rows._asdict()}
    name = pick(rng, ("offsets", "columns", "values", "targets", "cost", "features", "classes"))
    fields[name] = _spoilt(rng, fields[name])
    rows = SparseRows(fields["offsets"], fields["columns"], fields["values"])
    given = LogisticProblem(
        rows, fields["features"], fields["targets"], fields["classes"], fields["cost"], max_epochs=3
    )
    weights = np.ones((7, 2), np.float32)
    for call in (
        lambda b: b.logistic(given),
        lambda b: b.collapse(fields["columns"], fields["offsets"], fields["features"]),
        lambda b: b.sparse_product(rows, weights),
    ):
        outcomes = [_refused(call, kernels.backend(b)) for b in ("native", "reference")]
        assert outcomes[0] == outcomes[1], f"{name}: refused by {outcomes}"


def _refused(call: Any, backend: Any) -> bool:
    try:
        call(backend)
    except REFUSALS:
        return True
    return False


def _spoilt(rng: Rng, value: Any) -> Any:
    if not isinstance(value, np.ndarray):
        return pick(rng, (-1, 0, 1, 2, 6, 8, 2**31, 2**62))
    if chance(rng, 3):
        return pick(rng, (value[:-1], value[::-1], value[None], value.astype("f8"), None, [1]))
    spoilt: Array = value.copy()
    if spoilt.size:
        least = 0 if spoilt.dtype.kind == "f" else -(2**31)
        spoilt[int(rng.integers(spoilt.size))] = pick(rng, (-1, least, 7, 8, 2**31 - 1, 0))
    return spoilt


def _offsets(rng: Rng, entries: int) -> Array:
    inner = np.sort(rng.integers(0, entries + 1, int(rng.integers(0, 9))))
    return np.concatenate([[0], inner, [entries]]).astype(np.int64)
