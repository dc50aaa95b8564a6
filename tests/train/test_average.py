"""Averaged weights: the lazy, row-wise sums against the plain definition."""

from __future__ import annotations

import numpy as np
import pytest

from fastlstm.nn import Parameter, RowGrad
from fastlstm.train import SGD, Adam, AdamW, Average, clip_factor, clip_grad_norm_
from fastlstm.train import parameters as of_parameters

ROWS, WIDTH, STEPS = 7, 3, 40


def plain_average(weights: list[np.ndarray], decay: float) -> np.ndarray:
    powers = decay ** np.arange(len(weights))[::-1]
    return np.tensordot(powers, np.stack(weights), 1) / powers.sum()


def gradients(rng: np.random.Generator, dense: Parameter, table: Parameter) -> None:
    dense.grad[...] = rng.standard_normal(dense.data.shape)
    index = np.flatnonzero(rng.random(ROWS - 1) < 0.3)  # the last row is never touched
    table.rows = RowGrad(index, rng.standard_normal((index.size, WIDTH)))


def pair(rng: np.random.Generator) -> tuple[Parameter, Parameter]:
    return Parameter(rng.standard_normal(5)), Parameter(rng.standard_normal((ROWS, WIDTH)))


@pytest.mark.parametrize("decay", [0.5, 0.9, 0.999])
def test_equals_the_definition_at_every_step(decay: float) -> None:
    rng = np.random.default_rng(0)
    dense, table = pair(rng)
    average, optimizer = Average([dense, table], decay), SGD([dense, table], lr=0.1)
    seen: list[tuple[np.ndarray, np.ndarray]] = []
    for _ in range(STEPS):
        gradients(rng, dense, table)
        average.before_step()
        optimizer.step()
        seen.append((dense.data.copy(), table.data.copy()))
        averaged = average.weights()
        for place, name in enumerate("01"):
            expected = plain_average([w[place] for w in seen], decay)
            np.testing.assert_allclose(averaged[name], expected, rtol=0, atol=1e-12)


def test_before_the_first_step_it_is_the_weights() -> None:
    dense, table = pair(np.random.default_rng(1))
    assert np.array_equal(Average([dense, table], 0.9).weights()["1"], table.data)


def test_a_row_that_has_dense_gradients_later_is_caught_up() -> None:
    rng = np.random.default_rng(2)
    table = Parameter(rng.standard_normal((ROWS, WIDTH)))
    average, optimizer = Average([table], 0.8), SGD([table], lr=0.1)
    seen = []
    for step in range(6):
        if step < 3:
            table.rows = RowGrad(np.array([step]), np.ones((1, WIDTH)))
        else:
            table.rows = None
            table.grad[...] = rng.standard_normal(table.data.shape)
        average.before_step()
        optimizer.step()
        seen.append(table.data.copy())
    np.testing.assert_allclose(average.weights()["0"], plain_average(seen, 0.8), atol=1e-12)


def test_applied_swaps_and_restores_in_place_even_on_errors() -> None:
    rng = np.random.default_rng(3)
    dense, table = pair(rng)
    average, optimizer = Average([dense, table], 0.9), SGD([dense, table], lr=0.1)
    for _ in range(3):
        gradients(rng, dense, table)
        average.before_step()
        optimizer.step()
    array, before, averaged = dense.data, dense.data.copy(), average.weights()
    assert not np.allclose(averaged["0"], before)
    with average.applied():
        assert np.array_equal(dense.data, averaged["0"])
        assert np.array_equal(table.data, averaged["1"])
    assert dense.data is array
    assert np.array_equal(dense.data, before)
    with pytest.raises(RuntimeError), average.applied():
        raise RuntimeError
    assert dense.data is array
    assert np.array_equal(dense.data, before)


