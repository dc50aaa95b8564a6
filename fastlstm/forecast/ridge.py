"""The linear part of a forecast: a ridge regression for each step ahead, on lags and features."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np
from numpy.typing import NDArray

from fastlstm.forecast.windows import Window, Windows

Floats = NDArray[np.float64]

PENALTIES = (1e-5, 1e-4, 1e-3, 1e-2, 1e-1, 1.0, 10.0, 100.0)  # of a mean square
MOST = 256  # past features read, of all steps together
CHUNK = 2048  # windows at a time


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
        K = window.past.shape[2]
        found = np.empty(window.target.shape)
        for k in range(K):
            shared, own = _features(window, k, self.own.shape[1])
            found[..., k] = shared @ self.shared[k].T
            found[..., k] += np.einsum("nhc,hc->nh", own, self.own[k])
        return found

    @classmethod
    def fit(cls, train: Windows, penalties: Any) -> list[Ridge]:
        """Return the ridge regression of each penalty, by one pass over the windows."""
        sums = _products(train)
        found = []
        for penalty in penalties:
            shared, own = zip(*(one.solved(penalty) for one in sums), strict=True)
            found.append(cls(np.stack(shared), np.stack(own)))
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


class _Products:
    """Sums over windows of products of features with each other and with one target.

    Only those that some step needs: its own features are never multiplied with another step's.
    """

    def __init__(self, B: int, C: int, H: int) -> None:
        self.count = 0
        self.shared, self.own = np.zeros((B, B)), np.zeros((H, C, C))
        self.mixed = np.zeros((H, B, C))
        self.shared_target, self.own_target = np.zeros((B, H)), np.zeros((H, C, 1))

    def add(self, shared: Floats, own: Floats, target: Floats) -> None:
        """Add windows: shared features [N, B], own ones [N, H, C], the target [N, H]."""
        N, H, C = own.shape
        steps = own.transpose(1, 0, 2)
        self.count += N
        self.shared += shared.T @ shared
        self.shared_target += shared.T @ target
        if C:
            mixed = shared.T @ own.reshape(N, H * C)
            self.mixed += mixed.reshape(-1, H, C).transpose(1, 0, 2)
            self.own += steps.transpose(0, 2, 1) @ steps
            self.own_target += steps.transpose(0, 2, 1) @ target.T[..., None]

    def solved(self, penalty: float) -> tuple[Floats, Floats]:
        """Return the weights of the shared features, [H, B], and of the own ones, [H, C]."""
        (H, B, C), count = self.mixed.shape, max(1, self.count)
        weights = np.full(B + C, penalty * count)
        weights[B - 1] = 1e-9 * count  # of the constant
        found = np.empty((H, B + C))
        for h in range(H):
            mixed = self.mixed[h]
            gram = np.block([[self.shared, mixed], [mixed.T, self.own[h]]])
            right = np.concatenate([self.shared_target[:, h], self.own_target[h, :, 0]])
            found[h] = np.linalg.solve(gram + np.diag(weights), right)
        return found[:, :B], found[:, B:]


def _products(train: Windows) -> list[_Products]:
    """Return the products of each target, of the windows that miss none of it."""
    sums: list[_Products] = []
    for rows in chunks(len(train)):
        window = train[rows]
        H, K = window.target.shape[1:]
        for k in range(K):
            shared, own = _features(window, k, H)
            target = window.target[..., k]
            there = ~np.isnan(target).any(axis=1)
            if k == len(sums):
                sums.append(_Products(shared.shape[1], own.shape[2], H))
            sums[k].add(shared[there], own[there], target[there])
    return sums
