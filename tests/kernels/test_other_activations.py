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

from fastlstm.kernels import Call, CellSpec, Rows, Weights
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
FEW = [
    with_activations("lstm", Activation("relu"), KERAS_3),
    with_activations("gru", Activation("softsign"), Activation("hard_sigmoid")),
    with_activations("gru_reset_before", Activation("sigmoid"), KERAS_3),
]
CASE = Case(4, 5, 3, 19, ragged=True, reset=True, mask=True)


def named(cell: CellSpec) -> str:
    parts = (cell.name, cell.activation.name, cell.recurrent_activation.name)
    return "-".join((*parts, "6")[: 3 + (KERAS_3 in (cell.activation, cell.recurrent_activation))])


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


def test_usual_activations_are_the_usual_cells() -> None:
    tanh, relu = Activation("tanh"), Activation("relu")
    assert with_activations("rnn_tanh", relu).name == "rnn_relu"
    assert with_activations("lstm", tanh).usual
    hard = Activation("hard_sigmoid")
    assert with_activations("lstm", tanh, hard) is with_activations("lstm", tanh, hard)


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
