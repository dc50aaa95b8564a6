"""The engine compiled by Numba: any cell of `spec.CELLS`, and cells of a user's own.

One time loop (`forward`, `backward`) runs any cell, given as functions of one unit (`maths`,
`cells`); products are vector code (`tile`); `kernel` puts them behind `spec.Kernel`.
"""

try:
    import numba
except ImportError as error:
    raise ImportError(
        f"the numba backend needs Numba ({error}): pip install fastlstm[numba]"
    ) from error

from fastlstm.kernels.numba_backend.kernel import Kernel

__all__ = ["Kernel"]
