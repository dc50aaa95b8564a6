"""What the site has beside the pages of docs/: a reference, notebooks, results, the changelog.

The reference has a page for each public module, with every name of its ``__all__``: a new name
is in it by itself. Links hold, those to notebooks too.
"""

from __future__ import annotations

import ast
import re
import sys
from pathlib import Path
from typing import Any

from mkdocs.exceptions import PluginError
from mkdocs.structure.files import File, Files

ROOT = Path(__file__).parents[2]
sys.path += [str(Path(__file__).parent), str(ROOT)]

import notebook_pages  # noqa: E402

from benchmarks import history, kept  # noqa: E402

# Module -> what its page is called.
MODULES = {
    "fastlstm": "fastlstm",
    "fastlstm.nn": "fastlstm.nn: layers and losses",
    "fastlstm.custom": "fastlstm.custom: cells of your own",
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
    "fastlstm.torch.quantized": "fastlstm.torch.quantized: modules in 8 bits",
    "fastlstm.torch.sb3": "fastlstm.torch.sb3: policies for sb3-contrib",
    "fastlstm.keras": "fastlstm.keras: the kernels under Keras",
    "fastlstm.onnx": "fastlstm.onnx: graphs of ONNX",
    "fastlstm.formats": "fastlstm.formats: load and save",
    "fastlstm.inside": "fastlstm.inside: what a text makes of a net",
}
# A link that leaves docs/: [words](../some/file.c).
OUTSIDE = re.compile(r"\[([^\]]+)\]\(\.\./([^)]+)\)")
NOTEBOOK = re.compile(r"\]\(([\w/.]+)\.ipynb\)")
NAME = re.compile(r"^::: ([\w.]+)$", re.MULTILINE)


def on_config(config: Any) -> Any:
    """Put the generated pages behind the others."""
    reference = ["api/index.md", *(f"api/{name}.md" for name in MODULES)]
    config.nav += [{"Reference": reference}, "changelog.md"]
    return config


def on_files(files: Files, config: Any) -> Files:
    """Add the generated pages."""
    pages: dict[str, str | bytes] = {
        f"api/{name}.md": reference(name, title) for name, title in MODULES.items()
    }
    pages["api/index.md"] = "# Reference\n\n" + "\n".join(
        f"- [{title}]({name}.md)" for name, title in MODULES.items()
    )
    pages["changelog.md"] = (ROOT / "CHANGELOG.md").read_text(encoding="utf-8")
    pages |= history.page(kept.load())
    for path in sorted((ROOT / "docs" / "notebooks").glob("*.ipynb")):
        page, pictures = notebook_pages.page(path)
        pages[f"notebooks/{path.stem}.md"] = page
        pages |= {f"notebooks/{name}": picture for name, picture in pictures.items()}
    for path, content in pages.items():
        files.append(File.generated(config, path, content=content))
    return files


def on_page_markdown(markdown: str, page: Any, **_: Any) -> str:
    """Make links lead somewhere on the site: to a notebook's page, and out of docs/ nowhere."""
    if page.file.src_uri.startswith("notebooks/"):
        own = page.file.src_uri.removeprefix("notebooks/").removesuffix(".md")
        return NOTEBOOK.sub(lambda m: m[0] if m[1] == own else f"]({m[1]}.md)", markdown)
    markdown = NOTEBOOK.sub(r"](\1.md)", markdown)

    def named(found: re.Match[str]) -> str:
        words, path = found.groups()
        return f"`{path}`" if path.endswith(words) else f"{words} (`{path}`)"

    return OUTSIDE.sub(named, markdown)


def on_page_content(html: str, page: Any, **_: Any) -> str:
    """Refuse a page of the reference that lacks a name it should have."""
    for name in NAME.findall(page.markdown or ""):
        if f'id="{name}"' not in html:
            raise PluginError(f"{page.file.src_uri} lacks {name}")
    return html


def reference(module: str, title: str) -> str:
    """Return the page of a module."""
    names = public_names(source(module))
    own = "" if module == "fastlstm" else f"::: {module}\n    options:\n      members: false\n"
    parts = [f"::: {module}.{name}\n" for name in sorted(names, key=str.lower)]
    return "\n".join([f"# {title}\n", own, *parts])


def source(module: str) -> Path:
    """Return the file of a module or package."""
    path = ROOT / module.replace(".", "/")
    return path / "__init__.py" if path.is_dir() else path.with_suffix(".py")


def public_names(path: Path) -> list[str]:
    """Return ``__all__`` of a module, without modules and what begins with an underscore."""
    tree = ast.parse(path.read_text(encoding="utf-8"))
    for node in tree.body:
        if isinstance(node, ast.Assign) and ast.unparse(node.targets[0]) == "__all__":
            listed: list[str] = ast.literal_eval(node.value)
            return [n for n in listed if n[0] != "_" and not (path.parent / n).is_dir()]
    raise ValueError(f"{path} has no __all__")
