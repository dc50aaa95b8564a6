"""Put fastlstm's modules in the place of torch's in a model, and torch's back."""

from __future__ import annotations

import inspect
import warnings
from functools import cache
from typing import Any, NamedTuple

import numpy as np
import torch
from torch import nn
from torch.nn.utils.parametrize import is_parametrized

from fastlstm.kernels.arguments import check_precision
from fastlstm.notices import SlowWarning
from fastlstm.torch.cells import GRUCell, LSTMCell, RNNCell
from fastlstm.torch.check import DTYPES, check_module
from fastlstm.torch.episodes import LOOP, ONE_CALL, replace_loop, restore_loop
from fastlstm.torch.modules import GRU, LSTM, RNN
from fastlstm.torch.precision import KEPT, check_fits

# torch's class -> ours, which is a subclass of it and holds nothing more
OURS: dict[type[Any], type[Any]] = {
    getattr(nn, ours.__name__): ours for ours in (LSTM, GRU, RNN, LSTMCell, GRUCell, RNNCell)
}
ITSELF = "(the model itself)"
ALREADY = "it runs on fastlstm already"
NOTES = [
    "  note     swapped modules derive from torch's: what compares type(m) with torch.nn.LSTM",
    "           (torch's quantize_dynamic, some initialisers) passes over them, torch.jit.script",
    "           refuses them: restore(model) before, accelerate(model) after",
    "  note     what builds the model anew to load it builds torch's modules: accelerate it again",
]


class Skipped(NamedTuple):
    """A recurrent module, or a policy's loop over steps, left as it was."""

    name: str  # as in `model.named_modules()`; "" is the model itself
    module: str  # its class; of a loop with the name of the method
    why: str


class Report(NamedTuple):
    """What `accelerate` did.

    Attributes
    ----------
    model : the model given, the same object.
    swapped : name -> class of each module that now runs on fastlstm.
    skipped : each recurrent module that does not, and why.
    loops : name -> method of each policy whose loop over steps is one call of an LSTM now.
    """

    model: nn.Module
    swapped: dict[str, str]
    skipped: list[Skipped]
    loops: dict[str, str]

    def __repr__(self) -> str:
        lines = [f"accelerate: {len(self.swapped)} swapped, {len(self.skipped)} skipped"]
        lines += [f"  swapped  {n or ITSELF}  {kind}" for n, kind in self.swapped.items()]
        lines += [f"  one call {n or ITSELF}  {method}" for n, method in self.loops.items()]
        lines += [f"  skipped  {s.name or ITSELF}  {s.module}: {s.why}" for s in self.skipped]
        return "\n".join(lines + NOTES * bool(self.swapped))


def accelerate(model: nn.Module, precision: str | None = None) -> Report:
    """Make every recurrent module of `model` run on fastlstm's kernels, in place.

    Each stays the object it is, with its parameters, hooks, buffers and training flag. Only its
    class becomes fastlstm's, so that optimizers, references and `state_dict` keep working. That
    holds for the model itself too, if it is a recurrent module. Swapped are torch.nn.LSTM, GRU,
    RNN, LSTMCell, GRUCell and RNNCell, and subclasses that leave `forward` alone or whose own calls
    ``super().forward``, which is fastlstm's then.

    A recurrent policy of sb3-contrib (``accelerate(agent.policy)``) loops over single steps where
    episodes start inside a batch. That becomes one call of its LSTM, of this object alone. A loop
    that is not the library's own stays, with a warning.

    Parameters
    ----------
    model : any module.
    precision : of the products of all modules that run on fastlstm then, also of those that did
        before: "float32", "bfloat16" or "int8", see `LSTM`. None leaves each its own, at first
        "float32".

    Returns
    -------
    report : what was swapped, what not and why; print it. `report.model` is the model.

    Raises
    ------
    TypeError
        If the model is not a torch.nn.Module.
    ValueError
        If there is no such precision, or a module does not take it: then nothing is changed.

    Warns
    -----
    SlowWarning
        If a policy's loop over single steps stays.
    """
    report = Report(check_module(model), {}, [], {})
    reasons = [(name, module, why_not(module)) for name, module in model.named_modules()]
    if precision is not None:
        _set_precision({n: m for n, m, why in reasons if why in (None, ALREADY)}, precision)
    for name, module, why in reasons:
        kind = type(module).__name__
        if why is None:
            _set_class(module, accelerated(_own_class(module)))
            report.swapped[name] = kind
        elif why:
            report.skipped.append(Skipped(name, kind, why))
    _replace_loops(report)
    return report


def _replace_loops(report: Report) -> None:
    """Replace the loops over steps of all policies, and report it."""
    for name, module in report.model.named_modules():
        why = replace_loop(module)
        if why is None:
            report.loops[name] = LOOP
        elif why:
            method = f"{type(module).__name__}.{LOOP}"
            report.skipped.append(Skipped(name, method, why))
            if why != ONE_CALL:
                slow = f"{method} stays a loop over single steps: {why}"
                warnings.warn(slow, SlowWarning, stacklevel=3)


