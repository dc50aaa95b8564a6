"""Many models of equal shape in one call: ensembles, a model for each series or user, sweeps.

`together` runs recurrent layers that there are; ``LSTM(..., models=M)`` makes them, with their
parameters in one array each.
"""

from fastlstm.many.layers import Together, together
from fastlstm.many.stacked import Stacked
from fastlstm.many.stream import ManyStream

__all__ = ["ManyStream", "Stacked", "Together", "together"]
