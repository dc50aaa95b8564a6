"""Large arrays: where the compiled extension is there, of the memory that it keeps for them.

Page faults of fresh memory took a third of the time of (64, 200, 128, 128) in training.
"""

from __future__ import annotations

import numpy as np

try:
    from fastlstm.kernels.native._native import empty
except ImportError:
    empty = np.empty

__all__ = ["empty"]
