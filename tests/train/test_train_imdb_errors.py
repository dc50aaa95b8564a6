"""What `train_imdb` says and returns when something is wrong."""

from __future__ import annotations

import errno
import os
from pathlib import Path

import pytest
from tiny_imdb import arguments, read, train

from fastlstm.train_imdb import main

pytestmark = pytest.mark.usefixtures("own_cache", "no_picture", "threads")


def weights(out: Path) -> bytes:
    return (out / "model.safetensors").read_bytes()


@pytest.mark.parametrize(
    ("option", "value", "message"),
    [
        ("vocab-size", "2", "vocab-size is 2, expected at least 3"),
        ("max-length", "-1", "max-length is -1"),
        ("embedding-dim", "0", "embedding-dim is 0"),
        ("cell", "elman", "invalid choice"),
        ("embedding-std", "0", "embedding-std is 0.0, expected more than 0"),
        ("hidden-size", "0", "hidden-size is 0"),
        ("hidden-size", "x", "invalid int value"),
        ("num-layers", "0", "num-layers is 0"),
        ("pooling", "sum", "expected one of last, mean, max"),
        ("pooling", "max+max", "expected one of last, mean, max"),
        ("dropout", "1", "dropout is 1.0, expected at least 0 and below 1"),
        ("embedding-dropout", "-0.1", "embedding-dropout is -0.1"),
        ("word-dropout", "nan", "word-dropout is nan"),
        ("optimizer", "rmsprop", "invalid choice"),
        ("lr", "0", "lr is 0.0, expected more than 0"),
        ("lr", "inf", "lr is inf"),
        ("momentum", "1", "momentum is 1.0"),
        ("weight-decay", "-1", "weight-decay is -1.0"),
        ("schedule", "step", "invalid choice"),
        ("warmup", "1", "warmup is 1.0"),
        ("clip", "-1", "clip is -1.0"),
        ("average", "1", "average is 1.0"),
        ("batch-size", "-1", "batch-size is -1"),
        ("epochs", "-1", "epochs is -1"),
        ("patience", "-1", "patience is -1"),
        ("validation", "1", "validation is 1.0"),
        ("validation", "-0.5", "validation is -0.5"),
        ("seed", "-1", "seed is -1"),
        ("threads", "2000", "threads is 2000"),
        ("dtype", "float16", "invalid choice"),
        ("bigrams", "-1", "bigrams is -1, expected at least 0"),
        ("pretrain-epochs", "0", "pretrain-epochs is 0, expected at least 1"),
        ("teachers", "-1", "teachers is -1, expected at least 0"),
        ("truncate", "middle", "invalid choice"),
        ("valid", "0.1", "unrecognized arguments"),
        ("nonsense", "1", "unrecognized arguments: --nonsense"),
    ],
)
def test_bad_options_exit_with_2_and_name_the_option(
    option: str, value: str, message: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit) as caught:
        main(["--out", str(tmp_path / "run"), f"--{option}", value])
    assert caught.value.code == 2
    assert message in capsys.readouterr().err
    assert not (tmp_path / "run").exists()


def test_patience_without_validation_is_a_wrong_use(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as caught:
        main(["--patience", "2", "--validation", "0"])
    assert caught.value.code == 2
    assert "needs a validation" in capsys.readouterr().err


def fails(words: list[str], capsys: pytest.CaptureFixture[str]) -> str:
    """Run a command that must fail with status 1 and one line; return the line."""
    assert main(words) == 1
    lines = capsys.readouterr().err.strip().splitlines()
    assert len(lines) == 1
    assert lines[0].startswith("train_imdb: error: ")
    return lines[0]


def test_missing_data(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    line = fails(arguments(tmp_path / "gone", tmp_path / "run"), capsys)
    assert str(tmp_path / "gone") in line
    assert not (tmp_path / "run").exists()


def test_half_a_download(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    archive = tmp_path / "aclImdb_v1.tar.gz"
    archive.write_bytes(b"\x1f\x8b\x08\x00" + bytes(50))
    assert str(archive) in fails(arguments(archive, tmp_path / "run"), capsys)


def test_too_few_reviews_to_hold_any_back(
    reviews: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    line = fails(arguments(reviews, tmp_path / "run", validation=0.001), capsys)
    assert "validation is 0.001, which holds back 0 of 80" in line


def test_wrong_environment_value(
    reviews: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:  # fmt: skip
    monkeypatch.setenv("FASTLSTM_BACKEND", "gpu")
    line = fails(arguments(reviews, tmp_path / "run"), capsys)
    assert "FASTLSTM_BACKEND='gpu'" in line


def test_a_run_that_diverges(
    reviews: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    words = arguments(reviews, tmp_path / "run", lr=1e300, dtype="float64", clip=0)
    line = fails(words, capsys)
    assert "after" in line
    assert "batch" in line


@pytest.mark.filterwarnings("always:cannot keep the encoded texts")
def test_full_disk(
    reviews: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:  # fmt: skip
    def full(descriptor: int) -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr(os, "fsync", full)
    monkeypatch.setenv("FASTLSTM_CACHE", str(tmp_path / "cache"))
    assert main(arguments(reviews, tmp_path / "run")) == 1
    note, line = capsys.readouterr().err.splitlines()
    assert note.startswith("note: cannot keep the encoded texts")
    assert "cannot write" in line
    assert "No space left on device" in line
    assert not (tmp_path / "run").exists()


def test_a_folder_that_cannot_be_made(
    reviews: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "file").write_text("in the way")
    assert "file" in fails(arguments(reviews, tmp_path / "file" / "run"), capsys)


def test_debug_shows_the_traceback(
    reviews: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("FASTLSTM_DEBUG", "1")
    with pytest.raises(FileNotFoundError):
        main(arguments(tmp_path / "gone", tmp_path / "run"))


def test_an_unforeseen_error_is_one_line_with_its_type(
    reviews: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:  # fmt: skip
    def broken(*_: object) -> None:
        raise AttributeError("oops")

    monkeypatch.setattr("fastlstm.train.classifier.classify.build_model", broken)
    line = fails(arguments(reviews, tmp_path / "run"), capsys)
    assert "AttributeError: oops (FASTLSTM_DEBUG=1 shows where)" in line


def test_a_finished_run_is_not_overwritten_unless_asked(
    reviews: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out = tmp_path / "run"
    train(reviews, out)
    before = weights(out)
    line = fails(arguments(reviews, out, seed=5), capsys)
    assert "holds a finished run" in line
    assert weights(out) == before
    # a replacement that cannot even begin leaves the run alone
    assert main([*arguments(tmp_path / "gone", out, seed=5), "--overwrite"]) == 1
    assert weights(out) == before
    assert main([*arguments(reviews, out, seed=5), "--overwrite"]) == 0
    assert weights(out) != before
    assert read(out / "metrics.json")["seed"] == 5


def test_ctrl_c_before_training_says_so(
    reviews: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:  # fmt: skip
    def pressed(*_: object, **__: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr("fastlstm.train.classifier.classify.run", pressed)
    assert main(arguments(reviews, tmp_path / "run")) == 130
    assert capsys.readouterr().err == "\ninterrupted\n"
