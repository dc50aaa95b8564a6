"""What only Keras's torch backend has: autograd, modes, compilation."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import keras
import numpy as np
import pytest
from twice import KINDS, MASKS, OTHERS, TORCH, I, N, T, U, array, make

if not TORCH:
    pytest.skip("for the torch backend", allow_module_level=True)
import torch
from keras.src.backend.common.dtypes import BIT64_TO_BIT32_DTYPE

import fastlstm.keras as fk


@pytest.mark.parametrize("kind", [*KINDS, *OTHERS])
@pytest.mark.parametrize("mask", [None, "right", "holes"])
def test_hook_second_derivatives(
    kind: str, mask: str | None, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(BIT64_TO_BIT32_DTYPE, "float64", "float64")
    # torch's own cannot be differentiated twice
    monkeypatch.setattr(torch.nn.functional, "hardsigmoid", lambda x: (x / 6 + 0.5).clamp(0, 1))
    layer = make(kind, dtype="float64", return_sequences=True, return_state=True)
    given = None if mask is None else torch.tensor(MASKS[mask], dtype=torch.bool)

    def second() -> list[Any]:
        x = torch.tensor(array(N, T, I, dtype="float64"), requires_grad=True)
        outputs = keras.tree.flatten(layer(x, mask=given))
        loss = sum((y**2).sum() for y in outputs)
        (dx,) = torch.autograd.grad(loss, x, create_graph=True)
        weights = [w.value for w in layer.trainable_weights]
        return list(torch.autograd.grad((dx**2).sum(), [x, *weights]))

    theirs = second()
    with fk.enabled():
        ours = second()
    assert sum(fk.report().taken.values()) == 1
    for a, b in zip(ours, theirs, strict=True):
        torch.testing.assert_close(a, b, rtol=1e-9, atol=1e-9)


RECORDS = "torch records or transforms operations"


def under_autocast(layer: Any, x: Any) -> Any:
    with torch.autocast("cpu"):
        return layer(x)


def of_a_class(layer: Any, x: Any) -> Any:
    class Mine(torch.Tensor):
        pass

    return layer(x.as_subclass(Mine))


@pytest.mark.parametrize(
    ("call", "why"),
    [
        (under_autocast, "torch.autocast"),
        (lambda layer, x: torch.func.vmap(layer)(x[None]), RECORDS),
        (lambda layer, x: torch.func.jvp(layer, (x,), (x,)), RECORDS),
        (of_a_class, "a tensor of class Mine"),
    ],
    ids=["autocast", "vmap", "jvp", "subclass"],
)
def test_hook_refuses_modes(call: Callable[[Any, Any], Any], why: str) -> None:
    layer, x = make("LSTM"), torch.tensor(array(N, T, I))
    theirs = call(layer, x)
    with fk.enabled():
        ours = call(layer, x)
    found = fk.report()
    assert not found.taken
    assert {reason for _, reason in found.refused} == {why}
    for a, b in zip(keras.tree.flatten(ours), keras.tree.flatten(theirs), strict=True):
        assert bool((a == b).all())


@pytest.mark.slow(seconds=5)
def test_hook_is_not_compiled() -> None:
    """torch.compile compiles Keras's own path, as before."""
    layer, x = make("LSTM"), torch.tensor(array(N, T, I))
    wanted = layer(x)
    with fk.enabled():
        found = torch.compile(layer, backend="eager")(x)
    assert not fk.report().taken
    torch.testing.assert_close(found, wanted)


def test_hook_without_gradients() -> None:
    layer, x = make("GRU"), torch.tensor(array(N, T, I))
    with fk.enabled():
        wanted = layer(x).detach()
        for mode in (torch.no_grad, torch.inference_mode):
            with mode():
                y = layer(x)
            assert not y.requires_grad
            torch.testing.assert_close(y, wanted, rtol=0, atol=0)


@pytest.mark.parametrize("kind", KINDS)
def test_hook_one_step_of_inference(kind: str) -> None:
    """Keras's own path where that is a few operations: the weights are not transposed for it."""
    layer, x = make(kind), torch.tensor(array(N, 1, I))
    with fk.enabled(), torch.no_grad():
        layer(x)
    own = kind in ("LSTM", "GRU")
    assert list(fk.report().refused) == [(kind, "one step of inference")] * own


def test_hook_frozen_weights() -> None:
    """A layer that is not trainable passes gradients on and has none itself."""
    layer, x = make("LSTM"), torch.tensor(array(N, T, I), requires_grad=True)
    layer.trainable = False
    with fk.enabled():
        layer(x).sum().backward()
    assert x.grad is not None
    assert all(w.value.grad is None for w in layer.weights)


def test_hook_unrolled_backwards_over_a_mask() -> None:
    """What Keras cannot run so is what it gives without `unroll`."""
    mask, x = torch.tensor(MASKS["holes"], dtype=torch.bool), torch.tensor(array(N, T, I))
    wanted = make("GRU", go_backwards=True, return_sequences=True)(x, mask=mask)
    with fk.enabled():
        layer = make("GRU", go_backwards=True, return_sequences=True, unroll=True)
        found = layer(x, mask=mask)
    torch.testing.assert_close(found, wanted, rtol=0, atol=1e-5)


def test_hook_state_changed_in_place() -> None:
    """torch's error, as on its own path, and no wrong gradient."""
    layer, h = make("GRU reset before"), torch.tensor(array(N, U))
    layer.cell.recurrent_kernel.trainable = False
    with fk.enabled():
        y = layer(torch.tensor(array(N, T, I), requires_grad=True), initial_state=[h])
    h.add_(1)
    with pytest.raises(RuntimeError, match="modified by an inplace operation"):
        y.sum().backward()


def test_hook_trains() -> None:
    """`fit` learns what it learns without the hook, step by step."""

    def losses() -> Any:
        keras.utils.set_random_seed(0)
        model = keras.Sequential(
            [
                keras.layers.Input((T, I)),
                keras.layers.Bidirectional(keras.layers.GRU(U, return_sequences=True)),
                keras.layers.LSTM(U, dropout=0.2),
                keras.layers.Dense(1),
            ]
        )
        model.compile("adam", "mse")
        x = array(16, T, I)
        return model.fit(x, x.sum((1, 2)), batch_size=8, epochs=3, verbose=0).history["loss"]

    theirs = losses()
    with fk.enabled():
        ours = losses()
    assert fk.report().taken == {"GRU": 12, "LSTM": 6}
    np.testing.assert_allclose(ours, theirs, rtol=1e-5)
