from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from fastlstm.text import Encoded, batches, collate, count_batches


def encode(lengths: list[int]) -> Encoded:
    """Rows that tell who they are: row n holds n + 1 as often as it is long."""
    tokens = np.repeat(np.arange(len(lengths)) + 1, lengths)
    return Encoded.from_lengths(tokens, lengths, np.arange(len(lengths)) % 3)


def plain(all_batches) -> list[list]:
    return [
        [b.tokens.tolist(), b.lengths.tolist(), b.labels.tolist(), b.index.tolist()]
        for b in all_batches
    ]


LENGTHS = st.lists(st.integers(0, 30), min_size=1, max_size=60)
SIZES = st.integers(1, 20)
SEEDS = st.none() | st.integers(0, 2**40)


@given(LENGTHS, SIZES, SEEDS, st.integers(0, 5), st.integers(1, 4))
def test_every_row_once_and_whole(lengths, size, seed, epoch, bucket):
    encoded = encode(lengths)
    seen = []
    for batch in batches(encoded, size, seed=seed, epoch=epoch, bucket=bucket):
        assert batch.tokens.dtype == np.int32
        assert batch.tokens.flags.c_contiguous
        assert 1 <= len(batch.index) <= size
        assert batch.tokens.shape == (len(batch.index), max(1, max(batch.lengths)))
        columns = (batch.tokens, batch.lengths, batch.labels, batch.index)
        for row, length, label, n in zip(*columns, strict=True):
            assert length == lengths[n]
            assert row.tolist() == [n + 1] * length + [0] * (len(row) - length)
            assert label == encoded.labels[n]
            seen.append(int(n))
    assert sorted(seen) == list(range(len(lengths)))


@given(LENGTHS, SIZES, SEEDS, st.integers(1, 4), st.data())
def test_any_start_gives_the_rest_of_the_same_order(lengths, size, seed, bucket, data):
    encoded = encode(lengths)
    options = {"seed": seed, "epoch": 1, "bucket": bucket}
    whole = plain(batches(encoded, size, **options))
    assert len(whole) == count_batches(encoded, size)
    start = data.draw(st.integers(0, len(whole)))
    assert plain(batches(encoded, size, **options, start=start)) == whole[start:]


@given(LENGTHS, SIZES)
def test_without_a_seed_rows_come_by_falling_length(lengths, size):
    found = [n for batch in batches(encode(lengths), size) for n in batch.lengths]
    assert found == sorted(lengths, reverse=True)


def order(encoded: Encoded, **options) -> list[list[int]]:
    return [batch.index.tolist() for batch in batches(encoded, 8, **options)]


@pytest.fixture
def varied() -> Encoded:
    return encode(np.random.default_rng(0).integers(1, 400, size=800).tolist())


def test_seed_and_epoch_fix_the_order(varied):
    assert order(varied, seed=1, epoch=2) == order(varied, seed=1, epoch=2)
    assert order(varied, seed=1, epoch=2) != order(varied, seed=1, epoch=3)
    assert order(varied, seed=1, epoch=2) != order(varied, seed=2, epoch=2)


def test_an_epoch_changes_company_as_well_as_order(varied):
    first, second = ({frozenset(index) for index in order(varied, seed=0, epoch=e)} for e in (0, 1))
    assert len(first & second) < len(first) / 10


def test_batches_do_not_come_by_length(varied):
    longest = [batch.tokens.shape[1] for batch in batches(varied, 8, seed=0, bucket=1000)]
    assert abs(np.corrcoef(longest, np.arange(len(longest)))[0, 1]) < 0.4


def real_fraction(encoded: Encoded, bucket: int) -> float:
    all_batches = list(batches(encoded, 8, seed=0, bucket=bucket))
    cells = sum(batch.tokens.size for batch in all_batches)
    return sum(batch.real_fraction * batch.tokens.size for batch in all_batches) / cells


def test_buckets_save_padding(varied):
    assert real_fraction(varied, 1) < 0.65
    assert real_fraction(varied, 25) > 0.95


def test_real_fraction():
    assert collate(encode([1, 4]), np.array([0, 1])).real_fraction == 5 / 8


def test_rows_without_words_get_one_step_of_padding():
    batch = collate(encode([0, 0]), np.array([1, 0]))
    assert batch.tokens.tolist() == [[0], [0]]
    assert batch.lengths.tolist() == [0, 0]


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"batch_size": 0}, "batch_size is 0, expected at least 1"),
        ({"batch_size": 2, "bucket": 0}, "bucket is 0, expected at least 1"),
        ({"batch_size": 2, "seed": -1}, "seed is -1, expected at least 0"),
        ({"batch_size": 2, "epoch": -1}, "epoch is -1, expected at least 0"),
        ({"batch_size": 2, "start": 3}, "start is 3, expected 0 to 2"),
        ({"batch_size": 2, "start": -1}, "start is -1, expected 0 to 2"),
    ],
)
def test_options_are_checked_at_the_call(options, message):
    with pytest.raises(ValueError, match=message):
        batches(encode([1, 2, 3]), **options)


def test_no_rows():
    with pytest.raises(ValueError, match="rows of encoded is 0"):
        batches(encode([]), 4)
