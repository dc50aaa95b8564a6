"""The kernels without Python, against the reference: here, under sanitizers, and on ARM by qemu.

`make neon` sets FASTLSTM_REQUIRE_NEON=1, so that a missing cross compiler or emulator is a failure
there and a skip elsewhere.
"""

from __future__ import annotations

import os
import platform
import shutil
from collections.abc import Iterable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

ON_ARM = platform.machine() in ("aarch64", "arm64")
NATIVE_ISA = "neon" if ON_ARM else "base"

ROOT = Path(__file__).parents[2]
if not (ROOT / "setup.py").exists():
    pytest.skip("needs the C sources, not only the installed package", allow_module_level=True)

from cases import TOLERANCE  # noqa: E402
from harness import Arrays, Case, Program, build, pick_rows, run_case, run_op  # noqa: E402

from fastlstm.kernels import CELLS, reference  # noqa: E402
from fastlstm.kernels.adam import AdamStep, WeightSum  # noqa: E402

CROSS = "aarch64-linux-gnu-gcc"

# Name -> compiler, program that runs what it makes, flags.
ADDRESS = ["-g1", "-O1", "-fsanitize=address,undefined", "-fno-sanitize-recover=all"]
TOOLCHAINS: dict[str, tuple[str, tuple[str, ...], list[str]]] = {
    "native": ("cc", (), []),
    "address": ("cc", (), ADDRESS),
    "thread": ("cc", (), ["-g1", "-O1", "-fsanitize=thread"]),
    "neon": ("cc", (), []) if ON_ARM else (CROSS, ("qemu-aarch64",), ["-static"]),
    # Tile registers in plain C: what reads and writes them is tested where no processor has them.
    "emulated": ("cc", (), ["-O1", "-DFL_EMULATED"]),
}
EMULATED = ("avx512", "amx")  # the first is what the second stands on

RAGGED = (5, 0, 7, 7, 1, 3, 2, 6, 4)
CASES = {
    "one": Case(1, 1, 1, 1),
    "two_steps": Case(2, 1, 3, 7),
    "below_vector": Case(3, 2, 7, 3),
    "vector": Case(5, 8, 16, 16),
    "odd": Case(5, 7, 9, 17),
    "above_tiles": Case(4, 33, 31, 33),
    "wide": Case(3, 15, 64, 64),
    "deep": Case(2, 19, 600, 40),
    "no_bias": Case(4, 5, 8, 15, bias=False),
    "ragged": Case(7, 9, 5, 9, lengths=RAGGED),
    "ragged_reverse": Case(7, 9, 5, 9, lengths=RAGGED, reverse=True),
    "all_empty": Case(2, 3, 4, 5, lengths=(0, 0, 0)),
    "reverse": Case(6, 3, 4, 8, reverse=True),
    "batch_first": Case(6, 7, 5, 12, lengths=(6, 1, 4, 4, 0, 2, 5), batch_first=True),
    "accumulate": Case(7, 9, 5, 9, lengths=RAGGED, accumulate=True),
    "tokens": Case(7, 9, 6, 17, lengths=RAGGED, distinct=11),
    "tokens_reverse": Case(7, 9, 6, 17, lengths=RAGGED, distinct=4, reverse=True),
    "tokens_accumulate": Case(6, 8, 16, 16, distinct=50, accumulate=True, batch_first=True),
    "reset": Case(7, 9, 5, 9, lengths=RAGGED, reset=True),
    "reset_reverse": Case(7, 9, 5, 17, lengths=RAGGED, reverse=True, reset=True),
    "reset_batch_first": Case(5, 4, 5, 8, reset=True, batch_first=True, distinct=3),
    "recompute": Case(7, 9, 5, 9, lengths=RAGGED, recompute=3),
    "recompute_all": Case(7, 9, 6, 17, lengths=RAGGED, recompute=2, reset=True, distinct=11),
    "packed": Case(5, 7, 9, 17, packed=True),
    "only_dy": Case(4, 3, 5, 8, dstate=False),
    "only_dstate": Case(4, 3, 5, 8, dy=False),
}
# All cells in what they do not share with an LSTM: gates, states, biases, recomputing, threads.
for cell in list(CELLS)[1:]:
    CASES |= {
        f"{cell}": Case(5, 7, 9, 17, cell=cell),
        f"{cell}_few": Case(3, 2, 7, 33, cell=cell, packed=True),
        f"{cell}_no_bias": Case(4, 5, 8, 15, cell=cell, bias=False),
        f"{cell}_ragged": Case(7, 9, 5, 9, cell=cell, lengths=RAGGED, reset=True, recompute=3),
        f"{cell}_tokens": Case(7, 9, 6, 16, cell=cell, lengths=RAGGED, distinct=9, reverse=True),
    }
