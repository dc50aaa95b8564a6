"""The picture of the scores: what marks mean is told, and no name covers another."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from fastlstm.plotting import new_figure
from fastlstm.train.scoring import plot
from fastlstm.train.scoring.scores import score

pytest.importorskip("matplotlib")
NAMES = ["negative $x_1$", "\u0441\u043d\u0435\u0433 " * 9, "a_very_long_name" * 20, "d", "e"]


@pytest.mark.filterwarnings("ignore::fastlstm.lettering.LetteringWarning")
@pytest.mark.parametrize(
    "names", [NAMES[:2], ["no", "yes"], NAMES, [f"class {n}" for n in range(30)]]
)
def test_it_is_readable(names: list[str], monkeypatch: pytest.MonkeyPatch) -> None:
    rng, C = np.random.default_rng(0), len(names)
    truth = rng.integers(0, C, 300)
    logits = rng.standard_normal((300, C)) + 2 * np.eye(C)[truth]
    p = logits - np.log(np.exp(logits).sum(axis=1, keepdims=True))
    figures: list[Any] = []

    def remember(*sizes: float, **options: Any) -> Any:
        figures.append(new_figure(*sizes, **options))
        return figures[0]

    monkeypatch.setattr(plot, "new_figure", remember)
    assert plot.draw_scores(score(p, truth), names).startswith(b"\x89PNG")
    left, right = figures[0].axes
    texts = [text.get_text() for text in right.get_legend().get_texts()]
    assert texts == [
        "accuracy of the texts of a bin",
        "from there to their mean confidence",
        "where the two are equal",
    ]
    assert right.get_legend().get_window_extent().y1 < right.get_window_extent().y0
    boxes = [label.get_window_extent() for label in left.get_xticklabels()]
    assert len(boxes) == C
    for one, other in zip(boxes, boxes[1:], strict=False):
        assert one.x1 < other.x0
