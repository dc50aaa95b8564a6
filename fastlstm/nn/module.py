"""The base class of everything that owns parameters, and what a pass keeps for the way back."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from numpy.typing import NDArray

from fastlstm.nn.check import check_unchanged
from fastlstm.nn.parameter import (
    Parameter,
    RowGrad,  # noqa: F401  # pickles of earlier versions look here for both
    check_writable,
    fitting,
    in_place_of,
)

# float32 or float64.
Array = NDArray[Any]

USED = "tape was already used by backward; run forward again"


class Tape:
    """What one forward pass of a module keeps for its backward pass, to be used once."""

    __slots__ = ("_kept", "_owner")

    def __init__(self, owner: Module, *kept: Any) -> None:
        self._owner = owner
        self._kept = [kept]

    def __repr__(self) -> str:
        return f"Tape of {type(self._owner).__name__}, {'to be used' if self._kept else 'used'}"


class Module:
    """Owner of parameters and of other modules, found by attribute name as in torch.

    A module holds parameters and options, never activations: calling it is inference and
    keeps nothing; `forward` also returns a tape, which `backward` uses up. One module may
    therefore serve many threads at once.

    Every `backward` raises RuntimeError for a tape that was used before, and TypeError or
    ValueError for a tape of another module or a gradient that does not fit.

    An array assigned to a parameter is copied into it; a `Parameter` takes its place. Either must
    have its shape and dtype. Neither parameters nor modules can be deleted. An option that the
    parameters were made for stays as it is.
    """

    _absent: frozenset[str] = frozenset()
    _fixed: frozenset[str] = frozenset()

    def __setattr__(self, name: str, value: Any) -> None:
        now, where = self.__dict__.get(name), f"{type(self).__name__}.{name}"
        if isinstance(now, Parameter) and value is not now:
            value = in_place_of(now, where, value)
        elif isinstance(now, Module) and not isinstance(value, Module):
            raise TypeError(f"{where} is a module, expected another one, not {value!r}")
        elif name in self._absent and value is not None:
            raise AttributeError(
                f"{where} cannot be set: the module was made without this parameter, and does not "
                "read it"
            )
        elif name in self._fixed and name in self.__dict__:
            value = check_unchanged(where, now, value)
        object.__setattr__(self, name, value)

    def __delattr__(self, name: str) -> None:
        now = self.__dict__.get(name)
        if isinstance(now, (Parameter, Module)) or name in self._absent:
            raise AttributeError(
                f"{type(self).__name__}.{name} cannot be deleted, as the module reads it: set it "
                "to zeros, or make a module without it"
            )
        object.__delattr__(self, name)

    def _without(self, *names: str) -> None:
        """Refuse parameters of these names: the module has none, and would not read one."""
        self._absent = self._absent.union(names)

    def extra_repr(self) -> str:
        """Return what stands between the parentheses of `repr`, beside the modules inside."""
        return ""

    def __repr__(self) -> str:
        inside = [(name, m) for name, m in vars(self).items() if isinstance(m, Module)]
        lines, extra = [f"({name}): {module!r}" for name, module in inside], self.extra_repr()
        if not lines:
            return f"{type(self).__name__}({extra})"
        body = "\n".join([extra] * bool(extra) + lines).replace("\n", "\n  ")
        return f"{type(self).__name__}(\n  {body}\n)"

    def named_parameters(self, prefix: str = "") -> Iterator[tuple[str, Parameter]]:
        """Yield ``(name, parameter)`` in order of definition, names joined by dots.

        As in torch, a parameter that two modules share comes once, by the first one's name.
        """
        seen: set[int] = set()
        for name, value in vars(self).items():
            found: Iterable[tuple[str, Parameter]] = ()
            if isinstance(value, Parameter):
                found = [(prefix + name, value)]
            elif isinstance(value, Module):
                found = value.named_parameters(f"{prefix}{name}.")
            for full_name, parameter in found:
                if id(parameter) not in seen:
                    seen.add(id(parameter))
                    yield full_name, parameter

    def parameters(self) -> Iterator[Parameter]:
        """Yield the parameters in order of definition."""
        for _, parameter in self.named_parameters():
            yield parameter

    def zero_grad(self) -> None:
        """Zero every parameter's gradient."""
        for parameter in self.parameters():
            parameter.zero_grad()

    def set_precision(self, precision: str) -> None:
        """Set the option `precision` of this module and of all modules inside that have it.

        Those are recurrent layers and cells, `Linear` and what attends or has a softmax. See
        `LSTM` for what it means.

        Raises
        ------
        ValueError
            If no module has it, or one refuses it: then none is changed.
        """
        from fastlstm.nn.precision import set_everywhere  # which is made of modules

        found = {name: m for name, m in self._named_modules() if hasattr(m, "precision")}
        if not found:
            raise ValueError(f"{type(self).__name__} has no module with an option precision")
        set_everywhere(found, precision)

    def _named_modules(self, prefix: str = "") -> Iterator[tuple[str, Any]]:
        """Yield this module and all inside, by their names joined by dots."""
        yield prefix, self
        for name, value in vars(self).items():
            if isinstance(value, Module):
                yield from value._named_modules(f"{prefix}.{name}" if prefix else name)

    def state_dict(self) -> dict[str, Array]:
        """Return copies of all parameters by name; names and layouts are torch's."""
        return {name: parameter.data.copy() for name, parameter in self.named_parameters()}

    def load_state_dict(self, state: Mapping[str, object]) -> None:
        """Copy values in by name; torch tensors are accepted as well as arrays.

        Raises
        ------
        KeyError
            If a name is missing or unknown.
        TypeError, ValueError
            If a value does not hold finite real numbers of the same shape, or a parameter is
            read-only. Nothing changes then.
        """
        own = dict(self.named_parameters())
        missing, unknown = own.keys() - state.keys(), state.keys() - own.keys()
        if missing or unknown:
            raise KeyError(
                f"state does not fit {type(self).__name__}: "
                f"missing {sorted(missing)}, unknown {sorted(unknown)}"
            )
        values = {name: fitting(name, state[name], own[name].data) for name in own}
        for name, parameter in own.items():
            check_writable(name, parameter)
        for name, parameter in own.items():
            parameter.data[...] = values[name]

    def _look(self, tape: Tape) -> tuple[Any, ...]:
        """Return what a tape of this module keeps; raise if it is another's or was used."""
        if not isinstance(tape, Tape):
            raise TypeError(f"tape is a {type(tape).__name__}, expected what forward returned last")
        if tape._owner is not self:
            raise ValueError(
                f"tape is of another {type(tape._owner).__name__}, "
                f"expected one that this {type(self).__name__}'s forward returned"
            )
        try:
            return tape._kept[0]
        except IndexError:
            raise RuntimeError(USED) from None

    def _take(self, tape: Tape) -> tuple[Any, ...]:
        """Return the same and use the tape up."""
        self._look(tape)
        try:
            return tape._kept.pop()  # one step: of threads that share a tape one gets it
        except IndexError:
            raise RuntimeError(USED) from None


def described(*plain: object, **options: tuple[object, object]) -> str:
    """Return the arguments of `extra_repr`: those, then options (value, default) that differ."""
    more = [f"{name}={value}" for name, (value, usual) in options.items() if value != usual]
    return ", ".join([*map(str, plain), *more])
