"""Faults in the checks of the extension."""

from __future__ import annotations

from attack.faults.fault import Fault

EXTENSION: tuple[Fault, ...] = ()
