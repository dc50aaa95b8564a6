"""Faults planted in a copy of the package, which the tests must find."""

from attack.faults.part import part

__all__ = ["part"]
