"""The kind of a file is told by its bytes."""

from __future__ import annotations

import pickle
import subprocess
import sys
import zipfile
from pathlib import Path
from typing import Any

import pytest

import fastlstm as fl


@pytest.mark.parametrize("name", ["a.keras", "a.onnx", "a", "a.json", "a.pt"])
def test_the_name_does_not_tell(name: str, tmp_path: Path) -> None:
    fl.save(fl.Linear(2, 3, rng=0), tmp_path / "a.safetensors")
    (tmp_path / "a.safetensors").rename(tmp_path / name)
    assert fl.load(tmp_path / name).out_features == 3


@pytest.mark.parametrize("data", [b"", b"hello", b"\x00" * 40, b"[1, 2]", b"\x08\x01", b"RIFF" * 9])
def test_a_file_of_no_kind(data: bytes, tmp_path: Path) -> None:
    (tmp_path / "a.onnx").write_bytes(data)
    with pytest.raises(ValueError, match="it begins with b'.*, expected one of .*ONNX") as raised:
        fl.load(tmp_path / "a.onnx")
    assert str(tmp_path / "a.onnx") in str(raised.value)


def test_another_archive(tmp_path: Path) -> None:
    with zipfile.ZipFile(tmp_path / "a.keras", "w") as archive:
        archive.writestr("notes.txt", "x")
    with pytest.raises(ValueError, match=r"a\.keras is a zip archive of 'notes\.txt'"):
        fl.load(tmp_path / "a.keras")
    (tmp_path / "b.keras").write_bytes(b"PK\x03\x04 and no more")
    with pytest.raises(ValueError, match=r"b\.keras is a damaged zip archive"):
        fl.load(tmp_path / "b.keras")


class Harm:
    """What must not run: it would write a file."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def __reduce__(self) -> tuple[object, ...]:
        return Path.touch, (self.path,)


def test_a_pickle_does_not_run(tmp_path: Path) -> None:
    pytest.importorskip("torch")
    (tmp_path / "a.pt").write_bytes(pickle.dumps({"a": Harm(tmp_path / "harm")}))
    with pytest.raises(ValueError, match=r"a\.pt cannot be read as a state_dict of torch: torch"):
        fl.load(tmp_path / "a.pt")
    assert not (tmp_path / "harm").exists()


def test_kinds_where_the_file_tells(tmp_path: Path) -> None:
    fl.save(fl.Linear(2, 3), tmp_path / "a.safetensors")
    with pytest.raises(ValueError, match=r"kinds is .*, expected none: .* describes its layers"):
        fl.load(tmp_path / "a.safetensors", kinds={"a": "lstm"})


WITHOUT = """
import sys
for name in ("torch", "h5py", "onnx", "keras"):
    sys.modules[name] = None
import fastlstm as fl
for path in sys.argv[1:]:
    try:
        fl.load(path)
    except ImportError as error:
        print(error)
for ending in ("pt", "keras", "onnx", "h5", "weights.h5"):
    try:
        fl.save(fl.LSTM(2, 3), f"a.{ending}")
    except ImportError as error:
        print(error)
"""


def test_packages_that_are_missing_are_named(tmp_path: Path) -> None:
    """Each error names the extra; nothing is loaded before it is needed."""
    files = {"a.pt": pickle.dumps({})}
    for name, data in files.items():
        (tmp_path / name).write_bytes(data)
    done = subprocess.run(
        [sys.executable, "-c", WITHOUT, *files], cwd=tmp_path, capture_output=True, text=True
    )
    assert done.stderr == ""
    lines = done.stdout.splitlines()
    extras = [line.partition("fastlstm[")[2].rstrip("]'") for line in lines]
    assert extras == ["torch", "torch", "keras", "onnx", "keras", "keras"]
    assert sorted(path.name for path in tmp_path.iterdir()) == sorted(files)


@pytest.mark.parametrize("path", [5, None, b"a.pt"])
def test_what_is_no_path_is_named(path: Any) -> None:
    with pytest.raises(TypeError, match="path is a .*, expected a str or a Path"):
        fl.load(path)
    with pytest.raises(TypeError, match="path is a .*, expected a str or a Path"):
        fl.save(fl.Linear(2, 2), path)
