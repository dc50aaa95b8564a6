"""The names of arguments in messages, turned into the flags that users type."""

from __future__ import annotations

import re

# What messages tell the user to give, as in "header=False"; not all that looks alike is meant so.
_MENTION = re.compile(
    r"(?<![^\s(])(source|text_column|label_column|format|encoding|delimiter|header|quotes"
    r"|test|test_split|validation|folder|out|overwrite|resume|pretrain|unlabelled)=((?:[^\s;,)]*[^\s;,).:])?)"
)
_RENAMED = {"source": "data", "folder": "out", "from_run": "from"}


def flag(name: str) -> str:
    """Return the flag of an argument: ``lr`` is ``--lr``."""
    return "--" + _RENAMED.get(name, name).replace("_", "-")


def as_flags(message: str) -> str:
    """Return a message with ``header=False`` as ``--no-header``, ``format=lines`` likewise."""
    return _MENTION.sub(_as_flag, message)


def begins_with_flag(message: str) -> str:
    """Return a message that begins with the name of an argument with its flag in that place."""
    return re.sub(r"^\w+", lambda name: flag(name.group()), message)


def _as_flag(mention: re.Match[str]) -> str:
    name, value = mention.groups()
    if value in ("True", "False"):
        return flag(name if value == "True" else f"no_{name}")
    return f"{flag(name)} {value}".rstrip()
