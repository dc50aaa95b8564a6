"""Sparse rows, keys of features and logistic regressions in any layout of memory and of any size of
numbers, beside the reference; and calls with an argument that does not fit."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

from attack.fuzz.draw import Rng, chance, laid_out, pick
from attack.fuzz.hostile import CLEAR, anything, attempt, damaged
from fastlstm.kernels import backend
from fastlstm.kernels.sparse import LogisticProblem, SparseRows

COUNTS = (0, 1, 1, 2, 3, 4, 5, 9, 17, 40)
SCALES = (1.0, 1.0, 1e-3, 1e3, 1e-30, 1e30)
COSTS = (1.0, 1.0, 1e-3, 1e3, 1e-30, 1e30)
ENDS = np.array([0, 1, 2**63 - 1, 2**63, 2**64 - 2, 2**64 - 1], np.uint64)


def _rows(rng: Rng, F: int, least: int = 0, twice: bool = True) -> SparseRows:
    """Rows of F features, some of them empty; a feature may be named `twice` in one."""
    N = pick(rng, COUNTS)
    most = min(9, F - least) if twice else F
    lengths = rng.integers(0, most + 1, N) if F - least > 0 else np.zeros(N, int)
    parts = [rng.choice(np.arange(least, F), n, replace=twice) for n in lengths]
    columns = np.concatenate([np.empty(0), *parts]).astype(np.int32)
    values = (rng.standard_normal(len(columns)) * pick(rng, SCALES)).astype(np.float32)
    return SparseRows(np.concatenate([[0], np.cumsum(lengths)]).astype(np.int64), columns, values)


def _somewhere(rng: Rng, rows: SparseRows) -> SparseRows:
    """The same rows in other layouts of memory."""
    return SparseRows(*(_whole(laid_out(rng, array)) for array in rows))


def _whole(array: Any) -> Any:
    """A copy where the address is none of its type, which is refused rightly."""
    return array if array.flags.aligned else array.copy()


def products(rng: Rng) -> None:
    """Rows times weights."""
    F, K = pick(rng, COUNTS), pick(rng, (0, 1, 2, 3, 8))
    rows = _rows(rng, F)
    weights = rng.standard_normal((F, K)).astype(np.float32)
    found = backend("native").sparse_product(_somewhere(rng, rows), weights)
    expected = backend("reference").sparse_product(rows, weights)
    scale = max(1e-300, float(np.abs(rows.values).max(initial=0)))
    np.testing.assert_allclose(found, expected, rtol=1e-12, atol=1e-12 * scale)


def counts(rng: Rng) -> None:
    """How often features are named."""
    F = pick(rng, COUNTS)
    rows = _rows(rng, F, least=-1)
    given = _somewhere(rng, rows)
    found = backend("native").collapse(given.columns, given.offsets, F)
    expected = backend("reference").collapse(rows.columns, rows.offsets, F)
    for one, other in zip(found, expected, strict=True):
        np.testing.assert_array_equal(one, other)


def keys(rng: Rng) -> None:
    """Keys found, and others that are near them."""
    bits = pick(rng, (1, 3, 8, 64))
    drawn = rng.integers(0, 2**bits - 1, pick(rng, COUNTS), np.uint64, endpoint=True)
    known = np.unique(np.concatenate([drawn << np.uint64(pick(rng, (0, 64 - bits))), ENDS[:0]]))
    if chance(rng, 3):
        known = np.unique(np.concatenate([known, ENDS]))
    wanted = np.concatenate([known, known + np.uint64(1), known - np.uint64(1), ENDS])
    wanted = rng.permutation(wanted)
    found = backend("native").key_table(known).find(_whole(laid_out(rng, wanted)))
    number = {int(key): n for n, key in enumerate(known)}
    np.testing.assert_array_equal(found, [number.get(int(key), -1) for key in wanted])


def _problem(rng: Rng, twice: bool = False) -> LogisticProblem:
    F, classes = pick(rng, COUNTS), pick(rng, (2, 2, 3, 5))
    rows = _rows(rng, F, twice=twice)
    N = len(rows.offsets) - 1
    cost = np.clip(rng.uniform(0.5, 2, N) * pick(rng, COSTS), 1e-30, 1e30)
    if chance(rng, 4):
        cost = np.clip(10.0 ** rng.uniform(-30, 30, N), 1e-30, 1e30)
    doubt = rng.choice([0, 1e-300, 0.25, 0.5, 1], N) if classes == 2 and chance(rng, 2) else None
    return LogisticProblem(
        rows,
        F,
        rng.integers(0, classes, N),
        classes,
        cost,
        tolerance=pick(rng, (1e-1, 1e-3, 1e-6, 0.0)),
        max_epochs=pick(rng, (1, 2, 20)),
        seed=pick(rng, (0, 1, -1, 2**31, 2**70)),
        n_threads=int(rng.integers(1, 4)),
        doubt=doubt,
    )


def _objective(p: LogisticProblem, weights: Any, intercept: Any) -> Any:
    """What each regression minimizes."""
    z = backend("reference").sparse_product(p.rows, np.ascontiguousarray(weights.T)) + intercept
    of = np.array([1]) if p.classes == 2 else np.arange(p.classes)
    y = np.where(p.targets[:, None] == of, 1, -1)
    squares = (weights.astype(np.float64) ** 2).sum(1) + intercept**2
    doubt = 0 if p.doubt is None else p.doubt[:, None]
    loss = (1 - doubt) * np.logaddexp(0, -y * z) + doubt * np.logaddexp(0, y * z)
    return squares / 2 + p.cost @ loss


def regressions(rng: Rng) -> None:
    """Regressions: as good as the reference's, and finite whatever the numbers are."""
    p = _problem(rng)
    given = p._replace(rows=_somewhere(rng, p.rows))
    found = backend("native").logistic(given)
    alone = backend("native").logistic(given._replace(n_threads=1))
    for one, other in zip(found, alone, strict=True):
        np.testing.assert_array_equal(one, other, "threads changed bits")
    assert np.isfinite(found.intercept).all(), "an intercept is not finite"
    if not _tame(p):
        return
    expected = backend("reference").logistic(p)
    reached = _objective(p, found.weights, found.intercept)
    other = _objective(p, expected.weights, expected.intercept)
    same = found.epochs == expected.epochs
    worse = np.abs(reached - other)[same] > 1e-3 * np.abs(other)[same]
    assert not worse.any(), f"objective {reached}, the reference's {other}"


