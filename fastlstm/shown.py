"""What an object prints at the prompt: its class and its options, as it would be called."""

from __future__ import annotations

from typing import Any

_PLAIN = (bool, int, float, str, tuple, type(None))


def shown(made: object, **fields: Any) -> str:
    """Return ``Name(field=value, ...)``, with the attributes without underscore that are plain.

    Arrays and objects, whose own text would fill a screen, are left out.
    """
    own = getattr(made, "__dict__", {})  # a class may have slots alone
    fields = {n: v for n, v in own.items() if n[0] != "_" and isinstance(v, _PLAIN)} | fields
    inside = ", ".join(f"{name}={value!r}" for name, value in fields.items())
    return f"{type(made).__name__}({inside})"
