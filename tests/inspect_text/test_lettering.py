"""Text of pictures is drawn literally, and in fonts that have its letters."""

from __future__ import annotations

import warnings
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

from fastlstm import lettering
from fastlstm.inside import draw_gradient_flow
from fastlstm.lettering import LetteringWarning
from fastlstm.plotting import fitted, new_figure, to_png
from fastlstm.printable import columns

pytest.importorskip("matplotlib")
CJK, HEBREW = "\u6620\u753b", "\u05d0\u05d1"


def figure_of(text: str) -> tuple[Any, list[Any]]:
    """A figure that has the text in each place where pictures have some."""
    figure = new_figure(4, 3)
    axes = figure.subplots()
    axes.plot([0, 1], label=text)
    axes.set_yscale("log")
    title, legend, above = axes.set_title(text), axes.legend(title=text), figure.suptitle(text)
    axes.set_xticks([0, 1], [text, text])
    texts = [title, above, legend.get_title(), *legend.get_texts(), axes.text(0, 0.5, text)]
    axes.set_xlabel(text)
    return figure, [*texts, axes.xaxis.label, *axes.get_xticklabels()]


@pytest.mark.parametrize("text", ["$x_1$", "$\\href{javascript:alert(1)}{x}$", "$$", "a_b^c$"])
def test_dollars_are_dollars(text: str) -> None:
    figure, texts = figure_of(text)
    assert to_png(figure).startswith(b"\x89PNG")
    assert len(texts) == 8
    for found in [*texts[:-2], *figure.axes[0].get_xticklabels()]:
        assert found._preprocess_math(found.get_text()) == (text, False)
    numbers = [label for label in figure.axes[0].get_yticklabels() if label.get_text()]
    assert any(label._preprocess_math(label.get_text())[1] is True for label in numbers)


def test_steering_characters_are_escapes() -> None:
    """But for the names along an axis, which matplotlib writes anew: those are given clean."""
    figure, texts = figure_of("a\x1b[31m\u202eb")
    to_png(figure)
    assert {text.get_text() for text in texts[:-2]} == {"a\\x1b[31m\\u202eb"}


def fonts(monkeypatch: pytest.MonkeyPatch, known: dict[str, str], new: dict[str, str]) -> None:
    """Let there be fonts with these letters beside matplotlib's own: known to it, or not yet."""
    own = lettering._own_font()
    have = {own: frozenset(map(chr, range(32, 127))), **{k: frozenset(v) for k, v in known.items()}}
    have |= {k: frozenset(v) for k, v in new.items()}
    monkeypatch.setattr(lettering, "_letters_of", have.__getitem__)

    def found(look: bool) -> list[Any]:
        return [SimpleNamespace(name=k, fname=k) for k in [*known, *(new if look else ())]]

    monkeypatch.setattr(lettering, "_fonts", found)
    lettering._families.cache_clear()


@pytest.mark.parametrize("installed_since", [False, True])
def test_fonts_that_have_the_letters_are_taken(
    installed_since: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    others = {"Half": CJK[0], "Han": CJK, "Hebrew": HEBREW}
    fonts(monkeypatch, *(({}, others) if installed_since else (others, {})))
    figure, texts = figure_of(f"a {CJK} {HEBREW}")
    with warnings.catch_warnings():
        warnings.simplefilter("error", LetteringWarning)
        lettering.prepare(figure)
    for text in texts:
        first, *added = text.get_fontfamily()
        assert first == "sans-serif"
        assert sorted(added) == ["Han", "Hebrew"]


def test_missing_letters_are_told_once(monkeypatch: pytest.MonkeyPatch) -> None:
    fonts(monkeypatch, {"Hebrew": HEBREW}, {})
    figure, _ = figure_of(f"a {CJK} {HEBREW}")
    with pytest.warns(LetteringWarning) as told:
        assert to_png(figure).startswith(b"\x89PNG")
    assert [str(warning.message) for warning in told] == [
        f"no font that is installed has {CJK[0]!r}, {CJK[1]!r}: the picture has boxes for them "
        "(the Noto fonts have the letters of all languages)"
    ]


def test_letters_that_join_need_a_newer_matplotlib(monkeypatch: pytest.MonkeyPatch) -> None:
    from matplotlib import ft2font

    monkeypatch.delattr(ft2font, "__libraqm_version__", raising=False)
    with pytest.warns(LetteringWarning, match=r"matplotlib before 3\.11 neither joins nor turns"):
        lettering._check_joining(set(HEBREW))


def test_fitted_lines_have_room() -> None:
    assert fitted("short\nlines", 5, 10) == "short\nlines"
    for text in ("x" * 500, CJK * 200):
        assert columns(fitted(text, 5, 10)) <= 5 * 72 / 6
        assert fitted(text, 5, 10).endswith("..")


def test_a_legend_of_long_names_stays_inside(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from fastlstm.inside import flow

    kept = []
    monkeypatch.setattr(
        flow, "new_figure", lambda *a, **o: kept.append(new_figure(*a, **o)) or kept[0]
    )
    curves = {f"{n} {'a long name ' * 9}": np.exp(-n * np.arange(9.0)) for n in range(4)}
    draw_gradient_flow(tmp_path / "flow.png", {"$panel$": curves})
    box, (figure,) = kept[0].legends[0].get_window_extent(), kept
    assert 0 <= box.x0 < box.x1 <= figure.bbox.width
