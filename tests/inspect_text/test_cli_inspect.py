"""The command ``fastlstm inspect`` on a run that ``fastlstm train`` has made."""

from __future__ import annotations

import io
import json
import sys
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

from fastlstm.cli import main
from fastlstm.train.classifier.loaded_run import load_run

ROWS = [
    *(f"a {w} film,good" for w in ("fine", "great", "lovely", "sweet")),
    *(f"a {w} film,bad" for w in ("dull", "bleak", "stale", "poor")),
]


@pytest.fixture(scope="module")
def run_folder(tmp_path_factory: pytest.TempPathFactory) -> str:
    """A bidirectional run of two layers, without a linear part."""
    folder = tmp_path_factory.mktemp("inspect")
    (folder / "texts.csv").write_text("text,label\n" + "\n".join(ROWS) + "\n")
    size = ["--hidden-size", "6", "--embedding-dim", "4", "--num-layers", "2", "--epochs", "1"]
    split = [
        "--parts",
        "net",
        "--validation",
        "0",
        "--test-split",
        "0",
        "--max-length",
        "4",
        "--quiet",
    ]
    run = folder / "run"
    assert main(["train", str(folder / "texts.csv"), "--out", str(run), *size, *split]) == 0
    return str(run)


def inspect(capsys: pytest.CaptureFixture[str], *arguments: str) -> tuple[str, str]:
    capsys.readouterr()
    assert main(["inspect", *arguments]) == 0
    out, err = capsys.readouterr()
    return out, err


def test_the_table_is_printed(run_folder: str, capsys: pytest.CaptureFixture[str]) -> None:
    out, err = inspect(capsys, run_folder, "A great, great zyx")
    assert err == ""
    assert "\x1b" not in out
    rows = [line.split()[:2] for line in out.splitlines() if line.strip()[:1].isdigit()]
    assert rows[1:] == [["1", "a"], ["2", "great"], ["3", "great"], ["4", "zyx*"]]


def test_json_has_the_numbers(run_folder: str, capsys: pytest.CaptureFixture[str]) -> None:
    out, err = inspect(capsys, run_folder, "a", "great film", "--json", "--layer", "0")
    told = json.loads(out)
    assert err == ""
    assert out.count("\n") == 1
    assert (told["cell"], told["layer"], told["direction"]) == ("lstm", 0, "forward")
    assert [w["word"] for w in told["words"]] == ["a", "great", "film"]
    run = load_run(run_folder)
    for n in range(3):
        text = " ".join(["a", "great", "film"][: n + 1])
        expected = np.exp(run.log_probabilities(run.encode([text]))[0])
        found = told["words"][n]["probabilities"]
        assert list(found) == run.labels
        assert list(found.values()) == pytest.approx(expected, rel=1e-5)
    assert told["probability"] == pytest.approx(expected.max(), rel=1e-5)
    assert set(told["words"][0]["mean_gates"]) == {"i", "f", "|g|", "o"}


def test_places_differ(run_folder: str, capsys: pytest.CaptureFixture[str]) -> None:
    seen = set()
    for layer in ("0", "1"):
        for direction in ("forward", "backward"):
            place = ["--layer", layer, "--direction", direction]
            out, _ = inspect(capsys, run_folder, "a fine film", "--json", *place)
            seen.add(str(json.loads(out)["words"][0]["mean_gates"]))
    assert len(seen) == 4
    default, _ = inspect(capsys, run_folder, "a fine film", "--json")
    assert (json.loads(default)["layer"], json.loads(default)["direction"]) == (1, "forward")


def test_a_long_text_is_cut_and_says_so(
    run_folder: str, capsys: pytest.CaptureFixture[str]
) -> None:
    out, _ = inspect(capsys, run_folder, "fine " * 5 + "dull " * 5, "--words", "3")
    note = " ".join(out.split())
    assert "the first 3 of 10 words (--words shows more)" in note
    run = load_run(run_folder)  # which reads the first two words and the last two
    p = np.exp(run.log_probabilities(run.encode(["fine fine dull dull"]))[0])
    assert f"prediction: {run.labels[p.argmax()]}, probability {p.max():.3f} 10 words" in note
    out, _ = inspect(capsys, run_folder, "fine " * 70, "--words", "0")
    assert "70 words" in out
    assert all(len(line) <= 80 for line in out.splitlines())


