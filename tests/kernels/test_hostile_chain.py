"""Chains that do not fit, and input that does not fit them: errors that name what and where."""

from __future__ import annotations

import re
from typing import Any

import numpy as np
import pytest
from chains import cell, named, signal

from fastlstm import kernels
from fastlstm.kernels.chain import ChainSpec, Convolution, Map, Mean, Recurrence


def weight(*shape: int, dtype: str = "float32") -> Any:
    return np.ones(shape, dtype)


def make(backend_isa: str, spec: ChainSpec, rows: int = 2) -> Any:
    return kernels.backend(backend_isa.partition("-")[0]).chain(spec, rows)


GOOD = Convolution(weight(4, 3, 2))
LSTM: Any = cell(np.random.default_rng(0), "lstm", 3, 4)
WRONG: list[tuple[Any, str]] = [
    ([], "stages is empty"),
    ([GOOD._replace(weight=weight(4, 5, 2))], "stages[0].weight has shape (4, 5, 2)"),
    ([GOOD, GOOD], "stages[1].weight has shape (4, 3, 2), expected (any, 4, any)"),
    ([GOOD._replace(weight=weight(4, 3, 2, dtype="float64"))], "is an array of float64"),
    ([GOOD._replace(weight=weight(4, 3))], "stages[0].weight has shape (4, 3)"),
    ([GOOD._replace(weight=weight(4, 3, 0))], "expected no empty axis"),
    ([GOOD._replace(weight=[[[1.0]]])], "stages[0].weight is a list"),
    ([GOOD._replace(bias=weight(3))], "stages[0].bias has shape (3,), expected (4,)"),
    ([GOOD._replace(stride=0)], "stages[0] has stride 0, expected at least 1"),
    ([GOOD._replace(context=-1)], "stages[0] has context -1"),
    ([GOOD._replace(padding=(0, -1))], "stages[0] has padding behind -1"),
    ([GOOD._replace(padding=(0, 5), reflect=True)], "expected less than the 5 positions"),
    ([GOOD._replace(weight=weight(4, 3, 6))], "stages[0] has a kernel of 6, expected at most 5"),
    ([Map("magnitude")], "stages[0] is a magnitude of 3 channels"),
    ([Map("sine")], "stages[0] is Map(name='sine'), expected a stage"),
    (["relu"], "stages[0] is 'relu', expected a stage"),
    ([Mean(), LSTM], "stages[1] has weights of float64, expected float32"),
    ([Recurrence(LSTM.cell, LSTM.weights._replace(w_ih=weight(9, 3, dtype="float64")))], "w_ih"),
]  # fmt: skip


@pytest.mark.parametrize(("stages", "message"), WRONG)
def test_stages_that_do_not_fit(backend_isa: str, stages: Any, message: str) -> None:
    with pytest.raises((TypeError, ValueError), match=re.escape(message)):
        make(backend_isa, ChainSpec(tuple(stages), 5, 3))


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"frame": 0}, "frame is 0, expected at least 1"),
        ({"channels": 0}, "channels is 0"),
        ({"dtype": "int8"}, "dtype is 'int8', expected float32 or float64"),
        ({"channels": 4}, "stages[0].weight has shape (4, 3, 2), expected (any, 4, any)"),
    ],
)
def test_chains_of_no_size(backend_isa: str, changes: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=re.escape(message)):
        make(backend_isa, ChainSpec((GOOD,), 5, 3)._replace(**changes))
    with pytest.raises(ValueError, match="batch_size is 0"):
        make(backend_isa, ChainSpec((GOOD,), 5, 3), 0)


@pytest.mark.parametrize(
    "spec",
    [
        ChainSpec((GOOD,), 1 << 61, 3),
        ChainSpec((GOOD._replace(context=1 << 62),), 5, 3),
        ChainSpec((GOOD._replace(padding=(1 << 62, 1 << 62)),), 5, 3),
        ChainSpec((Map("relu"),), 5, 1 << 62),
    ],
)
def test_sizes_of_no_array(backend_isa: str, spec: ChainSpec) -> None:
    with pytest.raises(MemoryError, match="no memory for frames"):
        make(backend_isa, spec)
    with pytest.raises(MemoryError, match="no memory for frames"):
        make(backend_isa, ChainSpec((GOOD,), 5, 3), 1 << 60)


def test_input_that_does_not_fit(backend_isa: str) -> None:
    spec = named("causal with a stride", "float32")
    run, x = make(backend_isa, spec), signal(spec, 2, 2)
    wrong: list[tuple[Any, str]] = [
        (x.tolist(), "x is a list, expected a NumPy array of float32"),
        (x.astype("float64"), "x has dtype float64, expected float32"),
        (x.astype(">f4"), "expected float32"),
        (x.astype("M8[s]"), "x has dtype datetime64[s], expected float32"),
        (np.ma.masked_less(x, x.max()), "x masks"),
        (x[:1], "x has shape (1, 12, 2), expected (2, any, 2)"),
        (x[..., :1], "x has shape (2, 12, 1), expected (2, any, 2)"),
        (x[0], "x has shape (12, 2), expected (2, any, 2)"),
        (x[:, :7], "x has 7 positions in a row, expected a multiple of the frame, 6"),
        (x[:, :0], "x has 0 positions in a row, expected a multiple of the frame, 6"),
        (np.float32(3), "x is a float32"),
        (None, "x is a NoneType"),
    ]
    for given, message in wrong:
        with pytest.raises((TypeError, ValueError), match=re.escape(message)):
            run(given)
    np.testing.assert_array_equal(run(x), make(backend_isa, spec)(x))  # nothing went on


def test_states_that_do_not_fit(backend_isa: str) -> None:
    spec = named("detector", "float32")
    run = make(backend_isa, spec)
    past, h, c = run.state
    for wrong in ((past, h), (past, h, c[:, :1]), (past, h, c.astype("float64")), past, None):
        with pytest.raises((TypeError, ValueError), match="state"):
            run.state = wrong
