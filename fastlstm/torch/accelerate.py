"""Put fastlstm's modules in the place of torch's in a model that exists."""

from __future__ import annotations

from functools import cache
from typing import Any, NamedTuple

import torch
from torch import nn
from torch.nn.utils.parametrize import is_parametrized

from fastlstm.torch.cells import GRUCell, LSTMCell, RNNCell
from fastlstm.torch.check import DTYPES
from fastlstm.torch.modules import GRU, LSTM, RNN

# torch's class -> ours, which is a subclass of it and holds nothing more
OURS: dict[type[Any], type[Any]] = {
    nn.LSTM: LSTM,
    nn.GRU: GRU,
    nn.RNN: RNN,
    nn.LSTMCell: LSTMCell,
    nn.GRUCell: GRUCell,
    nn.RNNCell: RNNCell,
}


NOTES = [
    "  note     swapped modules derive from torch's: what compares type(m) with torch.nn.LSTM",
    "           (quantize_dynamic, some initialisers) passes over them, torch.jit.script refuses",
    "           them: restore(model) before, accelerate(model) after",
    "  note     what builds the model anew to load it builds torch's modules: accelerate it again",
]


class Skipped(NamedTuple):
    """A recurrent module left as it was."""

    name: str  # as in `model.named_modules()`; "" is the model itself
    module: str  # its class
    why: str


class Report(NamedTuple):
    """What `accelerate` did.

    Attributes
    ----------
    model : the model given, the same object.
    swapped : name -> class of each module that now runs on fastlstm.
    skipped : each recurrent module that does not, and why.
    """

    model: nn.Module
    swapped: dict[str, str]
    skipped: list[Skipped]

    def __repr__(self) -> str:
        lines = [f"accelerate: {len(self.swapped)} swapped, {len(self.skipped)} skipped"]
        lines += [f"  swapped  {_shown(n)}  {kind}" for n, kind in self.swapped.items()]
        lines += [f"  skipped  {_shown(s.name)}  {s.module}: {s.why}" for s in self.skipped]
        return "\n".join(lines + NOTES * bool(self.swapped))


def accelerate(model: nn.Module) -> Report:
    """Make every recurrent module of `model` run on fastlstm's kernels, in place.

    Each stays the object it is, with its parameters, hooks, buffers and training flag; only its
    class becomes fastlstm's, so that optimizers, references and `state_dict` keep working. That
    holds for the model itself too, if it is a recurrent module. Swapped are torch.nn.LSTM, GRU,
    RNN, LSTMCell, GRUCell and RNNCell, and subclasses that leave `forward` alone.

    Parameters
    ----------
    model : any module.

    Returns
    -------
    report : what was swapped, what not and why; print it. `report.model` is the model.

    Raises
    ------
    TypeError
        If the model is not a torch.nn.Module.
    """
    if not isinstance(model, nn.Module):
        raise TypeError(f"model is a {type(model).__name__}, expected a torch.nn.Module")
    report = Report(model, {}, [])
    for name, module in model.named_modules():
        kind = type(module).__name__
        why = why_not(module)
        if why is None:
            cls = type(module).__bases__[0] if is_parametrized(module) else type(module)
            module.__class__ = with_base(module, accelerated(cls))
            report.swapped[name] = kind
        elif why:
            report.skipped.append(Skipped(name, kind, why))
    return report


def why_not(module: nn.Module) -> str | None:
    """Return why a module is not to be swapped, "" if it is none of torch's recurrent ones."""
    if isinstance(module, torch.jit.ScriptModule):
        return _of_script(module)
    if not isinstance(module, (nn.RNNBase, nn.RNNCellBase)):
        return ""
    if isinstance(module, tuple(OURS.values())):
        return "it runs on fastlstm already"
    base = _torch_class(type(module))
    if base is None:
        return "its base class is not one of torch's six"
    if type(module).forward is not base.forward or "forward" in vars(module):
        return "it has a forward of its own, which would be lost"
    for parameter in module.parameters():
        if parameter.device.type != "cpu":
            return f"its parameters are on device {parameter.device}, not on the CPU"
        if parameter.dtype not in DTYPES:
            return f"its parameters are {parameter.dtype}, not float32 or float64"
    return None


def _of_script(module: torch.jit.ScriptModule) -> str:
    name: str = getattr(module, "original_name", "")
    recurrent = name in {cls.__name__ for cls in OURS}
    return "it is compiled by torch.jit: accelerate the model before" if recurrent else ""


def _torch_class(cls: Any) -> Any:
    return next((base for base in OURS if issubclass(cls, base)), None)


def with_base(module: nn.Module, cls: Any) -> Any:
    """Return `cls`, as the class that a module is to have."""
    if not is_parametrized(module):
        return cls
    # torch made this class for this module, to hold the parametrized weights as properties, and
    # takes its base when the parametrization is removed: the base is what has to change.
    made = type(module)
    names = {k: v for k, v in vars(made).items() if k not in ("__dict__", "__weakref__")}
    return type(made.__name__, (cls,), names)


@cache
def accelerated(cls: Any) -> Any:
    """Return the class with the methods of `cls` and the forward of ours."""
    base = _torch_class(cls)
    assert base is not None
    if cls is base:
        return OURS[base]
    names = {"__module__": cls.__module__, "__doc__": cls.__doc__, "__reduce_ex__": _reduce}
    return type(cls.__name__, (cls, OURS[base]), names)


def accelerated_from(cls: Any) -> Any:
    """Return the class that `accelerated` was given for `cls`; None if it was not made there."""
    return cls.__mro__[1] if vars(cls).get("__reduce_ex__") is _reduce else None


def _reduce(module: Any, protocol: int) -> tuple[Any, ...]:
    """Pickle by the class that can be imported, as the one above cannot."""
    cls = type(module)
    _, _, *rest = super(cls, module).__reduce_ex__(protocol)
    return _blank, (cls.__mro__[1],), *rest


def _blank(cls: Any) -> Any:
    """Return an instance of `accelerated(cls)` for pickle to fill."""
    made = accelerated(cls)
    return made.__new__(made)


def _shown(name: str) -> str:
    return name or "(the model itself)"
