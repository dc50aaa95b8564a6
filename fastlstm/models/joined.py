"""Two classifiers of the same texts, a net and a linear one, joined by a weighted sum of logits.

    z = a * z_net + b * z_linear,   a, b >= 0

Each is calibrated first: a factor on its logits makes their log loss least. Then both factors are
found anew for the sum, on texts that neither has learned from, from all linear (a = 0) to all net
(b = 0). A mild prior stands for what is thought before any text is seen: that each is calibrated as
it is, and that the linear part has the most to say, as it has of few texts. It weighs as much as a
few dozen texts, so that a small validation part does not decide wildly, and a large one decides
alone.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import combinations

import numpy as np
from numpy.typing import NDArray

from fastlstm.nn.losses import log_softmax

Floats = NDArray[np.float64]

# Of the prior, on the squared distance of a factor. A text of middling logits brings about 0.25.
PRIOR = 20.0
# What the calibrated parts, net and linear, say before any text is seen. On sets of 200 to 2,000
# texts that is 0.3 points better than half of each, and without a validation part a whole point:
# docs/training.md.
FIRST = np.array([0.2, 0.8])
STEPS = 50  # of Newton's method at most; a few are enough


@dataclass(frozen=True)
class Join:
    """How much a net and a linear part say.

    Attributes
    ----------
    net, linear : the factors a and b on their logits, at least 0.
    net_share : which part of what is said is the net's, 0 to 1: that of the spread of its logits.
    """

    net: float
    linear: float
    net_share: float

    def logits(self, net: NDArray[np.floating], linear: NDArray[np.floating]) -> Floats:
        """Return the joined logits, float64 [N] or [N, C] as both are."""
        joined: Floats = self.net * net.astype(np.float64) + self.linear * linear
        return joined


def join(
    net: NDArray[np.floating], linear: NDArray[np.floating], labels: NDArray[np.integer], *,
    calibration: float = 1.0, weights: Floats | None = None,
) -> Join:  # fmt: skip
    """Return the best join for texts that neither part has learned from.

    Parameters
    ----------
    net, linear : logits [N] of class 1, or [N, C].
    labels : int [N].
    calibration : factor of the linear part, of `calibrate` on other texts, such as those it was
        trained on by turns.
    weights : [N], how much each text counts; None for all alike.
    """
    factors = np.array([calibrate(net, labels, weights), calibration])
    parts = [_whole(net) * factors[0], _whole(linear) * factors[1]]
    a, b = factors * _least(parts, labels, FIRST, weights)
    return _shared(float(a), float(b), net, linear)


def join_unseen(
    net: NDArray[np.floating], linear: NDArray[np.floating], calibration: float = 1.0
) -> Join:
    """Return the join where no text was held back: what is thought before any is seen.

    The net is not calibrated, as it knows the texts by heart. Its logits are made as wide as the
    calibrated ones of the linear part, for the same texts by turns, or left where they are less.
    """
    wide, aim = spread(net), calibration * spread(linear)
    factor = min(1.0, aim / wide) if wide else 1.0
    a, b = FIRST * (factor, calibration)
    return _shared(float(a), float(b), net, linear)


def calibrate(
    logits: NDArray[np.floating], labels: NDArray[np.integer], weights: Floats | None = None
) -> float:
    """Return the factor on logits, at least 0, that makes their log loss least; near 1 for few."""
    return float(_least([_whole(logits)], labels, np.ones(1), weights)[0])


def spread(logits: NDArray[np.floating]) -> float:
    """Return how far the logits of a text are from each other: a standard deviation."""
    z = _whole(logits)
    return float(np.sqrt(np.mean((z - z.mean(axis=1, keepdims=True)) ** 2))) if z.size else 0.0


def _shared(a: float, b: float, net: NDArray[np.floating], linear: NDArray[np.floating]) -> Join:
    says = a * spread(net), b * spread(linear)
    return Join(a, b, says[0] / sum(says) if sum(says) else float(FIRST[0]))


def _whole(logits: NDArray[np.floating]) -> Floats:
    """Return logits [N, C]; [N] are those of class 1, class 0 has 0."""
    z = logits.astype(np.float64)
    return z if z.ndim == 2 else np.stack([np.zeros_like(z), z], axis=1)


def _least(
    parts: Sequence[Floats], labels: NDArray[np.integer], centre: Floats, weights: Floats | None
) -> Floats:
    """Return factors [K], none below 0, of least log loss and prior for K logits [N, C].

    The sum is convex, so that the best without a bound is the answer, unless one is below 0: then
    the best of those where some are 0.
    """
    w = np.ones(len(labels)) if weights is None else weights
    stacked, best = np.stack(parts), np.zeros(len(parts))
    least = _loss(stacked, labels, best, centre, w)
    for size in range(len(parts), 0, -1):
        for free in combinations(range(len(parts)), size):
            found = _newton(stacked, labels, list(free), centre, w)
            loss = _loss(stacked, labels, found, centre, w)
            if (found >= 0).all() and loss < least:
                best, least = found, loss
    return best


def _newton(
    parts: Floats, labels: NDArray[np.integer], free: list[int], centre: Floats, weights: Floats
) -> Floats:
    """Return the factors of which those not `free` are 0."""
    found = np.zeros(len(parts))
    found[free] = centre[free]
    loss = _loss(parts, labels, found, centre, weights)
    rows = np.arange(len(labels))
    for _ in range(STEPS):
        p = np.exp(log_softmax(np.tensordot(found, parts, 1)))
        means = np.einsum("nc,knc->kn", p, parts)
        centred = parts - means[:, :, None]
        gradient = (means - parts[:, rows, labels]) @ weights + PRIOR * (found - centre)
        curvature = np.einsum("n,nc,knc,lnc->kl", weights, p, centred, centred)
        curvature += PRIOR * np.eye(len(parts))
        step = np.zeros(len(parts))
        step[free] = np.linalg.solve(curvature[np.ix_(free, free)], gradient[free])
        size = 1.0
        while (after := _loss(parts, labels, found - size * step, centre, weights)) > loss:
            size /= 2
            if size < 1e-8:
                return found
        found = found - size * step
        if np.abs(size * step).max() < 1e-10:
            break
        loss = after
    return found


def _loss(
    parts: Floats, labels: NDArray[np.integer], factors: Floats, centre: Floats, weights: Floats
) -> float:
    said = log_softmax(np.tensordot(factors, parts, 1))
    wrong = -said[np.arange(len(labels)), labels] @ weights
    return float(wrong + PRIOR / 2 * ((factors - centre) ** 2).sum())
