"""exp, sigmoid and tanh in a form that LLVM vectorises; constants as in native/src/activations.h.

With x = n ln2 + r, n an integer and |r| <= ln2/2:  e^x = 2^n (1 + q),  q = e^r - 1 = r p(r),
p the minimax polynomial of (e^r - 1)/r. q, and with it e^x - 1 and tanh, stay accurate near
zero. Every multiply-add is written as one, so that a number's result does not depend on its
place in a vector.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
from llvmlite import ir
from numba.core import cgutils, types
from numba.extending import overload

from fastlstm.kernels import activations as plain
from fastlstm.kernels.numba.jit import INLINE, inline, intrinsic


class Constants(NamedTuple):
    """What differs between the precisions."""

    real: Any
    mantissa: int  # bits
    bias: int  # of the exponent
    saturation: float  # from here on sigmoid and tanh are 1
    least: float  # bounds of exp
    most: float
    log2e: str
    ln2_hi: str  # so short that n times it is exact
    ln2_lo: str
    p: str


F32 = Constants(
    real=np.float32,
    mantissa=23,
    bias=127,
    saturation=43.0,
    least=-87.0,
    most=88.0,
    log2e="0x1.715476p+0",
    ln2_hi="0x1.62e400p-1",
    ln2_lo="0x1.7f7d1cp-20",
    p="0x1.000000p+0 0x1.fffffep-2 0x1.55547ep-3 0x1.555652p-5 0x1.123d0ep-7 0x1.6c16a6p-10",
)
F64 = Constants(
    real=np.float64,
    mantissa=52,
    bias=1023,
    saturation=350.0,
    least=-708.0,
    most=709.0,
    log2e="0x1.71547652b82fep+0",
    ln2_hi="0x1.62e42fefa3800p-1",
    ln2_lo="0x1.ef35793c76730p-45",
    p="0x1.0000000000000p+0 0x1.0000000000005p-1 0x1.5555555555530p-3 0x1.55555555520f6p-5 "
    "0x1.111111111a2bbp-7 0x1.6c16c17f34774p-10 0x1.a01a0170ebc08p-13 0x1.a019a6905351fp-16 "
    "0x1.71de8e845f56bp-19 0x1.28a2a1939b21ep-22 0x1.ae6448e9a5cf1p-26",
)


def multiply_add(builder: Any, a: Any, b: Any, c: Any) -> Any:
    """Emit a * b + c of numbers or vectors, rounded once where the processor has it."""
    lanes, kind = "", a.type
    if isinstance(kind, ir.VectorType):
        lanes, kind = f"v{kind.count}", kind.element
    name = f"llvm.fmuladd.{lanes}f{32 if isinstance(kind, ir.FloatType) else 64}"
    signature = ir.FunctionType(a.type, [a.type] * 3)
    return builder.call(cgutils.get_or_insert_function(builder.module, signature, name), [a, b, c])


@intrinsic
def fma(typingctx: Any, a: Any, b: Any, c: Any) -> Any:
    """Return a * b + c."""

    def codegen(context: Any, builder: Any, signature: Any, args: Any) -> Any:
        return multiply_add(builder, *args)

    return a(a, a, a), codegen


def _functions(k: Constants) -> dict[str, Any]:
    """Build the functions of one precision."""
    one, two, coefficients = k.real(1), k.real(2), [float.fromhex(c) for c in k.p.split()]
    log2e, ln2_hi, ln2_lo = (k.real(float.fromhex(c)) for c in (k.log2e, k.ln2_hi, k.ln2_lo))
    saturation, half = k.real(k.saturation), k.real(k.saturation / 2)
    least, most = k.real(k.least), k.real(k.most)
    magic = k.real(3 << (k.mantissa - 1))  # adding it rounds to an integer

    @intrinsic
    def scale_of(typingctx: Any, shifted: Any) -> Any:
        """Return 2^n, n in the low bits of a number."""

        def codegen(context: Any, builder: Any, signature: Any, args: Any) -> Any:
            word = ir.IntType(shifted.bitwidth)
            bits = builder.shl(builder.bitcast(args[0], word), ir.Constant(word, k.mantissa))
            bits = builder.add(bits, ir.Constant(word, k.bias << k.mantissa))
            return builder.bitcast(bits, context.get_value_type(shifted))

        return shifted(shifted), codegen

    @intrinsic
    def polynomial(typingctx: Any, r: Any) -> Any:
        def codegen(context: Any, builder: Any, signature: Any, args: Any) -> Any:
            terms = [context.get_constant(r, c) for c in coefficients]
            p = terms.pop()
            while terms:
                p = multiply_add(builder, p, args[0], terms.pop())
            return p

        return r(r), codegen

    @inline
    def clamp(x: Any, low: Any, high: Any) -> Any:
        x = high if x > high else x  # every comparison with NaN is false
        return low if x < low else x

    @inline
    def power(x: Any) -> Any:
        shifted = fma(x, log2e, magic)
        n = shifted - magic
        r = fma(n, -ln2_lo, fma(n, -ln2_hi, x))
        return scale_of(shifted), r * polynomial(r)

    def exp(x: Any) -> Any:
        scale, q = power(clamp(x, least, most))
        return fma(scale, q, scale)

    def sigmoid(x: Any) -> Any:
        scale, q = power(clamp(-x, -saturation, most))
        return one / (one + fma(scale, q, scale))

    def tanh(x: Any) -> Any:
        scale, q = power(two * clamp(x, -half, half))
        e = fma(scale, q, scale - one)
        return e / (e + two)

    return {"exp": exp, "sigmoid": sigmoid, "tanh": tanh}


_OF = {types.float32: _functions(F32), types.float64: _functions(F64)}


def _replace(name: str) -> None:
    def choose(x: Any) -> Any:
        return _OF[x][name] if x in _OF else None

    overload(getattr(plain, name), jit_options=INLINE)(choose)


for _name in plain.__all__:
    _replace(_name)
