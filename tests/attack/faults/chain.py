"""Faults in chains of stages: in the C kernels, compiled for the baseline alone, in the cutting of
convolutions, and in the checks of the extension."""

from __future__ import annotations

from attack.faults.fault import Fault

_KERNELS = "fastlstm/kernels/native/"
_CHAIN, _BASE = "tests/kernels/test_chain.py", "native-base"

CHAIN = (
    Fault(
        _KERNELS + "src/sparse_row.h",
        "*cin = k ? m->c[0] : m->cin[0];",
        "*cin = m->cin[0];",
        _CHAIN,
        _BASE,
    ),
    Fault(
        _KERNELS + "src/chain.h",
        "i % b->F ? first - size + s->P * s->C : kept;",
        "i % b->F ? first - size : kept;",
        _CHAIN,
        _BASE,
    ),
    Fault(
        _KERNELS + "src/chain.h",
        "memcpy(last + p * s->C, last - p * s->C, channels);",
        "memcpy(last + p * s->C, last - (p - 1) * s->C, channels);",
        _CHAIN,
        _BASE,
    ),
    Fault(
        _KERNELS + "src/chain.h",
        "if (n > pairs) to[pairs] = x[K / 2];",
        "if (n > pairs) to[pairs] = 2 * x[K / 2];",
        _CHAIN,
        _BASE,
    ),
    Fault(
        _KERNELS + "src/chain.h",
        "p.h0 = (const real *)p.h0 + b->r * p.R,",
        "p.h0 = (const real *)p.h0 + b->r * p.R * (b->r < 16),",
        _CHAIN,
        _BASE,
    ),
    Fault(
        "fastlstm/kernels/parts.py",
        "return max(0, -(-first // conv.stride)), min(",
        "return max(0, first // conv.stride), min(",
        _CHAIN,
        _BASE,
    ),
    Fault(
        _KERNELS + "_chain.pxi",
        "                and b.shape[0] == self.p.N and b.shape[1] > 0",
        "                and b.shape[0] <= self.p.N and b.shape[1] > 0",
        "tests/kernels/test_hostile_chain.py",
        "base",
    ),
)