def test_state_dict_continues_exactly() -> None:
    def run(
        average: Average, optimizer: SGD, ps: tuple[Parameter, Parameter], seeds: range
    ) -> None:
        for seed in seeds:
            gradients(np.random.default_rng(seed), *ps)
            average.before_step()
            optimizer.step()

    whole = pair(np.random.default_rng(4))
    of_whole = Average(whole, 0.9)
    run(of_whole, SGD(whole, lr=0.1), whole, range(8))
    first = pair(np.random.default_rng(4))
    of_first = Average(first, 0.9)
    run(of_first, SGD(first, lr=0.1), first, range(5))
    second = (Parameter(first[0].data.copy()), Parameter(first[1].data.copy()))
    of_second = Average(second, 0.9)
    of_second.load_state_dict(of_first.state_dict())
    run(of_second, SGD(second, lr=0.1), second, range(5, 8))
    for name, value in of_whole.weights().items():
        assert np.array_equal(of_second.weights()[name], value)


def test_float32_stays_float32() -> None:
    table = Parameter(np.ones((4, 2), dtype=np.float32))
    average = Average([table], 0.9)
    table.rows = RowGrad(np.array([1]), np.ones((1, 2), dtype=np.float32))
    average.before_step()
    assert average.weights()["0"].dtype == np.float32


@pytest.mark.parametrize("decay", [0.0, 1.0, -0.1, float("nan")])
def test_decay_out_of_range(decay: float) -> None:
    with pytest.raises(ValueError, match="decay"):
        Average([Parameter(np.ones(2))], decay)


def test_state_of_other_parameters_is_refused() -> None:
    average = Average([Parameter(np.ones(2))], 0.9)
    with pytest.raises(ValueError, match="missing"):
        average.load_state_dict({"step": np.array(1)})


@pytest.mark.parametrize("kind", [SGD, Adam, AdamW])
def test_a_step_that_averages_and_clips_equals_the_three_apart(kind, backend_isa) -> None:
    results = []
    for together in (True, False):
        rng = np.random.default_rng(5)
        dense, table = pair(rng)
        scalar = Parameter(np.array(2.0))
        optimizer = kind([dense, table, scalar], lr=0.1, weight_decay=0.01)
        average = Average([dense, table, scalar], 0.9)
        for step in range(6):
            gradients(rng, dense, table)
            scalar.grad[...] = step
            if step == 4:  # dense, after steps of rows
                table.rows = None
                table.grad[...] = 1.0
            if together:
                _, factor = clip_factor([dense, table, scalar], 0.5)
                optimizer.step(scale=factor, average=average)
            else:
                clip_grad_norm_([dense, table, scalar], 0.5)
                average.before_step()
                optimizer.step()
            for parameter in (dense, table, scalar):
                parameter.zero_grad()
        results.append([dense.data, table.data, scalar.data, *average.weights().values()])
        assert average.steps == 6
    for a, b in zip(*results, strict=True):
        np.testing.assert_allclose(a, b, rtol=1e-13, atol=1e-15)


@pytest.mark.parametrize("shape", [(10, 3), (50,), (1, 40), ()], ids=str)
def test_blocks_of_rows_change_no_bit(
    shape: tuple[int, ...], monkeypatch: pytest.MonkeyPatch
) -> None:
    def trained(block: int) -> list[np.ndarray]:
        monkeypatch.setattr(of_parameters, "BLOCK", block)
        rng = np.random.default_rng(0)
        parameter = Parameter(rng.standard_normal(shape).astype(np.float32))
        optimizer = SGD([parameter], lr=0.1, momentum=0.9, weight_decay=0.01)
        taken, before = Average([parameter], 0.9), Average([parameter], 0.9)
        for _ in range(3):
            parameter.grad[...] = rng.standard_normal(shape)
            before.before_step()
            optimizer.step(scale=0.5, average=taken)
        return [parameter.data, taken.weights()["0"], before.weights()["0"]]

    blocks, whole = trained(7), trained(1 << 62)
    for a, b in zip(blocks, whole, strict=True):
        np.testing.assert_array_equal(a, b)
    np.testing.assert_array_equal(blocks[1], blocks[2])
