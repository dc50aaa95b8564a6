"""The type stub of the extension says what the extension has, all of its functions and classes.

That nothing it says is wrong is `mypy.stubtest`'s, which takes seconds: `make lint` runs it.
"""

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
        found = inspect.signature(getattr(extension, name)).parameters.values()
        assert in_stub(node) == [(p.name, p.kind, p.default is not p.empty) for p in found], name
    for node in tree.body:
        if isinstance(node, ast.ClassDef):
            for member in node.body:
                if isinstance(member, ast.FunctionDef):
                    assert hasattr(getattr(extension, node.name), member.name), member.name


def in_stub(node: ast.FunctionDef) -> list[tuple[str, Any, bool]]:
    """Return name, kind and whether there is a default, of each parameter of a stub's function."""
    own, kind = node.args, inspect.Parameter
    parts = [
        (kind.POSITIONAL_ONLY, own.posonlyargs),
        (kind.POSITIONAL_OR_KEYWORD, own.args),
        (kind.KEYWORD_ONLY, own.kwonlyargs),
    ]
    listed = [(argument.arg, of) for of, arguments in parts for argument in arguments]
    count = len(own.posonlyargs) + len(own.args)
    optional = [k >= count - len(own.defaults) for k in range(count)]
    optional += [default is not None for default in own.kw_defaults]
    return [(name, of, has) for (name, of), has in zip(listed, optional, strict=True)]
