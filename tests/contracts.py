"""What is promised of a kernel to the last bit; see `checks.py`."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
from cases import F64, TOLERANCE, Array, Case, Problem, make
from checks import Results, assert_close, assert_same, run, run_forward

from fastlstm.kernels import Reset, Rows, Tokens

# Results that have rows: name -> axis of the rows.
OF_ROWS = {"y": 1, "h_n": 0, "c_n": 0, "dx": 1, "dh0": 0, "dc0": 0, "dh_reset": 0, "dc_reset": 0}


def take_rows(p: Problem, rows: Any, more_steps: int = 0) -> Problem:
    """The problem of some of the rows, in that order, padded with NaN by some more steps."""

    def steps(a: Array, behind: Any = np.nan) -> Array:
        pad = np.full((more_steps, len(rows), *a.shape[2:]), behind, a.dtype)
        return np.concatenate([a[:, rows], pad])

    def states(arrays: Any) -> Any:
        return tuple(np.ascontiguousarray(a[rows]) for a in arrays)

    return replace(
        p,
        x=steps(p.x),
        state=states(p.state),
        rows=Rows(p.rows.T + more_steps, len(rows), p.rows.lengths[rows]),
        dy=steps(p.dy),
        dstate=states(p.dstate),
        reset=p.reset and Reset(steps(p.reset.mask, True), states(p.reset.state)),
        mask=None if p.mask is None else p.mask[rows],
    )


def _assert_rows_same(actual: Results, whole: Results, rows: Any, what: str) -> None:
    for name, axis in OF_ROWS.items():
        if name not in whole:
            continue
        expected = np.take(whole[name], rows, axis)
        value = actual[name]
        if axis:
            assert not value[len(expected) :].any(), f"{name} behind the last step, {what}"
            value = value[: len(expected)]
        assert_same(value, expected, f"{name}, {what}")


def check_row_independence(kernel: Any, case: Case) -> None:
    """A row's results are the same bits alone, in any order, in any batch, behind any padding."""
    p = make(case, kernel.cell)
    whole, rng = run(kernel, p), np.random.default_rng(case.seed)
    for n in range(case.N):
        _assert_rows_same(run(kernel, take_rows(p, [n])), whole, [n], f"row {n} alone")
    order = rng.permutation(case.N)
    _assert_rows_same(run(kernel, take_rows(p, order)), whole, order, "in another order")
    some = order[: max(1, case.N // 2)]
    _assert_rows_same(run(kernel, take_rows(p, some, 3)), whole, some, "half of them, padded")


def check_lengths_of_others(kernel: Any, case: Case) -> None:
    """The first row's results are the same bits when all other rows get other lengths."""
    p = make(case, kernel.cell)
    whole, lengths = run(kernel, p), p.rows.lengths.copy()
    lengths[1:] = np.random.default_rng(case.seed).integers(0, case.T + 1, case.N - 1)
    p.rows = Rows(case.T, case.N, lengths)
    other = {k: np.take(v, [0], OF_ROWS[k]) for k, v in run(kernel, p).items() if k in OF_ROWS}
    _assert_rows_same(other, whole, [0], "with other lengths beside it")


def assert_all_same(actual: Results, expected: Results, what: str) -> None:
    for name, value in actual.items():
        assert_same(value, expected[name], f"{name} {what}")


def check_threads(kernel: Any, case: Case) -> None:
    """All results, gradients of weights too, are the same bits on any number of threads."""
    p = make(case, kernel.cell)
    expected = run(kernel, p)
    # Several times: a race need not show in one. Without saving too: other buffers are used.
    for n_threads in (2, 3, 5) * 4:
        plain, _ = run_forward(kernel, p, n_threads=n_threads)
        for results in (run(kernel, p, n_threads=n_threads), plain):
            assert_all_same(results, expected, f"on {n_threads} threads")


def check_chunks(kernel: Any, case: Case, cuts: list[int]) -> None:
    """Steps cut at `cuts`, state carried over, give the same bits as one call."""
    p = make(replace(case, reverse=False), kernel.cell)
    whole, _ = run_forward(kernel, p)
    parts, part = [], replace(p)
    bounds = [0, *cuts, case.T]
    for start, end in zip(bounds, bounds[1:], strict=False):
        lengths = np.clip(p.rows.lengths - start, 0, end - start)
        part.x, part.rows = p.x[start:end], Rows(end - start, case.N, lengths)
        part.reset = p.reset and Reset(p.reset.mask[start:end], p.reset.state)
        out, _ = run_forward(kernel, part)
        parts.append(out.pop("y"))
        part.state = tuple(out.values())
    assert_same(np.concatenate(parts), whole.pop("y"), f"y cut at {cuts}")
    assert_all_same(out, whole, f"cut at {cuts}")


def check_stream(kernel: Any, case: Case, layers: int = 2) -> None:
    """Single steps of stacked layers give the same bits as whole runs of each."""
    p = make(replace(case, ragged=False, reverse=False, reset=False, mask=False), kernel.cell)
    upper = make(replace(case, I=p.state[0].shape[1], seed=case.seed + 1), kernel.cell)
    weights = [p.weights, *[upper.weights] * (layers - 1)]
    stream = kernel.Stream(weights, case.N)
    stream.state = tuple(np.stack([s] * layers) for s in p.state)
    steps = np.stack([stream(x).copy() for x in p.x])
    for layer, w in enumerate(weights):
        out, _ = run_forward(kernel, replace(p, weights=w))
        p.x = out.pop("y")
        for name, value, state in zip(out, out.values(), stream.state, strict=True):
            assert_same(state[layer], value, f"{name} of layer {layer} in a stream")
    assert_same(steps, p.x, "y of a stream")
    stream.reset()
    assert not any(s.any() for s in stream.state), "the state is not zero after a reset"


def gradient_tolerance(kernel: Any, case: Case) -> float:
    """How near gradients must be that are the same sums in another order."""
    rounded = kernel.precision == "bfloat16"
    return TOLERANCE["gradient", "bfloat16" if rounded else case.dtype]


def draw_tokens(case: Case) -> Tokens:
    """Tokens for a case, each several times."""
    rng = np.random.default_rng(case.seed)
    table = rng.standard_normal((max(1, case.T * case.N // 4), case.I)).astype(case.dtype)
    return Tokens(rng.integers(0, len(table), (case.T, case.N)), table)


def check_tokens(kernel: Any, case: Case) -> None:
    """Distinct tokens give the same bits as their dense input, and the same gradients."""
    p, tokens = make(case, kernel.cell), draw_tokens(case)
    p.x, tolerance = tokens.table[tokens.ids], gradient_tolerance(kernel, case)
    dense, sparse = run(kernel, p), run(kernel, p, tokens)
    for name in ("y", "h_n", "c_n"):
        if name in dense:
            assert_same(sparse[name], dense[name], name)
    if kernel.precision == "int8":
        return
    summed = np.zeros(tokens.table.shape)
    np.add.at(summed, tokens.ids, dense.pop("dx"))
    assert_close(sparse.pop("dx"), summed, tolerance, "dtable")
    for name in sparse:
        assert_close(sparse[name], dense[name].astype(F64), tolerance, name)


def check_recompute(kernel: Any, case: Case) -> None:
    """Whatever is kept between forward and backward, no bit of the results changes."""
    p = make(case, kernel.cell)
    for x in (None, draw_tokens(case)):
        plain = run(kernel, p, x)
        for n_threads in (1, 3):
            for K in sorted({1, 2, 3, case.T // 2 + 1, case.T, case.T + 3}):
                again = run(kernel, p, x, recompute=K, n_threads=n_threads)
                what = f"recomputed by {K} on {n_threads} threads"
                assert_all_same(again, plain, what if x is None else f"of tokens {what}")


class Cut:
    """The sequences of a problem with resets, cut there: each piece is a row of its own."""

    def __init__(self, p: Problem) -> None:
        assert p.reset is not None
        N = p.rows.N
        self.row: list[int] = []  # row of each piece, in the order they run
        self.start: list[int] = []  # its first time (the smallest)
        self.length: list[int] = []
        self.reset: list[bool] = []  # whether it starts from the reset's state
        self.last = [0] * N  # last piece of each row
        for n in range(N):
            times = range(int(p.rows.lengths[n]))
            for t in reversed(times) if p.reverse else times:
                if p.reset.mask[t, n] or t == (times[-1] if p.reverse else 0):
                    self._open(n, bool(p.reset.mask[t, n]))
                self.start[-1] = t if p.reverse or not self.length[-1] else self.start[-1]
                self.length[-1] += 1
            if not times:
                self._open(n, False)
            self.last[n] = len(self.row) - 1

    def _open(self, n: int, reset: bool) -> None:
        self.row.append(n)
        self.start.append(0)
        self.length.append(0)
        self.reset.append(reset)

    def pieces(self, a: Array) -> Array:
        """[T,N,...] of rows as that of pieces; NaN behind them, which must not be read."""
        out = np.full((len(a), len(self.row), *a.shape[2:]), np.nan, a.dtype)
        for k, (n, t, length) in enumerate(zip(self.row, self.start, self.length, strict=True)):
            out[:length, k] = a[t : t + length, n]
        return out

    def join(self, pieces: Array, N: int) -> Array:
        """The other way; zeros behind each row."""
        out = np.zeros((len(pieces), N, *pieces.shape[2:]), pieces.dtype)
        for k, (n, t, length) in enumerate(zip(self.row, self.start, self.length, strict=True)):
            out[t : t + length, n] = pieces[:length, k]
        return out

    def problem(self, p: Problem) -> Problem:
        assert p.reset is not None
        row, anew = np.array(self.row), np.array(self.reset)[:, None]
        is_last = (np.array(self.last)[row] == np.arange(len(row)))[:, None]
        return replace(
            p,
            x=self.pieces(p.x),
            dy=self.pieces(p.dy),
            rows=Rows(p.rows.T, len(row), self.length),
            state=tuple(
                np.where(anew, r[row], s[row]) for s, r in zip(p.state, p.reset.state, strict=True)
            ),
            dstate=tuple(np.where(is_last, d[row], 0) for d in p.dstate),
            reset=None,
            mask=None if p.mask is None else p.mask[row],
        )

    def start_gradients(self, d: Array, N: int, reset: bool) -> Array:
        """Gradients of where pieces started, [pieces,...], of all rows' initial states or of the
        reset's, summed from the last piece run to the first."""
        out = np.zeros((N, *d.shape[1:]), d.dtype)
        for k in reversed(range(len(self.row))):
            if self.reset[k] == reset:
                out[self.row[k]] += d[k]
        return out


def check_reset(kernel: Any, case: Case) -> None:
    """A reset gives the same bits as cutting the sequences there, forward and backward."""
    p = make(replace(case, reset=True), kernel.cell)
    cut = Cut(p)
    whole, pieces = run(kernel, p), run(kernel, cut.problem(p))
    for name in ("y", "dx") if "dx" in whole else ("y",):
        assert_same(whole.pop(name), cut.join(pieces.pop(name), case.N), name)
    for s in kernel.cell.states:
        assert_same(whole.pop(f"{s}_n"), pieces.pop(f"{s}_n")[cut.last], f"{s}_n")
        if kernel.precision == "int8":
            continue
        d = pieces.pop(f"d{s}0")
        assert_same(whole.pop(f"d{s}0"), cut.start_gradients(d, case.N, False), f"d{s}0")
        assert_same(whole.pop(f"d{s}_reset"), cut.start_gradients(d, case.N, True), f"d{s}_reset")
    assert whole.keys() == pieces.keys()  # those of the weights, summed in another order
    for name, value in whole.items():
        assert_close(value, pieces[name], gradient_tolerance(kernel, case), name)


def check_poison_stays(kernel: Any, case: Case, poison: float) -> None:
    """NaN or infinity in one row's input and gradient changes no bit of the other rows."""
    p = make(case, kernel.cell)
    clean = run(kernel, p)
    row = int(np.argmax(p.rows.lengths))
    p.x[0, row, -1] = p.dy[0, row, -1] = p.state[0][row, 0] = poison
    others = np.delete(np.arange(case.N), row)
    dirty = run(kernel, p)
    for name, axis in OF_ROWS.items():
        if name in clean:
            expected = np.take(clean[name], others, axis)
            assert_same(np.take(dirty[name], others, axis), expected, f"{name} beside {poison}")
    if np.isnan(poison) and p.reset is None:
        assert np.isnan(dirty["h_n"][row]).all(), "NaN of the input was lost"
        if kernel.precision != "int8":
            assert np.isnan(dirty["dh0"][row]).all(), "NaN was lost on the way back"