def _tame(p: LogisticProblem) -> bool:
    """Whether rounding, also of weights to float32, decides nothing."""
    costs, values = p.cost, np.abs(p.rows.values)
    return bool(((costs >= 1e-3) & (costs <= 10)).all() and values.max(initial=0) <= 10)


def _check_kind(error: BaseException) -> None:
    assert isinstance(error, CLEAR), f"no documented error: {type(error).__name__}: {error}"


def _hostile(rng: Rng, given: dict[str, Any], names: set[str], call: Callable[..., Any]) -> None:
    """Make a call of both backends with one argument damaged: an error, or the same result."""
    name = pick(rng, sorted(given))
    value = given[name]
    wrong = damaged(rng, value) if isinstance(value, np.ndarray) else anything(rng)
    given = {**given, name: wrong}
    if isinstance(value, np.ndarray):
        found = attempt(lambda: call(backend("native"), given), names)
    else:  # an option that the package alone gives: which error is not told apart
        try:
            found = call(backend("native"), given)
        except Exception as error:
            return _check_kind(error)
    if found is None:
        return None
    expected = attempt(lambda: call(backend("reference"), given), names)
    assert expected is not None, f"taken with another {name}, which the reference refuses"
    return None


def hostile_products(rng: Rng) -> None:
    """A product of which an array does not fit."""
    F = pick(rng, COUNTS)
    given = {**_rows(rng, F)._asdict(), "weights": np.ones((F, 2), np.float32)}

    def call(on: Any, given: dict[str, Any]) -> Any:
        rows = SparseRows(given["offsets"], given["columns"], given["values"])
        return on.sparse_product(rows, given["weights"])

    _hostile(rng, given, {*given, "features", "rows"}, call)


def hostile_counts(rng: Rng) -> None:
    """Counting with an argument that does not fit."""
    F = pick(rng, COUNTS)
    rows = _rows(rng, F, least=-1)
    given = {"columns": rows.columns, "offsets": rows.offsets, "features": F}

    def call(on: Any, given: dict[str, Any]) -> Any:
        return on.collapse(given["columns"], given["offsets"], given["features"])

    _hostile(rng, given, {*given, "rows"}, call)


def hostile_keys(rng: Rng) -> None:
    """A table of other keys, or asked for others."""
    known = np.unique(rng.integers(0, 2**64 - 1, pick(rng, COUNTS), np.uint64))
    given = {"keys": known, "wanted": known[::2]}

    def call(on: Any, given: dict[str, Any]) -> Any:
        return on.key_table(given["keys"]).find(given["wanted"])

    _hostile(rng, given, {"keys", "features"}, call)


def hostile_regressions(rng: Rng) -> None:
    """Regressions of which an argument does not fit."""
    p = _problem(rng, twice=True)
    p = p._replace(tolerance=1e-2, max_epochs=3)
    given = {**p._asdict(), **p.rows._asdict()}
    del given["rows"]

    def call(on: Any, given: dict[str, Any]) -> Any:
        own = dict(given)
        rows = SparseRows(*(own.pop(name) for name in SparseRows._fields))
        return on.logistic(LogisticProblem(rows, **own))

    _hostile(rng, given, {*given, "rows"}, call)


KINDS: tuple[tuple[Callable[[Rng], None], int], ...] = (
    (products, 3),
    (counts, 3),
    (keys, 3),
    (regressions, 6),
    (hostile_products, 4),
    (hostile_counts, 3),
    (hostile_keys, 3),
    (hostile_regressions, 6),
)
_CHOICES = [kind for kind, times in KINDS for _ in range(times)]


def case(rng: Rng, folder: Path) -> None:
    """Make one call of a kind that is drawn."""
    _CHOICES[int(rng.integers(len(_CHOICES)))](rng)
