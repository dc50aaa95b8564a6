"""A text as a classifier reads it, as one interactive page that needs nothing else."""

from __future__ import annotations

from pathlib import Path

from fastlstm.files.naming import named_path
from fastlstm.files.writing import write_file
from fastlstm.inside.collect import Inspection


def write_page(
    path: str | Path, inspection: Inspection, title: str = "What the model read"
) -> None:
    """Write an HTML page: hover a word for its values, choose a gate, pick units.

    All scripts are in the file: it opens without a network, from anywhere.

    Parameters
    ----------
    path : of the file.
    inspection : from `inspect_text`.
    title : of the page.

    Raises
    ------
    ImportError
        If bokeh is not installed.
    OSError
        If the file cannot be written.
    """
    check_bokeh()
    from fastlstm.inside.page_plots import page_of

    html = page_of(inspection, title)
    write_file(named_path(path), html.encode(errors="backslashreplace"))


def check_bokeh() -> None:
    """Raise ImportError, and say how to install it, unless bokeh is there."""
    try:
        import bokeh.embed  # noqa: F401
    except ImportError as error:
        raise ImportError("pages need bokeh: pip install 'fastlstm[html]'", name="bokeh") from error
