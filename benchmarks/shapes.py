"""The cases of `shapes.toml`: what is measured, as data."""

from __future__ import annotations

import itertools
import sys
from collections.abc import Collection, Iterator
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any

if sys.version_info >= (3, 11):
    import tomllib
else:
    import tomli as tomllib

SHAPES = Path(__file__).with_name("shapes.toml")
GROUPS = (
    "quick",
    "readme",
    "standard",
    "cells",
    "deepbench",
    "large",
    "neighbour",
    "precision",
    "ops",
)
CELLS = {"LSTM": 4, "GRU": 3, "RNN": 1}  # layer -> gates
LAYER_MODES = ("infer", "train", "step", "ragged")
OPS = (
    "tokens",
    "cell",
    "stream",
    "peephole",
    "embedding",
    "chain",
    "linear",
    "dropout",
    "bce_with_logits",
    "cross_entropy",
    "regression_losses",
    "text_classifier",
)
DTYPES = ("float32", "float64")
PRECISIONS = ("float32", "bfloat16", "int8")  # of products; float32: as the arrays are
MIN_LENGTH = 20  # of a row in the ragged modes, or T if that is less


@dataclass(frozen=True)
class Case:
    """One thing to measure; sizes that a mode does not use are 0.

    Attributes
    ----------
    mode : one of `LAYER_MODES` or `OPS`.
    B, T, I, H, V : rows, steps, input size, hidden (or output) size, rows of a table.
    layers, bidirectional, dtype : of the recurrent layer.
    cell : one of `CELLS`.
    proj : size of the LSTM's projection, 0 for none.
    precision : one of `PRECISIONS`.
    """

    mode: str
    B: int = 0
    T: int = 0
    I: int = 0
    H: int = 0
    V: int = 0
    layers: int = 1
    bidirectional: bool = False
    dtype: str = "float32"
    cell: str = "LSTM"
    proj: int = 0
    precision: str = "float32"

    def __post_init__(self) -> None:
        for name in ("B", "T", "I", "H", "V", "proj"):
            size = getattr(self, name)
            if isinstance(size, bool) or not isinstance(size, int) or size < 0:
                raise ValueError(f"{name} is {size!r}, expected a size")
        _one_of("mode", self.mode, (*LAYER_MODES, *OPS))
        _one_of("dtype", self.dtype, DTYPES)
        _one_of("cell", self.cell, CELLS)
        self._check_precision()
        if self.proj and (self.cell != "LSTM" or self.proj >= self.H):
            raise ValueError(f"proj is {self.proj}, expected 0, or less than H of an LSTM")
        if self.B < 1 or self.layers < 1:
            raise ValueError(f"B is {self.B} and layers {self.layers}, expected at least 1")
        needed = {"infer": "TIH", "train": "TIH", "ragged": "TIH", "step": "IH"}
        for name in needed.get(self.mode, ""):
            if not getattr(self, name):
                raise ValueError(f"{name} is 0, which {self.mode} cannot be run with")

    def _check_precision(self) -> None:
        _one_of("precision", self.precision, PRECISIONS)
        if self.precision == "float32":
            return
        if self.dtype != "float32" or self.mode not in LAYER_MODES:
            raise ValueError(
                f"precision is {self.precision}, expected float32 of {self.dtype} and {self.mode}"
            )
        if self.precision == "int8" and self.mode not in ("infer", "step"):
            raise ValueError(f"precision is int8, in which {self.mode} cannot be run")

    def __str__(self) -> str:
        sizes = ", ".join(str(getattr(self, n)) for n in "BTIHV" if getattr(self, n))
        parts = (self.mode, self._cell, f"({sizes})", self._kind)
        return " ".join(filter(None, parts))

    @property
    def options(self) -> str:
        """What it is beside a plain LSTM, nothing if that is what it is."""
        return " ".join(filter(None, (self._cell, self._kind)))

    @property
    def _cell(self) -> str:
        return self.cell if self.cell != "LSTM" else ""

    @property
    def _kind(self) -> str:
        options = [f"{self.layers} layers"] if self.layers > 1 else []
        options += [f"projected to {self.proj}"] if self.proj else []
        options += ["both directions"] if self.bidirectional else []
        options += [name for name in (self.dtype, self.precision) if name != "float32"]
        return " ".join(options)

    @property
    def rounding(self) -> str:
        """What its products are rounded to: the lower precision, if any, or the dtype."""
        return self.dtype if self.precision == "float32" else self.precision

    @property
    def gates(self) -> int:
        """Rows of the weights for each unit."""
        return CELLS[self.cell]

    @property
    def R(self) -> int:
        """Size of an output: H, or what it is projected to."""
        return self.proj or self.H

    def flops(self, steps: int) -> int | None:
        """Floating-point operations of one call, None if nobody counts them for this mode.

        Those of the matrix products: 2 * gates * H * (input + R) and, with a projection, 2 * R * H
        a step, layer and direction, where the input of a layer above the first is the output below
        it; a backward pass costs two forward passes.

        Parameters
        ----------
        steps : real steps of all rows together: B * T, less if ragged, B for a single step.
        """
        if self.mode not in LAYER_MODES:
            return None
        directions = 2 if self.bidirectional else 1
        inputs = [self.I] + [directions * self.R] * (self.layers - 1)
        products = [self.gates * self.H * (i + self.R) + self.proj * self.H for i in inputs]
        forward = 2 * sum(products) * directions * steps
        return forward * (3 if self.mode in ("train", "ragged") else 1)


