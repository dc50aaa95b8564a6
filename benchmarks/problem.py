"""The numbers of a case: the same in every process, drawn with NumPy alone."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from benchmarks.shapes import MIN_LENGTH, Case

Array = NDArray[Any]
Arrays = dict[str, Any]  # arrays by name; "weights" is a state_dict of arrays

STEPS_CHECKED = 5  # steps of different input that a check of single steps makes


def draw(case: Case, seed: int = 1) -> Arrays:
    """Return the arrays that `case` needs; keys are those its sides read.

    Keys
    ----
    weights : parameters by torch's names, uniform in +-1/sqrt(fan) as torch's.
    x [B,T,I], dy, dh, dc : inputs and gradients of outputs, normal.
    lengths : int64 [B], uniform in MIN_LENGTH..T, or B times T for a padded mode.
    tokens : int64 [B,T], words by Zipf's law as text has them; labels : [B].
    """
    rng = np.random.default_rng(seed)
    if case.mode in ("infer", "train", "ragged"):
        return _sequences(case, rng)
    return _DRAW[case.mode](case, rng)


def lengths_of(case: Case, rng: np.random.Generator) -> NDArray[np.int64]:
    """Return int64 [B]: all T, or uniform in MIN_LENGTH..T for the ragged modes."""
    if case.mode not in ("ragged", "text_classifier"):
        return np.full(case.B, case.T)
    return rng.integers(min(MIN_LENGTH, case.T), case.T + 1, case.B)


def real_steps(case: Case, arrays: Arrays) -> int:
    """Return how many steps of real input one call runs, all rows together."""
    return int(arrays["lengths"].sum()) if "lengths" in arrays else case.B


def layer_weights(case: Case, rng: np.random.Generator) -> Arrays:
    """Return the parameters of torch.nn.LSTM, GRU or RNN by name, all layers and directions."""
    weights: Arrays = {}
    directions = ("", "_reverse") if case.bidirectional else ("",)
    for number in range(case.layers):
        inputs = len(directions) * case.R if number else case.I
        for direction in directions:
            shapes = {
                "weight_ih": (case.gates * case.H, inputs),
                "weight_hh": (case.gates * case.H, case.R),
                "bias_ih": (case.gates * case.H,),
                "bias_hh": (case.gates * case.H,),
                **({"weight_hr": (case.R, case.H)} if case.proj else {}),
            }
            for name, shape in shapes.items():
                value = _uniform(rng, shape, case.H, case.dtype)
                weights[f"{name}_l{number}{direction}"] = value
    return weights


def classifier_weights(case: Case, rng: np.random.Generator) -> Arrays:
    """Return the parameters of fastlstm.TextClassifier by name: word 0 is padding."""
    table = _normal(rng, (case.V, case.I), case.dtype)
    table[0] = 0
    return {
        "embedding.weight": table,
        **{f"lstm.{name}": value for name, value in layer_weights(case, rng).items()},
        "head.weight": _uniform(rng, (1, case.H), case.H, case.dtype),
        "head.bias": _uniform(rng, (1,), case.H, case.dtype),
    }


def _uniform(rng: np.random.Generator, shape: tuple[int, ...], fan: int, dtype: str) -> Array:
    value: Array = rng.uniform(-1, 1, shape) / np.sqrt(fan)
    return value.astype(dtype)


def _normal(rng: np.random.Generator, shape: tuple[int, ...], dtype: str) -> Array:
    return rng.standard_normal(shape).astype(dtype)


def _words(case: Case, rng: np.random.Generator) -> NDArray[np.int64]:
    """Return int64 [B,T] in 1..V-1: the commonest word is 1, the k-th has frequency 1/k."""
    frequency = 1 / np.arange(1, case.V)
    return rng.choice(np.arange(1, case.V), (case.B, case.T), p=frequency / frequency.sum())


def _sequences(case: Case, rng: np.random.Generator) -> Arrays:
    width = case.R * (2 if case.bidirectional else 1)
    lengths = lengths_of(case, rng)
    dy = _normal(rng, (case.B, case.T, width), case.dtype)
    dy[np.arange(case.T) >= lengths[:, None]] = 0
    return {
        "weights": layer_weights(case, rng),
        "x": _normal(rng, (case.B, case.T, case.I), case.dtype),
        "lengths": lengths,
        "dy": dy,
    }


def _steps(case: Case, rng: np.random.Generator) -> Arrays:
    x = _normal(rng, (STEPS_CHECKED, case.B, case.I), case.dtype)
    return {"weights": layer_weights(case, rng), "x": x}


def _tokens(case: Case, rng: np.random.Generator) -> Arrays:
    return {
        "weights": layer_weights(case, rng),
        "table": _normal(rng, (case.V, case.I), case.dtype),
        "tokens": _words(case, rng),
        "dy": _normal(rng, (case.B, case.T, case.H), case.dtype),
    }


def _cell(case: Case, rng: np.random.Generator) -> Arrays:
    weights = {name[: -len("_l0")]: w for name, w in layer_weights(case, rng).items()}
    state = {k: _normal(rng, (case.B, case.H), case.dtype) for k in ("h", "c", "dh", "dc")}
    return {"weights": weights, "x": _normal(rng, (case.B, case.I), case.dtype), **state}


def _embedding(case: Case, rng: np.random.Generator) -> Arrays:
    return {
        "weights": {"weight": _normal(rng, (case.V, case.I), case.dtype)},
        "tokens": _words(case, rng),
        "dy": _normal(rng, (case.B, case.T, case.I), case.dtype),
    }


def _linear(case: Case, rng: np.random.Generator) -> Arrays:
    weight = _uniform(rng, (case.H, case.I), case.I, case.dtype)
    bias = _uniform(rng, (case.H,), case.I, case.dtype)
    return {
        "weights": {"weight": weight, "bias": bias},
        "x": _normal(rng, (case.B, case.I), case.dtype),
        "dy": _normal(rng, (case.B, case.H), case.dtype),
    }


def _chain(case: Case, rng: np.random.Generator) -> Arrays:
    H, bins, window = case.H, case.V // 2, case.I // 2
    weights = {
        "0.weight": _uniform(rng, (2 * bins, 1, window), window, case.dtype),
        "2.weight": _uniform(rng, (H, bins, 3), 3 * bins, case.dtype),
        "2.bias": _uniform(rng, (H,), 3 * bins, case.dtype),
        **{f"4.{k}": w for k, w in layer_weights(replace(case, I=H), rng).items()},
        "6.weight": _uniform(rng, (1, H), H, case.dtype),
        "6.bias": _uniform(rng, (1,), H, case.dtype),
    }
    return {"weights": weights, "x": _normal(rng, (STEPS_CHECKED, case.B, case.I), case.dtype)}


def _dropout(case: Case, rng: np.random.Generator) -> Arrays:
    shape = (case.B, case.T, case.I)
    return {"x": _normal(rng, shape, case.dtype), "dy": _normal(rng, shape, case.dtype)}


def _bce(case: Case, rng: np.random.Generator) -> Arrays:
    labels = rng.integers(0, 2, case.B).astype(case.dtype)
    return {"logits": _normal(rng, (case.B,), case.dtype), "labels": labels}


def _cross_entropy(case: Case, rng: np.random.Generator) -> Arrays:
    logits = _normal(rng, (case.B, case.V), case.dtype)
    return {"logits": logits, "labels": rng.integers(0, case.V, case.B)}


def _regression_losses(case: Case, rng: np.random.Generator) -> Arrays:
    shape = case.B, case.V
    return {
        "outputs": _normal(rng, shape, case.dtype),
        "positive": (rng.random(shape) + 0.5).astype(case.dtype),
        "targets": rng.poisson(2, shape).astype(case.dtype),
    }


def _text_classifier(case: Case, rng: np.random.Generator) -> Arrays:
    lengths, tokens = lengths_of(case, rng), _words(case, rng)
    tokens[np.arange(case.T) >= lengths[:, None]] = 0
    labels = rng.integers(0, 2, case.B).astype(case.dtype)
    weights = classifier_weights(case, rng)
    return {"weights": weights, "tokens": tokens, "lengths": lengths, "labels": labels}


_DRAW = {
    "step": _steps,
    "stream": _steps,
    "peephole": _sequences,
    "tokens": _tokens,
    "cell": _cell,
    "embedding": _embedding,
    "chain": _chain,
    "linear": _linear,
    "dropout": _dropout,
    "bce_with_logits": _bce,
    "cross_entropy": _cross_entropy,
    "regression_losses": _regression_losses,
    "text_classifier": _text_classifier,
}
