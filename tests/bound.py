"""A cell of a backend, called by arguments: what the tests and planted faults are written with."""

from __future__ import annotations

from typing import Any

from fastlstm.kernels import (
    CELLS,
    Backend,
    Call,
    CellSpec,
    Gradients,
    Stream,
    backend,
)
from fastlstm.kernels.adam import AdamNumbers, AdamStep, WeightSum
from fastlstm.kernels.sizes import CallSizes, MemoryUse


class Kernel:
    """`Backend`'s functions with the cell, and the precision of its products, filled in."""

    def __init__(
        self,
        cell: str | CellSpec = "lstm",
        name: str | None = None,
        precision: str = "float32",
    ) -> None:
        self.precision = precision
        self.cell = CELLS[cell] if isinstance(cell, str) else cell
        self.backend: Backend = backend(name)
        self.pool, self.pool_backward = self.backend.pool, self.backend.pool_backward
        self.softmax_cross_entropy = self.backend.softmax_cross_entropy
        self.empty = self.backend.empty

    def forward(self, *arguments: Any, **options: Any) -> tuple[Any, Any]:
        return self.backend.forward(self.cell, self._call(*arguments, **options))

    def _call(self, *arguments: Any, **options: Any) -> Call:
        return Call(*arguments, **{"precision": self.precision, **options})

    def backward(self, saved: Any, *arguments: Any, **options: Any) -> tuple[Any, Any]:
        return self.backend.backward(saved, Gradients(*arguments, **options))

    def trace(self, *arguments: Any, **options: Any) -> tuple[Any, dict[str, Any]]:
        """Run forward; return the last states, and what was inside."""
        state_n, saved = self.forward(*arguments, save=True, **options)
        return state_n, self.backend.inside(saved)

    def memory(self, *sizes: Any, **options: Any) -> MemoryUse:
        return self.backend.memory(
            self.cell, CallSizes(*sizes, **{"precision": self.precision, **options})
        )

    def Stream(self, layers: Any, batch_size: int) -> Stream:
        return self.backend.stream(self.cell, layers, batch_size, self.precision)

    def adam(self, *arrays: Any, total: WeightSum | None = None, **numbers: Any) -> None:
        self.backend.adam(AdamStep(*arrays, AdamNumbers(**numbers), total))
