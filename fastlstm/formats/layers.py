"""Layers by name, for files that do not say how their layers are put together."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from fastlstm.nn.module import Module


class Layers(dict[str, Module]):
    """A dict of layers by their names in a file.

    Attributes
    ----------
    left_out : what of the file was not taken, by name, and why.
    """

    def __init__(
        self,
        layers: Mapping[str, Module] | Iterable[tuple[str, Module]] = (),
        left_out: Mapping[str, str] | None = None,
    ) -> None:
        super().__init__(layers)
        self.left_out = dict(left_out or {})

    def __repr__(self) -> str:
        lines = [f"  ({name}): {layer!r}".replace("\n", "\n  ") for name, layer in self.items()]
        lines += [f"  left out {name}: {why}" for name, why in self.left_out.items()]
        return "\n".join(["Layers(", *lines, ")"]) if lines else "Layers()"


def check_names(layers: Mapping[Any, object]) -> None:
    """Raise TypeError unless all layers have names that a file can hold."""
    for name in layers:
        if not isinstance(name, str):
            raise TypeError(f"layers has the name {name!r:.60}, expected a string")
