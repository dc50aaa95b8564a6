"""Each option of the layers against Keras's own path."""

from __future__ import annotations

from itertools import product
from typing import Any

import keras
import numpy as np
import pytest
from keras import layers
from keras.src.backend.common.dtypes import BIT64_TO_BIT32_DTYPE
from twice import KINDS, MASKS, OTHERS, TORCH, I, N, T, U, array, check, make, randomize, unbuilt

import fastlstm.keras as fk

kinds = pytest.mark.parametrize("kind", KINDS)


def start(kind: str, dtype: str = "float32") -> list[Any]:
    return [array(N, U, seed=s, dtype=dtype) for s in range(2 if kind == "LSTM" else 1)]


@kinds
@pytest.mark.parametrize(
    "options",
    [
        {},
        {"return_sequences": True, "use_bias": False},
        {"return_sequences": True, "return_state": True, "go_backwards": True},
        {"go_backwards": True, "unroll": True},
        {"return_state": True, "use_cudnn": False},
    ],
    ids=lambda options: " ".join(options) or "default",
)
def test_hook_options(kind: str, options: dict[str, Any]) -> None:
    if kind.startswith("SimpleRNN"):
        options = {k: v for k, v in options.items() if k != "use_cudnn"}
    check(lambda: make(kind, **options), array(N, T, I))
    check(lambda: make(kind, **options), array(N, T, I), start(kind))


@pytest.mark.parametrize("kind", OTHERS)
def test_hook_other_activations(kind: str) -> None:
    states = [array(N, U, seed=s) for s in range(1 + kind.startswith("LSTM"))]
    check(lambda: make(kind, return_sequences=True), array(N, T, I))
    check(lambda: make(kind), array(N, T, I), states, mask=MASKS["holes"])


