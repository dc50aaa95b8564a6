"""The options of `fastlstm train`: those of every run, and how its texts are read."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any, ClassVar

from fastlstm.files.json_value import read_json
from fastlstm.files.opening import reading
from fastlstm.text.marks import tokens_with_marks
from fastlstm.text.rows import FORMATS, Reading, check_encoding, read_delimiter
from fastlstm.text.tokenizer import tokenize
from fastlstm.train.classifier.config import ADDED, FREE_OPTIONS, Config
from fastlstm.train.option import option

# How texts are read. A resumed run may change this: the texts themselves are compared.
READING = ("text_column", "label_column", "format", "encoding", "delimiter", "header", "quotes")


@dataclass(frozen=True)
class TextConfig(Config):
    """Options of a run on a user's own texts; saved as ``config.json``. Errors as of `Config`."""

    free_options: ClassVar[tuple[str, ...]] = (*FREE_OPTIONS, "test", "unlabelled", *READING)
    added_options: ClassVar[dict[str, Any]] = {
        **ADDED, "marks": True, "format": None, "unlabelled": (),
    }  # fmt: skip

    data: str | None = option(
        None, "CSV, TSV, JSON or Parquet file, perhaps packed, or a folder with a folder of .txt "
        "files for each class",
    )  # fmt: skip
    test: str | None = option(
        None, "separate file or folder to test on, read as the training data is"
    )
    unlabelled: tuple[str, ...] = option(
        (), "file of texts to pretrain on that need no label, read as the training data is; of "
        "other names, such as .txt, each line is a text; may be given several times",
    )  # fmt: skip
    test_split: float = option(
        0.1, "fraction of the texts of each class held back to test on, drawn by the seed; "
        "0 = none", low=0, below=1,
    )  # fmt: skip
    text_column: str | None = option(
        None, "column or key that holds the text, or several with commas between; by default one "
        "of the usual name, such as text",
    )  # fmt: skip
    label_column: str | None = option(
        None, "column or key that holds the class; by default one of the usual name, such as "
        "label, or the other one of two",
    )  # fmt: skip
    format: str | None = option(
        None, "kind of a file whose name does not tell it; lines: a label, a space and a text each",
        choices=FORMATS,
    )  # fmt: skip
    encoding: str | None = option(
        None, "of the files, such as cp1252; by default UTF-8, or what a byte order mark says"
    )
    delimiter: str | None = option(
        None, "between the fields of a table; by default a comma, in .tsv files a tab, or what "
        "the first line shows",
    )  # fmt: skip
    header: bool = option(
        True, "the first row of a table names its columns; without it they are called 1, 2, ..."
    )
    quotes: bool = option(True, 'in a table, "..." is one field; without it quotes are characters')

    batch_size: int = option(32, "texts in a batch", low=1)

    def __post_init__(self) -> None:
        super().__post_init__()
        for path in self.unlabelled:
            if not isinstance(path, str):
                raise TypeError(f"unlabelled has {path!r:.60}, expected names of files")
        if self.encoding is not None:
            check_encoding(self.encoding)
        if self.delimiter is not None:
            object.__setattr__(self, "delimiter", read_delimiter(self.delimiter))
        if self.text_column is not None and self.text_column == self.label_column:
            raise ValueError(
                f"text_column is {self.text_column!r}, expected another than that of the labels"
            )

    @classmethod
    def from_json(cls, value: Mapping[str, Any]) -> Config:
        """Return the options of a dict; errors as of `Config.from_json`."""
        if isinstance(value, Mapping) and isinstance(value.get("unlabelled"), bool):
            value = {**value, "unlabelled": ()}  # in earlier versions it was of IMDB alone
        return super().from_json(value)

    @property
    def reading(self) -> Reading:
        """How to read the texts."""
        return Reading(**{name: getattr(self, name) for name in READING})


def whole_tokens(config: Config, analyzer: str) -> Callable[[str], list[str]]:
    """Return what makes of a text the tokens of a run's linear part: words, and perhaps marks."""
    cut = tokens_with_marks if config.marks else tokenize
    return partial(cut, analyzer=analyzer)


def load_config(path: Path) -> Config:
    """Read the ``config.json`` of any run; only `TextConfig` has the option `test_split`.

    Raises FileNotFoundError if it is not there, and ValueError, which names the file, if it is
    damaged or of another version.
    """
    with reading(path, "is damaged or of another version"):
        value = read_json(path)
        kind = TextConfig if isinstance(value, dict) and "test_split" in value else Config
        return kind.from_json(value)
