"""Cases for harness.c: writes inputs, runs it, reads results back.

The same cases run through the NumPy reference, so kernels can be compared with it where there is
no Python: on an emulated machine, or under a sanitizer.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from itertools import accumulate
from pathlib import Path
from typing import Any

import numpy as np
from bound import Kernel
from building import Program
from numpy.typing import NDArray

from fastlstm.kernels import CELLS, PRECISIONS, CellSpec, Reset, Rows, Tokens, Weights

Arrays = dict[str, NDArray[Any]]
# The header of a case, as in harness.c.
HEADER = (
    "op itemsize T N I H reverse bias distinct batch_first dy dstate accumulate threads "
    "cell_number gates states proj reset recompute packed repeat hasty params masked "
    "precision_number stop"
).split()
NAMES = [*CELLS]  # in the order of their numbers in C
OPS = ("cell", "pool", "adam", "matmul", "softmax", "exp", "sigmoid", "tanh")


@dataclass(frozen=True)
class Case:
    """One forward and backward call of a cell: sizes, options, and inputs drawn from `seed`."""

    T: int
    N: int
    I: int
    H: int
    dtype: str = "float32"
    lengths: tuple[int, ...] | None = None
    reverse: bool = False
    bias: bool = True
    distinct: int = 0
    batch_first: bool = False
    dy: bool = True
    dstate: bool = True
    accumulate: bool = False
    threads: int = 1
    cell: str = "lstm"
    proj: int = 0
    reset: bool = False
    recompute: int = 0
    packed: bool = False
    repeat: int = 1
    masked: bool = False  # recurrent dropout
    precision: str = "float32"
    stop: int = 0  # question that stops forward, 0 for none
    hasty: bool = False  # does not wait for threads whose cores are busy
    seed: int = 0

    @cached_property
    def rows(self) -> Rows:
        return Rows(self.T, self.N, self.lengths)

    @property
    def spec(self) -> CellSpec:
        return CELLS[self.cell]

    @property
    def cell_number(self) -> int:
        return NAMES.index(self.cell)

    @property
    def precision_number(self) -> int:
        return PRECISIONS.index(self.precision)

    @property
    def params(self) -> int:
        return len(self.spec.params)

    @property
    def gates(self) -> int:
        return len(self.spec.gates)

    @property
    def states(self) -> int:
        return len(self.spec.states)

    def state_names(self, pattern: str) -> list[str]:
        """Names of the states in a pattern: "d{}_n" gives dh_n and, of an LSTM, dc_n."""
        return [pattern.format(name) for name in self.spec.states]

    def draw(self) -> Arrays:
        """Arrays by name, in the order of the case file; those not given are left out."""
        rng = np.random.default_rng(self.seed)
        shapes, steps = self._shapes(), (self.T, self.N)
        arrays = {
            name: rng.standard_normal(shape).astype(self.dtype) for name, shape in shapes.items()
        }
        for name in {"w_ih", "w_hh", "w_hr"} & arrays.keys():
            arrays[name] /= np.sqrt(arrays[name].shape[1]).astype(self.dtype)
        if self.masked:  # dropped at 1/2, the rest doubled
            arrays["h_mask"] = 2 * (arrays["h_mask"] > 0).astype(self.dtype)
        if self.distinct:
            arrays["ids"] = rng.integers(self.distinct, size=steps)
        if self.reset:
            arrays["mask"] = rng.random(steps) < 0.3
        return arrays

    def _shapes(self) -> dict[str, tuple[int, ...]]:
        steps, G, R = (self.T, self.N), self.gates * self.H, self.proj or self.H
        state = ((self.N, R), (self.N, self.H))
        shapes: dict[str, tuple[int, ...]] = {}
        if self.distinct:
            shapes["ids"] = steps
        table = (self.distinct, self.I) if self.distinct else (*steps, self.I)
        shapes |= {"x": table, "w_ih": (G, self.I), "w_hh": (G, R)}
        if self.bias:
            shapes |= {"b_ih": (G,), "b_hh": (G,)}
        if self.proj:
            shapes["w_hr"] = (R, self.H)
        if self.params:
            shapes["params"] = (self.params, self.H)
        shapes |= dict(zip(self.state_names("{}0"), state, strict=False))
        if self.reset:
            shapes["mask"] = steps
            shapes |= dict(zip(self.state_names("{}_reset"), state, strict=False))
        if self.masked:
            shapes["h_mask"] = state[0]
        if self.dy:
            shapes["dy"] = (*steps, R)
        if self.dstate:
            shapes |= dict(zip(self.state_names("d{}_n"), state, strict=False))
        return shapes | {"dx": table}

    def in_time(self, name: str) -> bool:
        """Whether array `name` is [T,N,...]."""
        return name in ("ids", "mask", "y", "dy") or (name in ("x", "dx") and not self.distinct)

    def encode(self, inputs: Arrays) -> bytes:
        """The case as harness.c reads it."""
        size = np.dtype(self.dtype).itemsize
        head = [OPS.index("cell"), size, *(int(getattr(self, name)) for name in HEADER[2:])]
        rows = self.rows
        index = [rows.order, rows.lengths[rows.order], rows.n_at, rows.offset]
        parts = [np.array(head, np.int64), *index]
        for name, array in inputs.items():
            # the mask is always [T,N]
            swap = self.batch_first and self.in_time(name) and name != "mask"
            parts.append(array.swapaxes(0, 1) if swap else array)
        return b"".join(part.tobytes() for part in parts)

    def results(self, inputs: Arrays) -> Arrays:
        """Result arrays by name, in the order of the result file, filled with zeros."""
        shapes = {"y": (self.T, self.N, self.proj or self.H)}

        def like_state(pattern: str) -> None:
            shapes.update((pattern.format(s), inputs[f"{s}0"].shape) for s in self.spec.states)

        like_state("{}_n")
        shapes["dx"] = inputs["x"].shape
        like_state("d{}0")
        if self.reset:
            like_state("d{}_reset")
        names = [
            name for name in ("w_ih", "w_hh", "b_ih", "b_hh", "w_hr", "params") if name in inputs
        ]
        shapes |= {f"d{name}": inputs[name].shape for name in names}
        return {name: np.zeros(shape, inputs["x"].dtype) for name, shape in shapes.items()}

    def decode(self, inputs: Arrays, data: bytes) -> Arrays:
        """Results of the harness for this case, [T,N,...] whatever the layout."""
        results, at = self.results(inputs), 0
        for name, array in results.items():
            end = at + array.nbytes
            target = array.swapaxes(0, 1) if self.batch_first and self.in_time(name) else array
            target[...] = np.frombuffer(data[at:end], array.dtype).reshape(target.shape)
            at = end
        if at != len(data):
            raise ValueError(f"{len(data)} bytes of results, expected {at}")
        return results

    def expected(self, inputs: Arrays) -> Arrays:
        """The same case by the NumPy reference: in float64, or as products of less are defined.

        In int8 only what a forward pass returns.
        """
        exact = {n: a if n in ("ids", "mask") else a.astype("float64") for n, a in inputs.items()}
        if self.precision != "float32":
            exact = {name: array.copy() for name, array in inputs.items()}
        out, kernel = self.results(exact), Kernel(self.spec, "reference")

        def states(arrays: Arrays, pattern: str) -> Any:
            return tuple(arrays.get(name) for name in self.state_names(pattern))

        x = Tokens(exact["ids"], exact["x"]) if self.distinct else exact["x"]
        five = (exact.get(name) for name in Weights._fields[:5])
        weights = Weights._make((*five, tuple(exact.get("params", ()))))
        reset = Reset(exact["mask"], states(exact, "{}_reset")) if self.reset else None
        state_n, saved = kernel.forward(
            x, states(exact, "{}0"), weights, self.rows, out["y"],
            reverse=self.reverse, reset=reset, mask=exact.get("h_mask"), precision=self.precision,
            save=self.precision != "int8",
        )  # fmt: skip
        if saved is None:
            return {"y": out["y"], **dict(zip(self.state_names("{}_n"), state_n, strict=True))}
        out["dx"] = exact["dx"]
        five = (out.get(f"d{name}") for name in Weights._fields[:5])
        grads = Weights._make((*five, tuple(out.get("dparams", ()))))
        dstate_0, dreset = kernel.backward(
            saved, exact.get("dy"), states(exact, "d{}_n"), grads, out["dx"],
            accumulate_dx=self.accumulate,
        )  # fmt: skip
        for pattern, arrays in (("{}_n", state_n), ("d{}0", dstate_0), ("d{}_reset", dreset or ())):
            out.update(zip(self.state_names(pattern), arrays, strict=False))
        return out


def pick_rows(case: Case, inputs: Arrays, picked: Sequence[int]) -> tuple[Case, Arrays]:
    """The case with only the batch rows `picked`, in that order, and their inputs."""
    chosen = dict(inputs)
    for name, array in inputs.items():
        if case.in_time(name):
            chosen[name] = array[:, picked]
        elif name[-2:] in ("h0", "c0", "_n") or name.endswith(("_reset", "_mask")):
            chosen[name] = array[picked]
    lengths = tuple(int(case.rows.lengths[n]) for n in picked)
    return replace(case, N=len(picked), lengths=lengths), chosen


def run_cases(
    program: Program, isas: Sequence[str], given: Sequence[tuple[Case, Arrays]], folder: Path
) -> Iterator[tuple[str, list[Arrays]]]:
    """Run cases through the harness; yield each instruction set with the results of all cases."""
    sizes = [sum(a.nbytes for a in case.results(inputs).values()) for case, inputs in given]
    ends = list(accumulate(sizes))
    data = b"".join(case.encode(inputs) for case, inputs in given)
    for isa, whole in zip(isas, program.run(isas, data, folder), strict=True):
        if len(whole) != ends[-1]:
            raise ValueError(f"{isa}: {len(whole)} bytes of results, expected {ends[-1]}")
        cut = (whole[end - size : end] for size, end in zip(sizes, ends, strict=True))
        yield isa, [c.decode(inputs, part) for (c, inputs), part in zip(given, cut, strict=True)]


def run_case(program: Program, isa: str, case: Case, inputs: Arrays, folder: Path) -> Arrays:
    """Run one case under one instruction set."""
    ((_, (found,)),) = run_cases(program, [isa], [(case, inputs)], folder)
    return found