def _set_precision(modules: dict[str, nn.Module], precision: str) -> None:
    """Set the precision of modules that run on fastlstm or soon will; of none if one refuses."""
    check_precision(precision, np.dtype("float32"), save=False)
    for name, module in modules.items():
        try:
            check_fits(module, precision)
        except ValueError as error:
            raise ValueError(f"{name or ITSELF}: {error}") from None
    for module in modules.values():
        vars(module)[KEPT] = precision


def restore(model: nn.Module) -> nn.Module:
    """Make every module that `accelerate` swapped torch's own again, in place.

    For what looks at the class itself and not at its bases: torch's own quantize_dynamic,
    torch.jit.script, some initialisers. Modules made as fastlstm's become torch's too, and a
    precision that was set is forgotten. A class that you derived from one of fastlstm's stays as
    it is. A policy gets its own loop over steps back.

    Parameters
    ----------
    model : any module.

    Returns
    -------
    model : the same object.

    Raises
    ------
    TypeError
        If the model is not a torch.nn.Module.
    """
    theirs = {ours: cls for cls, ours in OURS.items()}
    for module in check_module(model).modules():
        restore_loop(module)
        cls = _own_class(module)
        swapped = vars(cls).get("__reduce_ex__") is _reduce
        original = cls.__mro__[1] if swapped else theirs.get(cls)
        if original is not None:
            _set_class(module, original)
            vars(module).pop(KEPT, None)
    return model


def why_not(module: nn.Module) -> str | None:
    """Return why a module is not to be swapped, "" if it is none of torch's recurrent ones."""
    if isinstance(module, torch.jit.ScriptModule):
        recurrent = getattr(module, "original_name", "") in {cls.__name__ for cls in OURS}
        return "it is compiled by torch.jit: accelerate the model before" if recurrent else ""
    if not isinstance(module, (nn.RNNBase, nn.RNNCellBase)):
        return ""
    if isinstance(module, tuple(OURS.values())):
        return ALREADY
    base = _torch_class(type(module))
    if base is None:
        return "its base class is not one of torch's six"
    if "forward" in vars(module) or not all(map(_calls_super, _own_forwards(type(module), base))):
        return "it has a forward of its own, which does not call super().forward"
    for parameter in module.parameters():
        if parameter.device.type not in ("cpu", "meta"):
            return f"its parameters are on device {parameter.device}, not on the CPU"
        if parameter.dtype not in DTYPES:
            return f"its parameters are {parameter.dtype}, not float32 or float64"
    return None


def _own_forwards(cls: Any, base: Any) -> list[Any]:
    """Return the `forward` of each class from `cls` on that stands before torch's own."""
    classes = cls.__mro__[: cls.__mro__.index(base)]
    return [vars(one)["forward"] for one in classes if "forward" in vars(one)]


def _calls_super(forward: Any) -> bool:
    """Whether a method is a function that names super(): what it calls there is the next class's.

    One that does not may compute something else, or name torch's class.
    """
    code = getattr(inspect.unwrap(forward), "__code__", None)
    return code is not None and "super" in code.co_names


def _torch_class(cls: Any) -> Any:
    return next((base for base in OURS if issubclass(cls, base)), None)


def _own_class(module: nn.Module) -> Any:
    """Return the class of a module, without the one that torch makes for parametrized weights."""
    return type(module).__bases__[0] if is_parametrized(module) else type(module)


def _set_class(module: nn.Module, cls: Any) -> None:
    if is_parametrized(module):
        # torch made this class for this module, to hold the parametrized weights as properties.
        # It takes the base when the parametrization is removed: the base is what has to change.
        made = type(module)
        names = {k: v for k, v in vars(made).items() if k not in ("__dict__", "__weakref__")}
        cls = type(made.__name__, (cls,), names)
    module.__class__ = cls


@cache
def accelerated(cls: Any) -> Any:
    """Return the class with the methods of `cls` and the forward of ours."""
    base = _torch_class(cls)
    assert base is not None
    if cls is base:
        return OURS[base]
    names = {"__module__": cls.__module__, "__doc__": cls.__doc__, "__reduce_ex__": _reduce}
    return type(cls.__name__, (cls, OURS[base]), names)


def _reduce(module: Any, protocol: int) -> tuple[Any, ...]:
    """Pickle by the class that can be imported, as the one above cannot."""
    cls = type(module)
    _, _, *rest = super(cls, module).__reduce_ex__(protocol)
    return _blank, (cls.__mro__[1],), *rest


def _blank(cls: Any) -> Any:
    """Return an instance of `accelerated(cls)` for pickle to fill."""
    made = accelerated(cls)
    return made.__new__(made)
