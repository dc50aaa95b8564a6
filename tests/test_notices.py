"""Every warning of the package is of its own category, so that one filter meets them all."""

from __future__ import annotations

import ast
import importlib
from pathlib import Path

import pytest

import fastlstm as fl

PACKAGE = Path(fl.__file__).parent


def warned_in(path: Path) -> list[tuple[int, str]]:
    """Return line and category of each `warnings.warn` of a file; "" for none."""
    code = path.read_text(encoding="utf-8")
    if ".warn" not in code:
        return []  # at once: to parse the whole package took each process seconds
    found = []
    for node in ast.walk(ast.parse(code)):
        if isinstance(node, ast.Call) and ast.unparse(node.func) == "warnings.warn":
            category = [ast.unparse(argument) for argument in node.args[1:2]]
            found.append((node.lineno, "".join(category)))
    return found


FILES = [path for path in sorted(PACKAGE.rglob("*.py")) if warned_in(path)]


def test_there_are_some() -> None:
    assert len(FILES) > 5


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.relative_to(PACKAGE).as_posix())
def test_a_file_warns_in_our_category(path: Path) -> None:
    name = path.relative_to(PACKAGE.parent).with_suffix("").as_posix().replace("/", ".")
    try:
        module = importlib.import_module(name.removesuffix(".__init__"))
    except ImportError as error:
        pytest.skip(f"needs {error.name}")
    for line, category in warned_in(path):
        assert category, f"{path}:{line} gives no category"
        assert issubclass(eval(category, vars(module)), fl.FastlstmWarning), f"{path}:{line}"
