"""The commands that train, under mpiexec and torchrun."""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pytest
from launched import HERE, Command, Ended, run_several

from fastlstm.cli import main
from fastlstm.examples import language_model
from fastlstm.forecast.saving import load_forecaster
from fastlstm.train.classifier.parts import load_parts
from fastlstm.train.model_file import load_model
from fastlstm.train_imdb import main as train_imdb

sys.path += [str(HERE.parent / name) for name in ("train", "cli")]
from test_cli_forecast import lines, write
from tiny_imdb import arguments, read, write_reviews
from topics import rows, words, write_csv

IMDB = ("-m", "fastlstm.train_imdb")
QUICK = ("--horizon", "6", "--epochs", "2", "--hidden-size", "4", "--time", "hour",
         "--target", "load")  # fmt: skip
SMALL = ("--epochs", "1", "--hidden-size", "8", "--embedding-dim", "8", "--sample", "9")


class Data(NamedTuple):
    """What the commands read."""

    reviews: Path
    other_reviews: Path
    topics: Path
    load: Path
    book: Path


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Data:
    folder = tmp_path_factory.mktemp("data")
    book = folder / "book.txt"
    book.write_text("it was the best of times, it was the worst of times\n" * 40)
    other = write_reviews(folder / "other" / "aclImdb")
    (other / "train" / "pos" / "0_1.txt").write_text("word1 word2", encoding="utf-8")
    return Data(
        write_reviews(folder / "aclImdb"), other, write_csv(folder / "topics.csv", rows(90)),
        write(folder / "load.csv", lines()), book,
    )  # fmt: skip


@pytest.fixture(scope="module", autouse=True)
def cache(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("FASTLSTM_CACHE", str(tmp_path_factory.mktemp("cache")))
        patch.setattr("fastlstm.train.classifier.classify.draw_curves", lambda *_: False)
        patch.setattr("fastlstm.forecast.picture.draw_run", lambda *_: None)
        yield


def commands(data: Data, out: Path) -> dict[str, Command]:
    """The commands by name; the last ones differ in process 1, and must not begin."""
    imdb = arguments(data.reviews, out / "imdb")
    made = arguments(data.reviews, out / "different")
    return {
        "imdb": ("train_imdb", imdb, None),
        "topics": ("fastlstm", words(data.topics, out / "topics", parts="joined"), None),
        "forecast": ("fastlstm", ["forecast", str(data.load), *QUICK, "--out",
                                  str(out / "forecast")], None),
        "book": ("language_model", ["--data", str(data.book), *SMALL, "--out",
                                    str(out / "book")], None),
        "other options": ("train_imdb", made, [*made, "--lr=0.03"]),
        "other data": ("train_imdb", made, [*made, f"--data={data.other_reviews}"]),
    }  # fmt: skip


@pytest.fixture(scope="module")
def alone(data: Data, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The runs of one process."""
    out = tmp_path_factory.mktemp("alone")
    programs: Any = {"fastlstm": main, "train_imdb": train_imdb, "language_model":
                     language_model.main}  # fmt: skip
    for program, given, others in commands(data, out).values():
        if others is None:
            assert programs[program](given) == 0
    return out


@pytest.fixture(scope="module", params=["mpi", "torch"])
def together(
    request: pytest.FixtureRequest, data: Data, tmp_path_factory: pytest.TempPathFactory
) -> tuple[Path, dict[str, list[Ended]]]:
    """The same runs in two processes, and how they ended in each."""
    out = tmp_path_factory.mktemp(request.param)
    given = commands(data, out)
    ends = run_several(request.param, 2, list(given.values()), out)
    return out, dict(zip(given, ends, strict=True))


def check_same_run(found: Path, expected: Path) -> None:
    """Check that a run came to the end of another one."""
    ours, theirs = read(found / "metrics.json"), read(expected / "metrics.json")
    for name in ("test_loss", "test_accuracy", "validation_loss", "best_epoch", "epochs"):
        assert ours[name] == pytest.approx(theirs[name], rel=1e-4), name
    check_same_weights(*(load_model(one / "model.safetensors") for one in (found, expected)))
    own = {path.name for path in found.iterdir()} - {"curves.png"}
    assert own == {path.name for path in expected.iterdir()} - {"curves.png"}


def check_same_weights(found: Any, expected: Any) -> None:
    weights = found.state_dict()
    for name, value in expected.state_dict().items():
        np.testing.assert_allclose(weights[name], value, rtol=2e-4, atol=2e-5, err_msg=name)


def test_commands_end_alike_in_two_processes(
    together: tuple[Path, dict[str, list[Ended]]], alone: Path
) -> None:
    out, ends = together
    for name in ("imdb", "topics", "forecast", "book"):
        first, second = ends[name]
        assert (first.status, second.status) == (0, 0), first.err + second.err
        assert second.out == ""
    check_same_run(out / "imdb", alone / "imdb")
    assert read(out / "imdb" / "metrics.json")["processes"] == 2
    told = ends["imdb"][0].out
    assert told.count("files are in") == told.count("epoch 1/2") == 1
    assert "2 processes of 1 thread" in told


def test_a_net_and_a_linear_part_of_two_processes(
    together: tuple[Path, dict[str, list[Ended]]], alone: Path
) -> None:
    """The linear part is that of one process to the bit."""
    found, expected = (read(out / "topics" / "metrics.json") for out in (together[0], alone))
    for name in ("linear_validation_accuracy", "linear_C", "linear_test_accuracy"):
        assert found[name] == expected[name]
    for name in ("test_loss", "net_share", "test_accuracy"):
        assert found[name] == pytest.approx(expected[name], rel=1e-3)
    (ours, _), (theirs, _) = (load_parts(out / "topics" / "model.safetensors") for out in
                    (together[0], alone))  # fmt: skip
    for name, value in theirs.linear.state().items():
        assert np.array_equal(ours.linear.state()[name], value), name
    assert together[1]["topics"][0].out.count("linear part: ") == 1


def test_a_forecast_and_a_language_model_of_two_processes(
    together: tuple[Path, dict[str, list[Ended]]], alone: Path
) -> None:
    out, ends = together
    nets = [load_forecaster(one / "forecast" / "model.safetensors")[0].net for one in (out, alone)]
    check_same_weights(*nets)
    tables = [(one / "forecast" / "forecast.csv").read_text() for one in (out, alone)]
    assert tables[0].count("\n") == tables[1].count("\n") == 7
    check_same_weights(*(load_model(one / "book" / "model.safetensors") for one in (out, alone)))
    figures = json.loads(ends["book"][0].out.splitlines()[-1])
    assert figures["epochs"] == 1


def test_processes_of_other_options_or_data_do_not_begin(
    together: tuple[Path, dict[str, list[Ended]]],
) -> None:
    out, ends = together
    for name, named in (
        ("other options", "--lr is 0.03 there, 0.02 here"), ("other data", "the reviews is ")
    ):  # fmt: skip
        first, second = ends[name]
        assert first.status != 0
        assert second.status != 0
        assert first.err.count("error: process 1 differs from process 0") == 1, first.err
        assert named in first.err
        assert second.out == ""
    assert not (out / "different").exists()
