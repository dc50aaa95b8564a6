"""The recipes of docs/recipes.md, as scripts with two workers each."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from launched import HERE

import fastlstm as fl

sys.path.append(str(HERE.parent / "cli"))
from topics import rows, train, write_csv

ROOT = HERE.parents[1]
PAGE = ROOT / "docs" / "recipes.md"
if not PAGE.exists():
    pytest.skip("needs the source tree, not only the installed package", allow_module_level=True)
SECONDS = 600
ENVIRONMENT = {
    "PYTHONPATH": str(ROOT),
    "RAY_AUTH_MODE": "disabled", "RAY_USAGE_STATS_ENABLED": "0",
    "SPARK_LOCAL_IP": "127.0.0.1", "PYSPARK_PYTHON": sys.executable,
}  # fmt: skip


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with the run and the texts that the recipes name."""
    folder = tmp_path_factory.mktemp("recipes")
    write_csv(folder / "more.csv", rows(300))
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("fastlstm.train.classifier.classify.draw_curves", lambda *_: False)
        data = write_csv(folder / "topics.csv", rows(60))
        train(data, folder / "runs" / "reviews", parts="joined", epochs=1)
    return folder


def run_recipe(title: str, place: Path) -> None:
    """Run the script below a heading, which must end well."""
    page = PAGE.read_text(encoding="utf-8")
    found = re.search(rf"^## {title}$.*?^```python\n(.*?)^```$", page, re.MULTILINE | re.DOTALL)
    assert found is not None
    (place / "recipe.py").write_text(found[1], encoding="utf-8")
    done = subprocess.run(
        [sys.executable, "recipe.py"], cwd=place, timeout=SECONDS, capture_output=True, text=True,
        env={**os.environ, **ENVIRONMENT},
    )  # fmt: skip
    assert done.returncode == 0, done.stderr


def check_said(files: Iterator[Path], place: Path) -> None:
    """Check that the tables together have all texts with what the run says of them."""
    pandas = pytest.importorskip("pandas")
    table = pandas.concat([pandas.read_csv(path) for path in files])
    assert sorted(table["text"]) == sorted(rows(300)[0])
    assert table["said"].tolist() == fl.load(place / "runs" / "reviews").predict(table["text"])


def test_joblib(place: Path) -> None:
    pytest.importorskip("joblib")
    run_recipe("joblib", place)  # which checks the labels itself


@pytest.mark.slow(8)
def test_dask(place: Path) -> None:
    pytest.importorskip("dask.dataframe")
    pytest.importorskip("distributed")
    run_recipe("Dask", place)
    check_said(place.glob("said-*.csv"), place)


@pytest.mark.slow(20)
def test_ray_data(place: Path) -> None:
    pytest.importorskip("ray.data")
    run_recipe("Ray Data", place)
    check_said((place / "said").glob("*.csv"), place)
    shutil.rmtree(place / "said")


@pytest.mark.slow(20)
def test_spark(place: Path) -> None:
    for module in ("pyspark.sql", "pandas", "pyarrow"):
        pytest.importorskip(module)
    if shutil.which("java") is None and "JAVA_HOME" not in os.environ:
        pytest.skip("Spark needs Java")
    run_recipe("Spark", place)
    check_said((place / "said").glob("*.csv"), place)
    shutil.rmtree(place / "said")
