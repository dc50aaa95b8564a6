"""The sizes, cases and tolerances of all tests of kernels and layers: data, one place."""

from __future__ import annotations

import os
import platform
from collections.abc import Iterable
from dataclasses import dataclass, field, replace
from importlib import import_module
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from fastlstm.kernels import BACKENDS, CELLS, CellSpec, Reset, Rows, Weights

Array = NDArray[Any]
F32, F64 = np.dtype(np.float32), np.dtype(np.float64)

ON_ARM = platform.machine() in ("aarch64", "arm64")
# Those of this processor's family.
FAMILY = ("base", "neon") if ON_ARM else ("base", "avx2", "avx512")
# Those that add products of lower precision; in full precision each is one of the others.
ALL_LOWER = ("avxvnni", "avx512vnni", "avx512bf16", "amx", "neondotprod", "neonbf16")
LOWER = tuple(isa for isa in ALL_LOWER if isa.startswith("neon") == ON_ARM)
# Slow, as it compiles itself: minutes where nothing is cached.
NUMBA = pytest.param("numba", marks=pytest.mark.slow)
# FASTLSTM_TEST_ISA names one instruction set. That is enough for another build of kernels that were
# tested under all of them, and of the reference.
ONLY_ISA = os.environ.get("FASTLSTM_TEST_ISA")


def of_this_machine(isas: tuple[str, ...]) -> tuple[str, ...]:
    """Those of the build that this machine can run; all where the backend cannot tell."""
    try:
        native: Any = import_module(BACKENDS["native"])
    except ImportError:
        return isas
    runnable = native.supported_isas()
    return tuple(isa for isa in isas if isa in runnable)


TESTED = (ONLY_ISA,) if ONLY_ISA else of_this_machine(FAMILY)
NOT_HERE = tuple(isa for isa in (*FAMILY, *LOWER) if isa not in of_this_machine((isa,)))

# One below, at and above each width of a vector or a tile, and of several of them.
SIZES = (1, 7, 8, 9, 15, 16, 17, 31, 33, 64)

# Largest error allowed, relative to the largest value of the array compared. The oracle runs in
# float64 on the same inputs.
TOLERANCE = {
    # As promised to users (against torch too). Rounding of float32 is 6e-8 an operation; sums over
    # up to 100 terms and 10 steps stay below 1e-6, a mistake is far above 1e-4.
    ("output", F32): 1e-5,
    ("gradient", F32): 1e-4,
    # Rounding of float64 is 1e-16 an operation.
    ("output", F64): 1e-12,
    ("gradient", F64): 1e-12,
    # Sums of factors rounded to bfloat16, 4e-3 of each, that are rounded in another order.
    ("gradient", "bfloat16"): 2e-2,
    # torch's float64, as promised: its order of operations is another.
    ("torch", F64): 1e-10,
    # Fourth-order differences with step 1e-3: h^4 = 1e-12 times the fifth derivative, and 1e-16
    # of rounding divided by h.
    ("difference", F64): 1e-8,
    # The same with step 1e-6, for what has a kink: rounding of a loss of 100 divided by h.
    ("kinked difference", F64): 1e-6,
    # Largest relative error of a kernel's exp, sigmoid and tanh, as stated in activations.h.
    ("activation", F32): 3e-7,
    ("activation", F64): 6e-16,
    # And as stated in activations_rounded.h: of sigmoid, and of its distance to 1, and of tanh.
    ("activation", "rounded sigmoid"): 8e-5,
    ("activation", "rounded tanh"): 2.3e-4,
}


@dataclass(frozen=True)
class Case:
    """One layer in one direction, of any cell: sizes, options and a seed to draw from."""

    T: int
    N: int
    I: int
    H: int
    ragged: bool = False
    reverse: bool = False
    bias: bool = True
    proj: int = 0  # of cells that project, others leave it out
    reset: bool = False
    mask: bool = False  # of recurrent dropout
    dtype: np.dtype[Any] = field(default=F64)
    seed: int = 0

    def __str__(self) -> str:
        flags = [name for name in ("ragged", "reverse", "reset", "mask") if getattr(self, name)]
        flags += [] if self.bias else ["nobias"]
        flags += [f"proj{self.proj}"] if self.proj else []
        return "-".join([f"T{self.T}N{self.N}I{self.I}H{self.H}", str(self.dtype), *flags])

    def with_dtype(self, dtype: np.dtype[Any]) -> Case:
        return replace(self, dtype=dtype)


