"""The precisions that the Numba backend has: one."""

from __future__ import annotations


def check_float32(precision: str) -> None:
    """Raise NotImplementedError for products that are to be rounded."""
    if precision != "float32":
        raise NotImplementedError(
            f"precision is {precision!r}, expected 'float32' in the numba backend, which rounds no "
            "products: use that, or FASTLSTM_BACKEND=native (or reference) for cells that are not "
            "your own"
        )
