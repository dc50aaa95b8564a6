"""Faults in the checks of the extension: what a kernel reads must be what it takes it for."""

from __future__ import annotations

from attack.faults.fault import Fault

_KERNELS = "fastlstm/kernels/native/"
_TESTS = "tests/kernels/test_errors.py " + " ".join(
    f"tests/kernels/test_hostile_{of}.py" for of in ("forward", "backward", "streams", "functions")
)

EXTENSION = (
    Fault(
        _KERNELS + "_sequence.pxi",
        "if token < 0 or token >= U:",
        "if token < 0 or token > U:",
        _TESTS,
        "base",
    ),
    Fault(
        _KERNELS + "_sequence.pxi",
        "if hr.b.shape[0] != self.p.R:",
        "if hr.b.shape[0] < 0:",
        _TESTS,
        "base",
    ),
    Fault(
        _KERNELS + "_sequence.pxi",
        "    if not fit:\n",
        "    if fit < 0:\n",
        _TESTS,
        "base",
    ),
    Fault(
        _KERNELS + "_sequence.pxi",
        "            if v.b.shape[0] != GH:\n",
        "            if v.b.shape[0] < 0:\n",
        _TESTS,
        "base",
    ),
    Fault(
        _KERNELS + "_view.pxi",
        "if shape[i] >= 0 and self.b.shape[i] != shape[i]:",
        "if shape[i] >= 0 and self.b.shape[i] < shape[i]:",
        _TESTS,
        "base",
    ),
    Fault(
        _KERNELS + "_view.pxi",
        "if self.b.itemsize and <size_t>self.b.buf % <size_t>self.b.itemsize:",
        "if self.b.itemsize == 0:",
        _TESTS,
        "base",
    ),
    Fault(
        _KERNELS + "_stream.pxi",
        "        check_layers(sizes, batch_size)\n",
        "",
        _TESTS,
        "base",
    ),
    Fault(
        _KERNELS + "_pool.pxi",
        "if p.lengths[n] and not 0 <= step < p.lengths[n]:",
        "if p.lengths[n] and step < 0:",
        _TESTS,
        "base",
    ),
)
