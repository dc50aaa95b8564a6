"""The bundled sample: what is in it, and that it can be made again."""

from __future__ import annotations

import bz2

import make_sample
import pytest
from small_imdb import GOOD

from fastlstm.text import tokenize
from fastlstm.text.sources import SAMPLE_PATH
from fastlstm.text.word_codes import decode


@pytest.fixture(scope="module")
def lines() -> list[list[str]]:
    text = decode(bz2.decompress(SAMPLE_PATH.read_bytes())).decode("utf-8")
    return [line.split("\t") for line in text.removesuffix("\n").split("\n")]


def test_as_many_of_each_class_and_split(lines):
    groups = [name.rsplit("/", 1)[0] for name, _ in lines]
    assert len({name for name, _ in lines}) == 3500
    assert {group: groups.count(group) for group in set(groups)} == {
        f"{split}/{label}": rows
        for split, rows in (("train", 1000), ("test", 750))
        for label in ("neg", "pos")
    }


def test_at_most_200_words_each_and_not_cut_shorter(lines):
    lengths = [len(tokenize(text)) for _, text in lines]
    assert max(lengths) == 200
    assert min(lengths) > 0
    assert 0.3 < lengths.count(200) / len(lengths) < 0.6  # the median review has 174 words


def test_it_is_raw_text(lines):
    text = "".join(text for _, text in lines)
    assert "<br />" in text
    assert "The" in text
    assert "é" in text


def test_size_and_attribution():
    assert SAMPLE_PATH.stat().st_size < 900_000
    attribution = SAMPLE_PATH.with_name("ATTRIBUTION.md").read_text(encoding="utf-8")
    assert "maas-EtAl:2011:ACL-HLT2011" in attribution


def test_made_from_archive_or_folder_alike(archive, folder, tmp_path, capsys):
    for number, source in enumerate((archive, folder, archive)):
        make_sample.main([str(source), "--out", str(tmp_path / f"{number}.bz2")])
    made = {(tmp_path / f"{number}.bz2").read_bytes() for number in range(3)}
    assert len(made) == 1
    assert "sha256" in capsys.readouterr().out
    text = decode(bz2.decompress(made.pop())).decode()
    assert text.count("\n") == 16
    assert f"train/pos/0_7.txt\t{GOOD[0]}\n" in text


@pytest.mark.parametrize("text", [b"", b"a bb bb [bb] bb-cc, bb'cc cc cc\n", bytes(range(200))])
def test_words_come_back_from_their_codes(text):
    assert decode(make_sample.encode(text)) == text
    assert decode(make_sample.encode(text * 50)) == text * 50


def test_draws_by_seed_and_cuts(monkeypatch):
    monkeypatch.setattr(make_sample, "PER_CLASS", {"train": 5, "test": 3})
    reviews = [
        make_sample.Review(split, label, f"{n}_1.txt", b"One,\ttwo\n" * 150)
        for split in ("train", "test")
        for label in ("neg", "pos")
        for n in range(50)
    ]
    first = make_sample.sample(reviews, seed=0)
    assert first == make_sample.sample(reviews[::-1], seed=0)
    assert first != make_sample.sample(reviews, seed=1)
    lines = first.decode().splitlines()
    assert [line.split("/")[0] for line in lines] == ["train"] * 10 + ["test"] * 6
    assert all(len(tokenize(line.split("\t")[1])) == 200 for line in lines)


def test_only_the_archive_will_do(kaggle, capsys):
    with pytest.raises(SystemExit):
        make_sample.main([str(kaggle)])
    assert "is not the official archive or its folder" in capsys.readouterr().err
