"""Looking inside: what a classifier made of a text, and how gradients flow back in time.

`inspect_text` collects; `format_text` makes a table of it, `draw_text` a picture and `write_page`
an interactive page. `gradient_flow` measures, `draw_gradient_flow` draws.
"""

from fastlstm.inside.collect import Inspection, inspect_text
from fastlstm.inside.flow import draw_gradient_flow, gradient_flow
from fastlstm.inside.page import write_page
from fastlstm.inside.picture import draw_text
from fastlstm.inside.terminal import format_text

__all__ = [
    "Inspection",
    "draw_gradient_flow",
    "draw_text",
    "format_text",
    "gradient_flow",
    "inspect_text",
    "write_page",
]