def test_text_comes_from_a_file_or_the_standard_input(
    run_folder: str,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    expected, _ = inspect(capsys, run_folder, "a fine café film")
    (tmp_path / "text.txt").write_bytes("a fine\ncafé film\n".encode("cp1252"))
    file = ["--file", str(tmp_path / "text.txt"), "--encoding", "cp1252"]
    assert inspect(capsys, run_folder, *file)[0] == expected
    stdin = SimpleNamespace(buffer=io.BytesIO("a fine café film".encode()), isatty=lambda: False)
    monkeypatch.setattr(sys, "stdin", stdin)
    assert inspect(capsys, run_folder)[0] == expected


def test_unknown_words_alone_are_named(run_folder: str, capsys: pytest.CaptureFixture[str]) -> None:
    out, _ = inspect(capsys, run_folder, "qwx zyx")
    assert "the prediction says nothing about them" in " ".join(out.split())


def test_pictures_and_pages_are_written(
    run_folder: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    pytest.importorskip("matplotlib")
    pytest.importorskip("bokeh")
    plot, page = tmp_path / "text.png", tmp_path / "text.html"
    out, _ = inspect(capsys, run_folder, "a fine film", "--plot", str(plot), "--html", str(page))
    assert out.rstrip().splitlines()[-2:] == ["", f"wrote {plot} and {page}"]
    assert plot.read_bytes().startswith(b"\x89PNG")
    assert "</html>" in page.read_text(encoding="utf-8")
    for path in (plot, page):
        path.unlink()
    out, _ = inspect(capsys, run_folder, "a fine film", "--json", "--plot", str(plot))
    json.loads(out)
    assert plot.exists()


@pytest.mark.filterwarnings("always::fastlstm.lettering.LetteringWarning")
def test_letters_that_no_font_has_are_told_on_a_line(
    run_folder: str,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    pytest.importorskip("matplotlib")
    monkeypatch.setattr("fastlstm.lettering._families", lambda missing: [])
    text = "a \u6620\u753b film"
    _, err = inspect(capsys, run_folder, text, "--plot", str(tmp_path / "text.png"))
    (line,) = err.splitlines()
    assert line.startswith("note: no font that is installed has '\u6620', '\u753b': the picture")


@pytest.mark.parametrize(
    ("arguments", "status", "message"),
    [
        (["{run}", "..."], 1, "the text has no words"),
        (["{run}", "a", "--layer", "2"], 2, "--layer is 2, expected 0 to 1"),
        (["{run}", "a", "--words", "-1"], 2, "--words is -1"),
        (["{run}", "a", "--file", "b"], 2, "TEXT and --file exclude each other"),
        (["{run}", "a", "--direction", "up"], 2, "--direction"),
        (["{run}", "a", "--encoding", "klingon"], 2, "klingon"),
        (["{run}", "--file", "{run}/none.txt"], 1, "none.txt"),
        (["{run}/none", "a"], 1, "does not exist"),
        (["{run}", "a", "--plot", "{run}/no/a.png"], 1, "there is no folder"),
        (["{run}", "a", "--plot", "a.gif"], 2, "expected a name that ends in .png"),
        (["{run}", "a", "--html", "{run}/no/a.html"], 1, "there is no folder"),
        (
            ["{run}", "--file", "{run}/config.json", "--html", "{run}/config.json"],
            2,
            "--html is {run}/config.json, which is read, too",
        ),
    ],
)
def test_wrong_use_is_named(
    run_folder: str,
    capsys: pytest.CaptureFixture[str],
    arguments: list[str],
    status: int,
    message: str,
) -> None:
    command = ["inspect", *(a.replace("{run}", run_folder) for a in arguments)]
    try:
        found: Any = main(command)
    except SystemExit as end:
        found = end.code
    out, err = capsys.readouterr()
    assert found == status
    assert message.replace("{run}", run_folder) in " ".join(err.split())
    assert out == ""


def test_a_run_that_reads_forward_has_no_other_direction(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "texts.csv").write_text("text,label\n" + "\n".join(ROWS) + "\n")
    size = ["--hidden-size", "4", "--epochs", "1", "--no-bidirectional", "--cell", "gru"]
    more = ["--validation", "0", "--test-split", "0", "--quiet", "--out", str(tmp_path / "run")]
    assert main(["train", str(tmp_path / "texts.csv"), *size, *more]) == 0
    with pytest.raises(SystemExit) as end:
        main(["inspect", str(tmp_path / "run"), "a", "--direction", "backward"])
    assert end.value.code == 2
    assert "reads its texts forward only" in capsys.readouterr().err
    out, _ = inspect(capsys, str(tmp_path / "run"), "a fine film")
    assert "|n|" in out
