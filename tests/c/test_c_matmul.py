"""Products of matrices without Python: by definition, on any thread."""

from __future__ import annotations

from functools import partial
from pathlib import Path

import numpy as np
import pytest
from building import Program
from test_c_functions import run_op

from fastlstm.kernels import PRECISIONS, reference

pytestmark = pytest.mark.pairs

# batch, n, m, K: around the sizes of tiles, of panels, and of blocks of rows and of K.
SHAPES = [(1, 1, 1, 1), (1, 2, 70, 33), (1, 7, 64, 16), (1, 200, 130, 65), (1, 31, 9, 1100),
          (1, 5, 400, 3), (3, 9, 20, 17), (4, 1, 65, 2)]  # fmt: skip


@pytest.mark.parametrize("precision", PRECISIONS)
@pytest.mark.parametrize("shape", SHAPES, ids=str)
def test_matmul_against_reference(
    rounding_program: Program, shape: tuple[int, ...], precision: str, tmp_path: Path
) -> None:
    (batch, n, m, K), rng = shape, np.random.default_rng(3)
    a, b = (rng.standard_normal((batch, rows, K)).astype(np.float32) for rows in (n, m))
    bias, c = (rng.standard_normal(size).astype(np.float32) for size in (m, (batch, n, m)))
    expected = c + reference.matmul(a, b, bias, precision=precision)
    options = {"T": batch, "N": n, "H": m, "I": K, "bias": 1, "accumulate": 1}
    options["precision_number"] = PRECISIONS.index(precision)
    run = partial(run_op, rounding_program, rounding_program.levels, "matmul", like=[c])
    for threads, packed in ((1, 0), (2, batch == 1)):
        actual = dict(
            run([a, b, bias, c], folder=tmp_path, threads=threads, packed=packed, **options)
        )
        for isa, (found,) in actual.items():
            np.testing.assert_allclose(found, expected, atol=1e-5 * K**0.5, err_msg=isa)
    if precision == "int8":
        return
    for a_transposed, b_transposed in ((1, 0), (0, 1), (1, 1)):
        given = [np.ascontiguousarray(f.swapaxes(1, 2)) if t else f
                 for f, t in ((a, a_transposed), (b, b_transposed))]  # fmt: skip
        way = {"threads": 1, "reverse": a_transposed, "batch_first": b_transposed, **options}
        for isa, (other,) in run([*given, bias, c], folder=tmp_path, **way):
            np.testing.assert_array_equal(other, actual[isa][0], err_msg=isa)
