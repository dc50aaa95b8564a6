"""The arrays of each layer in Keras's HDF5 files, old and new, by the name of the layer."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from typing import Any, NamedTuple

from numpy.typing import NDArray

from fastlstm.formats.hdf5 import Node, Tree

Arrays = list[NDArray[Any]]
# Of the parts of a layer in new files: the directions of a Bidirectional, each with its cell.
DIRECTIONS = ("forward_layer", "backward_layer")


class Stored(NamedTuple):
    """What a file has of one layer."""

    arrays: Arrays  # in Keras's order
    second: Arrays  # of the backward direction; else empty


def snake_case(name: str) -> str:
    """Return the name of a class as new files spell it: ``simple_rnn``."""
    name = re.sub(r"\W+", "", name)
    name = re.sub("(.)([A-Z][a-z]+)", r"\1_\2", name)
    return re.sub("([a-z])([A-Z])", r"\1_\2", name).lower()


def is_new(tree: Tree) -> bool:
    """Whether a file is one of Keras 3's weights: ``layers/lstm/cell/vars/0``."""
    return "layers" in tree.root and not tree.has_attribute(tree.root, "layer_names")


def new_layers(tree: Tree) -> dict[str, Stored]:
    """Return the layers of a file of Keras 3 by their places, such as ``lstm_1``."""
    layers = tree.group(tree.root, "layers")
    return {str(name): _new_layer(tree, tree.group(layers, name)) for name in tree.names(layers)}


def _new_layer(tree: Tree, group: Node) -> Stored:
    if all(part in group for part in DIRECTIONS):
        first, second = (_vars(tree, tree.group(group, part)) for part in DIRECTIONS)
        return Stored(first, second)
    return Stored(_vars(tree, group), [])


def _vars(tree: Tree, group: Node) -> Arrays:
    """Return the arrays of a layer: its own, its cell's, or those of the layer that it wraps."""
    for part in ("", "cell", "layer"):
        if part and part not in group:
            continue
        holder = tree.group(group, part) if part else group
        if "vars" not in holder:
            continue
        found = tree.group(holder, "vars")
        if names := sorted(tree.names(found), key=lambda name: (len(name), name)):
            return [tree.array(found, name) for name in names]
    return []


def old_layers(tree: Tree) -> dict[str, Stored]:
    """Return the layers of an old file by their names."""
    root = tree.root
    if "model_weights" in root:
        root = tree.group(root, "model_weights")
    names = tree.texts(root, "layer_names")
    if not names:
        raise ValueError("it has neither layer_names of old Keras files nor layers of new ones")
    return {name: _old_layer(tree, tree.group(root, name)) for name in _once(names)}


def _old_layer(tree: Tree, group: Node) -> Stored:
    names = tree.texts(group, "weight_names")
    arrays = [tree.array(group, name) for name in _once(names)]
    half = len(arrays) // 2
    if names and len(names) % 2 == 0 and _is_backward(names[half:]) and not _is_backward(names[:1]):
        return Stored(arrays[:half], arrays[half:])
    return Stored(arrays, [])


def _is_backward(names: Sequence[str]) -> bool:
    return all("backward" in name for name in names)


def _once(names: Sequence[str]) -> Iterator[str]:
    seen: set[str] = set()
    for name in names:
        if name in seen:
            raise ValueError(f"it names {name} twice")
        seen.add(name)
        yield name
