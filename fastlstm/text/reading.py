"""How files of texts are read: what users may say about them."""

from __future__ import annotations

from dataclasses import dataclass

FORMATS = ("table", "json", "lines", "parquet")


@dataclass(frozen=True)
class Reading:
    """How texts are read; see `TextConfig` for what the fields mean."""

    text_column: str | None = None
    label_column: str | None = None
    format: str | None = None
    encoding: str | None = None
    delimiter: str | None = None
    header: bool = True
    quotes: bool = True
