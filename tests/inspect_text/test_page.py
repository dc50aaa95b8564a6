"""The page in a browser: it needs no network, hovering tells, and picking changes what is drawn."""

from __future__ import annotations

import re
import shutil
import sys
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from inspect_models import LABELS, classifier

from fastlstm.inside import Inspection, inspect_text, write_page
from fastlstm.inside.page_words import colour
from fastlstm.printable import cut, printable
from fastlstm.text import Vocabulary

TEXT = "Not a good film, but it's a very dull, murky ending."
BROWSERS = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable")
# All text in elements whose class says tooltip, in whatever shadow they are.
TOOLTIPS = """() => {
    const found = [];
    const walk = (root) => { for (const e of root.querySelectorAll('*')) {
        if (String(e.className).includes('bk-tooltip-content')) found.push(e.innerText);
        if (e.shadowRoot) walk(e.shadowRoot);
    } };
    walk(document);
    return found.join('\\n');
}"""
# Over when the page has drawn what changed, in the next frames. The page waits itself: on a busy
# machine all that it has to do before comes late, too.
DRAWN = """() => new Promise((done) => setTimeout(
    () => requestAnimationFrame(() => requestAnimationFrame(done)), 250))"""
PATIENCE = 600_000  # milliseconds
# The lines of the units picked, as the page holds them.
LINES = """() => {
    const {ys, unit} = Bokeh.documents[0].get_model_by_name('lines').data;
    return {unit: [...unit], ys: ys.map((y) => [...y])};
}"""


class Visit:
    """A page in a browser, and what it asked for and complained of."""

    def __init__(self, page: Any) -> None:
        self.page = page
        self.requests: list[str] = []
        self.errors: list[str] = []
        page.on("request", lambda request: self.requests.append(request.url))
        page.on("pageerror", lambda error: self.errors.append(str(error)))
        page.on("console", self._note)

    def _note(self, message: Any) -> None:
        if message.type == "error":
            self.errors.append(message.text)

    def open(self, path: Path) -> None:
        self.page.goto(path.as_uri())
        self.page.wait_for_function("() => window.Bokeh?.documents?.[0]?.is_idle")

    def await_drawing(self) -> None:
        self.page.evaluate(DRAWN)

    def canvases(self) -> list[bytes]:
        """Pictures of the plots: prediction, all units, units picked, change."""
        self.await_drawing()
        return [canvas.screenshot() for canvas in self.page.locator(".bk-Figure").all()]


@pytest.fixture(scope="module")
def browser() -> Iterator[Any]:
    playwright = pytest.importorskip("playwright.sync_api")
    program = next(filter(None, map(shutil.which, BROWSERS)), None)
    if program is None:
        pytest.skip(f"none of {', '.join(BROWSERS)} is installed")
    with playwright.sync_playwright() as driver:
        # Root may not have a sandbox, and containers have a small /dev/shm.
        arguments = ["--no-sandbox", "--disable-dev-shm-usage"]
        browser = driver.chromium.launch(executable_path=program, args=arguments, timeout=PATIENCE)
        yield browser
        browser.close()


@pytest.fixture
def visit(browser: Any) -> Iterator[Visit]:
    page = browser.new_page(viewport={"width": 1200, "height": 1300})
    page.set_default_timeout(PATIENCE)
    yield Visit(page)
    page.close()


@pytest.fixture
def inspection(vocab: Vocabulary) -> Inspection:
    return inspect_text(classifier(bidirectional=True), vocab, TEXT, LABELS[2])


def word_place(visit: Visit, place: list[float], w: int, count: int) -> tuple[float, float]:
    """Where the middle of a word is: the frame is 60 pixels in from either side."""
    left, top, width, height = place
    frame = width - 120
    return left + 60 + frame * (w + 0.6) / (count + 0.2), top + height * 0.6


