"""Keras files that are damaged, or made to do harm."""

from __future__ import annotations

import io
import json
import zipfile
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from keras_cases import (
    QUIET,
    U,
    arrays,
    h5py,
)

import fastlstm as fl

pytestmark = QUIET


def archive(path: Path, config: bytes, weights: bytes, method: int = zipfile.ZIP_STORED) -> Path:
    with zipfile.ZipFile(path, "w", method) as file:
        file.writestr("config.json", config)
        file.writestr("model.weights.h5", weights)
    return path


def hdf5(make: Any) -> bytes:
    data = io.BytesIO()
    with h5py.File(data, "w") as file:
        make(file)
    return data.getvalue()


CONFIG = json.dumps({"class_name": "Sequential", "config": {"layers": [
    {"class_name": "LSTM", "config": {"name": "lstm", "units": U}}]}}).encode()  # fmt: skip


def _stored(file: Any, replaced: str = "", make: Any = None) -> None:
    for number, array in enumerate(arrays(4, 16)):
        name = f"layers/lstm/cell/vars/{number}"
        if str(number) == replaced:
            make(file, name)
        else:
            file[name] = array


def _external(file: Any, name: str) -> None:
    file.create_dataset(name, (16,), "f4", external=[("/etc/hostname", 0, 64)])


def _virtual(file: Any, name: str) -> None:
    layout = h5py.VirtualLayout((16,), "f4")
    layout[:] = h5py.VirtualSource("other.h5", "x", (16,))
    file.create_virtual_dataset(name, layout)


def _links(link: Any) -> Any:
    return lambda file, name: file.__setitem__(name, link)


@pytest.mark.parametrize(
    ("make", "told"),
    [
        (_external, "lies in another file: not read"),
        (_virtual, "lies in another file: not read"),
        (_links(h5py.SoftLink("/layers/lstm/cell/vars/1")), "is a link to another place"),
        (_links(h5py.ExternalLink("other.h5", "x")), "is a link to another place"),
        (
            lambda f, n: f.create_dataset(n, (1 << 40,), "f4", chunks=(16,)),
            "is in chunks, as Keras's arrays never are|larger",
        ),
        (lambda f, n: f.create_dataset(n, (16,), h5py.string_dtype()), "expected real numbers"),
        (lambda f, n: f.create_dataset(n, (16,), "c8"), "expected real numbers"),
        (lambda f, n: f.create_dataset(n, data=h5py.Empty("f4")), "expected|shape"),
        (lambda f, n: f.create_group(n), "is a group, expected an array"),
        (lambda f, n: f.create_dataset(n, data=np.zeros(7, "f4")), r"bias has shape \(7,\), exp"),
        (lambda f, n: f.create_dataset(n, data=np.full(16, np.nan, "f4")), "is nan, expected fin"),
        (lambda f, n: f.create_dataset(n, data=np.zeros(16, "i4")), "has dtype int32, expected"),
    ],
)
def test_arrays_that_are_none(make: Any, told: str, tmp_path: Path) -> None:
    data = hdf5(lambda file: _stored(file, "2", make))
    path = archive(tmp_path / "a.keras", CONFIG, data)
    with pytest.raises(ValueError, match=told) as raised:
        fl.load(path)
    assert str(path) in str(raised.value)


def test_a_packed_archive_and_a_bomb(tmp_path: Path) -> None:
    data = hdf5(_stored)
    model = fl.load(archive(tmp_path / "a.keras", CONFIG, data, zipfile.ZIP_DEFLATED))
    assert model.layers["lstm"].layer.hidden_size == U
    bomb = archive(tmp_path / "b.keras", b" " * (1 << 27), data, zipfile.ZIP_DEFLATED)
    with pytest.raises(ValueError, match=r"config\.json claims 134,217,728 bytes unpacked"):
        fl.load(bomb)


@pytest.mark.parametrize(
    ("config", "told"),
    [
        (b"[" * 100_000, "nested too deeply|not JSON"),
        (b"{}", "its model is of class None"),
        (b'{"class_name": "Sequential", "config": {"layers": [1]}}', "expected a list of objects"),
        (CONFIG.replace(b'"units": 4', b'"units": 5'), "layer lstm: its units are 5, its arrays"),
        (CONFIG.replace(b"LSTM", b"GRU"), "layer lstm: .*expected two kernels|its kernel has|has"),
        (CONFIG.replace(b'"units": 4', b'"units": 4, "return_sequences": 1'), "return_sequences"),
        (CONFIG.replace(b"lstm", b"gru"), "|"),
    ],
)
def test_configurations_that_do_not_fit(config: bytes, told: str, tmp_path: Path) -> None:
    path = archive(tmp_path / "a.keras", config, hdf5(_stored))
    if told == "|":  # a name is only a name
        fl.load(path)
        return
    with pytest.raises(ValueError, match=told) as raised:
        fl.load(path)
    assert str(path) in str(raised.value)
