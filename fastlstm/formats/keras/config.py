"""The configuration of a Keras model: its layers, and whether they stand in one line."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, NamedTuple

from fastlstm.counts import count_of

DEEPEST = 50
SEQUENTIAL, FUNCTIONAL = ("Sequential",), ("Functional", "Model")
# What the masks of an Embedding and of a Masking are made with in a functional model of Keras 3.
MASK_MAKERS = ("NotEqual", "Any")
MASK_ENDS = ("Conv1D", "Flatten", "Reshape", "GlobalAveragePooling1D", "GlobalMaxPooling1D")


class LayerConfig(NamedTuple):
    """A layer of a model."""

    name: str
    kind: str  # its class
    options: dict[str, Any]


class ModelConfig(NamedTuple):
    """What a configuration says.

    Attributes
    ----------
    layers : in the order of the file.
    not_in_line : why they do not run one after another, "" if they do.
    """

    layers: list[LayerConfig]
    not_in_line: str


def read_model(config: Any) -> ModelConfig:
    """Return the layers of a model; ValueError if the configuration is none of Keras's."""
    kind, inner = config.get("class_name"), config.get("config")
    if kind in SEQUENTIAL:
        given = inner if isinstance(inner, list) else inner["layers"]  # a list before Keras 2.2.3
        return ModelConfig([read_layer(layer) for layer in _objects(given)], "")
    if kind in FUNCTIONAL:
        given = list(_objects(inner["layers"]))
        layers = [read_layer(layer) for layer in given]
        why = _not_in_line(given, layers, inner)
        return ModelConfig([one for one in layers if one.kind not in MASK_MAKERS], why)
    raise ValueError(f"its model is of class {kind!r:.60}, expected Sequential or Functional")


def read_layer(layer: dict[str, Any]) -> LayerConfig:
    """Return a layer of a configuration."""
    kind, options = layer.get("class_name"), layer.get("config")
    if not isinstance(kind, str) or not isinstance(options, dict):
        raise ValueError(f"a layer is {layer!r:.100}, expected class_name and config")
    name = options.get("name", layer.get("name"))
    if not isinstance(name, str):
        raise ValueError(f"the name of a {kind:.60} is {name!r:.60}, expected a text")
    return LayerConfig(name, kind, options)


def _objects(given: Any) -> Iterator[dict[str, Any]]:
    if not isinstance(given, list) or not all(isinstance(one, dict) for one in given):
        raise ValueError(f"layers are {given!r:.100}, expected a list of objects")
    return iter(given)


def _not_in_line(
    given: list[dict[str, Any]], layers: list[LayerConfig], model: dict[str, Any]
) -> str:
    """Return why the layers of a functional model do not stand in one line, "" if they do."""
    makers = {layer.name for layer in layers if layer.kind in MASK_MAKERS}
    reads = {
        layer.name: [_reads(node) for node in config.get("inbound_nodes", [])]
        for config, layer in zip(given, layers, strict=True)
    }
    before, masked = None, False
    for config, layer in zip(given, layers, strict=True):
        if layer.name in makers:
            if not _is_usual(config, layers, reads):
                return f"{layer.name} makes a mask of its own"
            continue
        calls = reads[layer.name]
        if before is None:
            if calls:
                return f"{layer.name} has an input, but stands first"
        else:
            if len(calls) != 1:
                return f"{layer.name} is called {count_of(len(calls), 'time')}"
            inputs = [name for name in calls[0] if name not in makers]
            if inputs != [before]:
                return f"{layer.name} reads {', '.join(inputs) or 'nothing'}, not {before}"
            if len(inputs) < len(calls[0]) and not masked:
                return f"{layer.name} is given a mask of its own"
        before, masked = layer.name, _masks(layer, masked)
    ends = list(_names(model.get("output_layers")))
    return "" if ends == [before] else f"its outputs are those of {', '.join(ends)}"


def _is_usual(maker: dict[str, Any], layers: list[LayerConfig], reads: dict[str, Any]) -> bool:
    """Whether a mask is that of an Embedding or a Masking which reads the same."""
    (node,) = maker["inbound_nodes"]
    if maker["class_name"] == "Any":
        return True  # of what a NotEqual gives
    source, value = _reads(node), node["args"][1]
    return any(
        [source] == reads[layer.name]
        and (
            (layer.kind == "Embedding" and layer.options.get("mask_zero") and value == 0)
            or (layer.kind == "Masking" and layer.options.get("mask_value") == value)
        )
        for layer in layers
    )


def _masks(layer: LayerConfig, masked: bool) -> bool:
    """Whether there is a mask behind a layer."""
    if layer.kind in ("Embedding", "Masking"):
        return layer.kind == "Masking" or bool(layer.options.get("mask_zero"))
    if layer.kind in MASK_ENDS:
        return False
    inner = layer.options.get("layer")
    options = inner["config"] if layer.kind == "Bidirectional" and inner else layer.options
    return masked and bool(options.get("return_sequences", True))


def _reads(node: Any) -> list[str]:
    return list(_inputs(node))


def _inputs(node: Any, depth: int = 0) -> Iterator[str]:
    """Yield the names of the layers that a call reads, in both spellings."""
    if depth > DEEPEST:
        raise ValueError(f"a call is nested more than {DEEPEST} deep")
    if isinstance(node, dict):
        if node.get("class_name") == "__keras_tensor__":
            yield str(node["config"]["keras_history"][0])
            return
        node = list(node.values())
    if isinstance(node, list):
        if len(node) in (3, 4) and isinstance(node[0], str) and isinstance(node[1], int):
            yield node[0]
            node = node[3:]
        for part in node:
            yield from _inputs(part, depth + 1)


def _names(ends: Any) -> Iterator[str]:
    """Yield the names of ``["dense", 0, 0]`` or of a list of such."""
    if isinstance(ends, list) and ends and isinstance(ends[0], str):
        ends = [ends]
    for end in ends or ():
        yield str(end[0])
