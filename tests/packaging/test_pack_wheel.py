"""A wheel that is packed once more holds the same."""

from __future__ import annotations

import zipfile
from pathlib import Path

import pytest

pytest.importorskip("zopfli", reason="zopflipy, a tool of `make wheel`")


def test_names_order_times_and_contents_stay(tmp_path: Path) -> None:
    from pack_wheel import pack

    wheel = tmp_path / "a-1.0-py3-none-any.whl"
    with zipfile.ZipFile(wheel, "w", zipfile.ZIP_DEFLATED, compresslevel=9) as archive:
        for name in ("c.py", "a/b.py", "a/empty.py", "z-1.0.dist-info/RECORD"):
            text = "" if "empty" in name else Path(__file__).read_text() + name
            archive.writestr(
                zipfile.ZipInfo(name, (2020, 2, 2, 2, 2, 2)), text, zipfile.ZIP_DEFLATED
            )

    def held() -> list[tuple[str, tuple[int, ...], int, bytes]]:
        with zipfile.ZipFile(wheel) as archive:
            assert archive.testzip() is None
            return [
                (f.filename, f.date_time, f.external_attr, archive.read(f))
                for f in archive.infolist()
            ]

    before, size = held(), wheel.stat().st_size
    pack(wheel)
    assert held() == before
    assert wheel.stat().st_size < size
    assert list(tmp_path.iterdir()) == [wheel]
