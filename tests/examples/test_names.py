"""The languages of surnames: made-up and real ones, an honest split, figures and errors."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from fastlstm.examples import names, surnames

ROOT = Path(__file__).parents[2]
SHARED = Path(os.environ.get("FASTLSTM_SHARED_DATA", ROOT.parent / "shared" / "data")) / "names"
QUICK = ("--epochs", "2", "--hidden-size", "16")


def run(capsys: pytest.CaptureFixture[str], *arguments: str) -> tuple[dict[str, Any], list[str]]:
    assert names.main(arguments) == 0
    *lines, last = capsys.readouterr().out.splitlines()
    return json.loads(last), lines


def write(folder: Path, **languages: str) -> Path:
    for language, text in languages.items():
        (folder / f"{language}.txt").write_text(text, encoding="utf-8")
    return folder


def test_made_up_names_are_many_distinct_and_the_same() -> None:
    made = surnames.make_names()
    assert len(made) == 18
    sizes = [len(group) for group in made.values()]
    assert min(sizes) >= 80
    assert max(sizes) > 10 * min(sizes)
    assert all(len(set(group)) == len(group) for group in made.values())
    assert made == surnames.make_names()


def test_a_tenth_of_each_language_is_held_back_and_nothing_lies_on_both_sides() -> None:
    made = {**surnames.make_names(), "Tiny": ["One", "Two"]}
    learned, tested = surnames.split(made, seed=0)
    for language, group in made.items():
        assert sorted(learned[language] + tested[language]) == group
        assert not set(learned[language]) & set(tested[language])
        assert len(tested[language]) == max(1, round(len(group) / 10))
    assert surnames.split(made, seed=0) == (learned, tested)
    assert surnames.split(made, seed=1) != (learned, tested)


def test_files_are_read_without_repetitions(tmp_path: Path) -> None:
    write(
        tmp_path, Polish="Ślusarski\nWalentowicz\n\nŚlusarski \n", German="\ufeffMüller\nAuttenberg"
    )
    assert surnames.read_names(tmp_path, str) == {
        "German": ["Auttenberg", "Müller"],
        "Polish": ["Walentowicz", "Ślusarski"],
    }
    assert surnames.read_names(tmp_path, surnames.to_ascii) == {
        "German": ["Auttenberg", "Muller"],
        "Polish": ["Slusarski", "Walentowicz"],
    }


def test_prints_figures_of_each_language_and_of_all(capsys: pytest.CaptureFixture[str]) -> None:
    figures, lines = run(capsys, *QUICK, "Kowalski", "Žižek")
    assert lines[0].startswith("These names are made up")
    start = lines.index(next(line for line in lines if line.startswith("language")))
    table = [line.split() for line in lines[start + 1 : start + 19]]
    tested = np.array([int(row[1]) for row in table])
    right = np.array([float(row[2].rstrip("%")) / 100 for row in table])
    assert figures["languages"] == 18
    assert figures["tested"] == tested.sum() == pytest.approx(figures["names"] / 10, abs=9)
    assert figures["macro_accuracy"] == pytest.approx(right.mean(), abs=0.005)
    micro = np.sum(right * tested) / tested.sum()
    assert figures["micro_accuracy"] == pytest.approx(micro, abs=0.005)
    assert figures["micro_accuracy"] > 0.3  # Russian alone is 0.29
    assert lines[-2].startswith("Kowalski: ")
    assert lines[-1].startswith("Žižek: ")
    assert lines[-1].count("%") == 3


def test_learns_made_up_names_and_repeats(capsys: pytest.CaptureFixture[str]) -> None:
    options = ("--epochs", "5", "--hidden-size", "48")
    figures, _ = run(capsys, *options)
    assert figures["micro_accuracy"] > 0.85
    assert figures["macro_accuracy"] > 0.65
    again, _ = run(capsys, *options)
    assert {**again, "seconds": 0} == {**figures, "seconds": 0}


def test_balance_helps_the_small_languages(capsys: pytest.CaptureFixture[str]) -> None:
    plain, _ = run(capsys, *QUICK)
    balanced, _ = run(capsys, *QUICK, "--balance")
    assert balanced["macro_accuracy"] > plain["macro_accuracy"] + 0.05


def test_draws_the_confusion_matrix(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    pytest.importorskip("matplotlib")
    picture = tmp_path / "names.png"
    run(capsys, *QUICK, "--plot", str(picture))
    assert picture.read_bytes().startswith(b"\x89PNG")


def test_without_matplotlib_the_extra_is_named_before_training(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(names, "find_spec", lambda name: None)
    assert names.main(["--plot", "x.png"]) == 1
    shown = capsys.readouterr()
    assert shown.err == "names: error: --plot needs matplotlib: pip install 'fastlstm[plot]'\n"
    assert shown.out == ""


def test_folders_that_cannot_be_used(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert names.main(["--data", str(tmp_path / "nowhere")]) == 1
    assert "nowhere is no folder, expected one with files LANGUAGE" in capsys.readouterr().err
    assert names.main(["--data", str(tmp_path)]) == 1
    assert "has 0 files LANGUAGE.txt, expected at least 2" in capsys.readouterr().err
    write(tmp_path, Polish="Kowalski\nNowak\n", German="Bauer\n")
    assert names.main(["--data", str(tmp_path)]) == 1
    assert "German.txt has 1 names, expected at least 2" in capsys.readouterr().err
    (tmp_path / "German.txt").write_bytes("Müller\nBauer".encode("latin-1"))
    assert names.main(["--data", str(tmp_path)]) == 1
    assert "German.txt is not UTF-8" in capsys.readouterr().err


def test_a_name_of_which_nothing_is_left_is_refused(capsys: pytest.CaptureFixture[str]) -> None:
    """Before the training; a guess would be one about an empty name."""
    for name, told in (
        ("\u540d\u524d", "has no letters of ASCII: --unicode keeps others"),
        (" ", "the name ' ' has no letters\n"),
    ):
        assert names.main(["Smith", name]) == 1
        captured = capsys.readouterr()
        assert told in captured.err
        assert captured.out == ""


@pytest.mark.parametrize("option", ["--epochs", "--hidden-size", "--balance", "--seed"])
def test_wrong_options(option: str, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as stop:
        names.main([option, "-1"])
    assert stop.value.code == 2
    assert f"{option} is -1" in capsys.readouterr().err


@pytest.mark.slow
@pytest.mark.skipif(not SHARED.is_dir(), reason=f"needs the names in {SHARED}")
def test_real_names(capsys: pytest.CaptureFixture[str]) -> None:
    figures, lines = run(capsys, "--data", str(SHARED))
    assert "made up" not in lines[0]
    assert figures["languages"] == 18
    assert 17_900 < figures["names"] <= 18_012  # of 20,050 lines
    assert figures["micro_accuracy"] > 0.80
    assert figures["macro_accuracy"] > 0.40
