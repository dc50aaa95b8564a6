"""The activations that recurrent nodes name, and what each node uses."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any, NamedTuple

import numpy as np

from fastlstm.counts import count_of
from fastlstm.onnx.errors import OnnxError
from fastlstm.onnx.graph import Array, Node

Function = Callable[[Array], Array]


class Kind(NamedTuple):
    """An activation: its formula of x, alpha and beta, and their defaults (None if it has none)."""

    formula: Callable[..., Array]
    alpha: float | None = None
    beta: float | None = None


def _sigmoid(x: Array, *_: Any) -> Array:
    found: Array = 1 / (1 + np.exp(-x))
    return found


KINDS = {
    "relu": Kind(lambda x, a, b: np.maximum(x, 0)),
    "tanh": Kind(lambda x, a, b: np.tanh(x)),
    "sigmoid": Kind(_sigmoid),
    "affine": Kind(lambda x, a, b: a * x + b, 1.0, 0.0),
    "leakyrelu": Kind(lambda x, a, b: np.where(x >= 0, x, a * x), 0.01),
    "thresholdedrelu": Kind(lambda x, a, b: np.where(x > a, x, x.dtype.type(0)), 1.0),
    "scaledtanh": Kind(lambda x, a, b: a * np.tanh(b * x), 1.0, 1.0),
    "hardsigmoid": Kind(lambda x, a, b: np.clip(a * x + b, 0, 1), 0.2, 0.5),
    "elu": Kind(lambda x, a, b: np.where(x >= 0, x, a * np.expm1(np.minimum(x, 0))), 1.0),
    "softsign": Kind(lambda x, a, b: x / (1 + np.abs(x))),
    "softplus": Kind(lambda x, a, b: np.logaddexp(x, x.dtype.type(0))),
}


class Activation(NamedTuple):
    """An activation with its numbers."""

    name: str
    alpha: float
    beta: float

    def __call__(self, x: Array) -> Array:
        kind = x.dtype.type
        found: Array = KINDS[self.name].formula(x, kind(self.alpha), kind(self.beta))
        return found


def read_activations(
    node: Node, default: tuple[str, ...], directions: int
) -> list[tuple[Activation, ...]]:
    """Return the activations of each direction.

    Alphas and betas stand in the order of those activations that have one.
    """
    names = node.texts("activations") or default * directions
    count = len(default) * directions
    if len(names) != count:
        raise OnnxError(f"{count_of(len(names), 'activation')}, expected {count}")
    alphas, betas = iter(node.numbers("activation_alpha")), iter(node.numbers("activation_beta"))
    found = [_read(name, alphas, betas) for name in names]
    each = len(default)
    return [tuple(found[k : k + each]) for k in range(0, count, each)]


def _read(name: str, alphas: Iterator[float], betas: Iterator[float]) -> Activation:
    kind = KINDS.get(name.lower())
    if kind is None:
        raise OnnxError(f"activation {name!r:.60}, expected one of {', '.join(KINDS)}")
    alpha = 0.0 if kind.alpha is None else next(alphas, kind.alpha)
    beta = 0.0 if kind.beta is None else next(betas, kind.beta)
    return Activation(name.lower(), alpha, beta)