def load(path: Path = SHAPES) -> list[tuple[Case, tuple[str, ...]]]:
    """Return each case with its groups, in the order of the file.

    Raises
    ------
    ValueError
        If a table, key, mode or group is unknown or a size is not positive; names the entry.
    """
    content = tomllib.loads(path.read_text(encoding="utf-8"))
    if unknown := content.keys() - {"layer", "op"}:
        raise ValueError(f"{path.name} has tables {sorted(unknown)}, expected layer and op")
    cases: dict[Case, tuple[str, ...]] = {}
    for kind in ("layer", "op"):
        for number, entry in enumerate(content.get(kind, ()), 1):
            try:
                for case, groups in _expand(kind, dict(entry)):
                    cases[case] = tuple(dict.fromkeys(cases.get(case, ()) + groups))
            except (ValueError, TypeError, KeyError) as error:
                raise ValueError(f"{path.name}, {kind} number {number}: {error}") from error
    return list(cases.items())


def select(groups: Collection[str], only: str = "") -> list[Case]:
    """Return the cases of any of `groups` whose name holds the text `only`, like beside like.

    Raises
    ------
    ValueError
        If a group is unknown or no case is left.
    """
    for group in groups:
        _one_of("group", group, GROUPS)
    found = [case for case, of in load() if set(of) & set(groups) and only in str(case)]
    if not found:
        raise ValueError(f"no case of {', '.join(groups)} holds {only!r}")
    return sorted(found, key=_order)


def _order(case: Case) -> tuple[object, ...]:
    """By mode, plain ones first, then by size with the rows of a batch growing last."""
    mode = (*LAYER_MODES, *OPS).index(case.mode)
    plain = case.cell != "LSTM", case.cell, case.proj
    kind = case.layers, case.bidirectional, case.dtype, PRECISIONS.index(case.precision)
    return mode, *plain, *kind, case.H, case.I, case.T, case.B


def covered(path: Path = SHAPES) -> set[str]:
    """Return the names of `fastlstm.nn` that the table of ops says it runs."""
    content = tomllib.loads(path.read_text(encoding="utf-8"))
    return {name for entry in content.get("op", ()) for name in entry["covers"]}


def _expand(kind: str, entry: dict[str, Any]) -> Iterator[tuple[Case, tuple[str, ...]]]:
    """Yield a case for every combination of the lists of an entry."""
    if kind == "op":
        entry.pop("covers")
        groups, modes = ("ops",), [entry.pop("mode")]
    else:
        groups, modes = tuple(entry.pop("groups")), entry.pop("modes")
    for group in groups:
        _one_of("group", group, GROUPS)
    for mode in modes:
        _one_of("mode", mode, OPS if kind == "op" else LAYER_MODES)
    if unknown := entry.keys() - {field.name for field in fields(Case)}:
        raise ValueError(f"unknown keys {sorted(unknown)}")
    lists = [v if isinstance(v, list) else [v] for v in entry.values()]
    for mode, values in itertools.product(modes, itertools.product(*lists)):
        yield Case(mode, **dict(zip(entry, values, strict=True))), groups


def _one_of(name: str, value: object, valid: Collection[str]) -> None:
    if value not in valid:
        raise ValueError(f"{name} is {value!r}, expected one of {', '.join(valid)}")
