"""Tables as text."""

from __future__ import annotations

from collections.abc import Sequence

from fastlstm.printable import columns, printable


def aligned(rows: Sequence[Sequence[str]], left: int = 0) -> str:
    """Return rows of cells as lines, the first one ruled off.

    The first `left` columns are ranged left, the others right. What would steer a terminal is
    escaped: names from outside may be in the cells.
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
