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
GROUPS = ("quick", "standard", "deepbench", "large", "ops")
LSTM_MODES = ("infer", "train", "step", "ragged")
OPS = (
    "tokens",
    "cell",
    "stream",
    "embedding",
    "linear",
    "dropout",
    "bce_with_logits",
    "cross_entropy",
    "text_classifier",
)
DTYPES = ("float32", "float64")
MIN_LENGTH = 20  # of a row in the ragged modes, or T if that is less


@dataclass(frozen=True)
class Case:
    """One thing to measure; sizes that a mode does not use are 0.

    Attributes
    ----------
    mode : one of `LSTM_MODES` or `OPS`.
    B, T, I, H, V : rows, steps, input size, hidden (or output) size, rows of a table.
    layers, bidirectional, dtype : of the LSTM.
    """

    mode: str
    B: int = 0
    T: int = 0
    I: int = 0  # noqa: E741
    H: int = 0
    V: int = 0
    layers: int = 1
    bidirectional: bool = False
    dtype: str = "float32"

    def __post_init__(self) -> None:
        for name in "BTIHV":
            size = getattr(self, name)
            if isinstance(size, bool) or not isinstance(size, int) or size < 0:
                raise ValueError(f"{name} is {size!r}, expected a size")
        _one_of("mode", self.mode, (*LSTM_MODES, *OPS))
        _one_of("dtype", self.dtype, DTYPES)
        if self.B < 1 or self.layers < 1:
            raise ValueError(f"B is {self.B} and layers {self.layers}, expected at least 1")
        needed = {"infer": "TIH", "train": "TIH", "ragged": "TIH", "step": "IH"}
        for name in needed.get(self.mode, ""):
            if not getattr(self, name):
                raise ValueError(f"{name} is 0, which {self.mode} cannot be run with")

    def __str__(self) -> str:
        sizes = ", ".join(str(getattr(self, n)) for n in "BTIHV" if getattr(self, n))
        options = [f"{self.layers} layers"] if self.layers > 1 else []
        options += ["both directions"] if self.bidirectional else []
        options += [self.dtype] if self.dtype != "float32" else []
        return " ".join([self.mode, f"({sizes})", *options])

    def flops(self, steps: int) -> int | None:
        """Floating-point operations of one call, None if nobody counts them for this mode.

        Those of the matrix products: 2 * 4H * (input + H) a step, layer and direction, where
        the input of a layer above the first is the output below it; a backward pass costs two
        forward passes.

        Parameters
        ----------
        steps : real steps of all rows together: B * T, less if ragged, B for a single step.
        """
        if self.mode not in LSTM_MODES:
            return None
        directions = 2 if self.bidirectional else 1
        inputs = [self.I] + [directions * self.H] * (self.layers - 1)
        forward = sum(2 * 4 * self.H * (i + self.H) * directions for i in inputs) * steps
        return forward * (3 if self.mode in ("train", "ragged") else 1)


def load(path: Path = SHAPES) -> list[tuple[Case, tuple[str, ...]]]:
    """Return each case with its groups, in the order of the file.

    Raises
    ------
    ValueError
        If a table, key, mode or group is unknown or a size is not positive; names the entry.
    """
    content = tomllib.loads(path.read_text(encoding="utf-8"))
    if unknown := content.keys() - {"lstm", "op"}:
        raise ValueError(f"{path.name} has tables {sorted(unknown)}, expected lstm and op")
    cases: dict[Case, tuple[str, ...]] = {}
    for kind in ("lstm", "op"):
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
    mode = (*LSTM_MODES, *OPS).index(case.mode)
    return mode, case.layers, case.bidirectional, case.dtype, case.H, case.I, case.T, case.B


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
        _one_of("mode", mode, OPS if kind == "op" else LSTM_MODES)
    if unknown := entry.keys() - {field.name for field in fields(Case)}:
        raise ValueError(f"unknown keys {sorted(unknown)}")
    lists = [v if isinstance(v, list) else [v] for v in entry.values()]
    for mode, values in itertools.product(modes, itertools.product(*lists)):
        yield Case(mode, **dict(zip(entry, values, strict=True))), groups


def _one_of(name: str, value: object, valid: Collection[str]) -> None:
    if value not in valid:
        raise ValueError(f"{name} is {value!r}, expected one of {', '.join(valid)}")
