"""The linear part of a forecast: a ridge regression for each step ahead, on lags and features."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from fastlstm.forecast.windows import Window, Windows

Floats = NDArray[np.float64]

PENALTIES = (1e-5, 1e-4, 1e-3, 1e-2, 1e-1, 1.0, 10.0, 100.0)  # of a mean square
FADES = 8  # steps back at which the penalty of a value of the past is twice that of the last one
MOST = 256  # past features read, of all steps together
CHUNK = 2048  # windows at a time


class Way(NamedTuple):
    """How strongly weights are drawn to a forecast: the mean of the window, or a naive one.

    The naive one is the value a `season` before, of 1 the last value; 0 stands for the mean. The
    older a value of the past, the more strongly its weight is.
    """

    penalty: float
    season: int = 0


class Ridge:
    """Forecasts each target from its own past and from what is known of the step itself.

    All steps ahead share the lags, the features beside them, the usual course at the origin and a
    constant; each step has its own usual course and all that is known ahead of it.

    Attributes
    ----------
    shared : [K, H, B] weights of the shared features.
    own : [K, H, P/K + C] weights of a step's own.
    """

    def __init__(self, shared: Floats, own: Floats) -> None:
        self.shared, self.own = shared, own

    def __call__(self, window: Window) -> Floats:
        """Return forecasts [N, H, K] on the scale of the windows."""
        return forecasts([self], window)[0]

    @classmethod
    def fit(cls, train: Windows, ways: Sequence[Way]) -> list[Ridge]:
        """Return the ridge regression of each way, by one pass over the windows."""
        return Sums().add(train).ridges(ways, len(train))


def forecasts(ridges: Sequence[Ridge], window: Window) -> list[Floats]:
    """Return the forecasts [N, H, K] of several, on the scale of the windows."""
    found = [np.empty(window.target.shape) for _ in ridges]
    for k in range(window.past.shape[2]):
        shared, own = _features(window, k, window.target.shape[1])
        for one, values in zip(ridges, found, strict=True):
            values[..., k] = shared @ one.shared[k].T
            values[..., k] += np.einsum("nhc,hc->nh", own, one.own[k])
    return found


def chunks(count: int, size: int = CHUNK) -> Iterator[slice]:
    """Yield slices that cover `count` rows."""
    for start in range(0, count, size):
        yield slice(start, min(start + size, count))


def _features(window: Window, k: int, horizon: int) -> tuple[Floats, Floats]:
    """Return the shared features [N, B] of a target and those of its steps [N, H, P/K + C]."""
    (N, L, K), F = window.past.shape, window.X.shape[2]
    usual = window.usual[:, :, k::K]
    own = np.concatenate([usual[:, -horizon:], window.known[:, -horizon:]], axis=2)
    beside = window.X[:, L - feature_lags(L, F) :].reshape(N, -1)
    at_origin = usual[:, -horizon - 1]
    shared = [window.past[..., k], beside, at_origin, np.ones((N, 1))]
    return np.concatenate(shared, axis=1), own


def feature_lags(context: int, features: int) -> int:
    """Return how many of the last steps the linear part reads the features of."""
    return min(context, MOST // max(1, features))


class Sums:
    """What ridge regressions need of windows; more windows can be added to those that are in."""

    def __init__(self) -> None:
        self._targets: list[_Products] = []
        self._context = 0

    def add(self, train: Windows) -> Sums:
        """Add windows, and return self."""
        self._context = train.context
        for rows in chunks(len(train)):
            window = train[rows]
            H, K = window.target.shape[1:]
            for k in range(K):
                shared, own = _features(window, k, H)
                if k == len(self._targets):
                    self._targets.append(_Products(shared.shape[1], own.shape[2], H))
                self._targets[k].add(shared, own, window.learned[..., k])
        return self

    def ridges(self, ways: Sequence[Way], count: int) -> list[Ridge]:
        """Return the ridge regression of each way; penalties are those of `count` windows.

        What is right for few windows is so for more of them: penalties do not grow with the sums.
        """
        found: dict[Way, Ridge] = {}
        for penalty in {way.penalty for way in ways}:
            alike = [way for way in ways if way.penalty == penalty]
            solved = [
                one.solved(penalty, count, self._context, [way.season for way in alike])
                for one in self._targets
            ]
            for n, way in enumerate(alike):
                shared, own = (
                    np.stack([part[n] for part in parts]) for parts in zip(*solved, strict=True)
                )
                found[way] = Ridge(shared, own)
        return [found[way] for way in ways]


class _Products:
    """Sums over windows of products of features with each other and with one target.

    Only those that some step needs: its own features are never multiplied with another step's.
    Where a step is missing its window counts for the other steps: `missed` is what those of a step
    have too much of in `all`, None as long as nothing is missing.
    """

    def __init__(self, B: int, C: int, H: int) -> None:
        self.all, self.own = np.zeros((B, B)), np.zeros((H, C, C))
        self.missed: Floats | None = None
        self.mixed = np.zeros((H, B, C))
        self.shared_target, self.own_target = np.zeros((B, H)), np.zeros((H, C, 1))

    def add(self, shared: Floats, own: Floats, target: Floats) -> None:
        """Add windows: shared features [N, B], own ones [N, H, C], the target [N, H] or NaN."""
        N, H, C = own.shape
        missing = np.isnan(target)
        self._miss(shared, missing)
        if missing.any():
            target = np.where(missing, 0.0, target)
            own = np.where(missing[..., None], 0.0, own)
        steps = own.transpose(1, 0, 2)
        self.all += shared.T @ shared
        self.shared_target += shared.T @ target
        if C:
            mixed = shared.T @ own.reshape(N, H * C)
            self.mixed += mixed.reshape(-1, H, C).transpose(1, 0, 2)
            self.own += steps.transpose(0, 2, 1) @ steps
            self.own_target += steps.transpose(0, 2, 1) @ target.T[..., None]

    def _miss(self, shared: Floats, missing: Any) -> None:
        for h in np.flatnonzero(missing.any(axis=0)):
            if self.missed is None:
                self.missed = np.zeros((missing.shape[1], *self.all.shape))
            rows = shared[missing[:, h]]
            self.missed[h] += rows.T @ rows

    def solved(
        self, penalty: float, count: int, context: int, seasons: Sequence[int]
    ) -> tuple[Floats, Floats]:
        """Return the weights of shared features, [W, H, B], and of own ones, [W, H, C].

        They are those of a penalty on how far they are from the last value, or from 0; with an
        infinite one it is these alone that are forecast.
        """
        H, B, C = self.mixed.shape
        drawn = np.full(B + C, penalty * count)
        drawn[:context] *= 1 + np.arange(context)[::-1] / FADES
        drawn[B - 1] = 1e-9 * count  # of the constant
        found = np.zeros((len(seasons), H, B + C))
        for one, season in zip(found, seasons, strict=True):
            if season:
                one[range(H), context - season + np.arange(H) % season] = 1
        for h in range(H if np.isfinite(penalty) else 0):
            mixed = self.mixed[h]
            shared = self.all if self.missed is None else self.all - self.missed[h]
            gram = np.block([[shared, mixed], [mixed.T, self.own[h]]])
            right = np.concatenate([self.shared_target[:, h], self.own_target[h, :, 0]])
            rest = right[:, None] - gram @ found[:, h].T
            found[:, h] += np.linalg.solve(gram + np.diag(drawn), rest).T
        return found[..., :B], found[..., B:]
