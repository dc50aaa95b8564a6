"""Runs the notebooks of docs/notebooks and writes their outputs into them.

    python docs/site/run_notebooks.py [NOTEBOOK.ipynb ...]

Cells run one after another in this very process, as Jupyter would run them: what is printed, the
value of a last expression and open figures are a cell's outputs. A test runs them again and holds
the outputs that are kept to those of its run. Needs `pip install "fastlstm[plot]"`, not Jupyter.
"""

from __future__ import annotations

import ast
import base64
import contextlib
import io
import json
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

FOLDER = Path(__file__).parents[1] / "notebooks"
# Narrow, in large letters: pages are read on telephones too.
STYLE = {"figure.figsize": (6.4, 3.2), "figure.dpi": 110, "font.size": 11, "savefig.dpi": 110}
Cell = dict[str, Any]


def read(path: Path) -> dict[str, Any]:
    """Return a notebook."""
    notebook: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
    return notebook


def write(path: Path, notebook: dict[str, Any]) -> None:
    """Write a notebook as Jupyter does."""
    path.write_text(json.dumps(notebook, indent=1, ensure_ascii=False) + "\n", encoding="utf-8")


def code_cells(notebook: dict[str, Any]) -> list[Cell]:
    """Return the cells that are run."""
    return [cell for cell in notebook["cells"] if cell["cell_type"] == "code"]


def run(notebook: dict[str, Any], name: str) -> None:
    """Run all cells; their outputs take the place of those they had.

    Whatever a cell raises comes through, with the name of the notebook and the cell's number.
    """
    import matplotlib

    matplotlib.use("agg")
    names: dict[str, Any] = {"__name__": "__main__"}
    with matplotlib.rc_context(STYLE):
        for number, cell in enumerate(code_cells(notebook), 1):
            place = f"{name}, cell {number}"
            cell["outputs"] = list(outputs("".join(cell["source"]), names, number, place))
            cell["execution_count"] = number
    notebook["metadata"]["matplotlib"] = matplotlib.__version__


def outputs(source: str, names: dict[str, Any], number: int, place: str) -> Iterator[Cell]:
    """Run one cell and yield what it gives, in Jupyter's form."""
    from matplotlib import pyplot as plt

    printed = io.StringIO()
    with contextlib.redirect_stdout(printed):
        value = execute(source, names, place)
    if text := printed.getvalue():
        yield {"output_type": "stream", "name": "stdout", "text": lines(text)}
    if value is not None:
        data = {"text/plain": lines(repr(value))}
        yield {
            "output_type": "execute_result",
            "data": data,
            "metadata": {},
            "execution_count": number,
        }
    for figure in map(plt.figure, plt.get_fignums()):
        yield {"output_type": "display_data", "data": drawn(figure), "metadata": {}}
    plt.close("all")


def execute(source: str, names: dict[str, Any], place: str) -> Any:
    """Run a cell; return the value of its last line if that is an expression, else None."""
    tree = ast.parse(source, place)
    last = tree.body.pop() if tree.body and isinstance(tree.body[-1], ast.Expr) else None
    exec(compile(tree, place, "exec"), names)
    if last is None:
        return None
    value = eval(compile(ast.Expression(last.value), place, "eval"), names)
    return None if source.rstrip().endswith(";") else value


def drawn(figure: Any) -> dict[str, Any]:
    """Return a figure as PNG, and in words."""
    buffer = io.BytesIO()
    figure.savefig(buffer, format="png", metadata={"Software": None})
    width, height = (int(n * figure.dpi) for n in figure.get_size_inches())
    picture = base64.b64encode(buffer.getvalue()).decode()
    words = f"<Figure size {width}x{height} with {len(figure.axes)} Axes>"
    return {"image/png": picture, "text/plain": [words]}


def lines(text: str) -> list[str]:
    """Return lines with their ends, as notebooks keep texts."""
    return text.splitlines(keepends=True)


def main(arguments: Sequence[str]) -> None:
    """Run the notebooks named, or all."""
    for path in [Path(name) for name in arguments] or sorted(FOLDER.glob("*.ipynb")):
        notebook = read(path)
        run(notebook, path.name)
        write(path, notebook)
        print(path)


if __name__ == "__main__":
    main(sys.argv[1:])
