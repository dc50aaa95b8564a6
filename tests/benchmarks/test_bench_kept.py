"""Results that last: what is kept of a run of `ab`, and the page that draws it."""

from __future__ import annotations

import copy
import json
import re
from pathlib import Path
from typing import Any

import pytest
from test_bench_ab import _result

from benchmarks import ab, history, kept, machine


@pytest.fixture
def result() -> dict[str, Any]:
    """What `ab` found, of a commit, on a machine."""
    found = _result(threads=(1, 2))
    found["command"], found["seconds"], found["isa"] = "--group readme", 1.0, "best of each side"
    found["machine"] |= {"isas": ["base", "avx2"], "system": "Linux x86_64", "commit": "abc1234"}
    found["versions"]["fastlstm"] |= {"numpy": "2.1"}
    return found


def test_a_kept_result_has_quartiles_and_the_machine(result: Any, tmp_path: Path) -> None:
    path = kept.keep(result, tmp_path / "results")
    assert path.name == "2026-01-02-0304-abc1234.json"
    (found,) = kept.load(path.parent)
    assert found["machine"] == result["machine"]
    assert found["versions"] == result["versions"]
    assert found["peak_gflops"] == {"1": {"float32": 100.0}, "2": {"float32": 100.0}}
    assert found["against"] == "torch"
    case = found["cases"][0]
    assert case["case"] == {"mode": "ragged", "B": 3, "T": 6, "I": 5, "H": 4}
    assert case["ms"] == {"fastlstm": [2.0, 2.0, 2.0], "torch": [5.0, 5.0, 5.0]}
    assert case["ratio"] == [2.5, 2.5, 2.5]
    lines = path.read_text().splitlines()
    assert sum(line.startswith('  {"name"') for line in lines) == len(result["cases"])


def test_a_result_is_kept_once_and_of_a_commit(result: Any, tmp_path: Path) -> None:
    kept.keep(result, tmp_path)
    with pytest.raises(ValueError, match="abc1234.json is there already"):
        kept.keep(result, tmp_path)
    result["machine"]["commit"] = "abc1234 with changes"
    with pytest.raises(ValueError, match="commit is 'abc1234 with changes'.*measure again"):
        kept.keep(result, tmp_path)


@pytest.mark.parametrize("text", ["{", "[]", '{"format": 1}', '{"format": 1, "cases": []}'])
def test_a_file_of_another_kind_is_named(text: str, tmp_path: Path) -> None:
    (tmp_path / "a.json").write_text(text)
    with pytest.raises(ValueError, match=r"a\.json: no kept result"):
        kept.load(tmp_path)


def test_a_later_format_is_named(result: Any, tmp_path: Path) -> None:
    path = kept.keep(result, tmp_path)
    path.write_text(path.read_text().replace('"format": 1', '"format": 9'))
    with pytest.raises(ValueError, match="has format 9, expected 1"):
        kept.load(tmp_path)


def test_ab_refuses_to_keep_what_belongs_to_no_commit(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(machine, "commit", lambda: "abc with changes")
    with pytest.raises(SystemExit):
        ab.main(["--keep"])
    assert "argument --keep: the commit is 'abc with changes'" in capsys.readouterr().err


def test_the_command_keeps_an_earlier_run(
    result: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(kept.keep, "__defaults__", (tmp_path / "results",))
    (tmp_path / "ab.json").write_text(json.dumps(result))
    kept.main([str(tmp_path / "ab.json")])
    assert Path(capsys.readouterr().out.strip()).exists()


def test_a_page_by_machine_and_release(result: Any, tmp_path: Path) -> None:
    pytest.importorskip("matplotlib")
    later, elsewhere = copy.deepcopy(result), copy.deepcopy(result)
    later["time"], later["machine"]["commit"] = "2026-02-03T04:05:06+00:00", "def5678"
    later["cases"] = later["cases"][:1]
    elsewhere["machine"]["cpu"] = "Another CPU"
    elsewhere["time"] = "2026-01-05T00:00:00+00:00"
    for one in (result, later, elsewhere):
        kept.keep(one, tmp_path / "results")
    files = history.page(kept.load(tmp_path / "results"))
    page, first, second = files
    assert (page, first, second) == ("history.md", "history/1.svg", "history/2.svg")
    text = files[page]
    assert text.index("## Some CPU, 2 cores, beside torch") < text.index("## Another CPU")
    titles = "| 1.2<br>abc1234<br>2026-01-02 | 1.2<br>def5678<br>2026-02-03 |"
    assert titles in text
    assert "| ragged (3, 6, 5, 4) | 1 | 2 ms (**2.50**) | 2 ms (**2.50**) |" in text
    assert "| dropout (3) | 2 | 2 ms (**5.00**) |  |" in text
    assert "The processor runs base, avx2." in text
    assert b"<svg" in files[first]

    history.main(["--results", str(tmp_path / "results"), "--out", str(tmp_path / "out")])
    assert (tmp_path / "out" / "history.md").read_text() == text
    assert (tmp_path / "out" / first).read_bytes() == files[first], "the same again"


@pytest.mark.parametrize(
    ("ratios", "expected"),
    [((1.2, 1.6), {"1x", "1.25x", "1.5x"}), ((1.2, 20), {"1x", "2x", "4x", "8x", "16x"})],
)
def test_ratios_can_be_read_off_the_picture(
    result: Any, ratios: tuple[float, float], expected: set[str]
) -> None:
    pytest.importorskip("matplotlib")
    short = kept.shortened(result)
    case = next(case for case in short["cases"] if case["case"]["mode"] == "ragged")
    found = [{**case, "ratio": [ratio] * 3} for ratio in ratios]
    drawn = history.picture([{**short, "cases": found}], "torch").decode()
    assert set(re.findall(r"<!-- ([\d.]+x) -->", drawn)) == expected


def test_a_page_of_nothing() -> None:
    assert history.NONE in history.page([])["history.md"]


def test_what_is_kept_in_the_tree_can_be_read() -> None:
    for result in kept.load():
        assert not kept.why_not(result["machine"]["commit"])
        assert result["machine"]["isas"]
        assert result["versions"].keys() == {"fastlstm", result["against"]}
