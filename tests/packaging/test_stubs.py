"""The type stub of the extension names what the extension has."""

from __future__ import annotations

import ast
import inspect
from importlib.resources import files
from typing import Any

STUB = files("fastlstm").joinpath("kernels", "native", "_native.pyi")


def test_stub_matches_the_extension(native: Any) -> None:
    tree = ast.parse(STUB.read_text(encoding="utf-8"))
    functions = {node.name: node for node in tree.body if isinstance(node, ast.FunctionDef)}
    classes = {node.name for node in tree.body if isinstance(node, ast.ClassDef)}
    extension = native._native
    public = {
        name
        for name, value in vars(extension).items()
        if getattr(value, "__module__", None) == extension.__name__ and name[0] != "_"
    }
    # How the extension holds memory is no one else's concern.
    assert set(functions) | classes == public - {"Block", "Call", "View"}
    for name, node in functions.items():
        parameters = inspect.signature(getattr(extension, name)).parameters
        arguments = [*node.args.posonlyargs, *node.args.args, *node.args.kwonlyargs]
        assert [argument.arg for argument in arguments] == list(parameters), name
