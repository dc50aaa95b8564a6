"""What README.md and CONTRIBUTING.md say is true: examples run, and what they name exists."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

from fastlstm.cli.command import COMMANDS

ROOT = Path(__file__).parents[2]
README = ROOT / "README.md"
if not README.exists():
    pytest.skip("needs the source tree, not only the installed package", allow_module_level=True)

TEXT = README.read_text(encoding="utf-8")
CONTRIBUTING = (ROOT / "CONTRIBUTING.md").read_text(encoding="utf-8")
# Pages of docs/ that show commands and their options.
PAGES = [
    (ROOT / "docs" / f"{name}.md").read_text("utf-8") for name in ("texts", "examples", "install")
]
FENCE = re.compile(r"^```(\w*)\n(.*?)^```", re.MULTILINE | re.DOTALL)
BLOCKS = FENCE.findall(TEXT)
EXAMPLES = [code for language, code in BLOCKS if language == "python"]


def test_there_are_examples() -> None:
    assert len(EXAMPLES) > 3


def test_it_is_a_front_door() -> None:
    assert len(TEXT.splitlines()) <= 200


@pytest.mark.parametrize("code", EXAMPLES, ids=range(len(EXAMPLES)))
def test_a_python_example_runs_alone(
    code: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)  # some write files
    for lib in ("torch", "sklearn"):
        if re.search(rf"import {lib}|fastlstm.{lib}", code):
            pytest.importorskip(lib)
    exec(compile(code, str(README), "exec"), {})


def test_what_it_installs_is_in_the_clone() -> None:
    """There is no release on an index to take it from."""
    shown = re.findall(r"pip install (?!--)([^`\n#]+)", "\n".join([TEXT, *PAGES]))
    assert len(shown) > 3
    extras = re.findall(r"^([a-z]+) = \[", (ROOT / "pyproject.toml").read_text(), re.MULTILINE)
    for what in shown:
        target, named = re.fullmatch(r'"?(\.)(?:\[([a-z,]+)\])?"?', what.strip()).groups()
        assert target == "."
        assert set((named or "dev").split(",")) <= set(extras)


def test_groups_of_requirements_are_those_of_the_extras() -> None:
    """For tools that read groups; an extra cannot be made of a group, nor a group of an extra."""
    project = (ROOT / "pyproject.toml").read_text()

    def listed(section: str, name: str) -> list[str]:
        part = project.partition(f"\n[{section}]\n")[2].partition("\n[")[0]
        (found,) = re.findall(rf"^{name} = \[(.*?)\]\n", part, re.MULTILINE | re.DOTALL)
        return re.findall(r'"([^"]+)"', found)

    for name in ("test", "dev"):
        group = [item for item in listed("dependency-groups", name) if item != "test"]
        assert group == listed("project.optional-dependencies", name)


def test_make_targets_exist() -> None:
    makefile = (ROOT / "Makefile").read_text()
    named = set(re.findall(r"\bmake ([a-z-]+)", "\n".join(code for _, code in BLOCKS)))
    named |= set(re.findall(r"`make ([a-z-]+)", TEXT + CONTRIBUTING))
    assert {"train", "test"} <= named
    for target in named:
        assert re.search(rf"^{target}:", makefile, re.MULTILINE), f"no target {target} in Makefile"


def test_relative_links_lead_somewhere() -> None:
    links = re.findall(r"\]\(([^)#]+)[^)]*\)", TEXT + CONTRIBUTING)
    for link in links:
        if "://" not in link:
            assert (ROOT / link).exists(), link


def test_the_extras_that_are_listed_are_all_there_are() -> None:
    project = (ROOT / "pyproject.toml").read_text()
    section = project.partition("[project.optional-dependencies]")[2].partition("\n[")[0]
    extras = re.findall(r"^([a-z]+) = \[", section, re.MULTILINE)
    listed = re.search(r"^Extras, .*?\n\n", PAGES[-1], re.MULTILINE | re.DOTALL).group()
    assert sorted(re.findall(r"`([a-z]+)`", listed)) == sorted(extras)


def test_options_of_the_programs_exist() -> None:
    text = "\n".join([TEXT, CONTRIBUTING, *PAGES])
    others = {"--strict", "--compiler"}  # of mypy and of setuptools
    options = set(re.findall(r"(?<![\w-])--[a-z][a-z-]+", text)) - others
    assert options
    known: set[str] = set()
    programs = [["fastlstm.train_imdb"], ["benchmarks.ab"], ["benchmarks.bench_imdb"]]
    programs += [["fastlstm.examples.language_model"]]
    programs += [["fastlstm", command.__name__.rpartition(".")[2]] for command in COMMANDS]
    programs += [["attack"]]
    places = os.pathsep.join([str(ROOT), str(ROOT / "tests")])
    environment = {**os.environ, "PYTHONPATH": places}
    for program in programs:
        command = [sys.executable, "-m", *program, "--help"]
        text = subprocess.run(
            command, check=True, capture_output=True, text=True, cwd=ROOT, env=environment
        ).stdout
        known |= set(re.findall(r"(?<![\w-])--[a-z][a-z-]+", text))
    assert options <= known, f"no program has {options - known}"


def test_environment_variables_are_those_of_the_code() -> None:
    files = [ROOT / "setup.py", *(ROOT / "fastlstm").rglob("*.py")]
    code = "".join(path.read_text(encoding="utf-8") for path in files)
    table = re.findall(r"^\| `(FASTLSTM_[A-Z_]+)", PAGES[-1], re.MULTILINE)
    assert set(table) == set(re.findall(r'"(FASTLSTM_[A-Z_]+)"', code))


def test_ci_runs_the_test_command() -> None:
    assert "make test" in TEXT
    assert re.search(r"^\s*(beside )?make test\b", (ROOT / ".ci" / "run").read_text(), re.MULTILINE)
