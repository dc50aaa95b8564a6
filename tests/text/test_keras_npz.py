from __future__ import annotations

import io
import json
import pickle
import re
import zipfile

import numpy as np
import pytest
from small_imdb import lists

from fastlstm.text import keras_npz, load_imdb
from fastlstm.text.keras_npz import read_keras


@pytest.fixture
def path(tmp_path):
    return tmp_path / "imdb.npz"


def rows(encoded) -> list[list[int]]:
    return [encoded.row(n).tolist() for n in range(len(encoded))]


def write_raw(path, members: dict[str, bytes]) -> None:
    with zipfile.ZipFile(path, "w") as archive:
        for name, content in members.items():
            archive.writestr(f"{name}.npy", content)


def npy(array: np.ndarray, protocol: int = 4, **header) -> bytes:
    """An ``.npy`` file with the pickle protocol of one's choice."""
    file = io.BytesIO()
    fields = {"descr": "|O", "fortran_order": False, "shape": getattr(array, "shape", ()), **header}
    np.lib.format.write_array_header_1_0(file, fields)
    file.write(array if isinstance(array, bytes) else pickle.dumps(array, protocol))
    return file.getvalue()


def test_words_are_not_cut_into_characters(path, keras_arrays):
    np.savez(path, **keras_arrays)
    with pytest.raises(
        ValueError, match=r"analyzer is 'char', but .*imdb.npz has words, not texts"
    ):
        load_imdb(path, analyzer="char", cache=False)


@pytest.mark.parametrize("save", [np.savez, np.savez_compressed])
def test_ranks_as_stored_at_the_official_place(path, keras_arrays, save):
    save(path, **keras_arrays)
    train, test, words, others, marks = read_keras(path)
    assert rows(train) == [[6, 2, 3], [2, 4], [3, 3, 5, 2]]
    assert rows(test) == [[8, 2], [3]]
    assert train.labels.tolist() == [1, 0, 1]
    assert test.labels.tolist() == [0, 1]
    assert words == ["<pad>", "<unk>", *(f"#{rank}" for rank in range(1, 8))]
    assert not others
    assert not marks


def test_ranks_as_load_data_gives_them(path, keras_arrays):
    plain, moved = path.with_name("plain.npz"), dict(keras_arrays)
    np.savez(plain, **keras_arrays)
    for name in ("x_train", "x_test"):
        moved[name] = lists(*([1] + [rank + 3 for rank in row] for row in keras_arrays[name]))
    moved["x_train"][1][1] = 2  # a word left out of the vocabulary
    np.savez(path, **moved)
    train, test, *_ = read_keras(path)
    expected = read_keras(plain)
    assert rows(train) == [[6, 2, 3], [1, 4], [3, 3, 5, 2]]
    assert rows(test) == rows(expected.test)


@pytest.mark.parametrize("protocol", [0, 1, 2, 3, 4])
@pytest.mark.parametrize("dtype", [None, "<i4", "<i8", ">i8", "|u1"])
def test_every_pickle_protocol_and_rows_that_are_arrays(path, keras_arrays, protocol, dtype):
    members = {}
    for name, array in keras_arrays.items():
        if name.startswith("x") and dtype:
            array = lists(*(np.array(row, dtype) for row in array))
        if name.startswith("x"):
            members[name] = npy(array, protocol)
        else:
            file = io.BytesIO()
            np.save(file, array)
            members[name] = file.getvalue()
    write_raw(path, members)
    assert rows(read_keras(path).train) == [[6, 2, 3], [2, 4], [3, 3, 5, 2]]


def test_words_from_the_index_beside_it(path, keras_arrays):
    np.savez(path, **keras_arrays)
    index = path.with_name("imdb_word_index.json")
    index.write_text(json.dumps({"the": 1, "and": 2, "film": 7, "rare": 5000}))
    assert read_keras(path).words[2:] == ["the", "and", "#3", "#4", "#5", "#6", "film"]
    for damaged in ("{", "[1]", '{"the": "one"}'):
        index.write_text(damaged)
        with pytest.raises(ValueError, match=r"imdb_word_index.json is not a word index"):
            read_keras(path)


def test_one_list_that_stands_for_many(path, keras_arrays):
    keras_arrays["x_train"] = lists(*[[1] * 1000] * 1000)
    np.savez(path, **keras_arrays)
    with pytest.raises(ValueError, match=r"is not Keras's imdb.npz: 1,000,000 numbers in "):
        read_keras(path)


def test_an_array_that_unpacks_to_no_end(path, keras_arrays, monkeypatch):
    monkeypatch.setattr(keras_npz, "MOST_BYTES", 1000)
    keras_arrays["y_train"] = np.zeros(10_000, np.int8)
    np.savez_compressed(path, **keras_arrays)
    with pytest.raises(ValueError, match="y_train has 10,128 bytes, expected at most 1,000"):
        read_keras(path)


