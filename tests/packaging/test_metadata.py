"""The installed distribution: one version, small dependencies, a script, its data."""

from __future__ import annotations

import importlib.metadata
import re
from importlib.resources import files

import pytest

import fastlstm


def test_version_is_said_once() -> None:
    assert importlib.metadata.version("fastlstm") == fastlstm.__version__


def test_base_requirements_are_few_and_light() -> None:
    needed = importlib.metadata.requires("fastlstm") or []
    names = {re.split(r"[^\w-]", line)[0] for line in needed if "extra ==" not in line}
    assert names == {"numpy", "platformdirs", "safetensors", "tqdm"}


@pytest.mark.parametrize(
    ("name", "value"),
    [("train_imdb", "fastlstm.train_imdb:main"), ("fastlstm", "fastlstm.cli:main")],
)
def test_console_scripts(name: str, value: str) -> None:
    (script,) = importlib.metadata.entry_points(group="console_scripts", name=name)
    assert script.value == value
    assert callable(script.load())


def test_package_data_is_installed() -> None:
    package = files("fastlstm")
    assert package.joinpath("py.typed").is_file()
    assert package.joinpath("text", "data", "imdb_sample.coded.bz2").is_file()
    assert package.joinpath("text", "data", "ATTRIBUTION.md").is_file()
    assert package.joinpath("examples", "data", "toy.tsv").is_file()
    assert package.joinpath("examples", "data", "ATTRIBUTION.md").is_file()