CASES |= {
    "proj": Case(5, 7, 9, 17, proj=6),
    "proj_wide": Case(4, 33, 31, 64, proj=33, bias=False, packed=True),
    "proj_ragged": Case(7, 9, 5, 9, proj=8, lengths=RAGGED, reset=True, recompute=3),
    "proj_tokens": Case(7, 9, 6, 16, proj=1, lengths=RAGGED, distinct=9, reverse=True),
}
# Rows that are worked on before the last step is, and more of them than one sum adds up.
CASES |= {
    "ripe": Case(9, 70, 16, 96, lengths=(9, 0, 8, 9, 5, 9, 9) * 10),
    "ripe_reverse": Case(9, 70, 5, 96, reverse=True, batch_first=True, reset=True),
    "ripe_tokens": Case(9, 70, 16, 96, distinct=11, accumulate=True),
    "ripe_recompute": Case(9, 70, 16, 96, recompute=4, lengths=(9, 0, 8, 9, 5, 9, 9) * 10),
    "ripe_proj": Case(5, 150, 16, 64, proj=20),
    "ripe_gru": Case(9, 70, 16, 120, cell="gru", distinct=9),
    "ripe_gru_reset_before": Case(9, 70, 16, 120, cell="gru_reset_before", recompute=5),
    "ripe_rnn": Case(9, 70, 16, 260, cell="rnn_relu"),
    "long": Case(10, 3500, 2, 3),
    "long_tokens": Case(10, 3500, 2, 3, distinct=2, recompute=3),
    "long_gru": Case(10, 3500, 2, 3, cell="gru", recompute=3, reset=True),
}
# Large enough for the kernels to share them out: by rows, by units, by distinct tokens, in pieces.
SHORTER = (12, 0, 7) * 22
FEW = (4, 4, 3, 4, 2, 4, 4, 0, 4)
FOR_TEAMS = {
    "rows": Case(12, 66, 64, 128, lengths=SHORTER),
    "rows_reverse": Case(12, 66, 64, 128, lengths=SHORTER, reverse=True),
    "units": Case(4, 9, 16, 384, lengths=FEW),
    "tokens": Case(9, 60, 48, 80, distinct=40),
    "gru": Case(12, 66, 64, 128, cell="gru", lengths=SHORTER, reset=True, recompute=3),
    "gru_units": Case(4, 9, 16, 440, cell="gru", lengths=FEW),
    "gru_reset_before": Case(12, 66, 64, 128, cell="gru_reset_before", lengths=SHORTER),
    "rnn_tanh": Case(8, 99, 64, 160, cell="rnn_tanh", distinct=50, recompute=5),
    "rnn_relu_units": Case(6, 9, 16, 512, cell="rnn_relu"),
    "proj": Case(12, 66, 64, 96, proj=48, lengths=SHORTER, recompute=3),
    "ripe": Case(9, 70, 16, 96, lengths=(9, 0, 8, 9, 5, 9, 9) * 10),
    "ripe_tokens": Case(9, 70, 16, 96, distinct=11, recompute=4),
    "ripe_gru": Case(9, 70, 16, 120, cell="gru", recompute=4),
    "long_tokens": Case(10, 3500, 2, 3, distinct=2, recompute=3),
    "one_step": Case(1, 1, 128, 128, repeat=50),
    "one_step_rows": Case(1, 9, 40, 200, repeat=20),
    "gru_one_step": Case(1, 2, 96, 200, cell="gru", repeat=50),
    "rnn_one_step": Case(1, 4, 128, 136, cell="rnn_tanh", packed=True, repeat=50),
}