def test_a_user_finds_the_numbers(inspection: Inspection, visit: Visit, tmp_path: Path) -> None:
    pytest.importorskip("bokeh")
    write_page(tmp_path / "text.html", inspection)
    visit.open(tmp_path / "text.html")
    assert visit.page.title() == "What the model read"
    strip = visit.page.locator(".bk-Figure").first.bounding_box()
    place = [strip["x"], strip["y"], strip["width"], strip["height"]]

    for w in (1, 9):  # a word of the text tells of itself
        told = visit.page.locator("bdi[title]").nth(w).get_attribute("title")
        assert f"mean f: {inspection.values['f'][w].mean():.3f}" in told
        assert ("not in the vocabulary" in told) == (w == 9)
    for w in (1, 9):  # hovering a plot tells of the word there
        x, y = word_place(visit, place, w, len(inspection.words))
        visit.page.mouse.move(x - 3, y)
        visit.page.mouse.move(x, y, steps=4)
        visit.await_drawing()
        told = visit.page.evaluate(TOOLTIPS)
        assert inspection.words[w] in told
        assert f"{inspection.values['f'][w].mean():.3f}" in told
        assert f"{inspection.probabilities[w].max():.3f}" in told
        assert ("no" if w == 9 else "yes") in told.split()
    visit.page.mouse.move(5, 5)

    before, lines = visit.canvases(), visit.page.evaluate(LINES)
    np.testing.assert_allclose(
        lines["ys"], [inspection.values["f"][:, int(u[5:])] for u in lines["unit"]], rtol=1e-6
    )
    visit.page.get_by_label("gate or state").select_option("cell c")
    after, lines = visit.canvases(), visit.page.evaluate(LINES)
    np.testing.assert_allclose(
        lines["ys"], [inspection.values["c"][:, int(u[5:])] for u in lines["unit"]], rtol=1e-6
    )
    changed = [a != b for a, b in zip(before, after, strict=True)]
    assert changed == [False, True, True, False]

    unit = next(u for u in range(6) if f"unit {u}" not in lines["unit"])  # picking one more
    visit.page.locator(".choices__input--cloned").click()
    visit.page.locator(".choices__item--choice").get_by_text(str(unit), exact=True).click()
    picked = visit.page.evaluate(LINES)
    assert set(picked["unit"]) == {*lines["unit"], f"unit {unit}"}
    at = picked["unit"].index(f"unit {unit}")
    np.testing.assert_allclose(picked["ys"][at], inspection.values["c"][:, unit], rtol=1e-6)
    assert visit.canvases()[2] != after[2]
    visit.page.locator(".choices__button").first.click()  # and one less
    assert len(visit.page.evaluate(LINES)["unit"]) == len(picked["unit"]) - 1

    assert visit.errors == []
    assert {url.partition(":")[0] for url in visit.requests} <= {"file", "data", "blob"}
    assert [url for url in visit.requests if url.startswith("file")] == [
        (tmp_path / "text.html").as_uri()
    ]


@pytest.mark.slow
@pytest.mark.parametrize("options", [{"cell": "gru", "num_outputs": 3}, {"cell": "rnn"}])
def test_other_cells_have_pages(
    options: dict[str, Any], vocab: Vocabulary, visit: Visit, tmp_path: Path
) -> None:
    """With a class whose name would end the script that holds it."""
    pytest.importorskip("bokeh")
    names = ["</script><img src=x>", *LABELS[options.get("num_outputs", 2)][1:]]
    found = inspect_text(classifier(**options), vocab, TEXT, names)
    write_page(tmp_path / "text.html", found, "<b>Title</b>")
    visit.open(tmp_path / "text.html")
    assert visit.page.title() == "<b>Title</b>"
    assert visit.page.locator("img").count() == 0
    assert len(visit.canvases()) == 4
    gates = visit.page.get_by_label("gate or state").locator("option").all_inner_texts()
    assert len(gates) == len(found.values)
    for gate in gates:
        visit.page.get_by_label("gate or state").select_option(gate)
    assert visit.errors == []
    assert len(visit.requests) == 1


