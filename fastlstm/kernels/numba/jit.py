"""Decorators of compiled functions: no GIL, no exceptions for floating-point results."""

from __future__ import annotations

import operator
from collections.abc import Callable
from typing import Any, TypeVar, cast

import numba
import numpy as np
from numba.core import compiler, compiler_machinery, errors, ir, types, untyped_passes
from numba.extending import intrinsic as _intrinsic

Function = TypeVar("Function", bound=Callable[..., Any])
OPTIONS = {"nogil": True, "error_model": "numpy"}
INNER = {**OPTIONS, "no_cpython_wrapper": True, "no_cfunc_wrapper": True}
INLINE = {**INNER, "forceinline": True}


def jit(function: Function) -> Function:
    """Compile a function that only compiled ones call; Python cannot."""
    return cast(Function, numba.njit(**INNER)(function))


def inline(function: Function) -> Function:
    """The same for a small one that is to leave no call behind: LLVM inlines it."""
    return cast(Function, numba.njit(**INLINE)(function))


def intrinsic(function: Callable[..., Any]) -> Any:
    """`numba.extending.intrinsic`, for a type checker."""
    return _intrinsic(function)


def unit(function: Callable[..., Any]) -> Any:
    """Compile the maths of one unit, inlined, its constants in the precision of its arguments.

    Numba makes ``1 - x`` of a float32 x a float64; here it stays float32, so that a loop over
    units fills a vector.
    """
    return numba.njit(pipeline_class=_UnitCompiler, **INLINE)(function)


class _RealConstants(compiler_machinery.FunctionPass):  # type: ignore[misc]  # has no types
    """Give every number in a function the type of the function's first argument."""

    _name = "fastlstm_real_constants"

    def __init__(self) -> None:
        super().__init__()

    def run_pass(self, state: Any) -> bool:
        if not state.args or not isinstance(state.args[0], types.Float):
            return False
        _check_quiet(state.func_ir)
        real = np.float32 if state.args[0] == types.float32 else np.float64
        statements = [s for block in state.func_ir.blocks.values() for s in block.body]
        assigned = [s for s in statements if isinstance(s, ir.Assign)]
        whole = _whole_numbers(assigned)
        changed = False
        for s in assigned:
            number = isinstance(s.value, (ir.Const, ir.Global, ir.FreeVar))
            if number and type(s.value.value) in (int, float) and s.target.name not in whole:
                s.value = ir.Const(real(s.value.value), s.value.loc)
                changed = True
        return changed


def _check_quiet(func_ir: Any) -> None:
    """Refuse a function that raises: the rows beside it would be left half done."""
    for block in func_ir.blocks.values():
        for statement in block.body:
            if isinstance(statement, (ir.Raise, ir.StaticRaise)):
                name = func_ir.func_id.func_name
                raise errors.UnsupportedError(f"{name} raises an exception, expected numbers alone")


def _whole_numbers(assigned: list[Any]) -> set[str]:
    """Names that stay integers: exponents, for which x ** 2 is x * x, and indices."""
    names = set()
    for s in assigned:
        if isinstance(s.value, ir.Expr):
            if s.value.op == "binop" and s.value.fn is operator.pow:
                names.add(s.value.rhs.name)
            elif s.value.op == "getitem":
                names.add(s.value.index.name)
    return names


compiler_machinery.register_pass(mutates_CFG=False, analysis_only=False)(_RealConstants)


class _UnitCompiler(compiler.CompilerBase):  # type: ignore[misc]  # has no types
    """Numba's compiler with `_RealConstants` in front of type inference."""

    def define_pipelines(self) -> list[Any]:
        passes = compiler.DefaultPassBuilder.define_nopython_pipeline(self.state)
        passes.add_pass_after(_RealConstants, untyped_passes.IRProcessing)
        passes.finalize()
        return [passes]
