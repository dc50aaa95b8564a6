"""The softmax over a vocabulary: its loss and gradient, by the definition and by torch."""

from __future__ import annotations

import re
from typing import Any

import numpy as np
import pytest
from bound import Kernel
from cases import F32, F64, SIZES, Array
from checks import assert_close, assert_same, check_float_state, others_run_beside

from fastlstm.kernels.reference import softmax

# A loss is a logarithm of a sum of V numbers of 6e-8 each; a mistake is far above.
ALLOWED = {F32: 1e-6, F64: 1e-14}
# Around vectors, around what a vector takes the sum of, and more than a block of rows.
SHAPES = [(1, V) for V in SIZES] + [(3, 1), (31, 5), (32, 8), (33, 70), (65, 513), (5, 1100)]


def draw(M: int, V: int, dtype: Any = F64, scale: float = 3.0) -> tuple[Array, Array]:
    rng = np.random.default_rng(M + V)
    return (scale * rng.standard_normal((M, V))).astype(dtype), rng.integers(0, V, M)


def biases(M: int, V: int, dtype: Any) -> tuple[Array, Array]:
    rng = np.random.default_rng(1)
    return rng.standard_normal(V).astype(dtype), rng.standard_normal(M).astype(dtype)


def definition(
    z: Array, targets: Array, bias: Array | None, target_bias: Array | None, scale: float
) -> tuple[float, Array]:
    """In float64, by the logarithm of the sum."""
    z, n = z.astype(F64), np.arange(len(z))
    if bias is not None:
        z += bias
    if target_bias is not None:
        z[n, targets] += target_bias
    z -= z.max(axis=1, keepdims=True)
    log = z - np.log(np.exp(z).sum(axis=1, keepdims=True))
    d = np.exp(log)
    d[n, targets] -= 1
    return -log[n, targets].sum(), scale * d


@pytest.mark.parametrize("dtype", [F32, F64], ids=str)
@pytest.mark.parametrize("biased", [False, True])
def test_loss_and_gradient(kernel: Kernel, biased: bool, dtype: Any) -> None:
    for M, V in SHAPES:
        z, targets = draw(M, V, dtype)
        added = biases(M, V, dtype) if biased else (None, None)
        loss, d = definition(z, targets, *added, 0.7)
        plain = z.copy()
        found, none = kernel.softmax_cross_entropy(plain, targets, *added)
        assert none is None
        again, dbias = kernel.softmax_cross_entropy(z, targets, *added, scale=0.7, dbias=True)
        assert found == again, "the loss depends on whether the gradient is wanted"
        assert found == pytest.approx(loss, rel=ALLOWED[dtype], abs=M * ALLOWED[dtype])
        assert_close(z, d, ALLOWED[dtype], f"gradient of {M}, {V}")
        assert_close(dbias, d.sum(axis=0), 4 * ALLOWED[dtype], f"dbias of {M}, {V}")
        assert z.dtype == dbias.dtype == dtype


def test_differences_of_the_loss(kernel: Kernel) -> None:
    z, targets = draw(7, 19)
    bias, target_bias = biases(7, 19, F64)

    def loss(z: Array, bias: Array, target_bias: Array) -> float:
        return kernel.softmax_cross_entropy(z.copy(), targets, bias, target_bias)[0]

    d, rng, step = z.copy(), np.random.default_rng(2), 1e-5
    _, dbias = kernel.softmax_cross_entropy(d, targets, bias, target_bias, scale=1.0, dbias=True)
    dtarget = d[np.arange(7), targets]
    for gradient, arrays in ((d, (z, 0, 0)), (dbias, (0, bias, 0)), (dtarget, (0, 0, target_bias))):
        along = rng.standard_normal(gradient.shape)
        values = []
        for sign in (1, -1):
            moved = [
                now + sign * step * along if now is not_zero else now
                for now, not_zero in zip((z, bias, target_bias), arrays, strict=True)
            ]
            values.append(loss(*moved))
        slope = (values[0] - values[1]) / (2 * step)
        assert slope == pytest.approx(float(np.sum(gradient * along)), abs=1e-8)


@pytest.mark.parametrize("dtype", [F32, F64], ids=str)
def test_cross_entropy_of_torch(kernel: Kernel, dtype: Any) -> None:
    torch = pytest.importorskip("torch")
    z, targets = draw(40, 300, dtype, 20.0)
    theirs = torch.from_numpy(z.astype(F64)).requires_grad_()
    loss = torch.nn.functional.cross_entropy(theirs, torch.from_numpy(targets), reduction="sum")
    loss.backward()
    found, dbias = kernel.softmax_cross_entropy(z, targets, scale=1.0, dbias=True)
    assert found == pytest.approx(loss.item(), rel=ALLOWED[dtype])
    assert_close(z, theirs.grad.numpy(), 10 * ALLOWED[dtype], "gradient")
    assert_close(dbias, theirs.grad.sum(0).numpy(), 10 * ALLOWED[dtype], "dbias")


