"""The compiled backend; see `fastlstm.kernels.spec.Kernel` for what it must do."""

from fastlstm.kernels._native import (
    Stream,
    backward,
    built_isas,
    cached_bytes,
    forward,
    isa,
    mxcsr,
    set_isa,
    supported_isas,
    trim,
    vec_exp,
    vec_sigmoid,
    vec_tanh,
)

__all__ = [
    "Stream",
    "backward",
    "built_isas",
    "cached_bytes",
    "forward",
    "isa",
    "mxcsr",
    "set_isa",
    "supported_isas",
    "trim",
    "vec_exp",
    "vec_sigmoid",
    "vec_tanh",
]