def missing(toolchain: str) -> str | None:
    """What `toolchain` needs and this machine does not have."""
    compiler, runner, _ = TOOLCHAINS[toolchain]
    return next((tool for tool in (compiler, *runner) if not shutil.which(tool)), None)


@pytest.fixture(
    scope="session", params=["native", "neon", pytest.param("address", marks=pytest.mark.slow)]
)
def program(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Program:
    """The harness of one toolchain."""
    return harness_of(request.param, tmp_path_factory)


@pytest.fixture(
    scope="session",
    params=["native", "neon"]
    + [pytest.param(name, marks=pytest.mark.slow) for name in ("address", "thread")],
)
def team_program(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> Program:
    """The same for calls that several threads share: only they can show a race."""
    return harness_of(request.param, tmp_path_factory)


@pytest.fixture(
    scope="session",
    params=["native", "neon", "emulated", pytest.param("address", marks=pytest.mark.slow)],
)
def rounding_program(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> Program:
    """The same for products in lower precision."""
    program = harness_of(request.param, tmp_path_factory)
    if request.param == "emulated" and "amx" not in program.levels:
        pytest.skip("the emulated tiles need a processor with AVX-512")
    return program


def harness_of(name: str, tmp_path_factory: pytest.TempPathFactory) -> Program:
    """The harness of a toolchain, compiled once for all processes that share these tests."""
    if tool := missing(name):
        message = f"{name}: {tool} is not installed (make neon needs gcc for aarch64 and qemu-user)"
        if name == "neon" and os.environ.get("FASTLSTM_REQUIRE_NEON") == "1":
            pytest.fail(message)
        pytest.skip(message)
    compiler, runner, flags = TOOLCHAINS[name]
    only = EMULATED if name == "emulated" else ()
    folder = tmp_path_factory.getbasetemp()
    if "PYTEST_XDIST_WORKER" in os.environ:
        folder = folder.parent  # of all processes that share these tests
    return build([compiler], folder / f"harness-{name}", flags, runner, only)


def in_turn(program: Program, name: str, cases: Iterable[str]) -> list[str]:
    """The instruction sets to divide one of `cases` under: all, where that costs little.

    They divide by the same lines. Under a sanitizer a case has one of them, in such an order that
    of three cases in a row, and of each third case, each has another.
    """
    if not program.sanitized:
        return program.isas
    number = [*cases].index(name)
    return [program.isas[(number + number // 3) % len(program.isas)]]


def draw(case: Case, dtype: str) -> tuple[Case, Arrays]:
    """The case in another precision, and its inputs."""
    case = replace(case, dtype=dtype)
    return case, case.draw()


def assert_close(actual: Arrays, expected: Arrays, dtype: str, isa: str) -> None:
    for name, right in expected.items():
        kind = "gradient" if name.startswith("d") else "output"
        tolerance = TOLERANCE[kind, np.dtype(dtype)]
        error = np.abs(actual[name] - right).max() / max(1.0, np.abs(right).max())
        assert error <= tolerance, f"{isa}: {name} is off by {error:.2e} of its scale"


def assert_same(actual: Arrays, expected: Arrays, names: Iterable[str], what: str) -> None:
    for name in names:
        assert np.array_equal(actual[name], expected[name]), f"{what}: {name} differs"


def test_holds_the_instruction_sets_it_should(program: Program) -> None:
    assert ("neon" if program.runner else NATIVE_ISA) in program.isas
    if program.runner:  # the emulator has them
        assert program.levels == ["neon", "neondotprod", "neonbf16"]


@pytest.mark.parametrize("dtype", ["f32", "f64", "bf16", "int8"])
def test_base_on_arm_is_neon(dtype: str) -> None:
    """All of either is compiled from the same lines for the same target, so one is tested."""
    base, neon = (
        (ROOT / "fastlstm/kernels/native/src" / f"isa_{isa}_{dtype}.c").read_text().splitlines()[1:]
        for isa in ("base", "neon")
    )
    assert base == [line.replace("neon", "base") for line in neon]


# A number that two ways of the same maths round to neighbours moves what comes after it: a little.
NEAR = {"bfloat16": 0.02, "int8": 0.03}


@pytest.mark.parametrize("precision", NEAR)
@pytest.mark.parametrize("name", [name for name in CASES if not name.startswith(("long", "ripe"))])
def test_lower_precision_against_reference(
    rounding_program: Program, name: str, precision: str, tmp_path: Path
) -> None:
    case = replace(CASES[name], precision=precision)
    inputs = case.draw()
    expected = case.expected(inputs)
    for isa in rounding_program.levels:
        actual = run_case(rounding_program, isa, case, inputs, tmp_path)
        for key, value in expected.items():
            scale = max(1, float(np.abs(value).max(initial=0)))
            error = float(np.abs(actual[key] - value).max(initial=0)) / scale
            assert error <= NEAR[precision], f"{isa}: {key} off by {error:.1e} of its scale"


@pytest.mark.parametrize("precision", NEAR)
@pytest.mark.parametrize("name", ["odd", "deep", "ragged", "tokens", "proj", "gru", "rnn_relu"])
def test_lower_precision_of_each_row(
    rounding_program: Program, name: str, precision: str, tmp_path: Path
) -> None:
    """Alone or in a batch, on one thread or two, a row gives the same bits."""
    case = replace(CASES[name], precision=precision, threads=2)
    inputs = case.draw()
    for isa in rounding_program.levels:
        whole = run_case(rounding_program, isa, case, inputs, tmp_path)
        for n in range(0, case.N, 3):
            alone, its = pick_rows(replace(case, threads=1), inputs, [n])
            row = run_case(rounding_program, isa, alone, its, tmp_path)
            np.testing.assert_array_equal(row["y"][:, 0], whole["y"][:, n], err_msg=isa)


@pytest.mark.parametrize("name", ["odd", "deep", "ragged", "tokens", "proj", "gru", "rnn_relu"])
def test_int8_is_equal_where_products_alone_differ(
    rounding_program: Program, name: str, tmp_path: Path
) -> None:
    """Sums of integers are exact: of sets with the same vectors all bits are equal."""
    case = replace(CASES[name], precision="int8")
    inputs = case.draw()
    families = [isa for isa in ("avx2", "avx512", "neon") if isa in rounding_program.levels]
    assert families
    relatives = {"avx2": ("avxvnni",), "avx512": ("avx512vnni", "amx"), "neon": ("neondotprod",)}
    for family in families:
        expected = run_case(rounding_program, family, case, inputs, tmp_path)
        for isa in relatives[family]:
            if isa in rounding_program.levels:
                actual = run_case(rounding_program, isa, case, inputs, tmp_path)
                assert_same(actual, expected, expected, f"{isa} and {family}")


@pytest.mark.parametrize("precision", NEAR)
@pytest.mark.parametrize(
    "name",
    ["odd", "deep", "above_tiles", "ragged", "proj_wide", "ripe", "ripe_gru", "tokens"],
)
def test_emulated_tiles_are_the_processors(
    name: str, precision: str, tmp_path: Path, tmp_path_factory: pytest.TempPathFactory
) -> None:
    """To the bit, where a processor has them."""
    native, emulated = (harness_of(of, tmp_path_factory) for of in ("native", "emulated"))
    if "amx" not in native.levels:
        pytest.skip("no tile registers in this processor, or none for this process")
    case = replace(CASES[name], precision=precision, threads=2)
    inputs = case.draw()
    of_processor = run_case(native, "amx", case, inputs, tmp_path)
    of_c = run_case(emulated, "amx", case, inputs, tmp_path)
    assert_same(of_c, of_processor, of_processor, "emulated")


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("name", CASES)
def test_against_reference(program: Program, name: str, dtype: str, tmp_path: Path) -> None:
    case, inputs = draw(CASES[name], dtype)
    expected = case.expected(inputs)
    for isa in program.isas:
        assert_close(run_case(program, isa, case, inputs, tmp_path), expected, dtype, isa)


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize(
    "name",
    ["odd", "ragged", "ragged_reverse", "above_tiles", "tokens", "proj_ragged"]
    + [f"{cell}_ragged" for cell in list(CELLS)[1:]],
)
def test_row_does_not_depend_on_its_neighbours(
    program: Program, name: str, dtype: str, tmp_path: Path
) -> None:
    case, inputs = draw(CASES[name], dtype)
    picks = [[n] for n in range(0, case.N, 2)] + [list(range(case.N))[::-1], [0, case.N - 1]]
    for isa in program.isas:
        whole = run_case(program, isa, case, inputs, tmp_path)
        for picked in picks:
            part = run_case(program, isa, *pick_rows(case, inputs, picked), tmp_path)
            for row in [*case.state_names("{}_n"), *case.state_names("d{}0")]:
                assert np.array_equal(part[row], whole[row][picked]), f"{isa}: {row} of {picked}"
            for steps in ("y", "dx"):
                if steps == "y" or not case.distinct:
                    assert np.array_equal(part[steps], whole[steps][:, picked]), f"{isa}: {steps}"


@pytest.mark.parametrize("name", FOR_TEAMS)
def test_threads_do_not_change_a_bit(team_program: Program, name: str, tmp_path: Path) -> None:
    case, inputs = draw(FOR_TEAMS[name], "float32")
    expected = case.expected(inputs)
    for isa in in_turn(team_program, name, FOR_TEAMS):
        alone = run_case(team_program, isa, case, inputs, tmp_path)
        assert_close(alone, expected, "float32", isa)
        for threads, hasty in ((2, False), (3, True), (8, False), (8, True)):
            shared = replace(case, threads=threads, hasty=hasty)
            team = run_case(team_program, isa, shared, inputs, tmp_path)
            assert_same(team, alone, alone, f"{isa}, {threads} threads")


def test_chunks_equal_the_whole(program: Program, tmp_path: Path) -> None:
    case, inputs = draw(CASES["odd"], "float32")
    for isa in program.isas:
        whole = run_case(program, isa, case, inputs, tmp_path)
        state = {"h0": inputs["h0"], "c0": inputs["c0"]}
        for start, stop in ((0, 1), (1, 4), (4, 5)):
            cut = {name: inputs[name][start:stop] for name in ("x", "dy", "dx")}
            piece = replace(case, T=stop - start)
            part = run_case(program, isa, piece, {**inputs, **cut, **state}, tmp_path)
            assert np.array_equal(part["y"], whole["y"][start:stop]), f"{isa}: steps {start}.."
            state = {"h0": part["h_n"], "c0": part["c_n"]}
        assert np.array_equal(state["c0"], whole["c_n"]), isa


def test_tokens_equal_their_dense_input(program: Program, tmp_path: Path) -> None:
    case, inputs = draw(CASES["tokens"], "float32")
    table, ids = inputs["x"], inputs["ids"]
    dense = {name: a for name, a in inputs.items() if name != "ids"}
    dense |= {"x": table[ids], "dx": np.zeros_like(table[ids])}
    for isa in program.isas:
        picked = run_case(program, isa, case, inputs, tmp_path)
        plain = run_case(program, isa, replace(case, distinct=0), dense, tmp_path)
        assert_same(picked, plain, ("y", "h_n", "c_n"), isa)


@pytest.mark.parametrize(
    "name",
    ["recompute_all", "gru_ragged", "rnn_relu_ragged", "proj_ragged", "ripe_recompute", "ripe_proj"]
    + ["long_tokens", "long_gru"],
)
def test_recomputing_changes_no_bit(program: Program, name: str, tmp_path: Path) -> None:
    case, inputs = draw(CASES[name], "float32")
    for isa in program.isas:
        plain = run_case(program, isa, replace(case, recompute=0), inputs, tmp_path)
        for every in (1, 2, case.T, 2 * case.T):
            again = run_case(program, isa, replace(case, recompute=every), inputs, tmp_path)
            assert_same(again, plain, plain, f"{isa}, every {every} steps")


@pytest.mark.parametrize("op", ["exp", "sigmoid", "tanh"])
@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_activation_accuracy(program: Program, op: str, dtype: str, tmp_path: Path) -> None:
    x = np.linspace(-43, 43, 40_000).astype(dtype)
    x = np.concatenate([x, np.geomspace(1e-30, 1, 5_000).astype(dtype)])
    exact = np.longdouble(x)
    right = {"exp": np.exp(exact), "sigmoid": 1 / (1 + np.exp(-exact)), "tanh": np.tanh(exact)}[op]
    for isa in program.isas:
        (y,) = run_op(program, isa, op, [x], [x], tmp_path, N=x.size)
        error = float(np.abs(y / right - 1).max())
        assert error <= TOLERANCE["activation", x.dtype], f"{isa}: {op} is off by {error:.2e}"


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("threads", [1, 3])
def test_pool_against_reference(
    team_program: Program, dtype: str, threads: int, tmp_path: Path
) -> None:
    rng = np.random.default_rng(7)
    y = np.round(rng.standard_normal((7, 9, 21)), 1).astype(dtype)  # with equal values
    dmean, dmax = rng.standard_normal((2, 9, 21)).astype(dtype)
    lengths = np.array(RAGGED)
    pooled = reference.pool(y, lengths, mean=True, max=True)
    dy = y.copy()
    reference.pool_backward(dy, lengths, dmean, dmax, pooled[2])
    names, expected = ("mean", "max", "step", "dy"), [*pooled, dy]
    for isa in team_program.isas:
        got = run_op(
            team_program, isa, "pool", [lengths, y, dmean, dmax], expected, tmp_path,
            T=7, N=9, I=21, threads=threads,
        )  # fmt: skip
        assert_close(
            dict(zip(names, got, strict=True)), dict(zip(names, expected, strict=True)), dtype, isa
        )
        assert np.array_equal(got[2], expected[2]), isa


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("distinct", [0, 30])
def test_adam_against_reference(
    program: Program, dtype: str, distinct: int, tmp_path: Path
) -> None:
    rng = np.random.default_rng(8)
    index = rng.permutation(30)[:11] if distinct else None
    p, m, v = rng.standard_normal((3, distinct or 11, 21)).astype(dtype)
    v, g = abs(v), rng.standard_normal((11, 21)).astype(dtype)
    factors = {"rate": 0.1, "root": 1.5, "eps": 1e-3, "beta1": 0.9, "beta2": 0.99}
    factors |= {"shrink": 0.98, "decay": 0.01, "scale": 0.7}
    terms = rng.random((2, 11 if distinct else 1)).astype(dtype)  # of each row, or of all
    total = WeightSum(p + 1, *terms)
    arrays = [p, m, v, g, np.array([*factors.values()]), total.sum]
    arrays += [np.resize(term, 11) for term in terms]
    if index is not None:
        arrays.insert(0, index)
    got = {}
    for isa in program.isas:
        got[isa] = run_op(
            program, isa, "adam", arrays, [p] * 4, tmp_path, N=11, I=21, distinct=distinct
        )
    reference.adam(AdamStep(p, m, v, g, index, **factors, total=total))
    expected = {"p": p, "m": m, "v": v, "sum": total.sum}
    for isa, results in got.items():
        assert_close(dict(zip(expected, results, strict=True)), expected, dtype, isa)


def test_nan_and_infinity_stay_in_their_row(program: Program, tmp_path: Path) -> None:
    case, inputs = draw(CASES["odd"], "float32")
    spoilt = {name: a.copy() for name, a in inputs.items()}
    spoilt["x"][2, 3], spoilt["x"][1, 5] = np.nan, np.inf
    others = [n for n in range(case.N) if n not in (3, 5)]
    for isa in program.isas:
        clean = run_case(program, isa, case, inputs, tmp_path)
        dirty = run_case(program, isa, case, spoilt, tmp_path)
        assert np.array_equal(dirty["y"][:, others], clean["y"][:, others]), isa
        assert np.isnan(dirty["y"][2:, 3]).all(), isa


def test_denormals_become_zero(program: Program, tmp_path: Path) -> None:
    """A tiny state under an open output gate would be denormal; flushed, it is exactly zero."""
    case, inputs = draw(Case(1, 1, 4, 8, bias=False), "float32")
    inputs = {name: np.zeros_like(a) for name, a in inputs.items()}
    inputs["c0"][...] = np.finfo("float32").tiny
    for isa in program.isas:
        assert not run_case(program, isa, case, inputs, tmp_path)["c_n"].any(), isa
