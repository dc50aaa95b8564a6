"""Messages of what lies below the command line, as its users read them."""

from __future__ import annotations

from dataclasses import fields

import pytest

from fastlstm.cli.flags import as_flags, begins_with_flag
from fastlstm.text.rows import Reading


@pytest.mark.parametrize(
    ("told", "shown"),
    [
        ("give header=False; then", "give --no-header; then"),
        ("give format=lines; else", "give --format lines; else"),
        ("such as text_column=3 label_column=1", "such as --text-column 3 --label-column 1"),
        ("a finished run; give another folder=, or overwrite=True",
         "a finished run; give another --out, or --overwrite"),
        ("an unfinished run; resume= it, or give another folder=",
         "an unfinished run; --resume it, or give another --out"),
        ("go on with resume=/a/my run", "go on with --resume /a/my run"),
        ("nothing back (test=FILE or test_split=0, validation=0)",
         "nothing back (--test FILE or --test-split 0, --validation 0)"),
        ("(encoding=), such as", "(--encoding), such as"),
        ("name it: source=PATH or F_DATA=PATH", "name it: --data PATH or F_DATA=PATH"),
        ("'header=False', lr=3 of a/encoding=x", "'header=False', lr=3 of a/encoding=x"),
    ],
)  # fmt: skip
def test_arguments_are_told_as_flags(told: str, shown: str) -> None:
    assert as_flags(told) == shown


@pytest.mark.parametrize("name", [item.name for item in fields(Reading)])
def test_every_argument_of_reading_has_one(name: str) -> None:
    assert as_flags(f"give {name}=") == "give --" + name.replace("_", "-")


def test_a_wrong_option_is_named_as_typed() -> None:
    assert begins_with_flag("batch_size is -1, expected") == "--batch-size is -1, expected"