@kinds
def test_hook_float64(kind: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Of Keras's products those of float64 are made in float32, but for this entry."""
    monkeypatch.setitem(BIT64_TO_BIT32_DTYPE, "float64", "float64")
    x = array(N, T, I, dtype="float64")
    for mask in ({}, {"mask": MASKS["right"]}, {"mask": MASKS["holes"]}):
        check(
            lambda: make(kind, dtype="float64", return_sequences=True, return_state=True),
            x,
            start(kind, "float64"),
            dtype="float64",
            **mask,
        )


# zero_output_for_mask, return_sequences, go_backwards, unroll, an initial state
COMBINATIONS = list(product([False, True], repeat=5))


def check_mask(kind: str, mask: str, combination: tuple[bool, ...]) -> None:
    zero, sequences, back, unroll, given = combination
    if back and unroll and TORCH:
        unroll = False  # Keras raises TypeError
    options = {
        "zero_output_for_mask": zero, "return_sequences": sequences, "go_backwards": back,
        "return_state": True, "unroll": unroll,
    }  # fmt: skip
    states = start(kind) if given else None
    check(lambda: make(kind, **options), array(N, T, I), states, mask=MASKS[mask])


@kinds
@pytest.mark.parametrize("mask", MASKS)
def test_hook_masks(kind: str, mask: str) -> None:
    """Two of all combinations for each pair; over the pairs each of them stands."""
    first = list(KINDS).index(kind) * len(MASKS) + list(MASKS).index(mask)
    for i in range(2):
        check_mask(kind, mask, COMBINATIONS[(first * 2 + i) * 11 % len(COMBINATIONS)])


@pytest.mark.slow(seconds=60)
@kinds
@pytest.mark.parametrize("mask", MASKS)
def test_hook_masks_all(kind: str, mask: str) -> None:
    for combination in COMBINATIONS:
        check_mask(kind, mask, combination)


@kinds
@pytest.mark.parametrize("steps", [1, T])
def test_hook_mask_of_one_row(kind: str, steps: int) -> None:
    """A batch of one text: what runs backwards of its mask is one piece of memory to NumPy."""
    x, mask = array(1, steps, I), np.array(MASKS["holes"])[:1, :steps]
    for mask_row in (mask, ~mask.astype(bool)):
        for zero, sequences in product([False, True], repeat=2):
            options = {"zero_output_for_mask": zero, "return_sequences": sequences}
            check(lambda o=options: make(kind, go_backwards=True, **o), x, mask=mask_row)


@kinds
def test_hook_mask_with_a_last_axis(kind: str) -> None:
    mask = np.array(MASKS["holes"])[..., None]
    check(lambda: make(kind, return_sequences=True), array(N, T, I), mask=mask)


@kinds
@pytest.mark.parametrize("mask", [None, "right", "holes"])
def test_hook_stateful(kind: str, mask: str | None) -> None:
    """Without a mask Keras's LSTM and GRU fail in backward: a mask of ones takes another path."""
    given = {} if mask is None else {"mask": MASKS[mask]}
    for options in ({"go_backwards": True, "return_state": True},):
        check(
            lambda o=options: make(kind, stateful=True, return_sequences=True, **o),
            array(N, T, I),
            theirs={"mask": MASKS[mask or "all"]},
            calls=2,
            taken=2,
            **given,
        )


@kinds
@pytest.mark.parametrize("mask", [None, "right", "holes"])
def test_hook_dropout_of_the_input(kind: str, mask: str | None) -> None:
    """The same random numbers are drawn, and in inference none."""
    given = {} if mask is None else {"mask": MASKS[mask]}

    def build() -> Any:
        return make(kind, dropout=0.5, seed=3, return_sequences=True)

    for training in (False, True):
        check(build, array(N, T, I), training=training, **given)
    check(lambda: make(kind, recurrent_dropout=0.5), array(N, T, I), training=False)


@pytest.mark.parametrize(
    ("kind", "merge"),
    [*((kind, "concat") for kind in KINDS), *(("LSTM", m) for m in ("sum", "ave", "mul", None))],
)
def test_hook_bidirectional(kind: str, merge: str | None) -> None:
    def build(sequences: bool = True) -> Any:
        inner = unbuilt(kind, return_sequences=sequences, return_state=True)
        layer = layers.Bidirectional(inner, merge_mode=merge)
        layer.build((N, T, I))
        return randomize(layer)

    for sequences, mask in ((False, None), (False, "right"), (True, None), (True, "holes")):
        given = {} if mask is None else {"mask": MASKS[mask]}
        check(lambda s=sequences: build(s), array(N, T, I), taken=2, **given)
    states = [*start(kind), *start(kind)]
    check(build, array(N, T, I), states, taken=2)


@kinds
def test_hook_cell_in_rnn(kind: str) -> None:
    """A cell in `RNN` is taken as its layer is."""

    def build() -> Any:
        cell = make(kind).cell
        layer = layers.RNN(cell, return_sequences=True, zero_output_for_mask=True)
        layer.build((N, T, I))
        return layer

    check(build, array(N, T, I))
    check(build, array(N, T, I), mask=MASKS["holes"])


@pytest.mark.parametrize("shape", [(1, 1, 1), (2, 1, 3), (1, 9, 2)], ids=str)
@kinds
def test_hook_small_shapes(kind: str, shape: tuple[int, int, int]) -> None:
    def build() -> Any:
        layer = getattr(layers, kind.partition(" ")[0])(3, return_sequences=True, **KINDS[kind])
        layer.build(shape)
        return randomize(layer)

    check(build, array(*shape))


@kinds
def test_hook_strided_input(kind: str) -> None:
    """An input whose last axis is not contiguous."""
    check(lambda: make(kind), array(I, N, T).transpose(1, 2, 0))


@kinds
@pytest.mark.parametrize("dtype", ["int64", "uint8", "bool"])
def test_hook_input_of_integers(kind: str, dtype: str) -> None:
    x = keras.ops.convert_to_tensor((array(N, T, I) > 0).astype(dtype))
    layer = make(kind, go_backwards=True)
    theirs = keras.ops.convert_to_numpy(layer(x))
    with fk.enabled():
        ours = keras.ops.convert_to_numpy(layer(x))
    assert sum(fk.report().taken.values()) == 1
    np.testing.assert_allclose(ours, theirs, rtol=0, atol=1e-5)


@kinds
def test_hook_in_a_model(kind: str) -> None:
    """Embedding's own mask, a functional model, `predict`."""

    def build() -> Any:
        return keras.Sequential(
            [
                layers.Input((T,), dtype="int32"),
                layers.Embedding(7, I, mask_zero=True),
                unbuilt(kind, return_sequences=True),
                layers.Bidirectional(unbuilt(kind)),
                layers.Dense(2),
            ]
        )

    ids = np.array([[1, 2, 0, 3, 0], [4, 5, 6, 0, 0], [1, 1, 1, 1, 1]])
    model = build()
    randomize(model)
    theirs = model.predict(ids, verbose=0)
    fk.clear_report()
    with fk.enabled():
        ours = model.predict(ids, verbose=0)
    assert sum(fk.report().taken.values()) == 3
    np.testing.assert_allclose(ours, theirs, rtol=0, atol=1e-5)
