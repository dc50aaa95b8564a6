"""Put torch's modules back in the place of fastlstm's."""

from __future__ import annotations

from typing import Any

from torch import nn
from torch.nn.utils.parametrize import is_parametrized

from fastlstm.torch.accelerate import OURS, accelerated_from, with_base


def restore(model: nn.Module) -> nn.Module:
    """Make every module that `accelerate` swapped torch's own again, in place.

    For what looks at the class itself and not at what it derives from: quantize_dynamic,
    torch.jit.script, some initialisers. Modules made as fastlstm's become torch's too; a class
    that you derived from one of fastlstm's stays as it is.

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
    if not isinstance(model, nn.Module):
        raise TypeError(f"model is a {type(model).__name__}, expected a torch.nn.Module")
    for module in model.modules():
        cls: Any = type(module).__bases__[0] if is_parametrized(module) else type(module)
        original = _original(cls)
        if original is not None:
            module.__class__ = with_base(module, original)
    return model


def _original(cls: Any) -> Any:
    """Return torch's class, or the one derived from it; None if `cls` is none of ours."""
    return accelerated_from(cls) or next((t for t, ours in OURS.items() if cls is ours), None)
