"""Windows of series: what is known at an origin, what follows. Views until a batch is made."""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
from numpy.lib.stride_tricks import sliding_window_view
from numpy.typing import NDArray

Floats = NDArray[np.float64]
Ints = NDArray[np.intp]


class Frame(NamedTuple):
    """Numbers of a series by step, of the past and of the `horizon` steps after its end.

    Attributes
    ----------
    y : [T + horizon, K], scaled, without gaps.
    target : what was measured, NaN where nothing was, as after the end.
    learned : the same without failures, which are NaN.
    usual : [T + horizon, P], the courses of its seasons, on the scale of y; see `profile`.
    known : [T + horizon, C], the calendar and other features that are known ahead.
    X : [T + horizon, F], the latter alone.
    """

    y: Floats
    target: Floats
    learned: Floats
    usual: Floats
    known: Floats
    X: Floats


class Window(NamedTuple):
    """N windows around their origins, their targets less their mean before the origin.

    Attributes
    ----------
    past : [N, L, K], the targets before the origin.
    target : [N, H, K], those after it, NaN where missing.
    learned : the same with NaN where a failure is, too.
    usual : [N, A, P], up to the end of the horizon, A the larger of L and H + 1 steps.
    known : [N, A, C], likewise.
    X : [N, L, F], the features beside the past.
    level : [N, 1, K], that mean.
    """

    past: Floats
    target: Floats
    learned: Floats
    usual: Floats
    known: Floats
    X: Floats
    level: Floats


class Windows:
    """The windows of several frames, by number.

    Parameters
    ----------
    frames : of the series.
    origins : for each, where windows are: number n has the steps before n as its past.
    context, horizon : L and H, the steps of past and future.

    Attributes
    ----------
    counts : how many windows each frame has.
    """

    def __init__(
        self, frames: list[Frame], origins: list[Ints], context: int, horizon: int
    ) -> None:
        starts = np.cumsum([0] + [len(frame.y) for frame in frames[:-1]])
        self.origins = np.concatenate(
            [start + rows for start, rows in zip(starts, origins, strict=True)]
        )
        self.counts = [len(rows) for rows in origins]
        self.context, self.horizon = context, horizon
        y, target, learned, usual, known, X = (
            np.concatenate(part) for part in zip(*frames, strict=True)
        )
        self._past, self._X = _cut(y, context), _cut(X, context)
        self._target, self._learned = _cut(target, horizon), _cut(learned, horizon)
        self._ahead = max(context, horizon + 1)
        self._usual, self._known = _cut(usual, self._ahead), _cut(known, self._ahead)

    def __len__(self) -> int:
        return len(self.origins)

    def __getitem__(self, index: Any) -> Window:
        at = self.origins[index]
        past = self._past[at - self.context].swapaxes(1, 2)
        level = past.mean(axis=1, keepdims=True)
        target, learned = (
            values[at].swapaxes(1, 2) - level for values in (self._target, self._learned)
        )
        begin = at + self.horizon - self._ahead
        usual = self._usual[begin].swapaxes(1, 2)
        usual = usual - np.tile(level, usual.shape[2] // past.shape[2])
        known, X = self._known[begin].swapaxes(1, 2), self._X[at - self.context].swapaxes(1, 2)
        return Window(past - level, target, learned, usual, known, X, level)


def _cut(values: Floats, length: int) -> Floats:
    """Return a view [windows, columns, length] of numbers [steps, columns]."""
    if len(values) < length:
        return np.zeros((0, values.shape[1], length))
    return sliding_window_view(values, length, axis=0)
