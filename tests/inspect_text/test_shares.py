"""The shares of a net and of a linear part: what they sum up to, and where they are shown."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from inspect_models import LABELS, classifier

from fastlstm.inside import Inspection, draw_text, format_text, inspect_text, picture, shares
from fastlstm.inside.collect import probabilities
from fastlstm.inside.drawn import stacked
from fastlstm.inside.page_words import words_paragraph
from fastlstm.inside.shares import Shares, centred
from fastlstm.linear import BagOfNgrams, TokenRows
from fastlstm.models.joined import Join
from fastlstm.text import Vocabulary
from fastlstm.text.marks import tokens_with_marks

TEXT = '"Not a good film, but it\'s a very dull, murky ending!!" (said the film.)'
JOIN = Join(0.7, 1.9, 0.31)
both = pytest.mark.parametrize("classes", [2, 3])


def linear(classes: int) -> BagOfNgrams:
    texts = [
        "a good film!",
        "a dull, bad film",
        "very good",
        "murky",
        "the ending, not bad",
        "dull",
    ]
    return BagOfNgrams.fit(TokenRows.from_texts(texts), [n % classes for n in range(6)], classes)


def inspected(vocab: Vocabulary, classes: int, words: int = 0) -> Inspection:
    outputs = 1 if classes == 2 else classes
    model = classifier(num_outputs=outputs, bidirectional=True)
    found = inspect_text(model, vocab, TEXT, LABELS[classes], words=words)
    tokens = tokens_with_marks(TEXT)
    return replace(
        found, shares=Shares.of(linear(classes), JOIN, tokens, found.words, found.logits)
    )


@both
def test_they_sum_up_to_what_is_said(classes: int, vocab: Vocabulary) -> None:
    found = inspected(vocab, classes)
    assert found.shares is not None
    part = linear(classes)
    whole = part.logits(TokenRows.from_texts([TEXT]))
    np.testing.assert_allclose(found.shares.logits[-1], JOIN.logits(found.logits[-1:], whole)[0])
    net, added = found.shares.net.sum(axis=0), found.shares.linear.sum(axis=0)
    base = centred(part.intercept[0:1] if classes == 2 else part.intercept[None])[0]
    np.testing.assert_allclose(net, 0.7 * centred(found.logits)[-1])
    np.testing.assert_allclose(added + 1.9 * base, 1.9 * centred(whole)[0], atol=1e-6)
    np.testing.assert_allclose(found.shares.net.sum(axis=1), 0, atol=1e-9)


@both
@pytest.mark.parametrize("words", [0, 5])
def test_both_are_asked_about_each_beginning(
    classes: int, words: int, vocab: Vocabulary, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(shares, "TOKENS", 40)  # two or so at a time
    found = inspected(vocab, classes, words)
    assert found.shares is not None
    beginnings = ['"Not', '"Not a', '"Not a good', '"Not a good film,', '"Not a good film, but',
                  '"Not a good film, but it\'s']  # fmt: skip
    W = min(len(found.words), len(beginnings))
    said = linear(classes).logits(TokenRows.from_texts(beginnings[:W]))
    np.testing.assert_allclose(found.shares.logits[:W], JOIN.logits(found.logits[:W], said))
    assert len(found.shares.logits) == len(found.shares.linear) == len(found.words)


def test_without_a_linear_part_the_net_says_all(vocab: Vocabulary) -> None:
    found = replace(inspected(vocab, 2), shares=None)
    np.testing.assert_array_equal(found.said, found.probabilities)
    assert found.parts == ""


@both
def test_the_prediction_is_of_both(classes: int, vocab: Vocabulary) -> None:
    found = inspected(vocab, classes)
    assert found.shares is not None
    p = probabilities(found.shares.logits)
    np.testing.assert_array_equal(found.said, p)
    assert found.prediction == (found.labels[p[-1].argmax()], p[-1].max())
    assert found.shown_class == (1 if classes == 2 else p[-1].argmax())
    np.testing.assert_array_equal(found.followed, p[:, found.shown_class])
    assert found.parts == "net 0.31, linear 0.69"


def test_bars_stand_upon_each_other_if_both_go_one_way() -> None:
    below, above = np.array([1.0, 1.0, -1.0, -1.0, 0.0]), np.array([2.0, -2.0, 2.0, -2.0, 1.0])
    assert stacked(below, above).tolist() == [1.0, 0.0, 0.0, -1.0, 0.0]


@both
def test_the_picture_shows_them(
    classes: int, vocab: Vocabulary, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    pytest.importorskip("matplotlib")
    figures: list[Any] = []
    make = picture.new_figure
    monkeypatch.setattr(picture, "new_figure", lambda *a, **b: figures.append(make(*a, **b)) or
                        figures[-1])  # fmt: skip
    found = inspected(vocab, classes)
    draw_text(tmp_path / "text.png", found)
    panels = [axes for axes in figures[0].axes if axes.get_label() != "<colorbar>"]
    assert len(panels) == len("ifgo") + 4
    prediction, bars = panels[:2]
    lines = {line.get_label(): line.get_ydata() for line in prediction.lines}
    label = found.labels[found.shown_class]
    of_class = f"probability of {label}" if classes == 2 else label
    np.testing.assert_array_equal(lines[of_class], found.followed)
    np.testing.assert_array_equal(lines["by the net alone"], found.followed_by_net)
    assert found.shares is not None
    net, added = (s[:, found.shown_class] for s in (found.shares.net, found.shares.linear))
    heights = [[bar.get_height() for bar in group] for group in bars.containers]
    np.testing.assert_allclose(heights, [net, added])
    np.testing.assert_allclose([bar.get_y() for bar in bars.containers[1]], stacked(net, added))
    (total,) = (line for line in bars.lines if line.get_label() == "both")
    np.testing.assert_allclose(total.get_ydata(), net + added)
    assert bars.get_ylabel() == f"adds to the logit\nof {label}"
    assert any("net 0.31, linear 0.69" in text.get_text() for text in figures[0].texts)


@pytest.mark.parametrize(("words", "most_bars"), [(1, 240), (12, 5)])
def test_pictures_of_few_words_and_of_more_than_have_bars(
    words: int, most_bars: int, vocab: Vocabulary, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    pytest.importorskip("matplotlib")
    monkeypatch.setattr(picture, "MOST_BARS", most_bars)
    text = " ".join((TEXT.split() * 30)[:words])
    found = inspect_text(classifier(), vocab, text, LABELS[2], words=0)
    tokens = tokens_with_marks(text)
    part = Shares.of(linear(2), JOIN, tokens, found.words, found.logits)
    draw_text(tmp_path / "text.png", replace(found, shares=part))
    assert (tmp_path / "text.png").read_bytes().startswith(b"\x89PNG")


@both
def test_the_page_shows_them(classes: int, vocab: Vocabulary) -> None:
    pytest.importorskip("bokeh")
    from fastlstm.inside.page_plots import _word_source, page_of

    found = inspected(vocab, classes)
    assert found.shares is not None
    net, added = (s[:, found.shown_class] for s in (found.shares.net, found.shares.linear))
    data = _word_source(found).data
    for name, value in {
        "p": found.followed, "p_net": found.followed_by_net, "net": net, "linear": added,
        "both": net + added, "linear_end": stacked(net, added) + added,
    }.items():  # fmt: skip
        np.testing.assert_array_equal(data[name], value, err_msg=name)
    paragraph = words_paragraph(found)
    assert f"net adds: {net[2]:+.2f}\nlinear part adds: {added[2]:+.2f}\n" in paragraph
    if classes > 2:  # one page is enough
        return
    html = page_of(found, "Title")
    assert "(net 0.31, linear 0.69)" in html
    assert "what each word adds to the logit of" in html
    assert "what each word adds" not in page_of(replace(found, shares=None), "Title")


def test_the_table_has_the_net_and_what_the_linear_part_adds(vocab: Vocabulary) -> None:
    found = inspected(vocab, 2)
    assert found.shares is not None
    rows = [line.split() for line in format_text(found).splitlines() if line.startswith("  ")][1:]
    for w, row in enumerate(rows):
        assert row[2] == f"{found.followed_by_net[w]:4.2f}"
        assert row[-1] == f"{found.shares.linear[w, 1]:+.2f}"
