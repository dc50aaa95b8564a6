"""For the site: a page of a notebook, with its code, its outputs and its pictures."""

from __future__ import annotations

import base64
import json
from pathlib import Path
from typing import Any


def page(path: Path) -> tuple[str, dict[str, bytes]]:
    """Return a notebook as Markdown, and its pictures by the path the page names them by."""
    notebook = json.loads(path.read_text(encoding="utf-8"))
    parts: list[str] = []
    pictures: dict[str, bytes] = {}
    for number, cell in enumerate(notebook["cells"]):
        source = "".join(cell["source"])
        if cell["cell_type"] == "markdown":
            parts.append(source)
            continue
        parts.append(f"```python\n{source}\n```")
        for output in cell["outputs"]:
            if "image/png" in output.get("data", {}):
                name = f"{path.stem}-{number}-{len(pictures)}.png"
                pictures[name] = base64.b64decode(output["data"]["image/png"])
                parts.append(f"![{cell['metadata']['alt']}]({name})")
            else:
                parts.append(f"```{{ .text .no-copy }}\n{words(output)}\n```")
    title, _, rest = "\n\n".join(parts).partition("\n")
    note = f"This page is a notebook: [take it]({path.name}), run it, change it."
    return f"{title}\n\n{note}\n{rest}\n", pictures


def words(output: dict[str, Any]) -> str:
    """Return what a cell printed, or the value of its last line."""
    text = output["text"] if output["output_type"] == "stream" else output["data"]["text/plain"]
    return "".join(text).rstrip("\n")