@dataclass
class Problem:
    """The arrays of a case: inputs of forward and of backward. R is H without a projection."""

    x: Array  # [T,N,I]
    state: tuple[Array, ...]  # [N,R], and [N,H]
    weights: Weights
    rows: Rows
    dy: Array | None  # [T,N,R]
    dstate: tuple[Array | None, ...]  # like state
    reverse: bool
    reset: Reset | None
    mask: Array | None = None  # [N,R]

    def astype(self, dtype: np.dtype[Any]) -> Problem:
        """Return a copy in another precision."""

        def cast(arrays: Iterable[Array | None]) -> Any:
            return tuple(None if a is None else a.astype(dtype) for a in arrays)

        x, dy, mask = cast((self.x, self.dy, self.mask))
        reset = self.reset and Reset(self.reset.mask, cast(self.reset.state))
        state, dstate = cast(self.state), cast(self.dstate)
        weights = self.weights.map(lambda w: w.astype(dtype))
        return Problem(x, state, weights, self.rows, dy, dstate, self.reverse, reset, mask)


def draw_lengths(rng: np.random.Generator, T: int, N: int) -> NDArray[np.int64]:
    """Lengths 0..T: a zero and a full row where there is room for them."""
    lengths = rng.integers(0, T + 1, N)
    lengths[: min(N, 2)] = (T, 0)[: min(N, 2)]
    return rng.permutation(lengths)


def make(case: Case, cell: CellSpec) -> Problem:
    """Draw the arrays of a case: normal numbers, weights that keep gates alive."""
    rng = np.random.default_rng(case.seed)
    T, N, I, H = case.T, case.N, case.I, case.H
    proj = case.proj if cell.projects else 0
    R, G = proj or H, cell.gate_rows(H)

    def draw(*shape: int, scale: float = 1.0) -> Array:
        return (rng.standard_normal(shape) * scale).astype(case.dtype)

    def draw_states() -> tuple[Array, ...]:
        return tuple(draw(N, R if name == "h" else H) for name in cell.states)

    weights = Weights(
        draw(G, I, scale=1 / np.sqrt(I)),
        draw(G, R, scale=1 / np.sqrt(R)),
        draw(G) if case.bias else None,
        draw(G) if case.bias else None,
        draw(R, H, scale=1 / np.sqrt(H)) if proj else None,
        tuple(draw(H) for _ in cell.params),
    )
    return Problem(
        x=draw(T, N, I),
        state=draw_states(),
        weights=weights,
        rows=Rows(T, N, draw_lengths(rng, T, N) if case.ragged else None),
        dy=draw(T, N, R),
        dstate=draw_states(),
        reverse=case.reverse,
        # Behind a row's length too, where nothing may be read.
        reset=Reset(rng.random((T, N)) < 0.3, draw_states()) if case.reset else None,
        mask=((rng.random((N, R)) < 0.7) / 0.7).astype(case.dtype) if case.mask else None,
    )


def _curated() -> list[Case]:
    """Each size once as H, once as N, I and projection, with every option several times."""
    cases = []
    for k, H in enumerate(SIZES):
        N, I = SIZES[(3 * k + 1) % 10], SIZES[(7 * k + 2) % 10]
        T = (1, 2, 3, 6)[k % 4]
        proj = SIZES[(k - 3) % 10] if 3 <= k else 0
        cases.append(
            Case(T, N, I, H, ragged=k % 2 == 1, reverse=k % 3 == 1, bias=k % 4 != 3, seed=k + 300)
        )
        cases.append(
            Case(T + 2, N, I, H, k % 2 == 0, k % 3 == 0, True, proj, k % 5 < 3, seed=k + 100)
        )
        if k % 3 == 1:
            flags = {"ragged": k % 2 == 0, "reverse": k % 4 == 0, "reset": k == 7}
            cases.append(Case(T + 1, N, I, H, proj=proj, mask=True, **flags, seed=k + 200))
    return cases


CASES = _curated()
# For what takes many runs of a case.
SMALL = [
    Case(1, 1, 1, 1),
    Case(1, 3, 2, 5, seed=1),
    Case(2, 2, 3, 4, reverse=True, seed=2),
    Case(2, 5, 4, 9, ragged=True, bias=False, seed=3),
    Case(5, 4, 3, 7, ragged=True, seed=4),
    Case(5, 9, 7, 17, ragged=True, reverse=True, seed=5),
    Case(3, 2, 2, 3, proj=2, seed=6),
    Case(6, 7, 5, 9, proj=8, ragged=True, reset=True, seed=7),
    Case(6, 6, 9, 8, reverse=True, reset=True, ragged=True, seed=8),
    Case(4, 3, 2, 5, mask=True, seed=9),
    Case(5, 6, 4, 9, proj=4, ragged=True, reverse=True, reset=True, mask=True, seed=10),
]


def spread(cases: list[Case], others: int = 4) -> list[tuple[str, Case]]:
    """Every cell with its cases: the first cell with all, the others with one in `others`, each
    with different ones."""
    first, *rest = CELLS
    pairs = [(first, case) for case in cases]
    for k, cell in enumerate(rest):
        pairs += [(cell, case) for case in cases[k % others :: others]]
    return pairs


each_cell = pytest.mark.parametrize("cell", CELLS)
