"""Checkpoints: exact, whole or refused, and never at the cost of an earlier one."""

from __future__ import annotations

import errno
import json
import os
import subprocess
import sys
import tempfile
from pathlib import Path

import numpy as np
import pytest
import safetensors.numpy
from hypothesis import given, settings
from hypothesis import strategies as st

from fastlstm.train import CheckpointError, checkpoint

TENSORS = {
    "weight": np.arange(6, dtype=np.float32).reshape(2, 3) / 7,
    "double": np.array([np.pi, np.nextafter(1, 2), -0.0]),
    "empty": np.zeros((0, 4)),
    "step": np.array(7, dtype=np.int64),
}
NOTE = {"loss": 0.25, "epochs": [1, 2], "name": "imdb", "none": None}


@pytest.fixture
def path(tmp_path: Path) -> Path:
    path = tmp_path / "a.safetensors"
    checkpoint.save(path, TENSORS, "model", NOTE)
    return path


def test_what_is_loaded_is_what_was_saved(path: Path) -> None:
    tensors, note = checkpoint.load(path, "model")
    assert note == NOTE
    assert tensors.keys() == TENSORS.keys()
    for name, array in TENSORS.items():
        assert tensors[name].dtype == array.dtype
        assert tensors[name].shape == array.shape
        assert tensors[name].tobytes() == array.tobytes()
    assert [p.name for p in path.parent.iterdir()] == [path.name]  # no temporary file left


def test_any_safetensors_library_can_read_it(path: Path) -> None:
    assert np.array_equal(safetensors.numpy.load_file(path)["weight"], TENSORS["weight"])


def test_strided_arrays_are_saved_by_value(tmp_path: Path) -> None:
    array = np.arange(12.0).reshape(3, 4).T[::2]
    checkpoint.save(tmp_path / "b", {"a": array}, "model", {})
    assert np.array_equal(checkpoint.load(tmp_path / "b", "model")[0]["a"], array)


def whole_file() -> bytes:
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "whole"
        checkpoint.save(path, TENSORS, "model", NOTE)
        return path.read_bytes()


WHOLE = whole_file()


@settings(deadline=None)
@given(st.integers(0, len(WHOLE) - 1))
def test_a_file_cut_anywhere_is_refused(length: int) -> None:
    assert refused(WHOLE[:length])


@settings(deadline=None)
@given(st.integers(0, len(WHOLE) * 8 - 1))
def test_a_flipped_bit_anywhere_is_refused(bit: int) -> None:
    data = bytearray(WHOLE)
    data[bit // 8] ^= 1 << bit % 8
    assert refused(bytes(data))


def test_floats_in_the_note_are_exact(tmp_path: Path) -> None:
    note = {"loss": 0.1 + 0.2, "tiny": 5e-324, "third": 1 / 3}
    checkpoint.save(tmp_path / "b", {}, "model", note)
    assert checkpoint.load(tmp_path / "b", "model")[1] == note


@settings(deadline=None)
@given(st.binary(max_size=300))
def test_any_other_file_is_refused(data: bytes) -> None:
    assert refused(data)


def refused(data: bytes) -> bool:
    """Whether loading `data` raises the right error and nothing else; False if it loads."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "damaged"
        path.write_bytes(data)
        try:
            checkpoint.load(path, "model")
        except CheckpointError as error:
            return str(path) in str(error)
    return False


def test_missing_file_is_named(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError, match="no checkpoint at .*gone"):
        checkpoint.load(tmp_path / "gone", "model")


def test_a_folder_is_no_checkpoint(tmp_path: Path) -> None:
    with pytest.raises(OSError, match="is a folder, expected a file"):
        checkpoint.load(tmp_path, "model")


def test_foreign_safetensors_file_is_refused(tmp_path: Path) -> None:
    safetensors.numpy.save_file({"w": np.ones(2)}, tmp_path / "foreign")
    with pytest.raises(CheckpointError, match="not written by fastlstm"):
        checkpoint.load(tmp_path / "foreign", "model")


def test_other_kind_and_other_version_are_refused(path: Path) -> None:
    with pytest.raises(CheckpointError, match="holds a model, expected a training state"):
        checkpoint.load(path, "training state")
    header = {"kind": "model", "version": checkpoint.VERSION + 1, "crc32": 0, "note": {}}
    metadata = {checkpoint.KEY: json.dumps(header)}
    safetensors.numpy.save_file({"w": np.ones(2)}, path, metadata=metadata)
    with pytest.raises(CheckpointError, match="format version 2, expected 1"):
        checkpoint.load(path, "model")


def test_what_only_one_side_has_is_told_as_not_set(path: Path) -> None:
    saved = {"lr": None, "model": {"cell": "lstm", "old": 3}, "the words": 1}
    own = {"lr": 0.1, "model": {"cell": "lstm", "tied": True}, "the words": 2}
    told = (
        "is of another run: lr, model, the words differ (lr is None there, 0.1 here; "
        "old is 3 there, not set here; tied is not set there, True here); begin anew"
    )
    with pytest.raises(CheckpointError) as caught:
        checkpoint.check_same(path, saved, own, saved, "; begin anew")
    assert str(caught.value) == f"{path} {told}"


def test_full_disk_leaves_the_earlier_file(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    before = path.read_bytes()

    def full(descriptor: int) -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(OSError, match=r"cannot write .*a\.safetensors.*No space left") as caught:
        checkpoint.save(path, {"weight": np.zeros(100)}, "model", {})
    assert caught.value.errno == errno.ENOSPC
    assert path.read_bytes() == before
    assert [p.name for p in path.parent.iterdir()] == [path.name]


def test_a_file_system_that_is_read_only_is_told_with_the_file(
    path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It refuses to remove what is not there, too."""

    def refused(self: object, *_: object, **__: object) -> None:
        raise OSError(errno.EROFS, os.strerror(errno.EROFS), str(self))

    monkeypatch.setattr(Path, "unlink", refused)
    monkeypatch.setattr("builtins.open", refused)
    with pytest.raises(OSError, match="cannot write") as caught:
        checkpoint.save(path, {"weight": np.zeros(100)}, "model", {})
    told = f"cannot write {path} ({os.strerror(errno.EROFS)}); files written earlier are intact"
    assert caught.value.strerror == told


LIMITED = """
import resource, signal, sys
import numpy as np
from fastlstm.train import checkpoint
signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
resource.setrlimit(resource.RLIMIT_FSIZE, (65536, 65536))
try:
    checkpoint.save(sys.argv[1], {"w": np.ones(100_000)}, "model", {})
except OSError as error:
    print(error)
"""


@pytest.mark.skipif(os.name != "posix", reason="needs a limit on the size of a file")
def test_a_write_that_really_breaks_off_leaves_the_earlier_file(path: Path) -> None:
    """The system itself stops the write half-way: a limit on file size, as a quota would."""
    before = path.read_bytes()
    command = [sys.executable, "-c", LIMITED, str(path)]
    result = subprocess.run(command, capture_output=True, text=True, check=True)
    assert "cannot write" in result.stdout
    assert path.read_bytes() == before
    assert [p.name for p in path.parent.iterdir()] == [path.name]


def test_not_a_number_is_not_written_into_the_note(path: Path) -> None:
    before = path.read_bytes()
    with pytest.raises(ValueError, match="JSON"):
        checkpoint.save(path, TENSORS, "model", {"loss": float("nan")})
    assert path.read_bytes() == before
