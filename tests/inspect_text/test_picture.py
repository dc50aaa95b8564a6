"""The picture shows the numbers, and is readable whatever the number of words."""

from __future__ import annotations

import struct
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from inspect_models import LABELS, classifier

from fastlstm.inside import draw_text, inspect_text, lines, picture
from fastlstm.text import Vocabulary

TEXT = "Not a good film, but it's a very dull, murky ending."


def png_size(path: Path) -> tuple[int, int]:
    data = path.read_bytes()
    assert data.startswith(b"\x89PNG\r\n\x1a\n")
    width, height = struct.unpack(">II", data[16:24])
    return int(width), int(height)


def drawn(monkeypatch: pytest.MonkeyPatch, path: Path, inspection: Any) -> Any:
    """Draw, and return matplotlib's figure."""
    pytest.importorskip("matplotlib")
    figures, make = [], picture.new_figure

    def remember(*sizes: float, **options: Any) -> Any:
        figures.append(make(*sizes, **options))
        return figures[0]

    monkeypatch.setattr(picture, "new_figure", remember)
    draw_text(path, inspection)
    return figures[0]


@pytest.mark.parametrize(
    ("options", "images"),
    [({}, "ifgoc"), ({"cell": "gru", "num_outputs": 3}, "rznh"), ({"cell": "rnn"}, "h")],
)
def test_it_shows_what_was_collected(
    options: dict[str, Any],
    images: str,
    vocab: Vocabulary,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    found = inspect_text(classifier(**options), vocab, TEXT, LABELS[options.get("num_outputs", 2)])
    figure = drawn(monkeypatch, tmp_path / "text.png", found)
    panels = [axes for axes in figure.axes if axes.get_label() != "<colorbar>"]
    assert len(panels) == len(images) + 2
    order = np.argsort(found.values[found.state][-1], kind="stable")
    for panel, name in zip(panels[1:-1], images, strict=True):
        shown = panel.images[0].get_array()
        np.testing.assert_array_equal(shown, found.values[name][:, order].T)
    words = [label.get_text() for label in panels[-1].get_xticklabels()]
    assert words == [*"not a good film but it's a very dull".split(), "murky (?)", "ending"]
    lines = [line.get_ydata() for line in panels[0].lines if len(line.get_ydata()) == len(words)]
    np.testing.assert_array_equal(lines[-1], found.probabilities[:, found.shown_class])
    assert png_size(tmp_path / "text.png")[0] > 700
    assert [path.name for path in tmp_path.iterdir()] == ["text.png"]


LONG = f"{'incomprehensibilities' * 3} {'x' * 20_000} "


@pytest.mark.parametrize(
    ("count", "start"),
    [(1, ""), (7, ""), (7, LONG), (60, ""), (106, LONG), (400, ""), (2000, "")],
    ids=["1", "7", "7-long", "60", "106-long", "400", "2000"],
)
def test_no_word_covers_another(
    count: int, start: str, vocab: Vocabulary, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Nor a panel, nor leaves the picture, which stays of a size that can be looked at."""
    text = " ".join((f"{start}{TEXT}".split() * 250)[:count])
    found = inspect_text(classifier(), vocab, text, words=0)
    figure = drawn(monkeypatch, tmp_path / "text.png", found)
    width, height = png_size(tmp_path / "text.png")
    assert width <= 2000
    assert height <= 8500
    panels = [axes for axes in figure.axes if axes.get_label() != "<colorbar>"]
    rows = [panels[n : n + 7] for n in range(0, len(panels), 7)]
    assert len(rows) == min(-(-count // 60), 4)
    named = 0
    for row in rows:
        for panel, below in ((row[0], row[1]), (row[-1], None)):
            low, high = panel.get_xlim()
            labels = [t for t in panel.get_xticklabels() if low < t.get_position()[0] < high]
            boxes = [label.get_window_extent() for label in labels]
            for left, right in zip(boxes, boxes[1:], strict=False):
                assert left.x1 < right.x0
            assert max(box.y1 for box in boxes) < panel.get_window_extent().y0 + 1
            floor = 0 if below is None else below.title.get_window_extent().y1
            assert min(box.y0 for box in boxes) > floor
        named += len(boxes)
    assert named == count if count <= 400 else 200 < named < count


def test_an_unknown_word_that_is_cut_keeps_its_mark(vocab: Vocabulary) -> None:
    found = inspect_text(classifier(), vocab, LONG + "good", LABELS[2])
    long, one_letter, good = lines.marked_words(found)
    assert (long, good) == ("incomprehensibilitiesi.. (?)", "good")
    assert one_letter == "x" * 22 + ".. (?)"


def test_where_not_all_have_room_those_that_changed_most_are_named(vocab: Vocabulary) -> None:
    found = inspect_text(classifier(), vocab, f"{TEXT} " * 100, words=0)
    moved = np.linalg.norm(found.change, axis=1)
    named = lines.named_words(found, 0.05)
    assert int(moved.argmax()) in named
    assert np.diff(named).min() == 3
    for w in set(range(len(moved))) - set(named):  # each has a neighbour that changed more
        near = [n for n in named if abs(n - w) < 3]
        assert max(moved[near]) >= moved[w]


def test_the_title_states_the_prediction(
    vocab: Vocabulary, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    found = inspect_text(classifier(), vocab, TEXT, ["$no$", "\u202eyes"], words=4)
    figure = drawn(monkeypatch, tmp_path / "text.png", found)
    best = int(found.probabilities[-1].argmax())
    said = f"{['$no$', chr(92) + 'u202eyes'][best]}, {found.probabilities[-1].max():.1%}"
    assert figure.texts[-1].get_text().splitlines() == [
        said, "11 words, the first 4 shown; LSTM layer 0, reading forward"
    ]  # fmt: skip


def test_without_matplotlib_it_says_what_is_missing(
    vocab: Vocabulary, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("matplotlib.backends.backend_agg", "matplotlib.figure"):
        monkeypatch.setitem(sys.modules, name, None)
    with pytest.raises(ImportError, match=r"pip install 'fastlstm\[plot\]'"):
        draw_text(tmp_path / "text.png", inspect_text(classifier(), vocab, TEXT))
    assert not list(tmp_path.iterdir())
