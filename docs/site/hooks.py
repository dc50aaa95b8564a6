"""What the site has beside the pages of docs/: a reference, the changelog, and links that hold.

The reference has a page for each public module, with every name of its ``__all__``: a new name
is in it by itself.
"""

from __future__ import annotations

import ast
import re
from pathlib import Path
from typing import Any

from mkdocs.structure.files import File, Files

ROOT = Path(__file__).parents[2]
# Module -> what its page is called.
MODULES = {
    "fastlstm": "fastlstm",
    "fastlstm.nn": "fastlstm.nn: layers and losses",
    "fastlstm.models": "fastlstm.models: ready models",
    "fastlstm.many": "fastlstm.many: many models in one call",
    "fastlstm.train": "fastlstm.train: optimizers and the trainer",
    "fastlstm.text": "fastlstm.text: words, files, batches",
    "fastlstm.linear": "fastlstm.linear: n-grams",
    "fastlstm.forecast": "fastlstm.forecast: series and measures",
    "fastlstm.sklearn": "fastlstm.sklearn: estimators",
    "fastlstm.distributed": "fastlstm.distributed: several processes",
    "fastlstm.tune": "fastlstm.tune: searching options",
    "fastlstm.torch": "fastlstm.torch: modules for PyTorch",
    "fastlstm.keras": "fastlstm.keras: the kernels under Keras",
    "fastlstm.onnx": "fastlstm.onnx: graphs of ONNX",
    "fastlstm.formats": "fastlstm.formats: load and save",
    "fastlstm.inside": "fastlstm.inside: what a text makes of a net",
}
# A link that leaves docs/: [words](../some/file.c).
OUTSIDE = re.compile(r"\[([^\]]+)\]\(\.\./([^)]+)\)")


def on_config(config: Any) -> Any:
    """Put the generated pages behind the others."""
    reference = ["api/index.md", *(f"api/{name}.md" for name in MODULES)]
    config.nav += [{"Reference": reference}, "changelog.md"]
    return config


def on_files(files: Files, config: Any) -> Files:
    """Add the generated pages."""
    pages = {f"api/{name}.md": reference(name, title) for name, title in MODULES.items()}
    pages["api/index.md"] = "# Reference\n\n" + "\n".join(
        f"- [{title}]({name}.md)" for name, title in MODULES.items()
    )
    pages["changelog.md"] = (ROOT / "CHANGELOG.md").read_text(encoding="utf-8")
    for path, content in pages.items():
        files.append(File.generated(config, path, content=content))
    return files


def on_page_markdown(markdown: str, **_: Any) -> str:
    """Name what lies outside of docs/, in place of a link that would lead nowhere on the site."""

    def named(found: re.Match[str]) -> str:
        words, path = found.groups()
        return f"`{path}`" if path.endswith(words) else f"{words} (`{path}`)"

    return OUTSIDE.sub(named, markdown)


def reference(module: str, title: str) -> str:
    """Return the page of a module."""
    names = public_names(ROOT / module.replace(".", "/") / "__init__.py")
    own = "" if module == "fastlstm" else f"::: {module}\n    options:\n      members: false\n"
    parts = [f"::: {module}.{name}\n" for name in sorted(names, key=str.lower)]
    return "\n".join([f"# {title}\n", own, *parts])


def public_names(path: Path) -> list[str]:
    """Return ``__all__`` of a module, without modules and what begins with an underscore."""
    tree = ast.parse(path.read_text(encoding="utf-8"))
    for node in tree.body:
        if isinstance(node, ast.Assign) and ast.unparse(node.targets[0]) == "__all__":
            listed: list[str] = ast.literal_eval(node.value)
            return [n for n in listed if n[0] != "_" and not (path.parent / n).is_dir()]
    raise ValueError(f"{path} has no __all__")
