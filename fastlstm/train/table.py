"""Tables as text."""

from __future__ import annotations

from collections.abc import Sequence

from fastlstm.printable import columns, printable


def aligned(rows: Sequence[Sequence[str]], left: int = 0) -> str:
    """Return rows of cells as lines of text, with a rule below the first one.

    The first `left` columns are aligned left, the others right. Characters that steer a terminal
    are escaped, since cells may hold names from outside.
    """
    cells = [[printable(cell) for cell in row] for row in rows]
    widths = [max(columns(row[i]) for row in cells) for i in range(len(cells[0]))]
    lines = []
    for row in cells:
        padded = [
            cell + blanks if i < left else blanks + cell
            for i, (cell, width) in enumerate(zip(row, widths, strict=True))
            for blanks in [" " * (width - columns(cell))]
        ]
        lines.append("  ".join(padded).rstrip())
    rule = "-" * (sum(widths) + 2 * (len(widths) - 1))
    return "\n".join([lines[0], rule, *lines[1:]])


def shown(value: float | None, form: str) -> str:
    """Return a number as text, or "-" for None."""
    return "-" if value is None else format(value, form)
