"""Mentions in made-up sentences: the sentences, figures, the picture and errors."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import pytest

from fastlstm.examples import mentions, tagger
from fastlstm.train import spans

QUICK = ("--sentences", "40", "--epochs", "1", "--hidden-size", "8")


def run(capsys: pytest.CaptureFixture[str], *arguments: str) -> tuple[dict[str, Any], list[str]]:
    assert tagger.main(arguments) == 0
    *lines, last = capsys.readouterr().out.splitlines()
    return json.loads(last), lines


def test_made_up_sentences_are_labelled_whole() -> None:
    made = mentions.make_sentences(300, 0)
    assert made == mentions.make_sentences(300, 0)
    assert made != mentions.make_sentences(300, 1)
    for one in made:
        assert len(one.words) == len(one.labels)
        assert set(one.labels) <= set(mentions.LABELS)
        for kind, start, stop in spans(one.labels):
            ending = one.words[stop - 1]
            assert any(e.split()[-1:] in ([ending], []) for e in mentions.ENDINGS[kind])
            assert one.labels[start] == f"B-{kind}"
    kinds = [kind for one in made for kind, _, _ in spans(one.labels)]
    assert all(kinds.count(kind) > 100 for kind in mentions.KINDS)


def test_a_crf_finds_more_mentions(capsys: pytest.CaptureFixture[str]) -> None:
    figures, lines = run(capsys, "--sentences", "500", "--epochs", "4", "Fox Hill Hotel left York")
    assert figures["tested"] == 500
    assert figures["crf_1_f1"] > figures["softmax_1_f1"] + 0.2
    assert figures["crf_2_f1"] > 0.8
    table = [line.split() for line in lines[-7:-3]]
    assert [row[:2] for row in table] == [
        ["1", "softmax"],
        ["1", "crf"],
        ["2", "softmax"],
        ["2", "crf"],
    ]
    assert table[1][3] == f"{figures['crf_1_f1']:.1%}"
    assert re.fullmatch(r"Fox/\S+ Hill/\S+ Hotel/\S+ left/\S+ York/\S+", lines[-1])


def test_an_example_of_labels_repeats_and_draws(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    pytest.importorskip("matplotlib")
    picture = tmp_path / "pairs.png"
    figures, _ = run(capsys, *QUICK, "--plot", str(picture))
    assert picture.read_bytes().startswith(b"\x89PNG")
    assert run(capsys, *QUICK)[0] == figures


def test_labels_without_matplotlib(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(tagger, "find_spec", lambda name: None)
    assert tagger.main(["--plot", "x.png"]) == 1
    shown = capsys.readouterr()
    assert shown.err == "tagger: error: --plot needs matplotlib: pip install 'fastlstm[plot]'\n"


@pytest.mark.parametrize("option", ["--epochs", "--hidden-size", "--sentences", "--seed"])
def test_wrong_options_of_labels(option: str, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as stop:
        tagger.main([option, "-1"])
    assert stop.value.code == 2
    assert f"{option} is -1" in capsys.readouterr().err


@pytest.mark.parametrize("text", ["", "  "])
def test_a_sentence_without_words_is_refused_before_the_training(
    text: str, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit):
        tagger.main([text, *QUICK])
    assert "the sentence to label has no words" in capsys.readouterr().err
