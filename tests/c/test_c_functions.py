"""The other functions of the table without Python: activations, pooling, softmax, Adam."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from building import Program
from cases import TOLERANCE
from harness import HEADER, OPS
from loop_cases import RAGGED
from numpy.typing import NDArray
from results import assert_close

from fastlstm.kernels import reference
from fastlstm.kernels.adam import AdamNumbers, AdamStep, WeightSum


def run_op(
    program: Program,
    isas: Sequence[str],
    op: str,
    arrays: Sequence[NDArray[Any]],
    like: Sequence[NDArray[Any]],
    folder: Path,
    **sizes: int,
) -> Iterator[tuple[str, list[NDArray[Any]]]]:
    """Run another function of the table: `arrays` in, arrays of shapes and dtypes like these out,
    for each instruction set.

    Sizes are those of the header by name, itemsize is that of the first floating-point array.
    """
    dtype = next(array.dtype for array in arrays if array.dtype.kind == "f")
    head = np.zeros(len(HEADER), np.int64)
    head[:2] = OPS.index(op), dtype.itemsize
    for name, size in sizes.items():
        head[HEADER.index(name)] = size
    given = b"".join(array.tobytes() for array in (head, *arrays))
    ends = np.cumsum([array.nbytes for array in like])
    for isa, data in zip(isas, program.run(isas, given, folder), strict=True):
        if len(data) != ends[-1]:
            raise ValueError(f"{isa}: {len(data)} bytes of results, expected {ends[-1]}")
        parts = (data[end - array.nbytes : end] for end, array in zip(ends, like, strict=True))
        yield (
            isa,
            [
                np.frombuffer(part, array.dtype).reshape(array.shape)
                for part, array in zip(parts, like, strict=True)
            ],
        )


@pytest.mark.parametrize("op", ["exp", "sigmoid", "tanh"])
@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_activation_accuracy(program: Program, op: str, dtype: str, tmp_path: Path) -> None:
    x = np.linspace(-43, 43, 40_000).astype(dtype)
    x = np.concatenate([x, np.geomspace(1e-30, 1, 5_000).astype(dtype)])
    exact = np.longdouble(x)
    right = {"exp": np.exp(exact), "sigmoid": 1 / (1 + np.exp(-exact)), "tanh": np.tanh(exact)}[op]
    for isa, (y,) in run_op(program, program.isas, op, [x], [x], tmp_path, N=x.size):
        error = float(np.abs(y / right - 1).max())
        assert error <= TOLERANCE["activation", x.dtype], f"{isa}: {op} is off by {error:.2e}"


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("threads", [1, 3])
def test_pool_against_reference(
    team_program: Program, dtype: str, threads: int, tmp_path: Path
) -> None:
    rng = np.random.default_rng(7)
    y = np.round(rng.standard_normal((7, 9, 21)), 1).astype(dtype)  # with equal values
    dmean, dmax = rng.standard_normal((2, 9, 21)).astype(dtype)
    lengths = np.array(RAGGED)
    pooled = reference.pool(y, lengths, mean=True, max=True)
    dy = y.copy()
    reference.pool_backward(dy, lengths, dmean, dmax, pooled[2])
    names, expected = ("mean", "max", "step", "dy"), [*pooled, dy]
    for isa, got in run_op(
        team_program, team_program.isas, "pool", [lengths, y, dmean, dmax], expected, tmp_path,
        T=7, N=9, I=21, threads=threads,
    ):  # fmt: skip
        assert_close(
            dict(zip(names, got, strict=True)), dict(zip(names, expected, strict=True)), dtype, isa
        )
        assert np.array_equal(got[2], expected[2]), isa


def check_softmax(program: Program, dtype: str, threads: int, tmp_path: Path) -> None:
    rng = np.random.default_rng(9)
    z = (3 * rng.standard_normal((70, 21))).astype(dtype)
    targets, bias = rng.integers(0, 21, 70), rng.standard_normal(21).astype(dtype)
    target_bias, scale = rng.standard_normal(70).astype(dtype), 0.7
    d = z.astype("float64")
    each = [
        reference.softmax_cross_entropy(d[[n]], targets[[n]], bias.astype("float64"), extra)[0]
        for n, extra in enumerate(target_bias.astype("float64")[:, None])
    ]
    _, dbias = reference.softmax_cross_entropy(
        d, targets, bias.astype("float64"), target_bias.astype("float64"), scale=scale, dbias=True
    )
    expected = {"loss": np.array(each), "gradient": d, "dbias": dbias}
    like = [expected["loss"], z, bias]
    arrays = [z, targets, bias, target_bias, np.array([scale])]
    for isa, got in run_op(
        program, program.isas, "softmax", arrays, like, tmp_path, N=70, I=21, threads=threads
    ):
        assert_close(dict(zip(expected, got, strict=True)), expected, dtype, isa)


@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_softmax_against_reference(program: Program, dtype: str, tmp_path: Path) -> None:
    check_softmax(program, dtype, 1, tmp_path)


@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_softmax_of_three_threads(team_program: Program, dtype: str, tmp_path: Path) -> None:
    check_softmax(team_program, dtype, 3, tmp_path)


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("distinct", [0, 30])
def test_adam_against_reference(
    program: Program, dtype: str, distinct: int, tmp_path: Path
) -> None:
    rng = np.random.default_rng(8)
    index = rng.permutation(30)[:11] if distinct else None
    p, m, v = rng.standard_normal((3, distinct or 11, 21)).astype(dtype)
    v, g = abs(v), rng.standard_normal((11, 21)).astype(dtype)
    factors = {"rate": 0.1, "root": 1.5, "eps": 1e-3, "beta1": 0.9, "beta2": 0.99}
    factors |= {"shrink": 0.98, "decay": 0.01, "scale": 0.7}
    terms = rng.random((2, 11 if distinct else 1)).astype(dtype)  # of each row, or of all
    total = WeightSum(p + 1, *terms)
    arrays = [p, m, v, g, np.array([*factors.values()]), total.sum]
    arrays += [np.resize(term, 11) for term in terms]
    if index is not None:
        arrays.insert(0, index)
    sizes = {"N": 11, "I": 21, "distinct": distinct}
    got = dict(run_op(program, program.isas, "adam", arrays, [p] * 4, tmp_path, **sizes))
    reference.adam(AdamStep(p, m, v, g, index, AdamNumbers(**factors), total))
    expected = {"p": p, "m": m, "v": v, "sum": total.sum}
    for isa, results in got.items():
        assert_close(dict(zip(expected, results, strict=True)), expected, dtype, isa)
