"""The site's reference has every public module, and words below names as NumPy's style has them."""

from __future__ import annotations

import importlib
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
SITE = ROOT / "docs" / "site"
if not SITE.exists():
    pytest.skip("needs the source tree, not only the installed package", allow_module_level=True)
INTERNAL = {"cli", "kernels"}


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


def test_every_public_module_has_a_page(hooks) -> None:
    modules = {"fastlstm"}
    for path in (ROOT / "fastlstm").glob("*/__init__.py"):
        if "__all__ = " in path.read_text(encoding="utf-8"):
            modules.add(f"fastlstm.{path.parent.name}")
    assert set(hooks.MODULES) == modules - {f"fastlstm.{name}" for name in INTERNAL}


def test_a_page_has_every_public_name(hooks) -> None:
    import fastlstm.nn

    page = hooks.reference("fastlstm.nn", "layers")
    assert all(f"::: fastlstm.nn.{name}\n" in page for name in fastlstm.nn.__all__)


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
