"""Recurrent layers: stacked, in one or two directions.

`layer` is how they are called, `stack` what parameters they have, `walk` the one way over their
layers and directions, forward and backward.
"""

from fastlstm.nn.recurrent.layer import Recurrent
from fastlstm.nn.recurrent.stack import FIXED, LayerOptions

__all__ = ["FIXED", "LayerOptions", "Recurrent"]
