"""shapes.toml is well-formed, and holds what the benchmarks promise to measure."""

from __future__ import annotations

from pathlib import Path

import pytest

from benchmarks import shapes
from benchmarks.problem import draw, real_steps
from benchmarks.shapes import Case
from fastlstm import nn

CASES = dict(shapes.load())
# DeepBench's LSTMs, as in its rnn_problems.h: hidden size (also the input size), steps, batches.
DEEPBENCH_TRAINING = {
    (512, 25): (16, 32, 64, 128),
    (1024, 25): (16, 32, 64, 128),
    (2048, 25): (16, 32, 64, 128),
    (4096, 25): (16, 32, 64, 128),
    (1536, 50): (8, 16, 32),
    (256, 150): (16, 32, 64),
}
DEEPBENCH_INFERENCE = ((512, 25), (1024, 25), (2048, 25), (1536, 50), (256, 150))


def test_every_group_and_mode_has_cases() -> None:
    assert {group for groups in CASES.values() for group in groups} == set(shapes.GROUPS)
    assert {case.mode for case in CASES} == {*shapes.LAYER_MODES, *shapes.OPS}


def test_names_are_unique() -> None:
    names = [str(case) for case in CASES]
    assert len(set(names)) == len(names)


def test_quick_is_part_of_standard() -> None:
    assert set(shapes.select(["quick"])) < set(shapes.select(["standard"]))


def test_deepbench_is_complete() -> None:
    for (H, T), batches in DEEPBENCH_TRAINING.items():
        for B in batches:
            assert Case("train", B, T, H, H) in CASES
    for H, T in DEEPBENCH_INFERENCE:
        for B in (1, 2, 4):
            assert Case("infer", B, T, H, H) in CASES


@pytest.mark.parametrize("B", [1, 8, 32, 64, 256])
@pytest.mark.parametrize("mode", ["infer", "train"])
def test_standard_has_the_shapes_of_the_design(mode: str, B: int) -> None:
    for I, H in ((100, 128), (128, 128), (128, 256)):
        assert "standard" in CASES[Case(mode, B, 200, I, H)]


def test_every_public_name_of_nn_is_covered() -> None:
    assert shapes.covered() == set(nn.__all__)


def test_flops_count_the_products() -> None:
    case = Case("infer", 3, 5, 7, 11)
    assert case.flops(steps=15) == 15 * 2 * (44 * 7 + 44 * 11)
    assert Case("train", 3, 5, 7, 11).flops(15) == 3 * case.flops(15)
    stacked = Case("infer", 3, 5, 7, 11, layers=2, bidirectional=True)
    assert stacked.flops(15) == 15 * 2 * 2 * (44 * 7 + 44 * 11 + 44 * 22 + 44 * 11)
    assert Case("dropout", 3).flops(15) is None


def test_real_steps_leave_padding_out() -> None:
    ragged = Case("ragged", 16, 50, 3, 4)
    arrays = draw(ragged)
    assert real_steps(ragged, arrays) == arrays["lengths"].sum() < 16 * 50
    assert arrays["lengths"].min() >= shapes.MIN_LENGTH
    padded = Case("train", 16, 50, 3, 4)
    assert real_steps(padded, draw(padded)) == 16 * 50
    assert real_steps(Case("step", 16, 0, 3, 4), draw(Case("step", 16, 0, 3, 4))) == 16


def test_numbers_are_the_same_each_time() -> None:
    case = Case("train", 2, 3, 4, 5)
    first, second = draw(case), draw(case)
    for name in ("x", "dy"):
        assert (first[name] == second[name]).all()
    assert (first["weights"]["weight_hh_l0"] == second["weights"]["weight_hh_l0"]).all()


GOOD = 'groups = ["quick"]\nmodes = ["infer"]\nB = 1\nT = 2\nI = 3\nH = 4\n'


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ("quick", "slow", "group is 'slow'"),
        ("infer", "guess", "mode is 'guess'"),
        ("B = 1", "B = 0", "B is 0"),
        ("B = 1", "B = [1, -1]", "B is -1"),
        ("T = 2", "T = 2.5", "T is 2.5"),
        ("H = 4", "H = 4\nX = 1", "unknown keys \\['X'\\]"),
        ("H = 4", "", "H is 0"),
        ("H = 4", 'H = 4\ndtype = "int8"', "dtype is 'int8'"),
        ('modes = ["infer"]', "", "modes"),
    ],
)
def test_a_wrong_entry_is_named(tmp_path: Path, old: str, new: str, message: str) -> None:
    path = tmp_path / "shapes.toml"
    path.write_text("[[layer]]\n" + GOOD)
    assert [case for case, _ in shapes.load(path)] == [Case("infer", 1, 2, 3, 4)]
    path.write_text("[[layer]]\n" + GOOD + "[[layer]]\n" + GOOD.replace(old, new))
    with pytest.raises(ValueError, match=f"shapes.toml, layer number 2: .*{message}"):
        shapes.load(path)


def test_an_unknown_table_is_an_error(tmp_path: Path) -> None:
    path = tmp_path / "shapes.toml"
    path.write_text("[[gru]]\n" + GOOD)
    with pytest.raises(ValueError, match="gru"):
        shapes.load(path)


def test_selecting_nothing_is_an_error() -> None:
    with pytest.raises(ValueError, match="holds 'no such case'"):
        shapes.select(["quick"], "no such case")
    with pytest.raises(ValueError, match="group is 'fast'"):
        shapes.select(["fast"])
