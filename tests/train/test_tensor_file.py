"""Safetensors files: the library reads what is written, and memory for a copy is not needed."""

from __future__ import annotations

import io
import os
import subprocess
import sys
import tracemalloc
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from safetensors import safe_open
from safetensors.numpy import load, load_file

import fastlstm as fl
from fastlstm.train import checkpoint
from fastlstm.train.tensor_file import DTYPES, read_tensors, write_tensors


def written(tensors: dict[str, Any], metadata: dict[str, str]) -> bytes:
    file = io.BytesIO()
    write_tensors(file, tensors, metadata)
    return file.getvalue()


@pytest.mark.parametrize("dtype", DTYPES)
def test_the_library_reads_every_type(dtype: str) -> None:
    rng = np.random.default_rng(0)
    array = (rng.random((3, 5)) * 4).astype(dtype)
    others = {"a": np.array(2.5), "z\u00e9": np.arange(3, dtype=np.uint8), "none": array[:0]}
    found = load(written({"array": array, **others}, {"k": "v"}))
    for name, value in {"array": array, **others}.items():
        assert found[name].dtype == value.dtype
        np.testing.assert_array_equal(found[name], value)
        assert found[name].shape == value.shape


def test_arrays_of_any_layout_and_texts(tmp_path: Path) -> None:
    x = np.arange(24, dtype=np.float32).reshape(4, 6)
    views = {"t": x.T, "step": x[::2, ::3], "turned": x[::-1], "fortran": np.asfortranarray(x)}
    (tmp_path / "a").write_bytes(written(views, {"k": 'v "\u2713"', "": ""}))
    found = load_file(tmp_path / "a")
    for name, value in views.items():
        np.testing.assert_array_equal(found[name], value)
    with safe_open(tmp_path / "a", framework="np") as file:
        assert file.metadata() == {"k": 'v "\u2713"', "": ""}


def test_a_type_that_the_format_has_not() -> None:
    with pytest.raises(TypeError, match="x has dtype complex128, expected one of bool"):
        written({"x": np.zeros(2, complex)}, {})


def test_saving_takes_no_copy_of_the_arrays(tmp_path: Path) -> None:
    tensors = {name: np.zeros(1_000_000, np.float32) for name in "abcd"}  # 16 MB
    checkpoint.save(tmp_path / "warm", {"a": np.zeros(3)}, "model", {})
    tracemalloc.start()
    checkpoint.save(tmp_path / "a", tensors, "model", {})
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 1_000_000
    assert (tmp_path / "a").stat().st_size > 16_000_000


CUT = """
import os, sys
import safetensors

true, opened = safetensors.safe_open, 0
class Cut:  # cuts the file short when it has been opened for the given time
    def __init__(self, path, **options):
        self.path, self.file = path, true(path, **options)
    def __enter__(self):
        global opened
        opened += 1
        file = self.file.__enter__()
        if opened == int(sys.argv[2]):
            os.truncate(self.path, 4096)
        return file
    def __exit__(self, *error):
        return self.file.__exit__(*error)
safetensors.safe_open = Cut

import fastlstm
try:
    fastlstm.load(sys.argv[1])
except ValueError as error:
    print(error)
"""


@pytest.mark.skipif(os.name != "posix", reason="Windows keeps files whole that are mapped")
@pytest.mark.parametrize("ours", [True, False], ids=["ours", "state_dict"])
@pytest.mark.parametrize("time", [1, 2, 3])
def test_a_file_cut_short_while_it_is_read(time: int, ours: bool, tmp_path: Path) -> None:
    """As by a copy over the file of a server: memory that was mapped would end the process."""
    path, layer = tmp_path / "a.safetensors", fl.LSTM(100, 100)
    if ours:
        fl.save(layer, path)
    else:
        path.write_bytes(written(layer.state_dict(), {}))
    done = subprocess.run(
        [sys.executable, "-c", CUT, str(path), str(time)], capture_output=True, text=True
    )
    assert done.returncode == 0, done.stderr
    if path.stat().st_size == 4096:
        assert done.stdout.startswith(str(path))


def test_arrays_are_ones_own(tmp_path: Path) -> None:
    value = np.arange(6, dtype=np.float32).reshape(2, 3)
    tensors = {"flag": value > 2, "x": value.T, "none": value[:0], "one": np.array(2.5)}
    (tmp_path / "a").write_bytes(written(tensors, {"k": "v"}))
    found, metadata = read_tensors(tmp_path / "a")
    assert metadata == {"k": "v"}
    for name, expected in tensors.items():
        np.testing.assert_array_equal(found[name], expected)
        assert found[name].dtype == expected.dtype
        assert memoryview(found[name]).format == memoryview(expected).format  # the kernels' own
        assert found[name].flags.writeable
