"""The notebooks run, and show what they showed when their outputs were kept."""

from __future__ import annotations

import base64
import importlib
import io
import re
import traceback
from pathlib import Path
from typing import Any

import numpy as np
import pytest

ROOT = Path(__file__).parents[2]
NOTEBOOKS = sorted((ROOT / "docs" / "notebooks").glob("*.ipynb"))
if not NOTEBOOKS:
    pytest.skip("needs the source tree, not only the installed package", allow_module_level=True)
NUMBER = re.compile(r"[-+]?\d+\.?\d*(?:e[-+]?\d+)?")


@pytest.fixture
def runner(monkeypatch: pytest.MonkeyPatch) -> Any:
    monkeypatch.syspath_prepend(ROOT / "docs" / "site")
    return importlib.import_module("run_notebooks")


def same_words(kept: str, now: str) -> bool:
    """Whether texts differ in numbers alone, and hardly: another processor rounds otherwise."""
    found, expected = NUMBER.findall(now), NUMBER.findall(kept)
    if NUMBER.split(kept) != NUMBER.split(now):
        return False
    return np.allclose([*map(float, found)], [*map(float, expected)], rtol=0.05, atol=0.05)


def pixels(output: dict[str, Any]) -> Any:
    from matplotlib.image import imread

    return imread(io.BytesIO(base64.b64decode(output["data"]["image/png"])))


@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.name)
def test_outputs_are_those_of_a_run(
    path: Path, runner: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    matplotlib = pytest.importorskip("matplotlib")
    monkeypatch.chdir(tmp_path)
    kept, now = runner.read(path), runner.read(path)
    runner.run(now, path.name)
    assert list(tmp_path.iterdir()) == []
    again = "run docs/site/run_notebooks.py and commit what it writes"
    for number, (old, new) in enumerate(zip(*map(runner.code_cells, (kept, now)), strict=True), 1):
        place = f"cell {number}: {again}"
        assert old["execution_count"] == number, place
        kinds = [[o["output_type"] for o in cell["outputs"]] for cell in (old, new)]
        assert kinds[0] == kinds[1], place
        for one, other in zip(old["outputs"], new["outputs"], strict=True):
            if one["output_type"] != "display_data":
                texts = ["".join(o.get("text") or o["data"]["text/plain"]) for o in (one, other)]
                assert same_words(*texts), (place, texts)
                continue
            before, after = pixels(one), pixels(other)
            assert before.shape == after.shape, place
            assert len(old["metadata"]["alt"]) > 20, (
                f"cell {number}: metadata.alt says what it shows"
            )
            if kept["metadata"]["matplotlib"] == matplotlib.__version__:
                assert np.abs(before - after).mean() < 0.02, place


def test_small_differences_of_numbers_alone_are_none() -> None:
    assert same_words("98% right, 0.71", "97% right, 0.70")
    assert not same_words("98% right", "98% wrong")
    assert not same_words("98% right", "51% right")
    assert not same_words("1 2", "1")


def test_a_page_shows_code_outputs_and_pictures(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.syspath_prepend(ROOT / "docs" / "site")
    pages = importlib.import_module("notebook_pages")
    page, pictures = pages.page(ROOT / "docs" / "notebooks" / "inside.ipynb")
    assert page.startswith("# Inside an LSTM\n\nThis page is a notebook: [take it](inside.ipynb)")
    assert "```python\nimport copy" in page
    assert "{ .text .no-copy }\nbefore training" in page
    assert len(pictures) >= 6
    for name, content in pictures.items():
        assert re.search(rf"!\[[^\]]{{20,}}\]\({name}\)", page)
        assert content.startswith(b"\x89PNG")


@pytest.mark.parametrize(
    ("source", "shown"),
    [("a = 2\na + 1", [3]), ("a = 2\na;", []), ("print('a')\nNone", ["a\n"]), ("", [])],
)
def test_what_a_cell_shows(runner: Any, source: str, shown: list[Any]) -> None:
    pytest.importorskip("matplotlib")
    found = list(runner.outputs(source, {}, 1, "here"))
    assert [o.get("text", o.get("data", {}).get("text/plain")) for o in found] == [
        [value if isinstance(value, str) else repr(value)] for value in shown
    ]


def test_an_error_tells_the_cell(runner: Any) -> None:
    pytest.importorskip("matplotlib")
    cell = {"cell_type": "code", "source": ["1 / 0"]}
    with pytest.raises(ZeroDivisionError) as error:
        runner.run({"cells": [cell], "metadata": {}}, "a.ipynb")
    assert traceback.extract_tb(error.tb)[-1].filename == "a.ipynb, cell 1"
