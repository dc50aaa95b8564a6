"""Folders of all kinds of commands: none writes into what another one made."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest

from fastlstm.forecast.folder import ForecastFolder
from fastlstm.train.classifier.run_folder import RunFolder
from fastlstm.train.comparison.folder import ComparisonFolder
from fastlstm.train.language.run import LanguageFolder
from fastlstm.train.output_folder import KINDS
from fastlstm.tune.folder import TuneFolder

FOLDERS: list[Any] = [ComparisonFolder, ForecastFolder, LanguageFolder, RunFolder, TuneFolder]


def test_all_kinds_are_known() -> None:
    assert {folder.FILES[-1] for folder in FOLDERS} == set(KINDS)


@pytest.mark.parametrize("overwrite", [False, True])
@pytest.mark.parametrize("there", FOLDERS)
@pytest.mark.parametrize("kind", FOLDERS)
def test_what_another_command_made_is_left_alone(
    kind: Any, there: Any, overwrite: bool, tmp_path: Path
) -> None:
    mark = there(tmp_path).mark
    mark.write_text("{}")
    told = f"{tmp_path} holds {KINDS[mark.name]}; give another folder="
    if kind is there:  # a file that no run wrote
        told = f"{tmp_path} holds {mark.name} but no run of this kind"
    with pytest.raises(FileExistsError, match="^" + re.escape(told)):
        kind(tmp_path).check_free(overwrite)
    kind(tmp_path / "other").check_free(overwrite)
