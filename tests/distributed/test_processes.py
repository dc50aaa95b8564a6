"""What processes say to each other."""

from __future__ import annotations

import numpy as np
import pytest
from threads import together

from fastlstm.distributed import Processes, ProcessesDiffer, join
from fastlstm.distributed.found import MPI_RANKS, MPI_SIZES, TORCH_NAMES, Found, found


@pytest.mark.parametrize("size", [1, 2, 3, 5])
@pytest.mark.parametrize("length", [0, 1, 4, 7])
def test_vectors_are_added_in_the_order_of_ranks(size: int, length: int) -> None:
    vectors = np.random.default_rng(0).standard_normal((size, length)).astype("float32")
    expected = np.zeros(length, "float32")
    for vector in vectors:
        expected += vector
    for total in together(size, lambda p: p.sum(vectors[p.rank])):
        assert total.dtype == np.float32
        assert np.array_equal(total, expected)


def test_bytes_of_any_length_are_gathered() -> None:
    given = [b"", b"a", b"bcd\0"]
    assert together(3, lambda p: p.gather_bytes(given[p.rank])) == [given] * 3


def test_the_value_of_the_first_process_is_told() -> None:
    assert together(3, lambda p: p.broadcast({"rank": p.rank})) == [{"rank": 0}] * 3
    assert Processes().broadcast([1, None]) == [1, None]


def test_a_process_that_differs_is_named() -> None:
    together(3, lambda p: p.agree({"seed": 1, "lr": 0.5}))
    with pytest.raises(ProcessesDiffer, match="process 2 differs from process 0: seed is 2 there"):
        together(3, lambda p: p.agree({"seed": max(1, p.rank), "lr": 0.5}))
    with pytest.raises(ProcessesDiffer, match="process 1 .* more is true there, null here"):
        together(2, lambda p: p.agree({"more": True} if p.rank else {}))


@pytest.fixture
def no_launcher(monkeypatch: pytest.MonkeyPatch) -> pytest.MonkeyPatch:
    for name in (*MPI_RANKS, *MPI_SIZES, *TORCH_NAMES):
        monkeypatch.delenv(name, raising=False)
    return monkeypatch


@pytest.mark.parametrize(
    ("names", "expected"),
    [
        ({}, Found("none")),
        ({"PMI_RANK": "1", "PMI_SIZE": "4"}, Found("mpi", 1, 4)),
        ({"OMPI_COMM_WORLD_RANK": "0", "OMPI_COMM_WORLD_SIZE": "2"}, Found("mpi", 0, 2)),
        ({"PMIX_RANK": "3"}, Found("mpi", 3, 0)),
        (
            {"RANK": "1", "WORLD_SIZE": "2", "MASTER_ADDR": "here", "MASTER_PORT": "1"},
            Found("torch", 1, 2),
        ),
        ({"RANK": "1"}, Found("none")),
    ],
)
def test_the_launcher_is_found(
    no_launcher: pytest.MonkeyPatch, names: dict[str, str], expected: Found
) -> None:
    for name, value in names.items():
        no_launcher.setenv(name, value)
    assert found() == expected


def test_without_a_launcher_a_process_is_alone(no_launcher: pytest.MonkeyPatch) -> None:
    for kind in ("auto", "none"):
        processes = join(kind)
        assert (processes.rank, processes.size, processes.first) == (0, 1, True)
    no_launcher.setenv("PMI_RANK", "0")
    no_launcher.setenv("PMI_SIZE", "1")
    assert join("auto").size == 1
    with pytest.raises(ValueError, match="distributed is 'gloo', expected one of"):
        join("gloo")
    with pytest.raises(ValueError, match="torchrun did not start this process"):
        join("torch")
    no_launcher.setenv("PMI_RANK", "first")
    with pytest.raises(ValueError, match="PMI_RANK='first', expected a whole number"):
        join("auto")


@pytest.mark.parametrize(("kind", "missing"), [("mpi", "mpi4py"), ("torch", "torch")])
def test_a_missing_extra_is_named(no_launcher: pytest.MonkeyPatch, kind: str, missing: str) -> None:
    for name in TORCH_NAMES if kind == "torch" else ("PMI_RANK", "PMI_SIZE"):
        no_launcher.setenv(name, "2")
    no_launcher.setitem(__import__("sys").modules, missing, None)
    with pytest.raises(ImportError, match=rf'pip install "fastlstm\[{kind}\]"'):
        join("auto")
