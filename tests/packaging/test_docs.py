"""The documents in docs/: every code block runs, and what they name exists."""

from __future__ import annotations

import os
import re
import subprocess
import sys
import textwrap
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
DOCS = sorted((ROOT / "docs").glob("*.md"))
if not DOCS:
    pytest.skip("needs the source tree, not only the installed package", allow_module_level=True)

FENCE = re.compile(r"^( *)```(\w*)\n(.*?)^ *```$", re.MULTILINE | re.DOTALL)
# What a document's code needs beside the base installation.
NEEDS = {
    "cells.md": ["numba"], "keras.md": ["torch", "keras"], "torch.md": ["torch"],
    "models.md": ["torch", "h5py", "onnx"], "onnx.md": ["onnx"],
    "pretrained.md": ["sklearn"], "texts.md": ["sklearn"], "rl.md": ["sb3_contrib"],
    "forecast.md": ["sklearn", "matplotlib"], "regression.md": ["sklearn"],
    "tune.md": ["optuna", "sklearn"],
    "tutorial_forecast.md": ["sklearn", "matplotlib"],
    "tutorial_models.md": ["torch", "h5py", "onnx"],
    "recipes.md": ["joblib", "dask.dataframe", "ray", "pyspark"],  # run by tests/distributed
}  # fmt: skip
# The commands of this checkout, whether or not it is installed.
SHELL = f"""set -e
python() {{ "{sys.executable}" "$@"; }}
fastlstm() {{ python -m fastlstm "$@"; }}
"""

documents = pytest.mark.parametrize("document", DOCS, ids=lambda path: path.name)


def blocks(document: Path) -> list[tuple[str, str]]:
    """Return language and code of each fenced block."""
    text = document.read_text(encoding="utf-8")
    return [(language, textwrap.dedent(code)) for _, language, code in FENCE.findall(text)]


@pytest.mark.filterwarnings("ignore:__array__ implementation:DeprecationWarning")  # Keras's own
@documents
def test_code_runs(document: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("KERAS_BACKEND", "torch")
    for module in NEEDS.get(document.name, []):
        pytest.importorskip(module)
    monkeypatch.chdir(tmp_path)
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    names: dict[str, object] = {}
    for language, code in blocks(document):
        if language == "python":
            exec(compile(code, str(document), "exec"), names)
        else:
            assert language == "sh", f"nothing runs a block of {language!r}"
            command = ["bash", "-c", SHELL + code]
            subprocess.run(command, check=True, env=environment, stdout=subprocess.DEVNULL)


@documents
def test_there_is_code(document: Path) -> None:
    assert blocks(document)


@documents
def test_modules_that_are_named_exist(document: Path) -> None:
    text = document.read_text(encoding="utf-8")
    modules = re.findall(r"python -m ((?:fastlstm|benchmarks)[\w.]*)", text)
    for module in modules:
        path = ROOT / module.replace(".", "/")
        assert path.with_suffix(".py").exists() or path.is_dir(), module


def test_the_tests_that_layers_names_exist() -> None:
    text = (ROOT / "docs" / "layers.md").read_text(encoding="utf-8")
    (table,) = re.findall(r"^\| \| torch \| fastlstm \| test \|\n(.*?)\n\n", text, re.M | re.S)
    named = [
        path
        for row in table.splitlines()[1:]
        for path in re.findall(r"`([\w/.]+)`", row.split("|")[4])
    ]
    assert len(named) > 10
    for path in named:
        assert (ROOT / "tests" / path).exists(), path
