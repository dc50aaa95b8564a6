"""Names of classes: equal numbers are one, and what is missing has none."""

from __future__ import annotations

import math
from decimal import Decimal

import pytest

from fastlstm.text.labels import class_name, in_order


@pytest.mark.parametrize(
    ("name", "labels"),
    [
        ("1", [1, 1.0, Decimal("1.00"), "1", " 1 ", "1.0", "+1", "1e0", "1.", "0.1E+1"]),
        ("0", [0, -0.0, "-0", "0.000", "-0e5", "0e999999"]),
        ("-2.5", [-2.5, "-2.50", "-25e-1"]),
        ("0.1", [0.1, ".1", "0.10", Decimal("0.1")]),
        ("100", [100, 1e2, "1e2", "100.0"]),
        ("9007199254740993", [2**53 + 1, "9007199254740993", "9007199254740993.0"]),
        ("1" + "0" * 30, [10**30, "1e30"]),
        ("1E+500", ["1e500", "10e499", 10**500]),
        ("true", [True, "true", "True", "TRUE"]),
        ("false", [False, "false", "False"]),
        ("01", ["01", " 01"]),
        ("0x10", ["0x10"]),
        ("1_000", ["1_000"]),
        ("\uff11", ["\uff11"]),  # a wide digit
        ("1e9999999", ["1e9999999"]),
        ("Naan", ["Naan"]),
        ("None", ["None"]),
        ("caf\u00e9 au lait", ["caf\u00e9 au lait "]),
    ],
)
def test_one_class(name: str, labels: list[object]) -> None:
    assert {class_name(label) for label in labels} == {name}


def test_what_no_float_tells_apart_is_two_classes() -> None:
    assert class_name("9007199254740993") != class_name("9007199254740992")
    assert class_name("0.1") != class_name("0.1000000000000000055")


@pytest.mark.parametrize(
    "label", [None, math.nan, math.inf, "", "  ", "nan", "NaN", "NAN", "-nan", "<NA>"]
)
def test_a_missing_label(label: object) -> None:
    assert class_name(label) is None


@pytest.mark.parametrize(
    ("label", "message"), [([1], "a list"), ({}, "a dict"), ("a\ud800", "half a character")]
)
def test_what_is_no_label(label: object, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        class_name(label)


def test_order() -> None:
    assert in_order(["10", "9", "-1", "0.5", "9"]) == ["-1", "0.5", "9", "10"]
    assert in_order(["10", "9", "nan"]) == ["10", "9", "nan"]
    assert in_order([str(2**60 + 1), str(2**60), "3"]) == ["3", str(2**60), str(2**60 + 1)]
