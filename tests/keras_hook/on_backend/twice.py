"""A layer run twice, on Keras's own path and on ours: outputs, states, gradients, counts."""

from __future__ import annotations

from typing import Any

import keras
import numpy as np
from keras import layers

import fastlstm.keras as fk

TORCH = keras.backend.backend() == "torch"
N, T, I, U = 3, 5, 4, 6
KINDS: dict[str, dict[str, Any]] = {
    "LSTM": {},
    "GRU": {},
    "GRU reset before": {"reset_after": False},
    "SimpleRNN": {},
    "SimpleRNN relu": {"activation": "relu"},
}
HARD = {"recurrent_activation": "hard_sigmoid"}
OTHERS: dict[str, dict[str, Any]] = {
    "LSTM relu": {"activation": "relu", **HARD},
    "LSTM linear": {"activation": None, "recurrent_activation": "softsign"},
    "GRU hard": HARD,
    "GRU reset before softsign": {"reset_after": False, "activation": "softsign", **HARD},
    "SimpleRNN sigmoid": {"activation": keras.ops.sigmoid},
}
# As promised: relative to the largest value of what is compared, at least 1.
TOLERANCE = {"float32": 1e-5, "float64": 1e-10}
MASKS = {
    "right": [[1, 1, 1, 0, 0], [1, 1, 1, 1, 1], [1, 0, 0, 0, 0]],
    "left": [[0, 0, 1, 1, 1], [1, 1, 1, 1, 1], [0, 0, 0, 0, 1]],
    "holes": [[1, 0, 1, 0, 0], [0, 1, 0, 0, 1], [0, 1, 1, 1, 0]],
    "empty row": [[1, 1, 0, 0, 0], [0, 0, 0, 0, 0], [1, 1, 1, 1, 1]],
    "all": [[1] * 5] * 3,
    "none": [[0] * 5] * 3,
}


def make(kind: str, **options: Any) -> Any:
    """Return a built layer with random weights, biases too."""
    layer = unbuilt(kind, **options)
    layer.build((N, T, I))
    return randomize(layer)


def unbuilt(kind: str, **options: Any) -> Any:
    name = kind.partition(" ")[0]
    quick = {"recurrent_initializer": "zeros"}
    return getattr(layers, name)(U, **{**{**KINDS, **OTHERS}[kind], **quick, **options})


def randomize(layer: Any) -> Any:
    rng = np.random.default_rng(0)
    layer.set_weights([rng.normal(size=w.shape) * 0.5 for w in layer.get_weights()])
    return layer


def array(*shape: int, seed: int = 1, dtype: str = "float32") -> Any:
    return np.random.default_rng(seed).normal(size=shape).astype(dtype)


def results(layer: Any, x: Any, states: Any = None, calls: int = 1, **given: Any) -> dict[str, Any]:
    """Return all outputs of a layer and, on torch, the gradient of everything by name."""
    x = keras.ops.convert_to_tensor(x)
    states = None if states is None else [keras.ops.convert_to_tensor(s) for s in states]
    if "mask" in given:
        given["mask"] = keras.ops.convert_to_tensor(np.array(given["mask"], bool))
    leaves = {"dx": x, **{f"d{i}": s for i, s in enumerate(states or [])}}
    if TORCH:
        for leaf in leaves.values():
            leaf.requires_grad_()
    outputs: list[Any] = []
    for _ in range(calls):
        outputs += keras.tree.flatten(layer(x, initial_state=states, **given))
    found = {f"output {i}": keras.ops.convert_to_numpy(o) for i, o in enumerate(outputs)}
    if TORCH:
        leaves.update({f"d{w.path}": w.value for w in layer.trainable_weights})
        loss = sum((o * weighing(o, i)).sum() for i, o in enumerate(outputs))
        if loss.requires_grad:
            loss.backward()
        for i, (name, leaf) in enumerate(leaves.items()):
            g = leaf.grad
            found[f"{i} {name.split('/')[-1]}"] = None if g is None else g.numpy()
            leaf.grad = None
    return found


def weighing(output: Any, i: int) -> Any:
    """Random numbers, so that no gradient cancels."""
    weight = array(*output.shape, seed=10 + i)
    return keras.ops.cast(keras.ops.convert_to_tensor(weight), output.dtype)


def compare(ours: dict[str, Any], theirs: dict[str, Any], dtype: str = "float32") -> None:
    assert list(ours) == list(theirs)
    for name, wanted in theirs.items():
        got = ours[name]
        if wanted is None or got is None:  # None and zeros are the same gradient
            given = got if wanted is None else wanted
            assert given is None or not given.any(), name
            continue
        assert got.dtype == wanted.dtype, name
        assert got.shape == wanted.shape, name
        scale = max(1.0, float(abs(wanted).max())) if wanted.size else 1.0
        np.testing.assert_allclose(got, wanted, rtol=0, atol=TOLERANCE[dtype] * scale, err_msg=name)


def check(
    build: Any,
    x: Any,
    *args: Any,
    taken: int = 1,
    dtype: str = "float32",
    theirs: Any = None,
    **given: Any,
) -> None:
    """Compare what two layers that `build` makes alike give with the hook off and on.

    `theirs` are arguments that only the call with the hook off is given.
    """
    wanted = results(build(), x, *args, **{**given, **(theirs or {})})
    fk.clear_report()
    with fk.enabled():
        ours = results(build(), x, *args, **given)
    found = fk.report()
    assert sum(found.taken.values()) == taken, found
    assert not found.refused, found
    compare(ours, wanted, dtype)


def check_refused(build: Any, x: Any, *args: Any, why: str, **given: Any) -> None:
    """Check that a call stays Keras's to the last bit, for a reason."""
    theirs = results(build(), x, *args, **given)
    fk.clear_report()
    with fk.enabled():
        ours = results(build(), x, *args, **given)
    found = fk.report()
    assert not found.taken, found
    assert {reason for _, reason in found.refused} == {why}
    assert list(ours) == list(theirs)
    for name, wanted in theirs.items():
        np.testing.assert_array_equal(ours[name], wanted, err_msg=name)
