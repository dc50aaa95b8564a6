"""The reader of HDF5 against its library."""

from __future__ import annotations

import io
import struct
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from fastlstm.formats.hdf5 import Tree

h5py = pytest.importorskip("h5py")
DTYPES = ("<f4", ">f4", "<f8", "<f2", "<i4", ">i8", "<u1", "<i2", "<u8")


def written(make: Any, **options: Any) -> Tree:
    data = io.BytesIO()
    with h5py.File(data, "w", **options) as file:
        make(file)
    return Tree(io.BytesIO(data.getvalue()), len(data.getvalue()))


@pytest.mark.parametrize("libver", ["earliest", "v108", "latest"])
def test_arrays_and_texts(libver: str) -> None:
    rng = np.random.default_rng(0)
    arrays: dict[str, Any] = {}
    for n, dtype in enumerate(DTYPES):  # new groups of more than eight are of another kind
        name = f"deep/er{n // 5}/{dtype[1:]}{n}"
        arrays[name] = rng.integers(0, 90, (2, 3, n + 1)).astype(dtype)
    arrays |= {"scalar": np.array(3.5), "none": np.zeros((0, 4), "f4")}
    names = ["a", "naïve", "", "x" * 300]

    def make(file: Any) -> None:
        for name, array in arrays.items():
            file[name] = array
        file["deep"].attrs["fixed"] = np.array([name.encode() for name in names])
        file["deep"].attrs["variable"] = names
        file["deep"].attrs["one"] = "text " * 2000
        file["deep"].attrs["bytes"] = b"bytes"
        file["deep"].attrs["empty"] = np.zeros(0)
        file["deep"].attrs["cut0"], file["deep"].attrs["cut1"] = ["a", "b"], ["c"]

    tree = written(make, libver=libver)
    for name, array in arrays.items():
        found = tree.array(tree.root, name)
        assert found.dtype == array.dtype.newbyteorder("=")
        assert found.shape == array.shape
        assert (found == array).all()
    deep = tree.group(tree.root, "deep")
    assert tree.texts(deep, "fixed") == names
    assert tree.texts(deep, "variable") == names
    assert tree.text(deep, "one") == "text " * 2000
    assert tree.text(deep, "bytes") == "bytes"
    assert tree.texts(deep, "empty") == tree.texts(deep, "nothing") == []
    assert tree.texts(deep, "cut") == ["a", "b", "c"]
    assert tree.text(deep, "nothing") is None
    assert sorted(tree.names(tree.root)) == ["deep", "none", "scalar"]


def test_many_members() -> None:
    """More than one node of the tree of a group holds."""
    tree = written(lambda file: [file.create_dataset(f"a{n}", data=n) for n in range(2000)])
    assert len(tree.names(tree.root)) == 2000
    for n in (0, 7, 1999):
        assert tree.array(tree.root, f"a{n}") == n


def test_what_is_not_read_is_named() -> None:
    def chunked(file: Any) -> None:
        file.create_dataset("a", (100,), "f4", chunks=(10,))
        file.create_dataset("b", data=np.zeros(100), compression="gzip")
        file["c"] = np.zeros(3, "c8")
        file["d"] = "text"
        file["e"] = h5py.Empty("f4")

    tree = written(chunked)
    for name, told in (
        ("a", "/a is in chunks"),
        ("b", "/b is compressed"),
        ("c", "of class 6"),
        ("d", "/d holds texts, expected real numbers"),
        ("e", "empty or unknown"),
        ("a/b", "/a is an array, expected a group"),
    ):
        with pytest.raises(ValueError, match=told):
            tree.array(tree.root, name)
    with pytest.raises(KeyError, match="/ has no x"):
        tree.child(tree.root, "x")
    many = written(lambda file: [file.create_group(f"a{n}") for n in range(99)], libver="earliest")
    assert len(many.names(many.root)) == 99
    with pytest.raises(ValueError, match="/ has members in a heap of links"):
        written(lambda file: [file.create_group(f"a{n}") for n in range(99)], libver="latest")


def test_a_file_that_ends_early(tmp_path: Path) -> None:
    data = io.BytesIO()
    with h5py.File(data, "w") as file:
        file["a/b"] = np.arange(50.0)
    whole = data.getvalue()
    raised = 0
    for size in range(0, len(whole), 97):
        try:
            tree = Tree(io.BytesIO(whole[:size]), size)
            assert (tree.array(tree.root, "a/b") == np.arange(50.0)).all()
        except (ValueError, KeyError):
            raised += 1
    assert raised > 10


def test_a_header_that_goes_on_in_itself() -> None:
    """Each time round it would be kept once more: 65,535 times 64,000 bytes."""
    large, block = 64_000, 112
    head = b"\x89HDF\r\n\x1a\n" + bytes(5) + b"\x08\x08" + bytes(49) + struct.pack("<Q", 96)
    start = struct.pack("<BBHIII", 1, 0, 65_535, 1, large + 32, 0)
    messages = struct.pack("<HHI", 0, large, 0) + bytes(large)
    messages += struct.pack("<HHIQQ", 0x10, 16, 0, block, large + 32)
    data = head.ljust(96, b"\0") + start + messages
    with pytest.raises(ValueError, match="it runs in circles"):
        Tree(io.BytesIO(data), len(data))
