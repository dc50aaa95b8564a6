"""Chains of stages: what they compute, and that nobody sees how it is cut."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from cases import F32, F64, TOLERANCE, Array
from chains import NAMED, as_dtype, basis, named, random_chain, random_state, signal
from together import at_once

from fastlstm import kernels
from fastlstm.kernels.chain import ChainSpec, Convolution, Map, read_chain
from fastlstm.kernels.parts import cut

DTYPES = ["float32", "float64"]


def chain(backend_isa: str, spec: ChainSpec, rows: int) -> Any:
    return kernels.backend(backend_isa.partition("-")[0]).chain(spec, rows)


def assert_close(actual: Array, expected: Array) -> None:
    """Equal up to rounding, relative to the largest value."""
    assert actual.shape == expected.shape
    scale = max(float(np.abs(expected).max(initial=0)), 1e-30)
    error = float(np.abs(actual - expected).max(initial=0)) / scale
    assert error <= TOLERANCE["output", F64 if actual.dtype == F64 else F32]


def assert_as_defined(backend_isa: str, spec: ChainSpec, rows: int, frames: int) -> None:
    """Outputs and state after some frames are those of the definition in float64."""
    run = chain(backend_isa, spec, rows)
    oracle = kernels.backend("reference").chain(as_dtype(spec, "float64"), rows)
    x = signal(spec, rows, frames)
    run.state = start = random_state(spec, rows)
    oracle.state = tuple(part.astype("float64") for part in start)
    y, expected = run(x), oracle(x.astype("float64"))
    assert y.dtype == spec.dtype
    assert_close(y, expected)
    for part, other in zip(run.state, oracle.state, strict=True):
        assert_close(part, other)


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("name", NAMED)
def test_chains_are_as_defined(backend_isa: str, name: str, dtype: str) -> None:
    for rows, frames in ((1, 1), (3, 2)):
        assert_as_defined(backend_isa, named(name, dtype), rows, frames)


@pytest.mark.parametrize("seed", range(24))
def test_random_chains_are_as_defined(backend_isa: str, seed: int) -> None:
    spec = random_chain(seed, DTYPES[seed % 2])
    assert_as_defined(backend_isa, spec, 1 + seed % 3, 1 + seed % 4)


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("name", NAMED)
def test_blocks_of_frames_equal_the_whole(backend_isa: str, name: str, dtype: str) -> None:
    spec, rows, frames = named(name, dtype), 2, 7
    x = signal(spec, rows, frames)
    run = chain(backend_isa, spec, rows)
    whole, state = run(x), run.state
    for sizes in ([1] * frames, [2, 4, 1], [3, 3, 1]):
        run = chain(backend_isa, spec, rows)
        parts = np.split(x, np.cumsum(sizes)[:-1] * spec.frame, axis=1)
        made = [run(part) for part in parts]
        np.testing.assert_array_equal(np.concatenate(made, axis=1), whole)
        for a, b in zip(run.state, state, strict=True):
            np.testing.assert_array_equal(a, b)


@pytest.mark.parametrize(
    "name", ["detector", "causal", "wide", "cells", "reflection", "many zeros"]
)
def test_a_row_does_not_depend_on_others(backend_isa: str, name: str) -> None:
    spec = named(name, "float32")
    most = 9 if backend_isa in ("reference", "numba") else 70
    x, start = signal(spec, most, 2), random_state(spec, most)
    alone = []
    for n in range(most):
        run = chain(backend_isa, spec, 1)
        run.state = tuple(part[:, n : n + 1] for part in start)
        alone.append(run(x[n : n + 1])[0])
    for rows in (2, 3, 5, 8, 33, 64, 70):
        run = chain(backend_isa, spec, min(rows, most))
        run.state = tuple(part[:, : min(rows, most)] for part in start)
        made = run(x[: min(rows, most)])
        np.testing.assert_array_equal(made, alone[: len(made)])


def test_threads_change_no_bit_of_a_chain(isa: str) -> None:
    """Of enough rows for three threads."""
    spec = as_dtype(ChainSpec((*NAMED["wide"][0], *NAMED["wide"][0]), 2, 70), "float32")
    x = signal(spec, 70, 2)
    made = [chain("native", spec, 70)(x, threads) for threads in (1, 2, 3, 70, 1024)]
    for y in made[1:]:
        np.testing.assert_array_equal(y, made[0])


def test_no_number_stays_in_its_row(backend_isa: str) -> None:
    spec = named("detector", "float32")
    x = signal(spec, 4, 3)
    expected = chain(backend_isa, spec, 4)(x)
    x[1, 40], x[2, 50] = np.nan, np.inf
    y = chain(backend_isa, spec, 4)(x)
    np.testing.assert_array_equal(y[[0, 3]], expected[[0, 3]])
    assert np.isnan(y[1, 1:]).all()


@pytest.mark.parametrize("bad", [np.nan, np.inf])
def test_weights_that_are_no_numbers_meet_zeros_too(backend_isa: str, bad: float) -> None:
    """Where nothing is left out although it is 0: alone a row gives what it gives among others."""
    first, relu, *rest = NAMED["many zeros"][0]
    assert isinstance(rest[-1], Convolution)
    weight = rest[-1].weight.copy()
    weight[3, 7] = bad
    stages = (first, relu, *rest[:-1], rest[-1]._replace(weight=weight))
    spec = as_dtype(ChainSpec(stages, 1, 2), "float32")
    x = signal(spec, 4, 3)
    y = chain(backend_isa, spec, 4)(x)
    assert not np.isfinite(y[..., 3]).all()
    for n in range(4):
        np.testing.assert_array_equal(chain(backend_isa, spec, 1)(x[n]), y[n])


def test_states_go_out_and_in(backend_isa: str) -> None:
    spec = named("detector", "float32")
    run, x = chain(backend_isa, spec, 3), signal(spec, 3, 4)
    first, kept = run(x[:, :64]), run.state
    second = run(x[:, 64:])
    run.state = kept
    for part in kept:
        part[...] = 9  # a copy
    np.testing.assert_array_equal(run(x[:, 64:]), second)
    run.state = tuple(np.zeros_like(part) for part in kept)
    np.testing.assert_array_equal(run(x[:, :64]), first)


def test_input_of_any_layout(backend_isa: str) -> None:
    spec = named("causal with a stride", "float32")
    x = signal(spec, 3, 2)
    expected = chain(backend_isa, spec, 3)(x)
    apart = np.zeros((3, 24, 2), "float32")
    apart[:, ::2] = x
    readonly = x.copy()
    readonly.flags.writeable = False
    for given in (apart[:, ::2], np.asfortranarray(x), x[::-1].copy()[::-1], readonly):
        np.testing.assert_array_equal(chain(backend_isa, spec, 3)(given), expected)


def test_axes_may_be_left_out(backend_isa: str) -> None:
    spec = named("detector", "float32")
    x = signal(spec, 1, 2)
    y = chain(backend_isa, spec, 1)(x)
    assert y.shape == (1, 2, 1)
    np.testing.assert_array_equal(chain(backend_isa, spec, 1)(x[..., 0]), y)
    np.testing.assert_array_equal(chain(backend_isa, spec, 1)(x[0, :, 0]), y[0])
    spec = named("causal", "float32")
    x = signal(spec, 1, 2)
    np.testing.assert_array_equal(
        chain(backend_isa, spec, 1)(x[0]), chain(backend_isa, spec, 1)(x)[0]
    )


def test_a_long_signal_in_blocks(isa: str) -> None:
    """More frames than a block of the kernel holds, of more rows."""
    spec = named("detector", "float32")
    x = signal(spec, 67, 70)
    y = chain("native", spec, 67)(x, 2)
    run = chain("native", spec, 67)
    np.testing.assert_array_equal(
        np.concatenate([run(x[:, t : t + 32]) for t in range(0, x.shape[1], 32)], axis=1), y
    )


def test_a_basis_is_folded_if_it_is_exact() -> None:
    """Half of the numbers are multiplied; one bit elsewhere and all are."""
    spec = as_dtype(ChainSpec((basis(16, 9), Map("magnitude")), 32, 1), "float32")
    parts = cut(read_chain(spec, 1)[0], True).parts
    assert [part.weight.shape for part in parts] == [(9, 8), (9, 7)]
    assert [part.fold for part in parts] == [1, -1]
    assert not cut(read_chain(spec, 1)[0], False).parts[0].fold
    conv = spec.stages[0]
    assert isinstance(conv, Convolution)
    weight = conv.weight.copy()
    weight[2, 0, 3] = np.nextafter(weight[2, 0, 3], np.float32(9))
    other = spec._replace(stages=(conv._replace(weight=weight), Map("magnitude")))
    assert not cut(read_chain(other, 1)[0], True).parts[0].fold
    weight = conv.weight.copy()
    weight[:9, 0, 0] = 0.5  # what the window's zero left out
    other = spec._replace(stages=(conv._replace(weight=weight), Map("magnitude")))
    assert [p.weight.shape for p in cut(read_chain(other, 1)[0], True).parts] == [(9, 9), (9, 7)]


def test_a_folded_basis_with_a_window_that_does_not_begin_at_zero(backend_isa: str) -> None:
    conv = basis(16, 9)
    assert isinstance(conv, Convolution)
    weight = conv.weight.copy()
    weight[:9, 0, 0] = 0.5
    stages = (conv._replace(weight=weight, bias=np.arange(18.0)), Map("magnitude"))
    assert_as_defined(backend_isa, as_dtype(ChainSpec(stages, 32, 1), "float32"), 2, 2)


def test_taps_that_meet_padding_alone_are_left_out() -> None:
    """Of one position two of three taps, of four positions two of twelve."""
    for frame, stride, shapes in (
        (1, 1, [(8, 5)]),
        (2, 2, [(8, 10)]),
        (4, 1, [(8, 5), (8, 5), (8, 5)]),
    ):
        conv = Convolution(np.ones((8, 5, 3), "float32"), None, stride, padding=(1, 1))
        made = cut(read_chain(ChainSpec((conv,), frame, 5), 1)[0], False)
        assert (made.left, made.right) == (0, 0)
        assert [part.weight.shape for part in made.parts] == shapes
    conv = Convolution(np.ones((8, 5, 3), "float32"), padding=(1, 1))
    made = cut(read_chain(ChainSpec((conv,), 100, 5), 1)[0], False)
    assert (made.left, made.right, len(made.parts)) == (1, 1, 1)


def test_a_chain_serves_one_caller_at_a_time(native: Any) -> None:
    spec = named("wide", "float32")
    run, x = native.chain(spec, 64), signal(spec, 64, 8)
    made, refused = [], []

    def call(_: int) -> None:
        for _ in range(10):
            try:
                made.append(run(x))
                run.state = run.state
            except RuntimeError as error:
                refused.append(str(error))

    at_once(4, call)
    assert made
    assert all("serves one caller" in message for message in refused)
    for y in made[1:]:
        np.testing.assert_array_equal(y, made[0])
