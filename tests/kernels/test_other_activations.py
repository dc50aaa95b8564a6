"""Cells whose activations are not tanh and sigmoid: values, gradients, and what they promise."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from bound import Kernel
from cases import F32, F64, Case, make
from checks import check_differences, check_reference, run_forward
from contracts import (
    check_chunks,
    check_lengths_of_others,
    check_poison_stays,
    check_recompute,
    check_reset,
    check_row_independence,
    check_stream,
    check_threads,
    check_tokens,
)

from fastlstm.kernels import Call, CellSpec, Gradients, Rows, Weights
from fastlstm.kernels.call import Array
from fastlstm.kernels.spec import ACTIVATIONS, Activation, with_activations

KERAS_3 = Activation("hard_sigmoid", 1 / 6, 0.5)
EACH = [*map(Activation, ACTIVATIONS), KERAS_3]
# Every activation in either place.
PAIRS = list(zip(EACH, [*EACH[-2:], *EACH[:-2]], strict=True))
CELLS = [
    *(with_activations(name, *pair) for name in ("lstm", "gru") for pair in PAIRS),
    *(with_activations(name, *pair) for name in ("gru_reset_before",) for pair in PAIRS[1::2]),
    *(with_activations("peephole_lstm", *pair) for pair in PAIRS[::3]),
    *(with_activations("rnn_tanh", a) for a in EACH if a.name not in ("tanh", "relu")),
]
# Every activation clipped, in either place, some of them in one alone; an LSTM's cell is not.
CLIPPED = [a._replace(clip=0.3) for a in (*EACH, Activation("hard_sigmoid", -0.3, 0.4))]
CLIPPED_CELLS = [
    *(
        with_activations(name, a, b, state)
        for name in ("lstm", "gru", "gru_reset_before", "peephole_lstm")
        for a, b, state in (
            (CLIPPED[0], CLIPPED[1], None),
            (CLIPPED[2], CLIPPED[4], Activation("softsign")),
            (CLIPPED[5], CLIPPED[7], Activation("linear")),
            (Activation("tanh"), CLIPPED[6], Activation("tanh")),
            (CLIPPED[3], Activation("sigmoid"), Activation("tanh")),
        )
    ),
    *(with_activations("rnn_tanh", a) for a in CLIPPED),
]
CELLS += CLIPPED_CELLS
FEW = [
    with_activations("lstm", Activation("relu"), KERAS_3),
    with_activations("lstm", CLIPPED[0], CLIPPED[1]),
    with_activations("peephole_lstm", CLIPPED[2], CLIPPED[4], Activation("softsign")),
    with_activations("gru", Activation("softsign"), Activation("hard_sigmoid")),
    with_activations("gru_reset_before", Activation("sigmoid"), KERAS_3),
]
CASE = Case(4, 5, 3, 19, ragged=True, reset=True, mask=True)


def named(cell: CellSpec) -> str:
    parts = (cell.name, cell.activation.name, cell.recurrent_activation.name)
    three = (cell.activation, cell.recurrent_activation, cell.state_activation)
    clips = "".join("c" if a.clip < np.inf else "o" for a in three)
    more = "6" * (KERAS_3 in three), clips * ("c" in clips)
    return "-".join([*parts, *filter(None, more)])


each_cell = pytest.mark.parametrize("spec", CELLS, ids=named)
some_cells = pytest.mark.parametrize("spec", FEW, ids=named)


@pytest.fixture
def kernel(spec: CellSpec, backend_isa: str) -> Kernel:
    backend = backend_isa.partition("-")[0]
    if backend == "numba":
        pytest.skip("it has the usual activations alone")
    return Kernel(spec, backend)


@each_cell
def test_other_cells_equal_the_reference(kernel: Kernel) -> None:
    check_reference(kernel, CASE)
    check_reference(kernel, replace(CASE, proj=5, mask=False, reverse=True, dtype=F32))


@each_cell
def test_gradients_of_other_cells_are_differences(spec: CellSpec) -> None:
    check_differences(Kernel(spec, "reference"), replace(CASE, H=5, N=3, proj=2))


@some_cells
@pytest.mark.parametrize("dtype", [F32, F64], ids=str)
def test_other_cells_keep_the_contracts(kernel: Kernel, dtype: Any) -> None:
    case = Case(6, 9, 5, 33, ragged=True, dtype=dtype)
    check_row_independence(kernel, case)
    check_lengths_of_others(kernel, case)
    check_threads(kernel, case)
    check_chunks(kernel, replace(case, ragged=False), [2, 3])
    check_stream(kernel, replace(case, ragged=False))
    check_tokens(kernel, case)
    check_recompute(kernel, case)
    check_reset(kernel, case)
    check_poison_stays(kernel, case, np.nan)


FUNCTIONS: dict[str, Any] = {
    "tanh": np.tanh,
    "sigmoid": lambda z: 1 / (1 + np.exp(-z)),
    "relu": lambda z: z * (z > 0),
    "linear": lambda z: z,
    "hard_sigmoid": lambda z: np.clip(z / 5 + 0.5, 0, 1),
    "softsign": lambda z: z / (1 + np.abs(z)),
}


@pytest.mark.parametrize("name", ACTIVATIONS)
@pytest.mark.parametrize("dtype", [F32, F64], ids=str)
def test_what_an_activation_makes_of_a_sum(backend_isa: str, name: str, dtype: Any) -> None:
    spec = with_activations("rnn_tanh", Activation(name))
    if backend_isa == "numba" and not spec.usual:
        pytest.skip("it has the usual activations alone")
    z = np.concatenate([np.linspace(-6, 6, 37), [-2.5, 2.5, 0, np.nan]]).astype(dtype)
    y = np.empty((1, len(z), 1), dtype)
    weights = Weights(np.ones((1, 1), dtype), np.zeros((1, 1), dtype))
    state = (np.zeros((len(z), 1), dtype),)
    call = Call(z.reshape(1, -1, 1), state, weights, Rows(1, len(z)), y)
    Kernel(spec, backend_isa.partition("-")[0]).backend.forward(spec, call)
    tolerance = 1e-6 if dtype == F32 else 1e-14
    np.testing.assert_allclose(y.ravel(), FUNCTIONS[name](z), rtol=tolerance, atol=tolerance)


@pytest.mark.parametrize("activation", CLIPPED, ids=lambda a: f"{a.name}-{a.alpha:.2g}")
@pytest.mark.parametrize("dtype", [F32, F64], ids=str)
def test_what_a_clip_makes_of_a_sum(backend_isa: str, activation: Activation, dtype: Any) -> None:
    """Outside of it the value is that of its end, to the bit, and the gradient is zero."""
    if backend_isa == "numba":
        pytest.skip("it has the usual activations alone")
    clipped = with_activations("rnn_tanh", activation)
    plain = with_activations("rnn_tanh", activation._replace(clip=1e30))  # a cell as the other
    clip = dtype.type(activation.clip)
    z = np.array([-np.inf, -7, -0.31, -clip, -0.2, 0.1, 0.29, clip, 0.31, 7, np.inf, np.nan], dtype)
    y, dx = _value_and_gradient(clipped, backend_isa, z)
    expected, slope = _value_and_gradient(plain, backend_isa, np.clip(z, -clip, clip))
    np.testing.assert_array_equal(y, expected)
    finite = np.isfinite(z)  # of an infinite input all gradients of its row may be NaN
    np.testing.assert_array_equal(dx[finite], np.where(np.abs(z) >= clip, 0, slope)[finite])
    assert (slope[4:7] != 0).any()


def _value_and_gradient(spec: CellSpec, backend_isa: str, z: Array) -> tuple[Array, Array]:
    """What a plain cell makes of sums, and its slope there."""
    kernel = Kernel(spec, backend_isa.partition("-")[0])
    weights = Weights(np.ones((1, 1), z.dtype), np.zeros((1, 1), z.dtype))
    y, dx = np.empty((1, len(z), 1), z.dtype), np.empty((1, len(z), 1), z.dtype)
    state = (np.zeros((len(z), 1), z.dtype),)
    call = Call(z.reshape(1, -1, 1), state, weights, Rows(1, len(z)), y, save=True)
    _, saved = kernel.backend.forward(spec, call)
    sums = Weights(*(None if w is None else np.zeros_like(w) for w in weights))
    kernel.backend.backward(saved, Gradients(np.ones_like(y), (None,), sums, dx))
    return y.ravel(), dx.ravel()


def test_usual_activations_are_the_usual_cells() -> None:
    tanh, relu = Activation("tanh"), Activation("relu")
    assert with_activations("rnn_tanh", relu).name == "rnn_relu"
    assert with_activations("lstm", tanh).usual
    hard = Activation("hard_sigmoid")
    assert with_activations("lstm", tanh, hard) is with_activations("lstm", tanh, hard)
    assert with_activations("rnn_tanh", relu._replace(clip=6.0)).name == "rnn_tanh"  # and others
    assert not with_activations("lstm", tanh, state_activation=relu).usual
    assert with_activations("lstm", relu, hard, relu) is with_activations("lstm", relu, hard)


def test_numba_says_which_activations_it_has(load_backend: Any) -> None:
    numba, spec = load_backend("numba"), FEW[0]
    p = make(CASE, spec)
    call = Call(p.x, p.state, p.weights, p.rows, np.empty((4, 5, 19)))
    with pytest.raises(NotImplementedError, match="'relu' and recurrent_activation 'hard_sigmoid'"):
        numba.forward(spec, call)


@pytest.mark.parametrize("precision", ["bfloat16", "int8"])
@pytest.mark.parametrize("backend", ["reference", "native"])
def test_other_cells_have_full_precision_alone(
    backend: str, precision: str, load_backend: Any
) -> None:
    load_backend(backend)
    kernel = Kernel(FEW[0], backend, precision)
    p = make(replace(CASE, dtype=F32), FEW[0])
    with pytest.raises(ValueError, match=f"{precision}' with activation 'relu'"):
        run_forward(kernel, p)
    with pytest.raises(ValueError, match=f"{precision}' with activation 'relu'"):
        kernel.Stream([p.weights], 2)
