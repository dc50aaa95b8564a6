"""Chains to test with: small ones of every kind of stage and geometry, and random ones."""

from __future__ import annotations

from typing import Any

import numpy as np
from cases import Array

from fastlstm.kernels import CELLS, Weights
from fastlstm.kernels.chain import (
    ChainSpec,
    Convolution,
    Map,
    Mean,
    Recurrence,
    Stage,
    read_chain,
    state_of,
)
from fastlstm.kernels.spec import Activation, with_activations

RNG = np.random.Generator


def conv(rng: RNG, C: int, O: int, kernel: int = 1, bias: bool = True, **options: Any) -> Stage:
    weight = rng.standard_normal((O, C, kernel)) / np.sqrt(C * kernel)
    return Convolution(weight, rng.standard_normal(O) if bias else None, **options)


def cell(rng: RNG, name: str, I: int, H: int) -> Stage:
    spec = CELLS[name]
    G = spec.gate_rows(H)

    def draw(*shape: int) -> Array:
        return rng.standard_normal(shape) / np.sqrt(shape[-1])

    params = tuple(draw(H) for _ in spec.params)
    return Recurrence(spec, Weights(draw(G, I), draw(G, H), draw(G), draw(G), params=params))


def basis(kernel: int, bins: int) -> Stage:
    """Cosines and sines under a window that is zero at its first place, even and odd to the bit."""
    n = np.arange(kernel // 2 + 1)
    window = np.sin(np.pi * n / kernel) ** 2
    angle = 2 * np.pi * np.outer(np.arange(bins), n) / kernel
    even, odd = np.cos(angle) * window, np.sin(angle) * window
    odd[:, -1] = 0
    even = np.concatenate([even, even[:, -2:0:-1]], axis=1)
    odd = np.concatenate([odd, -odd[:, -2:0:-1]], axis=1)
    return Convolution(np.concatenate([even, odd])[:, None], None, stride=kernel // 2)


def other(stage: Any) -> Stage:
    """The same with other activations."""
    soft, hard = Activation("softsign"), Activation("hard_sigmoid")
    changed: Stage = stage._replace(cell=with_activations(stage.cell.name, soft, hard))
    return changed


def detector(rng: RNG) -> list[Stage]:
    """A voice detector in small: all that has to be quick in the large one."""
    spectrum = basis(16, 9)
    assert isinstance(spectrum, Convolution)
    return [
        spectrum._replace(context=4, padding=(0, 4), reflect=True),
        Map("magnitude"),
        conv(rng, 9, 17, 3, padding=(1, 1)),
        Map("relu"),
        conv(rng, 17, 8, 3, padding=(1, 1), stride=2),
        Map("relu"),
        conv(rng, 8, 8, 3, padding=(1, 1), stride=2),
        Map("relu"),
        cell(rng, "lstm", 8, 19),
        Map("relu"),
        conv(rng, 19, 1),
        Map("sigmoid"),
        Mean(),
    ]


def _named() -> dict[str, tuple[list[Stage], int, int]]:
    rng = np.random.default_rng(0)
    return {
        "detector": (detector(rng), 32, 1),
        "causal": ([conv(rng, 3, 33, 4, context=3), Map("tanh"), cell(rng, "gru", 33, 7)], 1, 3),
        "causal with a stride": ([conv(rng, 2, 5, 7, context=4, stride=3), Map("relu")], 6, 2),
        "kernel longer than the frame": ([conv(rng, 4, 9, 9, context=8), conv(rng, 9, 3)], 2, 4),
        "stride longer than the kernel": ([conv(rng, 1, 7, 2, stride=5)], 10, 1),
        "padding before": ([conv(rng, 6, 15, 5, padding=(4, 0))], 3, 6),
        "padding behind": ([conv(rng, 6, 16, 5, padding=(0, 4))], 3, 6),
        "positions of padding alone": ([conv(rng, 3, 17, 2, padding=(5, 3))], 2, 3),
        "padding beside the past": ([conv(rng, 3, 4, 3, padding=(1, 2), context=2)], 2, 3),
        "reflection": ([conv(rng, 2, 31, 3, padding=(2, 3), reflect=True, context=1)], 4, 2),
        "much padding": ([conv(rng, 1, 3, 30, padding=(29, 29))], 5, 1),
        "maps first": ([Map("magnitude"), Map("relu"), conv(rng, 3, 64), Map("sigmoid")], 2, 6),
        "maps in a row": ([conv(rng, 5, 8), Map("tanh"), Map("magnitude"), Map("relu")], 3, 5),
        "mean": ([conv(rng, 5, 9, 2), Mean(), Map("tanh"), cell(rng, "rnn_tanh", 9, 16)], 7, 5),
        "cells": (
            [cell(rng, "peephole_lstm", 4, 9), cell(rng, "gru_reset_before", 9, 8),
             cell(rng, "rnn_relu", 8, 5), Map("sigmoid")], 3, 4,
        ),
        "cells of other activations": (
            [other(cell(rng, "lstm", 4, 9)), other(cell(rng, "gru_reset_before", 9, 8)),
             other(cell(rng, "rnn_tanh", 8, 5))], 3, 4,
        ),
        "wide": ([conv(rng, 70, 129, 3, padding=(1, 1)), Map("relu"), conv(rng, 129, 70)], 2, 70),
        "whole basis": ([basis(8, 5), Map("magnitude")], 16, 1),
        "many zeros": (
            [conv(rng, 2, 530), Map("relu"), cell(rng, "gru", 530, 9), Map("relu"),
             cell(rng, "rnn_relu", 9, 66), cell(rng, "peephole_lstm", 66, 5), Map("relu"),
             conv(rng, 5, 150), Map("relu"), conv(rng, 150, 70)], 1, 2,
        ),
        "no bias": ([conv(rng, 5, 6, 2, bias=False, context=1)], 2, 5),
    }  # fmt: skip


NAMED = _named()


def named(name: str, dtype: str) -> ChainSpec:
    stages, frame, channels = NAMED[name]
    return as_dtype(ChainSpec(tuple(stages), frame, channels), dtype)


def as_dtype(spec: ChainSpec, dtype: str) -> ChainSpec:
    """A chain with its weights in another precision."""

    def cast(stage: Any) -> Any:
        if isinstance(stage, Convolution):
            bias = None if stage.bias is None else stage.bias.astype(dtype)
            return stage._replace(weight=stage.weight.astype(dtype), bias=bias)
        if isinstance(stage, Recurrence):
            return stage._replace(weights=stage.weights.map(lambda w: w.astype(dtype)))
        return stage

    return spec._replace(stages=tuple(map(cast, spec.stages)), dtype=dtype)


def random_chain(seed: int, dtype: str) -> ChainSpec:
    """Two to five stages that fit each other, of sizes around those of vectors and tiles."""
    rng = np.random.default_rng(seed)
    frame, channels = int(rng.integers(1, 9)), int(rng.choice([1, 2, 7, 16, 33]))
    stages: list[Stage] = []
    P, C = frame, channels
    for _ in range(rng.integers(2, 6)):
        kind = rng.choice(["conv", "conv", "map", "cell", "mean"])
        if kind == "conv":
            stages.append(_random_conv(rng, P, C))
        elif kind == "map":
            stages.append(
                Map(str(rng.choice(["relu", "sigmoid", "tanh", "magnitude"][: 4 - C % 2])))
            )
        elif kind == "cell":
            stages.append(cell(rng, str(rng.choice(list(CELLS))), C, int(rng.choice([1, 8, 17]))))
        else:
            stages.append(Mean())
        last = read_chain(ChainSpec(tuple(stages), frame, channels, "float64"), 1)[-1]
        P, C = last.Q, last.O
    return as_dtype(ChainSpec(tuple(stages), frame, channels, "float64"), dtype)


def _random_conv(rng: RNG, P: int, C: int) -> Stage:
    context, reflect = int(rng.integers(0, 5)), bool(rng.integers(0, 2))
    most = context + P if reflect else 5
    padding = (int(rng.integers(0, most)), int(rng.integers(0, most)))
    kernel = int(rng.integers(1, sum(padding) + context + P + 1))
    options = {"context": context, "padding": padding, "reflect": reflect}
    stride, O = int(rng.integers(1, 4)), int(rng.choice([1, 8, 15, 33, 66]))
    return conv(rng, C, O, kernel, bool(rng.integers(0, 2)), stride=stride, **options)


def signal(spec: ChainSpec, rows: int, frames: int, seed: int = 1) -> Array:
    shape = (rows, frames * spec.frame, spec.channels)
    return np.random.default_rng(seed).standard_normal(shape).astype(spec.dtype)


def random_state(spec: ChainSpec, rows: int, seed: int = 2) -> tuple[Array, ...]:
    rng, (_, sizes) = np.random.default_rng(seed), state_of(read_chain(spec, rows))
    return tuple(rng.standard_normal((1, rows, size)).astype(spec.dtype) for size in sizes)
