"""`fastlstm evaluate`: scores of a run on labelled texts."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from topics import TOPICS, rows, train, write_csv, write_folder, write_json_lines

from fastlstm.cli import main
from fastlstm.train.classifier.loaded_run import load_run
from fastlstm.train.scoring.scores import score

pytestmark = pytest.mark.usefixtures("no_picture", "no_debug")


@pytest.fixture
def scores(capsys: pytest.CaptureFixture[str]) -> Any:
    """Run evaluate with --json and return the object."""

    def run(*line: object) -> dict[str, Any]:
        capsys.readouterr()
        assert main(["evaluate", *map(str, line), "--json"]) == 0
        out = capsys.readouterr().out
        assert out.count("\n") == 1
        found: dict[str, Any] = json.loads(out)
        return found

    return run


def test_scores_are_those_of_the_predictions(three: Path, tmp_path: Path, scores: Any) -> None:
    texts, labels = rows(50, seed=4)
    found = scores(three, write_csv(tmp_path / "a.csv", (texts, labels)))
    trained = load_run(three)
    log_probabilities = trained.log_probabilities(trained.encode(texts))
    truth = np.array([TOPICS.index(label) for label in labels])
    expected = score(log_probabilities, truth).to_json(TOPICS)
    assert {name: found[name] for name in expected} == json.loads(json.dumps(expected))
    assert found["accuracy"] == np.mean(log_probabilities.argmax(axis=1) == truth)
    assert np.sum(found["confusion"]) == found["texts"] == 50
    assert found["run"] == str(three)


def test_the_test_texts_again(tmp_path: Path, scores: Any) -> None:
    test = write_csv(tmp_path / "test.csv", rows(40, seed=1))
    metrics = train(write_csv(tmp_path / "a.csv", rows(60)), tmp_path / "run", test=test)
    found = scores(tmp_path / "run", test)
    assert found["accuracy"] == metrics["test_accuracy"]
    assert found["loss"] == pytest.approx(metrics["test_loss"], rel=1e-5)
    assert found["macro_f1"] == metrics["test_macro_f1"]
    assert found["calibration_error"] == metrics["test_calibration_error"]


@pytest.mark.parametrize("command", ["evaluate", "predict"])
@pytest.mark.parametrize(
    ("more", "bar"), [([], True), (["--no-progress"], False), (["--quiet"], False)]
)
def test_a_bar_on_a_terminal_unless_it_is_unwanted(
    three: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch, command: str, more: list[str], bar: bool,
) -> None:  # fmt: skip
    monkeypatch.setattr(sys.stderr, "isatty", lambda: True)
    data = str(write_csv(tmp_path / "a.csv", rows(5)))
    where = ["--file", data] if command == "predict" else [data]
    assert main([command, str(three), *where, *more]) == 0
    assert ("texts/s" in capsys.readouterr().err) is bar


def test_every_kind_of_data(three: Path, tmp_path: Path, scores: Any) -> None:
    texts, labels = rows(12, seed=5)
    order = sorted(range(12), key=labels.__getitem__)  # that of a folder
    data = [texts[n] for n in order], [labels[n] for n in order]
    found = scores(three, write_csv(tmp_path / "a.csv", data))
    others = [
        (write_json_lines(tmp_path / "a.jsonl", data),),
        (write_folder(tmp_path / "folder", data),),
        (write_csv(tmp_path / "b.csv", data, ("x", "y")), "--text-column", "x",
         "--label-column", "y"),
        (write_csv(tmp_path / "a.dat", data, delimiter="|"), "--delimiter", "|"),
    ]  # fmt: skip
    for line in others:
        assert {**scores(three, *line), "data": found["data"]} == found


def test_the_columns_of_the_run_are_those_of_the_data(tmp_path: Path, scores: Any) -> None:
    columns = ("words", "kind")
    data = write_csv(tmp_path / "a.csv", rows(60), columns)
    train(data, tmp_path / "run", text_column="words", label_column="kind")
    assert scores(tmp_path / "run", data)["texts"] == 60


def test_the_encoding_of_the_run_is_not_that_of_the_data(tmp_path: Path, scores: Any) -> None:
    texts, labels = rows(30, ("caf\u00e9", "th\u00e9"))
    path = write_csv(tmp_path / "a.csv", (texts, labels))
    other = tmp_path / "b.csv"
    other.write_bytes(path.read_text(encoding="utf-8").encode("cp1252"))
    train(other, tmp_path / "run", encoding="cp1252")
    found = scores(tmp_path / "run", path)
    assert {**scores(tmp_path / "run", other, "--encoding", "cp1252"), "data": str(path)} == found


def test_readable_text(three: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    data = write_csv(tmp_path / "a.csv", rows(10, seed=6))
    assert main(["evaluate", str(three), str(data), "--bins", "5"]) == 0
    printed = capsys.readouterr().out
    assert "of 10 texts" in printed
    assert "5 bins of equal width (Guo et al. 2017)" in printed
    for label in TOPICS:
        assert printed.count(f"\n{label} ") == 2  # a row of the classes, one of the matrix


def test_many_classes_list_their_confusions(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    many = tuple(f"class{n:02}" for n in range(24))
    data = write_csv(tmp_path / "a.csv", rows(72, many))
    train(data, tmp_path / "run")
    capsys.readouterr()
    assert main(["evaluate", str(tmp_path / "run"), str(data)]) == 0
    assert "commonest confusions" in capsys.readouterr().out


def test_one_class_of_the_run_may_be_absent(three: Path, tmp_path: Path, scores: Any) -> None:
    found = scores(three, write_csv(tmp_path / "a.csv", rows(4, TOPICS[:1])))
    assert [found["classes"][label]["texts"] for label in TOPICS] == [4, 0, 0]
    assert found["classes"]["sport"]["recall"] is None


@pytest.mark.parametrize("run", ["two", "three"])
def test_the_picture(
    run: str, tmp_path: Path, capsys: pytest.CaptureFixture[str], request: pytest.FixtureRequest
) -> None:
    pytest.importorskip("matplotlib")
    folder = request.getfixturevalue(run)
    data = write_csv(tmp_path / "a.csv", rows(20, tuple(load_run(folder).labels)))
    line = ["evaluate", str(folder), str(data), "--plot", str(tmp_path / "a.png"), "--json"]
    capsys.readouterr()
    assert main(line) == 0
    out, err = capsys.readouterr()
    assert json.loads(out)["texts"] == 20
    assert f"the picture is in {tmp_path / 'a.png'}" in err
    assert (tmp_path / "a.png").read_bytes().startswith(b"\x89PNG")


def test_a_label_unseen_in_training(three: Path, tmp_path: Path, fails: Any) -> None:
    data = write_csv(tmp_path / "a.csv", rows(9, ("sport", "art", "music")))
    told = fails("evaluate", three, data)
    assert f"{data} has labels that training did not have: 'art' (3)" in told
    assert "the classes are 'music', 'sport', 'weather'" in told


def test_what_is_wrong_with_the_data(three: Path, tmp_path: Path, fails: Any) -> None:
    (tmp_path / "empty.csv").write_text("")
    assert "empty.csv is empty" in fails("evaluate", three, tmp_path / "empty.csv")
    assert "gone.csv does not exist" in fails("evaluate", three, tmp_path / "gone.csv")
    bad = tmp_path / "bad.csv"
    bad.write_bytes(b"text,label\na,sport\n\xe9,sport\n")
    assert "byte 0xe9 at position 19" in fails("evaluate", three, bad)
    named = write_csv(tmp_path / "a.csv", rows(3), ("prose", "label"))
    assert "has no column 'text'; its columns are 'prose', 'label'" in fails(
        "evaluate", three, named
    )


def test_wrong_use(three: Path, topics_csv: Path, misused: Any) -> None:
    assert "--bins is 0" in misused("evaluate", three, topics_csv, "--bins", "0")
    assert "--plot is a.pdf, expected" in misused("evaluate", three, topics_csv, "--plot", "a.pdf")
    assert "--encoding is 'x'" in misused("evaluate", three, topics_csv, "--encoding", "x")
    assert "--delimiter is 'ab'" in misused("evaluate", three, topics_csv, "--delimiter", "ab")


def test_a_picture_into_no_folder(
    three: Path, topics_csv: Path, tmp_path: Path, fails: Any
) -> None:
    path = tmp_path / "gone" / "a.png"
    assert f"there is no folder {path.parent}" in fails(
        "evaluate", three, topics_csv, "--plot", path
    )
    path.mkdir(parents=True)
    assert f"{path} is a folder, expected the name of a file" in fails(
        "evaluate", three, topics_csv, "--plot", path
    )


def test_a_picture_without_matplotlib(
    three: Path, topics_csv: Path, tmp_path: Path, fails: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(__import__("sys").modules, "matplotlib", None)
    told = fails("evaluate", three, topics_csv, "--plot", tmp_path / "a.png")
    assert 'pip install "fastlstm[plot]"' in told


def test_numbers_are_the_same_class_however_they_are_spelled(tmp_path: Path, scores: Any) -> None:
    texts, labels = rows(60, ("0", "1"))
    train(write_csv(tmp_path / "a.csv", (texts, labels)), tmp_path / "run")
    expected = scores(tmp_path / "run", tmp_path / "a.csv")
    spelled = [label + ".0" if n % 2 else label for n, label in enumerate(labels)]
    found = scores(tmp_path / "run", write_csv(tmp_path / "b.csv", (texts, spelled)))
    assert found["accuracy"] == expected["accuracy"]
    assert found["confusion"] == expected["confusion"]
    numbers = [{"text": t, "label": float(x)} for t, x in zip(texts, labels, strict=True)]
    (tmp_path / "c.json").write_text(json.dumps(numbers, indent=1))
    assert scores(tmp_path / "run", tmp_path / "c.json")["confusion"] == expected["confusion"]


def test_a_header_with_empty_names(tmp_path: Path, scores: Any) -> None:
    texts, labels = rows(60, ("ham", "spam"))
    lines = [f'{label},"{text}",,,' for text, label in zip(texts, labels, strict=True)]
    data = tmp_path / "spam.csv"
    data.write_bytes("\n".join(["v1,v2,,,", *lines]).encode("latin-1"))
    train(data, tmp_path / "run", text_column="v2", encoding="latin-1")
    assert scores(tmp_path / "run", data, "--encoding", "latin-1")["texts"] == 60


def test_quiet_prints_results_alone(
    three: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    data, out = str(write_csv(tmp_path / "a.csv", rows(5))), str(tmp_path / "results.csv")
    for more, told in [([], True), (["--quiet"], False)]:
        assert (
            main(["predict", str(three), "--file", data, "--out", out, "--overwrite", *more]) == 0
        )
        printed = capsys.readouterr()
        assert printed.out == ""
        assert bool(printed.err) is told
