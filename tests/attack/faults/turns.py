"""Faults in turns: what serves one caller lets two in, or nobody any more.

Which order of memory an exchange asks for is not among them: x86 has the strict one anyway.
"""

from __future__ import annotations

from attack.faults.fault import Fault

_NATIVE = "fastlstm/kernels/native/"
_TESTS = "tests/kernels/test_turns.py"

TURNS = (
    Fault(
        _NATIVE + "src/turn.h",
        "return atomic_exchange_explicit(&t->free, 0, memory_order_acquire);",
        "return atomic_load_explicit(&t->free, memory_order_acquire);",
        _TESTS,
    ),
    Fault(
        _NATIVE + "src/turn.h",
        "atomic_store_explicit(&t->free, 1, memory_order_release);",
        "atomic_store_explicit(&t->free, 0, memory_order_release);",
        _TESTS,
    ),
    Fault(
        _NATIVE + "_stream.pxi",
        "            self.enter()\n            try:\n                if numbers is not None:",
        "            try:\n                if numbers is not None:",
        _TESTS,
    ),
    Fault(
        _NATIVE + "_stream.pxi",
        '        """Write to the states."""\n        self.enter()\n',
        '        """Write to the states."""\n',
        _TESTS,
    ),
    Fault(
        _NATIVE + "_stream.pxi",
        "            finally:\n                fl_give_turn(&self.turn)\n",
        "            finally:\n                n = 0\n",
        _TESTS,
    ),
    Fault(
        _NATIVE + "_chain.pxi",
        "            self.enter()\n            f.y = out.buf",
        "            f.y = out.buf",
        _TESTS,
    ),
    Fault(
        _NATIVE + "_chain.pxi",
        "memcpy(self.memory.b.buf, self.before.b.buf, size)\n            fl_give_turn(&self.turn)",
        "memcpy(self.memory.b.buf, self.before.b.buf, size)",
        _TESTS,
    ),
    Fault(
        _NATIVE + "_bound.pxi",
        "        if not fl_take_turn(&self.turn):",
        "        if self.held is None:",
        _TESTS,
    ),
    Fault(
        _NATIVE + "_sequence.pxi",
        "        if not fl_take_turn(&self.turn):",
        "        if self.held is None:",
        _TESTS,
    ),
    Fault(
        _NATIVE + "_sequence.pxi",
        "        del saved.held[held:]\n        fl_give_turn(&saved.turn)\n",
        "        del saved.held[held:]\n",
        _TESTS,
    ),
    Fault(
        _NATIVE + "_step.pxi",
        "        if not fl_take_turn(&k.turn):",
        "        if k is None:",
        "tests/torch_nn/test_dropin_memory.py",
    ),
    Fault(
        "fastlstm/kernels/steps.py",
        "if not self._lock.acquire(blocking=False):",
        "if self._lock is None:",
        _TESTS,
    ),
)
