"""Which parameters a layer has, and of what shapes: known from its options before it is made."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from typing import Any

from numpy.typing import NDArray

from fastlstm.counts import count_of
from fastlstm.formats.cells import cell_of
from fastlstm.kernels import CellSpec
from fastlstm.nn.check import check_size
from fastlstm.nn.recurrent.stack import MOST_LAYERS
from fastlstm.nn.weights import PARTS

Shape = tuple[int, ...]
Shapes = Iterator[tuple[str, Shape]]


def check_shapes(shapes: Shapes, arrays: Mapping[str, NDArray[Any]], what: str) -> None:
    """Raise ValueError, before anything is made, unless arrays are those of `what`."""
    found = 0
    for name, shape in shapes:  # which ends here if a file claims too much
        if name not in arrays:
            raise ValueError(f"there is no tensor {name}, of shape {shape}")
        if arrays[name].shape != shape:
            raise ValueError(f"{name} has shape {arrays[name].shape}, expected {shape}")
        found += 1
    if found != len(arrays):
        raise ValueError(f"it has {count_of(len(arrays), 'tensor')}, expected {found} for {what}")


def _sizes(options: Mapping[str, Any], *names: str) -> list[int]:
    return [check_size(name, options[name], 0 if name == "proj_size" else 1) for name in names]


def _direction(cell: CellSpec, suffix: str, sizes: tuple[int, int, int], bias: bool) -> Shapes:
    """Yield the parameters of a layer in one direction; sizes are I, H and that of h."""
    I, H, R = sizes
    G = cell.gate_rows(H)
    shapes: list[Shape] = [(G, I), (G, R), (G,), (G,), (R, H)]
    for part, shape in zip(PARTS, shapes, strict=True):
        wanted = R != H if part == "weight_hr" else bias or part.startswith("weight")
        if wanted:
            yield part + suffix, shape
    yield from ((name + suffix, (H,)) for name in cell.params)


def recurrent_shapes(name: str) -> Callable[[Mapping[str, Any]], Shapes]:
    def shapes(options: Mapping[str, Any]) -> Shapes:
        cell = cell_of(name, options)
        I, H, L = _sizes(options, "input_size", "hidden_size", "num_layers")
        check_size("num_layers", L, most=MOST_LAYERS)
        R = options.get("proj_size", 0) and _sizes(options, "proj_size")[0] or H
        directions = ("", "_reverse") if options["bidirectional"] else ("",)
        for k in range(L):
            size = len(directions) * R if k else I
            for direction in directions:
                yield from _direction(cell, f"_l{k}{direction}", (size, H, R), options["bias"])
        if options["learn_state"]:
            for state, size in zip(cell.states, cell.state_sizes(H, R), strict=True):
                yield f"{state}_0", (L * len(directions), size)

    return shapes


def cell_shapes(name: str) -> Callable[[Mapping[str, Any]], Shapes]:
    def shapes(options: Mapping[str, Any]) -> Shapes:
        I, H = _sizes(options, "input_size", "hidden_size")
        yield from _direction(cell_of(name, options), "", (I, H, H), options["bias"])

    return shapes


def matrix_shapes(rows: str, columns: str) -> Callable[[Mapping[str, Any]], Shapes]:
    """Return the shapes of a weight and, if there is one, a bias."""

    def shapes(options: Mapping[str, Any]) -> Shapes:
        weight = tuple(_sizes(options, rows, columns))
        yield "weight", weight
        if options.get("bias"):
            yield "bias", weight[:1]

    return shapes


def conv_shapes(options: Mapping[str, Any]) -> Shapes:
    K, I, O = _sizes(options, "kernel_size", "in_features", "out_features")
    yield "weight", (K, I, O)
    if options["bias"]:
        yield "bias", (O,)


def conv1d_shapes(options: Mapping[str, Any]) -> Shapes:
    O, I, K = _sizes(options, "out_channels", "in_channels", "kernel_size")
    yield "weight", (O, I, K)
    if options["bias"]:
        yield "bias", (O,)


def feature_shapes(*names: str) -> Callable[[Mapping[str, Any]], Shapes]:
    return lambda options: ((name, tuple(_sizes(options, "features"))) for name in names)


def attention_shapes(options: Mapping[str, Any]) -> Shapes:
    H, F = _sizes(options, "size", "out_features")
    yield "combine.weight", (F, 2 * H)