@pytest.mark.parametrize("header", [b"{'descr': (", b"{'descr': '<i8'\n  (", b"\n  x\n y"])
def test_a_header_that_is_no_python(path, keras_arrays, header):
    members = {name: npy(array) for name, array in keras_arrays.items()}
    length = len(header).to_bytes(2, "little")
    members["y_train"] = b"\x93NUMPY\x01\x00" + length + header
    write_raw(path, members)
    with pytest.raises(ValueError, match="is not Keras's imdb.npz"):
        read_keras(path)


def test_an_array_said_to_be_larger_than_the_memory(path, keras_arrays):
    members = {name: npy(array) for name, array in keras_arrays.items()}
    members["y_train"] = npy(b"", descr="<i8", shape=(1 << 60,))
    write_raw(path, members)
    with pytest.raises(ValueError, match="is not Keras's imdb.npz"):
        read_keras(path)


class Trap:
    """Writes a file when it is unpickled."""

    def __init__(self, path) -> None:
        self.path = path

    def __reduce__(self):
        return open, (str(self.path), "w")


def test_code_in_the_file_is_not_run(path, keras_arrays, tmp_path):
    keras_arrays["x_test"] = lists([1], Trap(tmp_path / "trapped"))
    np.savez(path, **keras_arrays)
    with pytest.raises(ValueError, match=r"it asks for (_io|io).open, refused"):
        read_keras(path)
    assert not (tmp_path / "trapped").exists()
    with np.load(path, allow_pickle=True) as trusted:  # the trap does work
        trusted["x_test"][1].close()
    assert (tmp_path / "trapped").exists()


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"x_train": np.zeros((2, 3), int)}, "expected lists"),
        ({"x_train": lists([1], ["the"], [2])}, "is not Keras"),
        ({"x_train": lists([1], 5, [2])}, "is not Keras"),
        ({"x_train": lists([1], np.array([1.5]), [2])}, "float64 within the array"),
        ({"x_train": lists([2], [0, 3], [2])}, "x_train has the rank 0"),
        ({"x_train": lists([2], [10**9, 3], [2])}, "x_train has the rank 1000000000"),
        ({"x_train": lists([2], [10**30, 3], [2])}, "is not Keras"),
        ({"x_train": lists([2], [3])}, "offsets has 3 entries"),
        ({"y_train": np.array([0, 1, 2])}, "y_train has other labels than 0 and 1"),
        ({"y_train": np.array(["a", "b", "c"])}, "y_train has other labels"),
        ({"y_train": lists([0], [1], [0])}, "is not Keras"),
    ],
)
def test_arrays_of_another_kind(path, keras_arrays, change, message):
    np.savez(path, **keras_arrays | change)
    with pytest.raises(ValueError, match=message):
        read_keras(path)


def test_an_array_is_missing(path, keras_arrays):
    del keras_arrays["y_test"]
    np.savez(path, **keras_arrays)
    with pytest.raises(ValueError, match=r"no item named 'y_test.npy'"):
        read_keras(path)


def test_a_pickle_that_is_something_else(path, keras_arrays):
    good = npy(keras_arrays["x_train"])
    y = io.BytesIO()
    np.save(y, keras_arrays["y_train"])
    for content in (pickle.dumps([1, 2]), b"", b"\x80\x04.", b"garbage", good[-30:]):
        bad = good[: good.index(b"\n") + 1] + content
        write_raw(path, {"x_train": bad, "y_train": y.getvalue()})
        with pytest.raises(ValueError, match="is not Keras"):
            read_keras(path)


def test_a_file_cut_anywhere(path, keras_arrays):
    np.savez_compressed(path, **keras_arrays)
    whole = path.read_bytes()
    for size in range(0, len(whole), 5):
        path.write_bytes(whole[:size])
        with pytest.raises(ValueError, match=r"imdb.npz is damaged or half a download"):
            read_keras(path)


@pytest.mark.parametrize("method", [zipfile.ZIP_BZIP2, zipfile.ZIP_LZMA, 99])
def test_members_that_claim_to_be_packed_in_another_way(path, keras_arrays, method):
    np.savez_compressed(path, **keras_arrays)
    damaged, start = bytearray(path.read_bytes()), b"PK\x01\x02"
    for entry in re.finditer(re.escape(start), damaged):
        damaged[entry.start() + 10] = method
    path.write_bytes(damaged)
    with pytest.raises(ValueError, match=r"imdb.npz is damaged or half a download"):
        read_keras(path)


def test_a_file_with_a_flipped_byte(path, keras_arrays):
    np.savez_compressed(path, **keras_arrays)
    whole, good = path.read_bytes(), rows(read_keras(path).train)
    refused = 0
    for place in range(len(whole)):
        damaged = bytearray(whole)
        damaged[place] ^= 0xFF
        path.write_bytes(damaged)
        try:
            assert rows(read_keras(path).train) == good  # dates and the like do not matter
        except ValueError:
            refused += 1
    assert refused > len(whole) / 2
