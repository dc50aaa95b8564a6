"""What differs between Keras's backends; `on_torch` says what each function does."""

from keras import backend

if backend.backend() == "torch":
    from fastlstm.keras.on_torch import (
        cast_like,
        concatenate,
        copy,
        flip,
        is_quick_step,
        run_cell,
        take,
        where,
        why_not_tensors,
        zeros_like,
    )
else:
    from fastlstm.keras.on_numpy import (  # type: ignore[assignment]
        cast_like,
        concatenate,
        copy,
        flip,
        is_quick_step,
        run_cell,
        take,
        where,
        why_not_tensors,
        zeros_like,
    )

__all__ = [
    "cast_like",
    "concatenate",
    "copy",
    "flip",
    "is_quick_step",
    "run_cell",
    "take",
    "where",
    "why_not_tensors",
    "zeros_like",
]