HREF = "\\href{javascript:document.title='owned'}{x}"
# Elements that a page has only if TeX was typeset or markup of a label was taken for markup.
STRANGE = """() => {
    let found = 0;
    const walk = (root) => { for (const e of root.querySelectorAll('*')) {
        if (['A', 'IMG', 'MJX-CONTAINER', 'MATH'].includes(e.tagName.toUpperCase())) found++;
        if (e.shadowRoot) walk(e.shadowRoot);
    } };
    walk(document);
    return found;
}"""


@pytest.mark.parametrize("tex", [f"$${HREF}$$", f"\\({HREF}\\)", f"\\[{HREF}\\]"])
def test_tex_of_a_label_stays_text(
    tex: str, vocab: Vocabulary, visit: Visit, tmp_path: Path
) -> None:
    pytest.importorskip("bokeh")
    evil = f"{tex}<img src=x>'\u202e\x1b"
    found = inspect_text(classifier(bidirectional=True), vocab, TEXT, [evil, evil])
    found = replace(found, words=[evil, *found.words[1:]])
    write_page(tmp_path / "text.html", found, evil)
    visit.open(tmp_path / "text.html")
    visit.canvases()
    assert visit.page.evaluate(STRANGE) == 0
    title = "() => Bokeh.documents[0].get_model_by_name('prediction').title.text.text"
    assert printable(cut(evil, 60))[:40] in visit.page.evaluate(title)
    said = visit.page.locator("b bdi").inner_text()
    assert said == printable(evil)
    assert visit.errors == []
    assert len(visit.requests) == 1


@pytest.mark.parametrize("count", [1, 7, 106, 400])
@pytest.mark.parametrize("width", [500, 1200])
def test_a_page_of_any_text_is_as_wide_as_the_window(
    count: int, width: int, vocab: Vocabulary, visit: Visit, tmp_path: Path
) -> None:
    """And what is chosen of many words is what the plots show."""
    pytest.importorskip("bokeh")
    text = " ".join((f"{'incomprehensibilities' * 900} {TEXT}".split() * 40)[-count:])
    write_page(tmp_path / "text.html", inspect_text(classifier(), vocab, text, words=0))
    visit.page.set_viewport_size({"width": width, "height": 900})
    visit.open(tmp_path / "text.html")
    assert visit.page.evaluate("document.documentElement.scrollWidth") <= width
    assert visit.page.locator("bdi[title]").count() == count
    for box in [part.bounding_box() for part in visit.page.locator("bdi[title]").all()]:
        assert 0 <= box["x"] < box["x"] + box["width"] <= width
    assert (visit.page.locator(".noUi-handle").count() == 2) == (count > 30)
    if count > 30:
        visit.page.locator(".noUi-handle").last.press("PageDown")
        visit.await_drawing()
        shown = visit.page.evaluate(
            "() => { const {start, end} = Bokeh.documents[0].get_model_by_name('prediction')"
            ".x_range; return [start, end]; }"
        )
        assert shown[0] == pytest.approx(-0.6)
        assert shown[1] < count - 2
    assert visit.errors == []


def test_colours_are_readable_and_told_apart() -> None:
    """Black on each has a contrast of 7 and more (WCAG 2), and blue falls as probability does."""
    blue = []
    for p in np.linspace(0, 1, 21):
        rgb = np.array([int(n) for n in re.findall(r"\d+", colour(p))]) / 255
        linear = np.where(rgb <= 0.04045, rgb / 12.92, ((rgb + 0.055) / 1.055) ** 2.4)
        assert (linear @ [0.2126, 0.7152, 0.0722] + 0.05) / 0.05 >= 7
        blue.append(rgb[2] - rgb[0])
    assert (np.diff(blue) > 0).all()
    assert blue[0] < -0.5
    assert blue[-1] > 0.3


def test_the_file_is_whole_or_not_there(
    inspection: Inspection, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    pytest.importorskip("bokeh")
    with pytest.raises(OSError, match="cannot write"):
        write_page(tmp_path / "nowhere" / "text.html", inspection)
    monkeypatch.setitem(sys.modules, "bokeh.embed", None)
    with pytest.raises(ImportError, match=r"pip install 'fastlstm\[html\]'"):
        write_page(tmp_path / "text.html", inspection)
    assert not list(tmp_path.iterdir())
