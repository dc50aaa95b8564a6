"""The picture shows the numbers, and is readable whatever the number of words."""

from __future__ import annotations

import struct
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from inspect_models import LABELS, classifier

from fastlstm.inside import draw_text, inspect_text, picture
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


@pytest.mark.parametrize("count", [1, 10, 60])
def test_no_word_covers_another(
    count: int, vocab: Vocabulary, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    text = " ".join((TEXT.split() * 6)[:count])
    figure = drawn(monkeypatch, tmp_path / "text.png", inspect_text(classifier(), vocab, text))
    panels = [axes for axes in figure.axes if axes.get_label() != "<colorbar>"]
    for panel in (panels[0], panels[-1]):
        boxes = [label.get_window_extent() for label in panel.get_xticklabels()]
        assert len(boxes) == count
        for left, right in zip(boxes, boxes[1:], strict=False):
            assert left.x1 < right.x0
    below = max(box.y1 for box in (t.get_window_extent() for t in panels[0].get_xticklabels()))
    assert below < panels[0].get_window_extent().y0 + 1


def test_without_matplotlib_it_says_what_is_missing(
    vocab: Vocabulary, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("matplotlib.backends.backend_agg", "matplotlib.figure"):
        monkeypatch.setitem(sys.modules, name, None)
    with pytest.raises(ImportError, match=r"pip install 'fastlstm\[plot\]'"):
        draw_text(tmp_path / "text.png", inspect_text(classifier(), vocab, TEXT))
    assert not list(tmp_path.iterdir())