@pytest.mark.parametrize("dtype", [F32, F64], ids=str)
def test_the_bits_depend_neither_on_threads_nor_on_neighbours(
    compiled_kernel: Kernel, dtype: Any
) -> None:
    M, V = 133, 1100  # large enough for several threads
    z, targets = draw(M, V, dtype)
    bias, target_bias = biases(M, V, dtype)
    results = []
    for n_threads in (1, 2, 3):
        d = z.copy()
        loss, dbias = compiled_kernel.softmax_cross_entropy(
            d, targets, bias, target_bias, scale=0.1, dbias=True, n_threads=n_threads
        )
        results.append((np.array(loss), d, dbias))
    for other in results[1:]:
        for one, first in zip(other, results[0], strict=True):
            assert_same(one, first, "of other threads")
    for row in (0, 31, 32, 132):
        alone = z[row : row + 1].copy()
        compiled_kernel.softmax_cross_entropy(
            alone, targets[[row]], bias, target_bias[[row]], scale=0.1
        )
        assert_same(alone[0], results[0][1][row], f"row {row} alone")


@pytest.mark.parametrize("block", [1, 300])
def test_blocks_of_the_reference(block: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(softmax, "BLOCK", block)
    z, targets = draw(9, 70)
    added = biases(9, 70, F64)
    loss, d = definition(z, targets, *added, 1.0)
    found, dbias = softmax.softmax_cross_entropy(z, targets, *added, scale=1.0, dbias=True)
    assert found == pytest.approx(loss, rel=1e-14)
    assert_close(z, d, 1e-14, "gradient")
    assert_close(dbias, d.sum(axis=0), 1e-14, "dbias")


@pytest.mark.parametrize("dtype", [F32, F64], ids=str)
@pytest.mark.parametrize("V", [1, 2, 5, 40, 1100])
def test_far_apart_and_alike(kernel: Kernel, V: int, dtype: Any) -> None:
    """What is too small for a number is 0; equal logits are equally likely."""
    rows = [
        np.full(V, 1e30), np.full(V, -1e30), np.where(np.arange(V) == V // 2, 1e30, -1e30),
        np.where(np.arange(V) == V - 1, 1000.0, -1000.0), np.linspace(-2000, 0, V),
        np.where(np.arange(V) % 2, -np.inf, 0.0), np.where(np.arange(V) == V - 1, 5.0, -np.inf),
        np.arange(V) * -87.5, np.arange(V) * -708.9, np.arange(V) * -0.5,
    ]  # fmt: skip
    z = np.array(rows).astype(dtype)
    targets = np.argmax(z, axis=1)
    loss, d = definition(z, targets, None, None, 1.0)
    each = [kernel.softmax_cross_entropy(z[[n]].copy(), targets[[n]])[0] for n in range(len(rows))]
    found, _ = kernel.softmax_cross_entropy(z, targets, scale=1.0)
    assert np.isfinite(z).all()
    assert found == pytest.approx(loss, rel=ALLOWED[dtype])
    assert sum(each) == pytest.approx(loss, rel=ALLOWED[dtype])
    assert_close(z, d, ALLOWED[dtype], "gradient")
    others = np.delete(z[2], V // 2)
    assert not others.any(), "what underflows is not 0"
    assert each[0] == pytest.approx(np.log(V), rel=1e-12)


@pytest.mark.parametrize("dtype", [F32, F64], ids=str)
def test_losses_of_words_far_below_the_largest(kernel: Kernel, dtype: Any) -> None:
    """Their probability underflows, their loss does not."""
    z = np.array([[0.0, -1e4, -2e4], [0.0, -np.inf, 0.0]]).astype(dtype)
    found, _ = kernel.softmax_cross_entropy(z[:1].copy(), np.array([1]))
    assert found == 1e4
    infinite, _ = kernel.softmax_cross_entropy(z[1:], np.array([1]), scale=1.0)
    assert infinite == np.inf
    assert_close(z[1], np.array([0.5, -1.0, 0.5]), ALLOWED[dtype], "gradient")


@pytest.mark.parametrize("dtype", [F32, F64], ids=str)
@pytest.mark.parametrize("value", [np.nan, np.inf])
@pytest.mark.parametrize("place", [0, 15, 39, 40])
def test_no_number_stays_in_its_row(kernel: Kernel, place: int, value: float, dtype: Any) -> None:
    z, targets = draw(3, 41, dtype)
    expected = z[[0, 2]].copy()
    kernel.softmax_cross_entropy(expected, targets[[0, 2]], scale=1.0)
    z[1, place] = value
    loss, dbias = kernel.softmax_cross_entropy(z, targets, scale=1.0, dbias=True)
    assert np.isnan(loss)
    assert np.isnan(z[1]).any()
    assert np.isnan(dbias).any()
    assert_same(z[[0, 2]], expected, "rows beside it")
    nothing = np.full((1, 41), -np.inf, dtype)
    assert np.isnan(kernel.softmax_cross_entropy(nothing, targets[:1], scale=1.0)[0])


def test_no_rows(kernel: Kernel) -> None:
    loss, dbias = kernel.softmax_cross_entropy(
        np.zeros((0, 5)), np.zeros(0, np.int64), scale=1.0, dbias=True
    )
    assert loss == 0
    assert dbias.tolist() == [0] * 5
    loss, dbias = kernel.softmax_cross_entropy(
        np.zeros((0, 0)), np.zeros(0, np.int64), scale=1.0, dbias=True
    )
    assert (loss, dbias.shape) == (0, (0,))


WRONG: list[tuple[dict[str, Any], type[Exception], str]] = [
    ({"logits": np.zeros(3)}, ValueError, "logits has shape (3,), expected (any, any)"),
    ({"logits": np.zeros((4, 3), int)}, TypeError, "logits is of int64"),
    ({"logits": [[0.0]]}, TypeError, "logits is of list"),
    ({"logits": np.zeros((4, 6))[:, ::2]}, ValueError, "logits has strides (48, 16)"),
    ({"logits": np.zeros((3, 4)).T}, ValueError, "logits has strides (8, 32)"),
    ({"logits": np.broadcast_to(np.zeros(3), (4, 3))}, ValueError, "logits has strides (0, 8)"),
    ({"targets": np.zeros(4)}, TypeError, "targets is an array of float64, expected int64"),
    ({"targets": np.zeros(3, int)}, ValueError, "targets has shape (3,), expected (4,)"),
    ({"targets": np.zeros((4, 1), int)}, ValueError, "targets has shape (4, 1), expected (4,)"),
    ({"targets": [0] * 4}, TypeError, "targets is a list"),
    ({"targets": np.array([0, 1, 3, 0])}, IndexError, "targets[2] is 3, expected 0 to 2"),
    ({"targets": np.array([0, -1, 0, 0])}, IndexError, "targets[1] is -1, expected 0 to 2"),
    ({"targets": np.array([0, 1 << 62, 0, 0])}, IndexError, "targets[1] is 4611686018427387904"),
    ({"bias": np.zeros(4)}, ValueError, "bias has shape (4,), expected (3,)"),
    ({"bias": np.zeros(3, F32)}, TypeError, "bias is an array of float32, expected float64"),
    ({"target_bias": np.zeros(3)}, ValueError, "target_bias has shape (3,), expected (4,)"),
    ({"target_bias": 1.0}, TypeError, "target_bias is a float"),
]


@pytest.mark.parametrize(("wrong", "error", "message"), WRONG, ids=[w[2] for w in WRONG])
def test_wrong_arguments_of_a_softmax(
    kernel: Kernel, wrong: dict[str, Any], error: type[Exception], message: str
) -> None:
    given = {"logits": np.zeros((4, 3)), "targets": np.zeros(4, np.int64), **wrong}
    with pytest.raises(error, match=re.escape(message)):
        kernel.softmax_cross_entropy(**given, scale=1.0, dbias=True)


def test_logits_that_cannot_be_overwritten(kernel: Kernel) -> None:
    z, targets = draw(3, 3)
    for name, own in (("bias", z[0]), ("target_bias", z[1])):
        with pytest.raises(ValueError, match=f"logits shares memory with {name}"):
            kernel.softmax_cross_entropy(z, targets, **{name: own})
    z.flags.writeable = False
    with pytest.raises(ValueError, match="logits is read-only, expected an array to write to"):
        kernel.softmax_cross_entropy(z, targets)


def test_other_layouts_of_what_is_added(kernel: Kernel) -> None:
    z, targets = draw(4, 6)
    bias, target_bias = biases(8, 12, F64)
    expected = z.copy()
    loss, _ = kernel.softmax_cross_entropy(
        expected, targets, bias[::2].copy(), target_bias[::-2].copy(), scale=1.0
    )
    found, _ = kernel.softmax_cross_entropy(z, targets, bias[::2], target_bias[::-2], scale=1.0)
    assert found == loss
    assert_same(z, expected, "gradient")


@pytest.mark.parametrize("n_threads", [1, 2])
def test_floating_point_state_after_a_softmax(
    native: Any, native_kernel: Kernel, n_threads: int
) -> None:
    z, targets = draw(200, 1100, F32)

    def call() -> None:
        native_kernel.softmax_cross_entropy(
            z.copy(), targets, scale=1.0, dbias=True, n_threads=n_threads
        )

    call()
    check_float_state(call, native.mxcsr)


@pytest.mark.usefixtures("native")
def test_the_gil_is_released_by_a_softmax() -> None:
    z, targets = draw(1_000_000, 2, F32)
    kernel = Kernel("lstm", "native")
    assert others_run_beside(lambda: kernel.softmax_cross_entropy(z, targets))
