"""The site's reference has every public name, and words below names as NumPy's style has them."""

from __future__ import annotations

import importlib
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
SITE = ROOT / "docs" / "site"
if not SITE.exists():
    pytest.skip("needs the source tree, not only the installed package", allow_module_level=True)
INTERNAL = {"cli", "kernels", "hdf5"}
# What packages around them make layers of, and what a layer's `stream` returns.
NOT_SHOWN = {
    "fastlstm.nn.chain": {"ChainStream"},
    "fastlstm.nn.recurrent": {"FIXED", "LayerOptions", "Recurrent"},
}


@pytest.fixture
def hooks(monkeypatch: pytest.MonkeyPatch) -> object:
    pytest.importorskip("mkdocs", reason="the site is made by `make docs`")
    monkeypatch.syspath_prepend(SITE)
    return importlib.import_module("hooks")


@pytest.fixture
def docstrings(monkeypatch: pytest.MonkeyPatch) -> object:
    pytest.importorskip("griffe", reason="the site is made by `make docs`")
    monkeypatch.syspath_prepend(SITE)
    return importlib.import_module("docstrings")


def modules_with_names() -> dict[str, Path]:
    """The modules that say what is public in them, but for those that users have no part in."""
    found = {}
    for path in sorted((ROOT / "fastlstm").rglob("*.py")):
        if "\n__all__ = " in path.read_text(encoding="utf-8"):
            parts = path.relative_to(ROOT).with_suffix("").parts
            if not INTERNAL & set(parts):
                found[".".join(parts).removesuffix(".__init__")] = path
    return found


def test_every_public_name_has_a_page(hooks) -> None:
    """That of its module, or of the package around it, which has the name too."""
    found = modules_with_names()
    assert set(hooks.MODULES) <= set(found)
    for module, path in found.items():
        if module in hooks.MODULES:
            continue
        around = module.rpartition(".")[0]
        assert around in hooks.MODULES, module
        missing = set(hooks.public_names(path)) - set(hooks.public_names(found[around]))
        assert missing <= NOT_SHOWN.get(module, set()), module


def test_a_page_has_every_public_name(hooks) -> None:
    import fastlstm.custom
    import fastlstm.nn

    for module in (fastlstm.custom, fastlstm.nn):
        page = hooks.reference(module.__name__, "names")
        assert all(f"::: {module.__name__}.{name}\n" in page for name in module.__all__)


def test_words_stand_below_names(docstrings) -> None:
    docstring = """Sum it.

Parameters
----------
x, y : arrays, of
    one shape.
*rest : more.

Returns
-------
total : their sum.

Raises
------
ValueError
    If x : y do not fit.
"""
    assert (
        docstrings.words_below(docstring)
        == """Sum it.

Parameters
----------
x, y
    arrays, of
    one shape.
*rest
    more.

Returns
-------
total :
    their sum.

Raises
------
ValueError
    If x : y do not fit.
"""
    )
    assert docstrings.words_below("One line.") == "One line."


def test_code_is_announced_as_in_markdown(docstrings) -> None:
    told = docstrings.words_below("Do it::\n\n    a[::2]\n\n::\n\n    b\n")
    assert told == "Do it:\n\n    a[::2]\n\n\n\n    b\n"
