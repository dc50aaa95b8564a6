"""Several layers of a kind, run in one call and one by one: what the tests of many models share."""

from __future__ import annotations

import copy
from collections.abc import Sequence
from typing import Any

import numpy as np
from cases import Array
from kinds import N, Results, T, layer, parts

from fastlstm.many import Stacked

M = 4


def layers(kind: str, count: int = M, *sizes: int, **options: Any) -> list[Any]:
    """Layers of a kind, each with weights of its own."""
    made = [layer(kind, *sizes, rng=np.random.default_rng(m), **options) for m in range(count)]
    for m, one in enumerate(made):
        for parameter in one.parameters():
            parameter.grad[...] = m + 1  # what backward adds to
    return made


def batches(like: Any, count: int = M, rows: int = N) -> Array:
    shape = (rows, T) if like.batch_first else (T, rows)
    rng = np.random.default_rng(5)
    return rng.standard_normal((count, *shape, like.input_size)).astype(like.dtype)


def draw_states(like: Any, count: int = M, rows: int = N) -> list[Array]:
    rng, K = np.random.default_rng(6), len(like._suffixes)
    sizes = like._state_sizes()
    return [rng.standard_normal((count, K, rows, size)).astype(like.dtype) for size in sizes]


def as_state(arrays: Sequence[Array]) -> Any:
    return tuple(arrays) if len(arrays) > 1 else arrays[0]


def run(module: Any, x: Array, state: Any, lengths: Any, gradients: Any) -> Results:
    """Outputs and gradients of a layer, or of many in one call."""
    y, state_n, tape = module.forward(x, state, lengths)
    dy, dstate = gradients
    dx, dstate_0 = module.backward(tape, dy, dstate)
    results = {"y": y, "dx": dx}
    results.update((f"state_n[{i}]", s) for i, s in enumerate(parts(state_n)))
    results.update((f"dstate[{i}]", s) for i, s in enumerate(parts(dstate_0)))
    return results


def draw_gradients(like: Any, x: Array) -> tuple[Array, list[Array]]:
    rng = np.random.default_rng(7)
    dy = rng.standard_normal((*x.shape[:3], like._width)).astype(like.dtype)
    return dy, [s * 0.5 for s in draw_states(like, len(x), x.shape[1 if like.batch_first else 2])]


def grads(layers: Sequence[Any]) -> Results:
    return {
        f"d{m}.{name}": parameter.grad.copy()
        for m, one in enumerate(layers)
        for name, parameter in one.named_parameters()
    }


def run_each(layers: Sequence[Any], x: Array, lengths: Any = None) -> Results:
    """Outputs and gradients of calls of each layer, and those of its parameters."""
    state, (dy, dstate) = draw_states(layers[0], len(x)), draw_gradients(layers[0], x)
    found = []
    for m, one in enumerate(layers):
        of = None if lengths is None else np.broadcast_to(lengths, (len(x), N))[m]
        own = as_state([d[m] for d in dstate])
        found.append(run(one, x[m], as_state([s[m] for s in state]), of, (dy[m], own)))
    results = {name: np.stack([one[name] for one in found]) for name in found[0]}
    return results | grads(layers)


def run_together(module: Any, x: Array, lengths: Any = None) -> Results:
    """The same of one call."""
    like = module._layers[0]
    state, (dy, dstate) = draw_states(like, len(x)), draw_gradients(like, x)
    results = run(module, x, as_state(state), lengths, (dy, as_state(dstate)))
    return results | grads([module[m] for m in range(len(module))])


def draw_lengths_of_each() -> Array:
    """Lengths [M,N], with none and all steps among them."""
    lengths = np.random.default_rng(8).integers(0, T + 1, (M, N))
    lengths[0, 0], lengths[1, 0], lengths[2] = 0, T, 0
    return lengths


def as_stacked(made: Sequence[Any]) -> Stacked:
    """Copies of layers with their parameters in one array each, and with the same gradients."""
    stacked = Stacked(copy.deepcopy(made))
    for m, one in enumerate(made):
        for name, parameter in one.named_parameters():
            getattr(stacked, name).grad[m] = parameter.grad
    return stacked
